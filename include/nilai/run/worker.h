/*
 * worker.h - the lanes that one thread owns: fill, turn, emit, commit.
 *
 * A worker stands between a source and a sink and knows neither threads nor Kafka nor clocks:
 * its loop (worker_loop.c) calls nilai_worker_work whenever something may have happened.
 *
 *   - Output for which the sink has no room is kept, and nothing more is taken until there
 *     is: a slow broker slows the reader, and memory stays bounded.
 *   - Positions are committed every commit.interval, between two turns, with everything put
 *     before; work goes on while a commit is on its way.
 *   - When a sink had to take output back, the lanes that it came from have gone further than
 *     what is published: they are restored from their journals, the others go on.
 *   - What is read for a lane depends on its journal: while lanes load, nothing is read for them;
 *     when all have loaded, the source begins anew for all.
 *   - When partitions are taken away, the turn at hand is finished, its output and position
 *     are committed, and the lanes are parked: a rebalance of the group takes everything away
 *     and mostly gives the same back. A parked lane goes on if the group's committed position
 *     is still the one the lane knows; otherwise somebody else has worked on it meanwhile, and
 *     the lane is restored. (Where the journal is written before the offsets are committed, at
 *     least once, the position does not tell, and every lane is restored.)
 *
 * Thread: one. Its counters and the budget may be read by others.
 */
#ifndef NILAI_RUN_WORKER_H
#define NILAI_RUN_WORKER_H

#include "nilai/io/sink.h"
#include "nilai/io/source.h"
#include "nilai/io/state_log.h"
#include "nilai/run/config.h"
#include "nilai/run/counters.h"
#include "nilai/run/survey.h"
#include "nilai/state/partition.h"

/* Where to stop: the end of every partition of every input topic when the process started. */
struct nilai_marks {
    int32_t partition_count;
    const int64_t *ends; /* [topic * partition_count + partition] */
};

/* Told of every change that was put into the sink, in the worker's thread; again if a
 * transactional sink took it back. */
typedef void (*nilai_change_fn)(void *context, const struct nilai_effect *effect);

struct nilai_worker_options {
    const struct nilai_config *config;
    struct nilai_source *source;
    struct nilai_sink *sink;
    struct nilai_state_log *state_log; /* NULL: there is no journal */
    uint64_t inputs_hash;              /* stands for the group, its topics and their days */
    uint32_t number;                   /* of the worker within the process */
    const struct nilai_marks *marks;   /* NULL: run on */
    struct nilai_counters *counters;
    struct nilai_budget *budget;
    uint64_t hash_seed;
    nilai_change_fn observe; /* or NULL */
    void *observe_context;
};

struct nilai_worker;
struct nilai_lane;

/* Everything that `options` points at outlives the worker. NULL when out of memory. */
struct nilai_worker *nilai_worker_create(const struct nilai_worker_options *options);
/* Between nilai_source_leave and nilai_source_close. */
void nilai_worker_destroy(struct nilai_worker *worker);

/* One round, of bounded length. *wake_ms: when to call again at the latest. Any status but OK
 * ends the worker: leave the source (nothing more will be committed), then destroy. */
NILAI_MUST_CHECK enum nilai_status nilai_worker_work(struct nilai_worker *worker, int64_t now_ms,
                                                     int64_t wall_ms, int64_t *wake_ms,
                                                     struct nilai_error *error);

/* Whether a mark is set for everything assigned, reached and committed. */
bool nilai_worker_is_done(const struct nilai_worker *worker);

/* What is assigned, by index; NULL: no more. For who looks in, between two calls. */
struct nilai_lane *nilai_worker_lane(struct nilai_worker *worker, size_t index);

/* The failure that ended the worker, also one that was met only while leaving. */
NILAI_MUST_CHECK enum nilai_status nilai_worker_result(const struct nilai_worker *worker,
                                                       struct nilai_error *error);

#endif
