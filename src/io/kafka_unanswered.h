/*
 * kafka_unanswered.h - whether brokers owe a producer an answer about its transaction.
 *
 * A request that timed out, or whose connection broke, may have been carried out, or may still
 * wait at a broker or on its way to one. The library sends it once more and tells nobody; both may
 * be carried out, the late one in the middle of the next transaction if that has the same epoch:
 * its end before it is complete, or offsets of what was aborted (KIP-890). So who is owed an
 * answer must not begin another transaction with that epoch.
 *
 * Noted are the requests that add something to a transaction or end it; not messages, which
 * brokers number.
 *
 * Private to src/io. Threads: any; the library's own do the noting.
 */
#ifndef NILAI_IO_KAFKA_UNANSWERED_H
#define NILAI_IO_KAFKA_UNANSWERED_H

#include <stdatomic.h>

#include <librdkafka/rdkafka.h>

#include "nilai/base/base.h"

struct nilai_kafka_unanswered {
    _Atomic bool any; /* a request has failed without an answer since the client was created */
};

/* Notes it for the one client that is created with `config`; `unanswered` must outlive that. */
void nilai_kafka_unanswered_watch(struct nilai_kafka_unanswered *unanswered,
                                  rd_kafka_conf_t *config);

#endif
