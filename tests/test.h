/*
 * test.h - TEST(claim) { CHECK(...); } on top of cmocka.
 *
 * Every file tests/test_<noun>.c is one program; its tests register themselves and run in
 * the order of the file. A program takes an optional argument: a pattern of test names.
 */
#ifndef NILAI_TEST_H
#define NILAI_TEST_H

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nilai/base/clock.h"

enum { TESTS_MAX = 256 };
extern struct CMUnitTest test_list[TESTS_MAX];
extern size_t test_count;

#define TEST(claim)                                                                  \
    static void claim(void **test_state);                                            \
    __attribute__((constructor)) static void register_##claim(void)                  \
    {                                                                                \
        test_list[test_count++] = (struct CMUnitTest)cmocka_unit_test(claim);         \
    }                                                                                \
    static void claim(__attribute__((unused)) void **test_state)

#define CHECK(claim) assert_true(claim)
#define CHECK_EQ(actual, expected)                                                    \
    do {                                                                              \
        long long check_a = (long long)(actual), check_e = (long long)(expected);     \
        if (check_a != check_e)                                                       \
            fail_msg("%s:%d: %s is %lld, not %lld", __FILE__, __LINE__, #actual, check_a, check_e); \
    } while (0)
#define CHECK_NEAR(actual, expected, tolerance)                                       \
    do {                                                                              \
        double check_a = (actual), check_e = (expected);                              \
        if (!(fabs(check_a - check_e) <= (tolerance)))                                \
            fail_msg("%s:%d: %s is %.15g, not %.15g", __FILE__, __LINE__, #actual, check_a, check_e); \
    } while (0)
#define CHECK_TEXT(actual, expected) assert_string_equal(actual, expected)

/* How long a test waits for what must come: it fails for what never comes, not for what comes late
 * on a busy machine. */
enum { PATIENCE_MS = 240000 };

/* Does `step` until `claim` holds. */
#define WAIT_FOR(claim, step)                                                         \
    for (int64_t wait_end = nilai_clock_monotonic_ms() + PATIENCE_MS; !(claim);) {    \
        if (nilai_clock_monotonic_ms() > wait_end)                                    \
            fail_msg("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #claim);    \
        step;                                                                         \
    }

/* splitmix64: the next of a sequence that the seed decides. */
static inline uint64_t next_random(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline double next_uniform(uint64_t *seed)
{
    return (double)(next_random(seed) >> 11) * 0x1p-53;
}

/* The seed of this run: NILAI_TEST_SEED, else `fallback`; printed, so that a failure replays. */
uint64_t test_seed(uint64_t fallback);

#endif
