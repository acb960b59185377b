#include "nilai/customer/value.h"

#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/customer/logarithm.h"
#include "nilai/customer/ring.h"

enum {
    VIP_DAYS = 3,
    LOYAL_DAYS = 6,
    REGULAR_DAYS = 3,
    LOYAL_AGE_DAYS = 180,
    NEW_AGE_DAYS = 90,
};

/* The days of the calendar that are check times: those on which the first purchase is so many days
 * ago. */
static const int32_t ages[] = {NEW_AGE_DAYS + 1, LOYAL_AGE_DAYS};

static bool is_age(int32_t days)
{
    return days == ages[0] || days == ages[1];
}

static const double keep = 0.9; /* an own cut is left only below this much of it */

double nilai_value_spend(const struct nilai_model *model, double days, double total)
{
    return model->spend_p * (model->spend_gamma + total)
           / (model->spend_p * days + model->spend_q - 1);
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

/* clv_365 by silence: margin and spend do not depend on it. */
static double clv_of(const struct nilai_model *model, const struct nilai_customer *customer,
                     double spend, const struct nilai_silence *silence)
{
    return spend * nilai_rhythm_expected_year(model, customer->rhythm.repeat_days, silence);
}

static double net_spend_of(const struct nilai_model *model, const struct nilai_customer *customer)
{
    return margin_of(model, customer) * spend_of(model, customer);
}

static int32_t period_at(const struct nilai_model *model, const struct nilai_customer *customer,
                         int64_t ms)
{
    return nilai_ring_period(&customer->ring, nilai_model_day(model, ms));
}

struct nilai_ring_sums nilai_value_year(const struct nilai_model *model,
                                        const struct nilai_customer *customer, int64_t ms)
{
    return nilai_ring_sums(&customer->ring, period_at(model, customer, ms));
}

struct nilai_worth nilai_value_worth_in(const struct nilai_model *model,
                                        const struct nilai_customer *customer,
                                        const struct nilai_silence *silence, int64_t ms)
{
    struct nilai_ring_sums year = nilai_value_year(model, customer, ms);
    return (struct nilai_worth){
        .clv_365 = clv_of(model, customer, net_spend_of(model, customer), silence),
        .net_year = nilai_ring_net(&year),
        .purchase_days_year = year.purchase_days,
        .year = year,
    };
}

struct nilai_worth nilai_value_worth(const struct nilai_model *model,
                                     const struct nilai_customer *customer, int64_t ms)
{
    struct nilai_posterior posterior = nilai_rhythm_of(model, &customer->rhythm);
    struct nilai_silence silence = nilai_rhythm_silence_at(&posterior, ms);
    return nilai_value_worth_in(model, customer, &silence, ms);
}

static enum nilai_tier tier_of(const struct nilai_model *model, enum nilai_tier own, double clv)
{
    const double cuts[NILAI_TIER_D] = {[NILAI_TIER_A] = model->cut_a,
                                       [NILAI_TIER_B] = model->cut_b,
                                       [NILAI_TIER_C] = model->cut_c};
    for (enum nilai_tier tier = NILAI_TIER_A; tier < NILAI_TIER_D; tier++)
        if (clv >= (tier == own ? keep : 1) * cuts[tier])
            return tier;
    return NILAI_TIER_D;
}

static double vip_cut(const struct nilai_model *model, const struct nilai_customer *customer)
{
    bool is_vip = customer->standing.segment == NILAI_SEGMENT_VIP;
    return (is_vip ? keep : 1) * model->cut_a;
}

/* `rich`: clv_365 reaches the cut of a vip. */
static enum nilai_segment segment_of(const struct nilai_customer *customer, bool rich,
                                     uint32_t days_year, int32_t age_days)
{
    if (days_year == 0)
        return NILAI_SEGMENT_LAPSED;
    if (rich && days_year >= VIP_DAYS)
        return NILAI_SEGMENT_VIP;
    if (days_year >= LOYAL_DAYS && age_days >= LOYAL_AGE_DAYS)
        return NILAI_SEGMENT_LOYAL;
    if (days_year >= REGULAR_DAYS)
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
    bool rich = worth->clv_365 >= vip_cut(model, customer);
    int32_t age_days = nilai_model_day(model, ms) - customer->rhythm.first_day;
    standing.segment = (uint8_t)segment_of(customer, rich, worth->purchase_days_year, age_days);
    standing.tier =
        (uint8_t)tier_of(model, (enum nilai_tier)customer->standing.tier, worth->clv_365);
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

static int64_t period_start_s(const struct nilai_model *model,
                              const struct nilai_customer *customer, int32_t period)
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
    return nilai_ring_first_day(&customer->ring, nilai_ring_period(&customer->ring, day)) == day
           || is_age(day - first_day);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/*
 * Looking ahead. Without an event clv_365 only falls, so it matters in one way: when it falls
 * below what the own tier, or being vip, needs. All else that is published follows from the
 * ring and the calendar: periods slide out one by one, and two days of the calendar come.
 */

/* Whether the segment or the flag differs when the ring holds `sums`, as far as clv_365 has no
 * part in it. */
static bool rest_differs(const struct nilai_customer *customer, const struct nilai_ring_sums *sums,
                         int32_t age_days)
{
    bool is_vip = customer->standing.segment == NILAI_SEGMENT_VIP;
    return segment_of(customer, is_vip, sums->purchase_days, age_days) != customer->standing.segment
           || (sums->net < 0) != customer->standing.unprofitable;
}

/* What keeps a segment when only purchase days leave the ring and no day of age comes. */
static uint32_t least_days(enum nilai_segment segment)
{
    static const uint8_t least[NILAI_SEGMENTS] = {
        [NILAI_SEGMENT_VIP] = VIP_DAYS,         [NILAI_SEGMENT_LOYAL] = LOYAL_DAYS,
        [NILAI_SEGMENT_REGULAR] = REGULAR_DAYS, [NILAI_SEGMENT_NEW] = 1,
        [NILAI_SEGMENT_OCCASIONAL] = 1,
    };
    return least[segment];
}

/* The first day after `after` and before `before` on which the age alone makes a difference;
 * `before` if there is none. */
static int32_t first_day_of_age(const struct nilai_customer *customer,
                                const struct nilai_ring_sums *sums, int32_t after, int32_t before)
{
    for (size_t i = 0; i < NILAI_ARRAY_LEN(ages); i++) {
        int32_t day = customer->rhythm.first_day + ages[i];
        if (day > after && day < before && rest_differs(customer, sums, ages[i]))
            return day;
    }
    return before;
}

int64_t nilai_value_next_rest_change(const struct nilai_model *model,
                                     const struct nilai_customer *customer,
                                     const struct nilai_ring_sums *year, int64_t after_s,
                                     int64_t limit_s)
{
    const struct nilai_ring *ring = &customer->ring;
    int32_t after_day = nilai_model_day(model, after_s * 1000);
    int32_t limit_day = nilai_model_day(model, limit_s * 1000);
    int32_t period = nilai_ring_period(ring, after_day), empty = nilai_ring_empty_from(ring);
    uint32_t least = least_days((enum nilai_segment)customer->standing.segment);
    struct nilai_ring_sums sums = *year;
    bool agrees =
        false; /* the standing with the ring, so that only what leaves makes a difference */
    while (period < empty && after_day < limit_day) {
        int32_t next_day = nilai_ring_first_day(ring, ++period);
        int32_t before = next_day <= limit_day ? next_day : limit_day + 1;
        int32_t age_days = after_day - customer->rhythm.first_day;
        int32_t day = age_days < LOYAL_AGE_DAYS
                          ? first_day_of_age(customer, &sums, after_day, before)
                          : before;
        if (day < before)
            return day_start_s(model, day);
        if (before < next_day)
            break;
        struct nilai_ring_sums leaving = nilai_ring_of_period(ring, period - NILAI_PERIODS);
        sums.net -= leaving.net;
        sums.purchase_days -= leaving.purchase_days;
        age_days = next_day - customer->rhythm.first_day;
        if (agrees && !is_age(age_days)
                ? sums.purchase_days < least || (sums.net < 0) != customer->standing.unprofitable
                : rest_differs(customer, &sums, age_days))
            return day_start_s(model, next_day);
        agrees = true;
        after_day = next_day;
    }
    return NILAI_NEVER_S; /* an empty ring: lapsed, at whatever age */
}

/* What clv_365 must not fall below; 0: it does not matter. */
static double least_clv(const struct nilai_model *model, const struct nilai_customer *customer)
{
    const double cuts[NILAI_TIERS] = {[NILAI_TIER_A] = model->cut_a,
                                      [NILAI_TIER_B] = model->cut_b,
                                      [NILAI_TIER_C] = model->cut_c};
    double least = keep * cuts[customer->standing.tier];
    if (customer->standing.segment == NILAI_SEGMENT_VIP && vip_cut(model, customer) > least)
        least = vip_cut(model, customer);
    return least;
}

/* The first check time after a second. */
static int64_t next_check_time(const struct nilai_model *model,
                               const struct nilai_customer *customer, int64_t after_s)
{
    int32_t period = period_at(model, customer, after_s * 1000);
    int64_t next = period_start_s(model, customer, period + 1);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(ages); i++) {
        int64_t age_s = day_start_s(model, customer->rhythm.first_day + ages[i]);
        if (age_s > after_s)
            next = earlier(next, age_s);
    }
    return next;
}

/* clv_365 at later instants, if no event comes, against what it must not fall below. */
struct decline {
    const struct nilai_model *model;
    const struct nilai_customer *customer;
    const struct nilai_posterior *posterior;
    double spend, least;
};

static bool has_fallen(const struct decline *decline, int64_t second)
{
    struct nilai_silence silence = nilai_rhythm_silence_at(decline->posterior, second * 1000);
    return clv_of(decline->model, decline->customer, decline->spend, &silence) < decline->least;
}

static bool has_fallen_by(const struct decline *decline, int32_t period)
{
    return has_fallen(decline, period_start_s(decline->model, decline->customer, period));
}

/* The first period in (above, below] at whose start it has fallen; below + 1 if there is none. A
 * fall that comes is mostly near, even where `below` is thousands of years away. */
static int32_t first_fallen_period(const struct decline *decline, int32_t above, int32_t below)
{
    if (above >= below || !has_fallen_by(decline, below))
        return below + 1;
    for (int32_t step = 1; step < below - above; step *= 2) {
        if (has_fallen_by(decline, above + step)) {
            below = above + step;
            break;
        }
        above += step;
    }
    while (below - above > 1) {
        int32_t middle = above + (below - above) / 2;
        if (has_fallen_by(decline, middle))
            below = middle;
        else
            above = middle;
    }
    return below;
}

int64_t nilai_value_next_fall(const struct nilai_model *model,
                              const struct nilai_customer *customer,
                              const struct nilai_posterior *posterior, int64_t after_s,
                              int64_t limit_s)
{
    struct decline decline = {model, customer, posterior, 0, least_clv(model, customer)};
    if (decline.least <= 0 || after_s >= limit_s)
        return NILAI_NEVER_S;
    decline.spend = net_spend_of(model, customer);

    int32_t last = period_at(model, customer, limit_s * 1000);
    int32_t period =
        first_fallen_period(&decline, period_at(model, customer, after_s * 1000), last);
    int64_t before_s = period_start_s(model, customer, period - 1);
    int64_t fall_s = period <= last ? period_start_s(model, customer, period) : NILAI_NEVER_S;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(ages); i++) {
        int64_t age_s = day_start_s(model, customer->rhythm.first_day + ages[i]);
        if (age_s > after_s && age_s > before_s && age_s < fall_s && age_s <= limit_s
            && has_fallen(&decline, age_s))
            fall_s = age_s;
    }
    return fall_s;
}

/*
 * How long clv_365 surely stays above. With l = ln(R + D), the expectation of who is alive falls
 * by no more than l rises, for it is concave in T / (R + D). P(alive) = 1 / (1 + odds), with odds
 * ~ e^(s l), and so ln P(alive) falls by s * odds / (1 + odds) times that, which is most at the
 * end: s for ever, less before a limit that is near. What l rises by until then, and what odds
 * grow by, is taken from
 *
 *     ln(1 + y) <= y (6 + y) / (6 + 4 y)     the slopes differ by 4 y^3 / ((6 + 4 y)^2 (1 + y))
 *     e^t <= (2 + t) / (2 - t), 0 <= t < 2   its logarithm is 2 artanh(t / 2)
 */
static double most_growth(double share)
{
    return share * (6 + share) / (6 + 4 * share);
}

static double fall_power(double odds, double s, double growth)
{
    double t = s * growth;
    if (!(t < 2))
        return s + 1;
    odds *= (2 + t) / (2 - t);
    return odds < 1e300 ? s * odds / (1 + odds) + 1 : s + 1;
}

static int64_t earliest_fall_s(const struct nilai_silence *silence, double power, double ln_ratio,
                               int64_t now_ms)
{
    double days = silence->past_days * nilai_exp_least(ln_ratio / power);
    if (!(days * NILAI_DAY_MS < (double)(NILAI_TIME_MAX_MS - now_ms)))
        return NILAI_NEVER_S;
    return days > 0 ? (now_ms + (int64_t)(days * NILAI_DAY_MS)) / 1000 : now_ms / 1000;
}

int64_t nilai_value_fall_bound(const struct nilai_model *model,
                               const struct nilai_customer *customer,
                               const struct nilai_posterior *posterior,
                               const struct nilai_silence *silence, double clv, int64_t now_ms,
                               int64_t limit_s)
{
    double least = least_clv(model, customer);
    if (least <= 0)
        return NILAI_NEVER_S;
    double ln_ratio = clv > least ? nilai_ln_least(clv / least) : 0;
    double growth =
        most_growth((double)(limit_s * 1000 - now_ms) / NILAI_DAY_MS / silence->past_days);
    double power = fall_power(silence->left, posterior->s, growth);
    if (power * growth <= ln_ratio)
        return NILAI_NEVER_S;
    int64_t now_s = now_ms / 1000, fall_s = earliest_fall_s(silence, power, ln_ratio, now_ms);
    if (fall_s > limit_s)
        return NILAI_NEVER_S;
    return next_check_time(model, customer, fall_s - 1 > now_s ? fall_s - 1 : now_s);
}
