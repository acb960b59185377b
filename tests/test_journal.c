#include "nilai/state/journal.h"

#include "nilai/base/hash.h"
#include "test.h"

enum { PARTS_MAX = 64, ITEMS_MAX = 200000 };

static const struct nilai_journal_head frame = {
    .kind = NILAI_JOURNAL_PART, .inputs = UINT64_C(0x1112131415161718), .writer = 99};

static enum nilai_status open_frame(const void *data, size_t size, struct nilai_wire *body)
{
    struct nilai_journal_head head;
    struct nilai_error error = {0};
    enum nilai_status status = nilai_journal_open(data, size, &head, body, &error);
    CHECK((status == NILAI_OK) == (error.text[0] == '\0'));
    if (status == NILAI_OK)
        CHECK(head.kind == frame.kind && head.inputs == frame.inputs
              && head.writer == frame.writer);
    return status;
}

/* Puts the right sum under bytes that were changed. */
static void seal(unsigned char *bytes, size_t size)
{
    uint64_t sum = nilai_hash(bytes, size - 8);
    for (int i = 0; i < 8; i++)
        bytes[size - 8 + (size_t)i] = (unsigned char)(sum >> 8 * i);
}

static struct nilai_effect random_effect(uint64_t *seed)
{
    struct nilai_effect effect = {.erased = next_random(seed) % 8 == 0};
    effect.customer_size = (uint8_t)(1 + next_random(seed) % (next_random(seed) % 16 == 0 ? NILAI_TEXT_MAX : 20));
    for (int at = 0; at < effect.customer_size; at++)
        effect.customer[at] = (char)next_random(seed);
    effect.change.seq = (uint32_t)(next_random(seed) >> (32 + next_random(seed) % 32)) | 1;
    effect.change.to = (struct nilai_standing){
        .band = (uint8_t)(1 + next_random(seed) % (NILAI_BANDS - 1)),
        .segment = (uint8_t)(1 + next_random(seed) % (NILAI_SEGMENTS - 1)),
        .tier = (uint8_t)(1 + next_random(seed) % (NILAI_TIERS - 1)),
        .unprofitable = next_random(seed) % 2,
    };
    return effect;
}

static struct nilai_point random_step(struct nilai_point point, uint32_t topics, uint64_t *seed)
{
    for (uint32_t topic = 0; topic < topics; topic++)
        point.offsets[topic] += (int64_t)(next_random(seed) % 600);
    point.clock_ms += (int64_t)(next_random(seed) % 5000);
    point.wall_ms += (int64_t)(next_random(seed) % 5000) - (point.wall_ms > 10000 ? 2000 : 0);
    return point;
}

static void random_still(uint64_t still[static NILAI_TURN_EVENTS_MAX / 64], uint64_t *seed)
{
    memset(still, 0, NILAI_TURN_EVENTS_MAX / 8);
    if (next_random(seed) % 4 != 0)
        return;
    for (uint64_t left = next_random(seed) % 40; left > 0; left--) {
        uint64_t place = next_random(seed) % NILAI_TURN_EVENTS_MAX;
        still[place / 64] |= UINT64_C(1) << place % 64;
    }
}

/* What was added, in order. */
struct added {
    enum nilai_part_item_kind kind;
    struct nilai_effect effect;
    struct nilai_point point;
    uint64_t still[NILAI_TURN_EVENTS_MAX / 64];
};

struct story {
    struct added *added;
    size_t count, room;
    struct nilai_buffer parts[PARTS_MAX];
    size_t part_count;
    uint32_t topics;
    struct nilai_part_head head;
};

static struct added *tell(struct story *story, enum nilai_part_item_kind kind)
{
    if (story->count == story->room) {
        story->room = story->room > 0 ? 2 * story->room : 1024;
        story->added = realloc(story->added, story->room * sizeof *story->added);
        CHECK(story->added != NULL);
    }
    struct added *added = &story->added[story->count++];
    *added = (struct added){.kind = kind};
    return added;
}

static void keep(struct story *story, struct nilai_part_writer *writer)
{
    CHECK(story->part_count < PARTS_MAX);
    struct nilai_buffer *kept = &story->parts[story->part_count++];
    CHECK_EQ(writer->buffer.status, NILAI_OK);
    CHECK(writer->buffer.size <= NILAI_JOURNAL_SIZE_MAX);
    nilai_buffer_init(kept, NILAI_JOURNAL_SIZE_MAX);
    nilai_buffer_append(kept, writer->buffer.data, writer->buffer.size);
    nilai_part_sent(writer);
}

static void add_turn(struct story *story, struct nilai_part_writer *writer, uint64_t *seed)
{
    for (uint64_t marks = next_random(seed) % 12; marks > 0; marks--) {
        if (nilai_part_is_full(writer)) {
            nilai_part_send(writer);
            keep(story, writer);
        }
        struct nilai_effect effect = random_effect(seed);
        tell(story, effect.erased ? NILAI_ITEM_ERASED : NILAI_ITEM_MARK)->effect = effect;
        nilai_part_add_mark(writer, &effect);
    }
    /* Without a look at whether it is full: the end of a turn always fits, and a quiet one's. */
    for (uint64_t turns = 1 + next_random(seed) % 2; turns > 0; turns--) {
        struct added *turn = tell(story, NILAI_ITEM_TURN);
        turn->point = random_step(writer->reached, story->topics, seed);
        random_still(turn->still, seed);
        nilai_part_add_turn(writer, &turn->point, turn->still);
    }
}

/* Commits of some turns each; `turns` in all, about. */
static void write_story(struct story *story, uint64_t *seed, int turns)
{
    struct nilai_part_writer writer;
    *story = (struct story){.topics = 1 + (uint32_t)(next_random(seed) % NILAI_JOURNAL_TOPICS_MAX)};
    struct nilai_part_head *head = &story->head;
    *head = (struct nilai_part_head){.parent = next_random(seed),
                                     .settings = next_random(seed),
                                     .first = 2 + next_random(seed) % 1000,
                                     .topic_count = story->topics};
    head->before = random_step((struct nilai_point){.offsets = {-1}, .clock_ms = -1},
                               story->topics, seed);
    nilai_part_writer_init(&writer, &frame, head);
    while (turns > 0) {
        for (uint64_t left = next_random(seed) % (uint64_t)turns + 1; left > 0; left--, turns--)
            add_turn(story, &writer, seed);
        tell(story, NILAI_ITEM_CLOSE)->point = head->before;
        nilai_part_close(&writer, writer.turn, &head->before);
        keep(story, &writer);
    }
    nilai_part_writer_fini(&writer);
}

static void drop_story(struct story *story)
{
    for (size_t part = 0; part < story->part_count; part++)
        nilai_buffer_fini(&story->parts[part]);
    free(story->added);
}

static bool same_points(const struct nilai_point *a, const struct nilai_point *b, uint32_t topics)
{
    return memcmp(a->offsets, b->offsets, topics * sizeof a->offsets[0]) == 0
           && a->clock_ms == b->clock_ms && a->wall_ms == b->wall_ms;
}

static void check_item(const struct story *story, const struct nilai_part_item *item,
                       const struct added *added)
{
    CHECK_EQ(item->kind, added->kind);
    if (item->kind == NILAI_ITEM_TURN) {
        CHECK(same_points(&item->point, &added->point, story->topics));
        CHECK(memcmp(item->still, added->still, sizeof item->still) == 0);
        return;
    }
    if (item->kind == NILAI_ITEM_CLOSE) {
        CHECK(same_points(&item->base, &added->point, story->topics));
        return;
    }
    CHECK_EQ(item->customer.size, added->effect.customer_size);
    CHECK(memcmp(item->customer.data, added->effect.customer, item->customer.size) == 0);
    if (item->kind == NILAI_ITEM_MARK) {
        CHECK_EQ(item->seq, added->effect.change.seq);
        CHECK(memcmp(&item->standing, &added->effect.change.to, sizeof item->standing) == 0);
    }
}

static void read_part(const struct story *story, const struct nilai_buffer *part, size_t *told,
                      uint64_t *turn, uint32_t *index, struct nilai_point *reached)
{
    struct nilai_part_reader reader;
    struct nilai_part_item item;
    struct nilai_wire body;
    CHECK_EQ(open_frame(part->data, part->size, &body), NILAI_OK);
    CHECK_EQ(nilai_part_open(&reader, body), NILAI_OK);
    CHECK(reader.head.parent == story->head.parent && reader.head.settings == story->head.settings);
    CHECK(reader.head.first == *turn + 1 && reader.head.topic_count == story->topics);
    CHECK_EQ(reader.head.index, *index);
    CHECK(same_points(&reader.head.before, reached, story->topics));
    do {
        CHECK_EQ(nilai_part_next(&reader, &item), NILAI_OK);
        if (item.kind == NILAI_ITEM_MORE)
            break;
        CHECK(*told < story->count);
        check_item(story, &item, &story->added[(*told)++]);
        if (item.kind == NILAI_ITEM_TURN)
            (*turn)++, *reached = item.point;
        if (item.kind == NILAI_ITEM_CLOSE)
            CHECK_EQ(item.floor, *turn);
    } while (item.kind != NILAI_ITEM_CLOSE);
    *index = item.kind == NILAI_ITEM_CLOSE ? 0 : *index + 1;
    CHECK(nilai_wire_is_done(&reader.body));
}

/* Goal: turns, marks and erasures are read as they were written, whatever parts they fell into, and
 * each part says where it begins. Method: random ones, long enough for commits of many parts. */
TEST(what_was_written_is_read)
{
    uint64_t seed = test_seed(21);
    size_t parts = 0, commits = 0;
    for (int round = 0; round < 12; round++) {
        struct story story;
        write_story(&story, &seed, round < 6 ? 1 + (int)(next_random(&seed) % 50) : 9000);
        size_t told = 0;
        uint32_t index = 0;
        uint64_t turn = story.head.first - 1;
        struct nilai_point reached = story.head.before;
        for (size_t part = 0; part < story.part_count; part++) {
            read_part(&story, &story.parts[part], &told, &turn, &index, &reached);
            commits += index == 0;
        }
        CHECK_EQ(told, story.count);
        parts += story.part_count;
        drop_story(&story);
    }
    CHECK(parts > commits + 10);
}

/* Goal: the end of a turn always fits into a part that its marks have filled, with a quiet turn and
 * the end of the commit. Method: parts filled to every size about the limit. */
TEST(a_full_part_has_room_for_the_end_of_its_turn)
{
    static const uint64_t none[NILAI_TURN_EVENTS_MAX / 64];
    uint64_t all[NILAI_TURN_EVENTS_MAX / 64];
    memset(all, 0xff, sizeof all);
    for (uint32_t last = 1; last <= NILAI_TEXT_MAX; last += 3) {
        struct nilai_part_writer writer;
        const struct nilai_part_head head = {.first = 2, .topic_count = NILAI_JOURNAL_TOPICS_MAX};
        struct nilai_effect effect = {.change = {.seq = 1, .to = {1, 1, 1, 0}}};
        struct nilai_point point = {.clock_ms = 0};
        nilai_part_writer_init(&writer, &frame, &head);
        effect.customer_size = (uint8_t)last;
        while (!nilai_part_is_full(&writer))
            nilai_part_add_mark(&writer, &effect);
        for (int topic = 0; topic < NILAI_JOURNAL_TOPICS_MAX; topic++)
            point.offsets[topic] = INT64_MAX;
        nilai_part_add_turn(&writer, &point, all);
        nilai_part_add_turn(&writer, &point, none);
        nilai_part_close(&writer, 3, &point);
        CHECK_EQ(writer.buffer.status, NILAI_OK);
        struct nilai_wire body;
        CHECK_EQ(open_frame(writer.buffer.data, writer.buffer.size, &body), NILAI_OK);
        nilai_part_writer_fini(&writer);
    }
}

/* One of everything, small. */
static void write_small(struct nilai_buffer *buffer)
{
    struct nilai_part_writer writer;
    const struct nilai_part_head head = {.parent = 7,
                                         .settings = 8,
                                         .first = 2,
                                         .topic_count = 2,
                                         .before = {{5, -1}, 1000, 2000}};
    struct nilai_effect effect = {.change = {.seq = 300, .to = {2, 3, 4, 1}}, .customer_size = 2,
                                  .customer = "ab"};
    nilai_part_writer_init(&writer, &frame, &head);
    nilai_part_add_mark(&writer, &effect);
    effect.erased = true;
    nilai_part_add_mark(&writer, &effect);
    const uint64_t still[NILAI_TURN_EVENTS_MAX / 64] = {1 << 3 | 1 << 4};
    nilai_part_add_turn(&writer, &(struct nilai_point){{10, 0}, 1064, 1999}, still);
    nilai_part_close(&writer, 1, &head.before);
    nilai_buffer_clear(buffer);
    nilai_buffer_append(buffer, writer.buffer.data, writer.buffer.size);
    nilai_part_writer_fini(&writer);
}

/* Goal: the bytes are those that journal.c draws, for as long as the format is 1. Method: one
 * record with one of everything, by hand. */
TEST(a_record_has_the_bytes_that_are_drawn)
{
    static const unsigned char drawn[] = {
        'N', 'L', 'J', 1, 1, 0, 0, 0,
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* inputs */
        99, 0, 0, 0, 0, 0, 0, 0,                        /* writer */
        7, 0, 0, 0, 0, 0, 0, 0,                         /* parent */
        8, 0, 0, 0, 0, 0, 0, 0,                         /* settings */
        2, 0, 2,                                        /* first, index, topics */
        10, 1, 0xd0, 0x0f, 0xa0, 0x1f,                  /* before: 5, -1; 1000; 2000 */
        2, 2, 'a', 'b', 0xac, 0x02, 0x8e, 0x01,         /* mark: seq 300; 2 | 3 << 2 | 4 << 5 | 1 << 8 */
        3, 2, 'a', 'b',                                 /* erased */
        1, 5, 1, 0x80, 0x01, 1, 2, 3, 0,                /* turn: +5, +1; +64; -1; two: 3, and the next */
        4, 1, 10, 1, 0xd0, 0x0f, 0xa0, 0x1f,            /* close: floor 1, base as before */
    };
    struct nilai_buffer buffer;
    nilai_buffer_init(&buffer, NILAI_JOURNAL_SIZE_MAX);
    write_small(&buffer);
    CHECK_EQ(buffer.size, sizeof drawn + 8);
    for (size_t at = 0; at < sizeof drawn; at++)
        CHECK_EQ((unsigned char)buffer.data[at], drawn[at]);
    struct nilai_wire sum = nilai_wire_of(buffer.data + sizeof drawn, 8);
    CHECK_EQ(nilai_wire_take_64(&sum), (long long)UINT64_C(8674003363019951234));
    nilai_buffer_fini(&buffer);
}

/* Goal: a record that was cut, or of which a bit fell over, is refused. Method: all of them. */
TEST(every_cut_and_every_flipped_bit_is_refused)
{
    struct nilai_buffer buffer;
    struct nilai_wire body;
    nilai_buffer_init(&buffer, NILAI_JOURNAL_SIZE_MAX);
    write_small(&buffer);
    for (size_t size = 0; size < buffer.size; size++)
        CHECK_EQ(open_frame(buffer.data, size, &body), NILAI_INVALID);
    for (size_t bit = 0; bit < 8 * buffer.size; bit++) {
        buffer.data[bit / 8] ^= (char)(1 << bit % 8);
        enum nilai_status status = open_frame(buffer.data, buffer.size, &body);
        CHECK_EQ(status, bit / 8 == 3 && (unsigned char)buffer.data[3] > NILAI_JOURNAL_FORMAT
                             ? NILAI_CONFIG
                             : NILAI_INVALID);
        buffer.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    CHECK_EQ(open_frame(NULL, 0, &body), NILAI_INVALID);
    CHECK_EQ(open_frame(buffer.data, buffer.size, &body), NILAI_OK);
    nilai_buffer_fini(&buffer);
}

/* Items up to the end; the first status that is not OK. */
static enum nilai_status read_items(struct nilai_wire body, int *turns)
{
    struct nilai_part_reader reader;
    struct nilai_part_item item;
    enum nilai_status status = nilai_part_open(&reader, body);
    *turns = 0;
    while (status == NILAI_OK && (status = nilai_part_next(&reader, &item)) == NILAI_OK) {
        for (uint32_t topic = 0; topic < reader.head.topic_count; topic++)
            CHECK(reader.point.offsets[topic] >= -1);
        CHECK(reader.point.clock_ms >= -1 && reader.point.wall_ms >= -1);
        *turns += item.kind == NILAI_ITEM_TURN;
        if (item.kind == NILAI_ITEM_CLOSE || item.kind == NILAI_ITEM_MORE)
            return nilai_wire_is_done(&reader.body) ? NILAI_OK : NILAI_INVALID;
    }
    return status;
}

/* Goal: what has the right sum and yet makes no sense is refused, and never read beyond its end.
 * Method: every cut and every flipped bit, with the sum put right; some, by hand. */
TEST(nonsense_under_a_right_sum_is_refused)
{
    enum { BODY = 24 };
    static const struct {
        size_t at;
        unsigned char byte;
    } bad[] = {
        {BODY + 16, 1},  /* first turn 1 */
        {BODY + 18, 0},  /* no topics */
        {BODY + 18, 17}, /* too many */
        {BODY + 19, 3},  /* offset -2 */
        {33 + BODY - 8, 0}, /* an empty id */
    };
    struct nilai_buffer buffer;
    struct nilai_wire body;
    int turns;
    nilai_buffer_init(&buffer, NILAI_JOURNAL_SIZE_MAX);
    write_small(&buffer);
    unsigned char *bytes = malloc(buffer.size);
    for (size_t size = 32; size < buffer.size; size++) {
        memcpy(bytes, buffer.data, size);
        seal(bytes, size);
        CHECK(open_frame(bytes, size, &body) == NILAI_OK && read_items(body, &turns) != NILAI_OK);
    }
    size_t read = 0;
    for (size_t bit = 8 * BODY; bit < 8 * (buffer.size - 8); bit++) {
        memcpy(bytes, buffer.data, buffer.size);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        seal(bytes, buffer.size);
        CHECK_EQ(open_frame(bytes, buffer.size, &body), NILAI_OK);
        read += read_items(body, &turns) == NILAI_OK;
    }
    CHECK(read > 100 && read < 8 * (buffer.size - 8 - BODY) - 100);
    for (size_t index = 0; index < NILAI_ARRAY_LEN(bad); index++) {
        memcpy(bytes, buffer.data, buffer.size);
        bytes[bad[index].at] = bad[index].byte;
        seal(bytes, buffer.size);
        CHECK_EQ(open_frame(bytes, buffer.size, &body), NILAI_OK);
        CHECK_EQ(read_items(body, &turns), NILAI_INVALID);
    }
    free(bytes);
    nilai_buffer_fini(&buffer);
}

/* Goal: who comes later and is newer is told so, whatever else has changed about the record; older
 * kinds that never were are damage. */
TEST(a_newer_format_is_told_apart_from_damage)
{
    unsigned char record[40] = {'N', 'L', 'J', NILAI_JOURNAL_FORMAT + 1};
    struct nilai_wire body;
    CHECK_EQ(open_frame(record, sizeof record, &body), NILAI_CONFIG);
    record[3] = 0;
    seal(record, sizeof record);
    CHECK_EQ(open_frame(record, sizeof record, &body), NILAI_INVALID);
    record[3] = NILAI_JOURNAL_FORMAT;
    for (unsigned kind = 0; kind < 256; kind += kind == 0 ? 4 : 1) {
        record[4] = (unsigned char)kind;
        seal(record, sizeof record);
        CHECK_EQ(open_frame(record, sizeof record, &body), NILAI_INVALID);
    }
    record[4] = 1, record[6] = 1;
    seal(record, sizeof record);
    CHECK_EQ(open_frame(record, sizeof record, &body), NILAI_INVALID);
}
