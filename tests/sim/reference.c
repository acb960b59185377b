#include "reference.h"

#include <stdlib.h>
#include <string.h>

#include "nilai/run/emit.h"

struct sim_reference {
    struct sim_broker *broker;
    const struct nilai_config *config;
    int32_t partition;
    struct nilai_decoder *decoder;
    struct nilai_partition *state;
    struct nilai_emitter *emitter;
    struct nilai_sink sink;
    struct nilai_source source;
    int64_t next[SIM_TOPICS_MAX];
    struct nilai_arrival *arrivals; /* of the turn at hand, topic after topic */
    size_t arrival_count, arrival_room;
    const struct nilai_event **events;
    struct nilai_effects effects;
    struct sim_expected *messages;
    size_t message_count, message_room;
    uint64_t event_count;
};

static struct sim_reference *of_sink(struct nilai_sink *base)
{
    return (struct sim_reference *)((char *)base - offsetof(struct sim_reference, sink));
}

static enum nilai_status keep_message(struct nilai_sink *base, const struct nilai_output *output)
{
    struct sim_reference *reference = of_sink(base);
    if (reference->message_count == reference->message_room) {
        reference->message_room = 2 * reference->message_room + 64;
        reference->messages = reallocarray(reference->messages, reference->message_room,
                                           sizeof *reference->messages);
        SIM_CHECK(reference->messages != NULL);
    }
    reference->messages[reference->message_count++]
        = (struct sim_expected){output->topic, sim_message_of(output)};
    return NILAI_OK;
}

static void visit_headers(struct nilai_source *source, const struct nilai_input *input,
                          nilai_header_fn visit, void *context)
{
    (void)source, (void)input;
    visit(context, &(struct nilai_header){"trace", "7", 1});
}

static const struct nilai_sink_ops sink_ops = {.put = keep_message};
static const struct nilai_source_ops source_ops = {.headers = visit_headers};

struct sim_reference *sim_reference_create(struct sim_broker *broker,
                                           const struct nilai_config *config, int32_t partition)
{
    struct sim_reference *reference = calloc(1, sizeof *reference);
    SIM_CHECK(reference != NULL);
    struct nilai_decode_rules rules = nilai_config_decode_rules(config);
    reference->broker = broker;
    reference->config = config;
    reference->partition = partition;
    reference->sink.ops = &sink_ops;
    reference->source.ops = &source_ops;
    reference->decoder = nilai_decoder_create(&rules);
    reference->emitter = nilai_emitter_create(config, &reference->sink);
    reference->state = nilai_partition_create(&(struct nilai_partition_options){
        .model = &config->model,
        .limits = {.memory_max_bytes = UINT64_C(1) << 32},
        .erase_remember_ms = config->erase_remember_ms,
    });
    SIM_CHECK(reference->decoder != NULL && reference->emitter != NULL
              && reference->state != NULL);
    return reference;
}

void sim_reference_destroy(struct sim_reference *reference)
{
    for (size_t index = 0; index < reference->message_count; index++)
        sim_message_free(&reference->messages[index].message);
    nilai_partition_destroy(reference->state);
    nilai_emitter_destroy(reference->emitter);
    nilai_decoder_destroy(reference->decoder);
    free(reference->messages);
    free(reference->arrivals);
    free(reference->events);
    free(reference);
}

/* --- A turn ------------------------------------------------------------------------------ */

static struct nilai_arrival *next_arrival(struct sim_reference *reference)
{
    if (reference->arrival_count == reference->arrival_room) {
        reference->arrival_room = 2 * reference->arrival_room + 64;
        reference->arrivals = reallocarray(reference->arrivals, reference->arrival_room,
                                           sizeof *reference->arrivals);
        reference->events = reallocarray(reference->events, reference->arrival_room,
                                         sizeof *reference->events);
        SIM_CHECK(reference->arrivals != NULL && reference->events != NULL);
    }
    return &reference->arrivals[reference->arrival_count++];
}

static void decode(struct sim_reference *reference, int topic, int64_t offset,
                   const struct sim_message *message, int64_t wall_ms)
{
    struct nilai_reject reject;
    struct nilai_arrival *arrival = next_arrival(reference);
    *arrival = (struct nilai_arrival){.input = {.key = message->key,
                                                .key_size = message->key_size,
                                                .value = message->value,
                                                .value_size = message->value_size,
                                                .offset = offset}};
    struct nilai_event *event = &arrival->event;
    arrival->bad = !nilai_decode(reference->decoder, message->value, message->value_size, event,
                                 &reject)
                   || !nilai_decode_check_key(event, message->key, message->key_size, &reject)
                   || !nilai_decode_check_time(reference->decoder, event, wall_ms, &reject);
    event->origin = (struct nilai_origin){topic, reference->partition, offset};
    if (arrival->bad)
        arrival->reject = reject;
}

/* Texts move with the array while it grows, and the decoder has but one buffer. */
static void keep_texts(struct nilai_arrival *arrival, struct nilai_decoder *decoder)
{
    struct nilai_reject reject;
    struct nilai_origin origin = arrival->event.origin;
    if (arrival->bad)
        return;
    SIM_CHECK(nilai_decode(decoder, arrival->input.value, arrival->input.value_size,
                           &arrival->event, &reject));
    arrival->event.origin = origin;
    nilai_event_keep_texts(&arrival->event, (struct nilai_text){0}, arrival->texts);
}

static size_t gather(struct sim_reference *reference, int topic, int64_t to, int64_t wall_ms)
{
    struct sim_log *log = &reference->broker->inputs[topic][reference->partition];
    size_t before = reference->arrival_count;
    SIM_CHECK(to < 0 || (to >= reference->next[topic] && to <= log->count));
    for (; reference->next[topic] < to; reference->next[topic]++) {
        const struct sim_record *record = &log->records[reference->next[topic]];
        SIM_CHECK(record->state != SIM_OPEN); /* nobody may have read it */
        if (record->state == SIM_COMMITTED)
            decode(reference, topic, reference->next[topic], &record->message, wall_ms);
    }
    return reference->arrival_count - before;
}

/* The earliest head first; ties by the order of topics; bad ones are out of the way. */
static size_t merge(struct sim_reference *reference, const size_t *counts)
{
    size_t heads[SIM_TOPICS_MAX], ends[SIM_TOPICS_MAX], from = 0, used = 0;
    int topics = reference->broker->topic_count;
    for (int topic = 0; topic < topics; topic++) {
        heads[topic] = from;
        ends[topic] = from += counts[topic];
    }
    for (;;) {
        int best = -1;
        for (int topic = 0; topic < topics; topic++) {
            while (heads[topic] < ends[topic] && reference->arrivals[heads[topic]].bad)
                heads[topic]++;
            if (heads[topic] < ends[topic]
                && (best < 0
                    || reference->arrivals[heads[topic]].event.ts_ms
                           < reference->arrivals[heads[best]].event.ts_ms))
                best = topic;
        }
        if (best < 0)
            return used;
        reference->events[used++] = &reference->arrivals[heads[best]++].event;
    }
}

static void emit_bad(struct sim_reference *reference)
{
    for (size_t index = 0; index < reference->arrival_count; index++) {
        const struct nilai_arrival *arrival = &reference->arrivals[index];
        if (arrival->bad)
            SIM_CHECK(nilai_emit_dead_letter(reference->emitter, &reference->source, arrival,
                                             (uint32_t)arrival->event.origin.topic,
                                             reference->partition)
                      == NILAI_OK);
    }
}

static void run_turn(struct sim_reference *reference, size_t count, int64_t clock_ms)
{
    const struct nilai_turn turn
        = {.events = reference->events, .count = count, .clock_ms = clock_ms};
    nilai_partition_begin(reference->state, &turn);
    for (bool done = false; !done;) {
        SIM_CHECK(nilai_partition_step(reference->state, &reference->effects, &done) == NILAI_OK);
        for (uint32_t index = 0; index < reference->effects.count; index++)
            SIM_CHECK(nilai_emit_change(reference->emitter, &reference->effects.list[index])
                      == NILAI_OK);
    }
}

void sim_reference_apply(struct sim_reference *reference, const struct nilai_position *to,
                         int64_t wall_ms)
{
    size_t counts[SIM_TOPICS_MAX];
    reference->arrival_count = 0;
    for (int topic = 0; topic < reference->broker->topic_count; topic++)
        counts[topic] = gather(reference, topic, to->offsets[topic], wall_ms);
    for (size_t index = 0; index < reference->arrival_count; index++)
        keep_texts(&reference->arrivals[index], reference->decoder);
    emit_bad(reference);
    size_t count = merge(reference, counts);
    reference->event_count += count;
    run_turn(reference, count, to->clock_ms);
}

/* --- Looking in --------------------------------------------------------------------------- */

size_t sim_reference_count(const struct sim_reference *reference)
{
    return reference->message_count;
}

const struct sim_expected *sim_reference_message(const struct sim_reference *reference,
                                                 size_t index)
{
    SIM_CHECK(index < reference->message_count);
    return &reference->messages[index];
}

struct nilai_partition *sim_reference_state(struct sim_reference *reference)
{
    return reference->state;
}

uint64_t sim_reference_events(const struct sim_reference *reference)
{
    return reference->event_count;
}
