/*
 * kafka_sink.h - output to Kafka, at least once.
 *
 * Messages go through an idempotent producer. A commit waits until everything put before it is
 * acknowledged by all in-sync replicas, and only then sends the offsets to the group; what is
 * put meanwhile belongs to the next commit. A crash in between publishes again what was not yet
 * committed, and loses nothing.
 *
 * The journal (NILAI_OUTPUT_STATE) comes between: the records of a commit are held back until all
 * its other output is acknowledged, then written in their order, and acknowledged themselves before
 * the offsets go. After NILAI_COMMIT_REFUSED they were written or not; the journal tells. Nothing
 * is written of what was put under an assignment that is over. One record that cannot be delivered
 * ends the sink.
 *
 * A dead letter that no topic can hold (its event was as large as messages may be, and the
 * reason comes on top) is written without its value, with a header `nilai.value.omitted` that
 * says how many bytes it had: a bad event must not stop the partition. If its key and its own
 * headers are too much, too, only the reason is written, with `nilai.key.omitted` (bytes) and
 * `nilai.headers.omitted` (how many). For any other message that cannot be delivered the sink
 * fails, and with it the worker.
 *
 * Thread: the worker's.
 */
#ifndef NILAI_IO_KAFKA_SINK_H
#define NILAI_IO_KAFKA_SINK_H

#include "nilai/io/kafka_source.h"
#include "nilai/io/sink.h"

/* How much of the journal is held back (the memory is used only as far as it is needed). Beyond it
 * put says NILAI_AGAIN, until a commit makes room, or the output so far is acknowledged. */
enum { NILAI_SINK_STATE_BYTES = 32 * 1024 * 1024 };

struct nilai_kafka_sink_options {
    const struct nilai_kafka_property *kafka;
    size_t kafka_count;
    const char *const *input_topics; /* by index, for the offsets; outlive the sink */
    uint32_t input_topic_count;
    const char *topics[NILAI_OUTPUT_TOPICS]; /* NULL: never written */
    struct nilai_source *source;             /* a Kafka one, that closes after the sink */
    nilai_wake_fn wake;                      /* something was acknowledged */
    void *wake_context;
};

NILAI_MUST_CHECK enum nilai_status
nilai_kafka_sink_create(const struct nilai_kafka_sink_options *options, struct nilai_sink **sink,
                        struct nilai_error *error);

#endif
