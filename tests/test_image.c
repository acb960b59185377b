#include "nilai/state/image.h"

#include "journals.h"

enum { TURN = 7, INPUTS = 11, WRITER = 12 };

static struct nilai_model model;

static void make_model(void)
{
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
}

/* Leaves holes, and something to remember in most buckets. */
static void erase_some(struct nilai_partition *partition, const struct history *history)
{
    static struct nilai_effects effects;
    struct nilai_event events[100];
    const struct nilai_event *list[100];
    bool done = false;
    for (int at = 0; at < 100; at++) {
        events[at] = (struct nilai_event){.type = NILAI_ERASE,
                                          .id = text_of("erasure"),
                                          .customer = text_of(history->customers[3 * at]),
                                          .ts_ms = nilai_partition_clock_ms(partition) + at};
        list[at] = &events[at];
    }
    nilai_partition_begin(partition, &(struct nilai_turn){
        .events = list, .count = 100, .clock_ms = -1, .number = TURN});
    while (!done)
        CHECK_EQ(nilai_partition_step(partition, &effects, &done), NILAI_OK);
}

static struct nilai_partition *filled(const struct history *history, int events)
{
    make_model();
    const struct nilai_partition_options options = journal_state(&model);
    struct nilai_partition *partition = nilai_partition_create(&options);
    CHECK(partition != NULL);
    for (int at = 0; at < events; at += 500)
        apply_turn(partition, history, at, at + 500 < events ? at + 500 : events, -1, TURN, NULL,
                   NULL, NULL);
    erase_some(partition, history);
    return partition;
}

static struct nilai_wire open_image(const struct nilai_buffer *record, enum nilai_journal_kind kind)
{
    struct nilai_journal_head head;
    struct nilai_wire body;
    CHECK_EQ(record->status, NILAI_OK);
    CHECK(record->size <= NILAI_JOURNAL_SIZE_MAX);
    CHECK_EQ(nilai_journal_open(record->data, record->size, &head, &body, NULL), NILAI_OK);
    CHECK(head.kind == kind && head.inputs == INPUTS && head.writer == WRITER);
    return body;
}

struct room {
    struct nilai_buffer scratch, record;
};

static void room_init(struct room *room)
{
    nilai_buffer_init(&room->scratch, 1 << 20);
    nilai_buffer_init(&room->record, NILAI_JOURNAL_SIZE_MAX);
}

static void room_fini(struct room *room)
{
    nilai_buffer_fini(&room->scratch);
    nilai_buffer_fini(&room->record);
}

static void check_customer(const struct nilai_table *table, const struct nilai_image_customer *read)
{
    CHECK(nilai_table_is_live(table, read->number));
    struct nilai_text id = nilai_table_id(table, read->number);
    struct nilai_service service;
    bool has_service = nilai_table_service(table, read->number, &service);
    CHECK(id.size == read->id.size && memcmp(id.data, read->id.data, id.size) == 0);
    CHECK(memcmp(nilai_table_customer(table, read->number), &read->customer,
                 sizeof read->customer) == 0);
    CHECK_EQ(has_service, read->has_service);
    CHECK(!has_service || memcmp(&service, &read->service, sizeof service) == 0);
}

/* Goal: a chunk is read as it was written: the same customers under the same numbers, and no
 * others.
 * Method: a partition after random events, with holes where customers were erased. */
TEST(chunks_are_read_as_they_were_written)
{
    struct history *history = make_history(test_seed(31));
    struct nilai_partition *partition = filled(history, 9000);
    const struct nilai_table *table = nilai_partition_table(partition);
    struct nilai_table_stats stats;
    struct nilai_image_customer customer;
    struct nilai_image image;
    struct room room;
    uint64_t read = 0;
    room_init(&room);
    nilai_table_stats(table, &stats);
    uint32_t chunks = (nilai_table_numbers(table) + 255) / 256;
    CHECK(chunks > 1 && stats.services > 100 && stats.customers < nilai_table_numbers(table));
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        nilai_image_write_customers(partition, chunk, TURN + chunk, INPUTS, WRITER,
                                    &room.record);
        struct nilai_wire body = open_image(&room.record, NILAI_JOURNAL_CUSTOMERS);
        CHECK_EQ(nilai_image_open_customers(&image, body), NILAI_OK);
        CHECK(image.part == chunk && image.turn == TURN + chunk);
        while (nilai_image_next_customer(&image, &model, &customer) == NILAI_OK) {
            CHECK_EQ(customer.number / NILAI_CHUNK_CUSTOMERS, chunk);
            check_customer(table, &customer);
            read++;
        }
        CHECK_EQ(nilai_image_next_customer(&image, &model, &customer), NILAI_MISSING);
    }
    CHECK_EQ(read, stats.customers);
    nilai_partition_destroy(partition);
    room_fini(&room);
    free(history);
}

/* Goal: the buckets together hold every erasure that is remembered, each once.
 * Method: read into a memory of erasures beside, which then knows the same. */
TEST(buckets_are_read_as_they_were_written)
{
    struct history *history = make_history(test_seed(32));
    struct nilai_partition *partition = filled(history, 9000);
    const struct nilai_erased *erased = nilai_partition_erased(partition);
    int64_t clock_ms = nilai_partition_clock_ms(partition);
    struct nilai_erased *copy = nilai_erased_create(30 * (int64_t)NILAI_DAY_MS, 100000, 1);
    struct nilai_image_erasure erasure;
    struct nilai_image image;
    struct room room;
    uint64_t read = 0;
    room_init(&room);
    for (uint32_t bucket = 0; bucket < NILAI_ERASED_BUCKETS; bucket++) {
        CHECK(!nilai_image_write_erasures(partition, bucket, 0, TURN, INPUTS, WRITER, &room.scratch,
                                          &room.record));
        struct nilai_wire body = open_image(&room.record, NILAI_JOURNAL_ERASURES);
        CHECK_EQ(nilai_image_open_erasures(&image, body), NILAI_OK);
        CHECK(image.part == bucket && image.turn == TURN);
        for (; nilai_image_next_erasure(&image, &erasure) == NILAI_OK; read++) {
            CHECK_EQ(erasure.hash.high >> 58, bucket);
            CHECK_EQ(nilai_erased_load(copy, erasure.hash, erasure.ts_ms, erasure.clock_ms,
                                       clock_ms),
                     NILAI_OK);
        }
        CHECK_EQ(nilai_image_next_erasure(&image, &erasure), NILAI_MISSING);
    }
    CHECK(read > 99 && nilai_erased_count(copy) == read);
    for (int i = 0; i < HISTORY_CUSTOMERS; i++)
        for (int64_t day = 0; day < 32; day++) {
            struct nilai_text id = text_of(history->customers[i]);
            int64_t ts_ms = clock_ms - day * NILAI_DAY_MS;
            CHECK_EQ(nilai_erased_covers(copy, id, ts_ms, clock_ms),
                     nilai_erased_covers(erased, id, ts_ms, clock_ms));
        }
    nilai_erased_destroy(copy);
    nilai_partition_destroy(partition);
    room_fini(&room);
    free(history);
}

/* Reads to the end; the first status that is not OK. */
static enum nilai_status read_customers(struct nilai_wire body)
{
    struct nilai_image_customer customer;
    struct nilai_image image;
    enum nilai_status status = nilai_image_open_customers(&image, body);
    while (status == NILAI_OK)
        status = nilai_image_next_customer(&image, &model, &customer);
    return status;
}

static enum nilai_status read_erasures(struct nilai_wire body)
{
    struct nilai_image_erasure erasure;
    struct nilai_image image;
    enum nilai_status status = nilai_image_open_erasures(&image, body);
    while (status == NILAI_OK)
        status = nilai_image_next_erasure(&image, &erasure);
    return status;
}

/* Goal: a body that was cut is refused; one that was changed too, or it is read, but never beyond
 * its end and never with a record that cannot be. Method: every cut, and random changes, beneath
 * the checksum; records are judged by nilai_customer_is_sound, which has tests of its own. */
TEST(damaged_images_are_refused)
{
    struct history *history = make_history(test_seed(33));
    struct nilai_partition *partition = filled(history, 3000);
    uint64_t seed = test_seed(34), refused = 0, read = 0;
    struct room room;
    room_init(&room);
    nilai_image_write_customers(partition, 0, TURN, INPUTS, WRITER, &room.record);
    struct nilai_wire body = open_image(&room.record, NILAI_JOURNAL_CUSTOMERS);
    size_t size = (size_t)(body.end - body.at);
    unsigned char *bytes = malloc(size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *exact = malloc(cut + 1); /* so that a sanitizer sees the end */
        memcpy(exact + 1, body.at, cut);
        CHECK_EQ(read_customers(nilai_wire_of(exact + 1, cut)), NILAI_INVALID);
        free(exact);
    }
    for (int times = 0; times < 20000; times++) {
        memcpy(bytes, body.at, size);
        for (uint64_t changes = 1 + next_random(&seed) % 3; changes > 0; changes--)
            bytes[next_random(&seed) % (times % 2 ? size : 40)] ^= (unsigned char)(1 << next_random(&seed) % 8);
        enum nilai_status status = read_customers(nilai_wire_of(bytes, size));
        CHECK(status == NILAI_INVALID || status == NILAI_MISSING
              || (status == NILAI_CONFIG && bytes[0] != NILAI_IMAGE_LAYOUT));
        *(status == NILAI_MISSING ? &read : &refused) += 1;
    }
    CHECK(refused > 1000 && read > 0);
    free(bytes);
    CHECK(!nilai_image_write_erasures(partition, 3, 0, TURN, INPUTS, WRITER, &room.scratch,
                                      &room.record));
    body = open_image(&room.record, NILAI_JOURNAL_ERASURES);
    for (size_t cut = 0; cut < (size_t)(body.end - body.at); cut++)
        CHECK_EQ(read_erasures(nilai_wire_of(body.at, cut)), NILAI_INVALID);
    CHECK_EQ(read_erasures(body), NILAI_MISSING);
    nilai_partition_destroy(partition);
    room_fini(&room);
    free(history);
}

static void put_numbers(struct nilai_buffer *buffer, uint64_t layout, uint64_t chunk, uint64_t count)
{
    nilai_buffer_clear(buffer);
    nilai_wire_put_unsigned(buffer, layout);
    nilai_wire_put_unsigned(buffer, chunk);
    nilai_wire_put_unsigned(buffer, TURN);
    nilai_wire_put_unsigned(buffer, count);
}

/* Goal: another layout is told apart from damage; counts and numbers from nowhere are refused. */
TEST(what_an_image_says_of_itself_is_checked)
{
    struct room room;
    make_model();
    room_init(&room);
    static const struct {
        uint64_t layout, chunk, count;
        enum nilai_status status;
    } cases[] = {
        {2, 0, 0, NILAI_MISSING},
        {1, 0, 0, NILAI_CONFIG},
        {3, 0, 0, NILAI_CONFIG},
        {2, UINT32_MAX / 256 + 1, 0, NILAI_INVALID},
        {2, UINT64_MAX, 0, NILAI_INVALID},
        {2, 0, 257, NILAI_INVALID},
        {2, 0, UINT64_MAX, NILAI_INVALID},
        {2, 0, 100, NILAI_INVALID}, /* and nothing follows */
    };
    for (size_t index = 0; index < NILAI_ARRAY_LEN(cases); index++) {
        put_numbers(&room.record, cases[index].layout, cases[index].chunk, cases[index].count);
        CHECK_EQ(read_customers(nilai_wire_of(room.record.data, room.record.size)),
                 cases[index].status);
    }
    put_numbers(&room.record, 2, 0, 0);
    nilai_wire_put_8(&room.record, 0); /* more than nothing */
    CHECK_EQ(read_customers(nilai_wire_of(room.record.data, room.record.size)), NILAI_INVALID);
    room_fini(&room);
}

/* Goal: the layout of the records does not change by accident: what is written today is read by
 * every later version that says it knows layout 2. Method: one customer whose life is told here;
 * the places of some fields in the words that image.c draws. */
TEST(a_golden_customer_has_the_bytes_of_layout_2)
{
    struct nilai_event events[3];
    const struct nilai_event *list[3] = {&events[0], &events[1], &events[2]};
    static struct nilai_effects effects;
    struct nilai_image_customer customer;
    struct nilai_image image;
    struct room room;
    bool done = false;
    make_model();
    room_init(&room);
    const struct nilai_partition_options options = journal_state(&model);
    struct nilai_partition *partition = nilai_partition_create(&options);
    for (int at = 0; at < 3; at++)
        events[at] = (struct nilai_event){
            .type = at < 2 ? NILAI_PURCHASE : NILAI_SURVEY,
            .id = text_of(at == 0 ? "one" : at == 1 ? "two" : "three"),
            .customer = text_of("somebody"),
            .ts_ms = TEST_START_MS + at * 10 * (int64_t)NILAI_DAY_MS,
        };
    events[0].purchase.amount = 500000, events[0].purchase.cost = 200000;
    events[1].purchase.amount = 700000, events[1].purchase.cost = 300000;
    events[2].survey.metric = 0, events[2].survey.normalized = 0.5;
    nilai_partition_begin(partition, &(struct nilai_turn){
        .events = list, .count = 3, .clock_ms = -1, .number = 2});
    while (!done)
        CHECK_EQ(nilai_partition_step(partition, &effects, &done), NILAI_OK);
    nilai_image_write_customers(partition, 0, TURN, INPUTS, WRITER, &room.record);
    CHECK_EQ(nilai_image_open_customers(&image, open_image(&room.record, NILAI_JOURNAL_CUSTOMERS)),
             NILAI_OK);
    struct nilai_wire rest = image.rest;
    CHECK_EQ(nilai_image_next_customer(&image, &model, &customer), NILAI_OK);
    CHECK_EQ(customer.number, 0);
    /* Some of the fields where image.c draws them. */
    uint64_t words[36], service[30];
    CHECK(memcmp(nilai_wire_take(&rest, 3 + 8), "\0\1\10somebody", 3 + 8) == 0);
    nilai_wire_take_words(&rest, words, 36);
    nilai_wire_take_words(&rest, service, 30);
    CHECK(nilai_wire_is_done(&rest));
    CHECK_EQ(words[0], events[2].ts_ms);
    CHECK_EQ(words[3], 1200000); /* amounts */
    CHECK_EQ(words[5], 500000);  /* costs */
    CHECK_EQ(words[34] >> 40 & 0xff, 3); /* ids of events, byte 277 */
    CHECK_EQ(service[29] & 0xffffffff, 1); /* answers, byte 232 */
    nilai_partition_destroy(partition);
    room_fini(&room);
}
