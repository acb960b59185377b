/*
 * merge.h - the input topics of one state partition, brought into one order.
 *
 * A bounded queue for each topic holds what has arrived; `form` takes a batch from the heads:
 * the earliest first, ties by the order of the topics. A topic whose queue is empty decides
 * whether the others may go on:
 *
 *   - it is read to its end and nothing has arrived since: they go on;
 *   - it stands at its hold (see nilai_merge_hold): they go on;
 *   - otherwise it is waited for, up to max_idle; without that a fast topic would run the
 *     clock ahead of a slow one. Before it was heard of for the first time it is waited for
 *     up to first_wait instead: a connection that is being opened is not an idle topic.
 *
 * Bad events are taken at once when they reach the head and wait for nobody.
 *
 * Always true: offsets in a queue ascend; what was taken stays in place until `release`.
 * Pure: time comes in as an argument. One thread. Allocates only in create.
 */
#ifndef NILAI_RUN_MERGE_H
#define NILAI_RUN_MERGE_H

#include "nilai/event/decode.h"
#include "nilai/io/record.h"

enum { NILAI_BATCH_MAX = 512 };

#define NILAI_HOLD_NONE    INT64_MAX
#define NILAI_WAIT_FOREVER INT64_MAX

/* One message that arrived, decoded. */
struct nilai_arrival {
    struct nilai_event event;
    struct nilai_input input;
    bool bad;    /* then `reject` says why, and the event means nothing */
    bool judged; /* its time was compared with the wall clock of the turn that is being formed */
    union {
        struct nilai_reject reject;
        char texts[NILAI_EVENT_TEXTS_SIZE]; /* of a good event: what its message does not hold */
    };
};

/* The arrival that an event is part of. */
static inline const struct nilai_arrival *nilai_arrival_of(const struct nilai_event *event)
{
    return (const struct nilai_arrival *)event; /* it comes first */
}

struct nilai_batch {
    size_t count, bad_count;
    const struct nilai_event *events[NILAI_BATCH_MAX]; /* good ones, merged */
    const struct nilai_arrival *bad[NILAI_BATCH_MAX];
    uint32_t bad_topics[NILAI_BATCH_MAX];
    int64_t wake_ms; /* when to form again although nothing arrived; INT64_MAX: never */
};

struct nilai_merge_options {
    uint32_t topic_count;
    uint32_t capacity; /* arrivals a topic; a power of two */
    int64_t max_idle_ms, first_wait_ms;
};

struct nilai_merge;

/* NULL when out of memory. */
struct nilai_merge *nilai_merge_create(const struct nilai_merge_options *options, int64_t now_ms);
/* The queues must be empty: see nilai_merge_clear. */
void nilai_merge_destroy(struct nilai_merge *merge);

/* Whether `offset` comes after all that arrived of `topic`; if not, it may not be pushed. */
bool nilai_merge_is_later(const struct nilai_merge *merge, uint32_t topic, int64_t offset);
/* The place of the next arrival of `topic`, to be filled and pushed; NULL: the queue is full. */
struct nilai_arrival *nilai_merge_room(struct nilai_merge *merge, uint32_t topic);
void nilai_merge_push(struct nilai_merge *merge, uint32_t topic);
/* The topic is read to its end, which is at `offset`. */
void nilai_merge_end(struct nilai_merge *merge, uint32_t topic, int64_t offset);

/* Nothing at or beyond `offset` is taken. NILAI_HOLD_NONE: no hold. */
void nilai_merge_hold(struct nilai_merge *merge, uint32_t topic, int64_t offset);
/* Whether every topic stands at its hold. */
bool nilai_merge_is_held(const struct nilai_merge *merge);
/* Whether every topic is read to its end and nothing waits. */
bool nilai_merge_is_at_end(const struct nilai_merge *merge);
void nilai_merge_set_max_idle(struct nilai_merge *merge, int64_t max_idle_ms);

/* Takes the next batch. The batch before must be released. `decoder` judges times. */
void nilai_merge_form(struct nilai_merge *merge, const struct nilai_decoder *decoder,
                      int64_t now_ms, int64_t wall_ms, struct nilai_batch *batch);

typedef void (*nilai_input_fn)(void *context, struct nilai_input *input);

/* Lets go of what the last batch took. */
void nilai_merge_release(struct nilai_merge *merge, nilai_input_fn give_back, void *context);
/* Lets go of everything, and begins anew at nilai_merge_offset of each topic. */
void nilai_merge_clear(struct nilai_merge *merge, nilai_input_fn give_back, void *context,
                       int64_t now_ms);

/* The next offset of `topic` that was not released yet; -1: nothing is known of it. */
int64_t nilai_merge_offset(const struct nilai_merge *merge, uint32_t topic);

#endif
