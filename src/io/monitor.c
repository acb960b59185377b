#include "monitor.h"

#include "nilai/base/clock.h"

void nilai_monitor_init(pthread_mutex_t *lock, pthread_cond_t *changed)
{
    pthread_condattr_t clock;
    NILAI_ASSERT(pthread_condattr_init(&clock) == 0);
    NILAI_ASSERT(pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0);
    NILAI_ASSERT(pthread_cond_init(changed, &clock) == 0);
    NILAI_ASSERT(pthread_mutex_init(lock, NULL) == 0);
    pthread_condattr_destroy(&clock);
}

struct timespec nilai_monitor_until(int timeout_ms)
{
    uint64_t at_ns = nilai_clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
    return (struct timespec){.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};
}
