/*
 * lane.h - one state partition at work: its inputs merged, its turns, how far it is.
 *
 * State lives in memory, and in its journal. A lane that is opened
 *
 *   loading    reads its journal, if there is one: images of the state, and what turns came after;
 *   replaying  applies those turns again, with their changes, dead letters and feed suppressed:
 *              they were published before. (Without a journal: everything up to the committed
 *              position, see recall.h.)
 *   live       everything after it is published, and journaled.
 *   finished   with marks: every topic reached its mark.
 *
 * The caller works a lane off so (worker.c does):
 *
 *     nilai_lane_load until it is loaded; then read from nilai_lane_start on
 *     nilai_lane_fill; while (nilai_lane_begin(...)) { bad ones; nilai_lane_step until done;
 *     nilai_lane_finish; }
 *
 * Thread: the worker that owns it.
 */
#ifndef NILAI_RUN_LANE_H
#define NILAI_RUN_LANE_H

#include "nilai/io/source.h"
#include "nilai/run/merge.h"
#include "nilai/run/recall.h"
#include "nilai/run/scribe.h"

struct nilai_lane_options {
    uint32_t topic_count;
    uint32_t queue_capacity; /* arrivals a topic; a power of two */
    int64_t max_idle_ms;
    bool follow_wall_clock;
    bool has_marks; /* stop at `marks`, see below */
    int64_t marks[NILAI_INPUT_TOPICS_MAX];
    struct nilai_decoder *decoder; /* shared by the lanes of a worker */
    struct nilai_partition_options state;
    /* The journal. */
    struct nilai_state_log *log; /* NULL: there is none; nothing below means anything */
    const char *log_name;
    uint64_t inputs, settings;
    uint64_t writer; /* a random number, other than any before */
    double image_ratio;
    int64_t round_max_ms;
};

enum nilai_lane_phase {
    NILAI_LANE_LOADING,
    NILAI_LANE_REPLAYING,
    NILAI_LANE_LIVE,
    NILAI_LANE_FINISHED,
};

struct nilai_lane;

/* `committed`: as the group knows it. NULL when out of memory. */
struct nilai_lane *nilai_lane_create(const struct nilai_lane_options *options,
                                     const struct nilai_position *committed, int64_t now_ms);
void nilai_lane_destroy(struct nilai_lane *lane, struct nilai_source *source);

int32_t nilai_lane_partition(const struct nilai_lane *lane);
enum nilai_lane_phase nilai_lane_phase(const struct nilai_lane *lane);

/* Reads on in the journal, for a bounded while. NILAI_OK: the lane is past loading. NILAI_AGAIN: it
 * is not. Others: as nilai_recall_load. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_load(struct nilai_lane *lane, int64_t now_ms,
                                                   struct nilai_error *error);

/* Drops what waits, as after a rebalance: reading goes on at the lane's position. */
void nilai_lane_rewind(struct nilai_lane *lane, struct nilai_source *source, int64_t now_ms);
/* Where to read from, once it is loaded. */
void nilai_lane_start(const struct nilai_lane *lane, int64_t start[static NILAI_INPUT_TOPICS_MAX]);

/* Takes what has arrived, as far as there is room. *taken: how many messages. NILAI_AGAIN: one came
 * that was read already, and was dropped; reading is to begin again from nilai_lane_start, and if
 * that does not help, the error says why. NILAI_INVALID: events that turns are to be applied to
 * again are gone; the error says so. Others: as the source says. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_fill(struct nilai_lane *lane,
                                                   struct nilai_source *source, uint32_t *taken,
                                                   struct nilai_error *error);

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
/* Before an effect is published (which may be done again after NILAI_AGAIN: no room in the sink),
 * and when it was. Of a turn that is not suppressed. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_make_room(struct nilai_lane *lane,
                                                        struct nilai_sink *sink);
void nilai_lane_published(struct nilai_lane *lane, const struct nilai_effect *effect);
/* Ends the turn, whose steps are done, and gives its messages back. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_finish(struct nilai_lane *lane,
                                                     struct nilai_source *source);
/* Gives the messages of a turn back that cannot be ended; the lane is to be destroyed. */
void nilai_lane_break_off(struct nilai_lane *lane, struct nilai_source *source);

/* How far the lane is, between two turns. */
void nilai_lane_position(const struct nilai_lane *lane, struct nilai_position *position);
/* Whether there is something to commit: the lane is past its replay, and its position is
 * not the committed one, or it has published something since. */
bool nilai_lane_is_dirty(const struct nilai_lane *lane);
/* Whether it is, or images of its state ought to be written. */
bool nilai_lane_wants_commit(struct nilai_lane *lane, int64_t now_ms);
/* What the journal says of the commit that is about to begin, as nilai_scribe_put_part and
 * nilai_scribe_put_commit. */
NILAI_MUST_CHECK enum nilai_status nilai_lane_put_part(struct nilai_lane *lane,
                                                       struct nilai_sink *sink);
NILAI_MUST_CHECK enum nilai_status nilai_lane_put_journal(struct nilai_lane *lane,
                                                          struct nilai_sink *sink, int64_t now_ms);
/* What was given to a commit, and that it holds; or that it does not, or may not: what was put for
 * it counts as published since then, so that the lane is dirty. */
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

/* NULL if it was finished from the beginning. */
struct nilai_partition *nilai_lane_state(struct nilai_lane *lane);

/* What has come of loading and replaying, told once after it is done. */
struct nilai_lane_restored {
    bool found; /* a journal */
    uint64_t customers, image_bytes, turns, differences;
    int64_t load_ms, replay_ms;
};
bool nilai_lane_take_restored(struct nilai_lane *lane, struct nilai_lane_restored *restored);
/* How near the deletion of input has come to what a restore would need. */
enum nilai_lane_retention {
    NILAI_RETENTION_FAR,
    NILAI_RETENTION_NEAR_FLOOR, /* less than a tenth of what is kept is between */
    NILAI_RETENTION_PAST, /* what is needed is gone: until a round is complete, the state cannot be
                                   restored */
};
enum nilai_lane_retention nilai_lane_retention(const struct nilai_lane *lane,
                                               struct nilai_source *source);

/* How far loading is. */
void nilai_lane_progress(const struct nilai_lane *lane, uint64_t *read, uint64_t *all);
/* Bytes put into the journal since the call before. */
uint64_t nilai_lane_take_journal_bytes(struct nilai_lane *lane);

#endif
