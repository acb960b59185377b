/*
 * demo_feed.h - the business of the demo at work: synthetic events into Kafka, in real time.
 *
 * First the history, as fast as it is processed; then so many simulated days a second: every
 * event has an instant at which it is due. Never more than NILAI_DEMO_FEED_AHEAD events
 * are sent and not yet applied, because the embedded broker forgets what is not read soon. When
 * that, or a process that was stopped for a while, makes the feed more than a second late, the
 * schedule moves, and by how much is told.
 *
 * Thread: whoever created it; the feed has a thread of its own, which alone uses the producer.
 */
#ifndef NILAI_RUN_DEMO_FEED_H
#define NILAI_RUN_DEMO_FEED_H

#include "nilai/run/config.h"
#include "nilai/run/demo_tally.h"
#include "nilai/run/generator.h"

enum { NILAI_DEMO_FEED_AHEAD = 16384 };

struct nilai_demo_feed_options {
    const struct nilai_config *config; /* outlives the feed */
    struct nilai_generator_options generator;
    int64_t live_from_ms;               /* simulated: the end of the history */
    double speed;                       /* days a second */
    struct nilai_demo_tally *tally;     /* is told the schedule */
    uint64_t (*applied)(void *context); /* how many of the events were; any thread may ask */
    void *applied_context;
    int connect_timeout_ms;
};

struct nilai_demo_feed_state {
    bool live;              /* the history is over */
    bool ended;             /* by itself: failed, or nothing is left to send */
    int64_t sim_ms;         /* time of the newest event */
    uint64_t sent, history; /* events; of those, the history's */
    uint64_t good[NILAI_EVENT_TYPES];
    uint64_t live_since_ns; /* monotonic */
    double late_s;          /* by how much the schedule was moved, in all */
};

struct nilai_demo_feed;

NILAI_MUST_CHECK enum nilai_status
nilai_demo_feed_create(const struct nilai_demo_feed_options *options, struct nilai_demo_feed **feed,
                       struct nilai_error *error);
NILAI_MUST_CHECK enum nilai_status nilai_demo_feed_start(struct nilai_demo_feed *feed,
                                                         struct nilai_error *error);
/* No more events; waits until those that were sent have arrived. The status is why it ended. */
NILAI_MUST_CHECK enum nilai_status nilai_demo_feed_stop(struct nilai_demo_feed *feed,
                                                        struct nilai_error *error);
void nilai_demo_feed_read(struct nilai_demo_feed *feed, struct nilai_demo_feed_state *state);
/* Stops it first if need be. */
void nilai_demo_feed_destroy(struct nilai_demo_feed *feed);

#endif
