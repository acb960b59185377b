/*
 * clock.h - the only reader of time.
 *
 * Whoever needs the time reads it once per turn and passes it down by value.
 */
#ifndef NILAI_BASE_CLOCK_H
#define NILAI_BASE_CLOCK_H

#include "nilai/base/base.h"

/* The latest instant that an event may carry: 9999-12-31T23:59:59.999Z, in ms. */
#define NILAI_TIME_MAX_MS INT64_C(253402300799999)

/* Wall clock, ms since 1970 UTC. */
int64_t nilai_clock_wall_ms(void);
/* The same in us, to compare instants of two processes of one machine. */
int64_t nilai_clock_wall_us(void);

/* A clock that never goes back, ns since an arbitrary start. */
uint64_t nilai_clock_monotonic_ns(void);
int64_t nilai_clock_monotonic_ms(void);

/* CPU time of the calling thread, ns. */
uint64_t nilai_clock_thread_cpu_ns(void);

enum { NILAI_CLOCK_TEXT_SIZE = 32 };

/* "2026-01-31T12:00:00.000Z"; `ms` in [0, NILAI_TIME_MAX_MS]. */
void nilai_clock_format(int64_t ms, char text[static NILAI_CLOCK_TEXT_SIZE]);

/* Reads integer ms, or "2026-01-31", "2026-01-31T12:00:00Z", with optional
 * fraction of up to three digits. NILAI_INVALID for anything else. */
NILAI_MUST_CHECK enum nilai_status nilai_clock_parse(const char *text, int64_t *ms);

#endif
