/*
 * value.h - what a customer is worth: net of a year, expected value, segment, tier.
 *
 *     clv_365 = margin * E[M] * E[Y(365)]
 *
 * E[M] is the Gamma-Gamma expectation of spend per purchase day from all n = x + 1 of them,
 * E[Y] the MBG/NBD expectation of purchase days (rhythm.h).
 *
 * Value is evaluated at the customer's events, at the first second of each of their periods,
 * and at the first second of the days on which the first purchase is 91 and 180 days ago; at no
 * other time. Those instants are its check times.
 */
#ifndef NILAI_CUSTOMER_VALUE_H
#define NILAI_CUSTOMER_VALUE_H

#include "nilai/customer/rhythm.h"

struct nilai_worth {
    double clv_365; /* major units of the base currency */
    int64_t net_year;
    uint32_t purchase_days_year;
};

/* E[M] of `days` purchase days that came to `total`, both in major units. */
double nilai_value_spend(const struct nilai_model *model, double days, double total);

/* For a customer who has bought, at an instant not before the current time. */
struct nilai_worth nilai_value_worth(const struct nilai_model *model,
                                     const struct nilai_customer *customer, int64_t ms);

double nilai_value_clv(const struct nilai_model *model, const struct nilai_customer *customer,
                       int64_t ms);

/* What the standing becomes at an instant with that worth; the band is left as it is. */
struct nilai_standing nilai_value_standing(const struct nilai_model *model,
                                           const struct nilai_customer *customer,
                                           const struct nilai_worth *worth, int64_t ms);

bool nilai_value_same(struct nilai_standing a, struct nilai_standing b);

/* Whether a second is a check time. */
bool nilai_value_is_check(const struct nilai_model *model, const struct nilai_customer *customer,
                          int64_t second);

/* The first check time in (after_s, limit_s] at which the standing differs; NILAI_NEVER_S if none.
 * Everything up to after_s must have been evaluated. */
int64_t nilai_value_next_change(const struct nilai_model *model,
                                const struct nilai_customer *customer, int64_t after_s,
                                int64_t limit_s);

/* A lower bound of that, later than now_ms, at the price of some additions and two
 * transcendental functions; `clv` is clv_365 at now_ms, where the standing is as it should be. */
int64_t nilai_value_bound(const struct nilai_model *model, const struct nilai_customer *customer,
                          double clv, int64_t now_ms);

#endif
