#include "customers.h"
#include "nilai/base/clock.h"
#include "nilai/customer/deadline.h"
#include "nilai/customer/ring.h"
#include "nilai/customer/value.h"

enum { CUSTOMERS = 4000, CUSTOMERS_A_MODEL = 20, EVENTS_MAX = 25, CHANGES_MAX = 400, YEAR_HOURS = 365 * 24 };

/* Whether anything published would change at a whole second: the definition. */
static bool would_change(const struct nilai_model *model, const struct nilai_customer *customer,
                         const struct nilai_service *service, int64_t second)
{
    struct nilai_curve curve = nilai_risk_curve(model, customer, service);
    struct nilai_terms terms = nilai_risk_terms(&curve, second * 1000);
    enum nilai_band band = (enum nilai_band)customer->standing.band;
    if (nilai_risk_band(&curve, band, &terms) != band)
        return true;
    if (!nilai_value_is_check(model, customer, second))
        return false;
    struct nilai_worth worth = nilai_value_worth(model, customer, second * 1000);
    return !nilai_value_same(nilai_value_standing(model, customer, &worth, second * 1000),
                             customer->standing);
}

/* The slow finder's half: nothing may change at any hour or day start before the deadline. */
static void check_none_before(const struct nilai_model *model, const struct nilai_customer *customer,
                              const struct nilai_service *service, int64_t deadline_s)
{
    int64_t from_s = customer->current_ms / 1000 + 1;
    int64_t limit_s = from_s + 3 * YEAR_HOURS * INT64_C(3600);
    if (deadline_s < limit_s)
        limit_s = deadline_s;
    for (int64_t at = from_s; at < limit_s; at += 3600)
        CHECK(!would_change(model, customer, service, at));
    int32_t day = nilai_model_day(model, from_s * 1000);
    for (int64_t at; (at = nilai_model_day_start_ms(model, day) / 1000) < limit_s; day++)
        CHECK(at < from_s || !would_change(model, customer, service, at));
    int64_t near_s = deadline_s - 600 > from_s ? deadline_s - 600 : from_s;
    for (int64_t at = near_s; at < limit_s; at++)
        CHECK(!would_change(model, customer, service, at));
}

/* Goal: a deadline is the first whole second at which anything published changes, and the cheap
 * bound is never after it.
 * Method: thousands of random customers and parameters, after each of their events; every
 * second around the deadline and every hour of the years before it, by the definition. */
TEST(deadline_is_the_first_second_that_changes_anything)
{
    uint64_t seed = test_seed(1), found = 0, never = 0;
    static struct nilai_model model;
    for (int i = 0; i < CUSTOMERS; i++) {
        if (i % CUSTOMERS_A_MODEL == 0)
            model = random_model(&seed);
        struct random_customer random;
        struct nilai_change changes[CHANGES_MAX];
        int64_t now_ms = TEST_START_MS;
        int events = 1 + (int)(next_random(&seed) % EVENTS_MAX);
        random_customer_init(&random, &seed);
        for (int e = 0; e < events; e++) {
            size_t count = 0;
            now_ms += (int64_t)(random_gap_days(&seed) * NILAI_DAY_MS / 20);
            random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &count);
            struct nilai_event event = random_event(&random, &seed, now_ms);
            random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &count);
        }
        if (i % 4 == 0) { /* long silence, down to customers for whom nothing will change any more */
            size_t count = 0;
            now_ms += (int64_t)(next_uniform(&seed) * 20 * 365 * NILAI_DAY_MS);
            random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &count);
        }
        const struct nilai_customer *customer = &random.customer;
        const struct nilai_service *service = random_customer_service(&random);
        if (!customer->rhythm.bought) {
            CHECK_EQ(customer->wake_s, NILAI_NEVER_S);
            continue;
        }
        int64_t deadline_s = nilai_customer_next_deadline_s(&model, customer, service);
        CHECK(customer->wake_s > customer->current_ms / 1000);
        CHECK(customer->wake_s <= deadline_s);
        check_none_before(&model, customer, service, deadline_s);
        if (deadline_s == NILAI_NEVER_S) {
            never++;
            continue;
        }
        CHECK(would_change(&model, customer, service, deadline_s));
        found++;
    }
    CHECK(found > CUSTOMERS / 2);
    CHECK(never > 0);
}

static bool same_change(const struct nilai_change *a, const struct nilai_change *b)
{
    return a->is_band == b->is_band && a->seq == b->seq && a->at_ms == b->at_ms &&
           memcmp(&a->to, &b->to, sizeof a->to) == 0 && a->eta == b->eta &&
           a->clv_365 == b->clv_365 && a->net_year == b->net_year;
}

/* Goal: how the clock gets there does not matter. Method: one copy of each customer sees the
 * clock in one jump, another in many small ones, a third only at its own events. */
TEST(changes_do_not_depend_on_the_steps_of_the_clock)
{
    uint64_t seed = test_seed(2), total = 0;
    static struct nilai_model model;
    for (int i = 0; i < CUSTOMERS; i++) {
        if (i % CUSTOMERS_A_MODEL == 0)
            model = random_model(&seed);
        struct random_customer jump, creep;
        static struct nilai_change jumped[CHANGES_MAX], crept[CHANGES_MAX];
        size_t jump_count = 0, creep_count = 0;
        int64_t now_ms = TEST_START_MS;
        random_customer_init(&jump, &seed);
        creep = jump;
        for (int e = 0; e < 15; e++) {
            int64_t next_ms = now_ms + (int64_t)(random_gap_days(&seed) * NILAI_DAY_MS / 3);
            for (int step = 1; step < 40; step++)
                random_customer_fire(&model, &creep, now_ms + (next_ms - now_ms) / 40 * step, crept,
                                     CHANGES_MAX, &creep_count);
            random_customer_fire(&model, &creep, next_ms, crept, CHANGES_MAX, &creep_count);
            random_customer_fire(&model, &jump, next_ms, jumped, CHANGES_MAX, &jump_count);
            now_ms = next_ms;

            /* One in four is late, by up to 200 days. */
            int64_t late_ms = next_random(&seed) % 4 == 0
                                  ? (int64_t)(next_uniform(&seed) * 200 * NILAI_DAY_MS)
                                  : 0;
            struct nilai_event event = random_event(&jump, &seed, now_ms - late_ms);
            creep.events = jump.events;
            random_customer_apply(&model, &creep, &event, crept, CHANGES_MAX, &creep_count);
            random_customer_apply(&model, &jump, &event, jumped, CHANGES_MAX, &jump_count);
        }
        CHECK_EQ(jump_count, creep_count);
        for (size_t c = 0; c < jump_count; c++)
            CHECK(same_change(&jumped[c], &crept[c]));
        total += jump_count;
    }
    CHECK(total > CUSTOMERS);
}

/* Goal: the clock may jump to the end of time without anything running away.
 * Method: random customers, one event, then the year 9999; the deadlines end. */
TEST(the_end_of_time_is_reached_in_few_steps)
{
    uint64_t seed = test_seed(3);
    static struct nilai_model model;
    for (int i = 0; i < 300; i++) {
        if (i % CUSTOMERS_A_MODEL == 0)
            model = random_model(&seed);
        struct random_customer random;
        struct nilai_change changes[CHANGES_MAX];
        size_t count = 0;
        random_customer_init(&random, &seed);
        for (int e = 0; e < 6; e++) {
            struct nilai_event event = random_event(&random, &seed, e * INT64_C(1000));
            random_customer_fire(&model, &random, event.ts_ms, changes, CHANGES_MAX, &count);
            random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &count);
        }
        count = 0;
        random_customer_fire(&model, &random, NILAI_TIME_MAX_MS, changes, CHANGES_MAX, &count);
        CHECK(count < 60);
        CHECK_EQ(random.customer.wake_s, NILAI_NEVER_S);
    }
}

/* Goal: a risk that stands still at a threshold is not looked at second by second. Method: no
 * weight on silence, a level of exactly the threshold, and a customer of whom nothing else will
 * change for centuries; also with a signal that fades towards that level for ever. */
TEST(a_level_that_touches_a_threshold_is_passed_over)
{
    static struct nilai_model model;
    nilai_model_defaults(&model);
    model.risk_bz = 0;
    model.medium_up = model.medium_down = 0.5;
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    struct nilai_service service;
    struct nilai_customer customer;
    nilai_customer_init(&customer, 1);
    nilai_service_init(&service);
    customer.current_ms = customer.last_event_ms = TEST_START_MS;
    CHECK_EQ(nilai_rhythm_add(&customer.rhythm, nilai_model_day(&model, TEST_START_MS)),
             NILAI_DAY_NEW);
    customer.standing.band = NILAI_BAND_MEDIUM;
    for (int fading = 0; fading < 2; fading++) {
        service.signals[NILAI_SIGNAL_COMPLAINT] = fading;
        service.signals_ms = TEST_START_MS;
        struct nilai_curve curve = nilai_risk_curve(&model, &customer, &service);
        CHECK_EQ(nilai_deadline_search(&curve, NILAI_BAND_MEDIUM, TEST_START_MS / 1000,
                                       NILAI_TIME_MAX_MS / 1000),
                 NILAI_NEVER_S);
    }
}

/* Goal: most events do not pay for a search. Method: the share of fires that find nothing among
 * customers who buy regularly; each is one early wake. */
TEST(wakes_are_few)
{
    uint64_t seed = test_seed(4), wakes = 0, events = 0;
    struct nilai_model model;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    for (int i = 0; i < 200; i++) {
        struct random_customer random;
        struct nilai_change changes[CHANGES_MAX];
        int64_t now_ms = TEST_START_MS;
        random_customer_init(&random, &seed);
        for (int e = 0; e < 60; e++, events++) {
            size_t count = 0;
            now_ms += (int64_t)(-log(1 - next_uniform(&seed)) * 10 * NILAI_DAY_MS);
            wakes += random.customer.wake_s <= now_ms / 1000;
            random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &count);
            struct nilai_event event = {.type = NILAI_PURCHASE, .ts_ms = now_ms};
            event.purchase.amount = 100000, event.purchase.cost = 70000;
            random.events++;
            random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &count);
        }
    }
    printf("%" PRIu64 " wakes in %" PRIu64 " events\n", wakes, events);
    CHECK(wakes < events / 2);
}

static void check_finite(const struct nilai_change *change)
{
    CHECK(isfinite(change->eta) && isfinite(change->risk) && isfinite(change->gap_days));
    CHECK(isfinite(change->value_at_risk) && isfinite(change->clv_365));
    for (uint32_t i = 0; i < change->reason_count; i++)
        CHECK(isfinite(change->reasons[i].points));
}

/* Goal: with any parameters that are allowed, what is published is a number. Method: each
 * parameter at the least and the most that its setting takes, random customers, and a clock
 * that goes to the end. */
TEST(extreme_parameters_bring_numbers)
{
    static const struct {
        size_t offset;
        double least, most;
    } extremes[] = {
        {offsetof(struct nilai_model, rhythm.r), 0.01, 999999},
        {offsetof(struct nilai_model, rhythm.alpha), 0.01, 1e6},
        {offsetof(struct nilai_model, rhythm.a), 1e-320, 999999},
        {offsetof(struct nilai_model, rhythm.b), 1e-320, 999999},
        {offsetof(struct nilai_model, horizon_days), 0.01, 36500},
        {offsetof(struct nilai_model, spend_p), 1e-320, 999999},
        {offsetof(struct nilai_model, spend_gamma), 1e-320, 1e12},
        {offsetof(struct nilai_model, risk_bz), 1e-320, 100},
        {offsetof(struct nilai_model, risk_bx), -100, 100},
        {offsetof(struct nilai_model, half_life_days), 1e-320, 36499},
        {offsetof(struct nilai_model, cap_support), 0, 100},
        {offsetof(struct nilai_model, cost_per_hour), 0, 1e9},
    };
    uint64_t seed = test_seed(6);
    static struct nilai_model model;
    static struct nilai_change changes[CHANGES_MAX];
    for (size_t i = 0; i < 2 * NILAI_ARRAY_LEN(extremes); i++) {
        nilai_model_defaults(&model);
        *(double *)(void *)((char *)&model + extremes[i / 2].offset)
            = i % 2 == 0 ? extremes[i / 2].least : extremes[i / 2].most;
        CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
        for (int c = 0; c < 50; c++) {
            struct random_customer random;
            size_t count = 0;
            int64_t now_ms = TEST_START_MS;
            random_customer_init(&random, &seed);
            for (int e = 0; e < 10; e++) {
                now_ms += (int64_t)(random_gap_days(&seed) * NILAI_DAY_MS);
                random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &count);
                struct nilai_event event = random_event(&random, &seed, now_ms);
                random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &count);
            }
            random_customer_fire(&model, &random, NILAI_TIME_MAX_MS, changes, CHANGES_MAX, &count);
            for (size_t change = 0; change < count; change++)
                check_finite(&changes[change]);
        }
    }
}
