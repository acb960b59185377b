#include "reference.h"

#include <inttypes.h>
#include <stdio.h>
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
    uint64_t turn;
    struct nilai_effect *brought; /* by the turn at hand */
    size_t brought_count, brought_room;
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
        .journaled = true, /* erasures are among the effects */
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
    free(reference->brought);
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

static void keep_effect(struct sim_reference *reference, const struct nilai_effect *effect)
{
    if (reference->brought_count == reference->brought_room) {
        reference->brought_room = 2 * reference->brought_room + 64;
        reference->brought = reallocarray(reference->brought, reference->brought_room,
                                          sizeof *reference->brought);
        SIM_CHECK(reference->brought != NULL);
    }
    reference->brought[reference->brought_count++] = *effect;
    if (!effect->erased)
        SIM_CHECK(nilai_emit_change(reference->emitter, effect) == NILAI_OK);
}

static void run_turn(struct sim_reference *reference, size_t count, int64_t clock_ms)
{
    const struct nilai_turn turn = {.events = reference->events,
                                    .count = count,
                                    .clock_ms = clock_ms,
                                    .number = ++reference->turn};
    reference->brought_count = 0;
    nilai_partition_begin(reference->state, &turn);
    for (bool done = false; !done;) {
        SIM_CHECK(nilai_partition_step(reference->state, &reference->effects, &done) == NILAI_OK);
        for (uint32_t index = 0; index < reference->effects.count; index++)
            keep_effect(reference, &reference->effects.list[index]);
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
    run_turn(reference, count, to->clock_ms);
}

/* --- A history ----------------------------------------------------------------------------- */

static int compare_ids(struct nilai_text a, struct nilai_text b)
{
    uint32_t size = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_mark(const void *left, const void *right)
{
    const struct sim_mark *a = left, *b = right;
    int order = compare_ids(a->customer, b->customer);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static bool same_mark(const struct sim_mark *a, const struct sim_mark *b)
{
    return compare_ids(a->customer, b->customer) == 0 && a->erased == b->erased && a->seq == b->seq
           && memcmp(&a->standing, &b->standing, sizeof a->standing) == 0;
}

static struct sim_mark *marks_of(const struct sim_reference *reference)
{
    struct sim_mark *marks = calloc(reference->brought_count + 1, sizeof *marks);
    SIM_CHECK(marks != NULL);
    for (size_t index = 0; index < reference->brought_count; index++) {
        const struct nilai_effect *effect = &reference->brought[index];
        marks[index].customer = (struct nilai_text){effect->customer, effect->customer_size};
        marks[index].erased = effect->erased;
        marks[index].place = index;
        if (effect->erased)
            continue;
        marks[index].seq = effect->change.seq;
        marks[index].standing = effect->change.to;
    }
    return marks;
}

static void sort_marks(struct sim_mark *marks, size_t count)
{
    if (count > 0)
        qsort(marks, count, sizeof *marks, by_mark);
}

static void print_mark(const char *what, const struct sim_mark *marks, size_t count, size_t index)
{
    if (index >= count)
        printf("\n%s: nothing more", what);
    else
        printf("\n%s: %.*s erased %d seq %u band %u segment %u tier %u unprofitable %u", what,
               (int)marks[index].customer.size, marks[index].customer.data, marks[index].erased,
               marks[index].seq, marks[index].standing.band, marks[index].standing.segment,
               marks[index].standing.tier, marks[index].standing.unprofitable);
}

/* Between customers no order is promised. */
static void check_marks(const struct sim_reference *reference, const struct sim_turn *turn)
{
    struct sim_mark *expected = marks_of(reference);
    size_t count = reference->brought_count, index = 0;
    sort_marks(turn->marks, turn->mark_count);
    sort_marks(expected, count);
    while (index < count && index < turn->mark_count
           && same_mark(&turn->marks[index], &expected[index]))
        index++;
    if (index < count || index < turn->mark_count) {
        print_mark("marked", turn->marks, turn->mark_count, index);
        print_mark("brought", expected, count, index);
        sim_fail("turn %" PRIu64 " of partition %d has other marks than what it brings",
                 turn->number, reference->partition);
    }
    free(expected);
}

static struct nilai_position position_of(const struct nilai_point *point)
{
    struct nilai_position position = {.clock_ms = point->clock_ms};
    memcpy(position.offsets, point->offsets, sizeof position.offsets);
    return position;
}

void sim_reference_follow(struct sim_reference *reference, const struct sim_history *history)
{
    struct nilai_position to = position_of(&history->base);
    sim_reference_apply(reference, &to, history->base.wall_ms);
    for (size_t index = 0; index < history->count; index++) {
        const struct sim_turn *turn = &history->turns[index];
        to = position_of(&turn->point);
        sim_reference_apply(reference, &to, turn->point.wall_ms);
        SIM_CHECK(reference->turn == turn->number);
        if (nilai_partition_clock_ms(reference->state) != turn->point.clock_ms)
            sim_fail("after turn %" PRIu64 " of partition %d the clock is %" PRId64
                     ", not %" PRId64, turn->number, reference->partition,
                     nilai_partition_clock_ms(reference->state), turn->point.clock_ms);
        check_marks(reference, turn);
    }
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
