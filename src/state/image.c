/*
 * Bodies of image records (the frame is drawn in journal.c, the kinds of numbers in wire.h):
 *
 *   customers  layout var | chunk var | turn var | count var
 *              for each customer, numbers ascending:
 *                number within the chunk 1 | flags 1: 1 has a service record
 *                id: length 1, bytes
 *                struct nilai_customer as 36 words, then struct nilai_service as 30, if there is
 *                one
 *   erasures   bucket var | turn var | more 1: 1 if the next record goes on with the bucket
 *              count var
 *              for each: hash low 8, high 8 | ts int | clock at the erasure int
 *
 * Two fifths of what lies in memory are left without the zeros of words. A real compressor leaves a
 * third, and takes five times as long: it was most of what exactly-once costs.
 *
 * Layout 2 of the records, little-endian; bytes that are not named are padding:
 *
 *   customer 288   0 last_event_ms | 8 current_ms | 16 wake_s | 24 amounts | 32 refunds | 40 costs
 *                  48 rhythm: +0 seen_days | +8 first_day 4 | +12 last_day 4 | +16 repeat_days 4
 *                     +20 bought 1
 *                  72 ring: +0 nets 13 x 8 | +104 purchase_days 13 x 2 | +130 phase 2
 *                     +132 newest 4
 *                  208 recent_ids 8 x 8 | 272 seq 4 | 276 recent_next 1 | 277 recent_count 1
 *                  278 standing: band 1, segment 1, tier 1, unprofitable 1
 *   service 240    0 signals, 14 x 8 (binary64) | 112 signals_ms | 120 tickets, 4 x 24: +0 id_hash
 *                     +8 since_ms | +16 kind 1 | +17 open 1 | +18 counted 1
 *                  216 answers_sum | 224 drift | 232 answers 4 | 236 ticket_count 4
 */
#include "nilai/state/image.h"

#include <assert.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/hash.h"
#include "nilai/customer/sound.h"

enum {
    FLAG_SERVICE = 1,
    CUSTOMER_WORDS = sizeof(struct nilai_customer) / 8,
    SERVICE_WORDS = sizeof(struct nilai_service) / 8,
    RECORD_MAX = 2 + 1 + NILAI_TEXT_MAX + (CUSTOMER_WORDS + SERVICE_WORDS) / 2
                 + sizeof(struct nilai_customer) + sizeof(struct nilai_service),
    ERASURES_MAX = NILAI_IMAGE_ERASURES,
};

/* Another layout needs another number, and a reader that knows what to do about this one. */
static_assert(NILAI_IMAGE_LAYOUT == 2 && sizeof(struct nilai_customer) == 288
                  && sizeof(struct nilai_service) == 240,
              "drawn above");
static_assert(offsetof(struct nilai_customer, rhythm) == 48
                  && offsetof(struct nilai_rhythm, bought) == 20
                  && offsetof(struct nilai_customer, ring) == 72
                  && offsetof(struct nilai_ring, purchase_days) == 104
                  && offsetof(struct nilai_ring, newest) == 132
                  && offsetof(struct nilai_customer, recent_ids) == 208
                  && offsetof(struct nilai_customer, standing) == 278
                  && offsetof(struct nilai_service, signals_ms) == 112
                  && offsetof(struct nilai_service, tickets) == 120
                  && sizeof(struct nilai_followed) == 24
                  && offsetof(struct nilai_service, answers_sum) == 216
                  && offsetof(struct nilai_service, ticket_count) == 236,
              "drawn above");
static_assert(ERASURES_MAX * (16 + 2 * NILAI_WIRE_VARIABLE_MAX) + 128 < NILAI_JOURNAL_SIZE_MAX,
              "a piece of a bucket fits into a record");
static_assert(NILAI_CHUNK_CUSTOMERS <= 256, "a number within a chunk is one byte");
static_assert(NILAI_CHUNK_CUSTOMERS * RECORD_MAX + 128 < NILAI_JOURNAL_SIZE_MAX,
              "an image fits into a record");

/* ---- writing ---- */

static void put_customer(const struct nilai_table *table, uint32_t number,
                         struct nilai_buffer *buffer)
{
    struct nilai_service service;
    bool has_service = nilai_table_service(table, number, &service);
    nilai_wire_put_8(buffer, (uint8_t)(number % NILAI_CHUNK_CUSTOMERS));
    nilai_wire_put_8(buffer, has_service ? FLAG_SERVICE : 0);
    nilai_wire_put_text(buffer, nilai_table_id(table, number));
    nilai_wire_put_words(buffer, nilai_table_customer(table, number), CUSTOMER_WORDS);
    if (has_service)
        nilai_wire_put_words(buffer, &service, SERVICE_WORDS);
}

static uint32_t count_live(const struct nilai_table *table, uint32_t chunk)
{
    uint32_t first = chunk * NILAI_CHUNK_CUSTOMERS, count = 0;
    for (uint32_t number = first; number < first + NILAI_CHUNK_CUSTOMERS; number++)
        count += nilai_table_is_live(table, number);
    return count;
}

void nilai_image_write_customers(const struct nilai_partition *partition, uint32_t chunk,
                                 uint64_t turn, uint64_t inputs, uint64_t writer,
                                 struct nilai_buffer *buffer)
{
    const struct nilai_table *table = nilai_partition_table(partition);
    const struct nilai_journal_head head = {NILAI_JOURNAL_CUSTOMERS, inputs, writer};
    uint32_t first = chunk * NILAI_CHUNK_CUSTOMERS;
    nilai_journal_begin(buffer, &head);
    nilai_wire_put_unsigned(buffer, NILAI_IMAGE_LAYOUT);
    nilai_wire_put_unsigned(buffer, chunk);
    nilai_wire_put_unsigned(buffer, turn);
    nilai_wire_put_unsigned(buffer, count_live(table, chunk));
    for (uint32_t number = first; number < first + NILAI_CHUNK_CUSTOMERS; number++)
        if (nilai_table_is_live(table, number))
            put_customer(table, number, buffer);
    nilai_journal_end(buffer);
}

/* One record's share of a bucket. */
struct piece {
    uint64_t skip, count;
    bool more;
    struct nilai_buffer *buffer;
};

static void put_erasure(void *context, struct nilai_hash_wide hash, int64_t ts_ms, int64_t clock_ms)
{
    struct piece *piece = context;
    if (piece->skip > 0) {
        piece->skip--;
        return;
    }
    piece->more = piece->count == ERASURES_MAX;
    if (piece->more)
        return;
    piece->count++;
    nilai_wire_put_64(piece->buffer, hash.low);
    nilai_wire_put_64(piece->buffer, hash.high);
    nilai_wire_put_signed(piece->buffer, ts_ms);
    nilai_wire_put_signed(piece->buffer, clock_ms);
}

bool nilai_image_write_erasures(const struct nilai_partition *partition, uint32_t bucket,
                                uint64_t skip, uint64_t turn, uint64_t inputs, uint64_t writer,
                                struct nilai_buffer *scratch, struct nilai_buffer *buffer)
{
    const struct nilai_journal_head head = {NILAI_JOURNAL_ERASURES, inputs, writer};
    struct piece piece = {.skip = skip, .buffer = scratch};
    nilai_buffer_clear(scratch);
    nilai_erased_visit(nilai_partition_erased(partition), nilai_partition_clock_ms(partition),
                       bucket, put_erasure, &piece);
    nilai_journal_begin(buffer, &head);
    nilai_wire_put_unsigned(buffer, bucket);
    nilai_wire_put_unsigned(buffer, turn);
    nilai_wire_put_8(buffer, piece.more);
    nilai_wire_put_unsigned(buffer, piece.count);
    nilai_buffer_append(buffer, scratch->data, scratch->size);
    nilai_journal_end(buffer);
    if (scratch->status != NILAI_OK)
        buffer->status = scratch->status;
    return piece.more;
}

/* ---- reading ---- */

enum nilai_status nilai_image_open_customers(struct nilai_image *image, struct nilai_wire body)
{
    uint64_t layout = nilai_wire_take_unsigned(&body);
    uint64_t chunk = nilai_wire_take_unsigned(&body);
    image->turn = nilai_wire_take_unsigned(&body);
    image->left = nilai_wire_take_unsigned(&body);
    image->rest = body;
    if (body.failed || chunk > UINT32_MAX / NILAI_CHUNK_CUSTOMERS)
        return NILAI_INVALID;
    if (layout != NILAI_IMAGE_LAYOUT)
        return NILAI_CONFIG;
    image->part = (uint32_t)chunk;
    return image->left <= NILAI_CHUNK_CUSTOMERS ? NILAI_OK : NILAI_INVALID;
}

enum nilai_status nilai_image_next_customer(struct nilai_image *image,
                                            const struct nilai_model *model,
                                            struct nilai_image_customer *customer)
{
    struct nilai_wire *rest = &image->rest;
    if (image->left == 0)
        return nilai_wire_is_done(rest) ? NILAI_MISSING : NILAI_INVALID;
    image->left--;
    customer->number = image->part * NILAI_CHUNK_CUSTOMERS + nilai_wire_take_8(rest);
    uint8_t flags = nilai_wire_take_8(rest);
    customer->id = nilai_wire_take_text(rest);
    customer->has_service = flags == FLAG_SERVICE;
    nilai_wire_take_words(rest, &customer->customer, CUSTOMER_WORDS);
    if (customer->has_service)
        nilai_wire_take_words(rest, &customer->service, SERVICE_WORDS);
    if (rest->failed || flags > FLAG_SERVICE || customer->id.size == 0
        || customer->id.size > NILAI_TEXT_MAX)
        return NILAI_INVALID;
    if (customer->customer.ring.phase
        != nilai_hash(customer->id.data, customer->id.size) % NILAI_PERIOD_DAYS)
        return NILAI_INVALID;
    return nilai_customer_is_sound(model, &customer->customer,
                                   customer->has_service ? &customer->service : NULL)
               ? NILAI_OK
               : NILAI_INVALID;
}

enum nilai_status nilai_image_open_erasures(struct nilai_image *image, struct nilai_wire body)
{
    uint64_t bucket = nilai_wire_take_unsigned(&body);
    image->turn = nilai_wire_take_unsigned(&body);
    uint8_t more = nilai_wire_take_8(&body);
    image->left = nilai_wire_take_unsigned(&body);
    image->more = more != 0;
    image->rest = body;
    if (body.failed || bucket >= NILAI_ERASED_BUCKETS || image->left > ERASURES_MAX || more > 1)
        return NILAI_INVALID;
    image->part = (uint32_t)bucket;
    return NILAI_OK;
}

enum nilai_status nilai_image_next_erasure(struct nilai_image *image,
                                           struct nilai_image_erasure *erasure)
{
    if (image->left == 0)
        return nilai_wire_is_done(&image->rest) ? NILAI_MISSING : NILAI_INVALID;
    image->left--;
    erasure->hash.low = nilai_wire_take_64(&image->rest);
    erasure->hash.high = nilai_wire_take_64(&image->rest);
    erasure->ts_ms = nilai_wire_take_signed(&image->rest);
    erasure->clock_ms = nilai_wire_take_signed(&image->rest);
    bool good = !image->rest.failed && erasure->ts_ms >= 0 && erasure->ts_ms <= NILAI_TIME_MAX_MS
                && erasure->clock_ms >= 0 && erasure->clock_ms <= NILAI_TIME_MAX_MS;
    return good ? NILAI_OK : NILAI_INVALID;
}
