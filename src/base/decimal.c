#include "nilai/base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double powers[NILAI_DECIMAL_PLACES_MAX + 1] = {1, 10, 100, 1000, 10000};
static const uint64_t whole_powers[] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

static const char pairs[] = "00010203040506070809"
                            "10111213141516171819"
                            "20212223242526272829"
                            "30313233343536373839"
                            "40414243444546474849"
                            "50515253545556575859"
                            "60616263646566676869"
                            "70717273747576777879"
                            "80818283848586878889"
                            "90919293949596979899";

/* How many digits the value has, 1 at least: from its bits, 1233 / 4096 being log10(2), or one less
 * (Warren, Hacker's Delight). */
static uint32_t count_digits(uint64_t value)
{
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(value | 1), guess = bits * 1233 >> 12;
    return guess + (guess == 0 || value >= whole_powers[guess]);
}

static uint64_t magnitude_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void nilai_decimal_digits(uint64_t value, uint32_t count, char *text)
{
    for (; count >= 2; value /= 100, count -= 2)
        memcpy(text + count - 2, pairs + 2 * (value % 100), 2);
    if (count > 0)
        text[0] = (char)('0' + value % 10);
}

/* All its digits; returns their end. */
static char *write_whole(uint64_t value, char *text)
{
    uint32_t count = count_digits(value);
    nilai_decimal_digits(value, count, text);
    return text + count;
}

size_t nilai_decimal_integer(int64_t value, char text[static NILAI_DECIMAL_INTEGER_SIZE])
{
    char *at = text;
    if (value < 0)
        *at++ = '-';
    at = write_whole(magnitude_of(value), at);
    *at = '\0';
    return (size_t)(at - text);
}

size_t nilai_decimal_scaled(int64_t units, int places, char text[static NILAI_DECIMAL_INTEGER_SIZE])
{
    NILAI_ASSERT(places >= 1 && places <= NILAI_DECIMAL_PLACES_MAX);
    uint64_t magnitude = magnitude_of(units), unit = whole_powers[places];
    uint64_t whole = magnitude / unit;
    char *at = text;
    if (units < 0)
        *at++ = '-';
    at = write_whole(whole, at);
    *at++ = '.';
    nilai_decimal_digits(magnitude - whole * unit, (uint32_t)places, at);
    at += places;
    *at = '\0';
    return (size_t)(at - text);
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
