/*
 * kafka_admin.h - the topics, before anything is read or written.
 *
 * Finds out whether the brokers answer, whether every topic is there, whether the input topics
 * fit together, and how long they are; and whether the journal is kept until we delete it. What is
 * wrong is said at once and by name, rather than later by silence.
 *
 * Thread: any; blocks for at most about the time-out.
 */
#ifndef NILAI_IO_KAFKA_ADMIN_H
#define NILAI_IO_KAFKA_ADMIN_H

#include "nilai/io/kafka_config.h"
#include "nilai/io/record.h"

enum { NILAI_KAFKA_PARTITIONS_DEFAULT = 8 }; /* of input topics that we create */

struct nilai_kafka_admin_options {
    const struct nilai_kafka_property *kafka;
    size_t kafka_count;
    const char *const *inputs;
    uint32_t input_count;
    const char *outputs[NILAI_OUTPUT_TOPICS]; /* NULL: not needed; the journal is not here */
    const char *state;                        /* the journal; NULL: none */
    int64_t input_needed_ms;                  /* for how long input should be kept; 0: for ever */
    bool create;                              /* make what is missing */
    int32_t replication;                      /* of what is made */
    bool emulated;  /* librdkafka's mock cluster: it answers no question about settings */
    int timeout_ms; /* for the first answer of a broker, and for each step after it */
};

/* What was found. `ends` is the high watermark of [topic * partition_count + partition]. */
struct nilai_kafka_layout {
    int32_t partition_count;
    int64_t *ends;
};

/* NILAI_UNREACHABLE: no broker answered in time.
 * NILAI_CONFIG: a topic is missing (and not to be made), the input topics differ in their
 * number of partitions, one of them is compacted, the journal differs from them or has a
 * retention, or access is refused.
 * The caller frees layout->ends. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_admin_prepare(const struct nilai_kafka_admin_options *options,
                          struct nilai_kafka_layout *layout, struct nilai_error *error);

#endif
