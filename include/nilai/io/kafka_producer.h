/*
 * kafka_producer.h - messages out to Kafka, for commands that only write.
 *
 * An idempotent producer: no message is lost or doubled on the way, or it is counted as
 * failed. Its queue is librdkafka's (`queue.buffering.max.messages` and `.kbytes` bound it),
 * to which messages go in batches: a message may wait for the next poll, so that whoever has
 * nothing to send must poll. When the queue is full, `send` says NILAI_AGAIN and the caller
 * polls.
 *
 * The partition is chosen by the key alone (murmur2, as in the Java client) and in the same way
 * for all topics, which therefore must have the same number of partitions; should there be more
 * of them later, a customer stays where they were.
 *
 * Thread: one.
 */
#ifndef NILAI_IO_KAFKA_PRODUCER_H
#define NILAI_IO_KAFKA_PRODUCER_H

#include "nilai/io/kafka_config.h"
#include "nilai/io/record.h"

struct nilai_kafka_producer_options {
    const struct nilai_kafka_property *given;
    size_t given_count;
    const char *const *topics;
    size_t topic_count; /* 1 .. NILAI_INPUT_TOPICS_MAX */
    int connect_timeout_ms;
};

struct nilai_kafka_producer_counts {
    uint64_t sent;      /* handed over */
    uint64_t delivered; /* acknowledged by the brokers */
    uint64_t failed;    /* given up */
};

struct nilai_kafka_producer;

/* Connects and looks at the topics. NILAI_UNREACHABLE: no broker answered in time;
 * NILAI_CONFIG: a property is wrong, a topic is missing, or the topics differ in their number
 * of partitions. The error says which. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_producer_create(const struct nilai_kafka_producer_options *options,
                            struct nilai_kafka_producer **producer, struct nilai_error *error);
/* Gives up what has not been delivered: poll first until nothing is pending. */
void nilai_kafka_producer_destroy(struct nilai_kafka_producer *producer);

/* Copies one message. `value` NULL is a null payload; `timestamp_ms` 0 is when it enters the
 * queue. NILAI_AGAIN: the queue is full. Otherwise it fails as `poll` does. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_producer_send(struct nilai_kafka_producer *producer, size_t topic, const void *key,
                          size_t key_size, const void *value, size_t value_size,
                          int64_t timestamp_ms, struct nilai_error *error);

/* Fills the queue and serves acknowledgements, waiting at most `timeout_ms` for the first. What was
 * given up since the start makes it fail: the first reason, as NILAI_UNREACHABLE, _CONFIG (larger
 * than the configuration allows, for one) or _FAILED. */
NILAI_MUST_CHECK enum nilai_status nilai_kafka_producer_poll(struct nilai_kafka_producer *producer,
                                                             int timeout_ms,
                                                             struct nilai_error *error);

/* How many messages are not acknowledged yet. */
uint64_t nilai_kafka_producer_pending(const struct nilai_kafka_producer *producer);

const struct nilai_kafka_producer_counts *
nilai_kafka_producer_counts(const struct nilai_kafka_producer *producer);

#endif
