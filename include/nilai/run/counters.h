/*
 * counters.h - what one worker counts, readable from any thread.
 *
 * Each cell has one writer, the worker, which stores whole values with relaxed order; a reader
 * sees for each cell some value that was true lately, and nothing about how the cells relate.
 * That is enough for a log line, a rate and a watchdog, which is all they are for.
 */
#ifndef NILAI_RUN_COUNTERS_H
#define NILAI_RUN_COUNTERS_H

#include <stdatomic.h>

#include "nilai/event/reject.h"

enum nilai_counter {
    NILAI_COUNTER_BEATS,    /* rounds of the loop: a worker that stands still does not beat */
    NILAI_COUNTER_EVENTS,   /* good events applied, with their changes published */
    NILAI_COUNTER_REPLAYED, /* good events applied to rebuild state */
    NILAI_COUNTER_CHURN_RISK,
    NILAI_COUNTER_VALUE_SEGMENT,
    NILAI_COUNTER_COMMITS,
    NILAI_COUNTER_COMMITS_REFUSED,
    NILAI_COUNTER_SINK_FULL, /* times that output had to wait for room */
    NILAI_COUNTER_CUSTOMERS, /* known now */
    NILAI_COUNTER_MEMORY_BYTES,
    NILAI_COUNTER_PARTITIONS, /* assigned now */
    NILAI_COUNTER_REPLAYING,  /* of those, still rebuilding their state */
    NILAI_COUNTER_JOURNAL_BYTES,
    NILAI_COUNTER_RESTORED_BYTES, /* of images */
    NILAI_COUNTER_RETENTION_NEAR, /* partitions whose input is deleted close to what is needed */
    NILAI_COUNTER_DIFFERENCES,    /* customers restored otherwise than they were published */
    NILAI_COUNTER_LAG,            /* messages not yet applied */
    NILAI_COUNTER_BAD,         /* + enum nilai_reject_class: dead letters by class */
    NILAI_COUNTERS = NILAI_COUNTER_BAD + NILAI_REJECT_CLASSES,
};

struct nilai_counters {
    _Atomic uint64_t cells[NILAI_COUNTERS];
};

static inline uint64_t nilai_counter_read(const struct nilai_counters *counters,
                                          enum nilai_counter counter)
{
    return atomic_load_explicit(&counters->cells[counter], memory_order_relaxed);
}

/* The worker only. */
static inline void nilai_counter_set(struct nilai_counters *counters, enum nilai_counter counter,
                                     uint64_t value)
{
    atomic_store_explicit(&counters->cells[counter], value, memory_order_relaxed);
}

static inline void nilai_counter_add(struct nilai_counters *counters, enum nilai_counter counter,
                                     uint64_t amount)
{
    nilai_counter_set(counters, counter, nilai_counter_read(counters, counter) + amount);
}

#endif
