#include "kafka_client.h"

#include <stdio.h>
#include <string.h>

#include "kafka_report.h"

/* The library speaks in syslog's levels. Failures of connections come a second time, to the
 * client's callback for errors, which every client of ours has. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    /* Only brokers older than all that we need, and the mock cluster, bring this up. */
    if (strcmp(facility, "AUTOCREATE") == 0)
        return;
    enum nilai_log_level ours = NILAI_LOG_DEBUG;
    if (strcmp(facility, "FAIL") == 0)
        ours = NILAI_LOG_DEBUG;
    else if (level <= 3)
        ours = NILAI_LOG_ERROR;
    else if (level <= 5)
        ours = NILAI_LOG_WARNING;
    else if (level == 6)
        ours = NILAI_LOG_INFO;
    char whole[NILAI_LOG_SIZE_MAX];
    snprintf(whole, sizeof whole, "%s: %s", facility, text);
    nilai_kafka_report(ours, client != NULL ? rd_kafka_name(client) : "client", whole);
}

void nilai_kafka_client_log(rd_kafka_conf_t *config)
{
    rd_kafka_conf_set_log_cb(config, on_log);
}

enum nilai_status nilai_kafka_client_create(rd_kafka_type_t type, rd_kafka_conf_t *config,
                                            rd_kafka_t **client, struct nilai_error *error)
{
    char text[256];
    nilai_kafka_client_log(config);
    *client = rd_kafka_new(type, config, text, sizeof text);
    if (*client != NULL)
        return NILAI_OK;
    rd_kafka_conf_destroy(config);
    return nilai_error_set(error, NILAI_CONFIG, "kafka: %s", text);
}

enum nilai_status nilai_kafka_client_status(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS: return NILAI_UNREACHABLE;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: /* for a segment */
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE: return NILAI_CONFIG;
    default: return NILAI_FAILED;
    }
}

static const char *topic_advice(enum nilai_kafka_role role)
{
    switch (role) {
    case NILAI_KAFKA_CONSUMER: return "; the right READ on the topic is missing";
    case NILAI_KAFKA_PRODUCER:
    case NILAI_KAFKA_TRANSACTIONS:
    case NILAI_KAFKA_FEEDER: return "; the right WRITE on the topic is missing";
    case NILAI_KAFKA_ADMIN: break;
    }
    return "; the rights READ, WRITE and DELETE on the topic are missing";
}

const char *nilai_kafka_client_advice(enum nilai_kafka_role role, rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return "; check kafka.sasl.mechanisms, kafka.sasl.username and kafka.sasl.password";
    case RD_KAFKA_RESP_ERR__SSL:
        return "; the broker's certificate must be in date, name the host as we do, and be signed "
               "by an authority in kafka.ssl.ca.location, and its port must be one for "
               "kafka.security.protocol";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return topic_advice(role);
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return "; the right READ on the group is missing";
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return "; the right WRITE on transactional ids that begin with `group` is missing";
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return "; a right on the cluster is missing";
    default: return "";
    }
}

bool nilai_kafka_client_is_given(const struct nilai_kafka_property *given, size_t count,
                                 const char *name)
{
    for (size_t index = 0; index < count; index++) {
        if (strcmp(given[index].name, name) == 0)
            return true;
    }
    return false;
}
