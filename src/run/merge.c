#include "nilai/run/merge.h"

#include <stdlib.h>

struct queue {
    struct nilai_arrival *slots;
    uint32_t head;  /* grows for ever; the place is head % capacity */
    uint32_t count; /* of arrivals, the taken ones included */
    uint32_t taken; /* by the batch at hand */
    bool heard;     /* something arrived, or its end was seen */
    bool at_end;    /* and nothing arrived since */
    int64_t next;   /* after the last released arrival or the last end; -1 */
    int64_t end;    /* where the last end was seen; -1 */
    int64_t hold;
    int64_t empty_since_ms;
};

struct nilai_merge {
    struct nilai_merge_options options;
    struct queue queues[NILAI_INPUT_TOPICS_MAX];
};

static struct nilai_arrival *slot_at(const struct nilai_merge *merge, const struct queue *queue,
                                     uint32_t index)
{
    return &queue->slots[(queue->head + index) & (merge->options.capacity - 1)];
}

/* The first arrival that is not taken; NULL: there is none. */
static struct nilai_arrival *head_of(const struct nilai_merge *merge, const struct queue *queue)
{
    return queue->taken < queue->count ? slot_at(merge, queue, queue->taken) : NULL;
}

struct nilai_merge *nilai_merge_create(const struct nilai_merge_options *options, int64_t now_ms)
{
    NILAI_ASSERT(options->topic_count > 0 && options->topic_count <= NILAI_INPUT_TOPICS_MAX);
    NILAI_ASSERT(options->capacity > 0 && (options->capacity & (options->capacity - 1)) == 0);

    struct nilai_merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL)
        return NULL;
    merge->options = *options;
    for (uint32_t topic = 0; topic < options->topic_count; topic++) {
        struct queue *queue = &merge->queues[topic];
        queue->next = queue->end = -1;
        queue->hold = NILAI_HOLD_NONE;
        queue->empty_since_ms = now_ms;
        queue->slots = calloc(options->capacity, sizeof *queue->slots);
        if (queue->slots == NULL) {
            nilai_merge_destroy(merge);
            return NULL;
        }
    }
    return merge;
}

void nilai_merge_destroy(struct nilai_merge *merge)
{
    if (merge == NULL)
        return;
    for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
        NILAI_ASSERT(merge->queues[topic].count == 0);
        free(merge->queues[topic].slots);
    }
    free(merge);
}

static struct queue *queue_of(struct nilai_merge *merge, uint32_t topic)
{
    NILAI_ASSERT(topic < merge->options.topic_count);
    return &merge->queues[topic];
}

bool nilai_merge_is_later(const struct nilai_merge *merge, uint32_t topic, int64_t offset)
{
    NILAI_ASSERT(topic < merge->options.topic_count);
    const struct queue *queue = &merge->queues[topic];
    int64_t last =
        queue->count > 0 ? slot_at(merge, queue, queue->count - 1)->input.offset : queue->next - 1;
    return offset > last;
}

struct nilai_arrival *nilai_merge_room(struct nilai_merge *merge, uint32_t topic)
{
    struct queue *queue = queue_of(merge, topic);
    if (queue->count == merge->options.capacity)
        return NULL;
    return slot_at(merge, queue, queue->count);
}

void nilai_merge_push(struct nilai_merge *merge, uint32_t topic)
{
    struct queue *queue = queue_of(merge, topic);
    NILAI_ASSERT(queue->count < merge->options.capacity);

    struct nilai_arrival *arrival = slot_at(merge, queue, queue->count);
    NILAI_ASSERT(queue->count == 0
                 || slot_at(merge, queue, queue->count - 1)->input.offset < arrival->input.offset);
    arrival->judged = false;
    queue->count++;
    queue->heard = true;
    queue->at_end = false;
}

/* Control records of transactions have offsets too, but are never handed out: past the last
 * message, the end is where we are. */
static void settle_at_end(struct queue *queue)
{
    if (queue->count == 0 && queue->at_end && queue->end > queue->next)
        queue->next = queue->end;
}

void nilai_merge_end(struct nilai_merge *merge, uint32_t topic, int64_t offset)
{
    struct queue *queue = queue_of(merge, topic);
    queue->heard = true;
    queue->at_end = true;
    queue->end = offset;
    settle_at_end(queue);
}

void nilai_merge_hold(struct nilai_merge *merge, uint32_t topic, int64_t offset)
{
    queue_of(merge, topic)->hold = offset;
}

void nilai_merge_set_max_idle(struct nilai_merge *merge, int64_t max_idle_ms)
{
    merge->options.max_idle_ms = max_idle_ms;
}

static bool is_held(const struct nilai_merge *merge, const struct queue *queue)
{
    const struct nilai_arrival *head = head_of(merge, queue);
    if (head != NULL)
        return head->input.offset >= queue->hold;
    return queue->count == 0 && queue->next >= queue->hold;
}

bool nilai_merge_is_held(const struct nilai_merge *merge)
{
    for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
        if (!is_held(merge, &merge->queues[topic]))
            return false;
    }
    return true;
}

bool nilai_merge_is_at_end(const struct nilai_merge *merge)
{
    for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
        if (!merge->queues[topic].at_end || merge->queues[topic].count > 0)
            return false;
    }
    return true;
}

static int64_t patience_ends_ms(const struct nilai_merge *merge, const struct queue *queue)
{
    int64_t patience_ms = queue->heard || merge->options.max_idle_ms == NILAI_WAIT_FOREVER
                              ? merge->options.max_idle_ms
                              : merge->options.first_wait_ms;
    return patience_ms > INT64_MAX - queue->empty_since_ms ? INT64_MAX
                                                           : queue->empty_since_ms + patience_ms;
}

static void take(struct queue *queue, int64_t now_ms)
{
    queue->taken++;
    if (queue->taken == queue->count)
        queue->empty_since_ms = now_ms;
}

/* Whether an event is of the future is judged by the wall time of the turn that takes it, and of no
 * other: then the turn alone says what comes of it. */
static void forget_verdict(const struct nilai_merge *merge, const struct queue *queue)
{
    struct nilai_arrival *head = head_of(merge, queue);
    if (head != NULL)
        head->judged = false; /* it was good: a bad one was taken at once */
}

/* Moves the bad events at the head of a queue into the batch; true: the head is good now. */
static bool shed_bad(struct nilai_merge *merge, uint32_t topic, const struct nilai_decoder *decoder,
                     int64_t now_ms, int64_t wall_ms, struct nilai_batch *batch)
{
    struct queue *queue = &merge->queues[topic];
    struct nilai_arrival *head;
    while ((head = head_of(merge, queue)) != NULL && head->input.offset < queue->hold
           && batch->bad_count < NILAI_BATCH_MAX) {
        struct nilai_reject reject;
        if (!head->bad && !head->judged
            && !nilai_decode_check_time(decoder, &head->event, wall_ms, &reject)) {
            head->bad = true;
            head->reject = reject;
        }
        head->judged = true;
        if (!head->bad)
            return true;
        batch->bad_topics[batch->bad_count] = topic;
        batch->bad[batch->bad_count++] = head;
        take(queue, now_ms);
    }
    return false;
}

void nilai_merge_form(struct nilai_merge *merge, const struct nilai_decoder *decoder,
                      int64_t now_ms, int64_t wall_ms, struct nilai_batch *batch)
{
    batch->count = 0;
    batch->bad_count = 0;
    batch->wake_ms = INT64_MAX;
    for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
        NILAI_ASSERT(merge->queues[topic].taken == 0);
        forget_verdict(merge, &merge->queues[topic]);
    }

    while (batch->count < NILAI_BATCH_MAX && batch->bad_count < NILAI_BATCH_MAX) {
        struct queue *best = NULL;
        int64_t wake_ms = INT64_MAX;
        bool wait = false;
        for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
            struct queue *queue = &merge->queues[topic];
            if (shed_bad(merge, topic, decoder, now_ms, wall_ms, batch)) {
                if (best == NULL
                    || head_of(merge, queue)->event.ts_ms < head_of(merge, best)->event.ts_ms)
                    best = queue;
            } else if (head_of(merge, queue) == NULL && !queue->at_end && !is_held(merge, queue)
                       && patience_ends_ms(merge, queue) > now_ms) {
                wait = true;
                if (patience_ends_ms(merge, queue) < wake_ms)
                    wake_ms = patience_ends_ms(merge, queue);
            }
        }
        if (batch->bad_count == NILAI_BATCH_MAX)
            break; /* a head may hide behind the bad ones that did not fit */
        if (best != NULL && wait)
            batch->wake_ms = wake_ms;
        if (best == NULL || wait)
            return;
        batch->events[batch->count++] = &head_of(merge, best)->event;
        take(best, now_ms);
    }
    batch->wake_ms = now_ms; /* the batch is full, there may be more */
}

static void let_go(struct nilai_merge *merge, struct queue *queue, nilai_input_fn give_back,
                   void *context)
{
    struct nilai_arrival *arrival = slot_at(merge, queue, 0);
    give_back(context, &arrival->input);
    queue->head++;
    queue->count--;
}

void nilai_merge_release(struct nilai_merge *merge, nilai_input_fn give_back, void *context)
{
    for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
        struct queue *queue = &merge->queues[topic];
        for (; queue->taken > 0; queue->taken--) {
            queue->next = slot_at(merge, queue, 0)->input.offset + 1;
            let_go(merge, queue, give_back, context);
        }
        settle_at_end(queue);
    }
}

void nilai_merge_clear(struct nilai_merge *merge, nilai_input_fn give_back, void *context,
                       int64_t now_ms)
{
    for (uint32_t topic = 0; topic < merge->options.topic_count; topic++) {
        struct queue *queue = &merge->queues[topic];
        queue->next = nilai_merge_offset(merge, topic);
        queue->taken = 0;
        while (queue->count > 0)
            let_go(merge, queue, give_back, context);
        queue->heard = queue->at_end = false;
        queue->empty_since_ms = now_ms;
    }
}

int64_t nilai_merge_offset(const struct nilai_merge *merge, uint32_t topic)
{
    NILAI_ASSERT(topic < merge->options.topic_count);
    const struct queue *queue = &merge->queues[topic];
    return queue->count > 0 && queue->taken == 0 && queue->next < 0
               ? slot_at(merge, queue, 0)->input.offset
               : queue->next;
}
