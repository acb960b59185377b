/*
 * progress.h - how far long work has come: one line on a terminal, redrawn in place.
 *
 *     replay  12,400,000 of 50,000,000 events (24.8 %)  1,312,000/s  29 s left
 *
 * Shows nothing when standard error is not a terminal, and nothing in the first half second,
 * so that short work stays quiet. Messages of the log go above the line (base/log.h).
 * The caller passes the time in; a call that comes too early to redraw costs a comparison.
 *
 * Thread: one.
 */
#ifndef NILAI_RUN_PROGRESS_H
#define NILAI_RUN_PROGRESS_H

#include "nilai/base/base.h"

struct nilai_progress {
    const char *title; /* "replay" */
    const char *unit;  /* "events" */
    uint64_t total;    /* 0: not known */
    bool visible;
    bool drawn;
    uint64_t begin_ns;
    uint64_t next_ns;   /* not redrawn before */
    uint64_t last_ns;   /* of the last drawing, and what was done by then: the rate shown */
    uint64_t last_done; /* is that of the time since */
};

enum { NILAI_PROGRESS_TEXT_SIZE = 160 };

/* `now_ns` is the monotonic clock's; title and unit are borrowed until finish. */
void nilai_progress_init(struct nilai_progress *progress, const char *title, const char *unit,
                         uint64_t total, uint64_t now_ns);
void nilai_progress_update(struct nilai_progress *progress, uint64_t done, uint64_t now_ns);
/* Takes the line away. */
void nilai_progress_finish(struct nilai_progress *progress);

/* The line that update would draw. */
void nilai_progress_format(const struct nilai_progress *progress, uint64_t done, uint64_t now_ns,
                           char text[static NILAI_PROGRESS_TEXT_SIZE]);

#endif
