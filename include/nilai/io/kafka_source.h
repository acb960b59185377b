/*
 * kafka_source.h - input from Kafka: one member of the consumer group.
 *
 * All members subscribe to all input topics, which have equally many partitions, and the group
 * assigns by range: partition p of every topic goes to one member. Each partition of each topic
 * has its own queue, from which messages are taken when there is use for them; what is not
 * taken, but for a few dozen, stays with the library up to its byte limit, and beyond with the
 * broker.
 *
 * Membership with an `instance` is static (group.instance.id): a member that leaves keeps its
 * partitions until session.timeout.ms is over, so that a restart moves nothing. The group fences a
 * member when another joins under its instance. After an outage that may be the member itself, so
 * it joins anew: what it had is revoked, as lost, and another assignment comes. Only whom that
 * happens to time and again (kafka_rival.h) is told that there is another process.
 *
 * What goes along with a committed offset, in the metadata of each topic of a partition: its clock
 * (-1: not known) and where its journal ends, as "nilai 2 clock_ms=<ms> turn=<n> writer=<16 hex
 * digits>". Format 1, "nilai 1 clock_ms=<ms>", knew no journal. Where topics differ, what goes
 * with the last turn counts, and of equal turns the later clock.
 *
 * Thread: the worker's; `wake` is called from the library's threads.
 */
#ifndef NILAI_IO_KAFKA_SOURCE_H
#define NILAI_IO_KAFKA_SOURCE_H

#include "nilai/io/kafka_config.h"
#include "nilai/io/sink.h"
#include "nilai/io/source.h"

typedef void (*nilai_wake_fn)(void *context);

struct nilai_kafka_source_options {
    const struct nilai_kafka_property *kafka;
    size_t kafka_count;
    const char *group;
    const char *instance; /* NULL: no static membership, a member that leaves gives its
                             partitions up at once */
    const char *const *topics;
    uint32_t topic_count;
    int32_t partition_count; /* of each topic */
    nilai_wake_fn wake;      /* something may have arrived */
    void *wake_context;
};

/* The first poll joins the group; the assignment comes from a later one. `options` is copied but
 * for its texts and properties, which outlive the source. */
NILAI_MUST_CHECK enum nilai_status
nilai_kafka_source_create(const struct nilai_kafka_source_options *options,
                          struct nilai_source **source, struct nilai_error *error);

struct rd_kafka_s;
/* The library's handle, until the next poll, which may make another one. */
struct rd_kafka_s *nilai_kafka_source_client(struct nilai_source *source);

struct rd_kafka_consumer_group_metadata_s;
/* Who we are in the group, as it was when it gave us what we have: what is committed under it is
 * refused once the group has moved on. A copy that the caller destroys; NULL when nothing is
 * assigned, or out of memory. */
struct rd_kafka_consumer_group_metadata_s *nilai_kafka_source_group(struct nilai_source *source);

/* A number that changes whenever the assignment does, or is begun again. */
uint64_t nilai_kafka_source_assignment(struct nilai_source *source);

struct rd_kafka_topic_partition_list_s;
/* Commits offsets in the group's name, one list at a time; false: it cannot be sent. `commit_poll`
 * tells how it goes, waiting at most `timeout_ms` for the answer: DONE or REFUSED once. */
NILAI_MUST_CHECK bool
nilai_kafka_source_commit(struct nilai_source *source,
                          const struct rd_kafka_topic_partition_list_s *offsets);
NILAI_MUST_CHECK enum nilai_commit_state nilai_kafka_source_commit_poll(struct nilai_source *source,
                                                                        int timeout_ms);

enum { NILAI_KAFKA_METADATA_SIZE = 96 };
/* The metadata of a committed offset: clock, turn and writer of `position`. Exactly what `format`
 * writes is read (and format 1, with turn and writer 0); of anything else (`text` may be NULL)
 * nothing is taken, and the answer is false. */
void nilai_kafka_metadata_format(const struct nilai_position *position,
                                 char text[static NILAI_KAFKA_METADATA_SIZE]);
bool nilai_kafka_metadata_parse(const char *text, size_t size, struct nilai_position *position);

/* Any thread. Whether committing would only harm: the group gave the partitions to others
 * already. */
bool nilai_kafka_source_is_lost(struct nilai_source *source);

#endif
