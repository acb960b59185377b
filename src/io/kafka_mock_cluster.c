#include "nilai/io/mock_cluster.h"

#include <stdlib.h>

#include "kafka_client.h"

#include <librdkafka/rdkafka_mock.h>

struct nilai_mock_cluster {
    rd_kafka_t *host; /* a client that talks to nobody: the library hangs a cluster on one */
    rd_kafka_mock_cluster_t *brokers;
};

static enum nilai_status make_topics(struct nilai_mock_cluster *cluster, const char *const *topics,
                                     size_t topic_count, int32_t partitions,
                                     struct nilai_error *error)
{
    for (size_t topic = 0; topic < topic_count; topic++) {
        rd_kafka_resp_err_t code =
            rd_kafka_mock_topic_create(cluster->brokers, topics[topic], partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return nilai_error_set(error, NILAI_FAILED, "embedded broker: topic %s: %s",
                                   topics[topic], rd_kafka_err2str(code));
    }
    return NILAI_OK;
}

/* Its warnings are of no use: it has no brokers to talk to, on purpose. */
static enum nilai_status make_host(struct nilai_mock_cluster *cluster, struct nilai_error *error)
{
    char reason[128];
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    NILAI_ASSERT(rd_kafka_conf_set(config, "log_level", "3", reason, sizeof reason)
                 == RD_KAFKA_CONF_OK);
    return nilai_kafka_client_create(RD_KAFKA_PRODUCER, config, &cluster->host, error);
}

enum nilai_status nilai_mock_cluster_create(const char *const *topics, size_t topic_count,
                                            int32_t partitions, struct nilai_mock_cluster **result,
                                            struct nilai_error *error)
{
    NILAI_ASSERT(partitions >= 1 && partitions <= NILAI_MOCK_PARTITIONS_MAX);
    struct nilai_mock_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    enum nilai_status status = make_host(cluster, error);
    if (status == NILAI_OK) {
        cluster->brokers = rd_kafka_mock_cluster_new(cluster->host, 1);
        status = cluster->brokers != NULL
                     ? make_topics(cluster, topics, topic_count, partitions, error)
                     : nilai_error_set(error, NILAI_FAILED,
                                       "the embedded broker cannot listen on 127.0.0.1");
    }
    if (status != NILAI_OK) {
        nilai_mock_cluster_destroy(cluster);
        return status;
    }
    *result = cluster;
    return NILAI_OK;
}

void nilai_mock_cluster_destroy(struct nilai_mock_cluster *cluster)
{
    if (cluster == NULL)
        return;
    if (cluster->brokers != NULL)
        rd_kafka_mock_cluster_destroy(cluster->brokers);
    if (cluster->host != NULL)
        rd_kafka_destroy(cluster->host);
    free(cluster);
}

const char *nilai_mock_cluster_servers(const struct nilai_mock_cluster *cluster)
{
    return rd_kafka_mock_cluster_bootstraps(cluster->brokers);
}
