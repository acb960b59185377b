#include "nilai/base/money.h"
#include "test.h"

typedef __int128 wide;

static enum nilai_status from_text(const char *text, int64_t *units)
{
    return nilai_money_from_text((struct nilai_text){text, (uint32_t)strlen(text)}, units);
}

/* The definition in plain integers: all digits as one number over 10^decimals, half to even
 * at the fourth. Few enough digits that 128 bits hold them. */
static enum nilai_status naive(const char *text, int64_t *units)
{
    wide number = 0, scale = 1;
    bool fraction = false;
    for (const char *at = text; *at != 0; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        number = number * 10 + (*at - '0');
        if (fraction)
            scale *= 10;
    }
    if (number > (wide)100000000000 * scale)
        return NILAI_FULL;
    wide quotient = number * NILAI_MONEY_UNIT / scale, rest = number * NILAI_MONEY_UNIT % scale;
    if (2 * rest > scale || (2 * rest == scale && quotient % 2 != 0))
        quotient++;
    *units = (int64_t)quotient;
    return NILAI_OK;
}

static size_t random_digits(uint64_t *seed, char *text, size_t count)
{
    static const char favoured[] = "00000005599991234678"; /* halves and carries, often */
    for (size_t i = 0; i < count; i++)
        text[i] = favoured[next_random(seed) % (sizeof favoured - 1)];
    return count;
}

/* Goal: strings are exact, half to even. Method: random ones against 128-bit integers. */
TEST(text_is_read_exactly)
{
    uint64_t seed = test_seed(3);
    int full = 0;
    for (int i = 0; i < 500000; i++) {
        char text[64];
        size_t at = random_digits(&seed, text, 1 + next_random(&seed) % 13);
        size_t decimals = next_random(&seed) % 11;
        if (decimals > 0) {
            text[at++] = '.';
            at += random_digits(&seed, text + at, decimals);
        }
        text[at] = 0;
        int64_t expected = -1, actual = -1;
        enum nilai_status status = naive(text, &expected);
        if (from_text(text, &actual) != status || actual != expected)
            fail_msg("%s is %" PRId64 ", not %" PRId64, text, actual, expected);
        full += status == NILAI_FULL;
    }
    CHECK(full > 1000);
}

TEST(text_of_any_length_is_exact)
{
    static char text[100002];
    int64_t units;
    memset(text, '0', 100000);
    text[100000] = '7';
    CHECK_EQ(from_text(text, &units), NILAI_OK);
    CHECK_EQ(units, 70000);
    text[1] = '.';
    CHECK_EQ(from_text(text, &units), NILAI_OK);
    CHECK_EQ(units, 0);
    memcpy(text, "0.00005", 7); /* half, and a hundred thousandth digit above it */
    CHECK_EQ(from_text(text, &units), NILAI_OK);
    CHECK_EQ(units, 1);
    text[100000] = '0';
    CHECK_EQ(from_text(text, &units), NILAI_OK);
    CHECK_EQ(units, 0);
    memset(text, '9', 100001);
    CHECK_EQ(from_text(text, &units), NILAI_FULL);
}

TEST(text_in_another_form_is_refused)
{
    static const char *const wrong[] = {"", ".", "1.", ".1", "+1", "-1", " 1", "1 ", "1e3", "1,0", "0x1",
                                        "1..0", "1.0.0", "NaN", "inf", "1.a", "99999999999999999999x"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wrong); i++) {
        int64_t units = -7;
        CHECK_EQ(from_text(wrong[i], &units), NILAI_INVALID);
        CHECK_EQ(units, -7);
    }
    int64_t units;
    CHECK_EQ(nilai_money_from_text((struct nilai_text){"1\0", 2}, &units), NILAI_INVALID);
}

TEST(numbers_are_rounded_in_binary64)
{
    static const struct {
        double value;
        int64_t units;
    } good[] = {{0, 0}, {-0.0, 0}, {12.5, 125000}, {0.00005, 0}, {0.00015, 1}, {0.00025, 2},
                {1e11, NILAI_MONEY_MAX}, {0.1 + 0.2, 3000}, {1e-320, 0}};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(good); i++) {
        int64_t units;
        CHECK_EQ(nilai_money_from_number(good[i].value, &units), NILAI_OK);
        CHECK_EQ(units, good[i].units);
    }
    static const double bad[] = {-1e-320, -1, 1e11 + 0.0001, 1e300, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(bad); i++) {
        int64_t units;
        CHECK_EQ(nilai_money_from_number(bad[i], &units), NILAI_INVALID);
    }
}

TEST(conversion_rounds_half_to_even_and_has_a_limit)
{
    int64_t units;
    CHECK_EQ(nilai_money_convert(5, 0.5, &units), NILAI_OK);
    CHECK_EQ(units, 2);
    CHECK_EQ(nilai_money_convert(7, 0.5, &units), NILAI_OK);
    CHECK_EQ(units, 4);
    CHECK_EQ(nilai_money_convert(NILAI_MONEY_MAX, 1, &units), NILAI_OK);
    CHECK_EQ(units, NILAI_MONEY_MAX);
    CHECK_EQ(nilai_money_convert(NILAI_MONEY_MAX, 1.0000000000000002, &units), NILAI_OK); /* rounds back */
    CHECK_EQ(nilai_money_convert(NILAI_MONEY_MAX, 1.000001, &units), NILAI_FULL);
    CHECK_EQ(nilai_money_convert(1, 1e300, &units), NILAI_FULL);
    CHECK_EQ(nilai_money_convert(NILAI_MONEY_MAX, 1e-300, &units), NILAI_OK);
    CHECK_EQ(units, 0);
}

/* Goal: sums are those of integers, cut to 64 bits. Method: random steps, large ones among
 * them, against 128 bits. */
TEST(sums_are_exact_and_saturate)
{
    uint64_t seed = test_seed(4);
    int64_t sum = 0;
    int saturated = 0;
    for (int i = 0; i < 200000; i++) {
        int64_t step = (int64_t)(next_random(&seed) >> (next_random(&seed) % 64));
        bool minus = next_random(&seed) & 1;
        wide expected = (wide)sum + (minus ? -(wide)step : (wide)step);
        wide cut = expected > INT64_MAX ? INT64_MAX : expected < INT64_MIN ? INT64_MIN : expected;
        bool had_to = minus ? nilai_money_subtract(&sum, step) : nilai_money_add(&sum, step);
        CHECK(had_to == (cut != expected));
        CHECK(sum == (int64_t)cut);
        saturated += had_to;
    }
    CHECK(saturated > 100);
    sum = INT64_MIN;
    CHECK(!nilai_money_subtract(&sum, INT64_MIN));
    CHECK_EQ(sum, 0);
    CHECK(nilai_money_subtract(&sum, INT64_MIN));
    CHECK_EQ(sum, INT64_MAX);
}

/* Goal: what is written reads back. Method: random counts; the sign is checked apart, since
 * an event never carries one. */
TEST(text_reads_back)
{
    char text[NILAI_MONEY_TEXT_SIZE];
    CHECK_EQ(nilai_money_format(-125000, text), 8);
    CHECK_TEXT(text, "-12.5000");
    CHECK_EQ(nilai_money_format(INT64_MIN, text), 21);
    CHECK_TEXT(text, "-922337203685477.5808");
    nilai_money_format(-1, text);
    CHECK_TEXT(text, "-0.0001");
    uint64_t seed = test_seed(5);
    for (int i = 0; i < 100000; i++) {
        int64_t units = (int64_t)(next_random(&seed) % (NILAI_MONEY_MAX + 1)) >> (next_random(&seed) % 50);
        int64_t back;
        CHECK_EQ(nilai_money_format(units, text), strlen(text));
        CHECK_EQ(from_text(text, &back), NILAI_OK);
        CHECK_EQ(back, units);
    }
}
