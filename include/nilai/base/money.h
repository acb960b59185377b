/*
 * money.h - amounts as a signed 64-bit count of ten-thousandths.
 *
 * A number v becomes rint(v * 1e4) in binary64; a decimal string is read exactly,
 * half to even. Sums are exact within 64 bits and saturate beyond.
 */
#ifndef NILAI_BASE_MONEY_H
#define NILAI_BASE_MONEY_H

#include "nilai/base/decimal.h"

enum { NILAI_MONEY_UNIT = 10000 };
/* The largest amount an event may carry: 1e11 in major units. */
#define NILAI_MONEY_MAX (INT64_C(100000000000) * NILAI_MONEY_UNIT)

/* rint(value * 1e4). NILAI_INVALID if value is not within [0, 1e11] (NaN too). */
NILAI_MUST_CHECK enum nilai_status nilai_money_from_number(double value, int64_t *units);

/* Digits, optionally a point and digits; exact, half to even at the fourth decimal.
 * NILAI_INVALID if it is not such a string, NILAI_FULL if it is above 1e11. */
NILAI_MUST_CHECK enum nilai_status nilai_money_from_text(struct nilai_text text, int64_t *units);

/* rint(units * rate). NILAI_FULL if the result is above NILAI_MONEY_MAX. */
NILAI_MUST_CHECK enum nilai_status nilai_money_convert(int64_t units, double rate, int64_t *result);

/* *sum += amount, saturated at the ends of 64 bits; true if it had to be. */
bool nilai_money_add(int64_t *sum, int64_t amount);
/* *sum -= amount, likewise. */
bool nilai_money_subtract(int64_t *sum, int64_t amount);

enum { NILAI_MONEY_TEXT_SIZE = NILAI_DECIMAL_INTEGER_SIZE };

/* "-12.5000"; returns the length. */
size_t nilai_money_format(int64_t units, char text[static NILAI_MONEY_TEXT_SIZE]);

#endif
