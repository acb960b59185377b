#include "nilai/base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 24 };

static const double powers[NILAI_DECIMAL_PLACES_MAX + 1] = {1, 10, 100, 1000, 10000};
static const uint64_t whole_powers[NILAI_DECIMAL_PLACES_MAX + 1] = {1, 10, 100, 1000, 10000};

/* Writes the digits of `value` so that they end before `end`, at least `least` of them; returns
 * where they begin. */
static char *write_digits(uint64_t value, int least, char *end)
{
    char *at = end;
    for (; value > 0 || least > 0; value /= 10, least--)
        *--at = (char)('0' + value % 10);
    return at;
}

/* A copy of fixed length is a few instructions; there is room beyond the end for it. */
static size_t finish(const char *from, const char *end, char *text)
{
    size_t size = (size_t)(end - from);
    memcpy(text, from, DIGITS_MAX + 2);
    text[size] = '\0';
    return size;
}

static uint64_t magnitude_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void nilai_decimal_digits(uint64_t value, uint32_t count, char *text)
{
    for (; count > 0; value /= 10)
        text[--count] = (char)('0' + value % 10);
}

size_t nilai_decimal_integer(int64_t value, char text[static NILAI_DECIMAL_INTEGER_SIZE])
{
    char digits[2 * (DIGITS_MAX + 2)], *end = digits + DIGITS_MAX;
    char *from = write_digits(magnitude_of(value), 1, end);
    if (value < 0)
        *--from = '-';
    return finish(from, end, text);
}

size_t nilai_decimal_scaled(int64_t units, int places, char text[static NILAI_DECIMAL_INTEGER_SIZE])
{
    NILAI_ASSERT(places >= 1 && places <= NILAI_DECIMAL_PLACES_MAX);
    char digits[2 * (DIGITS_MAX + 2)], *end = digits + DIGITS_MAX;
    uint64_t magnitude = magnitude_of(units), unit = whole_powers[places];
    char *from = write_digits(magnitude % unit, places, end);
    *--from = '.';
    from = write_digits(magnitude / unit, 1, from);
    if (units < 0)
        *--from = '-';
    return finish(from, end, text);
}

/*
 * rint(value * scale) with the product as it really is. The product's rounding error is exact by
 * Dekker 1971: `high` has 26 bits and `scale` 14, so that both partial products have no error.
 * It decides only where the rounded product lies midway between two integers.
 */
static double round_scaled(double value, double scale)
{
    double product = value * scale, nearest = rint(product), midway = product - nearest;
    if (fabs(midway) != 0.5)
        return nearest;
    uint64_t bits;
    double high;
    memcpy(&bits, &value, sizeof bits);
    bits &= ~UINT64_C(0) << 27;
    memcpy(&high, &bits, sizeof high);
    double error = (high * scale - product) + (value - high) * scale;
    if (midway > 0 && error > 0)
        return nearest + 1;
    return midway < 0 && error < 0 ? nearest - 1 : nearest;
}

size_t nilai_decimal_fixed(double value, int places, char text[static NILAI_DECIMAL_FIXED_SIZE])
{
    NILAI_ASSERT(isfinite(value) && places >= 1 && places <= NILAI_DECIMAL_PLACES_MAX);
    if (fabs(value) * powers[places] < 0x1p52)
        return nilai_decimal_scaled((int64_t)round_scaled(value, powers[places]), places, text);
    int size = snprintf(text, NILAI_DECIMAL_FIXED_SIZE, "%.*f", places, value);
    NILAI_ASSERT(size > 0 && size < NILAI_DECIMAL_FIXED_SIZE);
    return (size_t)size;
}
