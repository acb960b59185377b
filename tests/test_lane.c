#include "nilai/run/lane.h"
#include "nilai/run/config.h"
#include "test.h"

/* A source of one topic whose oldest message is not its first, and whose end may lie behind its
 * last; every message is malformed, which is no matter here. */
struct short_source {
    struct nilai_source base;
    int64_t low, next;
    int64_t last; /* message; behind it the end is told once */
    int64_t end;
};

static enum nilai_status take(struct nilai_source *base, uint32_t topic, int32_t partition,
                              struct nilai_input *input)
{
    struct short_source *source = (struct short_source *)base;
    (void)topic, (void)partition;
    if (source->next > source->last) {
        bool told = source->next > source->end;
        source->next = source->end + 1;
        input->offset = source->end;
        return told ? NILAI_AGAIN : NILAI_MISSING;
    }
    *input = (struct nilai_input){.key = "", .value = "", .offset = source->next++};
    return NILAI_OK;
}

static void give_back(struct nilai_source *base, struct nilai_input *input)
{
    (void)base, (void)input;
}

static int64_t low(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    (void)topic, (void)partition;
    return ((struct short_source *)base)->low;
}

static const struct nilai_source_ops source_ops
    = {.take = take, .give_back = give_back, .low = low};
static struct nilai_config config;
static struct nilai_decoder *decoder;

static struct nilai_lane *open_lane(int64_t committed)
{
    nilai_config_defaults(&config);
    CHECK_EQ(nilai_config_finish(&config, NULL), NILAI_OK);
    struct nilai_decode_rules rules = nilai_config_decode_rules(&config);
    decoder = nilai_decoder_create(&rules);
    const struct nilai_lane_options options = {
        .topic_count = 1,
        .queue_capacity = 16,
        .max_idle_ms = 500,
        .decoder = decoder,
        .state = {.model = &config.model,
                  .limits = {.memory_max_bytes = 64 << 20},
                  .erase_remember_ms = 1000},
    };
    const struct nilai_position position = {.offsets = {committed}, .clock_ms = -1};
    struct nilai_lane *lane = nilai_lane_create(&options, &position, 0);
    CHECK(lane != NULL && decoder != NULL);
    CHECK_EQ(nilai_lane_load(lane, 0, NULL), NILAI_OK);
    return lane;
}

static void close_lane(struct nilai_lane *lane, struct short_source *source)
{
    nilai_lane_destroy(lane, &source->base);
    nilai_decoder_destroy(decoder);
}

/* `oldest`: -1 if the source does not know. `first`: of the messages. */
static enum nilai_lane_gap gap_of(int64_t committed, int64_t oldest, int64_t first)
{
    struct short_source source
        = {.base = {.ops = &source_ops}, .low = oldest, .next = first, .last = 10, .end = 11};
    struct nilai_lane *lane = open_lane(committed);
    uint32_t taken;
    CHECK_EQ(nilai_lane_fill(lane, &source.base, &taken, NULL), NILAI_OK);
    CHECK(taken > 0);
    enum nilai_lane_gap gap = nilai_lane_take_gap(lane);
    CHECK_EQ(nilai_lane_take_gap(lane), NILAI_GAP_NONE); /* told once */
    close_lane(lane, &source);
    return gap;
}

/* Goal: retention that overtook the service is told, and told apart: events that state does
 * without, and events that nobody has read. */
TEST(what_retention_took_is_told)
{
    CHECK_EQ(gap_of(0, 0, 0), NILAI_GAP_NONE);
    CHECK_EQ(gap_of(3, 0, 0), NILAI_GAP_NONE);
    CHECK_EQ(gap_of(0, 5, 5), NILAI_GAP_OLD);
    CHECK_EQ(gap_of(7, 5, 5), NILAI_GAP_OLD);
    CHECK_EQ(gap_of(5, 5, 5), NILAI_GAP_OLD);
    CHECK_EQ(gap_of(4, 5, 5), NILAI_GAP_UNREAD);
    CHECK_EQ(gap_of(4, -1, 5), NILAI_GAP_UNREAD);
    CHECK_EQ(gap_of(4, 3, 5), NILAI_GAP_OLD); /* at 4 is the mark of a transaction */
    CHECK_EQ(gap_of(0, 0, 5), NILAI_GAP_NONE);
}

/* Applies what was applied already, until the lane is live. */
static void apply_again(struct nilai_lane *lane, struct short_source *source)
{
    for (int round = 0; nilai_lane_phase(lane) != NILAI_LANE_LIVE; round++) {
        struct nilai_effects effects;
        int64_t wake_ms = 0;
        uint32_t taken;
        bool done = false;
        CHECK(round < 100);
        CHECK_EQ(nilai_lane_fill(lane, &source->base, &taken, NULL), NILAI_OK);
        if (!nilai_lane_begin(lane, 0, 0, &wake_ms))
            continue;
        while (!done)
            CHECK_EQ(nilai_lane_step(lane, &effects, &done), NILAI_OK);
        CHECK_EQ(nilai_lane_finish(lane, &source->base), NILAI_OK);
    }
}

/* Goal: a partition that has been applied again stands where it was committed, and has nothing to
 * commit, though its input ends further on: behind a message is the mark of a transaction, which
 * was not there when it was committed, or was.
 * Method: three messages and an end that is known late. */
TEST(what_is_applied_again_ends_where_it_was_committed)
{
    enum { MESSAGES = 3, END = 5 };
    for (int64_t committed = MESSAGES; committed <= END; committed++) {
        struct short_source source
            = {.base = {.ops = &source_ops}, .last = MESSAGES - 1, .end = END};
        struct nilai_lane *lane = open_lane(committed);
        struct nilai_position position;
        apply_again(lane, &source);
        nilai_lane_position(lane, &position);
        CHECK_EQ(position.offsets[0], committed);
        CHECK(!nilai_lane_is_dirty(lane));
        close_lane(lane, &source);
    }
}
