#include <stdlib.h>
#include <string.h>

#include "process.h"

enum { GHOST_DELAY_MS = 4000 };

static struct sim_process *of(struct nilai_sink *base)
{
    return (struct sim_process *)((char *)base - offsetof(struct sim_process, sink.base));
}

static bool is_transactional(const struct sim_process *process)
{
    return process->config->delivery == NILAI_EXACTLY_ONCE;
}

static int own_id(const struct sim_process *process)
{
    return is_transactional(process) ? process->slot : SIM_NO_ID;
}

/* --- What is on its way ------------------------------------------------------------------ */

static void send(struct sim_sink *sink, struct sim_log *log, struct sim_message *message,
                 unsigned epoch)
{
    SIM_CHECK(sink->flight_count < SIM_FLIGHTS_MAX);
    sink->flights[sink->flight_count++]
        = (struct sim_flight){.log = log, .message = *message, .epoch = epoch};
    *message = (struct sim_message){0};
}

static bool has_room(const struct sim_sink *sink)
{
    return sink->flight_count < SIM_FLIGHTS_MAX;
}

static void forget_flight(struct sim_sink *sink, size_t index)
{
    sim_message_free(&sink->flights[index].message);
    memmove(&sink->flights[index], &sink->flights[index + 1],
            (sink->flight_count - index - 1) * sizeof sink->flights[0]);
    sink->flight_count--;
}

/* The first of the same log that has not arrived: the order within one log is kept. */
static size_t first_like(const struct sim_sink *sink, size_t which)
{
    size_t index = 0;
    while (sink->flights[index].log != sink->flights[which].log || sink->flights[index].arrived)
        index++;
    return index;
}

/* Something arrives, or is acknowledged. */
static void move_one(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    size_t index = (size_t)sim_below(process->broker, (int64_t)sink->flight_count);
    if (sink->flights[index].arrived) {
        forget_flight(sink, index);
        return;
    }
    struct sim_flight *flight = &sink->flights[first_like(sink, index)];
    enum sim_answer answer = sim_produce(process->broker, own_id(process), sink->epoch,
                                         flight->log, &flight->message);
    flight->arrived = answer == SIM_OK;
    if (answer == SIM_FENCED)
        forget_flight(sink, (size_t)(flight - sink->flights));
}

static void move_some(struct sim_process *process)
{
    if (process->dead || sim_chance(process->broker, process->faults->slow))
        return;
    int64_t moves = sim_below(process->broker, 40);
    for (; moves > 0 && process->sink.flight_count > 0; moves--)
        move_one(process);
}

static void forget_flights(struct sim_sink *sink)
{
    while (sink->flight_count > 0)
        forget_flight(sink, sink->flight_count - 1);
}

/* A random number of the first ones of each log is underway already. */
static void leave_ghosts(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    struct sim_log *lost[SIM_LOGS_MAX];
    size_t lost_count = 0;
    int64_t delay_ms = 0;
    for (size_t index = 0; index < sink->flight_count; index++) {
        struct sim_flight *flight = &sink->flights[index];
        bool gone = flight->arrived;
        for (size_t other = 0; other < lost_count; other++)
            gone |= lost[other] == flight->log;
        if (!gone && sim_chance(process->broker, 0.1))
            lost[lost_count++] = flight->log;
        else if (!gone)
            sim_haunt(process->broker, own_id(process), sink->epoch, flight->log,
                      &flight->message,
                      delay_ms += sim_below(process->broker,
                                            GHOST_DELAY_MS / (int64_t)sink->flight_count + 2));
    }
}

/* --- What waits here ---------------------------------------------------------------------- */

static enum nilai_status hold(struct sim_sink *sink, struct sim_log *log,
                              struct sim_message *message, unsigned epoch)
{
    if (sink->held_count >= sink->held_max) {
        sim_message_free(message);
        return NILAI_AGAIN;
    }
    sink->held[sink->held_count++]
        = (struct sim_flight){.log = log, .message = *message, .epoch = epoch};
    return NILAI_OK;
}

static void send_held(struct sim_sink *sink)
{
    send(sink, sink->held[0].log, &sink->held[0].message, sink->held[0].epoch);
    memmove(&sink->held[0], &sink->held[1], --sink->held_count * sizeof sink->held[0]);
}

static void forget_held(struct sim_sink *sink)
{
    while (sink->held_count > 0)
        sim_message_free(&sink->held[--sink->held_count].message);
}

/* With the generation of the group as it is now: a later one would let through what the group must
 * refuse. */
static void remember_positions(struct sim_process *process, const struct nilai_position *list,
                               size_t count)
{
    struct sim_sink *sink = &process->sink;
    SIM_CHECK(!sink->commit_asked && count > 0 && count <= SIM_PARTITIONS_MAX);
    sink->generation = process->generation;
    sink->member = process->member;
    sink->assignment = process->assignment;
    memcpy(sink->positions, list, count * sizeof *list);
    sink->position_count = count;
    sink->commit_asked = true;
}

static void wait_a_little(struct sim_process *process, int timeout_ms)
{
    if (timeout_ms > 0 && !process->dead)
        process->broker->idle(process->broker->idle_context, timeout_ms);
}

/* --- The transactional sink ----------------------------------------------------------------- */

static enum nilai_status transaction_put(struct nilai_sink *base, const struct nilai_output *output)
{
    struct sim_process *process = of(base);
    struct sim_sink *sink = &process->sink;
    if (sink->failed)
        return NILAI_FAILED;
    /* What is put after a commit was asked for must not get into its transaction. */
    if (sink->stage == SIM_STAGE_OPEN && (sink->commit_asked || sink->abort_asked))
        return NILAI_AGAIN;
    struct sim_log *log = sim_output_log(process->broker, output);
    struct sim_message message = sim_message_of(output);
    if (sink->stage != SIM_STAGE_OPEN || sink->held_count > 0)
        return hold(sink, log, &message, 0);
    if (!has_room(sink)) {
        sim_message_free(&message);
        return NILAI_AGAIN;
    }
    send(sink, log, &message, 0);
    if (!sink->open)
        sink->opened_ms = process->broker->now_ms;
    sink->open = true;
    return NILAI_OK;
}

static enum nilai_status transaction_commit(struct nilai_sink *base,
                                            const struct nilai_position *list, size_t count)
{
    struct sim_sink *sink = &of(base)->sink;
    if (sink->commit_asked || sink->abort_asked)
        return NILAI_AGAIN;
    remember_positions(of(base), list, count);
    return NILAI_OK;
}

static void transaction_abort(struct nilai_sink *base)
{
    of(base)->sink.abort_asked = true;
}

/* Everything that no commit holds is gone. */
static enum nilai_commit_state end_aborted(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    forget_flights(sink);
    forget_held(sink);
    sink->stage = SIM_STAGE_OPEN;
    sink->open = sink->commit_asked = sink->abort_asked = sink->fenced_once = false;
    process->aborted++;
    return NILAI_COMMIT_ABORTED;
}

static void begin_init(struct sim_sink *sink)
{
    forget_flights(sink);
    sink->fenced_once = false;
    sink->stage = SIM_STAGE_INIT;
}

/* By the brokers, for our transaction took too long; or by somebody with our name. */
static enum nilai_status be_fenced(struct sim_process *process, struct nilai_error *error)
{
    struct sim_sink *sink = &process->sink;
    int64_t open_ms = process->broker->now_ms - sink->opened_ms;
    if (!sink->open || open_ms < process->broker->ids[process->slot].timeout_ms) {
        sink->failed = true;
        return nilai_error_set(error, NILAI_CONFIG, "fenced: another process writes as us");
    }
    begin_init(sink);
    return NILAI_OK;
}

static enum nilai_status send_offsets(struct sim_process *process, struct nilai_error *error)
{
    struct sim_sink *sink = &process->sink;
    if (!sink->open)
        sink->opened_ms = process->broker->now_ms;
    sink->open = true;
    enum sim_answer answer = sim_add_offsets(
        process->broker, process->slot, sink->epoch, process->slot, sink->member,
        sink->generation, sink->positions, sink->position_count);
    process->refused += answer == SIM_REFUSED;
    if (answer == SIM_FENCED)
        return be_fenced(process, error);
    if (answer != SIM_WAIT)
        sink->stage = answer == SIM_OK ? SIM_STAGE_END : SIM_STAGE_ABORT;
    return NILAI_OK;
}

static enum nilai_status end_transaction(struct sim_process *process,
                                         enum nilai_commit_state *state,
                                         struct nilai_error *error)
{
    struct sim_sink *sink = &process->sink;
    if (sim_chance(process->broker, process->faults->answer_lost)) {
        if (sim_chance(process->broker, 0.5))
            (void)sim_end(process->broker, process->slot, sink->epoch, true);
        process->lost_answers++;
        begin_init(sink);
        return NILAI_OK;
    }
    if (sim_end(process->broker, process->slot, sink->epoch, true) == SIM_FENCED)
        return be_fenced(process, error);
    sink->stage = SIM_STAGE_OPEN;
    sink->open = sink->commit_asked = false;
    *state = NILAI_COMMIT_DONE;
    return NILAI_OK;
}

static enum nilai_status abort_transaction(struct sim_process *process,
                                           enum nilai_commit_state *state,
                                           struct nilai_error *error)
{
    struct sim_sink *sink = &process->sink;
    if (sim_chance(process->broker, 0.2)) {
        begin_init(sink);
        return NILAI_OK;
    }
    if (sim_end(process->broker, process->slot, sink->epoch, false) == SIM_FENCED)
        return be_fenced(process, error);
    *state = end_aborted(process);
    return NILAI_OK;
}

/* True: the id is ours, and what was open under it is decided. */
static bool init_transactions(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    struct sim_id *id = &process->broker->ids[process->slot];
    if (!sink->fenced_once || sink->epoch != id->epoch)
        sink->epoch = sim_fence(process->broker, process->slot);
    sink->fenced_once = true;
    return id->state == SIM_NO_TRANSACTION;
}

static void flush(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    if (sink->flight_count > 0)
        return;
    sink->stage = sim_chance(process->broker, process->faults->commit_aborted)
                      ? SIM_STAGE_ABORT
                      : SIM_STAGE_OFFSETS;
}

static enum nilai_commit_state begin_something(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    if (sink->abort_asked && !sink->open)
        return end_aborted(process);
    while (!sink->abort_asked && sink->held_count > 0 && has_room(sink)) {
        if (!sink->open)
            sink->opened_ms = process->broker->now_ms;
        sink->open = true;
        send_held(sink);
    }
    if (sink->abort_asked
        || (sink->open && sim_chance(process->broker, process->faults->broken)))
        sink->stage = SIM_STAGE_ABORT;
    else if (sink->commit_asked && sink->held_count == 0)
        sink->stage = SIM_STAGE_FLUSH;
    return sink->commit_asked ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
}

static enum nilai_status advance(struct sim_process *process, enum nilai_commit_state *state,
                                 struct nilai_error *error)
{
    switch (process->sink.stage) {
    case SIM_STAGE_OPEN:
        *state = begin_something(process);
        return NILAI_OK;
    case SIM_STAGE_FLUSH:
        flush(process);
        return NILAI_OK;
    case SIM_STAGE_OFFSETS:
        return send_offsets(process, error);
    case SIM_STAGE_END:
        return end_transaction(process, state, error);
    case SIM_STAGE_ABORT:
        return abort_transaction(process, state, error);
    case SIM_STAGE_INIT:
        if (init_transactions(process))
            *state = end_aborted(process);
        return NILAI_OK;
    case SIM_STAGE_STATE:
        break;
    }
    sim_fail("a sink is in no stage");
}

static enum nilai_status transaction_poll(struct nilai_sink *base, int timeout_ms,
                                          enum nilai_commit_state *state,
                                          struct nilai_error *error)
{
    struct sim_process *process = of(base);
    struct sim_sink *sink = &process->sink;
    wait_a_little(process, timeout_ms);
    move_some(process);
    *state = sink->commit_asked ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
    if (process->dead) {
        if (sink->abort_asked || sink->commit_asked)
            *state = end_aborted(process);
        return NILAI_OK;
    }
    if (sink->failed)
        return nilai_error_set(error, NILAI_CONFIG, "fenced: another process writes as us");
    if (sim_chance(process->broker, process->faults->slow))
        return NILAI_OK;
    return advance(process, state, error);
}

/* --- The plain sink ------------------------------------------------------------------------- */

/* What was put for the journal under another assignment must not be written any more. */
static void forget_epoch(struct sim_sink *sink, unsigned epoch)
{
    size_t left = 0;
    for (size_t index = 0; index < sink->held_count; index++) {
        if (sink->held[index].epoch == epoch)
            sim_message_free(&sink->held[index].message);
        else
            sink->held[left++] = sink->held[index];
    }
    sink->held_count = left;
}

static enum nilai_status plain_put(struct nilai_sink *base, const struct nilai_output *output)
{
    struct sim_process *process = of(base);
    struct sim_sink *sink = &process->sink;
    struct sim_log *log = sim_output_log(process->broker, output);
    struct sim_message message = sim_message_of(output);
    if (output->topic == NILAI_OUTPUT_STATE) {
        if (sink->held_assignment != process->assignment)
            forget_epoch(sink, sink->epoch);
        sink->held_assignment = process->assignment;
        return hold(sink, log, &message, sink->epoch);
    }
    if (!has_room(sink)) {
        sim_message_free(&message);
        return NILAI_AGAIN;
    }
    send(sink, log, &message, sink->epoch);
    return NILAI_OK;
}

static enum nilai_status plain_commit(struct nilai_sink *base, const struct nilai_position *list,
                                      size_t count)
{
    struct sim_sink *sink = &of(base)->sink;
    if (sink->commit_asked)
        return NILAI_AGAIN;
    remember_positions(of(base), list, count);
    if (sink->held_assignment != sink->assignment)
        forget_epoch(sink, sink->epoch);
    sink->stage = SIM_STAGE_FLUSH;
    sink->epoch++;
    return NILAI_OK;
}

/* Of the epoch that is being committed, and of the state or of the rest; the held ones are all
 * of the state. */
static bool is_awaited(const struct sim_sink *sink)
{
    for (size_t index = 0; index < sink->flight_count; index++) {
        if (sink->flights[index].epoch != sink->epoch)
            return true;
    }
    return false;
}

static bool send_journal(struct sim_sink *sink)
{
    while (sink->held_count > 0 && sink->held[0].epoch != sink->epoch && has_room(sink))
        send_held(sink);
    return sink->held_count == 0 || sink->held[0].epoch == sink->epoch;
}

static enum nilai_commit_state end_plainly(struct sim_process *process, bool refused)
{
    process->refused += refused;
    process->sink.commit_asked = false;
    process->sink.stage = SIM_STAGE_OPEN;
    return refused ? NILAI_COMMIT_REFUSED : NILAI_COMMIT_DONE;
}

static enum nilai_commit_state commit_plainly(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    bool refused = sim_chance(process->broker, process->faults->commit_refused)
                   || sim_commit_offsets(process->broker, process->slot, sink->member,
                                         sink->generation, sink->positions,
                                         sink->position_count)
                          != SIM_OK;
    return end_plainly(process, refused);
}

/* The assignment under which the commit was asked for is gone, and we know it. */
static bool is_outdated(const struct sim_process *process)
{
    return process->assignment != process->sink.assignment
           && (process->sink.stage == SIM_STAGE_STATE || process->sink.stage == SIM_STAGE_OFFSETS);
}

static enum nilai_status plain_poll(struct nilai_sink *base, int timeout_ms,
                                    enum nilai_commit_state *state, struct nilai_error *error)
{
    struct sim_process *process = of(base);
    struct sim_sink *sink = &process->sink;
    (void)error;
    wait_a_little(process, timeout_ms);
    move_some(process);
    *state = sink->commit_asked ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
    if (process->dead || sim_chance(process->broker, process->faults->slow))
        return NILAI_OK;
    if (is_outdated(process)) {
        forget_epoch(sink, sink->epoch - 1);
        *state = end_plainly(process, true);
    } else if (sink->stage == SIM_STAGE_FLUSH && !is_awaited(sink)) {
        sink->stage = SIM_STAGE_STATE;
    } else if (sink->stage == SIM_STAGE_STATE && send_journal(sink) && !is_awaited(sink)) {
        sink->stage = SIM_STAGE_OFFSETS;
    } else if (sink->stage == SIM_STAGE_OFFSETS) {
        *state = commit_plainly(process);
    }
    return NILAI_OK;
}

/* --- Storage -------------------------------------------------------------------------------- */

static void sink_close(struct nilai_sink *base)
{
    (void)base;
}

static const struct nilai_sink_ops transaction_ops = {.put = transaction_put,
                                                      .commit = transaction_commit,
                                                      .poll = transaction_poll,
                                                      .abort = transaction_abort,
                                                      .close = sink_close};

static const struct nilai_sink_ops plain_ops
    = {.put = plain_put, .commit = plain_commit, .poll = plain_poll, .close = sink_close};

void sim_sink_init(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    memset(sink, 0, sizeof *sink);
    sink->base.ops = is_transactional(process) ? &transaction_ops : &plain_ops;
    sink->held_max = is_transactional(process)
                         ? (size_t)sim_below(process->broker, SIM_OUTBOX_MAX)
                         : SIM_HELD_MAX;
}

bool sim_sink_is_ready(struct sim_process *process)
{
    if (!is_transactional(process))
        return true;
    if (!init_transactions(process))
        return false;
    process->sink.fenced_once = false;
    return true;
}

void sim_sink_fini(struct sim_process *process)
{
    struct sim_sink *sink = &process->sink;
    if (process->dead)
        leave_ghosts(process);
    else if (sink->open) /* as the real one does when it closes */
        (void)sim_end(process->broker, process->slot, sink->epoch, false);
    forget_flights(sink);
    forget_held(sink);
}
