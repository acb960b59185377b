/*
 * worker_loop.h - one worker in its own thread, with a Kafka consumer and a producer.
 *
 * The thread runs a libuv loop. The library's queues wake it through an async handle; a timer
 * wakes it when a topic has been waited for long enough, when a second begins, and at least
 * every 100 ms, so that a wake that got lost only delays.
 *
 * Thread: whoever created it, except where noted.
 */
#ifndef NILAI_RUN_WORKER_LOOP_H
#define NILAI_RUN_WORKER_LOOP_H

#include "nilai/run/worker.h"

struct nilai_worker_loop;

struct nilai_worker_loop_options {
    const struct nilai_config *config;
    uint32_t number; /* of the worker within the process */
    int32_t partition_count;
    bool journal;                    /* keep and use one */
    const struct nilai_marks *marks; /* NULL: run on */
    int connect_timeout_ms;
    struct nilai_budget *budget;
    uint64_t hash_seed;
    nilai_change_fn observe; /* or NULL; called in the worker's thread */
    void *observe_context;
};

/* Ends what an earlier process of this `instance` left; the thread starts with
 * nilai_worker_loop_start, and then joins the group: all workers at about the same time, so that it
 * shares the work out once. Everything that the options point at outlives the loop. */
NILAI_MUST_CHECK enum nilai_status
nilai_worker_loop_create(const struct nilai_worker_loop_options *options,
                         struct nilai_worker_loop **loop, struct nilai_error *error);
NILAI_MUST_CHECK enum nilai_status nilai_worker_loop_start(struct nilai_worker_loop *loop,
                                                           struct nilai_error *error);
/* Asks it to finish its turn, commit and leave. Any thread, any number of times. */
void nilai_worker_loop_stop(struct nilai_worker_loop *loop);
/* Any thread: nothing is left to do up to the marks; its work has failed, rather than what came
 * after somebody had it stopped; the thread has ended. */
bool nilai_worker_loop_is_done(const struct nilai_worker_loop *loop);
bool nilai_worker_loop_has_failed(const struct nilai_worker_loop *loop);
bool nilai_worker_loop_has_ended(const struct nilai_worker_loop *loop);
const struct nilai_counters *nilai_worker_loop_counters(const struct nilai_worker_loop *loop);
/* Waits for the thread, if it was started, and frees everything. The status is why it ended. */
NILAI_MUST_CHECK enum nilai_status nilai_worker_loop_destroy(struct nilai_worker_loop *loop,
                                                             struct nilai_error *error);

#endif
