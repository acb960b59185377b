/*
 * outlook.h - how many purchase days a customer who is still there will bring.
 *
 * For MBG/NBD with s = r + x, given alive and w = R + D days of history:
 *
 *     E(T) = (a+b+x)/(a-1) * [1 - (w/(w+T))^s * 2F1(s, b+x+1; a+b+x; T/(w+T))]
 *
 * The series costs up to a microsecond and is wanted at every event, always with T = a year. So
 * it is tabulated: for each x below 64, E(365) / y as a polynomial in y = ln(1 + 365/w), piece by
 * piece of length 1. E is analytic in y within |Im y| < pi, so that 14 Chebyshev terms a piece
 * leave an error near the last digit of a double; they are kept as powers. Outside the table the
 * formula answers.
 */
#ifndef NILAI_CUSTOMER_OUTLOOK_H
#define NILAI_CUSTOMER_OUTLOOK_H

#include "nilai/base/base.h"

enum {
    NILAI_OUTLOOK_DAYS = 365,
    NILAI_OUTLOOK_REPEATS = 64, /* rows: x below this */
    NILAI_OUTLOOK_PIECES = 7,   /* y up to this: w from a third of a day on */
    NILAI_OUTLOOK_TERMS = 14,
};

struct nilai_outlook {
    uint32_t pieces; /* filled */
    double powers[NILAI_OUTLOOK_REPEATS][NILAI_OUTLOOK_PIECES][NILAI_OUTLOOK_TERMS];
};

/* The parameters of the population; `a` closer to 1 than 1e-6 counts as 1 + 1e-6. */
struct nilai_population_fit {
    double r, alpha, a, b;
};

/* E(days) by the formula; `past_days` is w. */
double nilai_outlook_days(const struct nilai_population_fit *fit, uint32_t repeat_days,
                          double past_days, double days);

/* Fills the table for all w from alpha on. Takes milliseconds. */
void nilai_outlook_fill(struct nilai_outlook *outlook, const struct nilai_population_fit *fit);

/* E(365) from the table, or by the formula where the table ends. */
double nilai_outlook_year(const struct nilai_outlook *outlook,
                          const struct nilai_population_fit *fit, uint32_t repeat_days,
                          double past_days);

#endif
