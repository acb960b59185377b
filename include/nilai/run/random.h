/*
 * random.h - random numbers that are the same everywhere for the same seed.
 *
 * xoshiro256** (Blackman, Vigna 2018), seeded through splitmix64. The draws use only IEEE 754
 * additions, multiplications, divisions and square roots, with logarithm and exponential of
 * our own: libm's differ in the last bit between versions and processors, and one bit, after
 * a rounding to milliseconds, is another history.
 *
 * Thread: whoever owns the struct. Not for secrets.
 */
#ifndef NILAI_RUN_RANDOM_H
#define NILAI_RUN_RANDOM_H

#include <math.h>

#include "nilai/base/base.h"

struct nilai_random {
    uint64_t state[4];
};

/* The streams of one seed are independent of each other. */
void nilai_random_init(struct nilai_random *random, uint64_t seed, uint64_t stream);

/* splitmix64's finalizer: a hash of one number. */
static inline uint64_t nilai_random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t nilai_random_next(struct nilai_random *random)
{
    uint64_t *s = random->state;
    uint64_t turned = s[1] * 5;
    uint64_t result = ((turned << 7) | (turned >> 57)) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* The upper 52 bits as a number in the open interval (0, 1). */
static inline double nilai_random_unit(uint64_t bits)
{
    return ((double)(int64_t)(bits >> 12) + 0.5) * 0x1p-52;
}

/* Uniform in the open interval (0, 1). */
static inline double nilai_random_uniform(struct nilai_random *random)
{
    return nilai_random_unit(nilai_random_next(random));
}

/* True with probability `share`. */
static inline bool nilai_random_chance(struct nilai_random *random, double share)
{
    return nilai_random_uniform(random) < share;
}

/* Uniform in [0, bound), bound > 0. The bias, below bound / 2^32, does not show. */
static inline uint32_t nilai_random_below(struct nilai_random *random, uint32_t bound)
{
    return (uint32_t)(((nilai_random_next(random) >> 32) * bound) >> 32);
}

/* Mean 1. */
double nilai_random_exponential(struct nilai_random *random);
/* Mean 0, variance 1. */
double nilai_random_normal(struct nilai_random *random);
/* For tests: how much the ziggurats' layers differ in area, relative to it. */
double nilai_random_unevenness(void);
/* Mean a / (a + b); a, b > 0. */
double nilai_random_beta(struct nilai_random *random, double a, double b);

/* Natural logarithm of a positive normal number, and e^x (0 below -700, x <= 700), both to
 * about 1e-15 relative. */
double nilai_random_ln(double x);
double nilai_random_exp(double x);

/* Marsaglia's and Tsang's gamma of 2000 for d = shape - 1/3, c = 1 / sqrt(9 d), shape >= 1. */
double nilai_random_gamma_around(struct nilai_random *random, double d, double c);

/* Mean `shape`, variance `shape`; shape > 0. Inline, so that a constant shape costs no root. Below
 * shape 1 by Gamma(k) = Gamma(k + 1) U^(1/k). */
static inline double nilai_random_gamma(struct nilai_random *random, double shape)
{
    NILAI_ASSERT(shape > 0);
    double power =
        shape < 1 ? nilai_random_exp(nilai_random_ln(nilai_random_uniform(random)) / shape) : 1;
    double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3;
    return power * nilai_random_gamma_around(random, d, 1 / sqrt(9 * d));
}

#endif
