#include "nilai/customer/deadline.h"

#include <math.h>

#include "nilai/base/clock.h"
#include "nilai/customer/logarithm.h"
#include "nilai/customer/signals.h"
#include "nilai/customer/tickets.h"

/* Covers the rounding of sums of a few terms, and of z, far below what a second of it moves. */
#define ROUNDING 1e-11
/* That of one fading term, relative to it: a second fades it by more. */
#define NOISE    1e-13

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
    return share > 0 ? model->half_life_days / M_LN2 * nilai_ln_least(1 / (1 - share)) : 0;
}

/* Days from now until eta may reach `eta`, when the positive service terms are `lift`. */
static double days_until_up(const struct nilai_curve *curve, const struct nilai_terms *terms,
                            double lift, double eta)
{
    double bz = curve->model->risk_bz;
    double rise = eta - curve->base - lift - bz * terms->quiet.z - ROUNDING;
    if (rise <= 0)
        return 0;
    if (bz == 0)
        return INFINITY;
    double past = terms->silence.past_days;
    return past * nilai_exp_least(rise / (bz * (curve->posterior.s + 1)));
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
    if (lift >= nilai_risk_cause_min(curve->model) || terms->silence.days >= curve->gap_days)
        return 0;
    return curve->gap_days - terms->silence.days - ROUNDING;
}

/* Days from now until the cause may be gone. */
static double days_until_no_cause(const struct nilai_curve *curve, const struct nilai_terms *terms,
                                  double lift)
{
    if (terms->silence.days >= curve->gap_days)
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
    case NILAI_BAND_LOW: return days_until_up(curve, terms, lift, model->eta_medium_up);
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

static enum nilai_band band_at(const struct search *search, const struct point *point)
{
    return nilai_risk_band(search->curve, search->band, &point->terms);
}

/* ---- what values may be between two points of one piece ---- */

static struct nilai_range sum(struct nilai_range a, struct nilai_range b)
{
    return (struct nilai_range){a.least + b.least, a.most + b.most};
}

static struct nilai_range ordered(double a, double b)
{
    return a < b ? (struct nilai_range){a, b} : (struct nilai_range){b, a};
}

/* What both allow. What `a` has to say may be no number: then it says nothing. */
static struct nilai_range both(struct nilai_range a, struct nilai_range b)
{
    return (struct nilai_range){a.least > b.least ? a.least : b.least,
                                a.most < b.most ? a.most : b.most};
}

/* From both ends at once, by the least and the most slope: where that has one sign the ends are the
 * limits, and else two lines of those slopes meet above and two below. */
static struct nilai_range by_slope(double from, double to, struct nilai_range slope, double days)
{
    if (slope.least >= 0 || slope.most <= 0)
        return ordered(from, to);
    double width = slope.most - slope.least;
    return (struct nilai_range){
        from + slope.least * ((from - to + slope.most * days) / width),
        from + slope.most * ((to - from - slope.least * days) / width),
    };
}

/* The slope of one fading term, which stands still while it is clamped. */
static struct nilai_range fading_slope(double from, double to, double cap, double rate)
{
    if (from == to)
        return (struct nilai_range){0, 0};
    struct nilai_range slope = ordered(-rate * from, -rate * to);
    return fabs(from) < cap ? slope : ordered(0, -rate * from);
}

static double rate_of(const struct nilai_model *model)
{
    return M_LN2 / model->half_life_days;
}

/* Overdue tickets stand still or fade all through a piece. */
static struct nilai_range service_slope(const struct nilai_model *model,
                                        const struct nilai_terms *a, const struct nilai_terms *b)
{
    double rate = rate_of(model);
    return sum(sum(fading_slope(a->support, b->support, model->cap_support, rate),
                   fading_slope(a->survey, b->survey, model->cap_survey, rate)),
               fading_slope(a->overdue, b->overdue, INFINITY, rate));
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
    return term_noise(a->support, b->support) + term_noise(a->survey, b->survey)
           + term_noise(a->overdue, b->overdue);
}

static struct nilai_range widened(struct nilai_range range, double noise)
{
    return (struct nilai_range){range.least - noise, range.most + noise};
}

/* What eta and the service terms may be from one point to another, and how fast eta goes, a day. */
struct outlook {
    struct nilai_range eta, service, slope;
    double eta_noise;
};

static struct outlook outlook_between(const struct nilai_curve *curve, const struct nilai_terms *a,
                                      const struct nilai_terms *b)
{
    const struct nilai_model *model = curve->model;
    struct nilai_range z_slope = nilai_rhythm_slope(&curve->posterior, model->horizon_days,
                                                    &a->silence, &a->quiet, &b->silence, &b->quiet);
    struct outlook outlook = {
        .eta = {a->eta, b->eta},
        .slope = {model->risk_bz * z_slope.least, model->risk_bz * z_slope.most},
        .eta_noise = model->risk_bz * ROUNDING,
    };
    if (curve->service != NULL) {
        double days = b->silence.days - a->silence.days;
        double noise = service_noise(a, b);
        struct nilai_range slope = service_slope(model, a, b);
        struct nilai_range ends =
            sum(sum(ordered(a->support, b->support), ordered(a->survey, b->survey)),
                ordered(a->overdue, b->overdue));
        outlook.service =
            both(by_slope(nilai_risk_service(a), nilai_risk_service(b), slope, days), ends);
        outlook.slope = sum(outlook.slope, slope);
        struct nilai_range apart = {curve->base + model->risk_bz * a->quiet.z + ends.least,
                                    curve->base + model->risk_bz * b->quiet.z + ends.most};
        outlook.eta = both(by_slope(a->eta, b->eta, outlook.slope, days), apart);
        outlook.service = widened(outlook.service, noise);
        outlook.eta_noise += noise;
    }
    outlook.eta = widened(outlook.eta, outlook.eta_noise);
    return outlook;
}

static bool may_change(const struct search *search, const struct nilai_terms *from,
                       const struct nilai_terms *to, const struct outlook *outlook)
{
    const struct nilai_curve *curve = search->curve;
    const struct nilai_model *model = curve->model;
    double cause_min = nilai_risk_cause_min(model);

    switch (search->band) {
    case NILAI_BAND_LOW: return outlook->eta.most >= model->eta_medium_up;
    case NILAI_BAND_MEDIUM: {
        bool may_have_cause =
            to->silence.days >= curve->gap_days || outlook->service.most >= cause_min;
        return outlook->eta.least < model->eta_medium_down
               || (curve->high_allowed && may_have_cause
                   && outlook->eta.most >= model->eta_high_up);
    }
    default: {
        bool surely_has_cause =
            from->silence.days >= curve->gap_days || outlook->service.least >= cause_min;
        return outlook->eta.least < model->eta_high_down || !curve->high_allowed
               || !surely_has_cause;
    }
    }
}

/* Whether the very next second has changed, as nobody needs to look at who sees that eta is over
 * the threshold by then. */
static bool surely_next(const struct search *search, const struct nilai_terms *from,
                        const struct outlook *outlook)
{
    const struct nilai_curve *curve = search->curve;
    const struct nilai_model *model = curve->model;
    double least = from->eta + outlook->slope.least / NILAI_DAY_S - outlook->eta_noise;
    double most = from->eta + outlook->slope.most / NILAI_DAY_S + outlook->eta_noise;

    switch (search->band) {
    case NILAI_BAND_LOW: return least >= model->eta_medium_up;
    case NILAI_BAND_MEDIUM: {
        bool has_cause = from->silence.days >= curve->gap_days
                         || outlook->service.least >= nilai_risk_cause_min(model);
        return most < model->eta_medium_down
               || (curve->high_allowed && has_cause && least >= model->eta_high_up);
    }
    default: return most < model->eta_high_down;
    }
}

/* ---- where to look next ---- */

/* Days from a point until a value reaches `target` if it keeps its course over ln(R + D), on which
 * z is nearly a line. Any number will do, and any that is not one; a good one saves time. */
static double days_to(const struct nilai_terms *terms, double value, double slope, double target)
{
    double past = terms->silence.past_days, step = (target - value) / (slope * past);
    if (!(fabs(step) < 3))
        step = step < 0 ? -3 : 3;
    return past * step * 12 / (12 - 6 * step + step * step); /* e^step - 1, nearly */
}

static double service_slope_at(const struct nilai_model *model, const struct nilai_terms *terms)
{
    double fading = 0;
    if (fabs(terms->support) < model->cap_support)
        fading += terms->support;
    if (fabs(terms->survey) < model->cap_survey)
        fading += terms->survey;
    if (terms->overdue != model->weights[NILAI_SIGNAL_TICKET_OVERDUE])
        fading += terms->overdue;
    return -rate_of(model) * fading;
}

static double slope_at(const struct nilai_curve *curve, const struct nilai_terms *terms)
{
    const struct nilai_model *model = curve->model;
    double z_slope = nilai_rhythm_slope(&curve->posterior, model->horizon_days, &terms->silence,
                                        &terms->quiet, &terms->silence, &terms->quiet)
                         .least;
    return model->risk_bz * z_slope + (curve->service == NULL ? 0 : service_slope_at(model, terms));
}

/* The threshold above or below the band, infinite if there is none. */
static double threshold(const struct search *search, bool above)
{
    const struct nilai_model *model = search->curve->model;
    switch (search->band) {
    case NILAI_BAND_LOW: return above ? model->eta_medium_up : -INFINITY;
    case NILAI_BAND_MEDIUM: return above ? model->eta_high_up : model->eta_medium_down;
    default: return above ? INFINITY : model->eta_high_down;
    }
}

static double days_to_gap(const struct nilai_curve *curve, const struct nilai_terms *terms)
{
    return curve->gap_days - terms->silence.days;
}

/* Days after a point that the next change may be, as far as it can tell. */
static double days_ahead(const struct search *search, const struct nilai_terms *terms)
{
    double slope = slope_at(search->curve, terms), target = threshold(search, slope > 0);
    double gap = days_to_gap(search->curve, terms);
    bool needs_cause = slope > 0 && terms->eta >= target;
    double ahead = needs_cause ? gap : days_to(terms, terms->eta, slope, target);
    return search->band == NILAI_BAND_HIGH && gap > 0 && gap < ahead ? gap : ahead;
}

/* Days from `from` until eta crosses a threshold that lies between what it is there and at `to`: by
 * Hermite's cubic for the days by eta, if that is surely monotone (Fritsch and Carlson 1980), else
 * by the course at the steeper end. */
static double days_to_crossing(const struct nilai_curve *curve, const struct nilai_terms *from,
                               const struct nilai_terms *to, double target)
{
    double days = to->silence.days - from->silence.days, rise = to->eta - from->eta;
    double from_slope = slope_at(curve, from), to_slope = slope_at(curve, to);
    double u = (target - from->eta) / rise, a = rise / from_slope, b = rise / to_slope;
    if (a >= 0 && a <= 3 * days && b >= 0 && b <= 3 * days)
        return u * (a * (1 - u) * (1 - u) + u * (days * (3 - 2 * u) - b * (1 - u)));
    double guess = fabs(from_slope) > fabs(to_slope)
                       ? days_to(from, from->eta, from_slope, target)
                       : days + days_to(to, to->eta, to_slope, target);
    return guess >= 0 && guess <= days ? guess : days / 2;
}

/* Days from a point until the next change, which is known to be between `from` and `to`. */
static double days_between(const struct search *search, const struct nilai_terms *from,
                           const struct nilai_terms *to, bool above)
{
    const struct nilai_curve *curve = search->curve;
    double target = threshold(search, above);
    if ((from->eta >= target) != (to->eta >= target))
        return days_to_crossing(curve, from, to, target);
    if (above)
        return days_to_gap(curve, from);
    return days_to(from, nilai_risk_service(from), service_slope_at(curve->model, from),
                   nilai_risk_cause_min(curve->model));
}

/* The first second at or after so many days from a second, but within [least, most]. */
static int64_t second_after(int64_t second, double days, int64_t least, int64_t most)
{
    double seconds = ceil(days * NILAI_DAY_S);
    if (!(seconds < (double)(most - second)))
        return most;
    int64_t found = second + (int64_t)fmax(seconds, 0);
    return found > least ? found : least;
}

/* Where to divide: in the middle, unless the change can be foreseen. Then at the last second that
 * is not changed. */
static int64_t divide(const struct search *search, const struct point *from, const struct point *to,
                      int guesses)
{
    enum nilai_band next = guesses > 0 ? band_at(search, to) : search->band;
    if (next == search->band)
        return from->second + (to->second - from->second) / 2;
    double days = days_between(search, &from->terms, &to->terms, next > search->band);
    int64_t changed = second_after(from->second, days, from->second + 2, to->second);
    return changed - 1;
}

enum { GUESSES = 12 };

/* The first change in (from, to], within one piece. Guesses are few; after them it halves, so that
 * it recurses 50 times at most. */
static int64_t first_between(const struct search *search, const struct point *from,
                             const struct point *to, int guesses)
{
    if (from->second >= to->second)
        return NILAI_NEVER_S;
    struct outlook outlook = outlook_between(search->curve, &from->terms, &to->terms);
    if (!may_change(search, &from->terms, &to->terms, &outlook))
        return NILAI_NEVER_S;
    if (surely_next(search, &from->terms, &outlook))
        return from->second + 1;
    if (to->second - from->second == 1)
        return band_at(search, to) != search->band ? to->second : NILAI_NEVER_S;

    struct point middle = point_at(search, divide(search, from, to, guesses));
    guesses -= guesses > 0;
    int64_t first = first_between(search, from, &middle, guesses);
    if (first != NILAI_NEVER_S)
        return first;
    return first_between(search, &middle, to, guesses);
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

/* The first change in (from, end_s]: from guess to guess, and to the end if they come to nothing.
 * Leaves `from` at the end. */
static int64_t first_in_piece(const struct search *search, struct point *from, int64_t end_s)
{
    for (int guesses = GUESSES; from->second < end_s; guesses--) {
        double days = guesses > 0 ? days_ahead(search, &from->terms) : INFINITY;
        struct point to =
            point_at(search, second_after(from->second, days, from->second + 1, end_s));
        int64_t first = first_between(search, from, &to, GUESSES);
        if (first != NILAI_NEVER_S)
            return first;
        *from = to;
    }
    return NILAI_NEVER_S;
}

int64_t nilai_deadline_search(const struct nilai_curve *curve, enum nilai_band band,
                              const struct nilai_terms *terms, int64_t after_s, int64_t limit_s)
{
    const struct search search = {curve, band};
    struct point from = {after_s, *terms};
    NILAI_ASSERT(limit_s <= NILAI_TIME_MAX_MS / 1000);

    while (from.second < limit_s) {
        if (nilai_deadline_bound(curve, band, &from.terms, from.second * 1000) > limit_s)
            return NILAI_NEVER_S;
        int64_t first = first_in_piece(&search, &from, piece_end_s(curve, from.second, limit_s));
        if (first != NILAI_NEVER_S || from.second == limit_s)
            return first;
        from = point_at(&search, from.second + 1);
        if (band_at(&search, &from) != band)
            return from.second;
    }
    return NILAI_NEVER_S;
}
