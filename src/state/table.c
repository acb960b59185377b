/*
 * One customer in memory, without padding between:
 *
 *     0   sequence    odd while the writer is at it; never goes back, not even over reuse
 *     4   head        low 26 bits: number of the service record + 1, 0: none
 *                     1 bit: it is a wide one, else a narrow one (narrow.h)
 *                     high 5 bits: 0 free, 1..16 length of the id, 17 a long id
 *     8   id          16 bytes of it, the rest zeros; of a long id: its number in the slab of
 *                     long ids and its length
 *     24  customer    struct nilai_customer
 *
 * Long ids (up to 64 bytes) and service records, narrow and wide, lie in slabs of their own and
 * belong to exactly one customer; they have no sequence, the customer's covers them. A service
 * record begins narrow; what does not fit any more moves to a wide one, for good.
 *
 * Why a reader sees a consistent record
 *
 * This is a sequence lock after Boehm ("Can seqlocks get along with programming language
 * memory models?", 2012), with the orderings on the words instead of fences. The writer
 *     1. makes the sequence odd (relaxed),
 *     2. stores every word that changes (release),
 *     3. makes the sequence even again (release).
 * The reader
 *     a. loads the sequence (acquire) and gives up if it is odd,
 *     b. copies the words (acquire), into memory of its own,
 *     c. loads the sequence again and keeps the copy only if it is the same.
 * If (b) reads a word that a later update stored, it synchronizes with that release store;
 * the odd sequence of (1) happened before it, so (c) reads that or something later: not the
 * same, as sequences only grow (a reader would have to sleep through exactly 2^31 updates of
 * one record to meet the same again). If (a) reads the even value of an update, it
 * synchronizes with (3), so (b) reads the words of that update or of later ones. Both
 * together: a copy that is kept has all words of the update whose sequence (a) read. On x86
 * all of these orderings are plain moves.
 *
 * Two copies are taken through numbers that were read in (b) themselves. That of the service record
 * and the slab that it is in are one word, so it is always a number that was once taken there, and
 * the memory is there; that of the long id shares its word with an inline id's text, so the reader
 * checks the sequence once more before it follows. If what they name has gone to another customer
 * by then, this customer's sequence was changed before it was given away, and the new owner's
 * release stores carry that to the reader as above. The same goes for a customer's record that was
 * erased and reused: whose it is, is decided by the id in the copy, under the sequence, never by
 * the index alone.
 *
 * That a customer is not there is decided by the index (index.c); a candidate that could not
 * be copied in peace counts as not decided, and the look-up is made again. The reader tries a
 * bounded number of times and then says NILAI_BUSY.
 *
 * The writer itself reads plainly: nobody else writes.
 */
#include "nilai/state/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/hash.h"
#include "nilai/base/prefetch.h"
#include "nilai/state/index.h"
#include "nilai/state/narrow.h"
#include "nilai/state/slab.h"

enum {
    ID_INLINE = 16,
    ID_LONG = ID_INLINE + 1,
    ID_MAX = NILAI_TEXT_MAX,
    KIND_SHIFT = 27,
    HEAD_WIDE = 1 << 26,
    NUMBER_MASK = HEAD_WIDE - 1,
    CHUNK_LOG2 = 13, /* records a chunk: 2.4 MiB of customers */
    LONG_CHUNK_LOG2 = 12,
    RECORDS_MAX = INT32_MAX - (1 << 14), /* timers spare one bit of a number */
    READ_ATTEMPTS = 200,
    READ_SPINS = 64, /* pauses between two attempts; all together outlast a split */
};

/* Every record is also seen as a row of words, which is how it is stored and copied. */
typedef uint64_t __attribute__((may_alias)) word;

struct long_reference {
    uint32_t number, size;
};

struct record {
    uint32_t sequence;
    uint32_t head;
    union {
        char text[ID_INLINE];
        struct long_reference reference;
        uint32_t free_link; /* the slab's */
    } id;
    struct nilai_customer customer;
};

struct long_id {
    char text[ID_MAX];
};

static_assert(sizeof(struct nilai_customer) % sizeof(word) == 0, "a customer is a row of words");
static_assert(sizeof(struct nilai_service) % sizeof(word) == 0
                  && sizeof(struct nilai_narrow) % sizeof(word) == 0,
              "and so is a service record");
static_assert(offsetof(struct record, customer) == 24, "drawn above");
static_assert(sizeof(struct record) == 24 + sizeof(struct nilai_customer), "without padding");

struct nilai_table {
    struct nilai_index *index;
    struct nilai_slab records, narrows, wides, long_ids;
    struct nilai_memory memory;
    uint64_t hash_seed;
};

/* ---- words ---- */

/* Whether a word has changed is not asked: the answer is a coin's, and a guess that was wrong costs
 * more than some stores into lines that are held anyway. */
static void store_words(void *to, const void *from, size_t size)
{
    word *words = to;
    for (size_t i = 0; i < size / sizeof(word); i++) {
        word value;
        memcpy(&value, (const char *)from + i * sizeof value, sizeof value);
        __atomic_store_n(&words[i], value, __ATOMIC_RELEASE);
    }
}

static void store_zeros(void *to, size_t size)
{
    word *words = to;
    for (size_t i = 0; i < size / sizeof(word); i++)
        __atomic_store_n(&words[i], 0, __ATOMIC_RELEASE);
}

static void load_words(void *to, const void *from, size_t size)
{
    const word *words = from;
    for (size_t i = 0; i < size / sizeof(word); i++) {
        word value = __atomic_load_n(&words[i], __ATOMIC_ACQUIRE);
        memcpy((char *)to + i * sizeof value, &value, sizeof value);
    }
}

/* ---- what a head says ---- */

/* `service`: place of the service record, 0: none. */
static uint32_t head_make(uint32_t kind, uint32_t service)
{
    return kind << KIND_SHIFT | service;
}

static uint32_t head_kind(uint32_t head)
{
    return head >> KIND_SHIFT;
}

static uint32_t head_service(uint32_t head)
{
    return head & (HEAD_WIDE | NUMBER_MASK);
}

static uint32_t service_make(bool wide, uint32_t number)
{
    return (wide ? HEAD_WIDE : 0) | (number + 1);
}

/* ---- the writer's view ---- */

static struct record *record_at(const struct nilai_table *table, uint32_t number)
{
    return nilai_slab_at(&table->records, number);
}

static struct record *live_record(const struct nilai_table *table, uint32_t number)
{
    NILAI_ASSERT(nilai_table_is_live(table, number));
    return record_at(table, number);
}

/* The bytes of a service record that is there, narrow or wide. */
static void *service_at(const struct nilai_table *table, uint32_t service)
{
    return nilai_slab_at((service & HEAD_WIDE) != 0 ? &table->wides : &table->narrows,
                         (service & NUMBER_MASK) - 1);
}

static size_t service_bytes(uint32_t service)
{
    return (service & HEAD_WIDE) != 0 ? sizeof(struct nilai_service) : sizeof(struct nilai_narrow);
}

static struct nilai_text id_of(const struct nilai_table *table, const struct record *record)
{
    uint32_t kind = head_kind(record->head);

    if (kind != ID_LONG)
        return (struct nilai_text){record->id.text, kind};
    const struct long_id *id = nilai_slab_at(&table->long_ids, record->id.reference.number);
    return (struct nilai_text){id->text, record->id.reference.size};
}

static bool same_text(struct nilai_text a, struct nilai_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static void write_begin(struct record *record)
{
    NILAI_ASSERT(record->sequence % 2 == 0);
    __atomic_store_n(&record->sequence, record->sequence + 1, __ATOMIC_RELAXED);
}

static void write_end(struct record *record)
{
    NILAI_ASSERT(record->sequence % 2 == 1);
    __atomic_store_n(&record->sequence, record->sequence + 1, __ATOMIC_RELEASE);
}

static void write_head(struct record *record, uint32_t head)
{
    __atomic_store_n(&record->head, head, __ATOMIC_RELEASE);
}

/* ---- creating ---- */

uint64_t nilai_table_hash(const struct nilai_table *table, struct nilai_text id)
{
    return nilai_hash_seeded(id.data, id.size, table->hash_seed);
}

static enum nilai_status init_slabs(struct nilai_table *table)
{
    const struct nilai_slab_options records = {
        .record_bytes = sizeof(struct record),
        .link_offset = offsetof(struct record, id.free_link),
        .chunk_log2 = CHUNK_LOG2,
        .records_max = RECORDS_MAX,
    };
    const struct nilai_slab_options narrows = {
        .record_bytes = sizeof(struct nilai_narrow),
        .chunk_log2 = CHUNK_LOG2,
        .records_max = NUMBER_MASK,
    };
    const struct nilai_slab_options wides = {
        .record_bytes = sizeof(struct nilai_service),
        .chunk_log2 = CHUNK_LOG2,
        .records_max = NUMBER_MASK,
    };
    const struct nilai_slab_options long_ids = {
        .record_bytes = sizeof(struct long_id),
        .chunk_log2 = LONG_CHUNK_LOG2,
        .records_max = RECORDS_MAX,
    };
    enum nilai_status status = nilai_slab_init(&table->records, &records, &table->memory);
    if (status == NILAI_OK)
        status = nilai_slab_init(&table->narrows, &narrows, &table->memory);
    if (status == NILAI_OK)
        status = nilai_slab_init(&table->wides, &wides, &table->memory);
    if (status == NILAI_OK)
        status = nilai_slab_init(&table->long_ids, &long_ids, &table->memory);
    return status;
}

struct nilai_table *nilai_table_create(const struct nilai_table_limits *limits)
{
    struct nilai_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->memory.max_bytes = limits->memory_max_bytes;
    table->hash_seed = limits->hash_seed;
    if (init_slabs(table) == NILAI_OK)
        table->index = nilai_index_create(&table->memory);
    if (table->index == NULL) {
        nilai_table_destroy(table);
        return NULL;
    }
    return table;
}

void nilai_table_destroy(struct nilai_table *table)
{
    if (table == NULL)
        return;
    nilai_index_destroy(table->index);
    nilai_slab_fini(&table->long_ids);
    nilai_slab_fini(&table->wides);
    nilai_slab_fini(&table->narrows);
    nilai_slab_fini(&table->records);
    NILAI_ASSERT(table->memory.used_bytes == 0);
    free(table);
}

/* ---- finding ---- */

void nilai_table_prefetch_index(const struct nilai_table *table, uint64_t hash)
{
    nilai_index_prefetch(table->index, hash);
}

bool nilai_table_prefetch_record(const struct nilai_table *table, uint64_t hash, uint32_t *number)
{
    struct nilai_index_cursor cursor;

    nilai_index_seek_own(table->index, hash, &cursor);
    if (!nilai_index_next(&cursor, number))
        return false;
    nilai_table_prefetch_number(table, *number);
    return true;
}

void nilai_table_prefetch_number(const struct nilai_table *table, uint32_t number)
{
    nilai_prefetch(record_at(table, number), sizeof(struct record));
}

void nilai_table_prefetch_service(const struct nilai_table *table, uint32_t number)
{
    uint32_t service = head_service(record_at(table, number)->head);
    if (service != 0)
        nilai_prefetch(service_at(table, service), service_bytes(service));
}

bool nilai_table_is(const struct nilai_table *table, uint32_t number, struct nilai_text id)
{
    return nilai_table_is_live(table, number)
           && same_text(id_of(table, record_at(table, number)), id);
}

enum nilai_status nilai_table_find(const struct nilai_table *table, uint64_t hash,
                                   struct nilai_text id, uint32_t *number)
{
    struct nilai_index_cursor cursor;

    nilai_index_seek_own(table->index, hash, &cursor);
    while (nilai_index_next(&cursor, number)) {
        if (same_text(id_of(table, record_at(table, *number)), id))
            return NILAI_OK;
    }
    return NILAI_MISSING;
}

const struct nilai_customer *nilai_table_customer(const struct nilai_table *table, uint32_t number)
{
    return &live_record(table, number)->customer;
}

bool nilai_table_service(const struct nilai_table *table, uint32_t number,
                         struct nilai_service *service)
{
    uint32_t own = head_service(live_record(table, number)->head);
    if (own == 0)
        return false;
    if ((own & HEAD_WIDE) != 0)
        load_words(service, service_at(table, own), sizeof *service);
    else
        nilai_narrow_unpack(service, service_at(table, own));
    return true;
}

struct nilai_text nilai_table_id(const struct nilai_table *table, uint32_t number)
{
    return id_of(table, live_record(table, number));
}

uint32_t nilai_table_numbers(const struct nilai_table *table)
{
    return table->records.numbers;
}

bool nilai_table_is_live(const struct nilai_table *table, uint32_t number)
{
    return number < table->records.numbers && head_kind(record_at(table, number)->head) != 0;
}

/* ---- writing ---- */

/* Writes the id where readers cannot tell it from another yet: under the sequence. */
static void write_id(struct nilai_table *table, struct record *record, struct nilai_text id,
                     uint32_t long_number, uint32_t service)
{
    char text[ID_MAX] = {0};
    memcpy(text, id.data, id.size);

    if (id.size > ID_INLINE) {
        store_words(nilai_slab_at(&table->long_ids, long_number), text, sizeof text);
        struct long_reference reference = {long_number, id.size};
        memset(text, 0, ID_INLINE);
        memcpy(text, &reference, sizeof reference);
    }
    store_words(&record->id, text, ID_INLINE);
    write_head(record, head_make(id.size > ID_INLINE ? ID_LONG : id.size, service));
}

/* Under the sequence of the record it was part of. */
static void give_service(struct nilai_table *table, uint32_t service)
{
    store_zeros(service_at(table, service), service_bytes(service));
    nilai_slab_give((service & HEAD_WIDE) != 0 ? &table->wides : &table->narrows,
                    (service & NUMBER_MASK) - 1);
}

static void write_new(struct nilai_table *table, uint32_t number, struct nilai_text id,
                      uint32_t long_number)
{
    struct record *record = record_at(table, number);
    struct nilai_customer customer;

    memset(&customer, 0, sizeof customer);
    nilai_customer_init(&customer, nilai_hash(id.data, id.size));
    write_begin(record);
    write_id(table, record, id, long_number, 0);
    store_words(&record->customer, &customer, sizeof customer);
    write_end(record);
}

static void assert_missing(const struct nilai_table *table, uint64_t hash, struct nilai_text id)
{
    uint32_t number;
    NILAI_ASSERT(nilai_table_find(table, hash, id, &number) == NILAI_MISSING);
}

enum nilai_status nilai_table_insert(struct nilai_table *table, uint64_t hash, struct nilai_text id,
                                     uint32_t *number)
{
    uint32_t long_number = 0;
    enum nilai_status status;

    NILAI_ASSERT(id.size >= 1 && id.size <= ID_MAX);
    assert_missing(table, hash, id);

    /* First all that can fail. */
    status = nilai_index_make_room(table->index, hash);
    if (status == NILAI_OK && id.size > ID_INLINE)
        status = nilai_slab_take(&table->long_ids, &long_number);
    if (status != NILAI_OK)
        return status;
    status = nilai_slab_take(&table->records, number);
    if (status != NILAI_OK) {
        if (id.size > ID_INLINE)
            nilai_slab_give(&table->long_ids, long_number);
        return status;
    }
    write_new(table, *number, id, long_number);
    nilai_index_insert(table->index, hash, *number);
    return NILAI_OK;
}

static enum nilai_status add_narrow(struct nilai_table *table, struct record *record)
{
    struct nilai_service fresh;
    struct nilai_narrow narrow;
    uint32_t number;

    enum nilai_status status = nilai_slab_take(&table->narrows, &number);
    if (status != NILAI_OK)
        return status;
    nilai_service_init(&fresh);
    bool fits = nilai_narrow_pack(&narrow, &fresh);
    NILAI_ASSERT(fits);
    write_begin(record);
    store_words(nilai_slab_at(&table->narrows, number), &narrow, sizeof narrow);
    write_head(record, head_make(head_kind(record->head), service_make(false, number)));
    write_end(record);
    return NILAI_OK;
}

enum nilai_status nilai_table_add_service(struct nilai_table *table, uint32_t number)
{
    struct record *record = live_record(table, number);
    uint32_t service = head_service(record->head);

    if ((service & HEAD_WIDE) != 0)
        return NILAI_OK;
    enum nilai_status status = nilai_slab_reserve(&table->wides);
    if (status != NILAI_OK || service != 0)
        return status;
    return add_narrow(table, record);
}

/* Under the record's sequence; it has one. */
static void store_service(struct nilai_table *table, struct record *record,
                          const struct nilai_service *service)
{
    uint32_t own = head_service(record->head), number;
    struct nilai_narrow narrow;

    NILAI_ASSERT(own != 0);
    if ((own & HEAD_WIDE) != 0) {
        store_words(service_at(table, own), service, sizeof *service);
    } else if (nilai_narrow_pack(&narrow, service)) {
        store_words(service_at(table, own), &narrow, sizeof narrow);
    } else {
        enum nilai_status status = nilai_slab_take(&table->wides, &number);
        NILAI_ASSERT(status == NILAI_OK); /* add_service has seen to it */
        store_words(nilai_slab_at(&table->wides, number), service, sizeof *service);
        write_head(record, head_make(head_kind(record->head), service_make(true, number)));
        give_service(table, own);
    }
}

void nilai_table_store(struct nilai_table *table, uint32_t number,
                       const struct nilai_customer *customer, const struct nilai_service *service)
{
    struct record *record = live_record(table, number);

    write_begin(record);
    store_words(&record->customer, customer, sizeof *customer);
    if (service != NULL)
        store_service(table, record, service);
    write_end(record);
}

void nilai_table_erase(struct nilai_table *table, uint32_t number)
{
    struct record *record = live_record(table, number);
    struct nilai_text id = id_of(table, record);
    uint32_t head = record->head, long_number = record->id.reference.number;

    nilai_index_erase(table->index, nilai_table_hash(table, id), number);
    write_begin(record);
    if (head_kind(head) == ID_LONG)
        store_zeros(nilai_slab_at(&table->long_ids, long_number), sizeof(struct long_id));
    store_zeros(&record->id, sizeof record->id);
    store_zeros(&record->customer, sizeof record->customer);
    write_head(record, 0);
    if (head_service(head) != 0)
        give_service(table, head_service(head));
    write_end(record);

    if (head_kind(head) == ID_LONG)
        nilai_slab_give(&table->long_ids, long_number);
    nilai_slab_give(&table->records, number);
}

/* ---- restoring ---- */

/* What a saved customer takes besides its record. */
struct parts {
    bool has_long;
    uint32_t long_number;
    uint32_t service;           /* place; 0: none */
    struct nilai_narrow narrow; /* what is written there, if it is a narrow one */
};

static void give_parts(struct nilai_table *table, const struct parts *parts)
{
    if (parts->has_long)
        nilai_slab_give(&table->long_ids, parts->long_number);
    if (parts->service != 0)
        give_service(table, parts->service);
}

static enum nilai_status take_service(struct nilai_table *table,
                                      const struct nilai_service *service, struct parts *parts)
{
    bool wide = !nilai_narrow_pack(&parts->narrow, service);
    uint32_t number;
    enum nilai_status status = nilai_slab_take(wide ? &table->wides : &table->narrows, &number);
    if (status == NILAI_OK)
        parts->service = service_make(wide, number);
    return status;
}

static enum nilai_status take_parts(struct nilai_table *table, bool needs_long,
                                    const struct nilai_service *service, struct parts *parts)
{
    enum nilai_status status = NILAI_OK;
    *parts = (struct parts){0};
    if (needs_long) {
        status = nilai_slab_take(&table->long_ids, &parts->long_number);
        parts->has_long = status == NILAI_OK;
    }
    if (status == NILAI_OK && service != NULL)
        status = take_service(table, service, parts);
    return status;
}

static void write_saved(struct nilai_table *table, uint32_t number, struct nilai_text id,
                        const struct parts *parts, const struct nilai_customer *customer,
                        const struct nilai_service *service)
{
    struct record *record = record_at(table, number);
    bool wide = (parts->service & HEAD_WIDE) != 0;

    write_begin(record);
    write_id(table, record, id, parts->long_number, parts->service);
    store_words(&record->customer, customer, sizeof *customer);
    if (parts->service != 0)
        store_words(service_at(table, parts->service),
                    wide ? (const void *)service : (const void *)&parts->narrow,
                    service_bytes(parts->service));
    write_end(record);
}

enum nilai_status nilai_table_restore(struct nilai_table *table, uint32_t number, uint64_t hash,
                                      struct nilai_text id, const struct nilai_customer *customer,
                                      const struct nilai_service *service)
{
    struct parts parts;

    NILAI_ASSERT(id.size >= 1 && id.size <= ID_MAX && !nilai_table_is_live(table, number));
    assert_missing(table, hash, id);

    /* First all that can fail. */
    enum nilai_status status = nilai_index_make_room(table->index, hash);
    if (status != NILAI_OK)
        return status;
    status = take_parts(table, id.size > ID_INLINE, service, &parts);
    if (status == NILAI_OK)
        status = nilai_slab_take_at(&table->records, number);
    if (status != NILAI_OK) {
        give_parts(table, &parts);
        return status;
    }
    write_saved(table, number, id, &parts, customer, service);
    nilai_index_insert(table->index, hash, number);
    return NILAI_OK;
}

uint32_t nilai_table_numbers_max(const struct nilai_table *table)
{
    return table->records.chunks_max << CHUNK_LOG2;
}

static bool is_held(void *context, uint32_t number)
{
    return nilai_table_is_live(context, number);
}

void nilai_table_restored(struct nilai_table *table)
{
    nilai_slab_relink(&table->records, is_held, table);
}

void nilai_table_stats(const struct nilai_table *table, struct nilai_table_stats *stats)
{
    *stats = (struct nilai_table_stats){
        .customers = table->records.live,
        .services = table->narrows.live + table->wides.live,
        .memory_bytes = table->memory.used_bytes,
    };
}

/* ---- reading from any thread ---- */

/* A reader's copy of the front of a record. */
struct front {
    uint32_t sequence, head;
    union {
        char text[ID_INLINE];
        struct long_reference reference;
    } id;
};

static bool still(const struct record *record, uint32_t sequence)
{
    return __atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE) == sequence;
}

/* A torn reference may say any size; still() tells afterwards that it was torn. */
static bool copy_is_of(const struct nilai_table *table, const struct front *front,
                       struct nilai_text id)
{
    uint32_t kind = head_kind(front->head);
    struct long_id copy;

    if (kind != ID_LONG)
        return same_text((struct nilai_text){front->id.text, kind}, id);
    if (front->id.reference.size != id.size)
        return false;
    load_words(&copy, nilai_slab_at(&table->long_ids, front->id.reference.number), sizeof copy);
    return same_text((struct nilai_text){copy.text, id.size}, id);
}

static void copy_rest(const struct nilai_table *table, const struct record *record,
                      const struct front *front, struct nilai_customer *customer,
                      struct nilai_service *service, bool *has_service)
{
    uint32_t own = head_service(front->head);
    struct nilai_narrow narrow;

    load_words(customer, &record->customer, sizeof *customer);
    *has_service = own != 0;
    if (own == 0)
        return;
    if ((own & HEAD_WIDE) != 0) {
        load_words(service, service_at(table, own), sizeof *service);
    } else {
        load_words(&narrow, service_at(table, own), sizeof narrow);
        nilai_narrow_unpack(service, &narrow); /* perhaps torn: still() tells */
    }
}

/* NILAI_OK: copied. NILAI_MISSING: somebody else's record, or nobody's. NILAI_BUSY: the
 * writer came in between. */
static enum nilai_status read_record(const struct nilai_table *table, const struct record *record,
                                     struct nilai_text id, struct nilai_customer *customer,
                                     struct nilai_service *service, bool *has_service)
{
    struct front front;
    enum nilai_status status = NILAI_MISSING;

    front.sequence = __atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE);
    if (front.sequence % 2 == 1)
        return NILAI_BUSY;
    front.head = __atomic_load_n(&record->head, __ATOMIC_ACQUIRE);
    load_words(&front.id, &record->id, sizeof front.id);
    /* Only a front that was not torn names a long id that is there. */
    if (!still(record, front.sequence))
        return NILAI_BUSY;
    if (copy_is_of(table, &front, id)) {
        copy_rest(table, record, &front, customer, service, has_service);
        status = NILAI_OK;
    }
    return still(record, front.sequence) ? status : NILAI_BUSY;
}

/* The same for all candidates of the id. */
static enum nilai_status read_once(const struct nilai_table *table, uint64_t hash,
                                   struct nilai_text id, struct nilai_customer *customer,
                                   struct nilai_service *service, bool *has_service)
{
    struct nilai_index_cursor cursor;
    uint32_t number;

    nilai_index_seek(table->index, hash, &cursor);
    while (nilai_index_next(&cursor, &number)) {
        enum nilai_status status =
            read_record(table, record_at(table, number), id, customer, service, has_service);
        if (status != NILAI_MISSING)
            return status;
    }
    return nilai_index_settled(&cursor) ? NILAI_MISSING : NILAI_BUSY;
}

static void pause_briefly(void)
{
    for (int i = 0; i < READ_SPINS; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
    }
}

enum nilai_status nilai_table_read(const struct nilai_table *table, struct nilai_text id,
                                   struct nilai_customer *customer, struct nilai_service *service,
                                   bool *has_service)
{
    uint64_t hash = nilai_table_hash(table, id);

    if (id.size == 0 || id.size > ID_MAX)
        return NILAI_MISSING;
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        enum nilai_status status = read_once(table, hash, id, customer, service, has_service);
        if (status != NILAI_BUSY)
            return status;
        pause_briefly();
    }
    return NILAI_BUSY;
}

/* ---- what is always true ---- */

static void validate_service(const struct nilai_table *table, uint32_t service)
{
    const struct nilai_slab *slab = (service & HEAD_WIDE) != 0 ? &table->wides : &table->narrows;

    NILAI_ASSERT((service == 0 || (service & NUMBER_MASK) > 0)
                 && (service & NUMBER_MASK) <= slab->numbers);
    if (service != 0 && slab == &table->narrows) {
        const struct nilai_narrow *narrow = service_at(table, service);
        NILAI_ASSERT(__builtin_popcount(narrow->codes) <= NILAI_NARROW_SIGNALS
                     && narrow->ticket_count <= 1);
    }
}

static void validate_live(const struct nilai_table *table, uint32_t number)
{
    const struct record *record = record_at(table, number);
    struct nilai_text id = id_of(table, record);
    uint32_t found;

    NILAI_ASSERT(record->sequence % 2 == 0 && head_kind(record->head) <= ID_LONG);
    NILAI_ASSERT(id.size >= 1 && id.size <= ID_MAX);
    NILAI_ASSERT((id.size > ID_INLINE) == (head_kind(record->head) == ID_LONG));
    validate_service(table, head_service(record->head));
    enum nilai_status status = nilai_table_find(table, nilai_table_hash(table, id), id, &found);
    NILAI_ASSERT(status == NILAI_OK && found == number);
}

static void validate_free(const struct record *record)
{
    static const struct nilai_customer zeros;

    NILAI_ASSERT(record->sequence % 2 == 0 && record->head == 0);
    /* Behind the slab's link. */
    for (size_t i = sizeof record->id.free_link; i < sizeof record->id.text; i++)
        NILAI_ASSERT(record->id.text[i] == 0);
    NILAI_ASSERT(memcmp(&record->customer, &zeros, sizeof zeros) == 0);
}

void nilai_table_validate(const struct nilai_table *table)
{
    uint32_t live = 0, narrows = 0, wides = 0, long_ids = 0;

    for (uint32_t number = 0; number < table->records.numbers; number++) {
        const struct record *record = record_at(table, number);
        if (head_kind(record->head) == 0) {
            validate_free(record);
            continue;
        }
        validate_live(table, number);
        live++;
        wides += (record->head & HEAD_WIDE) != 0;
        narrows += head_service(record->head) != 0 && (record->head & HEAD_WIDE) == 0;
        long_ids += head_kind(record->head) == ID_LONG;
    }
    NILAI_ASSERT(live == table->records.live && live == nilai_index_count(table->index));
    NILAI_ASSERT(narrows == table->narrows.live && wides == table->wides.live
                 && long_ids == table->long_ids.live);
    nilai_slab_validate(&table->records);
    nilai_slab_validate(&table->narrows);
    nilai_slab_validate(&table->wides);
    nilai_slab_validate(&table->long_ids);
    nilai_index_validate(table->index);
}
