#include "residue.h"

#include <inttypes.h>
#include <stdlib.h>

#include "nilai/state/image.h"

enum { CHUNKS_MAX = 1024 };

static struct nilai_wire open_record(const struct sim_record *record,
                                     struct nilai_journal_head *head)
{
    struct nilai_wire body;
    struct nilai_error error;
    SIM_CHECK(nilai_journal_open(record->message.value, record->message.value_size, head, &body,
                                 &error)
              == NILAI_OK);
    return body;
}

/* --- Of whom -------------------------------------------------------------------------------- */

static void check_known(const struct nilai_partition *state, struct nilai_text id,
                        const char *where, int64_t offset)
{
    uint32_t number;
    const struct nilai_table *table = nilai_partition_table(state);
    if (nilai_table_find(table, nilai_table_hash(table, id), id, &number) != NILAI_OK)
        sim_fail("%.*s was erased, and is still in %s at offset %" PRId64 " of the journal",
                 (int)id.size, id.data, where, offset);
}

static void check_part(struct nilai_wire body, const struct nilai_partition *state, int64_t offset)
{
    struct nilai_part_reader reader;
    struct nilai_part_item item;
    SIM_CHECK(nilai_part_open(&reader, body) == NILAI_OK);
    do {
        SIM_CHECK(nilai_part_next(&reader, &item) == NILAI_OK);
        if (item.kind == NILAI_ITEM_MARK || item.kind == NILAI_ITEM_ERASED)
            check_known(state, item.customer, "a mark", offset);
    } while (item.kind != NILAI_ITEM_CLOSE && item.kind != NILAI_ITEM_MORE);
}

static void check_image(struct nilai_wire body, const struct nilai_partition *state,
                        int64_t offset)
{
    struct nilai_image image;
    struct nilai_image_customer customer;
    SIM_CHECK(nilai_image_open_customers(&image, body) == NILAI_OK);
    while (nilai_image_next_customer(&image, nilai_partition_model(state), &customer) == NILAI_OK)
        check_known(state, customer.id, "an image", offset);
}

void sim_check_residue(struct sim_log *log, const struct nilai_partition *state)
{
    for (int64_t offset = log->low; offset < log->count; offset++) {
        struct nilai_journal_head head;
        if (log->records[offset].state == SIM_CONTROL)
            continue;
        struct nilai_wire body = open_record(&log->records[offset], &head);
        if (head.kind == NILAI_JOURNAL_PART)
            check_part(body, state, offset);
        else if (head.kind == NILAI_JOURNAL_CUSTOMERS)
            check_image(body, state, offset);
    }
}

/* --- How large ------------------------------------------------------------------------------- */

static uint32_t place_of(const struct nilai_journal_head *head, struct nilai_wire body)
{
    struct nilai_image image;
    if (head->kind == NILAI_JOURNAL_ERASURES) {
        SIM_CHECK(nilai_image_open_erasures(&image, body) == NILAI_OK);
        return image.part;
    }
    SIM_CHECK(nilai_image_open_customers(&image, body) == NILAI_OK);
    SIM_CHECK(image.part < CHUNKS_MAX);
    return NILAI_ERASED_BUCKETS + image.part;
}

struct sim_residue sim_measure_residue(struct sim_log *log)
{
    static uint64_t newest[NILAI_ERASED_BUCKETS + CHUNKS_MAX];
    struct sim_residue residue = {0};
    for (uint32_t place = 0; place < NILAI_ARRAY_LEN(newest); place++)
        newest[place] = 0;
    for (int64_t offset = log->low; offset < log->count; offset++) {
        struct nilai_journal_head head;
        const struct sim_record *record = &log->records[offset];
        if (record->state != SIM_COMMITTED)
            continue;
        struct nilai_wire body = open_record(record, &head);
        if (head.kind == NILAI_JOURNAL_PART)
            continue;
        newest[place_of(&head, body)] = record->message.value_size;
        residue.image_bytes += record->message.value_size;
    }
    for (uint32_t place = 0; place < NILAI_ARRAY_LEN(newest); place++)
        residue.newest_bytes += newest[place];
    return residue;
}
