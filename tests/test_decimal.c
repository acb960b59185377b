#include "nilai/base/decimal.h"
#include "test.h"

#include <float.h>

/* What printf says, without the sign of a zero. */
static const char *expected(double value, int places)
{
    static char text[NILAI_DECIMAL_FIXED_SIZE];
    snprintf(text, sizeof text, "%.*f", places, value);
    return text[0] == '-' && strspn(text + 1, "0.") == strlen(text + 1) ? text + 1 : text;
}

static void check_fixed(double value)
{
    char text[NILAI_DECIMAL_FIXED_SIZE];
    for (int places = 1; places <= NILAI_DECIMAL_PLACES_MAX; places++) {
        size_t size = nilai_decimal_fixed(value, places, text);
        CHECK_TEXT(text, expected(value, places));
        CHECK_EQ(size, strlen(text));
    }
}

/* Goal: integers of every length are written as printf writes them. */
TEST(integers_are_as_printf_writes_them)
{
    static const int64_t ends[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN};
    char text[NILAI_DECIMAL_INTEGER_SIZE], other[NILAI_DECIMAL_INTEGER_SIZE];
    uint64_t seed = test_seed(70);
    for (size_t i = 0; i < 100000; i++) {
        int64_t value = i < NILAI_ARRAY_LEN(ends) ? ends[i]
                                                  : (int64_t)next_random(&seed) >> next_random(&seed) % 64;
        snprintf(other, sizeof other, "%" PRId64, value);
        CHECK_EQ(nilai_decimal_integer(value, text), strlen(other));
        CHECK_TEXT(text, other);
    }
}

/* Goal: scaled integers are exact at both ends of 64 bits. */
TEST(scaled_integers_are_exact)
{
    char text[NILAI_DECIMAL_INTEGER_SIZE];
    nilai_decimal_scaled(INT64_MIN, 4, text);
    CHECK_TEXT(text, "-922337203685477.5808");
    nilai_decimal_scaled(INT64_MAX, 1, text);
    CHECK_TEXT(text, "922337203685477580.7");
    CHECK_EQ(nilai_decimal_scaled(-5, 2, text), 5);
    CHECK_TEXT(text, "-0.05");
    nilai_decimal_scaled(0, 3, text);
    CHECK_TEXT(text, "0.000");
}

/* Goal: reals are rounded as printf rounds them. Method: values whose product with a power of ten
 * lies midway or one step beside it, where the rounded product alone would mislead, and values of
 * every size. */
TEST(reals_are_rounded_as_printf_rounds_them)
{
    static const double ends[] = {0,       -0.0,    0.00005,  -0.00005, 0.00004999999, 0.125,
                                  -2.5,    0.25,    0.35,     4503599627370495.5, 9007199254740993.0,
                                  0x1p52,  0x1p53,  1e22,     DBL_MAX,  -DBL_MAX,      DBL_MIN,
                                  DBL_TRUE_MIN, -DBL_TRUE_MIN, 450359962737.04955};
    uint64_t seed = test_seed(71);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(ends); i++)
        check_fixed(ends[i]);
    for (int i = 0; i < 200000; i++) {
        double scale = (double[]){10, 100, 1000, 10000}[next_random(&seed) % 4];
        double size = ldexp(1, (int)(next_random(&seed) % 50));
        double midway = (floor(next_uniform(&seed) * size) + 0.5) / scale;
        check_fixed(midway);
        check_fixed(nextafter(midway, -DBL_MAX));
        check_fixed(-nextafter(midway, DBL_MAX));
        check_fixed((next_uniform(&seed) - 0.5) * ldexp(1, (int)(next_random(&seed) % 80) - 20));
    }
}
