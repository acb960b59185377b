/*
 * monitor.h - a lock with a condition that is waited for by the clock that never goes back.
 *
 * Private to src/io. Thread: any.
 */
#ifndef NILAI_IO_MONITOR_H
#define NILAI_IO_MONITOR_H

#include <pthread.h>
#include <time.h>

void nilai_monitor_init(pthread_mutex_t *lock, pthread_cond_t *changed);

/* The end of a wait of `timeout_ms` that begins now, for pthread_cond_timedwait on such a
 * condition. */
struct timespec nilai_monitor_until(int timeout_ms);

#endif
