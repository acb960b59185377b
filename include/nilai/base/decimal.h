/*
 * decimal.h - numbers as decimal text, byte for byte what printf writes, at a tenth of its cost:
 * a published change holds a dozen of them.
 *
 * All texts but bare digits are terminated; the results are their lengths. Pure; thread: any.
 */
#ifndef NILAI_BASE_DECIMAL_H
#define NILAI_BASE_DECIMAL_H

#include "nilai/base/base.h"

enum {
    NILAI_DECIMAL_INTEGER_SIZE = 48, /* also of a scaled integer; more than it needs */
    NILAI_DECIMAL_FIXED_SIZE = 352,  /* "-", 309 digits, ".", decimals, and room */
    NILAI_DECIMAL_PLACES_MAX = 4,
};

/* The last `count` digits of the value, with zeros before it; not terminated. */
void nilai_decimal_digits(uint64_t value, uint32_t count, char *text);

/* "%" PRId64. */
size_t nilai_decimal_integer(int64_t value, char text[static NILAI_DECIMAL_INTEGER_SIZE]);

/* units / 10^places with so many decimals, exactly; places in 1 .. NILAI_DECIMAL_PLACES_MAX. */
size_t nilai_decimal_scaled(int64_t units, int places,
                            char text[static NILAI_DECIMAL_INTEGER_SIZE]);

/* "%.<places>f" of a finite value, half to even as the value really is; but never "-0.0000". */
size_t nilai_decimal_fixed(double value, int places, char text[static NILAI_DECIMAL_FIXED_SIZE]);

#endif
