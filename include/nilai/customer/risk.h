/*
 * risk.h - the log odds that a customer is leaving, the band, and the reasons.
 *
 *     eta = b0 + bz*z + bx*ln(1+x) + support + survey + overdue,  risk = 1 / (1 + e^-eta)
 *
 * A curve is what eta will be at any later instant if no event comes: prepared once from a
 * record, then evaluated as often as a search for the next deadline wants. Its pieces are
 * monotone between breakpoints: z never falls, each group fades towards 0, and the overdue
 * weight jumps when a ticket becomes overdue and fades when it has been for long.
 */
#ifndef NILAI_CUSTOMER_RISK_H
#define NILAI_CUSTOMER_RISK_H

#include "nilai/customer/rhythm.h"

struct nilai_curve {
    const struct nilai_model *model;
    const struct nilai_service *service; /* NULL: no signals */
    struct nilai_posterior posterior;
    double base;            /* b0 + bx * ln(1 + x) */
    double gap_days;        /* silence of a present cause */
    double support, survey; /* at signals_ms, not clamped */
    bool high_allowed;
};

/* The terms of eta at one instant. */
struct nilai_terms {
    struct nilai_silence silence;
    struct nilai_quiet quiet;
    double fade;                     /* since signals_ms */
    double support, survey, overdue; /* support and survey clamped */
    double eta;
};

/* For a customer who has bought. The curve borrows model and service. */
struct nilai_curve nilai_risk_curve(const struct nilai_model *model,
                                    const struct nilai_customer *customer,
                                    const struct nilai_service *service);

/* At an instant not before the customer's current time. */
struct nilai_terms nilai_risk_terms(const struct nilai_curve *curve, int64_t ms);

double nilai_risk_service(const struct nilai_terms *terms);

/* Silence as long as the customer's own median gap, or service terms of at least cause_min:
 * without one nobody is called about to leave. */
bool nilai_risk_has_cause(const struct nilai_curve *curve, const struct nilai_terms *terms);

/* The least service terms that are a present cause. */
double nilai_risk_cause_min(const struct nilai_model *model);

/* The band after `band` at these terms, with hysteresis. */
enum nilai_band nilai_risk_band(const struct nilai_curve *curve, enum nilai_band band,
                                const struct nilai_terms *terms);

double nilai_risk_of_eta(double eta);

/* Every reason of at least 0.0005 points, most positive first, ties by code. The points of all
 * terms sum to eta - b0. */
enum { NILAI_REASONS_ALL = NILAI_SIGNALS + 2 };
uint32_t nilai_risk_reasons(const struct nilai_curve *curve, const struct nilai_terms *terms,
                            struct nilai_reason reasons[static NILAI_REASONS_ALL]);

/* Of those, what a change publishes: the three most positive, then the most negative. */
uint32_t nilai_risk_main_reasons(const struct nilai_reason *all, uint32_t count,
                                 struct nilai_reason reasons[static NILAI_REASONS_MAX]);

#endif
