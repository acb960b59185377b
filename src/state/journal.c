/*
 * A record of the journal; numbers are little-endian, `var` has variable length, `int` is a
 * folded var (wire.h):
 *
 *      0  "NLJ"     3 bytes
 *      3  format    1 byte: 1
 *      4  kind      1 byte: 1 part, 2 customers, 3 erasures
 *      5  0         3 bytes
 *      8  inputs    8 bytes
 *     16  writer    8 bytes
 *     24  body      by kind
 *     -8  checksum  8 bytes: XXH3-64 of all before
 *
 * A part's body:
 *
 *      parent 8 | settings 8 | first var | index var | topics var
 *      before: offset int for each topic, clock int, wall int
 *      items: each a byte for its kind, and
 *        1 turn     for each topic: how far the offset moved, var
 *                   clock and wall: how far they moved, int
 *                   number of events that were ignored, var;
 *                   for each: its place in the turn less the place before + 1, var
 *        2 mark     customer (length 1, bytes), seq var,
 *                   standing 2: band | segment << 2 | tier << 5 | unprofitable << 8
 *        3 erased   customer (length 1, bytes)
 *        4 close    floor var, base: as `before`; nothing follows
 *        5 more     nothing follows
 *
 * Bodies of images are drawn in image.c.
 */
#include "nilai/state/journal.h"

#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/hash.h"

enum {
    HEAD_SIZE = 24,
    SUM_SIZE = 8,
    TAG_TURN = 1,
    TAG_MARK = 2,
    TAG_ERASED = 3,
    TAG_CLOSE = 4,
    TAG_MORE = 5,
    FULL_SIZE_MAX = NILAI_JOURNAL_PART_SIZE + NILAI_JOURNAL_PART_SIZE / 4,
};

/* Far beyond what will ever be, and far from where numbers of turns would begin again. */
#define TURN_MAX (UINT64_C(1) << 62)

static const unsigned char magic[3] = {'N', 'L', 'J'};

/* ---- the frame ---- */

void nilai_journal_begin(struct nilai_buffer *buffer, const struct nilai_journal_head *head)
{
    static const unsigned char zeros[3];
    nilai_buffer_clear(buffer);
    nilai_buffer_append(buffer, magic, sizeof magic);
    nilai_wire_put_8(buffer, NILAI_JOURNAL_FORMAT);
    nilai_wire_put_8(buffer, (uint8_t)head->kind);
    nilai_buffer_append(buffer, zeros, sizeof zeros);
    nilai_wire_put_64(buffer, head->inputs);
    nilai_wire_put_64(buffer, head->writer);
}

void nilai_journal_end(struct nilai_buffer *buffer)
{
    nilai_wire_put_64(buffer, nilai_hash(buffer->data, buffer->size));
}

static bool is_known_kind(uint8_t kind)
{
    return kind >= NILAI_JOURNAL_PART && kind <= NILAI_JOURNAL_ERASURES;
}

enum nilai_status nilai_journal_open(const void *data, size_t size, struct nilai_journal_head *head,
                                     struct nilai_wire *body, struct nilai_error *error)
{
    const unsigned char *bytes = data;
    if (data == NULL || size < HEAD_SIZE + SUM_SIZE || memcmp(bytes, magic, sizeof magic) != 0)
        return nilai_error_set(error, NILAI_INVALID, "not a record of a journal");
    if (bytes[3] > NILAI_JOURNAL_FORMAT)
        return nilai_error_set(error, NILAI_CONFIG,
                               "format %u was written by a newer version of this program; this "
                               "one knows %d",
                               bytes[3], NILAI_JOURNAL_FORMAT);
    struct nilai_wire sum = nilai_wire_of(bytes + size - SUM_SIZE, SUM_SIZE);
    if (nilai_wire_take_64(&sum) != nilai_hash(data, size - SUM_SIZE))
        return nilai_error_set(error, NILAI_INVALID, "the checksum does not fit: it is damaged");
    if (bytes[3] != NILAI_JOURNAL_FORMAT || !is_known_kind(bytes[4]) || bytes[5] != 0
        || bytes[6] != 0 || bytes[7] != 0)
        return nilai_error_set(error, NILAI_INVALID, "a record of an unknown kind");

    *body = nilai_wire_of(bytes + 8, size - 8 - SUM_SIZE);
    head->kind = (enum nilai_journal_kind)bytes[4];
    head->inputs = nilai_wire_take_64(body);
    head->writer = nilai_wire_take_64(body);
    return NILAI_OK;
}

/* ---- points ---- */

static void put_point(struct nilai_buffer *buffer, const struct nilai_point *point,
                      uint32_t topic_count)
{
    for (uint32_t topic = 0; topic < topic_count; topic++)
        nilai_wire_put_signed(buffer, point->offsets[topic]);
    nilai_wire_put_signed(buffer, point->clock_ms);
    nilai_wire_put_signed(buffer, point->wall_ms);
}

static bool is_time(int64_t ms)
{
    return ms >= -1 && ms <= NILAI_TIME_MAX_MS;
}

static bool is_point(const struct nilai_point *point, uint32_t topic_count)
{
    for (uint32_t topic = 0; topic < topic_count; topic++) {
        if (point->offsets[topic] < -1)
            return false;
    }
    return is_time(point->clock_ms) && is_time(point->wall_ms);
}

static bool take_point(struct nilai_wire *body, struct nilai_point *point, uint32_t topic_count)
{
    *point = (struct nilai_point){0};
    for (uint32_t topic = 0; topic < topic_count; topic++)
        point->offsets[topic] = nilai_wire_take_signed(body);
    point->clock_ms = nilai_wire_take_signed(body);
    point->wall_ms = nilai_wire_take_signed(body);
    return !body->failed && is_point(point, topic_count);
}

/* ---- writing parts ---- */

void nilai_part_writer_init(struct nilai_part_writer *writer, const struct nilai_journal_head *head,
                            const struct nilai_part_head *part)
{
    NILAI_ASSERT(part->topic_count <= NILAI_JOURNAL_TOPICS_MAX && part->first > 1);
    *writer = (struct nilai_part_writer){
        .head = *head, .part = *part, .reached = part->before, .turn = part->first - 1};
    nilai_buffer_init(&writer->buffer, NILAI_JOURNAL_SIZE_MAX);
}

void nilai_part_writer_fini(struct nilai_part_writer *writer)
{
    nilai_buffer_fini(&writer->buffer);
}

bool nilai_part_is_full(const struct nilai_part_writer *writer)
{
    return writer->open && writer->buffer.size >= NILAI_JOURNAL_PART_SIZE;
}

/* A part that is full has room for what cannot wait: the end of the turn whose marks filled it, and
 * of a quiet one before it. */
static void need_part(struct nilai_part_writer *writer)
{
    const struct nilai_part_head *part = &writer->part;
    NILAI_ASSERT(writer->buffer.size < FULL_SIZE_MAX);
    if (writer->open)
        return;
    writer->open = true;
    nilai_journal_begin(&writer->buffer, &writer->head);
    nilai_wire_put_64(&writer->buffer, part->parent);
    nilai_wire_put_64(&writer->buffer, part->settings);
    nilai_wire_put_unsigned(&writer->buffer, part->first);
    nilai_wire_put_unsigned(&writer->buffer, part->index);
    nilai_wire_put_unsigned(&writer->buffer, part->topic_count);
    put_point(&writer->buffer, &part->before, part->topic_count);
}

static uint16_t pack_standing(const struct nilai_standing *standing)
{
    return (uint16_t)(standing->band | standing->segment << 2 | standing->tier << 5
                      | standing->unprofitable << 8);
}

void nilai_part_add_mark(struct nilai_part_writer *writer, const struct nilai_effect *effect)
{
    struct nilai_text customer = {effect->customer, effect->customer_size};
    need_part(writer);
    writer->marks++;
    nilai_wire_put_8(&writer->buffer, effect->erased ? TAG_ERASED : TAG_MARK);
    nilai_wire_put_text(&writer->buffer, customer);
    if (effect->erased)
        return;
    uint16_t standing = pack_standing(&effect->change.to);
    nilai_wire_put_unsigned(&writer->buffer, effect->change.seq);
    nilai_wire_put_8(&writer->buffer, (uint8_t)standing);
    nilai_wire_put_8(&writer->buffer, (uint8_t)(standing >> 8));
}

static uint32_t count_still(const uint64_t *still)
{
    uint32_t count = 0;
    for (int word = 0; word < NILAI_TURN_EVENTS_MAX / 64; word++)
        count += (uint32_t)__builtin_popcountll(still[word]);
    return count;
}

static void put_still(struct nilai_buffer *buffer, const uint64_t *still)
{
    uint32_t next = 0;
    nilai_wire_put_unsigned(buffer, count_still(still));
    for (int word = 0; word < NILAI_TURN_EVENTS_MAX / 64; word++) {
        for (uint64_t bits = still[word]; bits != 0; bits &= bits - 1) {
            uint32_t place = (uint32_t)(64 * word + __builtin_ctzll(bits));
            nilai_wire_put_unsigned(buffer, place - next);
            next = place + 1;
        }
    }
}

void nilai_part_add_turn(struct nilai_part_writer *writer, const struct nilai_point *point,
                         const uint64_t *still)
{
    need_part(writer);
    nilai_wire_put_8(&writer->buffer, TAG_TURN);
    for (uint32_t topic = 0; topic < writer->part.topic_count; topic++) {
        NILAI_ASSERT(point->offsets[topic] >= writer->reached.offsets[topic]);
        nilai_wire_put_unsigned(&writer->buffer,
                                (uint64_t)(point->offsets[topic] - writer->reached.offsets[topic]));
    }
    NILAI_ASSERT(is_time(point->clock_ms) && point->clock_ms >= writer->reached.clock_ms);
    NILAI_ASSERT(is_time(point->wall_ms));
    nilai_wire_put_signed(&writer->buffer, point->clock_ms - writer->reached.clock_ms);
    nilai_wire_put_signed(&writer->buffer, point->wall_ms - writer->reached.wall_ms);
    put_still(&writer->buffer, still);
    writer->reached = *point;
    writer->turn++;
    writer->marks = 0;
}

static void end_part(struct nilai_part_writer *writer)
{
    nilai_journal_end(&writer->buffer);
    NILAI_ASSERT(writer->buffer.status != NILAI_FULL); /* a part ends long before */
}

void nilai_part_send(struct nilai_part_writer *writer)
{
    NILAI_ASSERT(writer->open);
    nilai_wire_put_8(&writer->buffer, TAG_MORE);
    end_part(writer);
    writer->part.index++;
}

void nilai_part_close(struct nilai_part_writer *writer, uint64_t floor,
                      const struct nilai_point *base)
{
    need_part(writer);
    nilai_wire_put_8(&writer->buffer, TAG_CLOSE);
    nilai_wire_put_unsigned(&writer->buffer, floor);
    put_point(&writer->buffer, base, writer->part.topic_count);
    end_part(writer);
    writer->part.index = 0;
}

void nilai_part_sent(struct nilai_part_writer *writer)
{
    NILAI_ASSERT(writer->open);
    writer->open = false;
    writer->part.first = writer->turn + 1;
    writer->part.before = writer->reached;
}

/* ---- reading parts ---- */

enum nilai_status nilai_part_open(struct nilai_part_reader *reader, struct nilai_wire body)
{
    struct nilai_part_head *head = &reader->head;
    reader->body = body;
    head->parent = nilai_wire_take_64(&reader->body);
    head->settings = nilai_wire_take_64(&reader->body);
    head->first = nilai_wire_take_unsigned(&reader->body);
    uint64_t index = nilai_wire_take_unsigned(&reader->body);
    uint64_t topic_count = nilai_wire_take_unsigned(&reader->body);
    if (reader->body.failed || head->first < 2 || head->first > TURN_MAX || index > UINT32_MAX
        || topic_count == 0 || topic_count > NILAI_JOURNAL_TOPICS_MAX)
        return NILAI_INVALID;
    head->index = (uint32_t)index;
    head->topic_count = (uint32_t)topic_count;
    if (!take_point(&reader->body, &head->before, head->topic_count))
        return NILAI_INVALID;
    reader->point = head->before;
    return NILAI_OK;
}

static bool take_still(struct nilai_wire *body, uint64_t *still)
{
    uint64_t count = nilai_wire_take_unsigned(body), next = 0;
    for (; count > 0 && !body->failed; count--) {
        uint64_t step = nilai_wire_take_unsigned(body);
        if (step >= NILAI_TURN_EVENTS_MAX || next + step >= NILAI_TURN_EVENTS_MAX)
            return false;
        uint64_t place = next + step;
        still[place / 64] |= UINT64_C(1) << place % 64;
        next = place + 1;
    }
    return !body->failed;
}

static bool take_turn(struct nilai_part_reader *reader, struct nilai_part_item *item)
{
    struct nilai_point *point = &reader->point;
    for (uint32_t topic = 0; topic < reader->head.topic_count; topic++) {
        uint64_t moved = nilai_wire_take_unsigned(&reader->body);
        if (moved > (uint64_t)INT64_MAX
            || __builtin_add_overflow(point->offsets[topic], (int64_t)moved,
                                      &point->offsets[topic]))
            return false;
    }
    int64_t clock = nilai_wire_take_signed(&reader->body);
    int64_t wall = nilai_wire_take_signed(&reader->body);
    if (clock < 0 || __builtin_add_overflow(point->clock_ms, clock, &point->clock_ms)
        || __builtin_add_overflow(point->wall_ms, wall, &point->wall_ms)
        || !is_time(point->clock_ms) || !is_time(point->wall_ms))
        return false;
    item->point = *point;
    return take_still(&reader->body, item->still);
}

static bool take_mark(struct nilai_wire *body, struct nilai_part_item *item)
{
    item->customer = nilai_wire_take_text(body);
    uint64_t seq = nilai_wire_take_unsigned(body);
    uint32_t standing = nilai_wire_take_8(body);
    standing |= (uint32_t)nilai_wire_take_8(body) << 8;
    item->seq = (uint32_t)seq;
    item->standing = (struct nilai_standing){.band = standing & 3,
                                             .segment = standing >> 2 & 7,
                                             .tier = standing >> 5 & 7,
                                             .unprofitable = standing >> 8 & 1};
    return !body->failed && seq > 0 && seq <= UINT32_MAX && standing >> 9 == 0
           && item->standing.band < NILAI_BANDS && item->standing.segment < NILAI_SEGMENTS
           && item->standing.tier < NILAI_TIERS && item->standing.band != NILAI_BAND_NONE
           && item->standing.segment != NILAI_SEGMENT_NONE
           && item->standing.tier != NILAI_TIER_NONE;
}

static bool is_id(struct nilai_text customer)
{
    return customer.size >= 1 && customer.size <= NILAI_TEXT_MAX;
}

enum nilai_status nilai_part_next(struct nilai_part_reader *reader, struct nilai_part_item *item)
{
    struct nilai_wire *body = &reader->body;
    bool good = false;
    *item = (struct nilai_part_item){0};
    switch (nilai_wire_take_8(body)) {
    case TAG_TURN:
        item->kind = NILAI_ITEM_TURN;
        good = take_turn(reader, item);
        break;
    case TAG_MARK:
        item->kind = NILAI_ITEM_MARK;
        good = take_mark(body, item) && is_id(item->customer);
        break;
    case TAG_ERASED:
        item->kind = NILAI_ITEM_ERASED;
        item->customer = nilai_wire_take_text(body);
        good = !body->failed && is_id(item->customer);
        break;
    case TAG_CLOSE:
        item->kind = NILAI_ITEM_CLOSE;
        item->floor = nilai_wire_take_unsigned(body);
        good = take_point(body, &item->base, reader->head.topic_count) && nilai_wire_is_done(body);
        break;
    case TAG_MORE:
        item->kind = NILAI_ITEM_MORE;
        good = nilai_wire_is_done(body);
        break;
    default: break;
    }
    return good ? NILAI_OK : NILAI_INVALID;
}
