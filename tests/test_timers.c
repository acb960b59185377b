#include "nilai/state/timers.h"
#include "test.h"

#define LAST_SECOND INT64_C(253402300799)

enum { NUMBERS = 500, STEPS = 60000, UNARMED = -1 };

/* Seconds by number, or UNARMED; and the second that is now. */
static int64_t model[NUMBERS];
static int64_t now_s;

static struct nilai_timers *create(uint32_t numbers)
{
    struct nilai_timers *timers = nilai_timers_create();
    CHECK(timers != NULL);
    CHECK_EQ(nilai_timers_reserve(timers, numbers), NILAI_OK);
    return timers;
}

/* One due timer, however many have to be moved before. */
static bool take_due(struct nilai_timers *timers, int64_t second, uint32_t *number)
{
    enum nilai_status status;
    do
        status = nilai_timers_pop_due(timers, second, number);
    while (status == NILAI_BUSY);
    return status == NILAI_OK;
}

static int64_t earliest(void)
{
    int64_t first = INT64_MAX;
    for (int i = 0; i < NUMBERS; i++) {
        if (model[i] != UNARMED && model[i] < first)
            first = model[i];
    }
    return first;
}

/* From "at once" to the year 9999, on all scales alike. */
static int64_t random_second(uint64_t *seed)
{
    int64_t ahead = (int64_t)(next_random(seed) >> (26 + next_random(seed) % 38));
    int64_t second = now_s - 3 + ahead;
    return second < 0 ? 0 : second > LAST_SECOND ? LAST_SECOND : second;
}

static void arm(struct nilai_timers *timers, uint64_t *seed)
{
    uint32_t number = (uint32_t)(next_random(seed) % NUMBERS);
    model[number] = random_second(seed);
    nilai_timers_arm(timers, number, model[number]);
    CHECK_EQ(nilai_timers_armed_at(timers, number), model[number]);
}

static void cancel(struct nilai_timers *timers, uint64_t *seed)
{
    uint32_t number = (uint32_t)(next_random(seed) % NUMBERS);
    model[number] = UNARMED;
    nilai_timers_cancel(timers, number);
    CHECK_EQ(nilai_timers_armed_at(timers, number), INT64_MAX);
}

/* Expires up to `to_s`; exactly the due ones have to come out. */
static void move_clock(struct nilai_timers *timers, int64_t to_s)
{
    uint32_t number;

    now_s = to_s;
    while (take_due(timers, now_s, &number)) {
        CHECK(number < NUMBERS && model[number] != UNARMED);
        CHECK(model[number] <= now_s);
        model[number] = UNARMED;
        CHECK_EQ(nilai_timers_armed_at(timers, number), INT64_MAX);
    }
    CHECK(earliest() > now_s);
    CHECK(nilai_timers_next_s(timers) > now_s);
}

static void check_bound(const struct nilai_timers *timers)
{
    int64_t first = earliest(), bound = nilai_timers_next_s(timers);

    CHECK((first == INT64_MAX) == (bound == INT64_MAX));
    CHECK(bound <= (first < now_s ? now_s : first));
}

static void run(uint64_t *seed, int clock_bits)
{
    struct nilai_timers *timers = create(NUMBERS);

    now_s = 0;
    for (int i = 0; i < NUMBERS; i++)
        model[i] = UNARMED;
    for (int step = 0; step < STEPS && now_s < LAST_SECOND; step++) {
        uint64_t dice = next_random(seed) % 16;
        if (dice < 11) {
            arm(timers, seed);
        } else if (dice < 13) {
            cancel(timers, seed);
        } else {
            int64_t to_s = now_s + (int64_t)(next_random(seed) % (UINT64_C(1) << clock_bits));
            move_clock(timers, to_s < LAST_SECOND ? to_s : LAST_SECOND);
        }
        check_bound(timers);
        if (step % 997 == 0)
            nilai_timers_validate(timers);
    }
    move_clock(timers, LAST_SECOND);
    CHECK_EQ(nilai_timers_next_s(timers), INT64_MAX);
    nilai_timers_validate(timers);
    nilai_timers_destroy(timers);
}

/* Goal: the wheels never disagree with a plain list of seconds.
 * Method: random arming on all scales and in both directions, cancelling, and clock jumps of
 * up to seconds, hours, months, centuries, each to the end of time. */
TEST(timers_match_the_plain_model)
{
    static const int clock_bits[] = {3, 13, 24, 33};
    uint64_t seed = test_seed(11);

    for (size_t i = 0; i < NILAI_ARRAY_LEN(clock_bits); i++)
        run(&seed, clock_bits[i]);
}

/* Goal: what is due at different seconds comes out in that order.
 * Method: shuffled seconds over two years, taken out day by day. */
TEST(timers_come_out_in_order)
{
    enum { COUNT = 3000, DAY = 86400 };
    struct nilai_timers *timers = create(COUNT);
    uint64_t seed = test_seed(5);
    static int64_t seconds[COUNT];
    int64_t last = 0;
    uint32_t number, popped = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        seconds[i] = 1 + (int64_t)(next_random(&seed) % (730 * DAY));
        nilai_timers_arm(timers, i, seconds[i]);
    }
    for (int64_t day = 0; day <= 730; day++) {
        while (take_due(timers, day * DAY, &number)) {
            CHECK(seconds[number] >= last);
            last = seconds[number];
            popped++;
        }
    }
    CHECK_EQ(popped, COUNT);
    nilai_timers_destroy(timers);
}

/* Goal: the first jump from 1970 to today, the last second of all, and what is armed at or
 * before now behave like anything else.
 * Method: by hand. */
TEST(timers_know_the_edges_of_time)
{
    enum { TODAY = 1790000000 };
    struct nilai_timers *timers = create(4);
    uint32_t number;

    CHECK_EQ(nilai_timers_next_s(timers), INT64_MAX);
    CHECK(!take_due(timers, TODAY, &number));
    nilai_timers_arm(timers, 0, LAST_SECOND);
    nilai_timers_arm(timers, 1, TODAY);
    nilai_timers_arm(timers, 2, 0);
    nilai_timers_arm(timers, 3, TODAY + 1);
    CHECK(nilai_timers_next_s(timers) <= TODAY);
    CHECK(take_due(timers, TODAY, &number) && (number == 1 || number == 2));
    CHECK(take_due(timers, TODAY, &number) && (number == 1 || number == 2));
    CHECK(!take_due(timers, TODAY, &number));
    CHECK_EQ(nilai_timers_next_s(timers), TODAY + 1);
    CHECK(!take_due(timers, TODAY, &number));
    CHECK(take_due(timers, LAST_SECOND - 1, &number) && number == 3);
    CHECK(!take_due(timers, LAST_SECOND - 1, &number));
    CHECK_EQ(nilai_timers_next_s(timers), LAST_SECOND);
    CHECK(take_due(timers, LAST_SECOND, &number) && number == 0);
    CHECK(!take_due(timers, LAST_SECOND, &number));
    nilai_timers_destroy(timers);
}

/* Goal: room is made for numbers as they come, and nothing armed is lost by it.
 * Method: reserve one number at a time across several chunks. */
TEST(timers_grow_with_the_numbers)
{
    enum { COUNT = 50000 };
    struct nilai_timers *timers = create(0);
    uint32_t number, popped = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK_EQ(nilai_timers_reserve(timers, i + 1), NILAI_OK);
        CHECK_EQ(nilai_timers_armed_at(timers, i), INT64_MAX);
        nilai_timers_arm(timers, i, i % 7777);
    }
    nilai_timers_validate(timers);
    CHECK(nilai_timers_memory_bytes(timers) >= COUNT * 13);
    while (take_due(timers, 7777, &number))
        popped++;
    CHECK_EQ(popped, COUNT);
    nilai_timers_destroy(timers);
}

/* Goal: a slot that holds a good part of all timers, as that of a midnight does, is worked off in
 * pieces, and meanwhile timers can be armed and cancelled as ever.
 * Method: thousands of timers for one second, a day ahead; between the calls some of them are
 * cancelled, moved earlier or later. */
TEST(timers_of_a_crowded_slot_come_in_pieces)
{
    enum { COUNT = 20000, MIDNIGHT = 1790035200, LATER = MIDNIGHT + 5250 };
    struct nilai_timers *timers = create(COUNT);
    static uint8_t taken[COUNT], cancelled[COUNT];
    uint64_t seed = test_seed(6);
    uint32_t number, busy = 0, popped = 0, gone = 0;
    enum nilai_status status = NILAI_OK;

    CHECK(!take_due(timers, MIDNIGHT - 86400, &number));
    for (uint32_t i = 0; i < COUNT; i++)
        nilai_timers_arm(timers, i, MIDNIGHT);
    for (int64_t now = MIDNIGHT - 1024; now <= LATER; now += 251) {
        while ((status = nilai_timers_pop_due(timers, now, &number)) != NILAI_MISSING) {
            busy += status == NILAI_BUSY;
            if (status == NILAI_OK) {
                CHECK(!taken[number] && !cancelled[number]);
                taken[number] = 1;
                popped++;
            }
            uint32_t other = (uint32_t)(next_random(&seed) % COUNT);
            if (taken[other] || cancelled[other])
                continue;
            if (next_random(&seed) % 4 == 0) {
                nilai_timers_cancel(timers, other);
                cancelled[other] = 1;
                gone++;
            } else {
                nilai_timers_arm(timers, other,
                                 MIDNIGHT - 600 + (int64_t)(next_random(&seed) % 5600));
            }
            if (busy % 64 == 1)
                nilai_timers_validate(timers);
        }
        nilai_timers_validate(timers);
    }
    CHECK(busy > COUNT / 100);
    CHECK_EQ(popped + gone, COUNT);
    nilai_timers_destroy(timers);
}
