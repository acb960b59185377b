#include "nilai/customer/model.h"

#include <math.h>
#include <stdlib.h>

void nilai_model_defaults(struct nilai_model *model)
{
    *model = (struct nilai_model){
        .name = "default",
        .currency = "USD",
        .rhythm = {.r = 0.6371, .alpha = 51.17, .a = 0.8075, .b = 1.2284},
        .horizon_days = 90,
        .spend_p = 6.2754,
        .spend_q = 3.6245,
        .spend_gamma = NAN,
        .risk_b0 = 0,
        .risk_bz = 1,
        .risk_bx = 0,
        .half_life_days = 90,
        .weights =
            {
                [NILAI_SIGNAL_COMPLAINT] = 0.60,
                [NILAI_SIGNAL_TICKET] = 0.15,
                [NILAI_SIGNAL_RESOLVED_LATE] = 0.50,
                [NILAI_SIGNAL_REOPENED] = 0.50,
                [NILAI_SIGNAL_REFUND] = 0.25,
                [NILAI_SIGNAL_NPS_DETRACTOR] = 0.50,
                [NILAI_SIGNAL_NPS_PROMOTER] = -0.30,
                [NILAI_SIGNAL_CSAT_LOW] = 0.50,
                [NILAI_SIGNAL_CSAT_HIGH] = -0.20,
                [NILAI_SIGNAL_CES_HARD] = 0.35,
                [NILAI_SIGNAL_RATING_LOW] = 0.30,
                [NILAI_SIGNAL_RATING_HIGH] = -0.10,
                [NILAI_SIGNAL_PERCEPTION_DRIFT] = 0.30,
                [NILAI_SIGNAL_TICKET_OVERDUE] = 0.60,
            },
        .recovery = 0.5,
        .forgive = 0.3,
        .sla_ms = 72 * INT64_C(3600000),
        .overdue_max_ms = 30 * (int64_t)NILAI_DAY_MS,
        .cap_support = 2.5,
        .cap_survey = 1.5,
        .medium_up = 0.40,
        .medium_down = 0.33,
        .high_up = 0.70,
        .high_down = 0.63,
        .cause_min = 0.1,
        .margin = 0.30,
        .value_scale = 1,
        .cost_per_hour = 20,
        .cut_a = 100,
        .cut_b = 40,
        .cut_c = 20,
    };
}

/* What must hold between parameters; `holds` is filled by prepare. */
struct relation {
    bool holds;
    const char *claim;
};

static double logit(double risk)
{
    return log(risk) - log1p(-risk);
}

struct nilai_habit nilai_model_habit(const struct nilai_model *model, uint32_t repeat_days)
{
    return (struct nilai_habit){
        .ln_odds_now = model->ln_a - log(model->rhythm.b + repeat_days),
        .gap = expm1(M_LN2 / (model->rhythm.r + repeat_days)),
        .ln_days = log1p(repeat_days),
    };
}

enum nilai_status nilai_model_prepare(struct nilai_model *model, struct nilai_error *error)
{
    if (isnan(model->spend_gamma))
        model->spend_gamma = 14.9837 * model->value_scale;

    const struct nilai_population_fit *fit = &model->rhythm;
    const struct relation relations[] = {
        /* Far below what any data says, and where median gaps and odds are still finite. */
        {fit->r >= 0.01 && fit->alpha >= 0.01 && fit->a > 0 && fit->b > 0,
         "model.rhythm.r must be at least 0.01, alpha 0.01 days, and a and b above 0"},
        {model->horizon_days >= 0.01, "model.horizon_days must be at least 0.01"},
        {model->half_life_days > 0, "model.signals.half_life_days must be above 0"},
        {model->risk_bz >= 0, "model.risk.bz must not be negative: risk may not fall with silence"},
        {model->spend_p > 0 && model->spend_gamma > 0 && model->spend_p + model->spend_q > 1,
         "model.spend.p and gamma must be above 0, and p + q above 1"},
        {model->medium_up > 0 && model->high_up < 1 && model->medium_down > 0
             && model->high_down < 1,
         "alerts.medium.* and alerts.high.* must lie between 0 and 1"},
        {model->medium_down <= model->medium_up && model->high_down <= model->high_up,
         "alerts.medium.down must not be above medium.up, nor alerts.high.down above high.up"},
        {model->medium_up <= model->high_up && model->medium_down <= model->high_down,
         "alerts.medium.up must not be above alerts.high.up, nor medium.down above high.down"},
        {model->cut_a >= model->cut_b && model->cut_b >= model->cut_c && model->cut_c >= 0,
         "value.cuts must not rise from a to c, nor be negative"},
        {model->margin >= 0 && model->margin <= 1, "value.margin must lie between 0 and 1"},
        {model->cost_per_hour >= 0 && model->cost_per_hour <= 1e9,
         "value.cost_per_hour must lie between 0 and 1e9"},
        {model->sla_ms >= 0 && model->overdue_max_ms >= 0,
         "model.signals.sla and overdue_max must not be negative"},
        {llabs(model->day_offset_s) <= NILAI_DAY_S,
         "time.day_offset must lie within a day, -86400 to 86400 seconds"},
        {model->cap_support >= 0 && model->cap_survey >= 0,
         "model.signals.cap_support and cap_survey must not be negative"},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(relations); i++)
        if (!relations[i].holds)
            return nilai_error_set(error, NILAI_CONFIG, "%s", relations[i].claim);

    model->ln_a = log(fit->a);
    for (uint32_t x = 0; x < NILAI_HABITS; x++)
        model->habits[x] = nilai_model_habit(model, x);
    model->eta_medium_up = logit(model->medium_up);
    model->eta_medium_down = logit(model->medium_down);
    model->eta_high_up = logit(model->high_up);
    model->eta_high_down = logit(model->high_down);
    nilai_outlook_fill(&model->outlook, fit);
    return NILAI_OK;
}

int32_t nilai_model_day(const struct nilai_model *model, int64_t ms)
{
    int64_t shifted = ms + model->day_offset_s * 1000;
    int64_t day = shifted / NILAI_DAY_MS;
    return (int32_t)(shifted % NILAI_DAY_MS < 0 ? day - 1 : day);
}

int64_t nilai_model_day_start_ms(const struct nilai_model *model, int32_t day)
{
    return day * (int64_t)NILAI_DAY_MS - model->day_offset_s * 1000;
}
