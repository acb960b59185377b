#include "nilai/run/random.h"

#include <math.h>
#include <string.h>

#define LN2 0.693147180559945309417
#define LN2_HIGH 0x1.62e42fee00000p-1 /* 32 bits: times a small integer it stays exact */
#define LN2_LOW 0x1.a39ef35793c76p-33

void nilai_random_init(struct nilai_random *random, uint64_t seed, uint64_t stream)
{
    uint64_t z = nilai_random_mix(seed + UINT64_C(0x9e3779b97f4a7c15)) ^ (stream << 32);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(random->state); i++)
        random->state[i] = nilai_random_mix(z += UINT64_C(0x9e3779b97f4a7c15));
}

/* ln(m * 2^e) = e ln 2 + 2 atanh((m - 1) / (m + 1)), with m within [1/sqrt 2, sqrt 2]. */
double nilai_random_ln(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    NILAI_ASSERT(bits >= (UINT64_C(1) << 52) && bits < (UINT64_C(0x7ff) << 52));
    double exponent = (double)((int)(bits >> 52) - 1023);
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | (UINT64_C(1023) << 52);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent += 1;
    }

    static const double inverse_odd[] = {1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9,
                                         1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19};
    double s = (m - 1) / (m + 1), z = s * s, series = 0;
    for (size_t i = NILAI_ARRAY_LEN(inverse_odd); i > 0; i--)
        series = series * z + inverse_odd[i - 1];
    return exponent * LN2 + 2 * s * series;
}

/* e^x = 2^n e^r, |r| <= ln 2 / 2, by the Taylor series of e^r. */
double nilai_random_exp(double x)
{
    NILAI_ASSERT(x <= 700);
    if (x < -700)
        return 0;
    double n = rint(x / LN2);
    double r = (x - n * LN2_HIGH) - n * LN2_LOW;
    static const double inverse[] = {1, 1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5, 1.0 / 6, 1.0 / 7,
                                     1.0 / 8, 1.0 / 9, 1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13};
    double series = 1;
    for (size_t k = NILAI_ARRAY_LEN(inverse); k > 0; k--)
        series = 1 + series * r * inverse[k - 1];

    uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return series * power;
}

double nilai_random_exponential(struct nilai_random *random)
{
    return -nilai_random_ln(nilai_random_uniform(random));
}

/* Marsaglia's polar method; the second number is thrown away, to have no hidden state. */
double nilai_random_normal(struct nilai_random *random)
{
    double x, y, square;
    do {
        x = 2 * nilai_random_uniform(random) - 1;
        y = 2 * nilai_random_uniform(random) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square < 1e-300);
    return x * sqrt(-2 * nilai_random_ln(square) / square);
}

/* Marsaglia, Tsang 2000; below shape 1 by Gamma(k) = Gamma(k + 1) U^(1/k). */
double nilai_random_gamma(struct nilai_random *random, double shape)
{
    NILAI_ASSERT(shape > 0);
    if (shape < 1) {
        double power = nilai_random_exp(nilai_random_ln(nilai_random_uniform(random)) / shape);
        return nilai_random_gamma(random, shape + 1) * power;
    }

    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = nilai_random_normal(random), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = nilai_random_uniform(random);
        if (u < 1 - 0.0331 * x * x * x * x
            || nilai_random_ln(u) < 0.5 * x * x + d * (1 - v + nilai_random_ln(v)))
            return d * v;
    }
}

double nilai_random_beta(struct nilai_random *random, double a, double b)
{
    double x = nilai_random_gamma(random, a), y = nilai_random_gamma(random, b);
    return x + y > 0 ? x / (x + y) : 0.5;
}
