/*
 * history.h - what the journal of one state partition says has happened, read by hand.
 *
 * Reads all that a reader ever saw of the journal, also what was trimmed since, and follows the
 * writers back from the committed position; shares no code with restore.c but the decoding of
 * records.
 */
#ifndef NILAI_SIM_HISTORY_H
#define NILAI_SIM_HISTORY_H

#include "broker.h"
#include "nilai/state/journal.h"

struct sim_mark {
    struct nilai_text customer; /* in the broker's record */
    bool erased;
    uint32_t seq;
    struct nilai_standing standing;
    size_t place; /* within the turn */
};

struct sim_turn {
    uint64_t number, writer;
    struct nilai_point point; /* after it */
    struct sim_mark *marks;
    size_t mark_count;
    int64_t offset; /* of its record in the journal */
};

struct sim_history {
    struct nilai_point base; /* after turn 1 */
    struct sim_turn *turns;  /* turns[0] is turn 2 */
    size_t count;
    uint64_t floor; /* of the last commit */
    uint64_t held_floor; /* of the one that first brought the turn that is committed */
    uint64_t strangers; /* closed turns of those who do not belong to it */
};

/* Up to the position that is committed, or as far as its writer went. */
void sim_history_read(struct sim_history *history, struct sim_broker *broker, int32_t partition);
void sim_history_free(struct sim_history *history);
/* Where the partition was after that turn. */
const struct nilai_point *sim_history_point(const struct sim_history *history, uint64_t turn);

#endif
