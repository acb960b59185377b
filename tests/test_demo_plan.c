#include "nilai/run/demo_plan.h"

#include "nilai/customer/model.h"
#include "test.h"

/* Goal: when the history ends, about as many customers are known and about as many events
 * come as were asked for. Method: the whole business is played through and counted, the live
 * part for ten simulated days: more customers join all the time. */
TEST(a_plan_gives_the_customers_and_the_rate_that_were_wanted)
{
    enum { DAYS = 10 };
    static const struct nilai_demo_wish wishes[] = {
        {.seed = 1, .customers = 40000, .rate = 2000, .speed = 1, .seconds = 3600, .history_days = 400},
        {.seed = 2, .customers = 5000, .rate = 300, .speed = 0.5, .seconds = 20, .history_days = 90},
        {.seed = 3, .customers = 500, .rate = 4000, .speed = 10, .seconds = 60, .history_days = 30},
        {.seed = 4, .customers = 20000, .rate = 450, .speed = 2, .seconds = 60, .history_days = 200},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wishes); i++) {
        const struct nilai_demo_wish *wish = &wishes[i];
        struct nilai_generator_options options;
        struct nilai_generator *generator;
        struct nilai_generated event;
        struct nilai_error error;
        CHECK_EQ(nilai_demo_plan(wish, &options, &error), NILAI_OK);
        CHECK_EQ(nilai_generator_create(&options, &generator, &error), NILAI_OK);
        int64_t from_ms = options.from_ms + (int64_t)(wish->history_days * NILAI_DAY_MS);
        int64_t until_ms = from_ms + DAYS * (int64_t)NILAI_DAY_MS;
        double live = 0;
        uint32_t joined = 0;
        while (nilai_generator_next(generator, &event) == NILAI_OK && event.ts_ms < until_ms) {
            if (event.ts_ms < from_ms)
                joined = nilai_population_joined(nilai_generator_population(generator));
            else
                live++;
        }
        double rate = live / DAYS * wish->speed;
        print_message("%u customers, %.0f events/s\n", joined, rate);
        CHECK_NEAR(joined, (double)wish->customers, (double)wish->customers * 0.02 + 2);
        CHECK_NEAR(rate, wish->rate, wish->rate * 0.15);
        nilai_generator_destroy(generator);
    }
}

/* Goal: the default never stands in a rate's way. Method: over the ranges of the options. */
TEST(the_suggested_customers_fit_every_rate)
{
    static const double rates[] = {1, 40, 2000, 1e6}, speeds[] = {0.01, 1, 365}, days[] = {1, 400, 3650};
    for (size_t r = 0; r < NILAI_ARRAY_LEN(rates); r++)
        for (size_t s = 0; s < NILAI_ARRAY_LEN(speeds); s++)
            for (size_t d = 0; d < NILAI_ARRAY_LEN(days); d++) {
                uint64_t customers = nilai_demo_plan_customers(rates[r], speeds[s], days[d]);
                CHECK(customers >= 1 && customers <= NILAI_DEMO_CUSTOMERS_MAX);
                if (customers > 1)
                    CHECK((double)(customers - 1) / days[d] * speeds[s] <= rates[r] / 20);
            }
    CHECK_EQ(nilai_demo_plan_customers(2000, 1, 400), 40000);
}

TEST(wishes_that_do_not_go_together_are_refused)
{
    static const struct nilai_demo_wish wishes[] = {
        {.customers = 1000, .rate = 10, .speed = 365, .seconds = 86400, .history_days = 400},
        {.customers = 5000000, .rate = 10, .speed = 1, .seconds = 86400, .history_days = 10},
        {.customers = 20000, .rate = 100, .speed = 2, .seconds = 60, .history_days = 200},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wishes); i++) {
        struct nilai_generator_options options;
        struct nilai_error error = {""};
        CHECK_EQ(nilai_demo_plan(&wishes[i], &options, &error), NILAI_INVALID);
        CHECK(strlen(error.text) > 20);
    }
}
