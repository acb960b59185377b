/*
 * mock_cluster.h - a Kafka cluster inside this process: librdkafka's own emulation.
 *
 * One broker with the topics that are named, reachable on a free port of the loopback. It keeps
 * about 5 MiB a partition and drops what is older, delivers aborted messages, and forgets
 * everything with the process. Good for showing and for error paths; it proves nothing about
 * delivery.
 *
 * Thread: whoever created it; the broker has a thread of its own.
 */
#ifndef NILAI_IO_MOCK_CLUSTER_H
#define NILAI_IO_MOCK_CLUSTER_H

#include "nilai/base/base.h"

enum { NILAI_MOCK_PARTITION_BYTES = 5 * 1024 * 1024, NILAI_MOCK_PARTITIONS_MAX = 64 };

struct nilai_mock_cluster;

/* NILAI_FAILED with the reason. */
NILAI_MUST_CHECK enum nilai_status nilai_mock_cluster_create(const char *const *topics,
                                                             size_t topic_count, int32_t partitions,
                                                             struct nilai_mock_cluster **cluster,
                                                             struct nilai_error *error);
/* Its clients must be gone. */
void nilai_mock_cluster_destroy(struct nilai_mock_cluster *cluster);

/* For kafka.bootstrap.servers; borrowed until destroy. */
const char *nilai_mock_cluster_servers(const struct nilai_mock_cluster *cluster);

#endif
