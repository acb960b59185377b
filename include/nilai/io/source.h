/*
 * source.h - where input comes from: a small table of operations.
 *
 * A source hands out state partitions (partition p of every input topic together), and the
 * messages of each topic in the order of their offsets. Kafka is one (kafka_source.h), an
 * in-memory log in a test another.
 *
 * Nothing here blocks but `leave` and what a change of the assignment takes. A source belongs to
 * one thread; `wake` is called from any.
 */
#ifndef NILAI_IO_SOURCE_H
#define NILAI_IO_SOURCE_H

#include "nilai/io/record.h"

#define NILAI_OFFSET_BEGINNING INT64_C(-2) /* the oldest message that is still there */

/* One partition that the group gave us. */
struct nilai_assigned {
    struct nilai_position committed;       /* in: as last committed by anybody */
    int64_t start[NILAI_INPUT_TOPICS_MAX]; /* out: where to read from */
    bool skip;                             /* out: nothing of it is needed; do not read at all */
};

/* Called from within `poll` and `leave`, in the source's thread. `assigned` brings the whole
 * assignment, never a difference; `revoked` takes all of it away. `lost`: it belongs to others
 * already, nothing may be committed for it. When `revoked` returns, all messages that were taken
 * have been given back. Failing `assigned` ends the source. */
struct nilai_source_listener {
    void *context;
    void (*assigned)(void *context, struct nilai_assigned *list, size_t count);
    void (*revoked)(void *context, bool lost);
};

typedef void (*nilai_header_fn)(void *context, const struct nilai_header *header);

struct nilai_source;

struct nilai_source_ops {
    /* Serves the group. Any status but OK ends the worker; the error says why. */
    enum nilai_status (*poll)(struct nilai_source *source, struct nilai_error *error);
    /* The next message of one topic of an assigned partition. NILAI_AGAIN: none has arrived.
     * NILAI_MISSING: read to its end, which is at input->offset. NILAI_FAILED: broken, the
     * next poll says why. */
    enum nilai_status (*take)(struct nilai_source *source, uint32_t topic, int32_t partition,
                              struct nilai_input *input);
    void (*give_back)(struct nilai_source *source, struct nilai_input *input);
    /* The headers of a message that was taken, in order. */
    void (*headers)(struct nilai_source *source, const struct nilai_input *input,
                    nilai_header_fn visit, void *context);
    /* The offset after the newest message, as far as known; -1: not known. */
    int64_t (*high)(struct nilai_source *source, uint32_t topic, int32_t partition);
    /* The offset of the oldest message that is still there, as far as known; -1: not known.
     * Known at the latest when the first message or the end was taken, and not older than that;
     * before, it may be what it was at an earlier assignment. Reading from a place before it goes
     * on at it without a word, so whoever minds compares. */
    int64_t (*low)(struct nilai_source *source, uint32_t topic, int32_t partition);
    /* Reads everything that is assigned from other places: `list` is the whole assignment, with
     * `start` and `skip` as `assigned` would fill them. What arrived and was not taken is dropped;
     * what was taken stays valid. NILAI_AGAIN: the group is about to take it away. */
    enum nilai_status (*read)(struct nilai_source *source, const struct nilai_assigned *list,
                              size_t count, struct nilai_error *error);
    /* Begins again with what is assigned: `revoked` (as lost), then `assigned` with the positions
     * as they are committed now. NILAI_AGAIN: the group is about to take it away, the next poll
     * does; nothing was called. */
    enum nilai_status (*restart)(struct nilai_source *source, struct nilai_error *error);
    /* Gives up what is assigned, after `revoked`; nothing can be taken any more. */
    void (*leave)(struct nilai_source *source);
    /* After `leave`, and when all messages were given back: frees everything. */
    void (*close)(struct nilai_source *source);
};

/* Embedded first in every source. */
struct nilai_source {
    const struct nilai_source_ops *ops;
    struct nilai_source_listener listener; /* set before the first poll */
};

NILAI_MUST_CHECK static inline enum nilai_status nilai_source_poll(struct nilai_source *source,
                                                                   struct nilai_error *error)
{
    return source->ops->poll(source, error);
}

NILAI_MUST_CHECK static inline enum nilai_status nilai_source_take(struct nilai_source *source,
                                                                   uint32_t topic,
                                                                   int32_t partition,
                                                                   struct nilai_input *input)
{
    return source->ops->take(source, topic, partition, input);
}

static inline void nilai_source_give_back(struct nilai_source *source, struct nilai_input *input)
{
    source->ops->give_back(source, input);
}

static inline void nilai_source_headers(struct nilai_source *source,
                                        const struct nilai_input *input, nilai_header_fn visit,
                                        void *context)
{
    source->ops->headers(source, input, visit, context);
}

static inline int64_t nilai_source_high(struct nilai_source *source, uint32_t topic,
                                        int32_t partition)
{
    return source->ops->high(source, topic, partition);
}

static inline int64_t nilai_source_low(struct nilai_source *source, uint32_t topic,
                                       int32_t partition)
{
    return source->ops->low(source, topic, partition);
}

NILAI_MUST_CHECK static inline enum nilai_status
nilai_source_read(struct nilai_source *source, const struct nilai_assigned *list, size_t count,
                  struct nilai_error *error)
{
    return source->ops->read(source, list, count, error);
}

NILAI_MUST_CHECK static inline enum nilai_status nilai_source_restart(struct nilai_source *source,
                                                                      struct nilai_error *error)
{
    return source->ops->restart(source, error);
}

static inline void nilai_source_leave(struct nilai_source *source)
{
    source->ops->leave(source);
}

static inline void nilai_source_close(struct nilai_source *source)
{
    source->ops->close(source);
}

#endif
