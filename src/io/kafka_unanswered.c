#include "kafka_unanswered.h"

/* Requests by their numbers in Kafka's protocol. */
enum {
    ADD_PARTITIONS_TO_TXN = 24,
    ADD_OFFSETS_TO_TXN = 25,
    END_TXN = 26,
    TXN_OFFSET_COMMIT = 28,
};

static bool is_noted(int16_t api)
{
    return api == ADD_PARTITIONS_TO_TXN || api == ADD_OFFSETS_TO_TXN || api == END_TXN
           || api == TXN_OFFSET_COMMIT;
}

/* Of each request, once or twice: when an answer is there, and when there will be none. */
static rd_kafka_resp_err_t on_response(rd_kafka_t *client, int socket, const char *broker,
                                       int32_t broker_id, int16_t api, int16_t version,
                                       int32_t correlation, size_t size, int64_t rtt_us,
                                       rd_kafka_resp_err_t code, void *context)
{
    (void)client, (void)socket, (void)broker, (void)broker_id, (void)version, (void)correlation,
        (void)size, (void)rtt_us;
    struct nilai_kafka_unanswered *unanswered = context;
    if (is_noted(api) && code != RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_store(&unanswered->any, true);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *client, const rd_kafka_conf_t *config, void *context,
                                  char *text, size_t size)
{
    (void)config, (void)text, (void)size;
    return rd_kafka_interceptor_add_on_response_received(client, "nilai", on_response, context);
}

void nilai_kafka_unanswered_watch(struct nilai_kafka_unanswered *unanswered,
                                  rd_kafka_conf_t *config)
{
    atomic_store(&unanswered->any, false);
    /* Fails only for a name that is there already. */
    NILAI_ASSERT(rd_kafka_conf_interceptor_add_on_new(config, "nilai", on_new, unanswered)
                 == RD_KAFKA_RESP_ERR_NO_ERROR);
}
