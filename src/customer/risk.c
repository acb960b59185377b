#include "nilai/customer/risk.h"

#include <math.h>
#include <string.h>

#include "nilai/customer/explain.h"
#include "nilai/customer/signals.h"
#include "nilai/customer/tickets.h"

#define CAUSE_SLACK  1e-9
#define LEAST_POINTS 0.0005

struct nilai_curve nilai_risk_curve(const struct nilai_model *model,
                                    const struct nilai_customer *customer,
                                    const struct nilai_service *service)
{
    const struct nilai_rhythm *rhythm = &customer->rhythm;
    struct nilai_curve curve = {
        .model = model,
        .service = service,
        .posterior = nilai_rhythm_of(model, rhythm),
        .high_allowed = rhythm->repeat_days > 0 || model->one_time_high,
    };
    curve.base = model->risk_b0 + model->risk_bx * curve.posterior.habit.ln_days;
    curve.gap_days = nilai_rhythm_gap_days(&curve.posterior);
    if (service != NULL) {
        curve.support = nilai_signals_support(service);
        curve.survey = nilai_signals_survey(service);
    }
    return curve;
}

static double clamp(double value, double limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

struct nilai_terms nilai_risk_terms(const struct nilai_curve *curve, int64_t ms)
{
    const struct nilai_model *model = curve->model;
    struct nilai_terms terms = {.silence = nilai_rhythm_silence_at(&curve->posterior, ms)};
    terms.quiet = nilai_rhythm_quiet(&curve->posterior, model->horizon_days, &terms.silence);
    if (curve->service != NULL) {
        terms.fade = nilai_signals_fade(model, ms - curve->service->signals_ms);
        terms.support = clamp(curve->support * terms.fade, model->cap_support);
        terms.survey = clamp(curve->survey * terms.fade, model->cap_survey);
        terms.overdue = nilai_tickets_overdue(model, curve->service, ms);
    }
    terms.eta = curve->base + model->risk_bz * terms.quiet.z + nilai_risk_service(&terms);
    return terms;
}

double nilai_risk_service(const struct nilai_terms *terms)
{
    return terms->support + terms->survey + terms->overdue;
}

double nilai_risk_cause_min(const struct nilai_model *model)
{
    return model->cause_min - CAUSE_SLACK;
}

bool nilai_risk_has_cause(const struct nilai_curve *curve, const struct nilai_terms *terms)
{
    return terms->silence.days >= curve->gap_days
           || nilai_risk_service(terms) >= nilai_risk_cause_min(curve->model);
}

static enum nilai_band band_of_eta(const struct nilai_model *model, enum nilai_band band,
                                   double eta)
{
    double to_high = band == NILAI_BAND_HIGH ? model->eta_high_down : model->eta_high_up;
    double to_medium = band == NILAI_BAND_LOW ? model->eta_medium_up : model->eta_medium_down;
    if (eta >= to_high)
        return NILAI_BAND_HIGH;
    return eta >= to_medium ? NILAI_BAND_MEDIUM : NILAI_BAND_LOW;
}

enum nilai_band nilai_risk_band(const struct nilai_curve *curve, enum nilai_band band,
                                const struct nilai_terms *terms)
{
    NILAI_ASSERT(band != NILAI_BAND_NONE);
    enum nilai_band next = band_of_eta(curve->model, band, terms->eta);
    if (next == NILAI_BAND_HIGH && !(curve->high_allowed && nilai_risk_has_cause(curve, terms)))
        return NILAI_BAND_MEDIUM;
    return next;
}

double nilai_risk_of_eta(double eta)
{
    return 1 / (1 + exp(-eta));
}

static bool comes_before(const struct nilai_reason *a, const struct nilai_reason *b)
{
    if (a->points != b->points)
        return a->points > b->points;
    return strcmp(nilai_reason_name(a->code), nilai_reason_name(b->code)) < 0;
}

/* Keeps the list in order; terms too small to matter are left out. */
static void insert(struct nilai_reason *reasons, uint32_t *count, uint8_t code, double points)
{
    if (fabs(points) < LEAST_POINTS)
        return;
    struct nilai_reason reason = {.code = code, .points = points};
    uint32_t at = (*count)++;
    for (; at > 0 && comes_before(&reason, &reasons[at - 1]); at--)
        reasons[at] = reasons[at - 1];
    reasons[at] = reason;
}

/* The codes of one group, faded, and scaled down where the group is clamped: `sum` is the
 * faded sum of them all, `used` what of it counts. */
static void insert_group(const struct nilai_service *service, int from, int to, double fade,
                         double sum, double used, struct nilai_reason *reasons, uint32_t *count)
{
    double scale = fabs(used) < fabs(sum) ? fade * (used / sum) : fade;
    for (int code = from; code < to; code++)
        insert(reasons, count, (uint8_t)code, service->signals[code] * scale);
}

uint32_t nilai_risk_reasons(const struct nilai_curve *curve, const struct nilai_terms *terms,
                            struct nilai_reason reasons[static NILAI_REASONS_ALL])
{
    const struct nilai_model *model = curve->model;
    uint32_t count = 0;
    double z0 = nilai_rhythm_z(&curve->posterior, model->horizon_days, 0);
    double habit = model->risk_bz * z0 + curve->base - model->risk_b0;

    insert(reasons, &count, NILAI_REASON_SILENCE, model->risk_bz * (terms->quiet.z - z0));
    insert(reasons, &count, habit >= 0 ? NILAI_REASON_BUYS_RARELY : NILAI_REASON_BUYS_OFTEN, habit);
    if (curve->service == NULL)
        return count;
    insert_group(curve->service, 0, NILAI_SIGNAL_SUPPORT_END, terms->fade,
                 curve->support * terms->fade, terms->support, reasons, &count);
    insert_group(curve->service, NILAI_SIGNAL_SUPPORT_END, NILAI_SIGNALS_STORED, terms->fade,
                 curve->survey * terms->fade, terms->survey, reasons, &count);
    insert(reasons, &count, NILAI_SIGNAL_TICKET_OVERDUE, terms->overdue);
    return count;
}

uint32_t nilai_risk_main_reasons(const struct nilai_reason *all, uint32_t count,
                                 struct nilai_reason reasons[static NILAI_REASONS_MAX])
{
    uint32_t kept = 0;
    while (kept < count && kept < NILAI_REASONS_MAX - 1 && all[kept].points > 0) {
        reasons[kept] = all[kept];
        kept++;
    }
    if (count == 0 || all[count - 1].points >= 0)
        return kept;
    /* Of several equally negative ones the first code; the list has ties in that order. */
    uint32_t last = count - 1;
    while (last > 0 && all[last - 1].points == all[count - 1].points)
        last--;
    reasons[kept++] = all[last];
    return kept;
}
