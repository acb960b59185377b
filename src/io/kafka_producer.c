#include "nilai/io/kafka_producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"
#include "kafka_report.h"
#include "kafka_trouble.h"
#include "nilai/base/clock.h"

enum {
    METADATA_ATTEMPT_MS = 3000,
    METADATA_PAUSE_MS = 100,
    PURGE_MS = 1000,
    BATCH_MESSAGES = 64,
    BATCH_BYTES = 16 * 1024,
    ALONE_BYTES = BATCH_BYTES / 8,
};

/* Messages of one partition that the library does not have yet, with a copy of what they hold. A
 * message is kept until the library has taken it; the bytes are freed when all are taken. */
struct batch {
    size_t count, bytes;
    rd_kafka_message_t messages[BATCH_MESSAGES];
    char data[BATCH_BYTES];
};

struct nilai_kafka_producer {
    rd_kafka_t *client;
    rd_kafka_topic_t *topics[NILAI_INPUT_TOPICS_MAX];
    size_t topic_count;
    int32_t partition_count; /* of each topic */
    struct batch *batches;   /* [topic * partition_count + partition] */
    struct nilai_kafka_producer_counts counts;
    enum nilai_status failure; /* of the first message that was given up */
    struct nilai_error reason;
    bool connected;
    struct nilai_kafka_trouble trouble; /* until then */
};

/* Once there was an answer, whatever matters comes with a message that fails. */
static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    struct nilai_kafka_producer *producer = context;
    if (producer->connected)
        nilai_kafka_report(NILAI_LOG_WARNING, rd_kafka_name(client), text);
    else
        nilai_kafka_trouble_note(&producer->trouble, (rd_kafka_resp_err_t)code, text);
}

/* ---- acknowledgements ---- */

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    struct nilai_kafka_producer *producer = context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->counts.delivered++;
        return;
    }
    if (producer->counts.failed++ == 0)
        producer->failure =
            nilai_error_set(&producer->reason, nilai_kafka_client_status(message->err),
                            "topic %s: a message was not delivered: %s%s",
                            rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err),
                            nilai_kafka_client_advice(NILAI_KAFKA_PRODUCER, message->err));
}

/* A fatal error fails all messages, but not necessarily one that we can still wait for. */
static void note_fatal(struct nilai_kafka_producer *producer)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer->client, text, sizeof text);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && producer->failure == NILAI_OK)
        producer->failure =
            nilai_error_set(&producer->reason, nilai_kafka_client_status(code), "kafka: %s", text);
}

/* The library does not take this message, today or tomorrow. */
static void note_refusal(struct nilai_kafka_producer *producer, size_t topic,
                         rd_kafka_resp_err_t code, size_t size)
{
    producer->counts.failed++;
    note_fatal(producer);
    if (producer->failure != NILAI_OK)
        return;
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        producer->failure = nilai_error_set(
            &producer->reason, NILAI_CONFIG,
            "a message of %zu bytes is more than kafka.message.max.bytes allows", size);
    else
        producer->failure =
            nilai_error_set(&producer->reason, nilai_kafka_client_status(code), "topic %s: %s",
                            rd_kafka_topic_name(producer->topics[topic]), rd_kafka_err2str(code));
}

static enum nilai_status outcome(const struct nilai_kafka_producer *producer,
                                 struct nilai_error *error)
{
    if (NILAI_UNLIKELY(producer->failure != NILAI_OK))
        return nilai_error_set(error, producer->failure, "%s", producer->reason.text);
    return NILAI_OK;
}

/* ---- sending ---- */

struct place {
    size_t topic;
    int32_t partition;
};

static struct batch *batch_of(const struct nilai_kafka_producer *producer, struct place place)
{
    return &producer->batches[place.topic * (size_t)producer->partition_count
                              + (size_t)place.partition];
}

/* The key alone decides, as in the Java client. */
static struct place place_of(const struct nilai_kafka_producer *producer, size_t topic,
                             const void *key, size_t key_size)
{
    return (struct place){
        topic, rd_kafka_msg_partitioner_murmur2_random(producer->topics[topic], key, key_size,
                                                       producer->partition_count, NULL, NULL)};
}

/* Of a batch that the library has not taken whole: what it has no room for yet stays. */
static void keep_rest(struct nilai_kafka_producer *producer, struct place place)
{
    struct batch *batch = batch_of(producer, place);
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const rd_kafka_message_t *message = &batch->messages[i];
        if (message->err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            batch->messages[kept++] = *message;
        else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            note_refusal(producer, place.topic, message->err, message->key_len + message->len);
    }
    batch->count = kept;
}

/* Hands over what the library has room for. */
static void hand_over(struct nilai_kafka_producer *producer, struct place place)
{
    struct batch *batch = batch_of(producer, place);
    if (batch->count == 0)
        return;
    int taken = rd_kafka_produce_batch(producer->topics[place.topic], place.partition,
                                       RD_KAFKA_MSG_F_COPY, batch->messages, (int)batch->count);
    if (taken == (int)batch->count)
        batch->count = 0;
    else
        keep_rest(producer, place);
    if (batch->count == 0)
        batch->bytes = 0;
}

static void hand_over_all(struct nilai_kafka_producer *producer)
{
    struct place place;
    for (place.topic = 0; place.topic < producer->topic_count; place.topic++)
        for (place.partition = 0; place.partition < producer->partition_count; place.partition++)
            hand_over(producer, place);
}

enum nilai_status nilai_kafka_producer_poll(struct nilai_kafka_producer *producer, int timeout_ms,
                                            struct nilai_error *error)
{
    hand_over_all(producer);
    rd_kafka_poll(producer->client, timeout_ms);
    note_fatal(producer);
    return outcome(producer, error);
}

/* In whole words: the partitioner reads keys by words. */
static size_t staged_size(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static bool has_room(const struct batch *batch, size_t key_size, size_t value_size)
{
    return batch->count < BATCH_MESSAGES
           && batch->bytes + staged_size(key_size) + staged_size(value_size) <= BATCH_BYTES;
}

static void *stage_bytes(struct batch *batch, const void *bytes, size_t size)
{
    void *place = batch->data + batch->bytes;
    memcpy(place, bytes, size);
    batch->bytes += staged_size(size);
    return place;
}

static void stage(struct batch *batch, const void *key, size_t key_size, const void *value,
                  size_t value_size)
{
    batch->messages[batch->count++] = (rd_kafka_message_t){
        .key = stage_bytes(batch, key, key_size),
        .key_len = key_size,
        .payload = value != NULL ? stage_bytes(batch, value, value_size) : NULL,
        .len = value_size,
    };
}

/* What has a time of its own, or is as large as many others, goes without a batch. */
static enum nilai_status send_alone(struct nilai_kafka_producer *producer, struct place place,
                                    const void *key, size_t key_size, const void *value,
                                    size_t value_size, int64_t timestamp_ms)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->client, RD_KAFKA_V_RKT(producer->topics[place.topic]),
        RD_KAFKA_V_PARTITION(place.partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_size),
        RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return NILAI_AGAIN;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        note_refusal(producer, place.topic, code, key_size + value_size);
    return NILAI_OK;
}

enum nilai_status nilai_kafka_producer_send(struct nilai_kafka_producer *producer, size_t topic,
                                            const void *key, size_t key_size, const void *value,
                                            size_t value_size, int64_t timestamp_ms,
                                            struct nilai_error *error)
{
    NILAI_ASSERT(topic < producer->topic_count && key != NULL);
    /* The library reads a message of NULL and a size other than 0 as a bug. */
    NILAI_ASSERT(value != NULL || value_size == 0);
    struct place place = place_of(producer, topic, key, key_size);
    struct batch *batch = batch_of(producer, place);
    bool alone = timestamp_ms != 0 || key_size + value_size > ALONE_BYTES;
    if (alone || !has_room(batch, key_size, value_size))
        hand_over(producer, place);
    if (alone ? batch->count > 0 : !has_room(batch, key_size, value_size))
        return NILAI_AGAIN;
    if (!alone)
        stage(batch, key, key_size, value, value_size);
    else if (send_alone(producer, place, key, key_size, value, value_size, timestamp_ms)
             != NILAI_OK)
        return NILAI_AGAIN;
    producer->counts.sent++;
    return outcome(producer, error);
}

uint64_t nilai_kafka_producer_pending(const struct nilai_kafka_producer *producer)
{
    return producer->counts.sent - producer->counts.delivered - producer->counts.failed;
}

const struct nilai_kafka_producer_counts *
nilai_kafka_producer_counts(const struct nilai_kafka_producer *producer)
{
    return &producer->counts;
}

/* ---- connecting ---- */

static enum nilai_status check_topics(const struct rd_kafka_metadata *metadata,
                                      const struct nilai_kafka_producer_options *options,
                                      int32_t *partition_count, struct nilai_error *error)
{
    int first_count = 0;
    for (size_t i = 0; i < options->topic_count; i++) {
        const struct rd_kafka_metadata_topic *found = NULL;
        for (int k = 0; k < metadata->topic_cnt; k++)
            if (strcmp(metadata->topics[k].topic, options->topics[i]) == 0)
                found = &metadata->topics[k];
        if (found == NULL || found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            return nilai_error_set(error, NILAI_CONFIG, "topic %s does not exist",
                                   options->topics[i]);
        if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return nilai_error_set(error, nilai_kafka_client_status(found->err), "topic %s: %s%s",
                                   options->topics[i], rd_kafka_err2str(found->err),
                                   nilai_kafka_client_advice(NILAI_KAFKA_PRODUCER, found->err));
        if (found->partition_cnt == 0)
            return nilai_error_set(error, NILAI_UNREACHABLE, "topic %s has no partitions yet",
                                   options->topics[i]);
        if (i == 0)
            first_count = found->partition_cnt;
        else if (found->partition_cnt != first_count)
            return nilai_error_set(
                error, NILAI_CONFIG,
                "topics %s and %s have %d and %d partitions; it must be the same "
                "number, so that a customer falls into the same one of each",
                options->topics[0], options->topics[i], first_count, found->partition_cnt);
    }
    *partition_count = first_count;
    return NILAI_OK;
}

/* A leader that is being elected, or a broker that just starts, is worth another try. */
static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT
           || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

static enum nilai_status tell_trouble(const struct nilai_kafka_producer *producer,
                                      rd_kafka_resp_err_t code, int timeout_ms,
                                      struct nilai_error *error)
{
    char what[64];
    snprintf(what, sizeof what, "no broker answered within %d ms", timeout_ms);
    return nilai_kafka_trouble_tell(&producer->trouble, code, what, error);
}

/* The first answer of the cluster, and whether it has what we need. Who was refused for a whole
 * attempt will be again. */
static enum nilai_status look_around(struct nilai_kafka_producer *producer,
                                     const struct nilai_kafka_producer_options *options,
                                     struct nilai_error *error)
{
    uint64_t end_ns = nilai_clock_monotonic_ns() + (uint64_t)options->connect_timeout_ms * 1000000;
    for (;;) {
        uint64_t now_ns = nilai_clock_monotonic_ns();
        int left_ms = now_ns < end_ns ? (int)((end_ns - now_ns) / 1000000) + 1 : 1;
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(producer->client, 0, NULL, &metadata,
                              left_ms < METADATA_ATTEMPT_MS ? left_ms : METADATA_ATTEMPT_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            producer->connected = true;
            enum nilai_status status =
                check_topics(metadata, options, &producer->partition_count, error);
            rd_kafka_metadata_destroy(metadata);
            return status;
        }
        rd_kafka_poll(producer->client, METADATA_PAUSE_MS); /* collects errors, too */
        if (!is_passing(code) || nilai_kafka_trouble_is_refusal(&producer->trouble)
            || nilai_clock_monotonic_ns() + METADATA_PAUSE_MS * 1000000u >= end_ns)
            return tell_trouble(producer, code, options->connect_timeout_ms, error);
    }
}

static enum nilai_status open_topics(struct nilai_kafka_producer *producer,
                                     const struct nilai_kafka_producer_options *options,
                                     struct nilai_error *error)
{
    for (size_t i = 0; i < options->topic_count; i++) {
        producer->topics[i] = rd_kafka_topic_new(producer->client, options->topics[i], NULL);
        if (producer->topics[i] == NULL)
            return nilai_error_set(error, NILAI_CONFIG, "topic %s: %s", options->topics[i],
                                   rd_kafka_err2str(rd_kafka_last_error()));
        producer->topic_count++;
    }
    return NILAI_OK;
}

static enum nilai_status open_batches(struct nilai_kafka_producer *producer,
                                      struct nilai_error *error)
{
    size_t count = producer->topic_count * (size_t)producer->partition_count;
    producer->batches = calloc(count, sizeof *producer->batches);
    return producer->batches != NULL ? NILAI_OK
                                     : nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
}

static enum nilai_status open_client(struct nilai_kafka_producer *producer,
                                     const struct nilai_kafka_producer_options *options,
                                     struct nilai_error *error)
{
    rd_kafka_conf_t *config;
    enum nilai_status status = nilai_kafka_config_create(
        NILAI_KAFKA_FEEDER, options->given, options->given_count, NULL, 0, &config, error);
    if (status != NILAI_OK)
        return status;
    rd_kafka_conf_set_opaque(config, producer);
    rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    rd_kafka_conf_set_error_cb(config, on_error);
    return nilai_kafka_client_create(RD_KAFKA_PRODUCER, config, &producer->client, error);
}

enum nilai_status nilai_kafka_producer_create(const struct nilai_kafka_producer_options *options,
                                              struct nilai_kafka_producer **result,
                                              struct nilai_error *error)
{
    NILAI_ASSERT(options->topic_count >= 1 && options->topic_count <= NILAI_INPUT_TOPICS_MAX);
    struct nilai_kafka_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    enum nilai_status status = open_client(producer, options, error);
    if (status == NILAI_OK)
        status = open_topics(producer, options, error);
    if (status == NILAI_OK)
        status = look_around(producer, options, error);
    if (status == NILAI_OK)
        status = open_batches(producer, error);
    if (status != NILAI_OK) {
        nilai_kafka_producer_destroy(producer);
        return status;
    }
    *result = producer;
    return NILAI_OK;
}

void nilai_kafka_producer_destroy(struct nilai_kafka_producer *producer)
{
    if (producer == NULL)
        return;
    for (size_t i = 0; i < producer->topic_count; i++)
        rd_kafka_topic_destroy(producer->topics[i]);
    if (producer->client != NULL) {
        /* Undelivered messages are given up here; destroy would wait for them. */
        rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(producer->client, PURGE_MS);
        rd_kafka_destroy(producer->client);
    }
    free(producer->batches);
    free(producer);
}
