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
#include "nilai/customer/ring.h"

struct nilai_worth {
    double clv_365; /* major units of the base currency */
    int64_t net_year;
    uint32_t purchase_days_year;
    struct nilai_ring_sums year; /* the same two, not saturated */
};

/* E[M] of `days` purchase days that came to `total`, both in major units. */
double nilai_value_spend(const struct nilai_model *model, double days, double total);

/* For a customer who has bought, at an instant not before the current time. */
struct nilai_worth nilai_value_worth(const struct nilai_model *model,
                                     const struct nilai_customer *customer, int64_t ms);

/* The same when the silence then is known. */
struct nilai_worth nilai_value_worth_in(const struct nilai_model *model,
                                        const struct nilai_customer *customer,
                                        const struct nilai_silence *silence, int64_t ms);

/* What the ring holds then. */
struct nilai_ring_sums nilai_value_year(const struct nilai_model *model,
                                        const struct nilai_customer *customer, int64_t ms);

/* What the standing becomes at an instant with that worth; the band is left as it is. */
struct nilai_standing nilai_value_standing(const struct nilai_model *model,
                                           const struct nilai_customer *customer,
                                           const struct nilai_worth *worth, int64_t ms);

bool nilai_value_same(struct nilai_standing a, struct nilai_standing b);

/* Whether a second is a check time. */
bool nilai_value_is_check(const struct nilai_model *model, const struct nilai_customer *customer,
                          int64_t second);

/* The first check time in (after_s, limit_s] at which the segment or the flag differs for a reason
 * other than clv_365; NILAI_NEVER_S if none. `year` is what the ring holds at after_s, and
 * everything up to then must have been evaluated. */
int64_t nilai_value_next_rest_change(const struct nilai_model *model,
                                     const struct nilai_customer *customer,
                                     const struct nilai_ring_sums *year, int64_t after_s,
                                     int64_t limit_s);

/* The first check time in (after_s, limit_s] at which the standing differs because clv_365 has
 * fallen; NILAI_NEVER_S if none. */
int64_t nilai_value_next_fall(const struct nilai_model *model,
                              const struct nilai_customer *customer,
                              const struct nilai_posterior *posterior, int64_t after_s,
                              int64_t limit_s);

/* A lower bound of that, later than now_ms, at the price of some additions;
 * `clv` is clv_365 at now_ms, after that silence, where the standing is as it should be. */
int64_t nilai_value_fall_bound(const struct nilai_model *model,
                               const struct nilai_customer *customer,
                               const struct nilai_posterior *posterior,
                               const struct nilai_silence *silence, double clv, int64_t now_ms,
                               int64_t limit_s);

#endif
