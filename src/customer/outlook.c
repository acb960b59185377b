#include "nilai/customer/outlook.h"

#include <math.h>
#include <string.h>

#include "nilai/customer/logarithm.h"

enum { SERIES_MAX = 2000000, STEPS_FIRST = 16, STEPS_MAX = 2048 };

/*
 * G = sum over n >= 1 of (c - s)_n (a)_(n-1) / ((c)_n n!) * z^n, so that
 * 2F1(c - s, a - 1; c; z) = 1 + (a - 1) G. With c >= s no term is negative.
 */
static double series(double c_minus_s, double a, double c, double z)
{
    double term = c_minus_s / c * z, sum = term;
    for (int n = 1; n < SERIES_MAX; n++) {
        double ratio = (c_minus_s + n) * (a - 1 + n) / ((c + n) * (n + 1)) * z;
        term *= ratio;
        sum += term;
        double bound = ratio > z ? ratio : z;
        if (bound < 1 && term * bound <= 1e-15 * (1 - bound) * sum)
            break;
    }
    return sum;
}

/*
 * Euler's transformation turns the bracket of the published form into
 *     1 - (1-z)^(a-1) * 2F1(c-s, a-1; c; z),   c = a+b+x,  z = T/(w+T),
 * whose series has small terms of one sign; dividing by a - 1 before subtracting keeps the
 * digits that a near 1 would lose.
 */
static double by_series(double a, double s, double c, double past_days, double days)
{
    double u = (a - 1) * log(past_days / (past_days + days));
    return c * (-expm1(u) / (a - 1) - exp(u) * series(c - s, a, c, days / (past_days + days)));
}

/* One point of the integral below at p = 1 / (1 + e^-logit), without the constants. */
static double point(double logit, double a, double b, double s, double ratio)
{
    double p = 1 / (1 + exp(-logit));
    double ln_p = -log1p(exp(-logit)), ln_rest = -log1p(exp(logit));
    double purchases = p > 1e-300 ? -expm1(-s * log1p(p * ratio)) / p : s * ratio;
    return exp(a * ln_p + b * ln_rest) * purchases;
}

static double integral(double a, double b, double s, double ratio, int steps)
{
    double sum = 0, width = 1.0 / steps;
    for (int i = -5 * steps; i <= 5 * steps; i++) {
        double t = i * width;
        sum += point(M_PI * sinh(t), a, b, s, ratio) * M_PI * cosh(t);
    }
    return sum * width;
}

/*
 * Where c < s the terms of every series cancel. What they stand for does not: the probability p
 * of leaving after a purchase is Beta(a, b + x + 1) given alive, and who buys at rate l until they
 * leave buys (1 - e^(-l p T)) / p times; over l ~ Gamma(s, w) that is (1 - (w/(w+pT))^s) / p. The
 * trapezoidal rule in t, p = 1 / (1 + e^(-pi sinh t)), is exact to the last digits once its steps
 * are smaller than the width of the density.
 */
static double by_integral(double a, double b, double s, double past_days, double days)
{
    double ln_beta = lgamma(a) + lgamma(b) - lgamma(a + b), ratio = days / past_days;
    double value = integral(a, b, s, ratio, STEPS_FIRST), before;
    int steps = STEPS_FIRST;
    do {
        before = value;
        steps *= 2;
        value = integral(a, b, s, ratio, steps);
    } while (fabs(value - before) > 1e-13 * value && steps < STEPS_MAX);
    return value * exp(-ln_beta);
}

double nilai_outlook_days(const struct nilai_population_fit *fit, uint32_t repeat_days,
                          double past_days, double days)
{
    double a = fabs(fit->a - 1) < 1e-6 ? 1 + 1e-6 : fit->a;
    double c = a + fit->b + repeat_days, s = fit->r + repeat_days;
    double expected = c >= s ? by_series(a, s, c, past_days, days)
                             : by_integral(a, c - a + 1, s, past_days, days);
    return expected > 0 ? expected : 0;
}

/* Chebyshev terms of f on [piece, piece + 1] from its values at the nodes, then as powers: T(k+1) =
 * 2t T(k) - T(k-1). Terms fall faster than the coefficients of their powers grow, so that powers,
 * which are cheaper to evaluate, lose nothing. */
static void fit_piece(const double values[NILAI_OUTLOOK_TERMS], double powers[NILAI_OUTLOOK_TERMS])
{
    enum { N = NILAI_OUTLOOK_TERMS };
    memset(powers, 0, N * sizeof powers[0]);
    double now[N] = {1}, before[N] = {0, 1}; /* T(0), and T(-1) = T(1) */
    for (int k = 0; k < N; k++) {
        double sum = 0;
        for (int j = 0; j < N; j++)
            sum += values[j] * cos(M_PI * k * (j + 0.5) / N);
        for (int power = N - 1; power >= 0; power--) {
            powers[power] += (k == 0 ? 1.0 : 2.0) / N * sum * now[power];
            double next = 2 * (power > 0 ? now[power - 1] : 0) - before[power];
            before[power] = now[power];
            now[power] = next;
        }
    }
}

static void fill_piece(struct nilai_outlook *outlook, const struct nilai_population_fit *fit,
                       uint32_t repeat_days, uint32_t piece)
{
    double values[NILAI_OUTLOOK_TERMS];
    for (int j = 0; j < NILAI_OUTLOOK_TERMS; j++) {
        double y = piece + 0.5 + 0.5 * cos(M_PI * (j + 0.5) / NILAI_OUTLOOK_TERMS);
        double past_days = NILAI_OUTLOOK_DAYS / expm1(y);
        values[j] = nilai_outlook_days(fit, repeat_days, past_days, NILAI_OUTLOOK_DAYS) / y;
    }
    fit_piece(values, outlook->powers[repeat_days][piece]);
}

void nilai_outlook_fill(struct nilai_outlook *outlook, const struct nilai_population_fit *fit)
{
    double most = ceil(log1p(NILAI_OUTLOOK_DAYS / fit->alpha));
    outlook->pieces = most < NILAI_OUTLOOK_PIECES ? (uint32_t)most : NILAI_OUTLOOK_PIECES;
    for (uint32_t x = 0; x < NILAI_OUTLOOK_REPEATS; x++)
        for (uint32_t piece = 0; piece < outlook->pieces; piece++)
            fill_piece(outlook, fit, x, piece);
}

/* Horner's scheme at t in [-1, 1]. */
static double evaluate(const double powers[NILAI_OUTLOOK_TERMS], double t)
{
    double value = powers[NILAI_OUTLOOK_TERMS - 1];
    for (int k = NILAI_OUTLOOK_TERMS - 2; k >= 0; k--)
        value = value * t + powers[k];
    return value;
}

double nilai_outlook_year(const struct nilai_outlook *outlook,
                          const struct nilai_population_fit *fit, uint32_t repeat_days,
                          double past_days)
{
    double y = nilai_ln_1_plus(NILAI_OUTLOOK_DAYS / past_days);
    if (repeat_days >= NILAI_OUTLOOK_REPEATS || y >= outlook->pieces)
        return nilai_outlook_days(fit, repeat_days, past_days, NILAI_OUTLOOK_DAYS);
    uint32_t piece = (uint32_t)y;
    double expected = y * evaluate(outlook->powers[repeat_days][piece], 2 * (y - piece) - 1);
    return expected > 0 ? expected : 0;
}
