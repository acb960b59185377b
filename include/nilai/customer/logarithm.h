/*
 * logarithm.h - ln(1 + x) at the price of a logarithm where that is enough, and for bounds, which
 * need not be sharp but must be on the safe side, without any: the first terms of series of which
 * no term is negative.
 */
#ifndef NILAI_CUSTOMER_LOGARITHM_H
#define NILAI_CUSTOMER_LOGARITHM_H

#include <math.h>

/* For x >= 0, to the last digits. What 1 + x rounds off counts only where the result is small;
 * log1p costs half as much again. */
static inline double nilai_ln_1_plus(double x)
{
    return x > 0.25 ? log(1 + x) : log1p(x);
}

/* Not more than e^x - 1, x >= 0; 1 % less at x = 2. */
static inline double nilai_exp_least(double x)
{
    return x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6)))));
}

/* Not more than ln x, x >= 1: 2 artanh((x - 1) / (x + 1)); 4 % less at x = 10. */
static inline double nilai_ln_least(double x)
{
    double u = (x - 1) / (x + 1), square = u * u;
    return 2 * u * (1 + square * (1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7))));
}

#endif
