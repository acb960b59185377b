/*
 * What the rest of this layer relies on, by who would suffer:
 *
 *     ring.c      phase < 28; the newest period is never ahead of the one that is evaluated, and
 *                 far enough from the beginning that 13 periods before it have slots
 *     rhythm.c    first_day <= last_day, and days near enough that differences fit; the bitmap has
 *                 no day before the first, and as many as were counted where it reaches that far
 *     risk.c      a band for whoever may wake, and none before the first purchase; signals not in
 *                 the future, and finite together, for infinity times a fade of 0 would be no
 *                 number
 *     deadline.c  eta is a number; tickets opened not in the future
 *     value.c     a segment and a tier that index its tables; flags are 0 or 1,
 *                 for others would differ from what they are compared with for ever
 *     customer.c  recent ids within their ring; who has not bought never wakes; who wakes does
 *                 so after the current second and before the end of time
 *
 * Amounts, costs and nets saturate wherever they are added, so any are sound. A byte other than 0
 * and 1 must not even be read as a bool; those are looked at as bytes.
 */
#include "nilai/customer/sound.h"

#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/customer/ring.h"

/* Far beyond any sum of signals, of 10 each, and finite when there are many of it; adding one to
 * so large a number changes nothing, so that sound stays sound. The same for sums of answers. */
#define SIGNAL_MAX      0x1p60
#define ANSWERS_SUM_MAX 0x1p53
#define DRIFT_MAX       0x1p10

enum { BITMAP_DAYS = 64 };

static bool is_within(double value, double least, double most)
{
    return value >= least && value <= most; /* NaN is not */
}

static bool is_bool(const bool *flag)
{
    unsigned char byte;
    memcpy(&byte, flag, sizeof byte);
    return byte <= 1;
}

/* Before the first purchase only events move the time; after it deadlines do, too. */
static bool times_are_sound(const struct nilai_customer *customer)
{
    int64_t last_ms = customer->last_event_ms, now_ms = customer->current_ms;
    if (last_ms < -1 || now_ms < last_ms || now_ms > NILAI_TIME_MAX_MS)
        return false;
    if (!customer->rhythm.bought)
        return now_ms == last_ms && customer->wake_s == NILAI_NEVER_S;
    return last_ms >= 0 && customer->wake_s > now_ms / 1000
           && (customer->wake_s <= NILAI_TIME_MAX_MS / 1000 || customer->wake_s == NILAI_NEVER_S);
}

/* While the bitmap reaches back to the first day, it shows every day that was counted; later the
 * first day at least is not in it. */
static bool days_agree(const struct nilai_rhythm *rhythm)
{
    uint32_t seen = (uint32_t)__builtin_popcountll(rhythm->seen_days);
    int32_t span = rhythm->last_day - rhythm->first_day;
    if ((rhythm->seen_days & 1) == 0)
        return false;
    if (span >= BITMAP_DAYS)
        return rhythm->repeat_days >= seen;
    return rhythm->seen_days >> span == 1 && rhythm->repeat_days == seen - 1;
}

static bool rhythm_is_sound(const struct nilai_model *model, const struct nilai_customer *customer)
{
    const struct nilai_rhythm *rhythm = &customer->rhythm;
    if (!rhythm->bought)
        return true;
    return rhythm->first_day >= nilai_model_day(model, 0) && rhythm->first_day <= rhythm->last_day
           && rhythm->last_day <= nilai_model_day(model, customer->last_event_ms)
           && days_agree(rhythm);
}

/* The ring slides at events, to the current time, which deadlines may have moved on since. */
static bool ring_is_sound(const struct nilai_model *model, const struct nilai_customer *customer)
{
    const struct nilai_ring *ring = &customer->ring;
    struct nilai_ring fresh;
    nilai_ring_init(&fresh, 0);
    if (ring->phase >= NILAI_PERIOD_DAYS)
        return false;
    if (customer->last_event_ms < 0)
        return ring->newest == fresh.newest;
    int32_t from = nilai_ring_period(ring, nilai_model_day(model, customer->last_event_ms));
    int32_t to = nilai_ring_period(ring, nilai_model_day(model, customer->current_ms));
    return ring->newest >= from && ring->newest <= to;
}

static bool recent_are_sound(const struct nilai_customer *customer)
{
    if (customer->recent_count > NILAI_RECENT_IDS || customer->recent_next >= NILAI_RECENT_IDS)
        return false;
    if ((customer->recent_count == 0) != (customer->last_event_ms < 0))
        return false;
    return customer->recent_count == NILAI_RECENT_IDS
           || customer->recent_next == customer->recent_count;
}

/* The first purchase sets all three, and tells of it. Where it was only written down, and not
 * judged, as when turns are applied again under other settings, the customer stands nowhere until
 * the next event, and nothing may wake them before. */
static bool standing_is_sound(const struct nilai_customer *customer)
{
    const struct nilai_standing *standing = &customer->standing;
    if (standing->segment == NILAI_SEGMENT_NONE)
        return standing->band == NILAI_BAND_NONE && standing->tier == NILAI_TIER_NONE
               && standing->unprofitable == 0 && customer->seq == 0
               && customer->wake_s == NILAI_NEVER_S;
    return customer->rhythm.bought && standing->band > NILAI_BAND_NONE
           && standing->band < NILAI_BANDS && standing->segment < NILAI_SEGMENTS
           && standing->tier > NILAI_TIER_NONE && standing->tier < NILAI_TIERS
           && standing->unprofitable <= 1;
}

static bool ticket_is_sound(const struct nilai_followed *ticket, int64_t last_event_ms)
{
    return ticket->since_ms >= 0 && ticket->since_ms <= last_event_ms
           && ticket->kind < NILAI_TICKET_KINDS && is_bool(&ticket->open)
           && is_bool(&ticket->counted);
}

static bool service_is_sound(const struct nilai_service *service, int64_t last_event_ms)
{
    /* 0 until the first signal, and so while there was no event at all. */
    if (service->signals_ms < 0 || (service->signals_ms > last_event_ms && service->signals_ms > 0))
        return false;
    for (int code = 0; code < NILAI_SIGNALS_STORED; code++)
        if (!is_within(service->signals[code], -SIGNAL_MAX, SIGNAL_MAX))
            return false;
    if (service->ticket_count > NILAI_TICKETS_MAX)
        return false;
    for (uint32_t i = 0; i < service->ticket_count; i++)
        if (!ticket_is_sound(&service->tickets[i], last_event_ms))
            return false;
    return is_within(service->answers_sum, 0, ANSWERS_SUM_MAX)
           && is_within(service->drift, 0, DRIFT_MAX);
}

bool nilai_customer_is_sound(const struct nilai_model *model, const struct nilai_customer *customer,
                             const struct nilai_service *service)
{
    return is_bool(&customer->rhythm.bought) && times_are_sound(customer)
           && rhythm_is_sound(model, customer) && ring_is_sound(model, customer)
           && recent_are_sound(customer) && standing_is_sound(customer)
           && (service == NULL || service_is_sound(service, customer->last_event_ms));
}
