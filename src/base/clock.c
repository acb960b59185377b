#include "nilai/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

void nilai_clock_format(int64_t ms, char text[static NILAI_CLOCK_TEXT_SIZE])
{
    NILAI_ASSERT(ms >= 0 && ms <= NILAI_TIME_MAX_MS);
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    NILAI_ASSERT(gmtime_r(&seconds, &parts) != NULL);
    size_t used = strftime(text, NILAI_CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, NILAI_CLOCK_TEXT_SIZE - used, ".%03dZ", (int)(ms % 1000));
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
