#include "nilai/run/lane.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_WAIT_MS = 10000 };

struct nilai_lane {
    struct nilai_lane_options options;
    struct nilai_merge *merge;
    struct nilai_partition *state;
    enum nilai_lane_phase phase;
    struct nilai_position committed;  /* what the group knows */
    struct nilai_position committing; /* what is on its way there */
    struct nilai_batch batch;
    bool in_turn;
    bool suppressed; /* of the turn at hand */
    bool published;  /* something came out since the last commit was begun */
    enum nilai_lane_gap gap;
    bool in_commit;
    int64_t tick_s; /* the last second of the wall clock that was followed */
};

static bool covers(const struct nilai_lane *lane, const int64_t *marks)
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        if (marks[topic] > 0 && lane->committed.offsets[topic] < marks[topic])
            return false;
    }
    return true;
}

static void hold_at(struct nilai_lane *lane, const int64_t *offsets)
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++)
        nilai_merge_hold(lane->merge, topic, offsets[topic] > 0 ? offsets[topic] : 0);
}

static void go_live(struct nilai_lane *lane)
{
    lane->phase = NILAI_LANE_LIVE;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t hold = NILAI_HOLD_NONE;
        if (lane->options.has_marks)
            hold = lane->options.marks[topic] > lane->committed.offsets[topic]
                       ? lane->options.marks[topic]
                       : lane->committed.offsets[topic];
        nilai_merge_hold(lane->merge, topic, hold);
    }
    nilai_merge_set_max_idle(lane->merge, lane->options.has_marks ? NILAI_WAIT_FOREVER
                                                                  : lane->options.max_idle_ms);
}

static bool was_committed(const struct nilai_lane *lane)
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        if (lane->committed.offsets[topic] > 0)
            return true;
    }
    return false;
}

struct nilai_lane *nilai_lane_create(const struct nilai_lane_options *options,
                                     const struct nilai_position *committed, int64_t now_ms)
{
    struct nilai_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->options = *options;
    lane->committed = *committed;
    lane->merge = nilai_merge_create(
        &(struct nilai_merge_options){
            .topic_count = options->topic_count,
            .capacity = options->queue_capacity,
            .max_idle_ms = NILAI_WAIT_FOREVER,
            .first_wait_ms = FIRST_WAIT_MS,
        },
        now_ms);
    lane->state = nilai_partition_create(&options->state);
    if (lane->merge == NULL || lane->state == NULL) {
        nilai_lane_destroy(lane, NULL);
        return NULL;
    }
    if (options->has_marks && covers(lane, options->marks)) {
        lane->phase = NILAI_LANE_FINISHED;
    } else if (was_committed(lane)) {
        lane->phase = NILAI_LANE_REPLAYING;
        hold_at(lane, committed->offsets);
    } else {
        go_live(lane);
    }
    return lane;
}

static void give_back(void *context, struct nilai_input *input)
{
    nilai_source_give_back(context, input);
}

void nilai_lane_destroy(struct nilai_lane *lane, struct nilai_source *source)
{
    if (lane->merge != NULL)
        nilai_merge_clear(lane->merge, give_back, source, 0);
    nilai_merge_destroy(lane->merge);
    if (lane->state != NULL)
        nilai_partition_destroy(lane->state);
    free(lane);
}

int32_t nilai_lane_partition(const struct nilai_lane *lane)
{
    return lane->committed.partition;
}

enum nilai_lane_phase nilai_lane_phase(const struct nilai_lane *lane)
{
    return lane->phase;
}

void nilai_lane_rewind(struct nilai_lane *lane, struct nilai_source *source, int64_t now_ms)
{
    NILAI_ASSERT(!lane->in_turn);
    nilai_lane_commit_refused(lane); /* whether it held is read back from the group */
    nilai_merge_clear(lane->merge, give_back, source, now_ms);
}

void nilai_lane_start(const struct nilai_lane *lane, int64_t start[static NILAI_INPUT_TOPICS_MAX])
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t offset = nilai_merge_offset(lane->merge, topic);
        start[topic] = offset >= 0 ? offset : NILAI_OFFSET_BEGINNING;
    }
}

static void decode_arrival(struct nilai_lane *lane, struct nilai_arrival *arrival, uint32_t topic)
{
    const struct nilai_input *input = &arrival->input;
    struct nilai_event *event = &arrival->event;
    struct nilai_reject reject;

    arrival->bad = !nilai_decode(lane->options.decoder, input->value, input->value_size, event,
                                 &reject)
                   || !nilai_decode_check_key(event, input->key, input->key_size, &reject);
    if (arrival->bad) {
        arrival->reject = reject;
        return;
    }
    event->origin = (struct nilai_origin){.topic = (int32_t)topic,
                                          .partition = lane->committed.partition,
                                          .offset = input->offset};
    /* What lies in the decoder's own buffer is overwritten by its next call. The value of an event
     * that was accepted has at most NILAI_EVENT_SIZE_MAX bytes. */
    nilai_event_keep_texts(event, (struct nilai_text){input->value, (uint32_t)input->value_size},
                           arrival->texts);
}

/* A log that ends before what was committed was made anew or lost its tail: waiting for it to
 * grow past the old offset would suppress what was never published. */
static void accept_end(struct nilai_lane *lane, uint32_t topic, int64_t offset)
{
    nilai_merge_end(lane->merge, topic, offset);
    if (lane->phase == NILAI_LANE_REPLAYING && offset < lane->committed.offsets[topic]) {
        lane->committed.offsets[topic] = offset;
        nilai_merge_hold(lane->merge, topic, offset);
    }
}

/* The first message of a topic is at `offset`. */
static void note_gap(struct nilai_lane *lane, uint32_t topic, int64_t offset)
{
    int64_t committed = lane->committed.offsets[topic];
    enum nilai_lane_gap gap = offset <= 0                                ? NILAI_GAP_NONE
                              : committed > 0 && offset > committed ? NILAI_GAP_UNREAD
                                                                    : NILAI_GAP_OLD;
    if (gap > lane->gap)
        lane->gap = gap;
}

static enum nilai_status fill_topic(struct nilai_lane *lane, struct nilai_source *source,
                                    uint32_t topic, uint32_t *taken)
{
    struct nilai_arrival *arrival;
    while ((arrival = nilai_merge_room(lane->merge, topic)) != NULL) {
        enum nilai_status status = nilai_source_take(source, topic, lane->committed.partition,
                                                     &arrival->input);
        if (status == NILAI_MISSING) {
            accept_end(lane, topic, arrival->input.offset);
            continue;
        }
        if (status != NILAI_OK)
            return status == NILAI_AGAIN ? NILAI_OK : status;
        if (!nilai_merge_is_later(lane->merge, topic, arrival->input.offset)) {
            nilai_source_give_back(source, &arrival->input);
            return NILAI_INVALID;
        }
        if (nilai_merge_offset(lane->merge, topic) < 0)
            note_gap(lane, topic, arrival->input.offset);
        decode_arrival(lane, arrival, topic);
        nilai_merge_push(lane->merge, topic);
        (*taken)++;
    }
    return NILAI_OK;
}

enum nilai_status nilai_lane_fill(struct nilai_lane *lane, struct nilai_source *source,
                                  uint32_t *taken)
{
    NILAI_ASSERT(!lane->in_turn);
    *taken = 0;
    if (lane->phase == NILAI_LANE_FINISHED)
        return NILAI_OK;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        enum nilai_status status = fill_topic(lane, source, topic, taken);
        if (status != NILAI_OK)
            return status;
    }
    return NILAI_OK;
}

/* The turn that ends the replay: no events, only the clock that was committed. */
static void begin_last_replay(struct nilai_lane *lane, struct nilai_turn *turn)
{
    turn->clock_ms = lane->committed.clock_ms;
    lane->suppressed = true;
    go_live(lane);
}

static bool begin_tick(struct nilai_lane *lane, int64_t wall_ms, struct nilai_turn *turn)
{
    if (!lane->options.follow_wall_clock || lane->phase != NILAI_LANE_LIVE
        || lane->tick_s == wall_ms / 1000 || !nilai_merge_is_at_end(lane->merge)
        || nilai_partition_clock_ms(lane->state) >= wall_ms)
        return false;
    lane->tick_s = wall_ms / 1000;
    turn->clock_ms = wall_ms;
    return true;
}

static bool form_turn(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms,
                      int64_t *wake_ms, struct nilai_turn *turn)
{
    nilai_merge_form(lane->merge, lane->options.decoder, now_ms, wall_ms, &lane->batch);
    if (lane->batch.wake_ms < *wake_ms)
        *wake_ms = lane->batch.wake_ms;
    turn->events = lane->batch.events;
    turn->count = lane->batch.count;
    lane->suppressed = lane->phase == NILAI_LANE_REPLAYING;
    if (lane->batch.count > 0 || lane->batch.bad_count > 0)
        return true;

    if (nilai_merge_is_held(lane->merge)) {
        if (lane->phase == NILAI_LANE_REPLAYING) {
            begin_last_replay(lane, turn);
            return true;
        }
        lane->phase = NILAI_LANE_FINISHED;
        return false;
    }
    return begin_tick(lane, wall_ms, turn);
}

bool nilai_lane_begin(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms, int64_t *wake_ms)
{
    NILAI_ASSERT(!lane->in_turn);
    struct nilai_turn turn = {.clock_ms = -1};
    if (lane->phase == NILAI_LANE_FINISHED
        || !form_turn(lane, now_ms, wall_ms, wake_ms, &turn))
        return false;
    nilai_partition_begin(lane->state, &turn);
    lane->in_turn = true;
    if (!lane->suppressed && lane->batch.bad_count > 0)
        lane->published = true;
    return true;
}

const struct nilai_batch *nilai_lane_batch(const struct nilai_lane *lane)
{
    NILAI_ASSERT(lane->in_turn);
    return &lane->batch;
}

bool nilai_lane_is_suppressed(const struct nilai_lane *lane)
{
    return lane->suppressed;
}

enum nilai_status nilai_lane_step(struct nilai_lane *lane, struct nilai_effects *effects,
                                  bool *done)
{
    NILAI_ASSERT(lane->in_turn);
    enum nilai_status status = nilai_partition_step(lane->state, effects, done);
    if (status == NILAI_OK && effects->count > 0 && !lane->suppressed)
        lane->published = true;
    return status;
}

void nilai_lane_finish(struct nilai_lane *lane, struct nilai_source *source)
{
    NILAI_ASSERT(lane->in_turn);
    nilai_merge_release(lane->merge, give_back, source);
    lane->batch.count = lane->batch.bad_count = 0;
    lane->in_turn = false;
}

void nilai_lane_position(const struct nilai_lane *lane, struct nilai_position *position)
{
    NILAI_ASSERT(!lane->in_turn);
    *position = lane->committed;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t offset = nilai_merge_offset(lane->merge, topic);
        if (offset > position->offsets[topic])
            position->offsets[topic] = offset;
    }
    int64_t clock_ms = nilai_partition_clock_ms(lane->state);
    if (clock_ms > position->clock_ms)
        position->clock_ms = clock_ms;
}

static bool same_offsets(const struct nilai_lane *lane, const struct nilai_position *a,
                         const struct nilai_position *b)
{
    return memcmp(a->offsets, b->offsets, lane->options.topic_count * sizeof a->offsets[0]) == 0;
}

bool nilai_lane_is_dirty(const struct nilai_lane *lane)
{
    if (lane->phase == NILAI_LANE_REPLAYING || lane->in_turn)
        return false;
    struct nilai_position position;
    nilai_lane_position(lane, &position);
    return lane->published || !same_offsets(lane, &position, &lane->committed);
}

void nilai_lane_commit_begun(struct nilai_lane *lane, const struct nilai_position *position)
{
    NILAI_ASSERT(position->partition == lane->committed.partition);
    lane->committing = *position;
    lane->in_commit = true;
    lane->published = false;
}

void nilai_lane_commit_done(struct nilai_lane *lane)
{
    if (lane->in_commit)
        lane->committed = lane->committing;
    lane->in_commit = false;
}

void nilai_lane_commit_refused(struct nilai_lane *lane)
{
    lane->published |= lane->in_commit;
    lane->in_commit = false;
}

bool nilai_lane_is_committed_at(const struct nilai_lane *lane,
                                const struct nilai_position *position)
{
    return same_offsets(lane, position, &lane->committed);
}

enum nilai_lane_gap nilai_lane_take_gap(struct nilai_lane *lane)
{
    enum nilai_lane_gap gap = lane->gap;
    lane->gap = NILAI_GAP_NONE;
    return gap;
}

struct nilai_partition *nilai_lane_state(struct nilai_lane *lane)
{
    return lane->state;
}
