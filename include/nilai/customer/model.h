/*
 * model.h - every parameter of what is computed, and what follows from them.
 *
 * The parameters are set once, from defaults and the configuration, then prepared; after
 * that the model is read-only and shared by all threads.
 *
 * MBG/NBD: Batislam, Denizel, Filiztekin 2007; Hoppe, Wagner 2007. Spend: the Gamma-Gamma
 * model of Fader, Hardie 2013. The defaults were fitted to the public CDNOW master data.
 */
#ifndef NILAI_CUSTOMER_MODEL_H
#define NILAI_CUSTOMER_MODEL_H

#include "nilai/customer/outlook.h"

enum {
    NILAI_DAY_S = 86400,
    NILAI_DAY_MS = 86400 * 1000,
    NILAI_HABITS = 64, /* rows: x below this */
};

/* One reason code a row; which group it belongs to and its default weight stand in
 * signals.c, in one table. */
enum nilai_signal {
    NILAI_SIGNAL_COMPLAINT,
    NILAI_SIGNAL_TICKET,
    NILAI_SIGNAL_RESOLVED_IN_TIME, /* weighs -recovery x the opening weight of the kind */
    NILAI_SIGNAL_RESOLVED_LATE,
    NILAI_SIGNAL_REOPENED,
    NILAI_SIGNAL_REFUND,
    NILAI_SIGNAL_SUPPORT_END,
    NILAI_SIGNAL_NPS_DETRACTOR = NILAI_SIGNAL_SUPPORT_END,
    NILAI_SIGNAL_NPS_PROMOTER,
    NILAI_SIGNAL_CSAT_LOW,
    NILAI_SIGNAL_CSAT_HIGH,
    NILAI_SIGNAL_CES_HARD,
    NILAI_SIGNAL_RATING_LOW,
    NILAI_SIGNAL_RATING_HIGH,
    NILAI_SIGNAL_PERCEPTION_DRIFT,
    NILAI_SIGNALS_STORED, /* those above are sums that a customer keeps */
    NILAI_SIGNAL_TICKET_OVERDUE = NILAI_SIGNALS_STORED, /* follows from the open tickets */
    NILAI_SIGNALS,
};

/* What follows from the number of purchase days alone: x = that number - 1, s = r + x. */
struct nilai_habit {
    double ln_odds_now; /* ln(a / (b + x)): the log odds of having left with no silence yet */
    double gap;         /* 2^(1/s) - 1: the median gap, in spans R */
    double ln_days;     /* ln(1 + x) */
};

struct nilai_model {
    char name[65];
    char currency[4];                   /* the base currency */
    struct nilai_population_fit rhythm; /* MBG/NBD, days */
    double horizon_days;
    double spend_p, spend_q, spend_gamma; /* Gamma-Gamma, major units of the base currency;
                                             gamma NaN: 14.9837 x value_scale */
    double risk_b0, risk_bz, risk_bx;
    double half_life_days;
    double weights[NILAI_SIGNALS]; /* [RESOLVED_IN_TIME] is not used */
    double recovery, forgive;
    int64_t sla_ms, overdue_max_ms;
    double cap_support, cap_survey;
    double medium_up, medium_down, high_up, high_down; /* risk, within (0, 1) */
    double cause_min;                                  /* log odds */
    bool one_time_high;
    double margin, value_scale, cost_per_hour;
    double cut_a, cut_b, cut_c; /* clv_365, major units */
    int64_t day_offset_s;

    /* Derived by prepare. */
    double ln_a;
    struct nilai_habit habits[NILAI_HABITS];
    double eta_medium_up, eta_medium_down, eta_high_up, eta_high_down; /* log odds */
    struct nilai_outlook outlook;
};

/* The documented defaults, not yet prepared. */
void nilai_model_defaults(struct nilai_model *model);

/* Checks what no single parameter can tell and derives the rest.
 * NILAI_CONFIG names the settings that contradict each other. */
NILAI_MUST_CHECK enum nilai_status nilai_model_prepare(struct nilai_model *model,
                                                       struct nilai_error *error);

/* By the formulas; `habits` of the model holds the first of them. */
struct nilai_habit nilai_model_habit(const struct nilai_model *model, uint32_t repeat_days);

/* The day of an instant: floor((ts + day_offset) / 86400 s). */
int32_t nilai_model_day(const struct nilai_model *model, int64_t ms);
/* The first ms of a day. */
int64_t nilai_model_day_start_ms(const struct nilai_model *model, int32_t day);

#endif
