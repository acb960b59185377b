/*
 * sink.h - where output goes, and the one place where progress becomes durable.
 *
 * Output is `put`; `commit` ties everything put so far to the input positions that caused it.
 * At most one commit is on its way; work goes on meanwhile, and what is put then belongs to
 * the next one. Never is a position durable before the output that goes with it: the plain
 * sink waits for the broker's acknowledgements first, a transactional one does both at once.
 *
 * A transactional sink can also take back: what no commit holds is never seen by anybody. When
 * it had to (NILAI_COMMIT_ABORTED), whoever put has gone further than what is published and
 * must begin again from the committed positions.
 *
 * Nothing here blocks but `poll` with a time-out and `close`. A sink belongs to one thread.
 */
#ifndef NILAI_IO_SINK_H
#define NILAI_IO_SINK_H

#include "nilai/io/record.h"

enum nilai_commit_state {
    NILAI_COMMIT_IDLE, /* none on its way */
    NILAI_COMMIT_RUNNING,
    NILAI_COMMIT_DONE,    /* told once: the last one holds */
    NILAI_COMMIT_REFUSED, /* told once: the last one does not hold; output was written, the
                             positions are as before (the group moved on, say) */
    NILAI_COMMIT_ABORTED, /* told once: everything put since the last commit that holds is gone,
                             and no commit is on its way. Whether the last one held, if its answer
                             got lost, only the committed positions tell */
};

struct nilai_sink;

struct nilai_sink_ops {
    /* NILAI_AGAIN: no room now, put it again later. NILAI_FAILED: as poll. */
    enum nilai_status (*put)(struct nilai_sink *sink, const struct nilai_output *output);
    /* Begins to commit; `list` is copied. NILAI_AGAIN: one is on its way already. */
    enum nilai_status (*commit)(struct nilai_sink *sink, const struct nilai_position *list,
                                size_t count);
    /* Serves acknowledgements, waiting at most `timeout_ms` for the first. Any status but OK
     * ends the worker: output was lost for good, and its positions are not committed. */
    enum nilai_status (*poll)(struct nilai_sink *sink, int timeout_ms,
                              enum nilai_commit_state *state, struct nilai_error *error);
    /* Takes back everything that no commit holds, after the one on its way, if any, is decided;
     * poll tells NILAI_COMMIT_ABORTED when it is done, and until then nothing may be put. NULL:
     * this sink cannot. */
    void (*abort)(struct nilai_sink *sink);
    /* Gives up what is not acknowledged yet and frees everything. */
    void (*close)(struct nilai_sink *sink);
};

/* Embedded first in every sink. */
struct nilai_sink {
    const struct nilai_sink_ops *ops;
};

NILAI_MUST_CHECK static inline enum nilai_status nilai_sink_put(struct nilai_sink *sink,
                                                                const struct nilai_output *output)
{
    return sink->ops->put(sink, output);
}

NILAI_MUST_CHECK static inline enum nilai_status
nilai_sink_commit(struct nilai_sink *sink, const struct nilai_position *list, size_t count)
{
    return sink->ops->commit(sink, list, count);
}

NILAI_MUST_CHECK static inline enum nilai_status nilai_sink_poll(struct nilai_sink *sink,
                                                                 int timeout_ms,
                                                                 enum nilai_commit_state *state,
                                                                 struct nilai_error *error)
{
    return sink->ops->poll(sink, timeout_ms, state, error);
}

static inline bool nilai_sink_can_abort(const struct nilai_sink *sink)
{
    return sink->ops->abort != NULL;
}

static inline void nilai_sink_abort(struct nilai_sink *sink)
{
    sink->ops->abort(sink);
}

static inline void nilai_sink_close(struct nilai_sink *sink)
{
    sink->ops->close(sink);
}

#endif
