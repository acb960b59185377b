#include "nilai/customer/rhythm.h"

#include <math.h>

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

struct nilai_posterior nilai_rhythm_posterior(const struct nilai_model *model, uint32_t repeat_days,
                                              double span_days)
{
    return (struct nilai_posterior){
        .s = model->rhythm.r + repeat_days,
        .span = model->rhythm.alpha + span_days,
        .ln_odds_now = model->ln_a - log(model->rhythm.b + repeat_days),
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

double nilai_rhythm_expected_days(const struct nilai_model *model,
                                  const struct nilai_posterior *posterior, uint32_t repeat_days,
                                  double silence_days, double days)
{
    return nilai_rhythm_p_alive(posterior, silence_days) *
           nilai_outlook_days(&model->rhythm, repeat_days, posterior->span + silence_days, days);
}

double nilai_rhythm_expected_year(const struct nilai_model *model,
                                  const struct nilai_posterior *posterior, uint32_t repeat_days,
                                  double silence_days)
{
    return nilai_rhythm_p_alive(posterior, silence_days) *
           nilai_outlook_year(&model->outlook, &model->rhythm, repeat_days,
                              posterior->span + silence_days);
}
