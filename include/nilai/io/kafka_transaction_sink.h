/*
 * kafka_transaction_sink.h - output to Kafka, exactly once.
 *
 * What is put between two commits, and the input positions that caused it, become visible
 * together in one transaction, or not at all: a reader with isolation.level=read_committed sees
 * each message once. Between a commit and the next message no transaction is open, so that an
 * idle worker holds no reader up.
 *
 * A commit takes a few milliseconds in which the library may not be given messages. It runs on a
 * thread of the sink's own; what is put meanwhile waits in an outbox (NILAI_AGAIN when that is
 * full) and goes into the next transaction.
 *
 * A transaction begins late: when there is enough for it, or with the commit. Each partition that a
 * transaction writes to must be made known to the brokers before. The library collects them for a
 * millisecond, turning idly all the while (before 2.4), and asks, one question at a time; and while
 * the brokers still close the transaction before, they have it come again after 20 ms. Written in
 * one go, most partitions are in one question, and it comes when the last transaction is long over.
 *
 * What can go wrong, and what is done:
 *
 *   it may pass           the same call again, until transaction.timeout.ms is over
 *   the transaction       it is ended by a new producer under the same id, whose start waits until
 *     cannot succeed      the brokers have decided it: NILAI_COMMIT_ABORTED. So when the group has
 *                         moved on: the positions are sent under the membership of the assignment
 *   the answer to the     likewise; the committed positions, read again, say how it was decided
 *     commit got lost
 *   a request of it was   it may hold; then a new producer before the next transaction, which a
 *     not answered, or    late duplicate of the request could otherwise get into
 *     sent again
 *   fenced by the brokers a new producer. It may be our own doing: our transaction was open for
 *                         too long (the process stood still, say), or brokers that changed
 *                         places took a request of ours twice. So often that it cannot be, it
 *                         is another process under our `instance`: NILAI_CONFIG
 *   several in a row      waits between them that double, some 48 s in all; then the sink fails
 *   what only a person    (rights, say) the sink fails
 *     can mend
 *
 * transaction.timeout.ms is 30 s, or the consumer's session.timeout.ms if that is less, unless the
 * user says otherwise: what a process that died has left open is over when its partitions move.
 *
 * A dead letter larger than its topic takes is written without its value, as by kafka_sink.h.
 * The brokers refuse it together with its transaction, once; the sink then remembers the size.
 *
 * Thread: the worker's. `wake` comes from the sink's thread and from the library's.
 */
#ifndef NILAI_IO_KAFKA_TRANSACTION_SINK_H
#define NILAI_IO_KAFKA_TRANSACTION_SINK_H

#include "nilai/io/kafka_sink.h"

enum {
    NILAI_TRANSACTION_OUTBOX_BYTES = 16 * 1024 * 1024,
    NILAI_TRANSACTION_ENOUGH_BYTES = 2 * 1024 * 1024, /* to begin before the commit */
};

/* `id` is the transactional id: the same over restarts, and different for every sink at work.
 * Blocks until the brokers have ended what an earlier process with this id left, for at most
 * `timeout_ms` (then NILAI_UNREACHABLE). */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_transaction_sink_create(const struct nilai_kafka_sink_options *options, const char *id,
                                    int timeout_ms, struct nilai_sink **sink,
                                    struct nilai_error *error);

#endif
