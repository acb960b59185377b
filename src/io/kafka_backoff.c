#include "kafka_backoff.h"

int nilai_kafka_backoff_note(struct nilai_kafka_backoff *backoff)
{
    int wait_ms = NILAI_KAFKA_BACKOFF_FIRST_MS;
    if (++backoff->failures >= NILAI_KAFKA_BACKOFF_FAILURES)
        return -1;
    if (backoff->failures == 1)
        return 0;
    for (int times = 2; times < backoff->failures && wait_ms < NILAI_KAFKA_BACKOFF_LONGEST_MS;
         times++)
        wait_ms *= 2;
    return wait_ms;
}

void nilai_kafka_backoff_reset(struct nilai_kafka_backoff *backoff)
{
    backoff->failures = 0;
}
