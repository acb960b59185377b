#include "kafka_output.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* NULL: the producer's. Images have no zeros left: to compress them takes longer than to make them,
 * and saves a fifth. */
static rd_kafka_topic_conf_t *topic_settings(rd_kafka_t *producer, size_t topic)
{
    char text[256];
    if (topic != NILAI_OUTPUT_STATE)
        return NULL;
    rd_kafka_topic_conf_t *settings = rd_kafka_default_topic_conf_dup(producer);
    NILAI_ASSERT(rd_kafka_topic_conf_set(settings, "compression.codec", "none", text, sizeof text)
                 == RD_KAFKA_CONF_OK);
    return settings;
}

enum nilai_status nilai_kafka_output_open(rd_kafka_t *producer,
                                          const struct nilai_kafka_sink_options *options,
                                          rd_kafka_topic_t *topics[static NILAI_OUTPUT_TOPICS],
                                          struct nilai_error *error)
{
    for (size_t topic = 0; topic < NILAI_OUTPUT_TOPICS; topic++) {
        const char *name = options->topics[topic];
        if (name == NULL)
            continue;
        topics[topic] = rd_kafka_topic_new(producer, name, topic_settings(producer, topic));
        if (topics[topic] == NULL)
            return nilai_error_set(error, NILAI_CONFIG, "kafka: topic %s: %s", name,
                                   rd_kafka_err2str(rd_kafka_last_error()));
    }
    return NILAI_OK;
}

void nilai_kafka_output_close(rd_kafka_t *producer, rd_kafka_queue_t *events,
                              rd_kafka_topic_t *topics[static NILAI_OUTPUT_TOPICS], int flush_ms)
{
    rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(producer, flush_ms);
    for (size_t topic = 0; topic < NILAI_OUTPUT_TOPICS; topic++) {
        if (topics[topic] != NULL)
            rd_kafka_topic_destroy(topics[topic]);
        topics[topic] = NULL;
    }
    if (events != NULL) {
        rd_kafka_queue_cb_event_enable(events, NULL, NULL);
        rd_kafka_queue_destroy(events);
    }
    rd_kafka_destroy(producer);
}

/* false: out of memory. */
static bool add_position(const struct nilai_kafka_sink_options *options,
                         const struct nilai_position *position,
                         rd_kafka_topic_partition_list_t *offsets)
{
    char metadata[NILAI_KAFKA_METADATA_SIZE];
    nilai_kafka_metadata_format(position, metadata);
    for (uint32_t topic = 0; topic < options->input_topic_count; topic++) {
        if (position->offsets[topic] < 0)
            continue;
        rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(
            offsets, options->input_topics[topic], position->partition);
        one->offset = position->offsets[topic];
        one->metadata = strdup(metadata); /* freed with the list */
        if (one->metadata == NULL)
            return false;
        one->metadata_size = strlen(metadata);
    }
    return true;
}

rd_kafka_topic_partition_list_t *
nilai_kafka_output_offsets(const struct nilai_kafka_sink_options *options,
                           const struct nilai_position *list, size_t count)
{
    rd_kafka_topic_partition_list_t *offsets =
        rd_kafka_topic_partition_list_new((int)(count * options->input_topic_count));
    for (size_t index = 0; index < count; index++) {
        if (!add_position(options, &list[index], offsets)) {
            rd_kafka_topic_partition_list_destroy(offsets);
            return NULL;
        }
    }
    return offsets;
}

rd_kafka_headers_t *nilai_kafka_output_headers(const struct nilai_output *output)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count + 1);
    for (size_t index = 0; index < output->header_count; index++) {
        const struct nilai_header *header = &output->headers[index];
        if (rd_kafka_header_add(headers, header->name, -1, header->value,
                                header->value != NULL ? (ssize_t)header->size : -1)
            != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_headers_destroy(headers);
            return NULL;
        }
    }
    return headers;
}

static void note_omitted(rd_kafka_headers_t *headers, const char *name, size_t size)
{
    char text[24];
    int text_size = snprintf(text, sizeof text, "%zu", size);
    rd_kafka_header_add(headers, name, -1, text, text_size);
}

enum nilai_dead_part nilai_dead_part_smaller(enum nilai_dead_part part, bool has_value)
{
    return part == NILAI_DEAD_WHOLE && has_value ? NILAI_DEAD_NO_VALUE : NILAI_DEAD_REASON;
}

rd_kafka_headers_t *nilai_dead_part_headers(const rd_kafka_headers_t *headers,
                                            enum nilai_dead_part part, size_t key_size,
                                            size_t value_size)
{
    static const char *const reasons[] = {
        "__connect.errors.topic",      "__connect.errors.partition",
        "__connect.errors.offset",     "__connect.errors.stage",
        "__connect.errors.class.name", "__connect.errors.exception.message",
        "nilai.value.omitted",
    };
    const void *value;
    size_t size;
    if (part == NILAI_DEAD_NO_VALUE) {
        rd_kafka_headers_t *all = rd_kafka_headers_copy(headers);
        note_omitted(all, "nilai.value.omitted", value_size);
        return all;
    }
    rd_kafka_headers_t *few = rd_kafka_headers_new(NILAI_ARRAY_LEN(reasons) + 2);
    for (size_t index = 0; index < NILAI_ARRAY_LEN(reasons); index++) {
        if (rd_kafka_header_get_last(headers, reasons[index], &value, &size)
            == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_header_add(few, reasons[index], -1, value, (ssize_t)size);
    }
    note_omitted(few, "nilai.key.omitted", key_size);
    note_omitted(few, "nilai.headers.omitted",
                 rd_kafka_header_cnt(headers) - rd_kafka_header_cnt(few) + 1);
    return few;
}

rd_kafka_resp_err_t nilai_kafka_output_produce(rd_kafka_t *producer, rd_kafka_topic_t *topic,
                                               int32_t partition, const void *key, size_t key_size,
                                               const void *value, size_t value_size,
                                               rd_kafka_headers_t *headers, void *opaque)
{
    NILAI_ASSERT(topic != NULL);
    rd_kafka_vu_t arguments[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)(uintptr_t)key, .size = key_size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = (void *)(uintptr_t)value, .size = value_size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(producer, arguments, NILAI_ARRAY_LEN(arguments));
    if (error == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return code;
}
