#include "nilai/io/kafka_sink.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_client.h"
#include "kafka_output.h"
#include "kafka_report.h"
#include "nilai/io/outbox.h"

enum {
    CLOSE_FLUSH_MS = 1000,
    /* What the library hands back with a message: epoch, part, and whether it is of the journal. */
    TAG_PART_SHIFT = 1,
    TAG_PART_MASK = 3,
    TAG_STATE = 8,
};

/* The journal's records of one epoch. They count only under the assignment for which they were
 * put: later, somebody else may have gone on in that journal. */
struct held {
    struct nilai_outbox *box; /* NULL: no journal */
    uint64_t assignment;
    bool full; /* something did not fit */
};

/* A dead letter on its way again, as a smaller part. */
struct second_try {
    struct second_try *next;
    rd_kafka_headers_t *headers;
    unsigned epoch;
    enum nilai_dead_part part;
    size_t key_size;
    bool has_key;
    char key[];
};

/*
 * Epochs: what is put belongs to the open one; a commit closes it and opens the other. Since
 * one commit at most is on its way, two are enough, told apart by one bit.
 *
 * A commit goes through three stages, each begun when the one before is acknowledged: the output of
 * its epoch, which is on its way since it was put; the journal, held back until then; the offsets.
 * So the journal never says that something was published which was not, and the offsets are never
 * ahead of the journal. What is held back has a limit; when it is reached before a commit (amid a
 * turn of millions of deadlines), the journal so far is written as soon as the output so far is
 * acknowledged.
 */
struct kafka_sink {
    struct nilai_sink base;
    struct nilai_kafka_sink_options options;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[NILAI_OUTPUT_TOPICS];
    rd_kafka_queue_t *acks;     /* the producer's events */
    uint64_t outstanding[2];    /* messages by epoch */
    unsigned epoch;             /* the open one */
    struct held held[2];        /* by epoch, too */
    uint64_t state_outstanding; /* records of the journal */
    uint64_t assignment;        /* under which that was asked for */
    enum nilai_commit_state state;
    bool sent; /* the offsets of the running commit are on their way, with the source */
    rd_kafka_topic_partition_list_t *offsets;
    struct second_try *second_tries;
    enum nilai_status failure;
    struct nilai_error error;
    bool closing;
};

static struct kafka_sink *of(struct nilai_sink *sink)
{
    return (struct kafka_sink *)sink;
}

static void on_wake(rd_kafka_t *client, void *context)
{
    (void)client;
    struct kafka_sink *sink = context;
    sink->options.wake(sink->options.wake_context);
}

static void fail(struct kafka_sink *sink, rd_kafka_resp_err_t code, const char *what,
                 const char *text)
{
    if (sink->failure == NILAI_OK)
        sink->failure =
            nilai_error_set(&sink->error, nilai_kafka_client_status(code), "kafka: %s: %s%s", what,
                            text, nilai_kafka_client_advice(NILAI_KAFKA_PRODUCER, code));
}

static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    struct kafka_sink *sink = context;
    (void)code; /* a fatal error comes here under its own code: ask whether it is one */
    char fatal[256];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(client, fatal, sizeof fatal);
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR)
        nilai_kafka_report(NILAI_LOG_WARNING, rd_kafka_name(client), text);
    else
        fail(sink, cause, "producer", fatal);
}

/* --- Messages --------------------------------------------------------------------------- */

/* Takes the headers only when it succeeds. */
static rd_kafka_resp_err_t produce(struct kafka_sink *sink, enum nilai_output_topic topic,
                                   unsigned epoch, enum nilai_dead_part part, const void *key,
                                   size_t key_size, const void *value, size_t value_size,
                                   rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t code = nilai_kafka_output_produce(
        sink->producer, sink->topics[topic], RD_KAFKA_PARTITION_UA, key, key_size, value,
        value_size, headers, (void *)(uintptr_t)(epoch | part << TAG_PART_SHIFT));
    sink->outstanding[epoch] += code == RD_KAFKA_RESP_ERR_NO_ERROR;
    return code;
}

static enum nilai_status hold(struct kafka_sink *sink, const struct nilai_output *output)
{
    struct held *held = &sink->held[sink->epoch];
    uint64_t assignment = nilai_kafka_source_assignment(sink->options.source);
    NILAI_ASSERT(held->box != NULL);
    if (held->assignment != assignment)
        nilai_outbox_clear(held->box);
    held->assignment = assignment;
    enum nilai_status status = nilai_outbox_push(held->box, output);
    if (status == NILAI_AGAIN && nilai_outbox_is_empty(held->box)) {
        fail(sink, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "journal", "a record is too large");
        return NILAI_FAILED;
    }
    held->full = status == NILAI_AGAIN;
    return status;
}

static enum nilai_status sink_put(struct nilai_sink *base, const struct nilai_output *output)
{
    struct kafka_sink *sink = of(base);
    if (sink->failure != NILAI_OK)
        return NILAI_FAILED;
    if (output->topic == NILAI_OUTPUT_STATE)
        return hold(sink, output);
    rd_kafka_headers_t *headers = nilai_kafka_output_headers(output);
    if (headers == NULL)
        return NILAI_NO_MEMORY;
    enum nilai_dead_part part = NILAI_DEAD_WHOLE;
    rd_kafka_resp_err_t code =
        produce(sink, output->topic, sink->epoch, part, output->key, output->key_size,
                output->value, output->value_size, headers);
    while (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && output->topic == NILAI_OUTPUT_DEAD_LETTER
           && part != NILAI_DEAD_REASON) {
        part = nilai_dead_part_smaller(part, output->value != NULL);
        rd_kafka_headers_t *fewer =
            nilai_dead_part_headers(headers, part, output->key_size, output->value_size);
        rd_kafka_headers_destroy(headers);
        headers = fewer;
        bool with_key = part != NILAI_DEAD_REASON;
        code = produce(sink, output->topic, sink->epoch, part, with_key ? output->key : NULL,
                       with_key ? output->key_size : 0, NULL, 0, headers);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return NILAI_OK;
    rd_kafka_headers_destroy(headers);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return NILAI_AGAIN;
    fail(sink, code, rd_kafka_topic_name(sink->topics[output->topic]), rd_kafka_err2str(code));
    return NILAI_FAILED;
}

/* From within a delivery report: the room of the message that failed is not free yet. */
static bool queue_second_try(struct kafka_sink *sink, const rd_kafka_message_t *message,
                             unsigned epoch, enum nilai_dead_part part)
{
    rd_kafka_headers_t *headers;
    bool with_key = part != NILAI_DEAD_REASON && message->key != NULL;
    size_t key_size = with_key ? message->key_len : 0;
    struct second_try *entry;
    /* A dead letter always has headers. */
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR
        || (entry = malloc(sizeof *entry + key_size)) == NULL)
        return false;
    *entry = (struct second_try){
        .next = sink->second_tries,
        .headers = nilai_dead_part_headers(headers, part, message->key_len, message->len),
        .epoch = epoch,
        .part = part,
        .key_size = key_size,
        .has_key = with_key};
    if (key_size > 0)
        memcpy(entry->key, message->key, key_size);
    sink->second_tries = entry;
    return true;
}

static void drop_second_try(struct second_try *entry, bool with_headers)
{
    if (with_headers)
        rd_kafka_headers_destroy(entry->headers);
    free(entry);
}

/* Each counts as outstanding all the while, so that no commit overtakes it. */
static void send_second_tries(struct kafka_sink *sink)
{
    while (sink->second_tries != NULL) {
        struct second_try *entry = sink->second_tries;
        rd_kafka_resp_err_t code =
            produce(sink, NILAI_OUTPUT_DEAD_LETTER, entry->epoch, entry->part,
                    entry->has_key ? entry->key : NULL, entry->key_size, NULL, 0, entry->headers);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return;
        sink->outstanding[entry->epoch]--;
        sink->second_tries = entry->next;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail(sink, code, "dead letter", rd_kafka_err2str(code));
        drop_second_try(entry, code != RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    struct kafka_sink *sink = context;
    uintptr_t tag = (uintptr_t)message->_private;
    unsigned epoch = tag & 1;
    enum nilai_dead_part part = (enum nilai_dead_part)(tag >> TAG_PART_SHIFT & TAG_PART_MASK);
    uint64_t *outstanding =
        (tag & TAG_STATE) != 0 ? &sink->state_outstanding : &sink->outstanding[epoch];
    NILAI_ASSERT(part <= NILAI_DEAD_REASON && *outstanding > 0);
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !sink->closing
        && message->rkt == sink->topics[NILAI_OUTPUT_DEAD_LETTER] && part != NILAI_DEAD_REASON
        && queue_second_try(sink, message, epoch,
                            nilai_dead_part_smaller(part, message->payload != NULL)))
        return;
    (*outstanding)--;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !sink->closing)
        fail(sink, message->err, rd_kafka_topic_name(message->rkt),
             rd_kafka_err2str(message->err)); /* the message's own text would be its value */
}

/* --- Commits ---------------------------------------------------------------------------- */

static enum nilai_status sink_commit(struct nilai_sink *base, const struct nilai_position *list,
                                     size_t count)
{
    struct kafka_sink *sink = of(base);
    if (sink->state != NILAI_COMMIT_IDLE)
        return NILAI_AGAIN;
    NILAI_ASSERT(sink->outstanding[sink->epoch ^ 1] == 0 && !sink->sent);
    sink->offsets = nilai_kafka_output_offsets(&sink->options, list, count);
    if (sink->offsets == NULL)
        return NILAI_NO_MEMORY;
    sink->assignment = nilai_kafka_source_assignment(sink->options.source);
    struct held *held = &sink->held[sink->epoch];
    if (held->box != NULL && held->assignment != sink->assignment)
        nilai_outbox_clear(held->box);
    sink->epoch ^= 1;
    sink->state = NILAI_COMMIT_RUNNING;
    return NILAI_OK;
}

static bool is_unsent(const struct kafka_sink *sink)
{
    return sink->state == NILAI_COMMIT_RUNNING && !sink->sent;
}

/* The brokers would take offsets of any partition from a member of the group, and anything for
 * the journal from anybody. */
static bool is_outdated(const struct kafka_sink *sink)
{
    return nilai_kafka_source_is_lost(sink->options.source)
           || nilai_kafka_source_assignment(sink->options.source) != sink->assignment;
}

static void end_commit(struct kafka_sink *sink, enum nilai_commit_state state)
{
    if (sink->offsets != NULL)
        rd_kafka_topic_partition_list_destroy(sink->offsets);
    sink->offsets = NULL;
    sink->state = state;
}

/* The second stage; false: there is more. In order, and none is left out: the library keeps the
 * order of what it was given, and gives up on none without telling. */
static bool write_state(struct kafka_sink *sink, struct held *held)
{
    const struct nilai_output *output;
    while (held->box != NULL && (output = nilai_outbox_first(held->box)) != NULL) {
        rd_kafka_headers_t *headers = nilai_kafka_output_headers(output);
        rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;
        if (headers != NULL)
            code = nilai_kafka_output_produce(sink->producer, sink->topics[NILAI_OUTPUT_STATE],
                                              output->partition, output->key, output->key_size,
                                              output->value, output->value_size, headers,
                                              (void *)(uintptr_t)TAG_STATE);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
            rd_kafka_headers_destroy(headers);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return false;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail(sink, code, "journal", rd_kafka_err2str(code));
            return false;
        }
        sink->state_outstanding++;
        nilai_outbox_pop(held->box);
    }
    return sink->state_outstanding == 0;
}

/* The third stage. */
static void send_offsets(struct kafka_sink *sink)
{
    sink->sent = nilai_kafka_source_commit(sink->options.source, sink->offsets);
    end_commit(sink, sink->sent ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_REFUSED);
}

/* Goes on with the running commit as far as the brokers have answered. */
static void advance(struct kafka_sink *sink)
{
    if (sink->failure != NILAI_OK || !is_unsent(sink) || sink->outstanding[sink->epoch ^ 1] > 0)
        return;
    if (is_outdated(sink)) {
        if (sink->held[sink->epoch ^ 1].box != NULL)
            nilai_outbox_clear(sink->held[sink->epoch ^ 1].box);
        end_commit(sink, NILAI_COMMIT_REFUSED);
    } else if (write_state(sink, &sink->held[sink->epoch ^ 1])) {
        send_offsets(sink);
    }
}

/* Makes room in a box that is full although no commit is on its way. */
static void relieve(struct kafka_sink *sink)
{
    struct held *held = &sink->held[sink->epoch];
    if (!held->full || sink->failure != NILAI_OK || sink->state != NILAI_COMMIT_IDLE
        || sink->outstanding[sink->epoch] > 0)
        return;
    if (nilai_kafka_source_is_lost(sink->options.source)
        || held->assignment != nilai_kafka_source_assignment(sink->options.source))
        nilai_outbox_clear(held->box);
    (void)write_state(sink, held);
    held->full = !nilai_outbox_is_empty(held->box);
}

static enum nilai_status sink_poll(struct nilai_sink *base, int timeout_ms,
                                   enum nilai_commit_state *state, struct nilai_error *error)
{
    struct kafka_sink *sink = of(base);
    send_second_tries(sink);
    advance(sink);
    rd_kafka_poll(sink->producer, sink->sent ? 0 : timeout_ms);
    send_second_tries(sink);
    advance(sink);
    relieve(sink);
    if (sink->failure != NILAI_OK) {
        *error = sink->error;
        return sink->failure;
    }
    if (sink->sent) {
        sink->state = nilai_kafka_source_commit_poll(sink->options.source, timeout_ms);
        sink->sent = sink->state == NILAI_COMMIT_RUNNING;
    }
    *state = sink->state;
    if (sink->state == NILAI_COMMIT_DONE || sink->state == NILAI_COMMIT_REFUSED)
        sink->state = NILAI_COMMIT_IDLE;
    return NILAI_OK;
}

/* --- Storage ---------------------------------------------------------------------------- */

static void sink_close(struct nilai_sink *base)
{
    struct kafka_sink *sink = of(base);
    sink->closing = true;
    if (sink->producer != NULL)
        nilai_kafka_output_close(sink->producer, sink->acks, sink->topics, CLOSE_FLUSH_MS);
    if (sink->offsets != NULL)
        rd_kafka_topic_partition_list_destroy(sink->offsets);
    while (sink->second_tries != NULL) {
        struct second_try *entry = sink->second_tries;
        sink->second_tries = entry->next;
        drop_second_try(entry, true);
    }
    for (size_t epoch = 0; epoch < NILAI_ARRAY_LEN(sink->held); epoch++)
        nilai_outbox_destroy(sink->held[epoch].box);
    free(sink);
}

static bool create_boxes(struct kafka_sink *sink)
{
    for (size_t epoch = 0; epoch < NILAI_ARRAY_LEN(sink->held); epoch++) {
        sink->held[epoch].box = nilai_outbox_create(NILAI_SINK_STATE_BYTES);
        if (sink->held[epoch].box == NULL)
            return false;
    }
    return true;
}

static const struct nilai_sink_ops kafka_sink_ops = {
    .put = sink_put,
    .commit = sink_commit,
    .poll = sink_poll,
    .close = sink_close,
};

enum nilai_status nilai_kafka_sink_create(const struct nilai_kafka_sink_options *options,
                                          struct nilai_sink **sink, struct nilai_error *error)
{
    rd_kafka_conf_t *config;
    struct kafka_sink *created = calloc(1, sizeof *created);
    if (created == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    created->base.ops = &kafka_sink_ops;
    created->options = *options;
    enum nilai_status status =
        options->topics[NILAI_OUTPUT_STATE] == NULL || create_boxes(created)
            ? nilai_kafka_config_create(NILAI_KAFKA_PRODUCER, options->kafka, options->kafka_count,
                                        NULL, 0, &config, error)
            : nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    if (status == NILAI_OK) {
        rd_kafka_conf_set_opaque(config, created);
        rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
        rd_kafka_conf_set_error_cb(config, on_error);
        status = nilai_kafka_client_create(RD_KAFKA_PRODUCER, config, &created->producer, error);
    }
    if (status == NILAI_OK) {
        created->acks = rd_kafka_queue_get_main(created->producer);
        rd_kafka_queue_cb_event_enable(created->acks, on_wake, created);
        status = nilai_kafka_output_open(created->producer, options, created->topics, error);
    }
    if (status != NILAI_OK) {
        sink_close(&created->base);
        return status;
    }
    *sink = &created->base;
    return NILAI_OK;
}
