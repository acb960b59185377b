/*
 * scribe.h - who writes the journal of one partition while it is at work.
 *
 *     while a turn is worked off:  nilai_scribe_make_room, then nilai_scribe_mark for each effect
 *     at its end:                  nilai_scribe_turn
 *     before a commit:             nilai_scribe_put_commit, until it has put everything
 *     when the commit holds:       nilai_scribe_commit_held
 *
 * Turns in which nothing but the clock moved are written only when something follows, and rows of
 * them as one. After a commit that does not hold, the scribe and the state it wrote about have gone
 * too far: both are to be destroyed.
 *
 * Thread: the worker that owns it.
 */
#ifndef NILAI_RUN_SCRIBE_H
#define NILAI_RUN_SCRIBE_H

#include "nilai/io/sink.h"
#include "nilai/io/state_log.h"
#include "nilai/state/journal.h"

struct nilai_scribe_options {
    struct nilai_partition *state;
    struct nilai_state_log *log;
    int32_t partition;
    uint32_t topic_count;
    uint64_t inputs, settings, writer; /* as in the records */
    double image_ratio;
    int64_t round_max_ms;
    /* Where it begins. */
    uint64_t parent, turn, floor;
    struct nilai_point base;   /* after turn 1 */
    struct nilai_point needed; /* after the floor */
    struct nilai_point reached;
};

struct nilai_scribe;

/* NULL when out of memory. */
struct nilai_scribe *nilai_scribe_create(const struct nilai_scribe_options *options);
void nilai_scribe_destroy(struct nilai_scribe *scribe);

/* Number of the turn that is about to begin. */
uint64_t nilai_scribe_next_turn(const struct nilai_scribe *scribe);
/* The last that was noted; the first turn with something in it comes after. */
uint64_t nilai_scribe_last_turn(const struct nilai_scribe *scribe);

/* Sends what has to be sent before another mark fits. NILAI_AGAIN: no room in the sink; others: as
 * the sink says, or NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_scribe_make_room(struct nilai_scribe *scribe,
                                                          struct nilai_sink *sink);
/* After make_room. */
void nilai_scribe_mark(struct nilai_scribe *scribe, const struct nilai_effect *effect);
/* `input_bytes`: of the turn's messages; 0 if only time has passed. */
void nilai_scribe_turn(struct nilai_scribe *scribe, const struct nilai_point *point,
                       uint64_t input_bytes);

/* A turn of nothing: the input of `topic` begins at `offset`, or what is before does not count. */
void nilai_scribe_move(struct nilai_scribe *scribe, uint32_t topic, int64_t offset);

/* Looks after rounds; whether a commit is wanted for the sake of images alone. */
bool nilai_scribe_is_due(struct nilai_scribe *scribe, int64_t now_ms);

/* Puts the last part of the commit; then only nilai_scribe_put_commit may follow, which does it if
 * nobody has. NILAI_AGAIN: no room in the sink; call it again before anything else. */
NILAI_MUST_CHECK enum nilai_status nilai_scribe_put_part(struct nilai_scribe *scribe,
                                                         struct nilai_sink *sink);
/* Puts the last part and the images that are due. NILAI_AGAIN: likewise. */
NILAI_MUST_CHECK enum nilai_status nilai_scribe_put_commit(struct nilai_scribe *scribe,
                                                           struct nilai_sink *sink, int64_t now_ms);
void nilai_scribe_commit_held(struct nilai_scribe *scribe);

/* From where on a restore would need the input. */
const struct nilai_point *nilai_scribe_needed(const struct nilai_scribe *scribe);

/* Bytes put into the sink since the call before. */
uint64_t nilai_scribe_take_bytes(struct nilai_scribe *scribe);

#endif
