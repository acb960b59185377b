/*
 * rhythm.h - how often a customer buys, and what silence says about it.
 *
 * The MBG/NBD model (Batislam, Denizel, Filiztekin 2007; Hoppe, Wagner 2007) over distinct
 * purchase days: x = number of days - 1, t_x = days from the first to the last, silence D =
 * days since the last one, a fraction. With s = r + x and R = alpha + t_x:
 *
 *     odds of having left      e^ld = a / (b + x) * ((R + D) / R)^s
 *     no purchase in H days    e^z  = (e^ld + e^lS) / (1 - e^lS),  e^lS = (1 + H / (R + D))^-s
 *
 * z never falls as D grows, and rises by at most (s + 1) * ln((R + D2) / (R + D1)).
 *
 * All functions are pure; any thread may call them.
 */
#ifndef NILAI_CUSTOMER_RHYTHM_H
#define NILAI_CUSTOMER_RHYTHM_H

#include "nilai/customer/customer.h"

/* What the model needs of one customer's purchase days. */
struct nilai_posterior {
    double s;    /* r + x */
    double span; /* R = alpha + t_x, days */
    struct nilai_habit habit;
    int64_t since_ms; /* silence is counted from here: the start of the last purchase day */
};

/* What a silence of D days says. */
struct nilai_silence {
    double days;      /* D */
    double past_days; /* R + D */
    double ln_left;   /* ld: log odds of having left */
    double left;      /* e^ld; infinity is possible */
};

/* How likely the silence goes on. */
struct nilai_quiet {
    double silent; /* e^lS: who is still there does not buy for so long */
    double buys;   /* 1 - e^lS */
    double z;      /* log odds of no purchase */
};

struct nilai_range {
    double least, most;
};

enum nilai_day_seen { NILAI_DAY_SEEN, NILAI_DAY_NEW, NILAI_DAY_NEW_UNSURE };

/* Notes a purchase day. NEW_UNSURE: a new day beyond the bitmap's reach, so that it may have
 * been counted before. */
enum nilai_day_seen nilai_rhythm_add(struct nilai_rhythm *rhythm, int32_t day);

struct nilai_posterior nilai_rhythm_posterior(const struct nilai_model *model, uint32_t repeat_days,
                                              double span_days);
struct nilai_posterior nilai_rhythm_of(const struct nilai_model *model,
                                       const struct nilai_rhythm *rhythm);

/* The customer's own median gap between purchase days, days. */
double nilai_rhythm_gap_days(const struct nilai_posterior *posterior);

struct nilai_silence nilai_rhythm_silence(const struct nilai_posterior *posterior,
                                          double silence_days);

/* At an instant: D in days, a fraction, never below 0. */
struct nilai_silence nilai_rhythm_silence_at(const struct nilai_posterior *posterior, int64_t ms);

/* Within `horizon_days` from then on. */
struct nilai_quiet nilai_rhythm_quiet(const struct nilai_posterior *posterior, double horizon_days,
                                      const struct nilai_silence *silence);

/* z at a silence. */
double nilai_rhythm_z(const struct nilai_posterior *posterior, double horizon_days,
                      double silence_days);

/* dz/dD, a day, from one silence to a longer one; or at one, if both are the same. */
struct nilai_range nilai_rhythm_slope(const struct nilai_posterior *posterior, double horizon_days,
                                      const struct nilai_silence *from,
                                      const struct nilai_quiet *from_quiet,
                                      const struct nilai_silence *to,
                                      const struct nilai_quiet *to_quiet);

double nilai_rhythm_p_alive(const struct nilai_silence *silence);

/* E[Y(T)]: expected purchase days in the next `days`. Never rises as silence grows: the rate of
 * a customer who is still there is Gamma(s, R + D), which falls stochastically in D, and so does
 * the chance that they are. */
double nilai_rhythm_expected_days(const struct nilai_model *model, uint32_t repeat_days,
                                  const struct nilai_silence *silence, double days);

/* The same for a year, from the table: what every event pays for. */
double nilai_rhythm_expected_year(const struct nilai_model *model, uint32_t repeat_days,
                                  const struct nilai_silence *silence);

#endif
