#include "nilai/customer/value.h"

#include <math.h>

#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/customer/ring.h"

enum {
    YEAR_DAYS = 365,
    VIP_DAYS = 3,
    LOYAL_DAYS = 6,
    REGULAR_DAYS = 3,
    LOYAL_AGE_DAYS = 180,
    NEW_AGE_DAYS = 90,
};

static const double keep = 0.9; /* an own cut is left only below this much of it */

double nilai_value_spend(const struct nilai_model *model, double days, double total)
{
    return model->spend_p * (model->spend_gamma + total) / (model->spend_p * days + model->spend_q - 1);
}

static double margin_of(const struct nilai_model *model, const struct nilai_customer *customer)
{
    if (customer->amounts == 0)
        return model->margin;
    double margin = 1 - (double)customer->costs / (double)customer->amounts;
    return margin < 0 ? 0 : margin > 1 ? 1 : margin;
}

static double spend_of(const struct nilai_model *model, const struct nilai_customer *customer)
{
    int64_t total = customer->amounts;
    nilai_money_subtract(&total, customer->refunds);
    return nilai_value_spend(model, customer->rhythm.repeat_days + 1.0,
                             total > 0 ? (double)total / NILAI_MONEY_UNIT : 0);
}

double nilai_value_clv(const struct nilai_model *model, const struct nilai_customer *customer,
                       int64_t ms)
{
    const struct nilai_rhythm *rhythm = &customer->rhythm;
    struct nilai_posterior posterior = nilai_rhythm_of(model, rhythm);
    double days = nilai_rhythm_expected_days(model, &posterior, rhythm->repeat_days,
                                             nilai_rhythm_silence_days(model, rhythm, ms), YEAR_DAYS);
    return margin_of(model, customer) * spend_of(model, customer) * days;
}

static int32_t period_at(const struct nilai_model *model, const struct nilai_customer *customer,
                         int64_t ms)
{
    return nilai_ring_period(&customer->ring, nilai_model_day(model, ms));
}

struct nilai_worth nilai_value_worth(const struct nilai_model *model,
                                     const struct nilai_customer *customer, int64_t ms)
{
    int32_t period = period_at(model, customer, ms);
    return (struct nilai_worth){
        .clv_365 = nilai_value_clv(model, customer, ms),
        .net_year = nilai_ring_net(&customer->ring, period),
        .purchase_days_year = nilai_ring_purchase_days(&customer->ring, period),
    };
}

static enum nilai_tier tier_of(const struct nilai_model *model, enum nilai_tier own, double clv)
{
    const double cuts[NILAI_TIER_D] = {
        [NILAI_TIER_A] = model->cut_a, [NILAI_TIER_B] = model->cut_b, [NILAI_TIER_C] = model->cut_c};
    for (enum nilai_tier tier = NILAI_TIER_A; tier < NILAI_TIER_D; tier++)
        if (clv >= (tier == own ? keep : 1) * cuts[tier])
            return tier;
    return NILAI_TIER_D;
}

static enum nilai_segment segment_of(const struct nilai_model *model,
                                     const struct nilai_customer *customer,
                                     const struct nilai_worth *worth, int64_t ms)
{
    bool was_vip = customer->standing.segment == NILAI_SEGMENT_VIP;
    uint32_t days = worth->purchase_days_year;
    int32_t age_days = nilai_model_day(model, ms) - customer->rhythm.first_day;

    if (days == 0)
        return NILAI_SEGMENT_LAPSED;
    if (worth->clv_365 >= (was_vip ? keep : 1) * model->cut_a && days >= VIP_DAYS)
        return NILAI_SEGMENT_VIP;
    if (days >= LOYAL_DAYS && age_days >= LOYAL_AGE_DAYS)
        return NILAI_SEGMENT_LOYAL;
    if (days >= REGULAR_DAYS)
        return NILAI_SEGMENT_REGULAR;
    if (customer->rhythm.repeat_days == 0 && age_days <= NEW_AGE_DAYS)
        return NILAI_SEGMENT_NEW;
    return NILAI_SEGMENT_OCCASIONAL;
}

struct nilai_standing nilai_value_standing(const struct nilai_model *model,
                                           const struct nilai_customer *customer,
                                           const struct nilai_worth *worth, int64_t ms)
{
    struct nilai_standing standing = customer->standing;
    standing.segment = (uint8_t)segment_of(model, customer, worth, ms);
    standing.tier = (uint8_t)tier_of(model, (enum nilai_tier)customer->standing.tier, worth->clv_365);
    standing.unprofitable = worth->net_year < 0;
    return standing;
}

bool nilai_value_same(struct nilai_standing a, struct nilai_standing b)
{
    return a.segment == b.segment && a.tier == b.tier && a.unprofitable == b.unprofitable;
}

static int64_t day_start_s(const struct nilai_model *model, int32_t day)
{
    return nilai_model_day_start_ms(model, day) / 1000;
}

static int64_t period_start_s(const struct nilai_model *model, const struct nilai_customer *customer,
                              int32_t period)
{
    return day_start_s(model, nilai_ring_first_day(&customer->ring, period));
}

bool nilai_value_is_check(const struct nilai_model *model, const struct nilai_customer *customer,
                          int64_t second)
{
    int32_t day = nilai_model_day(model, second * 1000);
    int32_t first_day = customer->rhythm.first_day;
    if (day_start_s(model, day) != second)
        return false;
    return nilai_ring_first_day(&customer->ring, nilai_ring_period(&customer->ring, day)) == day ||
           day - first_day == NEW_AGE_DAYS + 1 || day - first_day == LOYAL_AGE_DAYS;
}

/* From here on the ring is empty and the first purchase old: only clv_365 still moves, and it
 * only falls. */
static int64_t settled_s(const struct nilai_model *model, const struct nilai_customer *customer)
{
    int64_t empty = period_start_s(model, customer, nilai_ring_empty_from(&customer->ring));
    int64_t old = day_start_s(model, customer->rhythm.first_day + LOYAL_AGE_DAYS);
    return empty > old ? empty : old;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The next check time after a second, whether or not anything may change at it. */
static int64_t next_check_time(const struct nilai_model *model,
                               const struct nilai_customer *customer, int64_t after_s)
{
    int32_t period = period_at(model, customer, after_s * 1000);
    int64_t next = period_start_s(model, customer, period + 1);
    int64_t not_new = day_start_s(model, customer->rhythm.first_day + NEW_AGE_DAYS + 1);
    int64_t loyal = day_start_s(model, customer->rhythm.first_day + LOYAL_AGE_DAYS);
    if (not_new > after_s)
        next = earlier(next, not_new);
    return loyal > after_s ? earlier(next, loyal) : next;
}

static bool differs_at(const struct nilai_model *model, const struct nilai_customer *customer,
                       int64_t second)
{
    struct nilai_worth worth = nilai_value_worth(model, customer, second * 1000);
    return !nilai_value_same(nilai_value_standing(model, customer, &worth, second * 1000),
                             customer->standing);
}

/* Once settled, a difference stays: halve between the period of `after_s` and that of the limit. */
static int64_t first_settled_change(const struct nilai_model *model,
                                    const struct nilai_customer *customer, int64_t after_s,
                                    int64_t limit_s)
{
    int32_t same = period_at(model, customer, after_s * 1000);
    int32_t differs = period_at(model, customer, limit_s * 1000);
    if (same == differs || !differs_at(model, customer, period_start_s(model, customer, differs)))
        return NILAI_NEVER_S;
    while (differs - same > 1) {
        int32_t middle = same + (differs - same) / 2;
        if (differs_at(model, customer, period_start_s(model, customer, middle)))
            differs = middle;
        else
            same = middle;
    }
    return period_start_s(model, customer, differs);
}

int64_t nilai_value_next_change(const struct nilai_model *model,
                                const struct nilai_customer *customer, int64_t after_s,
                                int64_t limit_s)
{
    int64_t settled = settled_s(model, customer);
    while (after_s < settled) {
        after_s = next_check_time(model, customer, after_s);
        if (after_s > limit_s)
            return NILAI_NEVER_S;
        if (differs_at(model, customer, after_s))
            return after_s;
    }
    return after_s < limit_s ? first_settled_change(model, customer, after_s, limit_s)
                             : NILAI_NEVER_S;
}

int64_t nilai_value_next_check(const struct nilai_model *model, const struct nilai_customer *customer,
                               int64_t after_s)
{
    if (after_s < settled_s(model, customer))
        return next_check_time(model, customer, after_s);
    return nilai_value_next_change(model, customer, after_s, NILAI_TIME_MAX_MS / 1000);
}
