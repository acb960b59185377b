#include "nilai/run/demo_plan.h"

#include <math.h>

#include "nilai/customer/model.h"

#define DAY_MS ((double)NILAI_DAY_MS)

enum { SAMPLE_CUSTOMERS = 2000, SAMPLE_DAYS = 10, TRIES = 8 };
static const double CLOSE_ENOUGH = 0.05;
static const double DAMPING = 0.75; /* who buys more often also stays for more purchases */
static const double EVENTS_PER_JOIN_MIN = 2, EVENTS_PER_JOIN = 20;
static const double DUPLICATE_SHARE = 0.005, BAD_SHARE = 0.001;

/* Facts a second, all customers together, around the end of the history. */
static enum nilai_status try_out(const struct nilai_demo_wish *wish,
                                 const struct nilai_generator_options *options, double events,
                                 double *rate, struct nilai_error *error)
{
    double share = fmin(1, SAMPLE_CUSTOMERS / (double)wish->customers);
    const struct nilai_population_options sample = {
        .seed = wish->seed,
        .customers = (uint32_t)fmax(1, options->customers * share),
        .events = (uint64_t)fmax(1, events * share),
        .from_ms = options->from_ms,
        .span_ms = options->span_ms,
        .skew = options->skew,
        .grievance = options->grievance,
    };
    struct nilai_population *population;
    enum nilai_status status = nilai_population_create(&sample, &population, error);
    if (status != NILAI_OK)
        return status;
    int64_t from_ms = options->from_ms + (int64_t)(wish->history_days * DAY_MS);
    int64_t until_ms = from_ms + SAMPLE_DAYS * NILAI_DAY_MS;
    struct nilai_fact fact;
    uint64_t seen = 0;
    while (nilai_population_next(population, &fact) == NILAI_OK && fact.ts_ms < until_ms)
        seen += fact.ts_ms >= from_ms;
    nilai_population_destroy(population);
    *rate = fmax(1, (double)seen) / share / SAMPLE_DAYS * wish->speed;
    return NILAI_OK;
}

/* The number of events over the whole span at which the wanted rate results. */
static enum nilai_status find_events(const struct nilai_demo_wish *wish,
                                     struct nilai_generator_options *options,
                                     struct nilai_error *error)
{
    double span_days = (double)options->span_ms / DAY_MS;
    double events = wish->rate / wish->speed * span_days;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        double rate;
        enum nilai_status status = try_out(wish, options, events, &rate, error);
        if (status != NILAI_OK)
            return status;
        if (fabs(rate / wish->rate - 1) < CLOSE_ENOUGH)
            break;
        events = fmin(fmax(events * pow(wish->rate / rate, DAMPING), 1), 1e15);
    }
    options->events = (uint64_t)events;
    return NILAI_OK;
}

uint64_t nilai_demo_plan_customers(double rate, double speed, double history_days)
{
    double customers = ceil(rate / speed * history_days / EVENTS_PER_JOIN);
    return (uint64_t)fmin(fmax(customers, 1), NILAI_DEMO_CUSTOMERS_MAX);
}

enum nilai_status nilai_demo_plan(const struct nilai_demo_wish *wish,
                                  struct nilai_generator_options *options,
                                  struct nilai_error *error)
{
    NILAI_ASSERT(wish->customers >= 1 && wish->rate > 0 && wish->speed > 0);
    NILAI_ASSERT(wish->history_days >= 1 && wish->seconds >= 0);
    double joining_days = wish->history_days + wish->seconds * wish->speed;
    if (joining_days > NILAI_DEMO_DAYS_MAX)
        return nilai_error_set(
            error, NILAI_INVALID,
            "%.0f s at %g days a second are more than %d years: lower one of them", wish->seconds,
            wish->speed, NILAI_DEMO_DAYS_MAX / 365);
    double joining = ceil((double)wish->customers * joining_days / wish->history_days);
    if (joining > NILAI_DEMO_JOINING_MAX)
        return nilai_error_set(error, NILAI_INVALID,
                               "in that time %.0f customers would join: fewer customers, fewer "
                               "seconds, a lower speed or a longer history, please",
                               joining);

    double joins = (double)wish->customers / wish->history_days * wish->speed;
    if (wish->rate < EVENTS_PER_JOIN_MIN * joins)
        return nilai_error_set(
            error, NILAI_INVALID,
            "%.4g customers would join each second, which takes a rate of %.4g: a "
            "higher rate, fewer customers, or a longer history, please",
            joins, EVENTS_PER_JOIN_MIN * joins);

    nilai_generator_defaults(options);
    options->seed = wish->seed;
    options->customers = (uint32_t)joining;
    options->span_ms = (int64_t)(2 * joining_days * DAY_MS); /* joining takes its first half */
    options->duplicate = DUPLICATE_SHARE;
    options->bad = BAD_SHARE;
    return find_events(wish, options, error);
}
