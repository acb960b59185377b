/*
 * deadline.h - the first whole second at which the band would change without an event.
 *
 * eta is not monotone: silence lifts it while service signals fade. Two ways to look ahead:
 *
 * - a safe lower bound from the terms at hand, a handful of operations, which is what an event
 *   pays for. It rests on three facts: z rises by at most (s + 1) * ln of the growth of
 *   R + D; whatever is positive among the service terms fades no faster than by half every
 *   half-life; and nothing jumps before the next ticket becomes overdue.
 * - the exact search, paid when the clock has reached the bound. Between breakpoints every term
 *   of eta is monotone and its slope is limited by what holds at both ends (rhythm.h), so the ends
 *   of an interval say what eta can be inside: no more than its ends where the slope has one sign,
 *   no more than a tent over them else. Intervals in which the band cannot change are discarded,
 *   others divided, the left first. Where to divide is only a guess, by the course of eta at the
 *   ends: a good guess leaves next to nothing to do, a bad one costs time, and neither can make
 *   the answer wrong. After a few guesses intervals are halved.
 */
#ifndef NILAI_CUSTOMER_DEADLINE_H
#define NILAI_CUSTOMER_DEADLINE_H

#include "nilai/customer/risk.h"

/* No band other than `band` before this second, which is later than now_ms. `terms` are those
 * at now_ms, where the band is `band`. NILAI_NEVER_S: it never changes. */
int64_t nilai_deadline_bound(const struct nilai_curve *curve, enum nilai_band band,
                             const struct nilai_terms *terms, int64_t now_ms);

/* The first second in (after_s, limit_s] at which the band is not `band`; NILAI_NEVER_S if none.
 * `terms` are those at after_s, where the band is `band`. */
int64_t nilai_deadline_search(const struct nilai_curve *curve, enum nilai_band band,
                              const struct nilai_terms *terms, int64_t after_s, int64_t limit_s);

#endif
