/*
 * kafka_backoff.h - how long to wait after transactions that failed one after the other.
 *
 * One that fails is tried again at once: most often that is all. While the brokers change places
 * many may fail in a row, each for a reason of its own, and each costs the state that led to it; so
 * the waits double. Brokers that take nothing for as long as all of them together, some 48 s and
 * what the transactions themselves take, will not do so without help.
 *
 * Private to src/io. Thread: its owner's.
 */
#ifndef NILAI_IO_KAFKA_BACKOFF_H
#define NILAI_IO_KAFKA_BACKOFF_H

#include "nilai/base/base.h"

enum {
    NILAI_KAFKA_BACKOFF_FAILURES = 12, /* in a row, the last of which ends it */
    NILAI_KAFKA_BACKOFF_FIRST_MS = 250,
    NILAI_KAFKA_BACKOFF_LONGEST_MS = 8000,
};

/* {0} is one without a failure. */
struct nilai_kafka_backoff {
    int failures; /* in a row */
};

/* One more failed: how long to wait before the next, in ms; -1 when it is not worth while. */
NILAI_MUST_CHECK int nilai_kafka_backoff_note(struct nilai_kafka_backoff *backoff);

/* One held. */
void nilai_kafka_backoff_reset(struct nilai_kafka_backoff *backoff);

#endif
