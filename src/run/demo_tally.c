#include "nilai/run/demo_tally.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "nilai/base/clock.h"
#include "nilai/customer/model.h"

/* Latencies fall into buckets of a constant ratio, eight to a doubling, from 1 us to an hour. */
enum { STEPS_PER_DOUBLING = 8, BUCKETS = 32 * STEPS_PER_DOUBLING };

struct nilai_demo_tally {
    pthread_mutex_t lock;
    struct nilai_demo_counts counts;
    bool scheduled;
    int64_t from_ms;
    uint64_t begin_ns;
    double speed;
    uint64_t buckets[BUCKETS];
    bool has_news[NILAI_DEMO_NEWS_KINDS];
    struct nilai_effect news[NILAI_DEMO_NEWS_KINDS];
};

struct nilai_demo_tally *nilai_demo_tally_create(void)
{
    struct nilai_demo_tally *tally = calloc(1, sizeof *tally);
    if (tally != NULL)
        NILAI_ASSERT(pthread_mutex_init(&tally->lock, NULL) == 0);
    return tally;
}

void nilai_demo_tally_destroy(struct nilai_demo_tally *tally)
{
    if (tally == NULL)
        return;
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

void nilai_demo_tally_schedule(struct nilai_demo_tally *tally, int64_t from_ms, uint64_t begin_ns,
                               double speed)
{
    NILAI_ASSERT(speed > 0);
    pthread_mutex_lock(&tally->lock);
    tally->scheduled = true;
    tally->from_ms = from_ms;
    tally->begin_ns = begin_ns;
    tally->speed = speed;
    pthread_mutex_unlock(&tally->lock);
}

/* ---- counting ---- */

/* Delivery is at least once: a change that is published again must not take a count below 0. */
static void move(uint64_t *counts, uint8_t from, uint8_t to)
{
    counts[from] -= counts[from] > 0;
    counts[to]++;
}

static void count(struct nilai_demo_counts *counts, const struct nilai_effect *effect)
{
    const struct nilai_change *change = &effect->change;
    if (change->is_band) {
        counts->band_changes[effect->by_event]++;
        counts->alerts += change->to.band == NILAI_BAND_HIGH;
        move(counts->bands, change->from.band, change->to.band);
        return;
    }
    counts->value_changes[effect->by_event]++;
    if (change->first) {
        counts->bands[change->to.band]++;
        counts->segments[change->to.segment]++;
    } else {
        move(counts->segments, change->from.segment, change->to.segment);
    }
}

static size_t bucket_of(double latency_us)
{
    double place = latency_us <= 1 ? 0 : log2(latency_us) * STEPS_PER_DOUBLING;
    return place < BUCKETS - 1 ? (size_t)place : BUCKETS - 1;
}

static void measure(struct nilai_demo_tally *tally, const struct nilai_effect *effect,
                    uint64_t now_ns)
{
    if (!tally->scheduled || !effect->by_event || effect->change.at_ms < tally->from_ms)
        return;
    double since_days = (double)(effect->change.at_ms - tally->from_ms) / (double)NILAI_DAY_MS;
    double due_ns = (double)tally->begin_ns + since_days / tally->speed * 1e9;
    tally->buckets[bucket_of(((double)now_ns - due_ns) * 1e-3)]++;
    tally->counts.latency_count++;
}

static double quantile_ms(const struct nilai_demo_tally *tally, double share)
{
    double wanted = share * (double)tally->counts.latency_count;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        seen += tally->buckets[bucket];
        if (seen > 0 && (double)seen >= wanted)
            return exp2((double)(bucket + 1) / STEPS_PER_DOUBLING) * 1e-3;
    }
    return 0;
}

/* ---- news ---- */

static enum nilai_demo_news kind_of(const struct nilai_effect *effect)
{
    const struct nilai_change *change = &effect->change;
    if (change->is_band && change->to.band > change->from.band)
        return effect->by_event ? NILAI_DEMO_NEWS_EVENT : NILAI_DEMO_NEWS_SILENCE;
    bool rises =
        change->to.segment == NILAI_SEGMENT_VIP
        || (change->to.segment == NILAI_SEGMENT_LOYAL && change->from.segment != NILAI_SEGMENT_VIP);
    if (!change->is_band && !change->first && rises && change->to.segment != change->from.segment)
        return NILAI_DEMO_NEWS_VALUE;
    return NILAI_DEMO_NEWS_KINDS;
}

/* A customer about to leave is better news than one who might, however rich. */
static bool is_better(const struct nilai_change *a, const struct nilai_change *b)
{
    if (!a->is_band)
        return a->clv_365 > b->clv_365;
    return a->to.band != b->to.band ? a->to.band > b->to.band : a->value_at_risk > b->value_at_risk;
}

static void keep(struct nilai_demo_tally *tally, const struct nilai_effect *effect)
{
    enum nilai_demo_news kind = kind_of(effect);
    if (kind == NILAI_DEMO_NEWS_KINDS)
        return;
    if (tally->has_news[kind] && !is_better(&effect->change, &tally->news[kind].change))
        return;
    tally->has_news[kind] = true;
    tally->news[kind] = *effect;
}

void nilai_demo_tally_add(struct nilai_demo_tally *tally, const struct nilai_effect *effect,
                          uint64_t now_ns)
{
    pthread_mutex_lock(&tally->lock);
    count(&tally->counts, effect);
    measure(tally, effect, now_ns);
    keep(tally, effect);
    pthread_mutex_unlock(&tally->lock);
}

void nilai_demo_tally_observe(void *tally, const struct nilai_effect *effect)
{
    nilai_demo_tally_add(tally, effect, nilai_clock_monotonic_ns());
}

void nilai_demo_tally_read(struct nilai_demo_tally *tally, struct nilai_demo_counts *counts)
{
    pthread_mutex_lock(&tally->lock);
    *counts = tally->counts;
    counts->latency_median_ms = quantile_ms(tally, 0.5);
    counts->latency_99_ms = quantile_ms(tally, 0.99);
    pthread_mutex_unlock(&tally->lock);
}

bool nilai_demo_tally_take(struct nilai_demo_tally *tally, enum nilai_demo_news kind,
                           struct nilai_effect *effect)
{
    pthread_mutex_lock(&tally->lock);
    bool found = tally->has_news[kind];
    if (found)
        *effect = tally->news[kind];
    tally->has_news[kind] = false;
    pthread_mutex_unlock(&tally->lock);
    return found;
}

uint64_t nilai_demo_tally_changes(const struct nilai_demo_counts *counts)
{
    return counts->band_changes[0] + counts->band_changes[1] + counts->value_changes[0]
           + counts->value_changes[1];
}

uint64_t nilai_demo_tally_customers(const struct nilai_demo_counts *counts)
{
    return counts->bands[NILAI_BAND_LOW] + counts->bands[NILAI_BAND_MEDIUM]
           + counts->bands[NILAI_BAND_HIGH];
}
