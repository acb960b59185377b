#include "nilai/run/worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/hash.h"
#include "nilai/base/log.h"
#include "nilai/base/mutation.h"
#include "nilai/run/emit.h"
#include "nilai/run/lane.h"

enum {
    QUEUE_CAPACITY = 256,  /* arrivals a lane and topic */
    TURNS_PER_ROUND = 32,  /* then the loop looks at its timers again */
    STEPS_PER_ROUND = 32,  /* of one turn: a jump of the clock may fire millions of deadlines */
    SURVEY_EVERY_MS = 500, /* lag, memory, customers */
    SETTLE_POLL_MS = 10,
    SETTLE_POLLS_MAX = 3000,    /* 30 s: the group takes partitions from those who linger */
    SETTLE_COMMITS_MAX = 3,     /* a commit may be refused for a passing reason */
    COMMIT_OUTPUTS_MAX = 50000, /* messages; then a commit is due before its time */
    READ_PATIENCE_MS = 2000,    /* of lanes that have loaded with those that have not */
    LOAD_PAUSE_MS = 1,          /* the log wakes its reader, too */
    BACK_TIMES_MAX = 10,        /* that an input may go back, */
    BACK_PAUSE_MS = 1000,       /* no sooner after another, */
    BACK_CALM_MS = 60000,       /* until it has not for this long */
};

struct nilai_worker {
    struct nilai_worker_options options;
    struct nilai_decoder *decoder;
    struct nilai_emitter *emitter;
    struct nilai_lane **lanes; /* the assignment */
    size_t lane_count;
    struct nilai_lane **parked;
    size_t parked_count;
    size_t next_lane;
    struct nilai_lane *busy; /* its turn is not finished */
    size_t next_bad;
    uint32_t next_effect;
    bool step_done;
    bool commit_running;
    int commits_refused; /* since `settle` began */
    /* A commit that is being put together: no turn begins before it is complete. */
    bool commit_waits;     /* for room in the sink */
    bool commit_half_lane; /* the journal of `commit_lane` is put in part */
    size_t commit_part, commit_lane, commit_used;
    uint32_t outputs;     /* put since the last commit was begun */
    bool start_reading;   /* lanes have loaded that nothing is read for yet */
    bool read_now;        /* and it is time to */
    int64_t loaded_at_ms; /* the first of them */
    int64_t back_at_ms;   /* when reading had to begin again because an input went back */
    int times_back;
    uint64_t opened;   /* lanes so far */
    uint64_t settings; /* hash of what results depend on */
    struct nilai_survey survey;
    bool taken_back; /* by the sink: lanes with something to commit have gone too far */
    bool unsettled;  /* what was last given up was not committed */
    bool assigned;   /* the group has said what is ours, which may be nothing */
    int64_t now_ms, wall_ms;
    int64_t committed_at_ms;
    struct nilai_position *positions; /* of a commit; room for every lane */
    enum nilai_status failure;
    struct nilai_error error;
    struct nilai_effects effects;
};

static void count(struct nilai_worker *worker, enum nilai_counter counter, uint64_t amount)
{
    nilai_counter_add(worker->options.counters, counter, amount);
}

static enum nilai_status fail(struct nilai_worker *worker, enum nilai_status status,
                              const char *text)
{
    return nilai_error_set(&worker->error, status, "%s", text);
}

/* Why the sink failed: its next poll says so. */
static enum nilai_status ask_sink(struct nilai_worker *worker)
{
    enum nilai_commit_state state;
    enum nilai_status status = nilai_sink_poll(worker->options.sink, 0, &state, &worker->error);
    return status != NILAI_OK ? status : fail(worker, NILAI_FAILED, "a message cannot be written");
}

/* What was read already comes again: the library went back, because a broker did not know our
 * offset for a moment or because it lost it itself, and reading from where the lanes stand mends
 * that. Or the topic is another by the same name, and nothing does. Until reading begins again,
 * what was read already is dropped; nothing else is. */
static enum nilai_status read_again(struct nilai_worker *worker, const struct nilai_lane *lane)
{
    if (worker->start_reading)
        return NILAI_OK;
    int64_t calm_ms = worker->now_ms - worker->back_at_ms;
    if (worker->times_back > 0 && calm_ms >= BACK_CALM_MS)
        worker->times_back = 0;
    if (worker->times_back == BACK_TIMES_MAX)
        return worker->options.state_log != NULL ? NILAI_CONFIG : NILAI_UNREACHABLE;
    worker->back_at_ms = worker->now_ms;
    if (worker->times_back++ > 0 && calm_ms < BACK_PAUSE_MS)
        worker->back_at_ms += BACK_PAUSE_MS - calm_ms;
    worker->start_reading = true;
    nilai_log(NILAI_LOG_WARNING,
              "partition %" PRId32 ": messages came again that were read already; all are read "
              "anew from where they were (%d of %d times within %d s)",
              nilai_lane_partition(lane), worker->times_back, BACK_TIMES_MAX, BACK_CALM_MS / 1000);
    return NILAI_OK;
}

/* Likewise the source. */
static enum nilai_status judge_fill(struct nilai_worker *worker, const struct nilai_lane *lane,
                                    enum nilai_status filled)
{
    if (filled == NILAI_AGAIN)
        return read_again(worker, lane);
    if (filled == NILAI_INVALID)
        return NILAI_CONFIG;
    enum nilai_status status = nilai_source_poll(worker->options.source, &worker->error);
    return status != NILAI_OK ? status : fail(worker, NILAI_FAILED, "messages cannot be read");
}

/* Output that could not be written for another reason than room. */
static enum nilai_status checked_put(struct nilai_worker *worker, enum nilai_status status)
{
    if (status == NILAI_AGAIN)
        count(worker, NILAI_COUNTER_SINK_FULL, 1);
    else if (status == NILAI_NO_MEMORY)
        return fail(worker, status, "out of memory while writing a message");
    else if (status != NILAI_OK)
        return ask_sink(worker);
    return status;
}

/* --- One turn ------------------------------------------------------------------------- */

static enum nilai_status put_bad(struct nilai_worker *worker)
{
    const struct nilai_batch *batch = nilai_lane_batch(worker->busy);
    for (; worker->next_bad < batch->bad_count; worker->next_bad++) {
        const struct nilai_arrival *arrival = batch->bad[worker->next_bad];
        enum nilai_status status = nilai_emit_dead_letter(
            worker->emitter, worker->options.source, arrival, batch->bad_topics[worker->next_bad],
            nilai_lane_partition(worker->busy));
        if (status != NILAI_OK)
            return checked_put(worker, status);
        count(worker, NILAI_COUNTER_BAD + arrival->reject.class, 1);
        worker->outputs++;
    }
    return NILAI_OK;
}

static void note_change(struct nilai_worker *worker, const struct nilai_effect *effect)
{
    count(worker, effect->change.is_band ? NILAI_COUNTER_CHURN_RISK : NILAI_COUNTER_VALUE_SEGMENT,
          1);
    worker->outputs++;
    if (worker->options.observe != NULL)
        worker->options.observe(worker->options.observe_context, effect);
}

/* Publishes changes; the journal has a mark of each, and of each erasure. */
static enum nilai_status put_effects(struct nilai_worker *worker)
{
    for (; worker->next_effect < worker->effects.count; worker->next_effect++) {
        const struct nilai_effect *effect = &worker->effects.list[worker->next_effect];
        enum nilai_status status = nilai_lane_make_room(worker->busy, worker->options.sink);
        if (status == NILAI_OK && !effect->erased)
            status = nilai_emit_change(worker->emitter, effect);
        if (status != NILAI_OK)
            return checked_put(worker, status);
        nilai_lane_published(worker->busy, effect);
        if (!effect->erased)
            note_change(worker, effect);
    }
    return NILAI_OK;
}

static enum nilai_status step(struct nilai_worker *worker)
{
    worker->next_effect = 0;
    enum nilai_status status = nilai_lane_step(worker->busy, &worker->effects, &worker->step_done);
    if (status == NILAI_FULL)
        return fail(worker, status,
                    "state.memory_max is reached: raise it, or add another process");
    if (status != NILAI_OK)
        return fail(worker, status, "out of memory for the state of customers");
    return NILAI_OK;
}

static bool forget_touched(void *context, struct nilai_text id,
                           const struct nilai_customer *customer,
                           const struct nilai_service *service)
{
    (void)context, (void)id, (void)customer, (void)service;
    return true;
}

static enum nilai_status finish_turn(struct nilai_worker *worker)
{
    struct nilai_lane *lane = worker->busy;
    bool suppressed = nilai_lane_is_suppressed(lane);
    count(worker, suppressed ? NILAI_COUNTER_REPLAYED : NILAI_COUNTER_EVENTS,
          nilai_lane_batch(lane)->count);
    if (suppressed && worker->options.config->customers_feed)
        nilai_partition_take_touched(nilai_lane_state(lane), forget_touched, NULL);
    worker->busy = NULL;
    enum nilai_status status = nilai_lane_finish(lane, worker->options.source);
    if (status == NILAI_INVALID)
        return fail(worker, NILAI_CONFIG, "the journal cannot be read to its end");
    return status == NILAI_OK ? status : fail(worker, status, "out of memory for a restore");
}

/* The list of erased customers holds a bounded number; a full one is emptied amid a turn. */
static enum nilai_status empty_touched(struct nilai_worker *worker, bool suppressed)
{
    struct nilai_partition *state = nilai_lane_state(worker->busy);
    if (!worker->options.config->customers_feed || !nilai_partition_touched_full(state))
        return NILAI_OK;
    if (!suppressed)
        return checked_put(worker, nilai_emit_feed(worker->emitter, state));
    nilai_partition_take_touched(state, forget_touched, NULL);
    return NILAI_OK;
}

/* Goes on with the turn at hand. NILAI_AGAIN: the sink has no room. NILAI_BUSY: there is more to
 * do, but others wait. */
static enum nilai_status advance_turn(struct nilai_worker *worker)
{
    bool suppressed = nilai_lane_is_suppressed(worker->busy);
    enum nilai_status status = suppressed ? NILAI_OK : put_bad(worker);
    for (int steps = 0; status == NILAI_OK; steps++) {
        if (!suppressed)
            status = put_effects(worker);
        if (status != NILAI_OK || worker->step_done)
            break;
        status = steps < STEPS_PER_ROUND ? empty_touched(worker, suppressed) : NILAI_BUSY;
        if (status == NILAI_OK)
            status = step(worker);
    }
    /* A turn need not bring anything, and yet its end takes room in the journal. */
    if (status == NILAI_OK && !suppressed)
        status = checked_put(worker, nilai_lane_make_room(worker->busy, worker->options.sink));
    return status == NILAI_OK ? finish_turn(worker) : status;
}

static void begin_turn(struct nilai_worker *worker, struct nilai_lane *lane)
{
    worker->busy = lane;
    worker->next_bad = 0;
    worker->next_effect = 0;
    worker->effects.count = 0;
    worker->step_done = false;
}

/* Tries the lanes in turn until one begins a turn; NILAI_MISSING: none has anything to do. */
static enum nilai_status find_turn(struct nilai_worker *worker, int64_t *wake_ms)
{
    for (size_t tried = 0; tried < worker->lane_count; tried++) {
        struct nilai_lane *lane = worker->lanes[worker->next_lane++ % worker->lane_count];
        uint32_t taken;
        enum nilai_status status =
            nilai_lane_fill(lane, worker->options.source, &taken, &worker->error);
        if (status != NILAI_OK)
            status = judge_fill(worker, lane, status);
        if (status != NILAI_OK)
            return status;
        if (nilai_lane_begin(lane, worker->now_ms, worker->wall_ms, wake_ms)) {
            begin_turn(worker, lane);
            return NILAI_OK;
        }
    }
    return NILAI_MISSING;
}

static bool is_dirty(const struct nilai_worker *worker)
{
    for (size_t lane = 0; lane < worker->lane_count; lane++) {
        if (nilai_lane_is_dirty(worker->lanes[lane]))
            return true;
    }
    return false;
}

static bool is_commit_due(const struct nilai_worker *worker)
{
    int64_t since_ms = worker->now_ms - worker->committed_at_ms;
    return !worker->commit_running
           && (since_ms >= worker->options.config->commit_interval_ms
               || worker->outputs >= COMMIT_OUTPUTS_MAX);
}

/* Whether something has to be done between two turns: a commit that is due, or reading for lanes
 * that have loaded. With a slow sink there may be no other moment without a turn at hand. */
static bool is_boundary_needed(const struct nilai_worker *worker, int turn)
{
    return (worker->read_now && !NILAI_MUTATION(holes_are_taken))
           || (turn > 0 && is_commit_due(worker) && is_dirty(worker));
}

/* Works off what is there, for a bounded number of turns. */
static enum nilai_status pump(struct nilai_worker *worker, int64_t *wake_ms)
{
    for (int turn = 0; turn < TURNS_PER_ROUND; turn++) {
        if (worker->busy == NULL && is_boundary_needed(worker, turn))
            break;
        if (worker->busy == NULL) {
            enum nilai_status found = find_turn(worker, wake_ms);
            if (found != NILAI_OK)
                return found == NILAI_MISSING ? NILAI_OK : found;
        }
        enum nilai_status status = advance_turn(worker);
        if (status == NILAI_BUSY)
            break;
        if (status != NILAI_OK)
            return status;
    }
    *wake_ms = worker->now_ms;
    return NILAI_OK;
}

/* --- Commits -------------------------------------------------------------------------- */

/* What the feed says of a customer belongs to the commit of the events that touched them. */
static enum nilai_status put_feed(struct nilai_worker *worker)
{
    enum nilai_status status = NILAI_OK;
    if (!worker->options.config->customers_feed)
        return NILAI_OK;
    for (size_t lane = 0; lane < worker->lane_count && status == NILAI_OK; lane++) {
        if (nilai_lane_is_dirty(worker->lanes[lane]))
            status = nilai_emit_feed(worker->emitter, nilai_lane_state(worker->lanes[lane]));
    }
    return status;
}

/* First the last parts of all: the brokers must be told of every partition that a transaction
 * writes to, and without images in between that is one question for all journals. */
static enum nilai_status put_parts(struct nilai_worker *worker)
{
    for (; worker->commit_part < worker->lane_count; worker->commit_part++) {
        struct nilai_lane *lane = worker->lanes[worker->commit_part];
        if (!nilai_lane_wants_commit(lane, worker->now_ms))
            continue;
        enum nilai_status status = nilai_lane_put_part(lane, worker->options.sink);
        if (status != NILAI_OK)
            return status;
    }
    return NILAI_OK;
}

/* The journals, and the positions with them. */
static enum nilai_status put_journals(struct nilai_worker *worker)
{
    for (; worker->commit_lane < worker->lane_count; worker->commit_lane++) {
        struct nilai_lane *lane = worker->lanes[worker->commit_lane];
        if (!worker->commit_half_lane && !nilai_lane_wants_commit(lane, worker->now_ms))
            continue;
        worker->commit_half_lane = true;
        enum nilai_status status =
            nilai_lane_put_journal(lane, worker->options.sink, worker->now_ms);
        count(worker, NILAI_COUNTER_JOURNAL_BYTES, nilai_lane_take_journal_bytes(lane));
        if (status != NILAI_OK)
            return status;
        worker->commit_half_lane = false;
        struct nilai_position *position = &worker->positions[worker->commit_used++];
        nilai_lane_position(lane, position);
        nilai_lane_commit_begun(lane, position);
    }
    return NILAI_OK;
}

static void forget_commit(struct nilai_worker *worker)
{
    worker->commit_waits = worker->commit_half_lane = false;
    worker->commit_part = worker->commit_lane = worker->commit_used = 0;
}

/* NILAI_AGAIN: the sink has no room for all of it yet. */
static enum nilai_status begin_commit(struct nilai_worker *worker)
{
    NILAI_ASSERT(worker->busy == NULL && !worker->commit_running);
    enum nilai_status status = put_feed(worker);
    if (status == NILAI_OK)
        status = put_parts(worker);
    if (status == NILAI_OK)
        status = put_journals(worker);
    worker->commit_waits = status == NILAI_AGAIN;
    if (status != NILAI_OK)
        return checked_put(worker, status);

    size_t used = worker->commit_used;
    forget_commit(worker);
    if (used == 0)
        return NILAI_OK;
    status = nilai_sink_commit(worker->options.sink, worker->positions, used);
    if (status != NILAI_OK)
        return fail(worker, NILAI_FAILED, "a commit cannot be begun");
    worker->commit_running = true;
    worker->committed_at_ms = worker->now_ms;
    worker->outputs = 0;
    return NILAI_OK;
}

static void end_commit(struct nilai_worker *worker, bool holds)
{
    NILAI_ASSERT(worker->commit_running);
    worker->commit_running = false;
    worker->commits_refused += !holds;
    count(worker, holds ? NILAI_COUNTER_COMMITS : NILAI_COUNTER_COMMITS_REFUSED, 1);
    for (size_t lane = 0; lane < worker->lane_count; lane++) {
        if (holds)
            nilai_lane_commit_done(worker->lanes[lane]);
        else
            nilai_lane_commit_refused(worker->lanes[lane]);
    }
}

static enum nilai_status poll_sink(struct nilai_worker *worker, int timeout_ms)
{
    enum nilai_commit_state state;
    enum nilai_status status =
        nilai_sink_poll(worker->options.sink, timeout_ms, &state, &worker->error);
    if (status != NILAI_OK || state == NILAI_COMMIT_IDLE || state == NILAI_COMMIT_RUNNING)
        return status;
    if (worker->commit_running)
        end_commit(worker, state == NILAI_COMMIT_DONE);
    worker->taken_back |= state == NILAI_COMMIT_ABORTED && !NILAI_MUTATION(aborted_lanes_go_on);
    return NILAI_OK;
}

/* Has the worker come back when a commit will be due. */
static void await_commit(const struct nilai_worker *worker, int64_t *wake_ms)
{
    int64_t due_ms = worker->committed_at_ms + worker->options.config->commit_interval_ms;
    if (due_ms > worker->now_ms && due_ms < *wake_ms && is_dirty(worker))
        *wake_ms = due_ms;
}

static enum nilai_status commit_if_due(struct nilai_worker *worker, int64_t *wake_ms)
{
    if (worker->busy != NULL || worker->commit_running)
        return NILAI_OK;
    if (!worker->commit_waits && (!is_commit_due(worker) || worker->read_now)) {
        await_commit(worker, wake_ms);
        return NILAI_OK;
    }
    enum nilai_status status = begin_commit(worker);
    /* What was asked for begins with the sink's next poll. */
    return status == NILAI_OK && worker->commit_running ? poll_sink(worker, 0) : status;
}

/* One step towards everything being published and committed; true: it is, or cannot be. */
static bool settle_step(struct nilai_worker *worker, enum nilai_status *status)
{
    if (worker->taken_back)
        return true;
    *status = worker->busy != NULL ? advance_turn(worker) : NILAI_OK;
    if (*status == NILAI_OK && !worker->commit_running) {
        if (worker->commits_refused >= SETTLE_COMMITS_MAX
            || (!worker->commit_waits && !is_dirty(worker)))
            return true;
        *status = begin_commit(worker);
    }
    if (*status == NILAI_BUSY)
        *status = poll_sink(worker, 0);
    else if (*status == NILAI_OK || *status == NILAI_AGAIN)
        *status = poll_sink(worker, SETTLE_POLL_MS);
    return *status != NILAI_OK;
}

/* Whether anything was put that no commit holds. */
static bool is_ahead(const struct nilai_worker *worker)
{
    return worker->busy != NULL || worker->commit_running || worker->commit_waits
           || is_dirty(worker);
}

/* Finishes the turn at hand and commits; blocks, because it is called when partitions are taken
 * away and there is nothing else to do. */
static void settle(struct nilai_worker *worker)
{
    enum nilai_status status = NILAI_OK;
    bool ended = false;
    worker->commits_refused = 0;
    for (int poll = 0; poll < SETTLE_POLLS_MAX && !ended; poll++) {
        ended = settle_step(worker, &status);
        count(worker, NILAI_COUNTER_BEATS, 1);
    }
    if (ended && worker->failure == NILAI_OK)
        worker->failure = status;
    if (ended && (status != NILAI_OK || worker->taken_back || !is_ahead(worker)))
        return;
    worker->unsettled = true;
    nilai_log(NILAI_LOG_WARNING, "partitions are given up before their output was acknowledged; "
                                 "it will be published again");
}

/* Has the sink take back what belongs to partitions that are no longer ours: else it would
 * become visible with the next commit, next to what their new owner makes of the same events. */
static void take_back(struct nilai_worker *worker)
{
    nilai_log(NILAI_LOG_INFO, "partitions are given up; what was not committed of them is "
                              "taken back");
    nilai_sink_abort(worker->options.sink);
    for (int poll = 0; poll < SETTLE_POLLS_MAX && !worker->taken_back; poll++) {
        enum nilai_status status = poll_sink(worker, SETTLE_POLL_MS);
        if (status != NILAI_OK) {
            worker->failure = status;
            return;
        }
        count(worker, NILAI_COUNTER_BEATS, 1);
    }
    if (!worker->taken_back)
        worker->failure =
            fail(worker, NILAI_UNREACHABLE, "the brokers did not end a transaction in time");
}

/* --- The group ------------------------------------------------------------------------ */

static void drop_lane(struct nilai_worker *worker, struct nilai_lane *lane)
{
    if (worker->busy == lane) {
        nilai_lane_break_off(lane, worker->options.source);
        worker->busy = NULL;
    }
    nilai_lane_destroy(lane, worker->options.source);
}

static void drop_parked(struct nilai_worker *worker)
{
    while (worker->parked_count > 0)
        drop_lane(worker, worker->parked[--worker->parked_count]);
}

static bool survey(struct nilai_worker *worker)
{
    return nilai_survey_take(&worker->survey,
                             &(struct nilai_surveyed){
                                 .lanes = worker->lanes,
                                 .lane_count = worker->lane_count,
                                 .busy = worker->busy,
                                 .source = worker->options.source,
                                 .topic_count = (uint32_t)worker->options.config->input_topic_count,
                                 .counters = worker->options.counters,
                                 .budget = worker->options.budget,
                                 .now_ms = worker->now_ms,
                             });
}

static void on_revoked(void *context, bool lost)
{
    struct nilai_worker *worker = context;
    if (!lost && worker->failure == NILAI_OK)
        settle(worker);
    if (nilai_sink_can_abort(worker->options.sink) && worker->failure == NILAI_OK
        && !worker->taken_back && is_ahead(worker) && !NILAI_MUTATION(lost_is_not_taken_back))
        take_back(worker);
    /* What was parked and not given back since is still there when the end comes. */
    NILAI_ASSERT(worker->parked_count == 0 || worker->lane_count == 0);
    (void)survey(worker); /* so that the last figures are those of the end */
    for (size_t index = 0; index < worker->lane_count; index++) {
        struct nilai_lane *lane = worker->lanes[index];
        nilai_lane_commit_refused(lane); /* of one, too, that waited for room */
        /* Half of a turn cannot be taken up again; nor a journal of which somebody else may have
         * read another end. */
        bool gone_too_far = worker->taken_back || worker->options.state_log != NULL;
        if (lane == worker->busy || (gone_too_far && nilai_lane_is_dirty(lane))) {
            drop_lane(worker, lane);
            continue;
        }
        nilai_lane_rewind(lane, worker->options.source, worker->now_ms);
        worker->parked[worker->parked_count++] = lane;
    }
    worker->taken_back = false;
    worker->lane_count = 0;
    worker->start_reading = worker->read_now = false;
    forget_commit(worker);
    worker->assigned = false; /* the group is about to say what comes instead */
}

static bool make_room(struct nilai_worker *worker, size_t lanes)
{
    /* One more than needed: a size of 0 has no portable meaning. */
    struct nilai_lane **grown = reallocarray(worker->lanes, lanes + 1, sizeof(*grown));
    if (grown != NULL)
        worker->lanes = grown;
    struct nilai_position *positions =
        reallocarray(worker->positions, lanes + 1, sizeof *positions);
    if (positions != NULL)
        worker->positions = positions;
    return grown != NULL && positions != NULL;
}

/* What is parked stays so only until the assignment is known; `parked` is as long as `lanes`. */
static bool make_parking(struct nilai_worker *worker, size_t lanes)
{
    struct nilai_lane **grown = reallocarray(worker->parked, lanes + 1, sizeof(*grown));
    if (grown != NULL)
        worker->parked = grown;
    return grown != NULL;
}

/* Whether the committed position tells that nobody else has worked on a partition meanwhile. Where
 * the journal is written before the offsets are committed, somebody may have come as far as the
 * one and not as the other. */
static bool position_tells_all(const struct nilai_worker *worker)
{
    return worker->options.state_log == NULL || nilai_sink_can_abort(worker->options.sink);
}

static struct nilai_lane *take_parked(struct nilai_worker *worker,
                                      const struct nilai_position *committed)
{
    for (size_t index = 0; index < worker->parked_count; index++) {
        struct nilai_lane *lane = worker->parked[index];
        if (nilai_lane_partition(lane) != committed->partition)
            continue;
        if (!position_tells_all(worker) || !nilai_lane_is_committed_at(lane, committed))
            return NULL;
        worker->parked[index] = worker->parked[--worker->parked_count];
        return lane;
    }
    return NULL;
}

/* Random, as far as the process's seed is, and other than any before. */
static uint64_t next_writer(struct nilai_worker *worker)
{
    const uint64_t which[] = {worker->options.number, ++worker->opened};
    uint64_t writer = nilai_hash_seeded(which, sizeof which, worker->options.hash_seed);
    return writer != 0 ? writer : 1;
}

static struct nilai_lane *open_lane(struct nilai_worker *worker,
                                    const struct nilai_position *committed)
{
    const struct nilai_config *config = worker->options.config;
    const struct nilai_marks *marks = worker->options.marks;
    struct nilai_lane_options options = {
        .topic_count = (uint32_t)config->input_topic_count,
        .queue_capacity = QUEUE_CAPACITY,
        .max_idle_ms = config->merge_max_idle_ms,
        .follow_wall_clock = config->follow_wall_clock && marks == NULL,
        .has_marks = marks != NULL,
        .decoder = worker->decoder,
        .state = {.model = &config->model,
                  .limits = {.memory_max_bytes = worker->options.budget->max_bytes,
                             .hash_seed = worker->options.hash_seed},
                  .erase_remember_ms = config->erase_remember_ms,
                  .feed = config->customers_feed},
        .log = worker->options.state_log,
        .log_name = config->state_topic,
        .inputs = worker->options.inputs_hash,
        .settings = worker->settings,
        .writer = next_writer(worker),
        .image_ratio = config->image_ratio,
        .round_max_ms = config->image_round_max_ms,
    };
    if (marks != NULL) {
        NILAI_ASSERT(committed->partition < marks->partition_count);
        for (uint32_t topic = 0; topic < options.topic_count; topic++)
            options.marks[topic] =
                marks->ends[(int32_t)topic * marks->partition_count + committed->partition];
    }
    return nilai_lane_create(&options, committed, worker->now_ms);
}

/* Where to read for a lane, which may not be known yet. */
static void say_start(const struct nilai_lane *lane, struct nilai_assigned *assigned)
{
    assigned->skip = nilai_lane_phase(lane) == NILAI_LANE_FINISHED
                     || nilai_lane_phase(lane) == NILAI_LANE_LOADING;
    if (!assigned->skip)
        nilai_lane_start(lane, assigned->start);
}

/* Without a journal there is nothing to load. */
static bool load_at_once(struct nilai_worker *worker)
{
    for (size_t index = 0; index < worker->lane_count && worker->options.state_log == NULL;
         index++) {
        worker->failure = nilai_lane_load(worker->lanes[index], worker->now_ms, &worker->error);
        if (worker->failure != NILAI_OK)
            return false;
    }
    return true;
}

static void on_assigned(void *context, struct nilai_assigned *list, size_t list_count)
{
    struct nilai_worker *worker = context;
    NILAI_ASSERT(worker->lane_count == 0 && worker->busy == NULL);
    if (!make_room(worker, list_count)) {
        worker->failure = fail(worker, NILAI_NO_MEMORY, "out of memory for an assignment");
        return;
    }
    /* First all that go on, then the rest: what is not wanted any more makes room before. */
    struct nilai_lane **lanes = worker->lanes;
    for (size_t index = 0; index < list_count; index++)
        lanes[index] = take_parked(worker, &list[index].committed);
    drop_parked(worker);
    for (size_t index = 0; index < list_count; index++) {
        if (lanes[index] == NULL)
            lanes[index] = open_lane(worker, &list[index].committed);
        if (lanes[index] == NULL || !make_parking(worker, list_count)) {
            worker->failure = fail(worker, NILAI_NO_MEMORY, "out of memory for a partition");
            /* A hole would be in nobody's hands: keep those before it, end with the failure. */
            for (size_t other = index; other < list_count; other++) {
                if (lanes[other] != NULL)
                    drop_lane(worker, lanes[other]);
            }
            return;
        }
        worker->lane_count = index + 1;
    }
    if (!load_at_once(worker))
        return;
    for (size_t index = 0; index < list_count; index++)
        say_start(lanes[index], &list[index]);
    worker->start_reading = worker->read_now = false;
    worker->assigned = true;
    worker->unsettled = false;
}

/* --- Restoring ------------------------------------------------------------------------ */

static enum nilai_status load_lane(struct nilai_worker *worker, struct nilai_lane *lane)
{
    if (nilai_lane_phase(lane) != NILAI_LANE_LOADING)
        return NILAI_OK;
    enum nilai_status status = nilai_lane_load(lane, worker->now_ms, &worker->error);
    if (status == NILAI_OK && !worker->start_reading)
        worker->loaded_at_ms = worker->now_ms;
    worker->start_reading |= status == NILAI_OK;
    return status;
}

/* Everything that is assigned is read from where its lane stands. */
static enum nilai_status read_all(struct nilai_worker *worker)
{
    struct nilai_assigned *list = calloc(worker->lane_count + 1, sizeof *list);
    if (list == NULL)
        return fail(worker, NILAI_NO_MEMORY, "out of memory for an assignment");
    for (size_t index = 0; index < worker->lane_count; index++) {
        nilai_lane_rewind(worker->lanes[index], worker->options.source, worker->now_ms);
        list[index].committed.partition = nilai_lane_partition(worker->lanes[index]);
        say_start(worker->lanes[index], &list[index]);
    }
    enum nilai_status status =
        nilai_source_read(worker->options.source, list, worker->lane_count, &worker->error);
    worker->start_reading = worker->read_now = status == NILAI_AGAIN;
    free(list);
    /* NILAI_AGAIN: until then nothing may be taken, there would be a hole */
    return NILAI_MUTATION(holes_are_taken) && status == NILAI_AGAIN ? NILAI_OK : status;
}

/* Lanes that load go on; when all have loaded, reading begins, or when the others take long: to
 * begin anew costs what has arrived and was not taken. Not amid a turn, whose messages would be
 * dropped, or a commit, whose answer the lanes wait for. */
static enum nilai_status restore(struct nilai_worker *worker, int64_t *wake_ms)
{
    bool loading = false;
    for (size_t index = 0; index < worker->lane_count; index++) {
        enum nilai_status status = load_lane(worker, worker->lanes[index]);
        if (status != NILAI_OK && status != NILAI_AGAIN)
            return status;
        loading |= status == NILAI_AGAIN;
    }
    if (loading)
        *wake_ms = worker->now_ms + LOAD_PAUSE_MS;
    worker->read_now = worker->start_reading && worker->now_ms >= worker->back_at_ms
                       && (!loading || worker->now_ms - worker->loaded_at_ms >= READ_PATIENCE_MS);
    if (!worker->read_now || worker->busy != NULL || worker->commit_running || worker->commit_waits)
        return NILAI_OK;
    return read_all(worker);
}

/* --- Rounds --------------------------------------------------------------------------- */

static enum nilai_status survey_if_due(struct nilai_worker *worker)
{
    if (worker->now_ms - worker->survey.taken_at_ms < SURVEY_EVERY_MS)
        return NILAI_OK;
    if (!survey(worker))
        return fail(worker, NILAI_FULL,
                    "state.memory_max is reached: raise it, or add another process");
    return NILAI_OK;
}

/* The lanes that went too far begin again. NILAI_AGAIN: not before the group has spoken. */
static enum nilai_status restart(struct nilai_worker *worker)
{
    enum nilai_status status = NILAI_OK;
    if (worker->lane_count > 0) /* else they are gone already */
        status = nilai_source_restart(worker->options.source, &worker->error);
    else
        worker->taken_back = false;
    return status == NILAI_OK ? worker->failure : status;
}

static enum nilai_status work(struct nilai_worker *worker, int64_t *wake_ms)
{
    enum nilai_status status = poll_sink(worker, 0);
    if (status == NILAI_OK)
        status = nilai_source_poll(worker->options.source, &worker->error);
    if (status == NILAI_OK)
        status = worker->failure; /* of a call from within the poll */
    if (status == NILAI_OK && worker->taken_back)
        status = restart(worker);
    if (status == NILAI_OK && worker->options.state_log != NULL)
        status = worker->options.state_log->ops->poll(worker->options.state_log, &worker->error);
    if (status == NILAI_OK)
        status = restore(worker, wake_ms);
    if (status == NILAI_OK && !worker->commit_waits)
        status = pump(worker, wake_ms);
    if (status == NILAI_OK)
        status = commit_if_due(worker, wake_ms);
    if (status == NILAI_OK || status == NILAI_AGAIN)
        status = survey_if_due(worker);
    return status;
}

enum nilai_status nilai_worker_work(struct nilai_worker *worker, int64_t now_ms, int64_t wall_ms,
                                    int64_t *wake_ms, struct nilai_error *error)
{
    NILAI_ASSERT(worker->failure == NILAI_OK);
    worker->now_ms = now_ms;
    worker->wall_ms = wall_ms;
    *wake_ms = now_ms + (1000 - wall_ms % 1000); /* the next second may bring deadlines */
    count(worker, NILAI_COUNTER_BEATS, 1);
    worker->failure = work(worker, wake_ms);
    if (worker->failure != NILAI_OK)
        *error = worker->error;
    return worker->failure;
}

bool nilai_worker_is_done(const struct nilai_worker *worker)
{
    if (worker->options.marks == NULL || !worker->assigned || worker->busy != NULL
        || worker->commit_running || is_dirty(worker))
        return false;
    for (size_t lane = 0; lane < worker->lane_count; lane++) {
        if (nilai_lane_phase(worker->lanes[lane]) != NILAI_LANE_FINISHED)
            return false;
    }
    return true;
}

struct nilai_lane *nilai_worker_lane(struct nilai_worker *worker, size_t index)
{
    return index < worker->lane_count ? worker->lanes[index] : NULL;
}

enum nilai_status nilai_worker_result(const struct nilai_worker *worker, struct nilai_error *error)
{
    *error = worker->error;
    if (worker->failure == NILAI_OK && worker->unsettled)
        return nilai_error_set(error, NILAI_UNREACHABLE,
                               "the brokers did not acknowledge the last output in time; it will "
                               "be published again");
    return worker->failure;
}

struct nilai_worker *nilai_worker_create(const struct nilai_worker_options *options)
{
    struct nilai_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->options = *options;
    worker->settings = nilai_config_results_hash(options->config);
    struct nilai_decode_rules rules = nilai_config_decode_rules(options->config);
    worker->decoder = nilai_decoder_create(&rules);
    worker->emitter = nilai_emitter_create(options->config, options->sink);
    if (worker->decoder == NULL || worker->emitter == NULL) {
        nilai_worker_destroy(worker);
        return NULL;
    }
    worker->options.source->listener = (struct nilai_source_listener){
        .context = worker, .assigned = on_assigned, .revoked = on_revoked};
    return worker;
}

void nilai_worker_destroy(struct nilai_worker *worker)
{
    if (worker == NULL)
        return;
    NILAI_ASSERT(worker->lane_count == 0);
    drop_parked(worker);
    nilai_survey_end(&worker->survey, worker->options.budget);
    nilai_emitter_destroy(worker->emitter);
    if (worker->decoder != NULL)
        nilai_decoder_destroy(worker->decoder);
    free(worker->lanes);
    free(worker->parked);
    free(worker->positions);
    free(worker);
}
