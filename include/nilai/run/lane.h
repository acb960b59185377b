/*
 * lane.h - one state partition at work: its inputs merged, its turns, how far it is.
 *
 * State lives in memory. A lane that is opened reads its input topics from their oldest
 * message and builds the state anew:
 *
 *   replaying  up to the committed position (and no further) events are applied with their
 *              changes, dead letters and feed suppressed: they were published before. At the
 *              end of it the clock is moved to the committed one, which may have followed the
 *              wall clock beyond the last event; the deadlines up to there were published too.
 *   live       everything after it is published.
 *   finished   with marks: every topic reached its mark.
 *
 * The prefix up to the committed position is the same set of events as before, but merged by
 * event time from the start, without idle topics being passed over. Where live arrivals of one
 * customer came in another order than their times, the rebuilt state is that of the orderly
 * history; a later change may then differ from what an uninterrupted process had published.
 * Likewise an event that was too far in the future then is judged by today's clock.
 * A restore from a journal replaces the phase `replaying` and nothing else.
 *
 * The caller works a lane off so (worker.c does):
 *
 *     nilai_lane_fill; while (nilai_lane_begin(...)) { bad ones; nilai_lane_step until done;
 *     nilai_lane_finish; }
 *
 * Thread: the worker that owns it.
 */
#ifndef NILAI_RUN_LANE_H
#define NILAI_RUN_LANE_H

#include "nilai/io/source.h"
#include "nilai/run/merge.h"
#include "nilai/state/partition.h"

struct nilai_lane_options {
    uint32_t topic_count;
    uint32_t queue_capacity; /* arrivals a topic; a power of two */
    int64_t max_idle_ms;
    bool follow_wall_clock;
    bool has_marks; /* stop at `marks`, see below */
    int64_t marks[NILAI_INPUT_TOPICS_MAX];
    struct nilai_decoder *decoder; /* shared by the lanes of a worker */
    struct nilai_partition_options state;
};

enum nilai_lane_phase { NILAI_LANE_REPLAYING, NILAI_LANE_LIVE, NILAI_LANE_FINISHED };

struct nilai_lane;

/* `committed`: as the group knows it. NULL when out of memory. */
struct nilai_lane *nilai_lane_create(const struct nilai_lane_options *options,
                                     const struct nilai_position *committed, int64_t now_ms);
void nilai_lane_destroy(struct nilai_lane *lane, struct nilai_source *source);

int32_t nilai_lane_partition(const struct nilai_lane *lane);
enum nilai_lane_phase nilai_lane_phase(const struct nilai_lane *lane);

/* Drops what waits, as after a rebalance: reading goes on at the lane's position. */
void nilai_lane_rewind(struct nilai_lane *lane, struct nilai_source *source, int64_t now_ms);
/* Where to read from. */
void nilai_lane_start(const struct nilai_lane *lane, int64_t start[static NILAI_INPUT_TOPICS_MAX]);

/* Takes what has arrived, as far as there is room. *taken: how many messages. NILAI_INVALID: an
 * offset was not after the last one. Others: as the source says. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_fill(struct nilai_lane *lane,
                                                   struct nilai_source *source, uint32_t *taken);

/* Begins a turn; false: nothing to do now. *wake_ms is lowered to when to ask again although
 * nothing arrived. A lane that follows the wall clock and is at its end makes a turn of the
 * clock alone, once a second (deadlines are whole seconds). */
bool nilai_lane_begin(struct nilai_lane *lane, int64_t now_ms, int64_t wall_ms, int64_t *wake_ms);
/* The batch of the turn at hand, for its bad events. */
const struct nilai_batch *nilai_lane_batch(const struct nilai_lane *lane);
/* Whether what the turn at hand brings was published before. */
bool nilai_lane_is_suppressed(const struct nilai_lane *lane);
/* As nilai_partition_step. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_step(struct nilai_lane *lane,
                                                   struct nilai_effects *effects, bool *done);
/* Ends the turn, whose steps are done, and gives its messages back. */
void nilai_lane_finish(struct nilai_lane *lane, struct nilai_source *source);

/* How far the lane is, between two turns. */
void nilai_lane_position(const struct nilai_lane *lane, struct nilai_position *position);
/* Whether there is something to commit: the lane is past its replay, and its position is
 * not the committed one, or it has published something since. */
bool nilai_lane_is_dirty(const struct nilai_lane *lane);
/* What was given to a commit, and that it holds. */
void nilai_lane_commit_begun(struct nilai_lane *lane, const struct nilai_position *position);
void nilai_lane_commit_done(struct nilai_lane *lane);
void nilai_lane_commit_refused(struct nilai_lane *lane);
/* Whether `position` is the last one that this lane knows as committed. */
bool nilai_lane_is_committed_at(const struct nilai_lane *lane,
                                const struct nilai_position *position);

/* What was missing when a topic was first read. */
enum nilai_lane_gap {
    NILAI_GAP_NONE,
    NILAI_GAP_OLD,    /* events from before the committed position: state does without them */
    NILAI_GAP_UNREAD, /* events after it: they were deleted before anybody read them */
};

/* The worst that was found since the last call. */
enum nilai_lane_gap nilai_lane_take_gap(struct nilai_lane *lane);

struct nilai_partition *nilai_lane_state(struct nilai_lane *lane);

#endif
