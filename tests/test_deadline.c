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

/* How it was found before guesses: intervals in which eta cannot reach a threshold, by the ends of
 * its monotone terms alone, are left out, and all others halved. */
struct halving {
    const struct nilai_curve *curve;
    enum nilai_band band;
};

static bool may_change_between(const struct halving *halving, const struct nilai_terms *a,
                               const struct nilai_terms *b)
{
    const struct nilai_model *model = halving->curve->model;
    double most = fmax(a->support, b->support) + fmax(a->survey, b->survey)
                  + fmax(a->overdue, b->overdue) + 1e-12;
    double least = fmin(a->support, b->support) + fmin(a->survey, b->survey)
                   + fmin(a->overdue, b->overdue) - 1e-12;
    double eta_most = halving->curve->base + model->risk_bz * b->quiet.z + most + 1e-10;
    double eta_least = halving->curve->base + model->risk_bz * a->quiet.z + least - 1e-10;
    bool sure = a->silence.days >= halving->curve->gap_days || least >= model->cause_min;
    bool likely = b->silence.days >= halving->curve->gap_days || most >= model->cause_min - 1e-9;
    switch (halving->band) {
    case NILAI_BAND_LOW: return eta_most >= model->eta_medium_up;
    case NILAI_BAND_MEDIUM:
        return eta_least < model->eta_medium_down
               || (halving->curve->high_allowed && likely && eta_most >= model->eta_high_up);
    default: return eta_least < model->eta_high_down || !sure;
    }
}

static int64_t halve(const struct halving *halving, int64_t from_s, int64_t to_s)
{
    struct nilai_terms from = nilai_risk_terms(halving->curve, from_s * 1000);
    struct nilai_terms to = nilai_risk_terms(halving->curve, to_s * 1000);
    if (from_s == to_s)
        return nilai_risk_band(halving->curve, halving->band, &to) != halving->band ? to_s
                                                                                    : NILAI_NEVER_S;
    if (!may_change_between(halving, &from, &to))
        return NILAI_NEVER_S;
    int64_t middle_s = from_s + (to_s - from_s) / 2, first = halve(halving, from_s, middle_s);
    return first != NILAI_NEVER_S ? first : halve(halving, middle_s + 1, to_s);
}

/* Piece by piece: no ticket becomes overdue, or begins to fade, inside one. */
static int64_t search_by_halving(const struct halving *halving, int64_t after_s, int64_t limit_s)
{
    const struct nilai_service *service = halving->curve->service;
    const struct nilai_model *model = halving->curve->model;
    for (int64_t start_s = after_s + 1, end_s; start_s <= limit_s; start_s = end_s + 1) {
        end_s = limit_s;
        for (uint32_t i = 0; service != NULL && i < service->ticket_count; i++) {
            int64_t since_ms = service->tickets[i].since_ms;
            int64_t overdue_s = (since_ms + model->sla_ms + 999) / 1000;
            int64_t fades_s = (since_ms + model->overdue_max_ms + 999) / 1000;
            if (overdue_s > start_s && overdue_s - 1 < end_s)
                end_s = overdue_s - 1;
            if (fades_s > start_s && fades_s - 1 < end_s)
                end_s = fades_s - 1;
        }
        int64_t first = halve(halving, start_s, end_s);
        if (first != NILAI_NEVER_S)
            return first;
    }
    return NILAI_NEVER_S;
}

/* Goal: guesses make the search fast, not wrong. Method: random customers and parameters, whatever
 * band they may be in; the same by halving alone, to the second, whether the limit is near or far,
 * and again from each of several seconds just before, where what a second adds is inferred. */
TEST(guessing_finds_what_halving_finds)
{
    uint64_t seed = test_seed(7), found[NILAI_BANDS] = {0}, never = 0;
    static struct nilai_model model;
    for (int i = 0; i < 3 * CUSTOMERS; i++) {
        if (i % CUSTOMERS_A_MODEL == 0)
            model = random_model(&seed);
        struct random_customer random;
        struct nilai_change changes[CHANGES_MAX];
        int64_t now_ms = TEST_START_MS;
        random_customer_init(&random, &seed);
        for (int e = 0, events = 1 + (int)(next_random(&seed) % EVENTS_MAX); e < events; e++) {
            size_t count = 0;
            now_ms += (int64_t)(random_gap_days(&seed) * NILAI_DAY_MS / 20);
            random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &count);
            struct nilai_event event = random_event(&random, &seed, now_ms);
            random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &count);
        }
        if (!random.customer.rhythm.bought)
            continue;
        int64_t after_s = now_ms / 1000 + 1;
        int64_t limit_s = after_s + (int64_t)exp(14 + 6 * next_uniform(&seed));
        struct nilai_curve curve = nilai_risk_curve(&model, &random.customer,
                                                    random_customer_service(&random));
        struct nilai_terms terms = nilai_risk_terms(&curve, after_s * 1000);
        enum nilai_band band = (enum nilai_band)random.customer.standing.band;
        if (nilai_risk_band(&curve, band, &terms) != band)
            continue;
        const struct halving halving = {&curve, band};
        int64_t expected = search_by_halving(&halving, after_s, limit_s);
        CHECK_EQ(nilai_deadline_search(&curve, band, &terms, after_s, limit_s), expected);
        for (int64_t from_s = expected - 1;
             expected != NILAI_NEVER_S && from_s > after_s && from_s >= expected - 20; from_s -= 3) {
            struct nilai_terms near = nilai_risk_terms(&curve, from_s * 1000);
            CHECK_EQ(nilai_deadline_search(&curve, band, &near, from_s, limit_s), expected);
        }
        found[band] += expected != NILAI_NEVER_S;
        never += expected == NILAI_NEVER_S;
    }
    CHECK(found[NILAI_BAND_LOW] > 1000 && found[NILAI_BAND_MEDIUM] > 1000 && never > 1000);
    CHECK(found[NILAI_BAND_HIGH] > 100);
}

/* Goal: nobody is missed whose risk only dips below a threshold, or only rises above it for a
 * while, between two guesses. Method: random customers with signals; the threshold is put a little
 * inside the extreme that their eta goes through. */
TEST(a_dip_between_guesses_is_not_missed)
{
    uint64_t seed = test_seed(8), dips[2] = {0};
    static struct nilai_model model;
    for (int i = 0; i < 5 * CUSTOMERS; i++) {
        if (i % CUSTOMERS_A_MODEL == 0)
            model = random_model(&seed);
        struct nilai_customer customer;
        struct nilai_service service;
        nilai_customer_init(&customer, 1);
        nilai_service_init(&service);
        int32_t day = nilai_model_day(&model, TEST_START_MS);
        for (int k = (int)(next_random(&seed) % 8); k >= 0; k--)
            (void)nilai_rhythm_add(&customer.rhythm, day - k * (int32_t)(1 + next_random(&seed) % 30));
        service.signals_ms = TEST_START_MS;
        service.signals[NILAI_SIGNAL_COMPLAINT] = exp(4 * next_uniform(&seed) - 2);
        service.signals[NILAI_SIGNAL_NPS_PROMOTER] = -2 * next_uniform(&seed);
        struct nilai_curve curve = nilai_risk_curve(&model, &customer, &service);

        enum { STEPS = 200 };
        int64_t after_s = TEST_START_MS / 1000, limit_s = after_s + 400 * NILAI_DAY_S;
        struct nilai_terms terms = nilai_risk_terms(&curve, after_s * 1000);
        double least = terms.eta, most = terms.eta, last = terms.eta;
        for (int k = 1; k <= STEPS; k++) {
            last = nilai_risk_terms(&curve, (after_s + (limit_s - after_s) / STEPS * k) * 1000).eta;
            least = fmin(least, last), most = fmax(most, last);
        }
        bool up = most > fmax(terms.eta, last);
        if (!up && least >= fmin(terms.eta, last))
            continue; /* it goes one way */
        double share = pow(next_uniform(&seed), 6);
        struct nilai_model moved = model;
        moved.eta_high_up = INFINITY;
        moved.eta_medium_up = up ? most - share * (most - terms.eta) : INFINITY;
        moved.eta_medium_down = up ? -INFINITY : least + share * (terms.eta - least);
        curve.model = &moved;
        const struct halving halving = {&curve, up ? NILAI_BAND_LOW : NILAI_BAND_MEDIUM};
        if (nilai_risk_band(&curve, halving.band, &terms) != halving.band)
            continue;
        CHECK_EQ(nilai_deadline_search(&curve, halving.band, &terms, after_s, limit_s),
                 search_by_halving(&halving, after_s, limit_s));
        dips[up]++;
    }
    CHECK(dips[false] > 1000 && dips[true] > 50);
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
        struct nilai_terms terms = nilai_risk_terms(&curve, TEST_START_MS);
        CHECK_EQ(nilai_deadline_search(&curve, NILAI_BAND_MEDIUM, &terms, TEST_START_MS / 1000,
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
