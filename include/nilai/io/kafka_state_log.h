/*
 * kafka_state_log.h - the journals in Kafka: partition p of one topic each.
 *
 * A partition is read without being a member of a group, so that it needs no right but READ on the
 * topic, and independently of all others. What an open transaction holds is waited for: the end
 * that is read to is the high watermark, as the partition's leader knows it after `open`, not the
 * end of what is decided so far. When the head is trimmed while it is read, reading goes on at the
 * oldest record that is left.
 *
 * A thread of the log's own asks for ends and deletes heads; both are tried again until they work.
 * Deleting needs the right DELETE on the topic. If that is missing, or the brokers do not answer, a
 * warning says so, at most once a minute.
 *
 * Thread: the worker's; `wake` comes from the log's thread and from the library's.
 */
#ifndef NILAI_IO_KAFKA_STATE_LOG_H
#define NILAI_IO_KAFKA_STATE_LOG_H

#include "nilai/io/kafka_source.h"
#include "nilai/io/state_log.h"

struct nilai_kafka_state_log_options {
    const struct nilai_kafka_property *kafka;
    size_t kafka_count;
    const char *topic;
    int32_t partition_count;
    nilai_wake_fn wake; /* something may have arrived */
    void *wake_context;
};

/* Connects nowhere yet. `options` is copied but for its texts and properties, which outlive the
 * log. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_state_log_create(const struct nilai_kafka_state_log_options *options,
                             struct nilai_state_log **log, struct nilai_error *error);

#endif
