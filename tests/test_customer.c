#include "customers.h"
#include "nilai/customer/explain.h"
#include "nilai/customer/risk.h"
#include "nilai/customer/signals.h"
#include "nilai/customer/tickets.h"

enum { CHANGES_MAX = 600 };
#define DAY_MS ((int64_t)NILAI_DAY_MS)
#define HOUR_MS INT64_C(3600000)

static struct nilai_model default_model(void)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    return model;
}

struct life {
    struct nilai_model model;
    struct random_customer who;
    struct nilai_change changes[CHANGES_MAX];
    size_t count;
};

static struct life begin_life(void)
{
    static struct life life;
    uint64_t seed = 1;
    life.model = default_model();
    random_customer_init(&life.who, &seed);
    life.count = 0;
    return life;
}

static void happens(struct life *life, struct nilai_event event, int64_t ts_ms)
{
    event.ts_ms = ts_ms;
    life->who.events++;
    random_customer_fire(&life->model, &life->who,
                         ts_ms > life->who.customer.current_ms ? ts_ms : life->who.customer.current_ms,
                         life->changes, CHANGES_MAX, &life->count);
    random_customer_apply(&life->model, &life->who, &event, life->changes, CHANGES_MAX, &life->count);
}

static void passes(struct life *life, int64_t until_ms)
{
    random_customer_fire(&life->model, &life->who, until_ms, life->changes, CHANGES_MAX, &life->count);
}

static struct nilai_event purchase(void)
{
    struct nilai_event event = {.type = NILAI_PURCHASE};
    event.purchase.amount = 500000, event.purchase.cost = 300000;
    return event;
}

static struct nilai_event ticket(const char *id, enum nilai_ticket_status status,
                                 enum nilai_ticket_kind kind)
{
    struct nilai_event event = {.type = NILAI_TICKET};
    event.ticket.ticket = (struct nilai_text){id, (uint32_t)strlen(id)};
    event.ticket.status = status;
    event.ticket.kind = kind;
    return event;
}

static struct nilai_event answer(enum nilai_metric metric, double normalized)
{
    struct nilai_event event = {.type = NILAI_SURVEY};
    event.survey.metric = metric;
    event.survey.normalized = normalized;
    return event;
}

static size_t count_bands(const struct life *life, int to)
{
    size_t count = 0;
    for (size_t i = 0; i < life->count; i++)
        count += life->changes[i].is_band && (to < 0 || life->changes[i].to.band == to);
    return count;
}

/* Goal: before the first purchase nothing is said; with it the segment, but not the band. */
TEST(the_first_purchase_tells_the_segment_and_sets_the_band_silently)
{
    struct life life = begin_life();
    happens(&life, ticket("t", NILAI_TICKET_OPENED, NILAI_KIND_COMPLAINT), TEST_START_MS);
    happens(&life, answer(NILAI_METRIC_NPS, 0), TEST_START_MS + HOUR_MS);
    passes(&life, TEST_START_MS + 100 * DAY_MS);
    CHECK_EQ(life.count, 0);
    happens(&life, purchase(), TEST_START_MS + 101 * DAY_MS);
    CHECK_EQ(life.count, 1);
    CHECK(!life.changes[0].is_band && life.changes[0].first && life.changes[0].seq == 1);
    CHECK_EQ(life.changes[0].to.segment, NILAI_SEGMENT_NEW);
    CHECK(life.who.customer.standing.band != NILAI_BAND_NONE);
}

/* Goal: most customers buy once; an alert for each would be noise. */
TEST(who_bought_once_stops_at_medium_unless_told_otherwise)
{
    for (int one_time_high = 0; one_time_high < 2; one_time_high++) {
        struct life life = begin_life();
        life.model.one_time_high = one_time_high;
        happens(&life, purchase(), TEST_START_MS);
        passes(&life, TEST_START_MS + 2000 * DAY_MS);
        CHECK_EQ(count_bands(&life, NILAI_BAND_HIGH), one_time_high);
    }
}

/* Goal: nobody is called about to leave for having just bought. Method: parameters under which
 * risk is always high; the band is not, until the own median gap has passed. */
TEST(high_needs_a_present_cause)
{
    struct life life = begin_life();
    life.model.risk_b0 = 20;
    happens(&life, purchase(), TEST_START_MS);
    happens(&life, purchase(), TEST_START_MS + 10 * DAY_MS);
    CHECK_EQ(life.who.customer.standing.band, NILAI_BAND_MEDIUM);
    struct nilai_posterior posterior = nilai_rhythm_of(&life.model, &life.who.customer.rhythm);
    double gap_days = nilai_rhythm_gap_days(&posterior);
    int64_t day_ms = nilai_model_day_start_ms(&life.model, life.who.customer.rhythm.last_day);
    int64_t due_s = (day_ms + (int64_t)ceil(gap_days * NILAI_DAY_MS)) / 1000 + 1;
    passes(&life, day_ms + 1000 * DAY_MS);
    const struct nilai_change *change = NULL;
    for (size_t i = 0; i < life.count && change == NULL; i++)
        if (life.changes[i].is_band && life.changes[i].to.band == NILAI_BAND_HIGH)
            change = &life.changes[i];
    CHECK(change != NULL);
    CHECK_EQ(change->at_ms / 1000, due_s);
}

/* Goal: no flapping: after a change of band risk must come back by the hysteresis to undo it.
 * Method: every change of random customers against the thresholds. */
TEST(bands_change_only_at_their_thresholds)
{
    uint64_t seed = test_seed(5);
    struct nilai_model model = default_model();
    for (int i = 0; i < 300; i++) {
        struct random_customer random;
        static struct nilai_change changes[CHANGES_MAX];
        size_t count = 0;
        int64_t now_ms = TEST_START_MS;
        random_customer_init(&random, &seed);
        for (int e = 0; e < 30; e++) {
            now_ms += (int64_t)(random_gap_days(&seed) * NILAI_DAY_MS / 10);
            random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &count);
            struct nilai_event event = random_event(&random, &seed, now_ms);
            random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &count);
        }
        for (size_t c = 0; c < count; c++) {
            const struct nilai_change *change = &changes[c];
            if (!change->is_band)
                continue;
            if (change->to.band == NILAI_BAND_HIGH)
                CHECK(change->risk >= 0.70 && change->repeat_days > 0);
            if (change->from.band == NILAI_BAND_LOW)
                CHECK(change->risk >= 0.40);
            if (change->to.band == NILAI_BAND_LOW)
                CHECK(change->risk < 0.33);
        }
    }
}

/* Goal: reasons add up: their points sum to eta - b0, also where a group is clamped. */
TEST(points_of_all_reasons_sum_to_eta)
{
    uint64_t seed = test_seed(6);
    for (int i = 0; i < 500; i++) {
        static struct nilai_model model;
        struct random_customer random;
        struct nilai_change changes[CHANGES_MAX];
        struct nilai_reason reasons[NILAI_REASONS_ALL];
        int64_t now_ms = TEST_START_MS;
        size_t ignored = 0;
        if (i % 20 == 0)
            model = random_model(&seed);
        random_customer_init(&random, &seed);
        for (int e = 0; e < 30; e++) {
            ignored = 0;
            now_ms += (int64_t)(next_uniform(&seed) * 5 * NILAI_DAY_MS);
            random_customer_fire(&model, &random, now_ms, changes, CHANGES_MAX, &ignored);
            struct nilai_event event = random_event(&random, &seed, now_ms);
            random_customer_apply(&model, &random, &event, changes, CHANGES_MAX, &ignored);
        }
        if (!random.customer.rhythm.bought)
            continue;
        struct nilai_curve curve =
            nilai_risk_curve(&model, &random.customer, random_customer_service(&random));
        struct nilai_terms terms = nilai_risk_terms(&curve, now_ms);
        uint32_t count = nilai_risk_reasons(&curve, &terms, reasons);
        double sum = 0;
        for (uint32_t r = 0; r < count; r++) {
            CHECK(r == 0 || reasons[r - 1].points >= reasons[r].points);
            sum += reasons[r].points;
        }
        double left_out = 0.0005 * (NILAI_REASONS_ALL - count);
        CHECK_NEAR(sum, terms.eta - model.risk_b0, left_out + 1e-9);
    }
}

/* Goal: what is published is the three most positive reasons, then the most negative; of equal
 * ones the first by code. */
TEST(main_reasons_are_three_for_and_one_against)
{
    const struct nilai_reason all[] = {{NILAI_REASON_SILENCE, 2},      {NILAI_SIGNAL_COMPLAINT, 1},
                                       {NILAI_SIGNAL_REFUND, 0.5},     {NILAI_SIGNAL_TICKET, 0.1},
                                       {NILAI_SIGNAL_CSAT_HIGH, -0.2}, {NILAI_SIGNAL_NPS_PROMOTER, -0.3},
                                       {NILAI_SIGNAL_RATING_HIGH, -0.3}};
    struct nilai_reason reasons[NILAI_REASONS_MAX];
    CHECK_EQ(nilai_risk_main_reasons(all, 7, reasons), 4);
    CHECK_EQ(reasons[2].code, NILAI_SIGNAL_REFUND);
    CHECK_EQ(reasons[3].code, NILAI_SIGNAL_NPS_PROMOTER);
    CHECK_EQ(nilai_risk_main_reasons(all, 2, reasons), 2);
    CHECK_EQ(nilai_risk_main_reasons(all + 4, 1, reasons), 1);
    CHECK_EQ(nilai_risk_main_reasons(all, 0, reasons), 0);
}

static double signal(const struct life *life, enum nilai_signal code)
{
    return life->who.service.signals[code];
}

/* Goal: a purchase forgives support, not surveys, and not if it is late. */
TEST(a_purchase_forgives_what_support_did)
{
    struct life life = begin_life();
    happens(&life, purchase(), TEST_START_MS);
    happens(&life, ticket("t", NILAI_TICKET_OPENED, NILAI_KIND_COMPLAINT), TEST_START_MS + DAY_MS);
    happens(&life, answer(NILAI_METRIC_CSAT, 0), TEST_START_MS + DAY_MS);
    happens(&life, purchase(), TEST_START_MS + DAY_MS - 1); /* late */
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_COMPLAINT), 0.6, 1e-12);
    happens(&life, purchase(), TEST_START_MS + DAY_MS);
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_COMPLAINT), 0.18, 1e-12);
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_CSAT_LOW), 0.5, 1e-12);
}

/* Goal: a signal halves every 90 days, and one that comes late counts at its own time. */
TEST(signals_fade_by_half)
{
    struct life life = begin_life();
    happens(&life, answer(NILAI_METRIC_CES, 0), TEST_START_MS + 90 * DAY_MS);
    happens(&life, answer(NILAI_METRIC_CES, 0), TEST_START_MS); /* late: half is left */
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_CES_HARD), 0.35 * 1.5, 1e-12);
    happens(&life, answer(NILAI_METRIC_CES, 0), TEST_START_MS + 270 * DAY_MS);
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_CES_HARD), 0.35 * (1 + 1.5 / 4), 1e-12);
}

/* Goal: satisfaction that falls below its own mean for long enough is told once, then anew.
 * Method: the recurrence by hand: each answer at 0 after a mean near 1 adds 2 - 0.5. */
TEST(perception_drift_is_a_one_sided_cusum)
{
    struct life life = begin_life();
    for (int i = 0; i < 20; i++)
        happens(&life, answer(NILAI_METRIC_RATING, 0.9), TEST_START_MS + i);
    CHECK_NEAR(life.who.service.drift, 0, 1e-12);
    happens(&life, answer(NILAI_METRIC_RATING, 0.3), TEST_START_MS + 20);
    CHECK_NEAR(life.who.service.drift, 1.5, 1e-9);
    CHECK(signal(&life, NILAI_SIGNAL_PERCEPTION_DRIFT) == 0);
    happens(&life, answer(NILAI_METRIC_RATING, 0.3), TEST_START_MS + 21); /* 3.0 > 2.5 */
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_PERCEPTION_DRIFT), 0.3, 1e-9);
    CHECK_NEAR(life.who.service.drift, 0, 1e-12);
}

/* Goal: every step of a ticket gives the signals that it should, once.
 * Method: stories, each with the sums that it leaves (nothing fades: all at one instant). */
TEST(tickets_tell_their_story)
{
    static const struct {
        const char *steps; /* "a0 a2": ticket a is opened, then resolved; capital: a complaint */
        double opening, in_time, late, reopened;
        uint32_t followed, open;
    } stories[] = {
        {"a0", 0.15, 0, 0, 0, 1, 1},
        {"A0", 0.60, 0, 0, 0, 1, 1},
        {"a0 a0", 0.15, 0, 0, 0, 1, 1},
        {"a1", 0, 0, 0, 0, 0, 0},
        {"A0 a2", 0.60, -0.30, 0, 0, 1, 0},
        {"a0 a2 a2", 0.15, -0.075, 0, 0, 1, 0},
        {"a0 a4", 0.15, -0.075, 0, 0, 0, 0},
        {"a0 a2 a4", 0.15, -0.075, 0, 0, 0, 0},
        {"a4", 0, 0, 0, 0, 0, 0},
        {"a2", 0, 0, 0, 0, 1, 0},            /* never seen, no opened_ts: followed only */
        {"a2 a0", 0.15, 0, 0, 0, 1, 0},      /* its opening came after: counts, stays resolved */
        {"a2 a0 a0", 0.15, 0, 0, 0, 1, 0},
        {"a3", 0, 0, 0, 0.5, 1, 1},
        {"a3 a0", 0.15, 0, 0, 0.5, 1, 1},
        {"a0 a3", 0.15, 0, 0, 0.5, 1, 1},
        {"a0 a2 a3 a2", 0.15, -0.15, 0, 0.5, 1, 0},
        {"a0 b0 c0 d0 e0", 0.75, 0, 0, 0, 4, 4},        /* the fifth is not followed */
        {"a0 b0 c0 d0 e0 e0", 0.90, 0, 0, 0, 4, 4},     /* so it is not known when it comes again */
        {"a0 b0 c0 d0 b2 e0", 0.75, -0.075, 0, 0, 4, 4}, /* b gives its place up */
        {"a0 b0 c0 d0 b2 e0 b2", 0.75, -0.075, 0, 0, 4, 4},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(stories); i++) {
        struct life life = begin_life();
        for (const char *step = stories[i].steps; *step != '\0'; step += step[2] == ' ' ? 3 : 2) {
            char id[2] = {(char)(step[0] | 0x20), '\0'};
            bool complaint = step[0] < 'a';
            happens(&life,
                    ticket(id, (enum nilai_ticket_status)(step[1] - '0'),
                           complaint ? NILAI_KIND_COMPLAINT : NILAI_KIND_QUESTION),
                    TEST_START_MS);
        }
        CHECK_NEAR(signal(&life, NILAI_SIGNAL_COMPLAINT) + signal(&life, NILAI_SIGNAL_TICKET),
                   stories[i].opening, 1e-12);
        CHECK_NEAR(signal(&life, NILAI_SIGNAL_RESOLVED_IN_TIME), stories[i].in_time, 1e-12);
        CHECK_NEAR(signal(&life, NILAI_SIGNAL_RESOLVED_LATE), stories[i].late, 1e-12);
        CHECK_NEAR(signal(&life, NILAI_SIGNAL_REOPENED), stories[i].reopened, 1e-12);
        CHECK_EQ(life.who.service.ticket_count, stories[i].followed);
        CHECK_EQ(nilai_tickets_open(&life.who.service), stories[i].open);
    }
}

/* Goal: the SLA is met at exactly 72 hours and missed a millisecond later; an unknown ticket is
 * judged by opened_ts. */
TEST(the_sla_is_met_to_the_millisecond)
{
    struct life life = begin_life();
    happens(&life, ticket("a", NILAI_TICKET_OPENED, NILAI_KIND_OTHER), TEST_START_MS);
    happens(&life, ticket("a", NILAI_TICKET_RESOLVED, NILAI_KIND_OTHER), TEST_START_MS + 72 * HOUR_MS);
    CHECK(signal(&life, NILAI_SIGNAL_RESOLVED_IN_TIME) < 0);
    CHECK(signal(&life, NILAI_SIGNAL_RESOLVED_LATE) == 0);

    struct nilai_event unknown = ticket("b", NILAI_TICKET_RESOLVED, NILAI_KIND_OTHER);
    unknown.ticket.has_opened = true;
    unknown.ticket.opened_ms = TEST_START_MS - 1;
    happens(&life, unknown, TEST_START_MS + 72 * HOUR_MS);
    CHECK_NEAR(signal(&life, NILAI_SIGNAL_RESOLVED_LATE), 0.5, 1e-12);
}

/* Goal: of several overdue tickets the largest weight counts: none before the SLA, full until
 * 30 days, then fading. */
TEST(an_open_ticket_weighs_once_it_is_overdue)
{
    struct life life = begin_life();
    happens(&life, ticket("a", NILAI_TICKET_OPENED, NILAI_KIND_OTHER), TEST_START_MS);
    happens(&life, ticket("b", NILAI_TICKET_OPENED, NILAI_KIND_OTHER), TEST_START_MS + 100 * DAY_MS);
    const struct nilai_service *service = &life.who.service;
    CHECK(nilai_tickets_overdue(&life.model, service, TEST_START_MS + 72 * HOUR_MS - 1) == 0);
    CHECK_NEAR(nilai_tickets_overdue(&life.model, service, TEST_START_MS + 72 * HOUR_MS), 0.6, 1e-12);
    CHECK_NEAR(nilai_tickets_overdue(&life.model, service, TEST_START_MS + 30 * DAY_MS - 1), 0.6, 1e-12);
    CHECK_NEAR(nilai_tickets_overdue(&life.model, service, TEST_START_MS + 75 * DAY_MS),
               0.6 * exp2(-0.5), 1e-12);
    CHECK_NEAR(nilai_tickets_overdue(&life.model, service, TEST_START_MS + 103 * DAY_MS), 0.6, 1e-12);
}

/* Goal: ids are known for eight applied events, no longer. */
TEST(eight_ids_are_remembered)
{
    struct life life = begin_life();
    for (int i = 0; i < 9; i++)
        happens(&life, purchase(), TEST_START_MS + i); /* ids are 1, 2, ... */
    CHECK(!nilai_customer_has_seen(&life.who.customer, 1));
    for (uint64_t id = 2; id <= 9; id++)
        CHECK(nilai_customer_has_seen(&life.who.customer, id));
}

/* Goal: every reason has a sentence, with the customer's own numbers where it has any. */
TEST(every_reason_is_explained)
{
    const struct nilai_explain_facts facts = {
        .silence_days = 45.25, .gap_days = 12.3, .purchase_days = 3, .span_days = 99};
    char text[NILAI_EXPLAIN_SIZE];
    for (uint8_t code = 0; code < NILAI_REASON_CODES; code++) {
        const struct nilai_reason reason = {code, 0.41};
        nilai_explain_reason(&reason, &facts, text);
        CHECK(strlen(text) > 10 && text[strlen(text) - 1] == '.');
    }
    const struct nilai_reason faint = {NILAI_SIGNAL_REFUND, -0.001};
    nilai_explain_reason(&faint, &facts, text);
    CHECK(strstr(text, "0.00") == NULL);
    const struct nilai_reason silence = {NILAI_REASON_SILENCE, 1}, often = {NILAI_REASON_BUYS_OFTEN, -1};
    nilai_explain_reason(&silence, &facts, text);
    CHECK(strstr(text, "45.2") != NULL && strstr(text, "12.3") != NULL);
    nilai_explain_reason(&often, &facts, text);
    CHECK_TEXT(text, "Buys often: bought on 3 days within 100 days.");
}
