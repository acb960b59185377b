#include "nilai/customer/ring.h"

#include "nilai/base/money.h"

/* Added before dividing, so that days before 1970 (an offset of a day) round down too. */
enum { PERIODS_BEFORE_1970 = 26 * NILAI_PERIODS };

static int slot_of(int32_t period)
{
    NILAI_ASSERT(period > -PERIODS_BEFORE_1970);
    return (period + PERIODS_BEFORE_1970) % NILAI_PERIODS;
}

static bool holds(const struct nilai_ring *ring, int32_t period)
{
    return period <= ring->newest && ring->newest - period < NILAI_PERIODS;
}

void nilai_ring_init(struct nilai_ring *ring, uint64_t id_hash)
{
    *ring = (struct nilai_ring){
        .phase = (uint16_t)(id_hash % NILAI_PERIOD_DAYS),
        .newest = 1 - PERIODS_BEFORE_1970,
    };
}

int32_t nilai_ring_period(const struct nilai_ring *ring, int32_t day)
{
    int32_t shifted = day - ring->phase + PERIODS_BEFORE_1970 * NILAI_PERIOD_DAYS;
    NILAI_ASSERT(shifted >= 0);
    return shifted / NILAI_PERIOD_DAYS - PERIODS_BEFORE_1970;
}

int32_t nilai_ring_first_day(const struct nilai_ring *ring, int32_t period)
{
    return period * NILAI_PERIOD_DAYS + ring->phase;
}

void nilai_ring_slide(struct nilai_ring *ring, int32_t period)
{
    if (period <= ring->newest)
        return;
    int32_t steps = period - ring->newest;
    for (int32_t i = 0; i < steps && i < NILAI_PERIODS; i++) {
        ring->nets[slot_of(period - i)] = 0;
        ring->purchase_days[slot_of(period - i)] = 0;
    }
    ring->newest = period;
}

bool nilai_ring_add_net(struct nilai_ring *ring, int32_t period, int64_t net)
{
    return holds(ring, period) && nilai_money_add(&ring->nets[slot_of(period)], net);
}

bool nilai_ring_add_purchase_day(struct nilai_ring *ring, int32_t period)
{
    if (!holds(ring, period))
        return false;
    uint16_t *days = &ring->purchase_days[slot_of(period)];
    if (*days == UINT16_MAX)
        return true;
    (*days)++;
    return false;
}

struct nilai_ring_sums nilai_ring_of_period(const struct nilai_ring *ring, int32_t period)
{
    if (!holds(ring, period))
        return (struct nilai_ring_sums){0};
    int slot = slot_of(period);
    return (struct nilai_ring_sums){ring->nets[slot], ring->purchase_days[slot]};
}

/* Of all slots: what a ring holds as long as nothing has slid out of it. False: 64 bits are too
 * few. */
static bool sum_all(const struct nilai_ring *ring, struct nilai_ring_sums *sums)
{
    int64_t net = 0;
    uint32_t purchase_days = 0;
#pragma GCC unroll 13
    for (int slot = 0; slot < NILAI_PERIODS; slot++) {
        if (__builtin_add_overflow(net, ring->nets[slot], &net))
            return false;
        purchase_days += ring->purchase_days[slot];
    }
    *sums = (struct nilai_ring_sums){net, purchase_days};
    return true;
}

struct nilai_ring_sums nilai_ring_sums(const struct nilai_ring *ring, int32_t period)
{
    NILAI_ASSERT(period >= ring->newest);
    struct nilai_ring_sums sums = {0};
    if (period == ring->newest && sum_all(ring, &sums))
        return sums;
    int slot = slot_of(ring->newest);
    for (int32_t p = ring->newest; p > period - NILAI_PERIODS && holds(ring, p); p--) {
        sums.net += ring->nets[slot];
        sums.purchase_days += ring->purchase_days[slot];
        slot = slot == 0 ? NILAI_PERIODS - 1 : slot - 1;
    }
    return sums;
}

int64_t nilai_ring_net(const struct nilai_ring_sums *sums)
{
    if (sums->net > INT64_MAX)
        return INT64_MAX;
    return sums->net < INT64_MIN ? INT64_MIN : (int64_t)sums->net;
}

int32_t nilai_ring_empty_from(const struct nilai_ring *ring)
{
    return ring->newest + NILAI_PERIODS;
}
