/*
 * demo_tally.h - what the demo knows of the published changes: counts, latency, the newest alerts.
 *
 * The worker tells of each change (nilai_demo_tally_observe); the view asks a few times a
 * second. There are far more changes than a person can read: of each kind of news the one
 * with the most money in it is kept until it is taken.
 *
 * How many customers are in which band and segment follows from the changes alone, because
 * each names what was before; the first band is that of the first change of value.
 *
 * Latency is counted, for changes that an event brought, from the instant at which the schedule
 * says that the event was due until the change was handed to the producer.
 *
 * Thread: any. One lock, held for less than a microsecond by the worker, and by the view for a
 * copy: the demo is a showcase, its worker has time for that.
 */
#ifndef NILAI_RUN_DEMO_TALLY_H
#define NILAI_RUN_DEMO_TALLY_H

#include "nilai/state/partition.h"

enum nilai_demo_news {
    NILAI_DEMO_NEWS_SILENCE, /* a higher band, by the passing of time alone */
    NILAI_DEMO_NEWS_EVENT,   /* a higher band, by an event */
    NILAI_DEMO_NEWS_VALUE,   /* a customer became vip or loyal */
    NILAI_DEMO_NEWS_KINDS,
};

struct nilai_demo_counts {
    uint64_t band_changes[2], value_changes[2];            /* [0] by the timer, [1] by an event */
    uint64_t alerts;                                       /* of those, customers who became high */
    uint64_t bands[NILAI_BANDS], segments[NILAI_SEGMENTS]; /* customers there now */
    uint64_t latency_count;
    double latency_median_ms, latency_99_ms; /* an upper bound, 9 % too high at most */
};

struct nilai_demo_tally;

/* NULL when out of memory. */
struct nilai_demo_tally *nilai_demo_tally_create(void);
void nilai_demo_tally_destroy(struct nilai_demo_tally *tally);

/* From now on, an event of `from_ms` is due at `begin_ns` (monotonic), a later one so much
 * later as `speed`, in days a second, says. Until the first call no latency is counted. */
void nilai_demo_tally_schedule(struct nilai_demo_tally *tally, int64_t from_ms, uint64_t begin_ns,
                               double speed);
void nilai_demo_tally_add(struct nilai_demo_tally *tally, const struct nilai_effect *effect,
                          uint64_t now_ns);
/* The same, now; a nilai_change_fn. */
void nilai_demo_tally_observe(void *tally, const struct nilai_effect *effect);

void nilai_demo_tally_read(struct nilai_demo_tally *tally, struct nilai_demo_counts *counts);
/* The best news of a kind since it was last taken; false: there is none. */
bool nilai_demo_tally_take(struct nilai_demo_tally *tally, enum nilai_demo_news kind,
                           struct nilai_effect *effect);

/* Sums of what was read: all changes, all customers who have bought. */
uint64_t nilai_demo_tally_changes(const struct nilai_demo_counts *counts);
uint64_t nilai_demo_tally_customers(const struct nilai_demo_counts *counts);

#endif
