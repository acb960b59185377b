#include "nilai/io/kafka_admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"
#include "kafka_trouble.h"
#include "nilai/base/clock.h"
#include "nilai/base/log.h"

enum {
    TOPICS_MAX = NILAI_INPUT_TOPICS_MAX + NILAI_OUTPUT_TOPICS,
    ATTEMPT_MS = 3000,
    PAUSE_MS = 100,
    MESSAGE_BYTES_DEFAULT = 1048588, /* max.message.bytes of Kafka */
    DEAD_LETTER_EXTRA = 65536,       /* for the headers that say why */
    STATE_MESSAGE_BYTES = 1000000,   /* the largest record of a journal */
};

struct topic {
    const char *name;
    bool is_input;
    enum nilai_output_topic output; /* of those that are not */
    bool missing;
    int32_t partitions;
    rd_kafka_topic_t *handle; /* makes the library ask for it */
};

struct admin {
    const struct nilai_kafka_admin_options *options;
    struct nilai_error *error;
    rd_kafka_t *client;
    rd_kafka_queue_t *results;
    struct topic topics[TOPICS_MAX];
    size_t topic_count;
    long message_bytes;                 /* the largest max.message.bytes of an input topic */
    struct nilai_kafka_trouble trouble; /* since the last answer */
};

static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    (void)client;
    struct admin *admin = context;
    nilai_kafka_trouble_note(&admin->trouble, (rd_kafka_resp_err_t)code, text);
}

static const char *servers_of(const struct admin *admin)
{
    for (size_t index = 0; index < admin->options->kafka_count; index++) {
        if (strcmp(admin->options->kafka[index].name, "bootstrap.servers") == 0)
            return admin->options->kafka[index].value;
    }
    return "the configured brokers";
}

static enum nilai_status open_client(struct admin *admin)
{
    /* The end of a topic is its high watermark here, open transactions included. */
    static const struct nilai_kafka_fixed fixed[] = {{"isolation.level", "read_uncommitted"}};
    rd_kafka_conf_t *config;
    enum nilai_status status =
        nilai_kafka_config_create(NILAI_KAFKA_ADMIN, admin->options->kafka,
                                  admin->options->kafka_count, fixed, 1, &config, admin->error);
    if (status != NILAI_OK)
        return status;
    rd_kafka_conf_set_opaque(config, admin);
    rd_kafka_conf_set_error_cb(config, on_error);
    status = nilai_kafka_client_create(RD_KAFKA_CONSUMER, config, &admin->client, admin->error);
    if (status == NILAI_OK)
        admin->results = rd_kafka_queue_new(admin->client);
    return status;
}

static void close_client(struct admin *admin)
{
    for (size_t index = 0; index < admin->topic_count; index++) {
        if (admin->topics[index].handle != NULL)
            rd_kafka_topic_destroy(admin->topics[index].handle);
    }
    if (admin->results != NULL)
        rd_kafka_queue_destroy(admin->results);
    if (admin->client != NULL)
        rd_kafka_destroy(admin->client);
}

static enum nilai_status add_topic(struct admin *admin, struct topic topic)
{
    topic.handle = rd_kafka_topic_new(admin->client, topic.name, NULL);
    if (topic.handle == NULL)
        return nilai_error_set(admin->error, NILAI_CONFIG, "kafka: topic %s: %s", topic.name,
                               rd_kafka_err2str(rd_kafka_last_error()));
    admin->topics[admin->topic_count++] = topic;
    return NILAI_OK;
}

static enum nilai_status list_topics(struct admin *admin)
{
    enum nilai_status status = NILAI_OK;
    for (uint32_t input = 0; input < admin->options->input_count && status == NILAI_OK; input++)
        status = add_topic(admin,
                           (struct topic){.name = admin->options->inputs[input], .is_input = true});
    for (int output = 0; output < NILAI_OUTPUT_TOPICS && status == NILAI_OK; output++) {
        if (admin->options->outputs[output] != NULL)
            status = add_topic(admin, (struct topic){.name = admin->options->outputs[output],
                                                     .output = (enum nilai_output_topic)output});
    }
    if (admin->options->state != NULL && status == NILAI_OK)
        status = add_topic(
            admin, (struct topic){.name = admin->options->state, .output = NILAI_OUTPUT_STATE});
    return status;
}

/* --- Metadata --------------------------------------------------------------------------- */

/* The clients that will use the topic, by what they do with it. */
static enum nilai_kafka_role role_at(const struct topic *topic)
{
    if (topic->is_input)
        return NILAI_KAFKA_CONSUMER;
    return topic->output == NILAI_OUTPUT_STATE ? NILAI_KAFKA_ADMIN : NILAI_KAFKA_PRODUCER;
}

/* NILAI_AGAIN: a topic has no leader at the moment, or is not known everywhere yet. */
static enum nilai_status read_topic(struct admin *admin, struct topic *topic,
                                    const struct rd_kafka_metadata *metadata)
{
    const struct rd_kafka_metadata_topic *found = NULL;
    for (int index = 0; index < metadata->topic_cnt; index++) {
        if (strcmp(metadata->topics[index].topic, topic->name) == 0)
            found = &metadata->topics[index];
    }
    topic->missing = found == NULL || found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                     || found->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
                     || found->err == RD_KAFKA_RESP_ERR__NOENT;
    if (topic->missing)
        return NILAI_OK;
    if (found->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
        || found->err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION)
        return nilai_error_set(admin->error, NILAI_CONFIG, "kafka: topic %s: %s%s", topic->name,
                               rd_kafka_err2str(found->err),
                               nilai_kafka_client_advice(role_at(topic), found->err));
    topic->partitions = found->partition_cnt;
    return found->err == RD_KAFKA_RESP_ERR_NO_ERROR && found->partition_cnt > 0 ? NILAI_OK
                                                                                : NILAI_AGAIN;
}

static enum nilai_status read_topics(struct admin *admin, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 0, NULL, &metadata, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (admin->trouble.code == RD_KAFKA_RESP_ERR_NO_ERROR)
            nilai_kafka_trouble_note(&admin->trouble, code, rd_kafka_err2str(code));
        return NILAI_AGAIN;
    }
    admin->trouble.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    enum nilai_status status = NILAI_OK;
    for (size_t index = 0; index < admin->topic_count && status == NILAI_OK; index++)
        status = read_topic(admin, &admin->topics[index], metadata);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

static bool is_missing(const struct admin *admin)
{
    for (size_t index = 0; index < admin->topic_count; index++) {
        if (admin->topics[index].missing)
            return true;
    }
    return false;
}

static enum nilai_status tell_trouble(struct admin *admin)
{
    char what[160];
    if (admin->trouble.code == RD_KAFKA_RESP_ERR_NO_ERROR)
        nilai_kafka_trouble_note(&admin->trouble, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                                 "a topic has no leader");
    snprintf(what, sizeof what, "no good answer from %.80s within %d s", servers_of(admin),
             admin->options->timeout_ms / 1000);
    return nilai_kafka_trouble_tell(&admin->trouble, RD_KAFKA_RESP_ERR__TIMED_OUT, what,
                                    admin->error);
}

/* Asks until the brokers answer; with `all`, until they know every topic. Who was refused for a
 * whole attempt will be again. */
static enum nilai_status wait_for_topics(struct admin *admin, bool all)
{
    int64_t ends_ms = nilai_clock_monotonic_ms() + admin->options->timeout_ms;
    for (;;) {
        int64_t left_ms = ends_ms - nilai_clock_monotonic_ms();
        if (left_ms < PAUSE_MS)
            left_ms = PAUSE_MS;
        enum nilai_status status =
            read_topics(admin, left_ms < ATTEMPT_MS ? (int)left_ms : ATTEMPT_MS);
        if (status == NILAI_OK && (!all || !is_missing(admin)))
            return NILAI_OK;
        if (status != NILAI_OK && status != NILAI_AGAIN)
            return status;
        rd_kafka_poll(admin->client, PAUSE_MS); /* collects errors, too */
        if (nilai_kafka_trouble_is_refusal(&admin->trouble)
            || nilai_clock_monotonic_ms() + PAUSE_MS >= ends_ms)
            return tell_trouble(admin);
    }
}

static void name_missing(const struct admin *admin, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t index = 0; index < admin->topic_count && used < size; index++) {
        if (admin->topics[index].missing)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     admin->topics[index].name);
    }
}

/* --- Creation --------------------------------------------------------------------------- */

static int32_t partitions_to_make(const struct admin *admin)
{
    for (size_t index = 0; index < admin->topic_count; index++) {
        if (admin->topics[index].is_input && !admin->topics[index].missing)
            return admin->topics[index].partitions;
    }
    return NILAI_KAFKA_PARTITIONS_DEFAULT;
}

static rd_kafka_NewTopic_t *describe_new(const struct admin *admin, const struct topic *topic,
                                         int32_t partitions)
{
    char text[128];
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(
        topic->name, partitions, admin->options->replication, text, sizeof text);
    NILAI_ASSERT(made != NULL); /* name and numbers were checked with the configuration */
    bool is_feed = !topic->is_input && topic->output == NILAI_OUTPUT_CUSTOMERS;
    rd_kafka_NewTopic_set_config(made, "cleanup.policy", is_feed ? "compact" : "delete");
    if (topic->is_input || topic->output == NILAI_OUTPUT_STATE) {
        /* Events are often stamped with when they happened: Kafka's week would take them away
         * before they are read. What the journal does not need any more, we delete ourselves. */
        rd_kafka_NewTopic_set_config(made, "retention.ms", "-1");
        rd_kafka_NewTopic_set_config(made, "retention.bytes", "-1");
    }
    if (!topic->is_input && topic->output == NILAI_OUTPUT_DEAD_LETTER) {
        /* A dead letter is its event and the reason on top. */
        snprintf(text, sizeof text, "%ld", admin->message_bytes + DEAD_LETTER_EXTRA);
        rd_kafka_NewTopic_set_config(made, "max.message.bytes", text);
    }
    return made;
}

static bool is_right_to_create(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
           || code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* Somebody else may create the same topics at the same time: that is as good. */
static enum nilai_status check_created(struct admin *admin, const rd_kafka_event_t *event)
{
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)(uintptr_t)event), &count);
    for (size_t index = 0; index < count; index++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[index]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return nilai_error_set(
                admin->error, NILAI_CONFIG, "kafka: topic %s cannot be made: %s%s",
                rd_kafka_topic_result_name(results[index]),
                rd_kafka_topic_result_error_string(results[index]) != NULL
                    ? rd_kafka_topic_result_error_string(results[index])
                    : rd_kafka_err2str(code),
                is_right_to_create(code) ? "; the right CREATE on the topic is missing" : "");
    }
    return NILAI_OK;
}

static enum nilai_status await_result(struct admin *admin, const char *what,
                                      rd_kafka_event_t **event)
{
    *event = rd_kafka_queue_poll(admin->results, admin->options->timeout_ms + ATTEMPT_MS);
    rd_kafka_resp_err_t code =
        *event != NULL ? rd_kafka_event_error(*event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return NILAI_OK;
    enum nilai_status status = nilai_error_set(
        admin->error, nilai_kafka_client_status(code), "kafka: %s: %s", what,
        *event != NULL ? rd_kafka_event_error_string(*event) : rd_kafka_err2str(code));
    if (*event != NULL)
        rd_kafka_event_destroy(*event);
    *event = NULL;
    return status;
}

static rd_kafka_AdminOptions_t *admin_options(struct admin *admin, rd_kafka_admin_op_t operation)
{
    char text[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->client, operation);
    rd_kafka_AdminOptions_set_request_timeout(options, admin->options->timeout_ms, text,
                                              sizeof text);
    return options;
}

/* Creates the missing topics of one side, inputs or outputs. */
static enum nilai_status create_missing(struct admin *admin, bool inputs)
{
    rd_kafka_NewTopic_t *list[TOPICS_MAX];
    size_t count = 0;
    int32_t partitions = partitions_to_make(admin);
    for (size_t index = 0; index < admin->topic_count; index++) {
        const struct topic *topic = &admin->topics[index];
        if (!topic->missing || topic->is_input != inputs)
            continue;
        list[count++] = describe_new(admin, topic, partitions);
        nilai_log(NILAI_LOG_INFO, "creating topic %s with %" PRId32 " partitions", topic->name,
                  partitions);
    }
    if (count == 0)
        return NILAI_OK;
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = admin_options(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(admin->client, list, count, options, admin->results);
    enum nilai_status status = await_result(admin, "topics cannot be made", &event);
    if (status == NILAI_OK) {
        status = check_created(admin, event);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_NewTopic_destroy_array(list, count);
    rd_kafka_AdminOptions_destroy(options);
    return status;
}

/* --- Checks ----------------------------------------------------------------------------- */

static enum nilai_status check_counts(struct admin *admin)
{
    char text[384];
    size_t used = 0;
    bool equal = true;
    for (size_t index = 0; index < admin->topic_count && used < sizeof text; index++) {
        const struct topic *topic = &admin->topics[index];
        if (!topic->is_input || topic->missing)
            continue;
        equal = equal && topic->partitions == partitions_to_make(admin);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s has %" PRId32,
                                 used > 0 ? ", " : "", topic->name, topic->partitions);
    }
    if (equal)
        return NILAI_OK;
    return nilai_error_set(admin->error, NILAI_CONFIG,
                           "the input topics need the same number of partitions, so that a "
                           "customer's events come together: %s",
                           text);
}

static bool is_state(const struct admin *admin, const char *topic)
{
    return admin->options->state != NULL && strcmp(topic, admin->options->state) == 0;
}

/* Another number of partitions than that of the inputs, and a customer's journal would lie in
 * another partition than their events. */
static enum nilai_status check_state_count(struct admin *admin)
{
    for (size_t index = 0; index < admin->topic_count; index++) {
        const struct topic *topic = &admin->topics[index];
        if (topic->is_input || topic->output != NILAI_OUTPUT_STATE || topic->missing
            || topic->partitions == partitions_to_make(admin))
            continue;
        return nilai_error_set(admin->error, NILAI_CONFIG,
                               "topic %s (state.topic) has %" PRId32 " partitions, the input "
                               "topics have %" PRId32 ": it needs as many; create it anew, or name "
                               "another one",
                               topic->name, topic->partitions, partitions_to_make(admin));
    }
    return NILAI_OK;
}

/* Whatever Kafka takes away of the journal by itself is state that is lost. */
static enum nilai_status check_state_entry(struct admin *admin, const char *topic, const char *name,
                                           const char *value)
{
    static const char *const wanted[][2] = {
        {"cleanup.policy", "delete"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}};
    for (size_t index = 0; index < NILAI_ARRAY_LEN(wanted); index++) {
        if (strcmp(name, wanted[index][0]) == 0 && strcmp(value, wanted[index][1]) != 0)
            return nilai_error_set(
                admin->error, NILAI_CONFIG,
                "topic %s (state.topic) has %s=%s, so that Kafka would throw state away; mend it: "
                "kafka-configs.sh --bootstrap-server ... --alter --entity-type topics "
                "--entity-name %s --add-config cleanup.policy=delete,retention.ms=-1,"
                "retention.bytes=-1",
                topic, name, value, topic);
    }
    if ((strcmp(name, "max.message.bytes") == 0 || strcmp(name, "segment.bytes") == 0)
        && strtoll(value, NULL, 10) < STATE_MESSAGE_BYTES)
        return nilai_error_set(admin->error, NILAI_CONFIG,
                               "topic %s (state.topic) has %s=%s; the journal needs %d or more",
                               topic, name, value, STATE_MESSAGE_BYTES);
    return NILAI_OK;
}

/* What a restore needs must be there still; without a journal, everything. */
static void judge_retention(const struct admin *admin, const char *topic, int64_t retention_ms)
{
    int64_t needed_ms = admin->options->input_needed_ms;
    if (retention_ms < 0 || (needed_ms > 0 && retention_ms >= needed_ms))
        return;
    if (needed_ms > 0)
        nilai_log(NILAI_LOG_WARNING,
                  "input topic %s keeps events for %.4g hours only (retention.ms=%" PRId64 "): a "
                  "restore may need those of the last %.4g",
                  topic, (double)retention_ms / 3600000, retention_ms, (double)needed_ms / 3600000);
    else
        nilai_log(NILAI_LOG_WARNING,
                  "input topic %s keeps events for %.4g days only (retention.ms=%" PRId64
                  "): after "
                  "a restart what is older is forgotten; -1 keeps all",
                  topic, (double)retention_ms / 86400000, retention_ms);
}

static enum nilai_status check_entry(struct admin *admin, const char *topic,
                                     const rd_kafka_ConfigEntry_t *entry)
{
    const char *name = rd_kafka_ConfigEntry_name(entry);
    const char *value = rd_kafka_ConfigEntry_value(entry);
    if (value == NULL)
        return NILAI_OK;
    if (is_state(admin, topic))
        return check_state_entry(admin, topic, name, value);
    if (strcmp(name, "cleanup.policy") == 0 && strstr(value, "compact") != NULL)
        return nilai_error_set(admin->error, NILAI_CONFIG,
                               "input topic %s is compacted (cleanup.policy=%s): of a customer's "
                               "events only the last would stay",
                               topic, value);
    if (strcmp(name, "retention.ms") == 0)
        judge_retention(admin, topic, strtoll(value, NULL, 10));
    if (strcmp(name, "max.message.bytes") == 0 && strtol(value, NULL, 10) > admin->message_bytes)
        admin->message_bytes = strtol(value, NULL, 10);
    return NILAI_OK;
}

static void note_unknown(const struct admin *admin, const char *topic, rd_kafka_resp_err_t code)
{
    nilai_log(NILAI_LOG_WARNING, "kafka: whether topic %s %s is not known: %s%s", topic,
              is_state(admin, topic) ? "keeps everything" : "is compacted", rd_kafka_err2str(code),
              code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
                  ? "; the right DESCRIBE_CONFIGS on the topic is missing"
                  : "");
}

static enum nilai_status check_resources(struct admin *admin, rd_kafka_event_t *event)
{
    size_t count, entry_count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    for (size_t index = 0; index < count; index++) {
        const char *name = rd_kafka_ConfigResource_name(resources[index]);
        if (rd_kafka_ConfigResource_error(resources[index])
            == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            continue; /* just made, as it should be, and not known everywhere yet */
        if (rd_kafka_ConfigResource_error(resources[index]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            note_unknown(admin, name, rd_kafka_ConfigResource_error(resources[index]));
            continue;
        }
        const rd_kafka_ConfigEntry_t **entries =
            rd_kafka_ConfigResource_configs(resources[index], &entry_count);
        for (size_t entry = 0; entry < entry_count; entry++) {
            enum nilai_status status = check_entry(admin, name, entries[entry]);
            if (status != NILAI_OK)
                return status;
        }
    }
    return NILAI_OK;
}

/* Brokers that do not answer this (rights, or an emulation of Kafka) are taken at their word. */
static enum nilai_status check_settings(struct admin *admin)
{
    rd_kafka_ConfigResource_t *resources[NILAI_INPUT_TOPICS_MAX + 1];
    size_t count = 0;
    for (size_t index = 0; index < admin->topic_count; index++) {
        const struct topic *topic = &admin->topics[index];
        if (topic->is_input || (topic->output == NILAI_OUTPUT_STATE && !topic->missing))
            resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic->name);
    }
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = admin_options(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(admin->client, resources, count, options, admin->results);
    enum nilai_status status = await_result(admin, "settings of topics", &event);
    if (status == NILAI_OK) {
        status = check_resources(admin, event);
        rd_kafka_event_destroy(event);
    } else {
        nilai_log(NILAI_LOG_WARNING, "whether the input topics are compacted is not known: %s",
                  admin->error->text);
        status = NILAI_OK;
    }
    rd_kafka_ConfigResource_destroy_array(resources, count);
    rd_kafka_AdminOptions_destroy(options);
    return status;
}

/* --- Ends ------------------------------------------------------------------------------- */

static enum nilai_status query_ends(struct admin *admin, rd_kafka_topic_partition_list_t *list)
{
    int64_t ends_ms = nilai_clock_monotonic_ms() + admin->options->timeout_ms;
    rd_kafka_resp_err_t code;
    do {
        for (int index = 0; index < list->cnt; index++)
            list->elems[index].offset = RD_KAFKA_OFFSET_END;
        code = rd_kafka_offsets_for_times(admin->client, list, ATTEMPT_MS);
        for (int index = 0; index < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; index++)
            code = list->elems[index].err;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_poll(admin->client, PAUSE_MS);
    } while (code != RD_KAFKA_RESP_ERR_NO_ERROR && nilai_clock_monotonic_ms() < ends_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return NILAI_OK;
    return nilai_error_set(admin->error, nilai_kafka_client_status(code),
                           "kafka: the ends of the input topics cannot be read: %s",
                           rd_kafka_err2str(code));
}

static enum nilai_status read_ends(struct admin *admin, struct nilai_kafka_layout *layout)
{
    int32_t partitions = admin->topics[0].partitions;
    size_t all = (size_t)partitions * admin->options->input_count;
    int64_t *ends = calloc(all, sizeof *ends);
    if (ends == NULL)
        return nilai_error_set(admin->error, NILAI_NO_MEMORY, "out of memory");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)all);
    for (uint32_t input = 0; input < admin->options->input_count; input++)
        rd_kafka_topic_partition_list_add_range(list, admin->options->inputs[input], 0,
                                                partitions - 1);
    enum nilai_status status = query_ends(admin, list);
    for (uint32_t input = 0; input < admin->options->input_count && status == NILAI_OK; input++) {
        for (int32_t partition = 0; partition < partitions; partition++) {
            const rd_kafka_topic_partition_t *one =
                rd_kafka_topic_partition_list_find(list, admin->options->inputs[input], partition);
            ends[(int32_t)input * partitions + partition] = one->offset > 0 ? one->offset : 0;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (status == NILAI_OK)
        *layout = (struct nilai_kafka_layout){.partition_count = partitions, .ends = ends};
    else
        free(ends);
    return status;
}

/* --- All together ------------------------------------------------------------------------ */

static enum nilai_status ensure_topics(struct admin *admin)
{
    char missing[384];
    enum nilai_status status = wait_for_topics(admin, false);
    if (status != NILAI_OK)
        return status;
    if (is_missing(admin) && !admin->options->create) {
        name_missing(admin, missing, sizeof missing);
        return nilai_error_set(admin->error, NILAI_CONFIG,
                               "topics not found: %s; create them, or set topics.create to true",
                               missing);
    }
    /* Before anything is made: counts that differ would be spread to the outputs. */
    status = check_counts(admin);
    if (status == NILAI_OK)
        status = check_state_count(admin);
    if (status == NILAI_OK)
        status = create_missing(admin, true);
    if (status == NILAI_OK && !admin->options->emulated)
        status = check_settings(admin);
    if (status == NILAI_OK)
        status = create_missing(admin, false);
    if (status == NILAI_OK && is_missing(admin))
        status = wait_for_topics(admin, true);
    /* Another process may have made some, with other counts. */
    if (status == NILAI_OK)
        status = check_counts(admin);
    return status == NILAI_OK ? check_state_count(admin) : status;
}

enum nilai_status nilai_kafka_admin_prepare(const struct nilai_kafka_admin_options *options,
                                            struct nilai_kafka_layout *layout,
                                            struct nilai_error *error)
{
    NILAI_ASSERT(options->input_count > 0 && options->input_count <= NILAI_INPUT_TOPICS_MAX);
    NILAI_ASSERT(options->outputs[NILAI_OUTPUT_STATE] == NULL);
    struct nilai_error unused;
    struct admin admin = {.options = options,
                          .error = error != NULL ? error : &unused,
                          .message_bytes = MESSAGE_BYTES_DEFAULT};
    enum nilai_status status = open_client(&admin);
    if (status == NILAI_OK)
        status = list_topics(&admin);
    if (status == NILAI_OK)
        status = ensure_topics(&admin);
    if (status == NILAI_OK)
        status = read_ends(&admin, layout);
    close_client(&admin);
    return status;
}
