#include "nilai/base/money.h"

#include <math.h>

enum { DECIMALS = 4 };

enum nilai_status nilai_money_from_number(double value, int64_t *units)
{
    if (!(value >= 0 && value <= 1e11))
        return NILAI_INVALID;
    *units = llrint(value * NILAI_MONEY_UNIT);
    return NILAI_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Skips digits from `at` on; the number of them is the result minus `at`. */
static uint32_t after_digits(struct nilai_text text, uint32_t at)
{
    while (at < text.size && is_digit(text.data[at]))
        at++;
    return at;
}

static bool any_nonzero(struct nilai_text text, uint32_t from)
{
    for (uint32_t i = from; i < text.size; i++)
        if (text.data[i] != '0')
            return true;
    return false;
}

enum nilai_status nilai_money_from_text(struct nilai_text text, int64_t *units)
{
    uint32_t point = after_digits(text, 0);
    if (point == 0)
        return NILAI_INVALID;
    uint32_t fraction = point;
    if (point < text.size) {
        if (text.data[point] != '.')
            return NILAI_INVALID;
        fraction = point + 1;
        if (fraction == text.size || after_digits(text, fraction) != text.size)
            return NILAI_INVALID;
    }

    int64_t value = 0; /* stays below 10 * NILAI_MONEY_MAX + 9, far from the end of 64 bits */
    for (uint32_t i = 0; i < point; i++) {
        value = value * 10 + (text.data[i] - '0');
        if (value > NILAI_MONEY_MAX / NILAI_MONEY_UNIT)
            return NILAI_FULL;
    }
    for (uint32_t i = 0; i < DECIMALS; i++) {
        uint32_t at = fraction + i;
        value = value * 10 + (at < text.size ? text.data[at] - '0' : 0);
    }
    uint32_t rest = fraction + DECIMALS;
    bool above = rest < text.size && any_nonzero(text, rest);
    if (value > NILAI_MONEY_MAX || (value == NILAI_MONEY_MAX && above))
        return NILAI_FULL;

    if (above) {
        int next = text.data[rest] - '0';
        bool more_than_half = next > 5 || (next == 5 && any_nonzero(text, rest + 1));
        if (more_than_half || (next == 5 && value % 2 != 0))
            value++;
    }
    *units = value;
    return NILAI_OK;
}

enum nilai_status nilai_money_convert(int64_t units, double rate, int64_t *result)
{
    double converted = rint((double)units * rate);
    if (!(converted <= (double)NILAI_MONEY_MAX))
        return NILAI_FULL;
    *result = (int64_t)converted;
    return NILAI_OK;
}

bool nilai_money_add(int64_t *sum, int64_t amount)
{
    if (!__builtin_add_overflow(*sum, amount, sum))
        return false;
    *sum = amount > 0 ? INT64_MAX : INT64_MIN;
    return true;
}

bool nilai_money_subtract(int64_t *sum, int64_t amount)
{
    if (!__builtin_sub_overflow(*sum, amount, sum))
        return false;
    *sum = amount > 0 ? INT64_MIN : INT64_MAX;
    return true;
}

size_t nilai_money_format(int64_t units, char text[static NILAI_MONEY_TEXT_SIZE])
{
    return nilai_decimal_scaled(units, DECIMALS, text);
}
