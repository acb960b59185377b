#include "nilai/customer/rhythm.h"

#include <math.h>

enum { BITMAP_DAYS = 64, SERIES_MAX = 2000000 };

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

struct nilai_posterior nilai_rhythm_posterior(const struct nilai_model *model, uint32_t repeat_days,
                                              double span_days)
{
    return (struct nilai_posterior){
        .s = model->r + repeat_days,
        .span = model->alpha + span_days,
        .ln_odds_now = model->ln_a - log(model->b + repeat_days),
    };
}

struct nilai_posterior nilai_rhythm_of(const struct nilai_model *model,
                                       const struct nilai_rhythm *rhythm)
{
    NILAI_ASSERT(rhythm->bought && rhythm->first_day <= rhythm->last_day);
    return nilai_rhythm_posterior(model, rhythm->repeat_days, rhythm->last_day - rhythm->first_day);
}

double nilai_rhythm_silence_days(const struct nilai_model *model, const struct nilai_rhythm *rhythm,
                                 int64_t ms)
{
    int64_t silence_ms = ms - nilai_model_day_start_ms(model, rhythm->last_day);
    return silence_ms > 0 ? (double)silence_ms / NILAI_DAY_MS : 0;
}

double nilai_rhythm_gap_days(const struct nilai_posterior *posterior)
{
    return posterior->span * expm1(M_LN2 / posterior->s);
}

double nilai_rhythm_log_odds_left(const struct nilai_posterior *posterior, double silence_days)
{
    return posterior->ln_odds_now + posterior->s * log1p(silence_days / posterior->span);
}

static double log_add_exp(double a, double b)
{
    return (a > b ? a : b) + log1p(exp(-fabs(a - b)));
}

double nilai_rhythm_z(const struct nilai_posterior *posterior, double horizon_days,
                      double silence_days)
{
    double ln_left = nilai_rhythm_log_odds_left(posterior, silence_days);
    double ln_silent = -posterior->s * log1p(horizon_days / (posterior->span + silence_days));
    return log_add_exp(ln_left, ln_silent) - log(-expm1(ln_silent));
}

double nilai_rhythm_p_alive(const struct nilai_posterior *posterior, double silence_days)
{
    return 1 / (1 + exp(nilai_rhythm_log_odds_left(posterior, silence_days)));
}

/*
 * G = sum over n >= 1 of (c - s)_n (a)_(n-1) / ((c)_n n!) * z^n, so that
 * 2F1(c - s, a - 1; c; z) = 1 + (a - 1) G. All terms beyond the first few have one sign and
 * their ratio tends to z < 1.
 */
static double series(double c_minus_s, double a, double c, double z)
{
    double term = c_minus_s / c * z, sum = term;
    for (int n = 1; n < SERIES_MAX; n++) {
        double ratio = (c_minus_s + n) * (a - 1 + n) / ((c + n) * (n + 1)) * z;
        term *= ratio;
        sum += term;
        double bound = fabs(ratio) > z ? fabs(ratio) : z;
        if (bound < 1 && fabs(term) * bound <= 1e-15 * (1 - bound) * fabs(sum))
            break;
    }
    return sum;
}

/*
 * The published form is
 *     (a+b+x)/(a-1) * [1 - ((R+D)/(R+D+T))^s * 2F1(s, b+x+1; a+b+x; z)] / (1 + e^ld)
 * with z = T/(R+D+T). Euler's transformation turns the bracket into
 *     1 - (1-z)^(a-1) * 2F1(c-s, a-1; c; z),   c = a+b+x,
 * whose series has small terms of one sign; dividing by a - 1 before subtracting keeps the
 * digits that a near 1 would lose.
 */
double nilai_rhythm_expected_days(const struct nilai_model *model,
                                  const struct nilai_posterior *posterior, uint32_t repeat_days,
                                  double silence_days, double days)
{
    double a = fabs(model->a - 1) < 1e-6 ? 1 + 1e-6 : model->a;
    double c = a + model->b + repeat_days;
    double past = posterior->span + silence_days;
    double z = days / (past + days);
    double u = (a - 1) * log(past / (past + days));
    double present = -expm1(u) / (a - 1) - exp(u) * series(c - posterior->s, a, c, z);
    double expected = c * present * nilai_rhythm_p_alive(posterior, silence_days);
    return expected > 0 ? expected : 0;
}
