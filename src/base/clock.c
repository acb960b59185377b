#include "nilai/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nilai/base/decimal.h"

#define DAY_MS INT64_C(86400000)

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    NILAI_ASSERT(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int64_t nilai_clock_wall_ms(void)
{
    return nilai_clock_wall_us() / 1000;
}

int64_t nilai_clock_wall_us(void)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000);
}

uint64_t nilai_clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t nilai_clock_monotonic_ms(void)
{
    return (int64_t)(nilai_clock_monotonic_ns() / 1000000);
}

uint64_t nilai_clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

struct date {
    uint32_t year, month, day;
};

/*
 * The date of a day since 1970: Hinnant, "chrono-compatible low-level date algorithms",
 * civil_from_days, for days that are not before 1970. gmtime_r takes a lock, and every message has
 * a time. Years begin in March, so that the leap day is their last; an era has 400 of them.
 */
static struct date date_of(uint32_t day_since_1970)
{
    uint32_t day = day_since_1970 + 719468; /* since 0000-03-01 */
    uint32_t era = day / 146097, of_era = day % 146097;
    uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month_from_march = (5 * of_year + 2) / 153;
    uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct date){
        .year = year_of_era + 400 * era + (month <= 2),
        .month = month,
        .day = of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

void nilai_clock_format(int64_t ms, char text[static NILAI_CLOCK_TEXT_SIZE])
{
    NILAI_ASSERT(ms >= 0 && ms <= NILAI_TIME_MAX_MS);
    struct date date = date_of((uint32_t)(ms / DAY_MS));
    uint32_t of_day_ms = (uint32_t)(ms % DAY_MS), of_day_s = of_day_ms / 1000;
    static const char form[] = "0000-00-00T00:00:00.000Z";
    memcpy(text, form, sizeof form);
    nilai_decimal_digits(date.year, 4, text);
    nilai_decimal_digits(date.month, 2, text + 5);
    nilai_decimal_digits(date.day, 2, text + 8);
    nilai_decimal_digits(of_day_s / 3600, 2, text + 11);
    nilai_decimal_digits(of_day_s / 60 % 60, 2, text + 14);
    nilai_decimal_digits(of_day_s % 60, 2, text + 17);
    nilai_decimal_digits(of_day_ms % 1000, 3, text + 20);
}

static enum nilai_status parse_integer(const char *text, int64_t *ms)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < 0 || value > NILAI_TIME_MAX_MS)
        return NILAI_INVALID;
    *ms = value;
    return NILAI_OK;
}

/* ".5Z" -> 500; the text after the seconds must be Z or a fraction and Z. */
static bool parse_fraction(const char *text, int64_t *ms)
{
    *ms = 0;
    if (*text == '.') {
        int64_t unit = 100;
        for (text++; isdigit((unsigned char)*text) && unit > 0; text++, unit /= 10)
            *ms += (*text - '0') * unit;
        if (unit == 100)
            return false;
    }
    return strcmp(text, "Z") == 0;
}

enum nilai_status nilai_clock_parse(const char *text, int64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0')
        return parse_integer(text, ms);

    struct tm parts = {0};
    int64_t fraction_ms = 0;
    const char *rest = strptime(text, "%Y-%m-%d", &parts);
    if (rest == NULL)
        return NILAI_INVALID;
    if (*rest == 'T') {
        rest = strptime(rest, "T%H:%M:%S", &parts);
        if (rest == NULL || !parse_fraction(rest, &fraction_ms))
            return NILAI_INVALID;
    } else if (*rest != '\0') {
        return NILAI_INVALID;
    }
    const struct tm said = parts;
    int64_t value = (int64_t)timegm(&parts) * 1000 + fraction_ms;
    /* timegm takes the 30th of February for the 2nd of March: who wrote it meant neither. */
    if (parts.tm_mday != said.tm_mday || parts.tm_sec != said.tm_sec)
        return NILAI_INVALID;
    if (value < 0 || value > NILAI_TIME_MAX_MS)
        return NILAI_INVALID;
    *ms = value;
    return NILAI_OK;
}
