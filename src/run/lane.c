#include "nilai/run/lane.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/mutation.h"

enum {
    FIRST_WAIT_MS = 10000,
    TICK_STEP_MS = 24 * 3600 * 1000,
    RETENTION_NEAR = 10, /* one part in so many of what is kept */
};

static_assert((int)NILAI_BATCH_MAX <= (int)NILAI_TURN_EVENTS_MAX,
              "a journal can tell events of a turn apart");
static_assert((int)NILAI_INPUT_TOPICS_MAX == (int)NILAI_JOURNAL_TOPICS_MAX, "and all its topics");

struct nilai_lane {
    struct nilai_lane_options options;
    struct nilai_merge *merge;
    struct nilai_partition *state;
    enum nilai_lane_phase phase;
    struct nilai_recall *recall; /* until everything was applied again; owns the state till then */
    struct nilai_scribe *scribe; /* from then on; NULL without a journal */

    struct nilai_restored_turn again; /* the turn that is applied again, in pieces */
    bool has_again, last_piece;
    uint32_t again_events; /* of it so far */

    struct nilai_point reached;       /* after the last turn */
    struct nilai_position committed;  /* what the group knows */
    struct nilai_position committing; /* what is on its way there */
    bool in_commit;
    bool published; /* something came out since the last commit was begun */

    struct nilai_batch batch;
    uint64_t batch_bytes;
    int64_t wall_ms; /* of the turn at hand */
    bool in_turn;
    bool suppressed; /* the turn at hand */
    int64_t tick_s;  /* the last second of the wall clock that was followed */

    enum nilai_lane_gap gap;
    struct nilai_lane_restored restored;
    bool restored_told;
    int64_t opened_ms, loaded_ms;
    int64_t now_ms; /* of the last call that told it */
};

/* ---- opening ---- */

static bool covers(const struct nilai_lane *lane, const int64_t *marks)
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        if (marks[topic] > 0 && lane->committed.offsets[topic] < marks[topic])
            return false;
    }
    return true;
}

static bool open_recall(struct nilai_lane *lane)
{
    const struct nilai_lane_options *options = &lane->options;
    lane->recall = nilai_recall_create(&(struct nilai_recall_options){
        .log = options->log,
        .log_name = options->log_name,
        .topic_count = options->topic_count,
        .inputs = options->inputs,
        .settings = options->settings,
        .committed = lane->committed,
        .state = options->state,
    });
    return lane->recall != NULL
           && (options->log == NULL
               || options->log->ops->open(options->log, lane->committed.partition) == NILAI_OK);
}

/* Where the input begins, as far as is known. */
static struct nilai_point beginning(const struct nilai_lane *lane)
{
    struct nilai_point point = {.clock_ms = -1};
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++)
        point.offsets[topic] = -1;
    return point;
}

struct nilai_lane *nilai_lane_create(const struct nilai_lane_options *options,
                                     const struct nilai_position *committed, int64_t now_ms)
{
    struct nilai_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->options = *options;
    lane->options.state.journaled = options->log != NULL;
    lane->committed = *committed;
    lane->reached = beginning(lane);
    lane->opened_ms = now_ms;
    lane->merge = nilai_merge_create(
        &(struct nilai_merge_options){
            .topic_count = options->topic_count,
            .capacity = options->queue_capacity,
            .max_idle_ms = NILAI_WAIT_FOREVER,
            .first_wait_ms = FIRST_WAIT_MS,
        },
        now_ms);
    if (options->has_marks && covers(lane, options->marks))
        lane->phase = NILAI_LANE_FINISHED;
    if (lane->merge == NULL || (lane->phase != NILAI_LANE_FINISHED && !open_recall(lane))) {
        nilai_lane_destroy(lane, NULL);
        return NULL;
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
    nilai_scribe_destroy(lane->scribe);
    if (lane->recall != NULL)
        nilai_recall_destroy(lane->recall);
    else if (lane->state != NULL)
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

/* ---- loading, and what is to be applied again ---- */

static struct nilai_scribe *open_scribe(struct nilai_lane *lane)
{
    const struct nilai_lane_options *options = &lane->options;
    const struct nilai_restored *result = nilai_recall_result(lane->recall);
    return nilai_scribe_create(&(struct nilai_scribe_options){
        .state = lane->state,
        .log = options->log,
        .partition = lane->committed.partition,
        .topic_count = options->topic_count,
        .inputs = options->inputs,
        .settings = options->settings,
        .writer = options->writer,
        .image_ratio = options->image_ratio,
        .round_max_ms = options->round_max_ms,
        .parent = result->found ? result->writer : 0,
        .turn = result->found ? result->turn : 1,
        .floor = result->found ? result->floor : 0,
        .base = result->found ? result->base : lane->reached,
        .needed = result->found ? result->start : beginning(lane),
        .reached = lane->reached,
    });
}

static void note_restored(struct nilai_lane *lane)
{
    const struct nilai_restored *result = nilai_recall_result(lane->recall);
    struct nilai_table_stats stats;
    nilai_table_stats(nilai_partition_table(lane->state), &stats);
    lane->restored = (struct nilai_lane_restored){
        .found = result->found,
        .customers = stats.customers,
        .image_bytes = result->image_bytes,
        .turns = result->turns,
        .differences = nilai_restore_differences(nilai_recall_restore(lane->recall)),
        .load_ms = lane->loaded_ms - lane->opened_ms,
        .replay_ms = lane->now_ms - lane->loaded_ms,
    };
}

/* With marks nothing beyond them is taken. */
static void hold_at_marks(struct nilai_lane *lane)
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t hold = NILAI_HOLD_NONE;
        if (lane->options.has_marks)
            hold = lane->options.marks[topic] > lane->reached.offsets[topic]
                       ? lane->options.marks[topic]
                       : lane->reached.offsets[topic];
        nilai_merge_hold(lane->merge, topic, hold);
    }
}

/* Everything was applied again. */
static enum nilai_status go_live(struct nilai_lane *lane)
{
    nilai_restore_end(nilai_recall_restore(lane->recall));
    if (lane->options.log != NULL) {
        lane->scribe = open_scribe(lane);
        if (lane->scribe == NULL)
            return NILAI_NO_MEMORY;
    }
    note_restored(lane);
    lane->state = nilai_recall_take(lane->recall);
    nilai_recall_destroy(lane->recall);
    lane->recall = NULL;
    lane->phase = NILAI_LANE_LIVE;
    hold_at_marks(lane);
    nilai_merge_set_max_idle(lane->merge, lane->options.has_marks ? NILAI_WAIT_FOREVER
                                                                  : lane->options.max_idle_ms);
    return NILAI_OK;
}

/* The next turn that is to be applied again; the lane is live if there is none. */
static enum nilai_status recall_turn(struct nilai_lane *lane)
{
    enum nilai_status status = nilai_recall_next(lane->recall, &lane->again);
    if (status == NILAI_MISSING)
        return go_live(lane);
    if (status != NILAI_OK)
        return status;
    lane->has_again = true;
    lane->last_piece = false;
    lane->again_events = 0;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t to = lane->again.to.offsets[topic];
        nilai_merge_hold(lane->merge, topic, to > 0 ? to : 0);
    }
    return NILAI_OK;
}

enum nilai_status nilai_lane_load(struct nilai_lane *lane, int64_t now_ms,
                                  struct nilai_error *error)
{
    if (lane->phase != NILAI_LANE_LOADING)
        return NILAI_OK;
    enum nilai_status status = nilai_recall_load(lane->recall, error);
    if (status != NILAI_OK)
        return status;
    lane->loaded_ms = lane->now_ms = now_ms;
    lane->state = nilai_recall_state(lane->recall);
    lane->phase = NILAI_LANE_REPLAYING;
    if (nilai_recall_result(lane->recall)->found)
        lane->reached = nilai_recall_result(lane->recall)->start;
    status = recall_turn(lane);
    if (status == NILAI_INVALID)
        return nilai_error_set(error, status, "partition %" PRId32 ": the journal cannot be read",
                               lane->committed.partition);
    return status == NILAI_OK ? NILAI_OK : nilai_error_set(error, status, "out of memory");
}

static bool is_past_replay(const struct nilai_lane *lane)
{
    return lane->phase == NILAI_LANE_LIVE || lane->phase == NILAI_LANE_FINISHED;
}

void nilai_lane_progress(const struct nilai_lane *lane, uint64_t *read, uint64_t *all)
{
    *read = *all = 0;
    if (lane->phase == NILAI_LANE_LOADING)
        nilai_recall_progress(lane->recall, read, all);
}

bool nilai_lane_take_restored(struct nilai_lane *lane, struct nilai_lane_restored *restored)
{
    if (lane->restored_told || !is_past_replay(lane))
        return false;
    lane->restored_told = true;
    *restored = lane->restored;
    return true;
}

/* ---- input ---- */

void nilai_lane_rewind(struct nilai_lane *lane, struct nilai_source *source, int64_t now_ms)
{
    NILAI_ASSERT(!lane->in_turn && !lane->in_commit);
    nilai_merge_clear(lane->merge, give_back, source, now_ms);
}

void nilai_lane_start(const struct nilai_lane *lane, int64_t start[static NILAI_INPUT_TOPICS_MAX])
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t offset = nilai_merge_offset(lane->merge, topic);
        if (offset < lane->reached.offsets[topic])
            offset = lane->reached.offsets[topic];
        start[topic] = offset >= 0 ? offset : NILAI_OFFSET_BEGINNING;
    }
}

static void decode_arrival(struct nilai_lane *lane, struct nilai_arrival *arrival, uint32_t topic)
{
    const struct nilai_input *input = &arrival->input;
    struct nilai_event *event = &arrival->event;
    struct nilai_reject reject;

    arrival->bad =
        !nilai_decode(lane->options.decoder, input->value, input->value_size, event, &reject)
        || !nilai_decode_check_key(event, input->key, input->key_size, &reject);
    if (arrival->bad) {
        arrival->reject = reject;
        return;
    }
    event->origin = (struct nilai_origin){
        .topic = (int32_t)topic, .partition = lane->committed.partition, .offset = input->offset};
    /* What lies in the decoder's own buffer is overwritten by its next call. The value of an event
     * that was accepted has at most NILAI_EVENT_SIZE_MAX bytes. */
    nilai_event_keep_texts(event, (struct nilai_text){input->value, (uint32_t)input->value_size},
                           arrival->texts);
}

/* Whether the journal says where the turn that is applied again has ended: all but a base that
 * there is none for. */
static bool is_journaled(const struct nilai_lane *lane)
{
    return lane->again.number > 1 || nilai_recall_result(lane->recall)->found;
}

/* A log that ends before what was applied already was made anew or lost its tail. A base without a
 * journal makes do with what is there: waiting for the log to grow past the old offset would
 * suppress what was never published. */
static enum nilai_status accept_end(struct nilai_lane *lane, uint32_t topic, int64_t offset,
                                    struct nilai_error *error)
{
    nilai_merge_end(lane->merge, topic, offset);
    if (!lane->has_again || offset >= lane->again.to.offsets[topic])
        return NILAI_OK;
    if (is_journaled(lane))
        return nilai_error_set(error, NILAI_INVALID,
                               "partition %" PRId32 " of an input topic (number %" PRIu32
                               ") ends at offset %" PRId64 ", before events that were applied "
                               "already: was it made anew? Then make the state topic anew, too, "
                               "and delete the group's offsets",
                               lane->committed.partition, topic + 1, offset);
    lane->again.to.offsets[topic] = lane->committed.offsets[topic] = offset;
    nilai_merge_hold(lane->merge, topic, offset);
    return NILAI_OK;
}

/* The first message of a topic is at `offset`. What is before it was deleted, or was never a
 * message: the marks of transactions have offsets, too. */
static void note_gap(struct nilai_lane *lane, struct nilai_source *source, uint32_t topic,
                     int64_t offset)
{
    if (lane->has_again && lane->again.number > 1)
        return; /* check_input knows better */
    int64_t low = nilai_source_low(source, topic, lane->committed.partition);
    int64_t oldest = low >= 0 && low < offset ? low : offset;
    int64_t published =
        lane->has_again ? lane->again.to.offsets[topic] : lane->reached.offsets[topic];
    bool restored = !lane->has_again && published >= 0; /* state knows what was before */
    enum nilai_lane_gap gap = oldest <= 0                           ? NILAI_GAP_NONE
                              : published > 0 && oldest > published ? NILAI_GAP_UNREAD
                              : restored                            ? NILAI_GAP_NONE
                                                                    : NILAI_GAP_OLD;
    if (gap > lane->gap)
        lane->gap = gap;
}

/* Whether a message was not read yet. What is to be read first is known of a journal. */
static bool is_new(const struct nilai_lane *lane, uint32_t topic, int64_t offset)
{
    return nilai_merge_is_later(lane->merge, topic, offset)
           && offset >= lane->reached.offsets[topic];
}

static enum nilai_status tell_back(const struct nilai_lane *lane, uint32_t topic,
                                   struct nilai_error *error)
{
    return nilai_error_set(error, NILAI_AGAIN,
                           "partition %" PRId32 " of an input topic (number %" PRIu32 ") went back "
                           "to offsets that were read already: was it made anew, or lost its end? "
                           "%s",
                           lane->committed.partition, topic + 1,
                           lane->options.log != NULL
                               ? "Then make the state topic anew, too, and delete the group's "
                                 "offsets"
                               : "Start again to read what is there now");
}

static enum nilai_status fill_topic(struct nilai_lane *lane, struct nilai_source *source,
                                    uint32_t topic, uint32_t *taken, struct nilai_error *error)
{
    struct nilai_arrival *arrival;
    while ((arrival = nilai_merge_room(lane->merge, topic)) != NULL) {
        enum nilai_status status =
            nilai_source_take(source, topic, lane->committed.partition, &arrival->input);
        if (status == NILAI_MISSING)
            status = accept_end(lane, topic, arrival->input.offset, error);
        else if (status == NILAI_OK && !is_new(lane, topic, arrival->input.offset)) {
            nilai_source_give_back(source, &arrival->input);
            return tell_back(lane, topic, error);
        } else if (status == NILAI_OK) {
            if (nilai_merge_offset(lane->merge, topic) < 0)
                note_gap(lane, source, topic, arrival->input.offset);
            decode_arrival(lane, arrival, topic);
            nilai_merge_push(lane->merge, topic);
            (*taken)++;
        }
        if (status != NILAI_OK)
            return status == NILAI_AGAIN ? NILAI_OK : status;
    }
    return NILAI_OK;
}

/* Where the input of a topic begins is not known before something of it was heard. */
static void note_beginning(struct nilai_lane *lane, struct nilai_source *source, uint32_t topic)
{
    int64_t first = nilai_merge_offset(lane->merge, topic);
    if (lane->scribe == NULL || lane->reached.offsets[topic] >= 0 || first < 0)
        return;
    int64_t low = nilai_source_low(source, topic, lane->committed.partition);
    lane->reached.offsets[topic] = low >= 0 && low < first ? low : first;
    nilai_scribe_move(lane->scribe, topic, lane->reached.offsets[topic]);
}

/* Events that are to be applied again must still be there. */
static enum nilai_status check_input(const struct nilai_lane *lane, struct nilai_source *source,
                                     struct nilai_error *error)
{
    if (!lane->has_again || lane->again.number == 1)
        return NILAI_OK;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t from = lane->again.from.offsets[topic], to = lane->again.to.offsets[topic];
        int64_t low = nilai_source_low(source, topic, lane->committed.partition);
        int64_t needed = from >= 0 ? from : to;
        if (to > from && low > needed)
            return nilai_error_set(
                error, NILAI_INVALID,
                "partition %" PRId32 " of an input topic (number %" PRIu32 "): events from offset "
                "%" PRId64 " on are needed to restore the state, but those before %" PRId64
                " were deleted; retention must leave a few times state.image_round_max. To go on "
                "without them: stop every process, delete the state topic and make it anew, and "
                "start; state is then rebuilt from what is there",
                lane->committed.partition, topic + 1, needed, low);
    }
    return NILAI_OK;
}

enum nilai_status nilai_lane_fill(struct nilai_lane *lane, struct nilai_source *source,
                                  uint32_t *taken, struct nilai_error *error)
{
    NILAI_ASSERT(!lane->in_turn);
    *taken = 0;
    if (lane->phase == NILAI_LANE_FINISHED || lane->phase == NILAI_LANE_LOADING)
        return NILAI_OK;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        enum nilai_status status = fill_topic(lane, source, topic, taken, error);
        if (status != NILAI_OK)
            return status;
        note_beginning(lane, source, topic);
    }
    return check_input(lane, source, error);
}

enum nilai_lane_gap nilai_lane_take_gap(struct nilai_lane *lane)
{
    enum nilai_lane_gap gap = lane->gap;
    lane->gap = NILAI_GAP_NONE;
    return gap;
}

/* ---- turns ---- */

static void form_batch(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms, int64_t *wake_ms,
                       struct nilai_turn *turn)
{
    nilai_merge_form(lane->merge, lane->options.decoder, now_ms, wall_ms, &lane->batch);
    if (lane->batch.wake_ms < *wake_ms)
        *wake_ms = lane->batch.wake_ms;
    lane->wall_ms = wall_ms;
    turn->events = lane->batch.events;
    turn->count = lane->batch.count;
}

/* A piece of a turn that is applied again; the last has no events and sets the clock. */
static bool form_again(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms, int64_t *wake_ms,
                       struct nilai_turn *turn)
{
    bool recorded = lane->again.again.still != NULL && !NILAI_MUTATION(future_is_judged_by_now);
    form_batch(lane, now_ms, recorded ? lane->again.to.wall_ms : wall_ms, wake_ms, turn);
    lane->suppressed = true;
    turn->number = lane->again.number;
    turn->again = &lane->again.again;
    turn->first = lane->again_events;
    if (lane->batch.count > 0 || lane->batch.bad_count > 0)
        return true;
    if (!nilai_merge_is_held(lane->merge))
        return false;
    turn->clock_ms = lane->again.to.clock_ms;
    lane->last_piece = true;
    return true;
}

/* A long way to the wall clock (after old input, or a long stop) is gone in steps, between which
 * there may be commits: all deadlines of years in one turn would be more than a transaction can
 * take. */
static int64_t tick_to(const struct nilai_lane *lane, int64_t wall_ms)
{
    int64_t clock_ms = nilai_partition_clock_ms(lane->state);
    int64_t next_ms = nilai_partition_next_ms(lane->state);
    if (clock_ms < 0 || wall_ms - clock_ms <= TICK_STEP_MS)
        return wall_ms;
    int64_t step_ms = clock_ms + TICK_STEP_MS;
    if (next_ms > step_ms)
        step_ms = next_ms;
    return step_ms < wall_ms ? step_ms : wall_ms;
}

static bool begin_tick(struct nilai_lane *lane, int64_t wall_ms, struct nilai_turn *turn)
{
    if (!lane->options.follow_wall_clock || lane->phase != NILAI_LANE_LIVE
        || lane->tick_s == wall_ms / 1000 || !nilai_merge_is_at_end(lane->merge)
        || nilai_partition_clock_ms(lane->state) >= wall_ms)
        return false;
    turn->clock_ms = tick_to(lane, wall_ms);
    if (turn->clock_ms == wall_ms)
        lane->tick_s = wall_ms / 1000;
    return true;
}

static bool form_turn(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms, int64_t *wake_ms,
                      struct nilai_turn *turn)
{
    if (lane->has_again)
        return form_again(lane, now_ms, wall_ms, wake_ms, turn);
    form_batch(lane, now_ms, wall_ms, wake_ms, turn);
    lane->suppressed = false;
    turn->number = lane->scribe != NULL ? nilai_scribe_next_turn(lane->scribe) : 0;
    if (lane->batch.count > 0 || lane->batch.bad_count > 0)
        return true;
    if (nilai_merge_is_held(lane->merge)) {
        lane->phase = NILAI_LANE_FINISHED;
        return false;
    }
    return begin_tick(lane, wall_ms, turn);
}

static uint64_t count_bytes(const struct nilai_batch *batch)
{
    uint64_t bytes = 0;
    for (size_t index = 0; index < batch->count; index++) {
        const struct nilai_input *input = &nilai_arrival_of(batch->events[index])->input;
        bytes += input->key_size + input->value_size;
    }
    return bytes;
}

bool nilai_lane_begin(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms, int64_t *wake_ms)
{
    NILAI_ASSERT(!lane->in_turn);
    struct nilai_turn turn = {.clock_ms = -1};
    lane->now_ms = now_ms;
    if (lane->phase == NILAI_LANE_FINISHED || lane->phase == NILAI_LANE_LOADING
        || !form_turn(lane, now_ms, wall_ms, wake_ms, &turn))
        return false;
    lane->batch_bytes = lane->scribe != NULL ? count_bytes(&lane->batch) : 0;
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
    if (status == NILAI_OK && lane->suppressed)
        return nilai_restore_effects(nilai_recall_restore(lane->recall), effects);
    if (status == NILAI_OK && effects->count > 0)
        lane->published = true;
    return status;
}

enum nilai_status nilai_lane_make_room(struct nilai_lane *lane, struct nilai_sink *sink)
{
    NILAI_ASSERT(lane->in_turn && !lane->suppressed);
    return lane->scribe != NULL ? nilai_scribe_make_room(lane->scribe, sink) : NILAI_OK;
}

void nilai_lane_published(struct nilai_lane *lane, const struct nilai_effect *effect)
{
    NILAI_ASSERT(lane->in_turn && !lane->suppressed);
    if (lane->scribe != NULL)
        nilai_scribe_mark(lane->scribe, effect);
}

void nilai_lane_break_off(struct nilai_lane *lane, struct nilai_source *source)
{
    NILAI_ASSERT(lane->in_turn);
    nilai_merge_release(lane->merge, give_back, source);
    lane->batch.count = lane->batch.bad_count = 0;
    lane->in_turn = false;
}

static void move_on(struct nilai_lane *lane)
{
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        int64_t offset = nilai_merge_offset(lane->merge, topic);
        if (offset > lane->reached.offsets[topic])
            lane->reached.offsets[topic] = offset;
    }
    lane->reached.clock_ms = nilai_partition_clock_ms(lane->state);
    lane->reached.wall_ms = lane->wall_ms;
}

/* After a piece of a turn that is applied again. The turn ends where it was said to, also when the
 * input ends further on, behind what is no message (the end of a transaction, say): the next one
 * goes on from there. */
static enum nilai_status end_piece(struct nilai_lane *lane, size_t events)
{
    lane->again_events += (uint32_t)events;
    if (!lane->last_piece)
        return NILAI_OK;
    lane->has_again = false;
    if (is_journaled(lane))
        lane->reached = lane->again.to;
    else
        memcpy(lane->reached.offsets, lane->again.to.offsets, sizeof lane->reached.offsets);
    enum nilai_status status = nilai_restore_settle(nilai_recall_restore(lane->recall));
    return status == NILAI_OK ? recall_turn(lane) : status;
}

enum nilai_status nilai_lane_finish(struct nilai_lane *lane, struct nilai_source *source)
{
    size_t events = lane->batch.count;
    nilai_lane_break_off(lane, source);
    move_on(lane);
    if (lane->suppressed)
        return end_piece(lane, events);
    if (lane->scribe != NULL)
        nilai_scribe_turn(lane->scribe, &lane->reached, lane->batch_bytes);
    return NILAI_OK;
}

/* ---- commits ---- */

void nilai_lane_position(const struct nilai_lane *lane, struct nilai_position *position)
{
    NILAI_ASSERT(!lane->in_turn);
    *position = lane->committed;
    if (!is_past_replay(lane))
        return;
    for (uint32_t topic = 0; topic < lane->options.topic_count; topic++) {
        if (lane->reached.offsets[topic] > position->offsets[topic])
            position->offsets[topic] = lane->reached.offsets[topic];
    }
    if (lane->reached.clock_ms > position->clock_ms)
        position->clock_ms = lane->reached.clock_ms;
    if (lane->scribe != NULL) {
        position->turn = nilai_scribe_last_turn(lane->scribe);
        position->writer = lane->options.writer;
    }
}

static bool same_offsets(const struct nilai_lane *lane, const struct nilai_position *a,
                         const struct nilai_position *b)
{
    return memcmp(a->offsets, b->offsets, lane->options.topic_count * sizeof a->offsets[0]) == 0;
}

bool nilai_lane_is_dirty(const struct nilai_lane *lane)
{
    if (!is_past_replay(lane) || lane->in_turn)
        return false;
    struct nilai_position position;
    nilai_lane_position(lane, &position);
    return lane->published || !same_offsets(lane, &position, &lane->committed);
}

bool nilai_lane_wants_commit(struct nilai_lane *lane, int64_t now_ms)
{
    if (lane->in_turn || !is_past_replay(lane))
        return false;
    bool images = lane->scribe != NULL && nilai_scribe_is_due(lane->scribe, now_ms);
    return images || nilai_lane_is_dirty(lane);
}

enum nilai_status nilai_lane_put_part(struct nilai_lane *lane, struct nilai_sink *sink)
{
    if (lane->scribe == NULL)
        return NILAI_OK;
    lane->published = true; /* what was put, and is not held, has gone too far */
    return nilai_scribe_put_part(lane->scribe, sink);
}

enum nilai_status nilai_lane_put_journal(struct nilai_lane *lane, struct nilai_sink *sink,
                                         int64_t now_ms)
{
    if (lane->scribe == NULL)
        return NILAI_OK;
    lane->published = true; /* likewise */
    return nilai_scribe_put_commit(lane->scribe, sink, now_ms);
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
    if (lane->in_commit && lane->scribe != NULL)
        nilai_scribe_commit_held(lane->scribe);
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
    if (NILAI_MUTATION(positions_are_not_read_back))
        return true;
    return same_offsets(lane, position, &lane->committed)
           && position->clock_ms == lane->committed.clock_ms
           && position->turn == lane->committed.turn && position->writer == lane->committed.writer;
}

struct nilai_partition *nilai_lane_state(struct nilai_lane *lane)
{
    return lane->recall != NULL ? nilai_recall_state(lane->recall) : lane->state;
}

enum nilai_lane_retention nilai_lane_retention(const struct nilai_lane *lane,
                                               struct nilai_source *source)
{
    enum nilai_lane_retention worst = NILAI_RETENTION_FAR;
    for (uint32_t topic = 0; lane->scribe != NULL && topic < lane->options.topic_count; topic++) {
        int64_t needed = nilai_scribe_needed(lane->scribe)->offsets[topic];
        int64_t low = nilai_source_low(source, topic, lane->committed.partition);
        int64_t high = nilai_source_high(source, topic, lane->committed.partition);
        if (needed < 0 || low <= 0 || high < needed)
            continue; /* nothing was deleted yet, or nothing is known */
        if (low > needed)
            return NILAI_RETENTION_PAST;
        if (needed < high && needed - low < (high - low) / RETENTION_NEAR)
            worst = NILAI_RETENTION_NEAR_FLOOR;
    }
    return worst;
}

uint64_t nilai_lane_take_journal_bytes(struct nilai_lane *lane)
{
    return lane->scribe != NULL ? nilai_scribe_take_bytes(lane->scribe) : 0;
}
