#include "nilai/state/round.h"

void nilai_round_init(struct nilai_round *round, double ratio, int64_t max_ms)
{
    NILAI_ASSERT(ratio > 0 && max_ms > 0);
    *round = (struct nilai_round){.ratio = ratio, .max_ms = max_ms, .mark = -1};
}

void nilai_round_owe(struct nilai_round *round, uint64_t input_bytes)
{
    round->changed = true;
    round->debt_bytes += (double)input_bytes * round->ratio;
    if (round->debt_bytes > NILAI_ROUND_DEBT_MAX)
        round->debt_bytes = NILAI_ROUND_DEBT_MAX;
}

bool nilai_round_wants_mark(const struct nilai_round *round)
{
    return !round->running && round->changed;
}

void nilai_round_begin(struct nilai_round *round, int64_t mark, int64_t now_ms)
{
    NILAI_ASSERT(!round->running && mark >= 0);
    round->running = true;
    round->changed = false; /* what comes now may be in an image already written: the next round */
    round->mark = mark;
    round->started_ms = now_ms;
    round->next = 0;
}

static uint64_t images_of(const struct nilai_floors *floors)
{
    return (uint64_t)floors->chunk_count + NILAI_ERASED_BUCKETS;
}

bool nilai_round_is_due(const struct nilai_round *round, const struct nilai_floors *floors,
                        int64_t now_ms)
{
    if (!round->running)
        return false;
    if (round->debt_bytes > 0)
        return true;
    double elapsed = (double)(now_ms - round->started_ms) / (double)round->max_ms;
    return elapsed * (double)images_of(floors) >= (double)(round->next + 1);
}

/* In either direction: when chunks are added meanwhile, one may come twice, and none is left out
 * that was there at the beginning. */
static uint32_t chunk_at(const struct nilai_round *round, const struct nilai_floors *floors)
{
    return NILAI_ROUND_BACKWARDS ? floors->chunk_count - 1 - (uint32_t)round->next
                                 : (uint32_t)round->next;
}

struct nilai_round_image nilai_round_image(const struct nilai_round *round,
                                           const struct nilai_floors *floors)
{
    NILAI_ASSERT(round->running && round->next < images_of(floors));
    if (round->next < floors->chunk_count)
        return (struct nilai_round_image){.customers = true, .part = chunk_at(round, floors)};
    return (struct nilai_round_image){.part = (uint32_t)(round->next - floors->chunk_count)};
}

bool nilai_round_wrote(struct nilai_round *round, const struct nilai_floors *floors, uint64_t bytes)
{
    NILAI_ASSERT(round->running);
    round->debt_bytes -= (double)bytes;
    if (round->debt_bytes < 0)
        round->debt_bytes = 0;
    round->next++;
    round->running = round->next < images_of(floors);
    return !round->running;
}
