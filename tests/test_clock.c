#include "nilai/base/clock.h"
#include "test.h"

#include <time.h>

static void check_format(int64_t ms)
{
    char text[NILAI_CLOCK_TEXT_SIZE], date[NILAI_CLOCK_TEXT_SIZE], expected[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    CHECK(gmtime_r(&seconds, &parts) != NULL);
    CHECK(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) > 0);
    snprintf(expected, sizeof expected, "%s.%03dZ", date, (int)(ms % 1000));
    nilai_clock_format(ms, text);
    CHECK_TEXT(text, expected);
}

/* Goal: instants are written as the C library would write them. Method: every day of all years at
 * its first and last ms, and random instants. */
TEST(every_day_of_the_calendar_has_its_date)
{
    uint64_t seed = test_seed(72);
    for (int64_t day_ms = 0; day_ms < NILAI_TIME_MAX_MS; day_ms += 86400000) {
        check_format(day_ms);
        check_format(day_ms + 86399999);
    }
    for (int i = 0; i < 100000; i++)
        check_format((int64_t)(next_random(&seed) % (NILAI_TIME_MAX_MS + 1)));
}

/* Goal: what is written is read back as the same instant. */
TEST(what_is_written_reads_back)
{
    uint64_t seed = test_seed(73);
    for (int i = 0; i < 10000; i++) {
        char text[NILAI_CLOCK_TEXT_SIZE];
        int64_t ms = (int64_t)(next_random(&seed) % (NILAI_TIME_MAX_MS + 1)), read;
        nilai_clock_format(ms, text);
        CHECK_EQ(nilai_clock_parse(text, &read), NILAI_OK);
        CHECK_EQ(read, ms);
    }
}
