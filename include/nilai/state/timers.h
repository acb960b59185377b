/*
 * timers.h - which records to look at when the clock moves: a hierarchical timing wheel.
 *
 * One timer at most per record number, in whole seconds; arm moves it. Times reach to the last
 * second of the year 9999, and jumps of any length cost no more than the timers they meet
 * (empty slots are skipped by bitmap); a single call costs no more than a few of them. Memory is
 * allocated as numbers grow and bounded by them: 13 bytes a number. Arming later than before is the
 * cheap case.
 *
 * Thread: the partition's writer.
 */
#ifndef NILAI_STATE_TIMERS_H
#define NILAI_STATE_TIMERS_H

#include "nilai/base/base.h"

struct nilai_timers;

struct nilai_timers *nilai_timers_create(void);
void nilai_timers_destroy(struct nilai_timers *timers);

/* Makes room for numbers below `numbers`. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_timers_reserve(struct nilai_timers *timers,
                                                        uint32_t numbers);

/* Arms or moves the timer of `number` to `second`, at most the last of the year 9999; a second
 * at or before now is due at once. */
void nilai_timers_arm(struct nilai_timers *timers, uint32_t number, int64_t second);
/* No effect if it is not armed. */
void nilai_timers_cancel(struct nilai_timers *timers, uint32_t number);
/* Fetches what the others need to know of `number`, for soon. */
void nilai_timers_prefetch(const struct nilai_timers *timers, uint32_t number);
/* INT64_MAX if it is not armed. */
int64_t nilai_timers_armed_at(const struct nilai_timers *timers, uint32_t number);

/* Moves now forward (never back) to `now_s` and takes one due timer (second <= now_s) out, which is
 * then not armed. NILAI_MISSING: none is due any more. NILAI_BUSY: many timers had to be moved to
 * finer wheels, a bounded number was; call again. */
NILAI_MUST_CHECK enum nilai_status nilai_timers_pop_due(struct nilai_timers *timers, int64_t now_s,
                                                        uint32_t *number);

/* A lower bound of the next second at which any timer is due, at or before now if one may be
 * due already; INT64_MAX: none is armed. After nilai_timers_pop_due has said missing, later
 * than now. */
int64_t nilai_timers_next_s(const struct nilai_timers *timers);

uint64_t nilai_timers_memory_bytes(const struct nilai_timers *timers);
void nilai_timers_validate(const struct nilai_timers *timers);

#endif
