#include "nilai/customer/signals.h"

#include <math.h>

#define SLACK 1e-9

enum { DRIFT_STEP_MAX = 2 };
static const double drift_deviation = 0.25, drift_allowance = 0.5, drift_threshold = 2.5;

const char *const nilai_signal_codes[NILAI_SIGNALS] = {
    [NILAI_SIGNAL_COMPLAINT] = "complaint",
    [NILAI_SIGNAL_TICKET] = "ticket",
    [NILAI_SIGNAL_RESOLVED_IN_TIME] = "resolved-in-time",
    [NILAI_SIGNAL_RESOLVED_LATE] = "resolved-late",
    [NILAI_SIGNAL_REOPENED] = "reopened",
    [NILAI_SIGNAL_REFUND] = "refund",
    [NILAI_SIGNAL_NPS_DETRACTOR] = "nps-detractor",
    [NILAI_SIGNAL_NPS_PROMOTER] = "nps-promoter",
    [NILAI_SIGNAL_CSAT_LOW] = "csat-low",
    [NILAI_SIGNAL_CSAT_HIGH] = "csat-high",
    [NILAI_SIGNAL_CES_HARD] = "ces-hard",
    [NILAI_SIGNAL_RATING_LOW] = "rating-low",
    [NILAI_SIGNAL_RATING_HIGH] = "rating-high",
    [NILAI_SIGNAL_PERCEPTION_DRIFT] = "perception-drift",
    [NILAI_SIGNAL_TICKET_OVERDUE] = "ticket-overdue",
};

/* Which answers give a signal: at or below `low`, at or above `high`, on a scale of 0 .. 1. */
static const struct {
    double low, high;
    enum nilai_signal low_code, high_code;
} answer_rules[NILAI_METRICS] = {
    [NILAI_METRIC_NPS] = {0.6, 0.9, NILAI_SIGNAL_NPS_DETRACTOR, NILAI_SIGNAL_NPS_PROMOTER},
    [NILAI_METRIC_CSAT] = {0.25, 1, NILAI_SIGNAL_CSAT_LOW, NILAI_SIGNAL_CSAT_HIGH},
    [NILAI_METRIC_CES] = {1.0 / 3, INFINITY, NILAI_SIGNAL_CES_HARD, NILAI_SIGNALS},
    [NILAI_METRIC_RATING] = {0.25, 1, NILAI_SIGNAL_RATING_LOW, NILAI_SIGNAL_RATING_HIGH},
};

double nilai_signals_fade(const struct nilai_model *model, int64_t ms)
{
    NILAI_ASSERT(ms >= 0);
    return exp2(-(double)ms / (model->half_life_days * NILAI_DAY_MS));
}

static void fade_all_to(const struct nilai_model *model, struct nilai_service *service, int64_t ms)
{
    double fade = nilai_signals_fade(model, ms - service->signals_ms);
    for (int code = 0; code < NILAI_SIGNALS_STORED; code++)
        service->signals[code] *= fade;
    service->signals_ms = ms;
}

void nilai_signals_add(const struct nilai_model *model, struct nilai_service *service,
                       enum nilai_signal code, double weight, int64_t ts_ms)
{
    NILAI_ASSERT(code < NILAI_SIGNALS_STORED);
    if (ts_ms > service->signals_ms)
        fade_all_to(model, service, ts_ms);
    service->signals[code] += weight * nilai_signals_fade(model, service->signals_ms - ts_ms);
}

void nilai_signals_forgive(const struct nilai_model *model, struct nilai_service *service)
{
    for (int code = 0; code < NILAI_SIGNAL_SUPPORT_END; code++)
        service->signals[code] *= model->forgive;
}

/* One-sided CUSUM over all answers in order of arrival; true: satisfaction drifted down. */
static bool drifts(struct nilai_service *service, double normalized)
{
    bool drifted = false;
    if (service->answers > 0) {
        double mean = service->answers_sum / service->answers;
        double step = fmin(DRIFT_STEP_MAX, (mean - normalized) / drift_deviation) - drift_allowance;
        service->drift = fmax(0, service->drift + step);
        drifted = service->drift > drift_threshold + SLACK;
        if (drifted)
            service->drift = 0;
    }
    service->answers_sum += normalized;
    service->answers++;
    return drifted;
}

static void add_weighted(const struct nilai_model *model, struct nilai_service *service,
                         enum nilai_signal code, int64_t ts_ms)
{
    nilai_signals_add(model, service, code, model->weights[code], ts_ms);
}

void nilai_signals_answer(const struct nilai_model *model, struct nilai_service *service,
                          enum nilai_metric metric, double normalized, int64_t ts_ms)
{
    if (normalized <= answer_rules[metric].low + SLACK)
        add_weighted(model, service, answer_rules[metric].low_code, ts_ms);
    if (normalized >= answer_rules[metric].high - SLACK)
        add_weighted(model, service, answer_rules[metric].high_code, ts_ms);
    if (drifts(service, normalized))
        add_weighted(model, service, NILAI_SIGNAL_PERCEPTION_DRIFT, ts_ms);
}

static double sum_codes(const struct nilai_service *service, int from, int to)
{
    double sum = 0;
    for (int code = from; code < to; code++)
        sum += service->signals[code];
    return sum;
}

double nilai_signals_support(const struct nilai_service *service)
{
    return sum_codes(service, 0, NILAI_SIGNAL_SUPPORT_END);
}

double nilai_signals_survey(const struct nilai_service *service)
{
    return sum_codes(service, NILAI_SIGNAL_SUPPORT_END, NILAI_SIGNALS_STORED);
}
