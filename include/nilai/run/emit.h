/*
 * emit.h - what a turn brings, written as messages into a sink.
 *
 * Every function answers NILAI_AGAIN when the sink has no room: nothing was written, call it
 * again later with the same thing.
 *
 * Thread: the worker that owns it.
 */
#ifndef NILAI_RUN_EMIT_H
#define NILAI_RUN_EMIT_H

#include "nilai/io/sink.h"
#include "nilai/io/source.h"
#include "nilai/run/config.h"
#include "nilai/run/merge.h"
#include "nilai/state/partition.h"

struct nilai_emitter;

/* `config` outlives the emitter. NULL when out of memory. */
struct nilai_emitter *nilai_emitter_create(const struct nilai_config *config,
                                           struct nilai_sink *sink);
void nilai_emitter_destroy(struct nilai_emitter *emitter);

NILAI_MUST_CHECK enum nilai_status nilai_emit_change(struct nilai_emitter *emitter,
                                                     const struct nilai_effect *effect);

/* A bad event, whole, with its own headers and those that say why and where. */
NILAI_MUST_CHECK enum nilai_status nilai_emit_dead_letter(struct nilai_emitter *emitter,
                                                          struct nilai_source *source,
                                                          const struct nilai_arrival *arrival,
                                                          uint32_t topic, int32_t partition);

/* The feed: the latest state of every customer touched since the last call. NILAI_AGAIN: the
 * rest of them are still to come. */
NILAI_MUST_CHECK enum nilai_status nilai_emit_feed(struct nilai_emitter *emitter,
                                                   struct nilai_partition *state);

#endif
