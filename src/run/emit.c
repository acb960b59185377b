#include "nilai/run/emit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/run/message.h"

enum { CLOUDEVENT_HEADERS = 6, ERROR_HEADERS = 6 };

struct nilai_emitter {
    const struct nilai_config *config;
    struct nilai_sink *sink;
    struct nilai_encoder *encoder;
    const char *topic_names[NILAI_CONFIG_TOPICS_MAX];
    const char *content_type;
    struct nilai_header *originals; /* of a dead letter; grows to the largest seen */
    size_t original_count, original_room;
    bool out_of_memory;
    int64_t feed_at_ms;
    enum nilai_status feed_status;
};

struct nilai_emitter *nilai_emitter_create(const struct nilai_config *config,
                                           struct nilai_sink *sink)
{
    struct nilai_emitter *emitter = calloc(1, sizeof *emitter);
    if (emitter == NULL)
        return NULL;
    emitter->config = config;
    emitter->sink = sink;
    emitter->content_type =
        config->output_format == NILAI_FORMAT_JSON ? "application/json" : "application/msgpack";
    for (size_t topic = 0; topic < config->input_topic_count; topic++)
        emitter->topic_names[topic] = config->input_topics[topic];
    emitter->encoder = nilai_encoder_create(config->output_format);
    if (emitter->encoder == NULL) {
        nilai_emitter_destroy(emitter);
        return NULL;
    }
    return emitter;
}

void nilai_emitter_destroy(struct nilai_emitter *emitter)
{
    if (emitter == NULL)
        return;
    if (emitter->encoder != NULL)
        nilai_encoder_destroy(emitter->encoder);
    free(emitter->originals);
    free(emitter);
}

static struct nilai_header text_header(const char *name, const char *text)
{
    return (struct nilai_header){.name = name, .value = text, .size = strlen(text)};
}

static void cloudevent_headers(const struct nilai_emitter *emitter,
                               const struct nilai_message_headers *message,
                               struct nilai_header list[static CLOUDEVENT_HEADERS])
{
    list[0] = text_header("ce_specversion", "1.0");
    list[1] = (struct nilai_header){"ce_id", message->id, message->id_size};
    list[2] = text_header("ce_source", emitter->config->output_source);
    list[3] = text_header("ce_type", message->type);
    list[4] = text_header("ce_time", message->time);
    list[5] = text_header("content-type", emitter->content_type);
}

enum nilai_status nilai_emit_change(struct nilai_emitter *emitter,
                                    const struct nilai_effect *effect)
{
    struct nilai_message_headers message;
    struct nilai_header headers[CLOUDEVENT_HEADERS];
    const char *value;
    size_t value_size;

    nilai_encode_begin(emitter->encoder);
    nilai_message_encode_change(emitter->encoder, NULL, &emitter->config->model, effect,
                                emitter->topic_names);
    enum nilai_status status = nilai_encode_end(emitter->encoder, &value, &value_size);
    if (status != NILAI_OK)
        return status;
    nilai_message_change_headers(effect, &message);
    cloudevent_headers(emitter, &message, headers);
    return nilai_sink_put(
        emitter->sink,
        &(struct nilai_output){
            .topic = effect->change.is_band ? NILAI_OUTPUT_CHURN_RISK : NILAI_OUTPUT_VALUE_SEGMENT,
            .key = effect->customer,
            .key_size = effect->customer_size,
            .value = value,
            .value_size = value_size,
            .headers = headers,
            .header_count = CLOUDEVENT_HEADERS,
        });
}

/* The stages are those that Kafka Connect writes, which tools for dead letters know. */
static const char *stage_of(enum nilai_reject_class class)
{
    if (class == NILAI_REJECT_KEY_MISMATCH)
        return "KEY_CONVERTER";
    return class == NILAI_REJECT_FUTURE_TIMESTAMP ? "TRANSFORMATION" : "VALUE_CONVERTER";
}

static void keep_header(void *context, const struct nilai_header *header)
{
    struct nilai_emitter *emitter = context;
    if (emitter->original_count == emitter->original_room) {
        size_t room = emitter->original_room == 0 ? 16 : 2 * emitter->original_room;
        struct nilai_header *grown = reallocarray(emitter->originals, room, sizeof *grown);
        if (grown == NULL) {
            emitter->out_of_memory = true;
            return;
        }
        emitter->originals = grown;
        emitter->original_room = room;
    }
    emitter->originals[emitter->original_count++] = *header;
}

enum nilai_status nilai_emit_dead_letter(struct nilai_emitter *emitter, struct nilai_source *source,
                                         const struct nilai_arrival *arrival, uint32_t topic,
                                         int32_t partition)
{
    NILAI_ASSERT(arrival->bad && arrival->reject.class != NILAI_REJECT_NONE);
    char partition_text[16], offset_text[24];
    snprintf(partition_text, sizeof partition_text, "%" PRId32, partition);
    snprintf(offset_text, sizeof offset_text, "%" PRId64, arrival->input.offset);
    const struct nilai_header errors[ERROR_HEADERS] = {
        text_header("__connect.errors.topic", emitter->topic_names[topic]),
        text_header("__connect.errors.partition", partition_text),
        text_header("__connect.errors.offset", offset_text),
        text_header("__connect.errors.stage", stage_of(arrival->reject.class)),
        text_header("__connect.errors.class.name", nilai_reject_names[arrival->reject.class]),
        text_header("__connect.errors.exception.message", arrival->reject.message),
    };

    emitter->original_count = 0;
    emitter->out_of_memory = false;
    nilai_source_headers(source, &arrival->input, keep_header, emitter);
    for (size_t header = 0; header < ERROR_HEADERS; header++)
        keep_header(emitter, &errors[header]);
    if (emitter->out_of_memory)
        return NILAI_NO_MEMORY;
    return nilai_sink_put(emitter->sink, &(struct nilai_output){
                                             .topic = NILAI_OUTPUT_DEAD_LETTER,
                                             .key = arrival->input.key,
                                             .key_size = arrival->input.key_size,
                                             .value = arrival->input.value,
                                             .value_size = arrival->input.value_size,
                                             .headers = emitter->originals,
                                             .header_count = emitter->original_count,
                                         });
}

static enum nilai_status put_customer(struct nilai_emitter *emitter, const char *key,
                                      size_t key_size, const char *value, size_t value_size,
                                      const struct nilai_message_headers *message)
{
    struct nilai_header headers[CLOUDEVENT_HEADERS];
    struct nilai_output output = {.topic = NILAI_OUTPUT_CUSTOMERS,
                                  .key = key,
                                  .key_size = key_size,
                                  .value = value,
                                  .value_size = value_size};
    if (value != NULL) {
        cloudevent_headers(emitter, message, headers);
        output.headers = headers;
        output.header_count = CLOUDEVENT_HEADERS;
    }
    return nilai_sink_put(emitter->sink, &output);
}

static bool feed_one(void *context, struct nilai_text id, const struct nilai_customer *customer,
                     const struct nilai_service *service)
{
    struct nilai_emitter *emitter = context;
    struct nilai_message_headers message;
    const char *value = NULL;
    size_t value_size = 0;
    if (customer != NULL) {
        nilai_encode_begin(emitter->encoder);
        nilai_message_encode_customer(emitter->encoder, &emitter->config->model, id,
                                      emitter->feed_at_ms, customer, service);
        emitter->feed_status = nilai_encode_end(emitter->encoder, &value, &value_size);
        if (emitter->feed_status != NILAI_OK)
            return false;
        nilai_message_customer_headers(id, emitter->feed_at_ms, customer, &message);
    }
    emitter->feed_status = put_customer(emitter, id.data, id.size, value, value_size, &message);
    return emitter->feed_status == NILAI_OK;
}

enum nilai_status nilai_emit_feed(struct nilai_emitter *emitter, struct nilai_partition *state)
{
    emitter->feed_at_ms = nilai_partition_clock_ms(state);
    emitter->feed_status = NILAI_OK;
    nilai_partition_take_touched(state, feed_one, emitter);
    return emitter->feed_status;
}
