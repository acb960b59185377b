#include "kafka_rival.h"

#include <string.h>

void nilai_kafka_rival_init(struct nilai_kafka_rival *rival, int64_t timeout_ms)
{
    rival->window_ms = NILAI_KAFKA_RIVAL_TIMEOUTS * timeout_ms;
    if (rival->window_ms < NILAI_KAFKA_RIVAL_WINDOW_MS)
        rival->window_ms = NILAI_KAFKA_RIVAL_WINDOW_MS;
    for (size_t index = 0; index < NILAI_ARRAY_LEN(rival->at_ms); index++)
        rival->at_ms[index] = -1;
}

bool nilai_kafka_rival_note(struct nilai_kafka_rival *rival, int64_t now_ms)
{
    memmove(&rival->at_ms[0], &rival->at_ms[1], sizeof rival->at_ms - sizeof rival->at_ms[0]);
    rival->at_ms[NILAI_KAFKA_RIVAL_TIMES - 1] = now_ms;
    return rival->at_ms[0] >= 0 && now_ms - rival->at_ms[0] <= rival->window_ms;
}
