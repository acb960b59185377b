/*
 * demo_plan.h - the synthetic business of the demo: who buys how often, so that it looks busy.
 *
 * Customers join at an even pace from the beginning of the history until after the end of the
 * demo, so that at any time there are new ones, regulars, and those who stay away. By the end
 * of the history as many have joined as were asked for. How often they buy is chosen so that
 * the events come at about the wanted rate then (later there are more customers, and more
 * events): a small sample of the population is tried out at several frequencies.
 *
 * Pure: no clock, no I/O. Thread: any.
 */
#ifndef NILAI_RUN_DEMO_PLAN_H
#define NILAI_RUN_DEMO_PLAN_H

#include "nilai/run/generator.h"

enum {
    NILAI_DEMO_CUSTOMERS_MAX = 5000000,
    NILAI_DEMO_JOINING_MAX = 100000000, /* over the whole demo */
    NILAI_DEMO_DAYS_MAX = 1000 * 365,
};

struct nilai_demo_wish {
    uint64_t seed;
    uint64_t customers; /* known when the history ends, at least 1 */
    double rate;        /* events a second when it ends, about */
    double speed;       /* simulated days a second */
    double seconds;     /* how long the demo may last */
    double history_days;
};

/* How many customers a business of that rate may well have: each twentieth event is the first
 * of somebody new. */
uint64_t nilai_demo_plan_customers(double rate, double speed, double history_days);

/* What the generator makes of it: `options` come from nilai_generator_defaults.
 * NILAI_INVALID: the wishes do not go together; the text says why. NILAI_NO_MEMORY. */
NILAI_MUST_CHECK enum nilai_status nilai_demo_plan(const struct nilai_demo_wish *wish,
                                                   struct nilai_generator_options *options,
                                                   struct nilai_error *error);

#endif
