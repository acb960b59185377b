#include "nilai/state/erased.h"
#include "test.h"

static struct nilai_text name_of(char text[16], uint32_t i)
{
    int size = snprintf(text, 16, "c%u", i);
    return (struct nilai_text){text, (uint32_t)size};
}

/* Goal: exactly the erasures within erase.remember cover events up to their ts.
 * Method: random erasures and look-ups as the clock moves, against an array. */
TEST(erasures_match_the_plain_model)
{
    enum { CUSTOMERS = 500, STEPS = 60000, REMEMBER_MS = 5000 };
    struct {
        int64_t ts_ms, clock_ms;
    } model[CUSTOMERS];
    char text[16];
    uint64_t seed = test_seed(1);
    int64_t clock_ms = 0;
    struct nilai_erased *erased = nilai_erased_create(REMEMBER_MS, 1000, 7);
    for (int i = 0; i < CUSTOMERS; i++)
        model[i].clock_ms = -REMEMBER_MS - 1;
    for (int step = 0; step < STEPS; step++) {
        uint32_t who = (uint32_t)(next_random(&seed) % CUSTOMERS);
        struct nilai_text id = name_of(text, who);
        clock_ms += (int64_t)(next_random(&seed) % 20);
        int64_t ts_ms = clock_ms - (int64_t)(next_random(&seed) % 3000);
        if (ts_ms < 0)
            ts_ms = 0;
        bool covered = clock_ms - model[who].clock_ms < REMEMBER_MS && ts_ms <= model[who].ts_ms;
        CHECK_EQ(nilai_erased_covers(erased, id, ts_ms, clock_ms), covered);
        if (covered || next_random(&seed) % 4 != 0)
            continue;
        CHECK_EQ(nilai_erased_add(erased, id, ts_ms, clock_ms), NILAI_OK);
        model[who].ts_ms = ts_ms;
        model[who].clock_ms = clock_ms;
    }
    nilai_erased_destroy(erased);
}

/* Goal: there is a limit, and room again when the clock has moved on. */
TEST(too_many_erasures_are_refused_until_some_expire)
{
    enum { MANY = 100 };
    char text[16];
    struct nilai_erased *erased = nilai_erased_create(1000, MANY, 7);
    for (uint32_t i = 0; i < MANY; i++)
        CHECK_EQ(nilai_erased_add(erased, name_of(text, i), 5, 5), NILAI_OK);
    CHECK_EQ(nilai_erased_add(erased, name_of(text, MANY), 5, 5), NILAI_FULL);
    CHECK_EQ(nilai_erased_add(erased, name_of(text, MANY), 5, 1004), NILAI_FULL);
    CHECK_EQ(nilai_erased_add(erased, name_of(text, MANY), 5, 1005), NILAI_OK);
    CHECK_EQ(nilai_erased_count(erased), 1);
    nilai_erased_destroy(erased);
}
