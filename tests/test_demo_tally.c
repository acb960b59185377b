#include "nilai/run/demo_tally.h"

#include <pthread.h>

#include "nilai/customer/model.h"
#include "test.h"

static struct nilai_effect first_of(uint8_t band, uint8_t segment)
{
    return (struct nilai_effect){.by_event = true,
                                 .change = {.first = true, .to = {.band = band, .segment = segment}}};
}

/* Goal: the counts are those of the customers themselves.
 * Method: random customers whose standing is kept in an array, told change by change. */
TEST(counts_follow_the_customers)
{
    enum { CUSTOMERS = 200, STEPS = 20000 };
    static struct nilai_standing now[CUSTOMERS];
    uint64_t seed = test_seed(11), expected_alerts = 0, changes[2][2] = {{0}};
    struct nilai_demo_tally *tally = nilai_demo_tally_create();
    struct nilai_demo_counts counts;
    memset(now, 0, sizeof now);
    for (int step = 0; step < STEPS; step++) {
        struct nilai_standing *customer = &now[next_random(&seed) % CUSTOMERS];
        struct nilai_standing to = *customer;
        bool is_band = customer->band != NILAI_BAND_NONE && next_random(&seed) % 2;
        if (is_band || customer->band == NILAI_BAND_NONE)
            to.band = (uint8_t)(1 + next_random(&seed) % (NILAI_BANDS - 1));
        if (!is_band)
            to.segment = (uint8_t)(1 + next_random(&seed) % (NILAI_SEGMENTS - 1));
        struct nilai_effect effect = {
            .by_event = next_random(&seed) % 2,
            .change = {.is_band = is_band, .first = customer->band == NILAI_BAND_NONE,
                       .from = *customer, .to = to},
        };
        changes[is_band][effect.by_event]++;
        expected_alerts += is_band && to.band == NILAI_BAND_HIGH;
        *customer = to;
        nilai_demo_tally_add(tally, &effect, 1);
    }
    uint64_t bands[NILAI_BANDS] = {0}, segments[NILAI_SEGMENTS] = {0};
    for (int i = 0; i < CUSTOMERS; i++) {
        bands[now[i].band] += now[i].band != NILAI_BAND_NONE;
        segments[now[i].segment] += now[i].segment != NILAI_SEGMENT_NONE;
    }
    nilai_demo_tally_read(tally, &counts);
    for (int band = 1; band < NILAI_BANDS; band++)
        CHECK_EQ(counts.bands[band], bands[band]);
    for (int segment = 1; segment < NILAI_SEGMENTS; segment++)
        CHECK_EQ(counts.segments[segment], segments[segment]);
    for (int by_event = 0; by_event < 2; by_event++) {
        CHECK_EQ(counts.band_changes[by_event], changes[1][by_event]);
        CHECK_EQ(counts.value_changes[by_event], changes[0][by_event]);
    }
    CHECK_EQ(counts.alerts, expected_alerts);
    nilai_demo_tally_destroy(tally);
}

/* Goal: latency is what passed since the event was due, at any speed; the timer's changes and
 * those of the history have none. Method: known delays, 1 to 1000 ms. */
TEST(latency_counts_from_when_the_event_was_due)
{
    enum { EVENTS = 1000 };
    static const double speeds[] = {0.5, 1, 30};
    const int64_t from_ms = INT64_C(1750000000000);
    const uint64_t begin_ns = 77000000000;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(speeds); i++) {
        struct nilai_demo_tally *tally = nilai_demo_tally_create();
        struct nilai_demo_counts counts;
        struct nilai_effect effect = first_of(NILAI_BAND_LOW, NILAI_SEGMENT_NEW);
        effect.change.at_ms = from_ms;
        nilai_demo_tally_add(tally, &effect, begin_ns);
        nilai_demo_tally_schedule(tally, from_ms, begin_ns, speeds[i]);
        effect.change.at_ms = from_ms - 1;
        nilai_demo_tally_add(tally, &effect, begin_ns);
        effect.change.at_ms = from_ms + 1;
        effect.by_event = false;
        nilai_demo_tally_add(tally, &effect, begin_ns);
        nilai_demo_tally_read(tally, &counts);
        CHECK_EQ(counts.latency_count, 0);

        effect.by_event = true;
        for (int event = 1; event <= EVENTS; event++) {
            effect.change.at_ms = from_ms + event * (int64_t)NILAI_DAY_MS;
            double due_ns = (double)begin_ns + event / speeds[i] * 1e9;
            nilai_demo_tally_add(tally, &effect, (uint64_t)due_ns + (uint64_t)event * 1000000);
        }
        nilai_demo_tally_read(tally, &counts);
        CHECK_EQ(counts.latency_count, EVENTS);
        CHECK(counts.latency_median_ms >= 499 && counts.latency_median_ms <= 500 * 1.1);
        CHECK(counts.latency_99_ms >= 989 && counts.latency_99_ms <= 990 * 1.1);
        nilai_demo_tally_destroy(tally);
    }
}

/* Goal: of each kind the best is kept, once. Method: by hand. */
TEST(the_best_news_of_each_kind_waits)
{
    struct nilai_demo_tally *tally = nilai_demo_tally_create();
    struct nilai_effect news, effect = {
        .change = {.is_band = true, .from = {.band = NILAI_BAND_LOW}, .to = {.band = NILAI_BAND_MEDIUM},
                   .value_at_risk = 500, .seq = 1},
    };
    for (int kind = 0; kind < NILAI_DEMO_NEWS_KINDS; kind++)
        CHECK(!nilai_demo_tally_take(tally, (enum nilai_demo_news)kind, &news));
    nilai_demo_tally_add(tally, &effect, 1);
    effect.change.to.band = NILAI_BAND_HIGH; /* worth less, but about to leave */
    effect.change.value_at_risk = 20;
    effect.change.seq = 2;
    nilai_demo_tally_add(tally, &effect, 1);
    effect.change.value_at_risk = 10;
    effect.change.seq = 3;
    nilai_demo_tally_add(tally, &effect, 1);
    effect.by_event = true;
    effect.change.seq = 4;
    nilai_demo_tally_add(tally, &effect, 1);
    effect.change.to.band = NILAI_BAND_LOW; /* no longer at risk: not in the list */
    effect.change.from.band = NILAI_BAND_HIGH;
    effect.change.value_at_risk = 1e6;
    nilai_demo_tally_add(tally, &effect, 1);
    struct nilai_effect rise = first_of(NILAI_BAND_LOW, NILAI_SEGMENT_NEW);
    nilai_demo_tally_add(tally, &rise, 1);
    rise.change.first = false;
    rise.change.from.segment = NILAI_SEGMENT_NEW;
    rise.change.to.segment = NILAI_SEGMENT_VIP;
    rise.change.seq = 5;
    nilai_demo_tally_add(tally, &rise, 1);
    rise.change.from.segment = NILAI_SEGMENT_VIP; /* a fall */
    rise.change.to.segment = NILAI_SEGMENT_LOYAL;
    rise.change.clv_365 = 1e6;
    nilai_demo_tally_add(tally, &rise, 1);

    static const uint32_t expected[NILAI_DEMO_NEWS_KINDS] = {2, 4, 5};
    for (int kind = 0; kind < NILAI_DEMO_NEWS_KINDS; kind++) {
        CHECK(nilai_demo_tally_take(tally, (enum nilai_demo_news)kind, &news));
        CHECK_EQ(news.change.seq, expected[kind]);
        CHECK(!nilai_demo_tally_take(tally, (enum nilai_demo_news)kind, &news));
    }
    nilai_demo_tally_destroy(tally);
}

enum { TOLD = 20000 };

static void *tell(void *tally)
{
    struct nilai_effect effect = first_of(NILAI_BAND_LOW, NILAI_SEGMENT_NEW);
    for (int i = 0; i < TOLD; i++) {
        nilai_demo_tally_observe(tally, &effect);
        effect.change.is_band = i % 2 == 0;
        effect.change.from.band = effect.change.to.band;
        effect.change.to.band = NILAI_BAND_LOW + NILAI_BAND_HIGH - effect.change.from.band;
        effect.change.first = !effect.change.is_band;
    }
    return NULL;
}

/* Goal: a worker may tell while others look. Method: both at once; the thread sanitizer and the
 * sums at the end are the judges. */
TEST(telling_and_looking_may_overlap)
{
    enum { WORKERS = 2 };
    pthread_t threads[WORKERS];
    struct nilai_demo_tally *tally = nilai_demo_tally_create();
    struct nilai_demo_counts counts = {0};
    struct nilai_effect news;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, tell, tally), 0);
    for (int look = 0; look < 1000; look++) {
        nilai_demo_tally_read(tally, &counts);
        nilai_demo_tally_schedule(tally, look, 1, 1);
        (void)nilai_demo_tally_take(tally, NILAI_DEMO_NEWS_EVENT, &news);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    nilai_demo_tally_read(tally, &counts);
    CHECK_EQ(counts.band_changes[1] + counts.value_changes[1], WORKERS * TOLD);
    nilai_demo_tally_destroy(tally);
}
