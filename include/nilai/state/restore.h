/*
 * restore.h - a partition as its journal says it was.
 *
 *     struct nilai_restore *restore = nilai_restore_create(&options);
 *     for each record of the log, oldest first:  nilai_restore_take(restore, ...)
 *     nilai_restore_finish(restore, &error);
 *     while (nilai_restore_next(restore, &turn))
 *         ... apply the turn again, as `again` says, with nilai_restore_effects after each step
 *         nilai_restore_settle(restore);
 *
 * `take` loads the newest image of every chunk and keeps the turns after the floor. Applied again,
 * those bring every customer to the last turn: who comes from an image skips the turns that it
 * holds already. What was published is known by the marks, and a replay never contradicts it: the
 * marks win, and a difference is counted. Under other settings than the turns were made with, marks
 * alone say what was published.
 *
 * Who was erased after a turn is left out of it: of the time before the erasure there may be no
 * image any more, and nothing of it matters.
 *
 * Writers. A log has one writer after the other, each of which went on from the last turn of its
 * parent. Without transactions somebody who was replaced may still write for a while: what comes
 * of him after his child began, or beside it, is not part of the history. Where the log alone does
 * not tell which of two children is the right one, the committed position does.
 *
 * Thread: the partition's writer.
 */
#ifndef NILAI_STATE_RESTORE_H
#define NILAI_STATE_RESTORE_H

#include "nilai/state/journal.h"

struct nilai_restore_options {
    struct nilai_partition *state; /* fresh, journaled */
    uint32_t topic_count;
    uint64_t inputs, settings; /* as in the records */
    uint64_t committed;        /* writer of the committed position; 0: not known */
};

struct nilai_restore;

/* NULL when out of memory. */
struct nilai_restore *nilai_restore_create(const struct nilai_restore_options *options);
void nilai_restore_destroy(struct nilai_restore *restore);

/* The next record. NILAI_AGAIN: what was read has turned out to be beside the history; begin again
 * with the oldest record, into a fresh partition (nilai_restore_begin_again). NILAI_INVALID:
 * damaged, NILAI_CONFIG: somebody else's or of a newer version, NILAI_FULL: the state does not fit
 * into its memory, NILAI_NO_MEMORY: the error says so. After any of these only
 * begin_again and destroy may be called. */
NILAI_MUST_CHECK enum nilai_status nilai_restore_take(struct nilai_restore *restore,
                                                      const void *data, size_t size,
                                                      struct nilai_error *error);
void nilai_restore_begin_again(struct nilai_restore *restore, struct nilai_partition *state);

/* After the last record; as take. */
NILAI_MUST_CHECK enum nilai_status nilai_restore_finish(struct nilai_restore *restore,
                                                        struct nilai_error *error);

/* What the journal ends with. */
struct nilai_restored {
    bool found; /* false: there is no journal, and nothing else here means anything */
    uint64_t turn, writer, floor;
    struct nilai_point base;  /* after turn 1 */
    struct nilai_point start; /* after turn `floor`: where to read the input from */
    struct nilai_point end;
    uint64_t turns;       /* to be applied again */
    uint64_t image_bytes; /* as read */
};
const struct nilai_restored *nilai_restore_result(const struct nilai_restore *restore);

/* The next turn to be applied again. Offsets between `from` and `to` that are -1 are unknown: the
 * oldest there is. */
struct nilai_restored_turn {
    uint64_t number;
    struct nilai_point from, to;
    struct nilai_again again;
};
/* NILAI_MISSING: there is none. NILAI_INVALID: damaged. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_restore_next(struct nilai_restore *restore,
                                                      struct nilai_restored_turn *turn);
/* What the turn brought, again. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_restore_effects(struct nilai_restore *restore,
                                                         const struct nilai_effects *effects);
/* The turn was applied: adopts its marks. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_restore_settle(struct nilai_restore *restore);
/* After the last turn. */
void nilai_restore_end(struct nilai_restore *restore);

/* Customers whose marks said something else than the replay. 0, unless the program is wrong. */
uint64_t nilai_restore_differences(const struct nilai_restore *restore);

/* For partition.c: whether a record is as an image of that turn, or of a later one, has it; whether
 * an event of `customer` (who has `number`, if `known`) in that turn is to be left out; that the
 * record was erased. */
bool nilai_restore_holds(const struct nilai_restore *restore, uint64_t turn, uint32_t number);
bool nilai_restore_skips(const struct nilai_restore *restore, uint64_t turn, bool known,
                         uint32_t number, struct nilai_text customer);
void nilai_restore_forget(struct nilai_restore *restore, uint32_t number);

#endif
