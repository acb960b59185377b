/*
 * recall.h - how a partition that is opened comes to the state it was in.
 *
 *     while (nilai_recall_load(...) == NILAI_AGAIN) ...      reads its journal
 *     while (nilai_recall_next(recall, &turn) == NILAI_OK)   what is to be applied again
 *
 * With a journal those are the turns after its floor. Without one it is one turn, the base:
 * everything from the oldest event up to the committed position, merged by event time, with the
 * committed clock after it. That is the same set of events as before, but where live arrivals of
 * one customer came in another order than their times, it is the orderly history.
 *
 * The journal's end is where the partition stands. The committed position may lie before it (the
 * sink that writes the one after the other was interrupted) or be lost; it is never beyond it, and
 * never set by anybody else: then somebody must say what is meant.
 *
 * Thread: the worker that owns it.
 */
#ifndef NILAI_RUN_RECALL_H
#define NILAI_RUN_RECALL_H

#include "nilai/io/state_log.h"
#include "nilai/state/restore.h"

struct nilai_recall_options {
    struct nilai_state_log *log; /* NULL: there is no journal */
    const char *log_name;        /* for errors; outlives it */
    uint32_t topic_count;
    uint64_t inputs, settings;
    struct nilai_position committed;
    struct nilai_partition_options state;
};

struct nilai_recall;

/* NULL when out of memory. */
struct nilai_recall *nilai_recall_create(const struct nilai_recall_options *options);
void nilai_recall_destroy(struct nilai_recall *recall);

/* Reads on, for a bounded while. NILAI_OK: all was read, and makes sense. NILAI_AGAIN: more is to
 * come. NILAI_CONFIG: what was found cannot be used, the error says why and what to do. Others: as
 * the log says. */
NILAI_MUST_CHECK enum nilai_status nilai_recall_load(struct nilai_recall *recall,
                                                     struct nilai_error *error);
/* How many records were read, and how many there seem to be. */
void nilai_recall_progress(const struct nilai_recall *recall, uint64_t *read, uint64_t *all);

/* From here on everything was loaded. */
const struct nilai_restored *nilai_recall_result(const struct nilai_recall *recall);
struct nilai_restore *nilai_recall_restore(struct nilai_recall *recall);
/* As nilai_restore_next, the base included. */
NILAI_MUST_CHECK enum nilai_status nilai_recall_next(struct nilai_recall *recall,
                                                     struct nilai_restored_turn *turn);
/* Hands the state over. Call once, before `destroy`. */
struct nilai_partition *nilai_recall_take(struct nilai_recall *recall);
/* The state, to be applied to meanwhile. */
struct nilai_partition *nilai_recall_state(struct nilai_recall *recall);

#endif
