/*
 * kafka_output.h - what the sinks have in common: their producer's topics, and how a message of
 * ours becomes one of the library's.
 *
 * Private to src/io. Thread: the sink's.
 */
#ifndef NILAI_IO_KAFKA_OUTPUT_H
#define NILAI_IO_KAFKA_OUTPUT_H

#include "kafka_client.h"
#include "nilai/io/kafka_sink.h"

/* The topics that are written to; what was opened before an error is for close. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_output_open(rd_kafka_t *producer, const struct nilai_kafka_sink_options *options,
                        rd_kafka_topic_t *topics[static NILAI_OUTPUT_TOPICS],
                        struct nilai_error *error);
/* Gives up what was not delivered, and frees the producer with its topics and its queue of events
 * (NULL: it has none). */
void nilai_kafka_output_close(rd_kafka_t *producer, rd_kafka_queue_t *events,
                              rd_kafka_topic_t *topics[static NILAI_OUTPUT_TOPICS], int flush_ms);

/* The offsets of a commit, with what goes along with each. NULL when out of memory. */
rd_kafka_topic_partition_list_t *
nilai_kafka_output_offsets(const struct nilai_kafka_sink_options *options,
                           const struct nilai_position *list, size_t count);

/* Where the user of the sink wants a message. */
static inline int32_t nilai_kafka_output_partition(const struct nilai_output *output)
{
    return output->topic == NILAI_OUTPUT_STATE ? output->partition : RD_KAFKA_PARTITION_UA;
}

/* NULL when out of memory. */
rd_kafka_headers_t *nilai_kafka_output_headers(const struct nilai_output *output);

/* How much of a dead letter is left when no topic holds all of it. */
enum nilai_dead_part { NILAI_DEAD_WHOLE, NILAI_DEAD_NO_VALUE, NILAI_DEAD_REASON };

/* The next smaller part; leaving out what is not there would be the same message again. */
enum nilai_dead_part nilai_dead_part_smaller(enum nilai_dead_part part, bool has_value);

/* The headers of a smaller part, with what was left out and how large it was. Those that say why
 * come last, whatever the event brought. */
rd_kafka_headers_t *nilai_dead_part_headers(const rd_kafka_headers_t *headers,
                                            enum nilai_dead_part part, size_t key_size,
                                            size_t value_size);

/* One message; the headers are taken only when it succeeds. `partition` is RD_KAFKA_PARTITION_UA
 * for what goes where its key says. */
rd_kafka_resp_err_t nilai_kafka_output_produce(rd_kafka_t *producer, rd_kafka_topic_t *topic,
                                               int32_t partition, const void *key, size_t key_size,
                                               const void *value, size_t value_size,
                                               rd_kafka_headers_t *headers, void *opaque);

#endif
