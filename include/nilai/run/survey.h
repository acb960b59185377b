/*
 * survey.h - how a worker's lanes are doing: what is too dear to be counted along the way.
 *
 * Taken a few times a second. It fills the counters that are levels (customers, memory, lag), books
 * the memory with the process's budget, and says in the log, once or not too often, what a person
 * should know: how a restore went and how far it is, what retention has taken or is about to.
 *
 * Thread: the worker that owns it; the budget is shared.
 */
#ifndef NILAI_RUN_SURVEY_H
#define NILAI_RUN_SURVEY_H

#include "nilai/io/source.h"
#include "nilai/run/counters.h"

/* The memory for state, shared by all workers of a process. Relaxed order is enough: the sum
 * is compared with a limit that is approached slowly, nothing is derived from it. */
struct nilai_budget {
    _Atomic uint64_t used_bytes;
    uint64_t max_bytes;
};

struct nilai_survey {
    int64_t taken_at_ms, progress_at_ms, warn_at_ms;
    uint64_t memory_bytes; /* as booked */
};

struct nilai_lane;

struct nilai_surveyed {
    struct nilai_lane *const *lanes;
    size_t lane_count;
    const struct nilai_lane *busy; /* amid a turn; NULL: none is */
    struct nilai_source *source;
    uint32_t topic_count;
    struct nilai_counters *counters;
    struct nilai_budget *budget;
    int64_t now_ms;
};

/* False: the memory is used up. A survey begins as zeros. */
bool nilai_survey_take(struct nilai_survey *survey, const struct nilai_surveyed *what);
/* Gives the memory back. */
void nilai_survey_end(struct nilai_survey *survey, struct nilai_budget *budget);

#endif
