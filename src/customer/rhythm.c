#include "nilai/customer/rhythm.h"

#include <math.h>

#include "nilai/customer/logarithm.h"

enum { BITMAP_DAYS = 64 };

static bool bitmap_holds(const struct nilai_rhythm *rhythm, int32_t day)
{
    return day <= rhythm->last_day && rhythm->last_day - day < BITMAP_DAYS;
}

static void move_last_to(struct nilai_rhythm *rhythm, int32_t day)
{
    int32_t step = day - rhythm->last_day;
    rhythm->seen_days = step < BITMAP_DAYS ? rhythm->seen_days << step : 0;
    rhythm->seen_days |= 1;
    rhythm->last_day = day;
}

static void count_day(struct nilai_rhythm *rhythm, int32_t day)
{
    if (rhythm->repeat_days < UINT32_MAX)
        rhythm->repeat_days++;
    if (day < rhythm->first_day)
        rhythm->first_day = day;
}

enum nilai_day_seen nilai_rhythm_add(struct nilai_rhythm *rhythm, int32_t day)
{
    if (!rhythm->bought) {
        *rhythm = (struct nilai_rhythm){
            .seen_days = 1, .first_day = day, .last_day = day, .bought = true};
        return NILAI_DAY_NEW;
    }
    if (day > rhythm->last_day) {
        move_last_to(rhythm, day);
        count_day(rhythm, day);
        return NILAI_DAY_NEW;
    }
    if (bitmap_holds(rhythm, day)) {
        uint64_t bit = UINT64_C(1) << (rhythm->last_day - day);
        if (rhythm->seen_days & bit)
            return NILAI_DAY_SEEN;
        rhythm->seen_days |= bit;
        count_day(rhythm, day);
        return NILAI_DAY_NEW;
    }
    if (day == rhythm->first_day)
        return NILAI_DAY_SEEN;
    count_day(rhythm, day);
    return NILAI_DAY_NEW_UNSURE;
}

static struct nilai_posterior posterior_of(const struct nilai_model *model,
                                           const struct nilai_habit *habit, uint32_t repeat_days,
                                           double span_days)
{
    return (struct nilai_posterior){
        .s = model->rhythm.r + repeat_days,
        .span = model->rhythm.alpha + span_days,
        .habit = *habit,
    };
}

struct nilai_posterior nilai_rhythm_posterior(const struct nilai_model *model, uint32_t repeat_days,
                                              double span_days)
{
    struct nilai_habit habit = nilai_model_habit(model, repeat_days);
    return posterior_of(model, &habit, repeat_days, span_days);
}

struct nilai_posterior nilai_rhythm_of(const struct nilai_model *model,
                                       const struct nilai_rhythm *rhythm)
{
    NILAI_ASSERT(rhythm->bought && rhythm->first_day <= rhythm->last_day);
    uint32_t x = rhythm->repeat_days;
    int32_t span_days = rhythm->last_day - rhythm->first_day;
    struct nilai_posterior posterior = x < NILAI_HABITS
                                           ? posterior_of(model, &model->habits[x], x, span_days)
                                           : nilai_rhythm_posterior(model, x, span_days);
    posterior.since_ms = nilai_model_day_start_ms(model, rhythm->last_day);
    return posterior;
}

double nilai_rhythm_gap_days(const struct nilai_posterior *posterior)
{
    return posterior->span * posterior->habit.gap;
}

/* The logarithm of a ratio near 1 has lost digits, but none that are left when it is added to the
 * log odds; log1p would cost half as much again. */
struct nilai_silence nilai_rhythm_silence(const struct nilai_posterior *posterior,
                                          double silence_days)
{
    double past_days = posterior->span + silence_days;
    double ln_left = posterior->habit.ln_odds_now + posterior->s * log(past_days / posterior->span);
    return (struct nilai_silence){silence_days, past_days, ln_left, exp(ln_left)};
}

struct nilai_silence nilai_rhythm_silence_at(const struct nilai_posterior *posterior, int64_t ms)
{
    int64_t silence_ms = ms - posterior->since_ms;
    return nilai_rhythm_silence(posterior, silence_ms > 0 ? (double)silence_ms / NILAI_DAY_MS : 0);
}

static double log_add_exp(double a, double b)
{
    return (a > b ? a : b) + log1p(exp(-fabs(a - b)));
}

/* One exponential gives both e^lS and 1 - e^lS: where the one of them is above a half it is taken
 * from the other without a loss. The odds themselves are at hand, so that z is their logarithm, as
 * long as they are neither beyond what a double holds nor so large that the silent do not count. */
struct nilai_quiet nilai_rhythm_quiet(const struct nilai_posterior *posterior, double horizon_days,
                                      const struct nilai_silence *silence)
{
    double ln_silent = -posterior->s * nilai_ln_1_plus(horizon_days / silence->past_days);
    bool rarely = ln_silent < -M_LN2;
    double part = rarely ? exp(ln_silent) : -expm1(ln_silent);
    double silent = rarely ? part : 1 - part, buys = rarely ? 1 - part : part;
    if (silence->ln_left < 40 && (silence->ln_left > -690 || ln_silent > -690))
        return (struct nilai_quiet){silent, buys, log((silence->left + silent) / buys)};
    return (struct nilai_quiet){silent, buys, log_add_exp(silence->ln_left, ln_silent) - log(buys)};
}

double nilai_rhythm_z(const struct nilai_posterior *posterior, double horizon_days,
                      double silence_days)
{
    struct nilai_silence silence = nilai_rhythm_silence(posterior, silence_days);
    return nilai_rhythm_quiet(posterior, horizon_days, &silence).z;
}

/*
 * With w = R + D, l = ln w, z is ln(e^ld + e^lS) - ln(1 - e^lS), and
 *
 *     dz/dl = s * (1 - m * w / (w + H)) + g,
 *     m = e^lS / (e^ld + e^lS),  g = e^lS / (1 - e^lS) * s * H / (w + H).
 *
 * As w grows, m falls, for e^lS / e^ld is a multiple of (w + H)^-s; w / (w + H) grows; and g grows,
 * from 0 to 1: with y = -lS it is s * (1 - e^(-y/s)) / (e^y - 1), which falls in y by Bernoulli's
 * inequality. So each part is limited by its values at the ends.
 */
struct nilai_range nilai_rhythm_slope(const struct nilai_posterior *posterior, double horizon_days,
                                      const struct nilai_silence *from,
                                      const struct nilai_quiet *from_quiet,
                                      const struct nilai_silence *to,
                                      const struct nilai_quiet *to_quiet)
{
    double s = posterior->s, h = horizon_days;
    double m_from = from_quiet->silent / (from->left + from_quiet->silent);
    double m_to = to_quiet->silent / (to->left + to_quiet->silent);
    double w_from = from->past_days, w_to = to->past_days;
    double g_from = from_quiet->silent / from_quiet->buys * s * h / (w_from + h);
    double g_to = to_quiet->silent / to_quiet->buys * s * h / (w_to + h);
    return (struct nilai_range){
        (s * (1 - m_from * (w_to / (w_to + h))) + g_from) / w_to,
        (s * (1 - m_to * (w_from / (w_from + h))) + g_to) / w_from,
    };
}

double nilai_rhythm_p_alive(const struct nilai_silence *silence)
{
    return 1 / (1 + silence->left);
}

double nilai_rhythm_expected_days(const struct nilai_model *model, uint32_t repeat_days,
                                  const struct nilai_silence *silence, double days)
{
    return nilai_rhythm_p_alive(silence)
           * nilai_outlook_days(&model->rhythm, repeat_days, silence->past_days, days);
}

double nilai_rhythm_expected_year(const struct nilai_model *model, uint32_t repeat_days,
                                  const struct nilai_silence *silence)
{
    return nilai_rhythm_p_alive(silence)
           * nilai_outlook_year(&model->outlook, &model->rhythm, repeat_days, silence->past_days);
}
