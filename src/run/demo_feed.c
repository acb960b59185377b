#include "nilai/run/demo_feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nilai/base/clock.h"
#include "nilai/customer/model.h"
#include "nilai/io/kafka_producer.h"

enum {
    PAUSE_MS_MAX = 20, /* so that a stop is noticed soon */
    SERVE_EVENTS = 64, /* acknowledgements are served each so many events */
    LATE_MS_MAX = 1000,
    FLUSH_MS_MAX = 5000,
};

struct nilai_demo_feed {
    struct nilai_demo_feed_options options;
    struct nilai_generator *generator;
    struct nilai_kafka_producer *producer;
    pthread_t thread;
    bool started;
    _Atomic bool stopping;

    /* Shared with readers: copied as a whole under the lock, a few times a second. */
    pthread_mutex_t lock;
    struct nilai_demo_feed_state shown;

    /* The thread's own until it has ended. */
    struct nilai_demo_feed_state state;
    int64_t due_from_ms;   /* the schedule: an event of this time ... */
    uint64_t due_begin_ns; /* ... is due at this instant */
    enum nilai_status status;
    struct nilai_error error;
};

static size_t topic_of(enum nilai_event_type type)
{
    return type == NILAI_TICKET || type == NILAI_ERASE ? 1 : type == NILAI_SURVEY ? 2 : 0;
}

static void show(struct nilai_demo_feed *feed)
{
    const struct nilai_generator_counts *counts = nilai_generator_counts(feed->generator);
    memcpy(feed->state.good, counts->good, sizeof feed->state.good);
    pthread_mutex_lock(&feed->lock);
    feed->shown = feed->state;
    pthread_mutex_unlock(&feed->lock);
}

static bool serve(struct nilai_demo_feed *feed, int timeout_ms)
{
    feed->status = nilai_kafka_producer_poll(feed->producer, timeout_ms, &feed->error);
    return feed->status == NILAI_OK;
}

static void pause_ns(uint64_t ns)
{
    const uint64_t most_ns = PAUSE_MS_MAX * 1000000u;
    nanosleep(&(struct timespec){.tv_nsec = (long)(ns < most_ns ? ns : most_ns)}, NULL);
}

/* ---- the schedule ---- */

static void set_schedule(struct nilai_demo_feed *feed, int64_t from_ms, uint64_t begin_ns)
{
    feed->due_from_ms = from_ms;
    feed->due_begin_ns = begin_ns;
    nilai_demo_tally_schedule(feed->options.tally, from_ms, begin_ns, feed->options.speed);
}

static uint64_t due_ns(const struct nilai_demo_feed *feed, int64_t ts_ms)
{
    if (ts_ms <= feed->due_from_ms)
        return feed->due_begin_ns;
    double days = (double)(ts_ms - feed->due_from_ms) / (double)NILAI_DAY_MS;
    return feed->due_begin_ns + (uint64_t)(days / feed->options.speed * 1e9);
}

static void go_live(struct nilai_demo_feed *feed)
{
    feed->state.live = true;
    feed->state.live_since_ns = nilai_clock_monotonic_ns();
    feed->state.history = feed->state.sent;
    set_schedule(feed, feed->options.live_from_ms, feed->state.live_since_ns);
}

/* Waits until the event is due; if that is long ago, everything after it is due later. */
static void keep_schedule(struct nilai_demo_feed *feed, int64_t ts_ms)
{
    uint64_t due = due_ns(feed, ts_ms), now_ns = nilai_clock_monotonic_ns();
    if (now_ns > due + LATE_MS_MAX * 1000000u && ts_ms > feed->due_from_ms) {
        feed->state.late_s += (double)(now_ns - due) * 1e-9;
        set_schedule(feed, ts_ms, now_ns);
    }
    while (now_ns < due && !atomic_load(&feed->stopping) && serve(feed, 0)) {
        show(feed);
        pause_ns(due - now_ns);
        now_ns = nilai_clock_monotonic_ns();
    }
}

static void keep_distance(struct nilai_demo_feed *feed)
{
    while (feed->state.sent - feed->options.applied(feed->options.applied_context)
               >= NILAI_DEMO_FEED_AHEAD
           && !atomic_load(&feed->stopping) && serve(feed, 1))
        show(feed);
}

/* ---- sending ---- */

static void send_event(struct nilai_demo_feed *feed, const struct nilai_generated *event)
{
    do {
        feed->status = nilai_kafka_producer_send(feed->producer, topic_of(event->type), event->key,
                                                 sizeof event->key, event->value, event->value_size,
                                                 0, &feed->error);
    } while (feed->status == NILAI_AGAIN && !atomic_load(&feed->stopping) && serve(feed, 1));
    if (feed->status == NILAI_AGAIN)
        feed->status = NILAI_OK; /* stopped: it does not matter any more */
    else
        feed->state.sent++;
}

static bool send_next(struct nilai_demo_feed *feed)
{
    struct nilai_generated event;
    enum nilai_status status = nilai_generator_next(feed->generator, &event);
    if (status == NILAI_MISSING)
        return false;
    if (status != NILAI_OK) {
        feed->status = nilai_error_set(&feed->error, status, "out of memory");
        return false;
    }
    if (!feed->state.live && event.ts_ms >= feed->options.live_from_ms)
        go_live(feed);
    if (feed->state.live)
        keep_schedule(feed, event.ts_ms);
    keep_distance(feed);
    if (feed->status != NILAI_OK || atomic_load(&feed->stopping))
        return false;
    send_event(feed, &event);
    if (event.ts_ms > feed->state.sim_ms)
        feed->state.sim_ms = event.ts_ms;
    if (feed->state.sent % SERVE_EVENTS == 0 && feed->status == NILAI_OK && serve(feed, 0))
        show(feed);
    return feed->status == NILAI_OK;
}

static void flush(struct nilai_demo_feed *feed)
{
    uint64_t until_ns = nilai_clock_monotonic_ns() + FLUSH_MS_MAX * 1000000ull;
    while (feed->status == NILAI_OK && nilai_kafka_producer_pending(feed->producer) > 0
           && nilai_clock_monotonic_ns() < until_ns)
        serve(feed, PAUSE_MS_MAX);
}

static void *run(void *context)
{
    struct nilai_demo_feed *feed = context;
    while (!atomic_load(&feed->stopping) && send_next(feed))
        ;
    flush(feed);
    feed->state.ended = !atomic_load(&feed->stopping);
    show(feed);
    return NULL;
}

/* ---- life ---- */

static enum nilai_status open_producer(struct nilai_demo_feed *feed, struct nilai_error *error)
{
    const struct nilai_config *config = feed->options.config;
    const char *topics[NILAI_CONFIG_TOPICS_MAX];
    for (size_t topic = 0; topic < config->input_topic_count; topic++)
        topics[topic] = config->input_topics[topic];
    return nilai_kafka_producer_create(
        &(struct nilai_kafka_producer_options){
            .given = config->kafka,
            .given_count = config->kafka_count,
            .topics = topics,
            .topic_count = config->input_topic_count,
            .connect_timeout_ms = feed->options.connect_timeout_ms,
        },
        &feed->producer, error);
}

enum nilai_status nilai_demo_feed_create(const struct nilai_demo_feed_options *options,
                                         struct nilai_demo_feed **result, struct nilai_error *error)
{
    NILAI_ASSERT(options->config->input_topic_count == 3 && options->speed > 0);
    struct nilai_demo_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    feed->options = *options;
    feed->state.sim_ms = feed->shown.sim_ms = options->generator.from_ms;
    NILAI_ASSERT(pthread_mutex_init(&feed->lock, NULL) == 0);
    enum nilai_status status = nilai_generator_create(&options->generator, &feed->generator, error);
    if (status == NILAI_OK)
        status = open_producer(feed, error);
    if (status != NILAI_OK) {
        nilai_demo_feed_destroy(feed);
        return status;
    }
    *result = feed;
    return NILAI_OK;
}

enum nilai_status nilai_demo_feed_start(struct nilai_demo_feed *feed, struct nilai_error *error)
{
    NILAI_ASSERT(!feed->started);
    int code = pthread_create(&feed->thread, NULL, run, feed);
    if (code != 0)
        return nilai_error_set(error, NILAI_FAILED, "a thread cannot be started: %s",
                               strerror(code));
    feed->started = true;
    return NILAI_OK;
}

enum nilai_status nilai_demo_feed_stop(struct nilai_demo_feed *feed, struct nilai_error *error)
{
    atomic_store(&feed->stopping, true);
    if (feed->started)
        pthread_join(feed->thread, NULL);
    feed->started = false;
    *error = feed->error;
    return feed->status;
}

void nilai_demo_feed_read(struct nilai_demo_feed *feed, struct nilai_demo_feed_state *state)
{
    pthread_mutex_lock(&feed->lock);
    *state = feed->shown;
    pthread_mutex_unlock(&feed->lock);
}

void nilai_demo_feed_destroy(struct nilai_demo_feed *feed)
{
    if (feed == NULL)
        return;
    struct nilai_error unused;
    if (nilai_demo_feed_stop(feed, &unused) != NILAI_OK)
        (void)unused; /* whoever wanted to know has stopped it before */
    nilai_kafka_producer_destroy(feed->producer);
    nilai_generator_destroy(feed->generator);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}
