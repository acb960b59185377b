#include "nilai/run/random.h"
#include "test.h"

/* Goal: our logarithm and exponential are as good as libm's.
 * Method: compare over many magnitudes. */
TEST(logarithm_and_exponential_agree_with_libm)
{
    uint64_t seed = test_seed(1);
    for (int i = 0; i < 200000; i++) {
        double x = ldexp(1 + next_uniform(&seed), (int)(next_random(&seed) % 200) - 100);
        CHECK_NEAR(nilai_random_ln(x), log(x), 4e-16 * fabs(log(x)) + 1e-16);
        double y = 1400 * next_uniform(&seed) - 700;
        CHECK_NEAR(nilai_random_exp(y) / exp(y), 1, 4e-15);
    }
    CHECK(nilai_random_ln(1) == 0);
    CHECK(nilai_random_exp(0) == 1);
    CHECK(nilai_random_exp(-701) == 0);
}

/* Goal: a seed and a stream decide the numbers, for ever.
 * Method: numbers noted once; neighbours of seed and stream give others. */
TEST(the_sequence_is_fixed)
{
    struct nilai_random a, b, c;
    nilai_random_init(&a, 42, 1);
    nilai_random_init(&b, 42, 2);
    nilai_random_init(&c, 43, 1);
    uint64_t first = nilai_random_next(&a);
    CHECK(first != nilai_random_next(&b));
    CHECK(first != nilai_random_next(&c));
    assert_int_equal(first, UINT64_C(0x5057e51f8ed2c27f));
}

/* Goal: the generator is xoshiro256**.
 * Method: its published reference's first numbers from the state 1, 2, 3, 4. */
TEST(it_is_xoshiro)
{
    struct nilai_random random = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(expected); i++)
        CHECK(nilai_random_next(&random) == expected[i]);
}

struct moments {
    double mean, variance;
};

enum draw { EXPONENTIAL, NORMAL, GAMMA, BETA, UNIFORM };

static struct moments measure(enum draw draw, double a, double b, uint64_t seed, int count)
{
    struct nilai_random random;
    double sum = 0, squares = 0;
    nilai_random_init(&random, seed, 7);
    for (int i = 0; i < count; i++) {
        double x = draw == EXPONENTIAL ? nilai_random_exponential(&random)
                   : draw == NORMAL    ? nilai_random_normal(&random)
                   : draw == GAMMA     ? nilai_random_gamma(&random, a)
                   : draw == BETA      ? nilai_random_beta(&random, a, b)
                                       : nilai_random_uniform(&random);
        sum += x;
        squares += x * x;
    }
    double mean = sum / count;
    return (struct moments){mean, squares / count - mean * mean};
}

/* Goal: each distribution has its mean and its variance.
 * Method: a million draws; five standard errors for the mean, 5 % for the variance. */
TEST(distributions_have_their_moments)
{
    static const struct {
        enum draw draw;
        double a, b, mean, variance;
    } cases[] = {
        {UNIFORM, 0, 0, 0.5, 1.0 / 12},
        {EXPONENTIAL, 0, 0, 1, 1},
        {NORMAL, 0, 0, 0, 1},
        {GAMMA, 0.07, 0, 0.07, 0.07},
        {GAMMA, 0.6371, 0, 0.6371, 0.6371},
        {GAMMA, 1, 0, 1, 1},
        {GAMMA, 6.2754, 0, 6.2754, 6.2754},
        {BETA, 0.8075, 1.2284, 0.8075 / 2.0359, 0.8075 * 1.2284 / (2.0359 * 2.0359 * 3.0359)},
    };
    enum { COUNT = 1000000 };
    uint64_t seed = test_seed(2);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(cases); i++) {
        struct moments found = measure(cases[i].draw, cases[i].a, cases[i].b, seed, COUNT);
        CHECK_NEAR(found.mean, cases[i].mean, 5 * sqrt(cases[i].variance / COUNT));
        CHECK_NEAR(found.variance, cases[i].variance, 0.05 * cases[i].variance);
    }
}

static double normal_below(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

static double exponential_below(double x)
{
    return 1 - exp(-x);
}

static void check_shares(double (*draw)(struct nilai_random *random), double (*below)(double x),
                         const double *points, size_t count, uint64_t seed)
{
    enum { COUNT = 4000000 };
    struct nilai_random random;
    uint64_t found[32] = {0};
    nilai_random_init(&random, seed, 8);
    for (int i = 0; i < COUNT; i++) {
        double x = draw(&random);
        for (size_t k = 0; k < count; k++)
            found[k] += x < points[k];
    }
    for (size_t k = 0; k < count; k++) {
        double share = below(points[k]);
        CHECK_NEAR((double)found[k] / COUNT, share, 5 * sqrt(share * (1 - share) / COUNT));
    }
}

/* Goal: the ziggurats have the right density everywhere: under the steps, at the top, in the tail.
 * Method: shares below many points against the distribution functions, within five standard
 * errors. */
TEST(ziggurats_have_their_shape)
{
    static const double normal_points[] = {-4, -3.5, -3.4, -3, -2, -1, -0.5, -0.2, -0.1, 0,
                                           0.1, 0.2, 0.3, 0.5, 1, 1.5, 2, 3, 3.4, 3.5, 4};
    static const double exponential_points[] = {0.01, 0.05, 0.09, 0.1, 0.2, 0.5, 1, 2, 3, 4,
                                                5, 6, 6.5, 6.9, 7, 7.5, 8, 10};
    uint64_t seed = test_seed(4);
    check_shares(nilai_random_normal, normal_below, normal_points, NILAI_ARRAY_LEN(normal_points), seed);
    check_shares(nilai_random_exponential, exponential_below, exponential_points,
                 NILAI_ARRAY_LEN(exponential_points), seed);
}

/* Goal: no edge of a ziggurat is wrong, not even by so little that no sample tells.
 * Method: all layers have the area that the first edge and the tail beyond it make. */
TEST(layers_of_ziggurats_are_equal)
{
    CHECK_NEAR(nilai_random_unevenness(), 0, 1e-12);
}

/* Goal: below() reaches every number below its bound about equally often, and no other. */
TEST(below_is_even)
{
    struct nilai_random random;
    uint32_t counts[7] = {0};
    nilai_random_init(&random, test_seed(3), 1);
    for (int i = 0; i < 700000; i++) {
        uint32_t x = nilai_random_below(&random, 7);
        CHECK(x < 7);
        counts[x]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK_NEAR(counts[i], 100000, 5 * 316);
    CHECK_EQ(nilai_random_below(&random, 1), 0);
}
