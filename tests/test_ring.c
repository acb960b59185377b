#include "nilai/customer/ring.h"
#include "test.h"

/* Goal: the ring never disagrees with the plain definition: what happened in a period or the 12
 * before it. Method: random additions, some late, some before 1970, against a list of all. */
TEST(ring_matches_a_list_of_everything)
{
    enum { STEPS = 4000, ROUNDS = 20 };
    static struct {
        int32_t day;
        int64_t net;
    } all[STEPS];
    uint64_t seed = test_seed(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct nilai_ring ring;
        int32_t today = -1;
        nilai_ring_init(&ring, next_random(&seed));
        for (int step = 0; step < STEPS; step++) {
            today += (int32_t)(next_random(&seed) % 5);
            int32_t day = today - (int32_t)(next_random(&seed) % 500);
            all[step].day = day < -1 ? -1 : day;
            all[step].net = (int64_t)(next_random(&seed) % 2000) - 1000;
            int32_t now = nilai_ring_period(&ring, today);
            int32_t period = nilai_ring_period(&ring, all[step].day);
            bool counts = now - period < NILAI_PERIODS;
            nilai_ring_slide(&ring, now);
            CHECK(!nilai_ring_add_net(&ring, period, all[step].net));
            CHECK(!nilai_ring_add_purchase_day(&ring, period));
            if (!counts)
                all[step].net = 0, all[step].day = INT32_MIN; /* came too late to count */
            if (step % 50 != 0)
                continue;

            int32_t later = now + (int32_t)(next_random(&seed) % 15);
            int64_t net = 0;
            uint32_t days = 0;
            for (int i = 0; i <= step; i++) {
                if (all[i].day == INT32_MIN ||
                    later - nilai_ring_period(&ring, all[i].day) >= NILAI_PERIODS)
                    continue;
                net += all[i].net;
                days++;
            }
            struct nilai_ring_sums sums = nilai_ring_sums(&ring, later);
            CHECK_EQ(nilai_ring_net(&sums), net);
            CHECK_EQ(sums.purchase_days, days);
            CHECK(later < nilai_ring_empty_from(&ring) || (net == 0 && days == 0));
        }
    }
}

/* Goal: periods have 28 days and begin on the customer's own. */
TEST(periods_begin_on_the_own_day)
{
    for (uint64_t phase = 0; phase < NILAI_PERIOD_DAYS; phase++) {
        struct nilai_ring ring;
        nilai_ring_init(&ring, phase + 28 * UINT64_C(1000003));
        for (int32_t day = -1; day < 200; day++) {
            int32_t period = nilai_ring_period(&ring, day), first = nilai_ring_first_day(&ring, period);
            CHECK(first <= day && day < first + NILAI_PERIOD_DAYS);
            CHECK_EQ((first - (int32_t)phase) % NILAI_PERIOD_DAYS, 0);
        }
    }
}

/* Goal: sums beyond 64 bits stop at their ends and say so. */
TEST(sums_saturate)
{
    struct nilai_ring ring;
    nilai_ring_init(&ring, 0);
    nilai_ring_slide(&ring, 20);
    CHECK(!nilai_ring_add_net(&ring, 20, INT64_MAX - 1));
    CHECK(nilai_ring_add_net(&ring, 20, 2));
    CHECK(!nilai_ring_add_net(&ring, 19, INT64_MAX));
    struct nilai_ring_sums sums = nilai_ring_sums(&ring, 20);
    CHECK_EQ(nilai_ring_net(&sums), INT64_MAX);
    CHECK(!nilai_ring_add_net(&ring, 18, INT64_MIN));
    for (int i = 0; i < UINT16_MAX; i++)
        CHECK(!nilai_ring_add_purchase_day(&ring, 20));
    CHECK(nilai_ring_add_purchase_day(&ring, 20));
}
