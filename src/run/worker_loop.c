#include "nilai/run/worker_loop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "nilai/base/clock.h"
#include "nilai/io/kafka_sink.h"
#include "nilai/io/kafka_source.h"
#include "nilai/io/kafka_state_log.h"
#include "nilai/io/kafka_transaction_sink.h"

enum { PULSE_MS = 100 };

/*
 * The flags are the only things shared with other threads. Each has one meaning and goes one
 * way at a time; nothing else is published through them, so relaxed order would do, and the
 * default is used because nobody counts the cost.
 */
struct nilai_worker_loop {
    struct nilai_worker_loop_options options;
    const char *topics[NILAI_INPUT_TOPICS_MAX];
    char instance[NILAI_CONFIG_TEXT_SIZE + 16];
    struct nilai_source *source;
    struct nilai_sink *sink;
    struct nilai_state_log *state_log; /* NULL: no journal */
    struct nilai_worker *worker;
    struct nilai_counters counters;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    pthread_t thread;
    bool started;
    _Atomic bool stopping, done, failed, ended;
    enum nilai_status status;
    struct nilai_error error;
};

static void wake(void *context)
{
    struct nilai_worker_loop *loop = context;
    uv_async_send(&loop->wake);
}

static void on_timer(uv_timer_t *timer);

static void work_round(struct nilai_worker_loop *loop)
{
    int64_t now_ms = nilai_clock_monotonic_ms();
    int64_t wake_ms = now_ms;
    if (loop->status == NILAI_OK && !atomic_load(&loop->stopping)) {
        loop->status =
            nilai_worker_work(loop->worker, now_ms, nilai_clock_wall_ms(), &wake_ms, &loop->error);
        atomic_store(&loop->done, nilai_worker_is_done(loop->worker));
    }
    if (loop->status != NILAI_OK || atomic_load(&loop->stopping)) {
        uv_stop(&loop->loop);
        return;
    }
    int64_t delay_ms = wake_ms - now_ms;
    if (delay_ms < 0)
        delay_ms = 0;
    uv_timer_start(&loop->timer, on_timer, (uint64_t)(delay_ms < PULSE_MS ? delay_ms : PULSE_MS),
                   0);
}

static void on_timer(uv_timer_t *timer)
{
    work_round(timer->data);
}

static void on_async(uv_async_t *async)
{
    work_round(async->data);
}

static void close_handles(struct nilai_worker_loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_run(&loop->loop, UV_RUN_DEFAULT);
    NILAI_ASSERT(uv_loop_close(&loop->loop) == 0);
}

static void *run(void *context)
{
    struct nilai_worker_loop *loop = context;
    work_round(loop);
    uv_run(&loop->loop, UV_RUN_DEFAULT);
    atomic_store(&loop->failed, loop->status != NILAI_OK);

    /* Leaving finishes the turn at hand and commits, unless the worker has failed. */
    nilai_source_leave(loop->source);
    struct nilai_error error;
    enum nilai_status status = nilai_worker_result(loop->worker, &error);
    if (loop->status == NILAI_OK && status != NILAI_OK) {
        loop->status = status;
        loop->error = error;
    }
    atomic_store(&loop->ended, true);
    return NULL;
}

static enum nilai_status open_source(struct nilai_worker_loop *loop, struct nilai_error *error)
{
    const struct nilai_config *config = loop->options.config;
    for (size_t topic = 0; topic < config->input_topic_count; topic++)
        loop->topics[topic] = config->input_topics[topic];
    snprintf(loop->instance, sizeof loop->instance, "%s-%u", config->instance,
             loop->options.number);
    return nilai_kafka_source_create(
        &(struct nilai_kafka_source_options){
            .kafka = config->kafka,
            .kafka_count = config->kafka_count,
            .group = config->group,
            /* A process that will end leaves its partitions to the others at once. */
            .instance = loop->options.marks == NULL ? loop->instance : NULL,
            .topics = loop->topics,
            .topic_count = (uint32_t)config->input_topic_count,
            .partition_count = loop->options.partition_count,
            .wake = wake,
            .wake_context = loop,
        },
        &loop->source, error);
}

static enum nilai_status open_sink(struct nilai_worker_loop *loop, struct nilai_error *error)
{
    const struct nilai_config *config = loop->options.config;
    const struct nilai_kafka_sink_options options = {
        .kafka = config->kafka,
        .kafka_count = config->kafka_count,
        .input_topics = loop->topics,
        .input_topic_count = (uint32_t)config->input_topic_count,
        .topics = {[NILAI_OUTPUT_CHURN_RISK] = config->churn_risk_topic,
                   [NILAI_OUTPUT_VALUE_SEGMENT] = config->value_segment_topic,
                   [NILAI_OUTPUT_CUSTOMERS] =
                       config->customers_feed ? config->customers_topic : NULL,
                   [NILAI_OUTPUT_DEAD_LETTER] = config->dead_letter_topic,
                   [NILAI_OUTPUT_STATE] = loop->options.journal ? config->state_topic : NULL},
        .source = loop->source,
        .wake = wake,
        .wake_context = loop,
    };
    if (config->delivery == NILAI_AT_LEAST_ONCE)
        return nilai_kafka_sink_create(&options, &loop->sink, error);
    char id[2 * NILAI_CONFIG_TEXT_SIZE + 32];
    snprintf(id, sizeof id, "%s-%s", config->group, loop->instance);
    return nilai_kafka_transaction_sink_create(&options, id, loop->options.connect_timeout_ms,
                                               &loop->sink, error);
}

static enum nilai_status open_state_log(struct nilai_worker_loop *loop, struct nilai_error *error)
{
    const struct nilai_config *config = loop->options.config;
    if (!loop->options.journal)
        return NILAI_OK;
    return nilai_kafka_state_log_create(
        &(struct nilai_kafka_state_log_options){
            .kafka = config->kafka,
            .kafka_count = config->kafka_count,
            .topic = config->state_topic,
            .partition_count = loop->options.partition_count,
            .wake = wake,
            .wake_context = loop,
        },
        &loop->state_log, error);
}

static enum nilai_status open_worker(struct nilai_worker_loop *loop, struct nilai_error *error)
{
    loop->worker = nilai_worker_create(&(struct nilai_worker_options){
        .config = loop->options.config,
        .source = loop->source,
        .sink = loop->sink,
        .state_log = loop->state_log,
        .inputs_hash = nilai_config_inputs_hash(loop->options.config),
        .number = loop->options.number,
        .marks = loop->options.marks,
        .counters = &loop->counters,
        .budget = loop->options.budget,
        .hash_seed = loop->options.hash_seed,
        .observe = loop->options.observe,
        .observe_context = loop->options.observe_context,
    });
    return loop->worker != NULL ? NILAI_OK
                                : nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
}

static void open_handles(struct nilai_worker_loop *loop)
{
    /* These fail only when the process has no more memory or file descriptors at its start. */
    NILAI_ASSERT(uv_loop_init(&loop->loop) == 0);
    NILAI_ASSERT(uv_async_init(&loop->loop, &loop->wake, on_async) == 0);
    NILAI_ASSERT(uv_timer_init(&loop->loop, &loop->timer) == 0);
    loop->wake.data = loop;
    loop->timer.data = loop;
}

enum nilai_status nilai_worker_loop_create(const struct nilai_worker_loop_options *options,
                                           struct nilai_worker_loop **loop,
                                           struct nilai_error *error)
{
    struct nilai_worker_loop *created = calloc(1, sizeof *created);
    if (created == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    created->options = *options;
    open_handles(created);
    enum nilai_status status = open_source(created, error);
    if (status == NILAI_OK)
        status = open_sink(created, error);
    if (status == NILAI_OK)
        status = open_state_log(created, error);
    if (status == NILAI_OK)
        status = open_worker(created, error);
    if (status != NILAI_OK) {
        struct nilai_error unused;
        enum nilai_status ending = nilai_worker_loop_destroy(created, &unused);
        (void)ending; /* why it was not begun says more */
        return status;
    }
    *loop = created;
    return NILAI_OK;
}

enum nilai_status nilai_worker_loop_start(struct nilai_worker_loop *loop, struct nilai_error *error)
{
    NILAI_ASSERT(!loop->started);
    int code = pthread_create(&loop->thread, NULL, run, loop);
    if (code != 0)
        return nilai_error_set(error, NILAI_FAILED, "a thread cannot be started: %s",
                               strerror(code));
    loop->started = true;
    return NILAI_OK;
}

void nilai_worker_loop_stop(struct nilai_worker_loop *loop)
{
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
}

bool nilai_worker_loop_is_done(const struct nilai_worker_loop *loop)
{
    return atomic_load(&loop->done);
}

bool nilai_worker_loop_has_ended(const struct nilai_worker_loop *loop)
{
    return atomic_load(&loop->ended);
}

bool nilai_worker_loop_has_failed(const struct nilai_worker_loop *loop)
{
    return atomic_load(&loop->failed);
}

const struct nilai_counters *nilai_worker_loop_counters(const struct nilai_worker_loop *loop)
{
    return &loop->counters;
}

enum nilai_status nilai_worker_loop_destroy(struct nilai_worker_loop *loop,
                                            struct nilai_error *error)
{
    if (loop->started)
        pthread_join(loop->thread, NULL);
    else if (loop->worker != NULL)
        nilai_source_leave(loop->source);
    nilai_worker_destroy(loop->worker);
    if (loop->state_log != NULL)
        loop->state_log->ops->close(loop->state_log);
    if (loop->sink != NULL)
        nilai_sink_close(loop->sink);
    if (loop->source != NULL)
        nilai_source_close(loop->source);
    close_handles(loop);
    enum nilai_status status = loop->status;
    *error = loop->error;
    free(loop);
    return status;
}
