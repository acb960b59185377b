#include "nilai/customer/deadline.h"

#include <math.h>

#include "nilai/base/clock.h"
#include "nilai/customer/signals.h"
#include "nilai/customer/tickets.h"

/* Covers the rounding of sums of a few terms, and of z, far below what a second of it moves. */
#define ROUNDING 1e-11
/* That of one fading term, relative to it: a second fades it by more. */
#define NOISE 1e-13

/* ---- the bound ---- */

static double positive(double value)
{
    return value > 0 ? value : 0;
}

/* Days from now until `share` of what fades may be gone. */
static double days_until_faded(const struct nilai_model *model, double share)
{
    if (share >= 1)
        return INFINITY;
    return share > 0 ? -model->half_life_days * log2(1 - share) : 0;
}

/* Days from now until eta may reach `eta`, when the positive service terms are `lift`. */
static double days_until_up(const struct nilai_curve *curve, const struct nilai_terms *terms,
                            double lift, double eta)
{
    double bz = curve->model->risk_bz;
    double rise = eta - curve->base - lift - bz * terms->z - ROUNDING;
    if (rise <= 0)
        return 0;
    if (bz == 0)
        return INFINITY;
    double past = curve->posterior.span + terms->silence_days;
    return past * expm1(rise / bz / (curve->posterior.s + 1));
}

/* Days from now until a sum that is `slack` above its limit may fall below it. */
static double days_until_down(const struct nilai_curve *curve, double lift, double slack)
{
    return lift > 0 ? days_until_faded(curve->model, (slack - ROUNDING) / lift) : INFINITY;
}

/* Days from now until there may be a present cause. */
static double days_until_cause(const struct nilai_curve *curve, const struct nilai_terms *terms,
                               double lift)
{
    if (lift >= nilai_risk_cause_min(curve->model) || terms->silence_days >= curve->gap_days)
        return 0;
    return curve->gap_days - terms->silence_days - ROUNDING;
}

/* Days from now until the cause may be gone. */
static double days_until_no_cause(const struct nilai_curve *curve, const struct nilai_terms *terms,
                                  double lift)
{
    if (terms->silence_days >= curve->gap_days)
        return INFINITY;
    double slack = nilai_risk_service(terms) - nilai_risk_cause_min(curve->model);
    /* With a negative cause_min there can be a cause although nothing positive fades. */
    return days_until_down(curve, lift, slack);
}

static double days_unchanged(const struct nilai_curve *curve, enum nilai_band band,
                             const struct nilai_terms *terms, double lift)
{
    const struct nilai_model *model = curve->model;
    switch (band) {
    case NILAI_BAND_LOW:
        return days_until_up(curve, terms, lift, model->eta_medium_up);
    case NILAI_BAND_MEDIUM: {
        double down = days_until_down(curve, lift, terms->eta - model->eta_medium_down);
        if (!curve->high_allowed)
            return down;
        double up = fmax(days_until_up(curve, terms, lift, model->eta_high_up),
                         days_until_cause(curve, terms, lift));
        return fmin(down, up);
    }
    default:
        NILAI_ASSERT(band == NILAI_BAND_HIGH);
        return fmin(days_until_down(curve, lift, terms->eta - model->eta_high_down),
                    days_until_no_cause(curve, terms, lift));
    }
}

int64_t nilai_deadline_bound(const struct nilai_curve *curve, enum nilai_band band,
                             const struct nilai_terms *terms, int64_t now_ms)
{
    double lift = positive(terms->support) + positive(terms->survey) + positive(terms->overdue);
    double days = days_unchanged(curve, band, terms, lift);
    NILAI_ASSERT(days >= 0);

    int64_t bound_s = NILAI_NEVER_S;
    if (days * NILAI_DAY_MS < (double)(NILAI_TIME_MAX_MS - now_ms))
        bound_s = (now_ms + (int64_t)(days * NILAI_DAY_MS)) / 1000;
    if (curve->service != NULL) {
        int64_t jump_ms = nilai_tickets_next_overdue_ms(curve->model, curve->service, now_ms);
        if (jump_ms != INT64_MAX && jump_ms / 1000 < bound_s)
            bound_s = jump_ms / 1000;
    }
    int64_t next_s = now_ms / 1000 + 1;
    return bound_s > next_s ? bound_s : next_s;
}

/* ---- the search ---- */

struct search {
    const struct nilai_curve *curve;
    enum nilai_band band;
};

struct point {
    int64_t second;
    struct nilai_terms terms;
};

static struct point point_at(const struct search *search, int64_t second)
{
    return (struct point){second, nilai_risk_terms(search->curve, second * 1000)};
}

static bool changes_at(const struct search *search, const struct point *point)
{
    return nilai_risk_band(search->curve, search->band, &point->terms) != search->band;
}

/* Between two points of one piece: the service terms stay within, whatever they do. */
static double service_least(const struct nilai_terms *a, const struct nilai_terms *b)
{
    return fmin(a->support, b->support) + fmin(a->survey, b->survey) + fmin(a->overdue, b->overdue);
}

static double service_most(const struct nilai_terms *a, const struct nilai_terms *b)
{
    return fmax(a->support, b->support) + fmax(a->survey, b->survey) + fmax(a->overdue, b->overdue);
}

static double term_noise(double a, double b)
{
    return a == b ? 0 : NOISE * fmax(fabs(a), fabs(b));
}

/* How far rounding may carry the service terms out of those limits. It must be nothing where
 * they stand still: on a level that just touches a threshold, a constant allowance would send the
 * search through every second of thousands of years. */
static double service_noise(const struct nilai_terms *a, const struct nilai_terms *b)
{
    return term_noise(a->support, b->support) + term_noise(a->survey, b->survey) +
           term_noise(a->overdue, b->overdue);
}

static bool may_change(const struct search *search, const struct nilai_terms *from,
                       const struct nilai_terms *to)
{
    const struct nilai_curve *curve = search->curve;
    const struct nilai_model *model = curve->model;
    double noise = service_noise(from, to), eta_noise = model->risk_bz * ROUNDING;
    double least = service_least(from, to) - noise, most = service_most(from, to) + noise;
    double eta_least = curve->base + (model->risk_bz * from->z - eta_noise) + least;
    double eta_most = curve->base + (model->risk_bz * to->z + eta_noise) + most;
    double cause_min = nilai_risk_cause_min(model);

    switch (search->band) {
    case NILAI_BAND_LOW:
        return eta_most >= model->eta_medium_up;
    case NILAI_BAND_MEDIUM: {
        bool may_have_cause = to->silence_days >= curve->gap_days || most >= cause_min;
        return eta_least < model->eta_medium_down ||
               (curve->high_allowed && may_have_cause && eta_most >= model->eta_high_up);
    }
    default: {
        bool surely_has_cause = from->silence_days >= curve->gap_days || least >= cause_min;
        return eta_least < model->eta_high_down || !curve->high_allowed || !surely_has_cause;
    }
    }
}

/* The first change in (from, to], within one piece; halving, so it recurses 38 times at most. */
static int64_t first_between(const struct search *search, const struct point *from,
                             const struct point *to)
{
    if (from->second >= to->second || !may_change(search, &from->terms, &to->terms))
        return NILAI_NEVER_S;
    if (to->second - from->second == 1)
        return changes_at(search, to) ? to->second : NILAI_NEVER_S;

    struct point middle = point_at(search, from->second + (to->second - from->second) / 2);
    int64_t first = first_between(search, from, &middle);
    if (first != NILAI_NEVER_S)
        return first;
    return first_between(search, &middle, to);
}

/* A piece ends before the second at which a ticket has just become overdue, or just begun to
 * fade, took effect: the first second at or after those instants starts the next piece. */
static int64_t piece_end_s(const struct nilai_curve *curve, int64_t start_s, int64_t limit_s)
{
    const struct nilai_model *model = curve->model;
    int64_t end_s = limit_s;
    if (curve->service == NULL)
        return end_s;
    for (uint32_t i = 0; i < curve->service->ticket_count; i++) {
        const struct nilai_followed *ticket = &curve->service->tickets[i];
        const int64_t breaks_ms[] = {ticket->since_ms + model->sla_ms,
                                     ticket->since_ms + model->overdue_max_ms};
        for (size_t b = 0; ticket->open && b < NILAI_ARRAY_LEN(breaks_ms); b++) {
            int64_t first_after_s = (breaks_ms[b] + 999) / 1000;
            if (first_after_s > start_s && first_after_s - 1 < end_s)
                end_s = first_after_s - 1;
        }
    }
    return end_s;
}

int64_t nilai_deadline_search(const struct nilai_curve *curve, enum nilai_band band, int64_t after_s,
                              int64_t limit_s)
{
    const struct search search = {curve, band};
    NILAI_ASSERT(limit_s <= NILAI_TIME_MAX_MS / 1000);

    for (int64_t start_s = after_s + 1; start_s <= limit_s;) {
        struct point from = point_at(&search, start_s);
        if (changes_at(&search, &from))
            return start_s;
        int64_t end_s = piece_end_s(curve, start_s, limit_s);
        struct point to = point_at(&search, end_s);
        int64_t first = first_between(&search, &from, &to);
        if (first != NILAI_NEVER_S)
            return first;
        start_s = end_s + 1;
    }
    return NILAI_NEVER_S;
}
