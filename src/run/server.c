#include "nilai/run/server.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "nilai/base/clock.h"
#include "nilai/base/log.h"
#include "nilai/io/kafka_admin.h"
#include "nilai/run/worker_loop.h"

enum {
    WATCH_MS = 50,
    INPUT_NEEDED_ROUNDS = 6, /* a floor lies two rounds back at most; the rest is for outages */
};

/* What the watching thread remembers of one worker. */
struct watched {
    uint64_t beats;
    int64_t beat_at_ms;
};

struct nilai_server {
    struct nilai_server_options options;
    struct nilai_kafka_layout layout;
    struct nilai_marks marks;
    struct nilai_budget budget;
    struct nilai_worker_loop *loops[NILAI_CONFIG_WORKERS_MAX];
    uint32_t loop_count;
    struct watched watched[NILAI_CONFIG_WORKERS_MAX];
    pthread_t watcher;
    bool watching;
    _Atomic bool stopping, ended;
    int64_t looked_at_ms, reported_at_ms;
    uint64_t reported_events;
};

uint64_t nilai_server_read(const struct nilai_server *server, enum nilai_counter counter)
{
    uint64_t sum = 0;
    for (uint32_t index = 0; index < server->loop_count; index++)
        sum += nilai_counter_read(nilai_worker_loop_counters(server->loops[index]), counter);
    return sum;
}

/* --- Reports ---------------------------------------------------------------------------- */

static void format_bad(const struct nilai_server *server, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "none");
    uint64_t total = 0;
    for (int class = NILAI_REJECT_NONE + 1; class < NILAI_REJECT_CLASSES; class++) {
        uint64_t count = nilai_server_read(server, NILAI_COUNTER_BAD + class);
        if (count == 0)
            continue;
        if (total == 0)
            used = 0;
        if (used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s %" PRIu64,
                                     total > 0 ? ", " : "", nilai_reject_names[class], count);
        total += count;
    }
}

static void report(struct nilai_server *server, int64_t at_ms)
{
    char bad[384];
    uint64_t events = nilai_server_read(server, NILAI_COUNTER_EVENTS)
                      + nilai_server_read(server, NILAI_COUNTER_REPLAYED);
    double seconds = (double)(at_ms - server->reported_at_ms) / 1000;
    format_bad(server, bad, sizeof bad);
    nilai_log(NILAI_LOG_INFO,
              "%.0f events/s, %" PRIu64 " new and %" PRIu64 " replayed since the start; "
              "lag %" PRIu64 ", partitions %" PRIu64 " (replaying %" PRIu64 "), customers %" PRIu64
              ", changes of risk %" PRIu64 " and of value %" PRIu64 "; bad events: %s",
              seconds > 0 ? (double)(events - server->reported_events) / seconds : 0,
              nilai_server_read(server, NILAI_COUNTER_EVENTS),
              nilai_server_read(server, NILAI_COUNTER_REPLAYED),
              nilai_server_read(server, NILAI_COUNTER_LAG),
              nilai_server_read(server, NILAI_COUNTER_PARTITIONS),
              nilai_server_read(server, NILAI_COUNTER_REPLAYING),
              nilai_server_read(server, NILAI_COUNTER_CUSTOMERS),
              nilai_server_read(server, NILAI_COUNTER_CHURN_RISK),
              nilai_server_read(server, NILAI_COUNTER_VALUE_SEGMENT), bad);
    server->reported_at_ms = at_ms;
    server->reported_events = events;
}

/* --- Watching --------------------------------------------------------------------------- */

/* Who has not looked for long was stopped, and the workers with it: they begin anew. */
static void check_beat(struct nilai_server *server, uint32_t index, int64_t at_ms)
{
    struct watched *watched = &server->watched[index];
    uint64_t beats =
        nilai_counter_read(nilai_worker_loop_counters(server->loops[index]), NILAI_COUNTER_BEATS);
    if (beats != watched->beats || nilai_worker_loop_has_ended(server->loops[index])
        || at_ms - server->looked_at_ms > server->options.stall_ms / 2) {
        *watched = (struct watched){.beats = beats, .beat_at_ms = at_ms};
    } else if (at_ms - watched->beat_at_ms > server->options.stall_ms) {
        nilai_log(NILAI_LOG_ERROR, "worker %u stands still for %d s: ending", index,
                  server->options.stall_ms / 1000);
        _exit(NILAI_EXIT_BUG);
    }
}

static void stop_all(struct nilai_server *server)
{
    for (uint32_t index = 0; index < server->loop_count; index++)
        nilai_worker_loop_stop(server->loops[index]);
}

/* One look at everything; false: all workers have ended. */
static bool watch_once(struct nilai_server *server)
{
    int64_t at_ms = nilai_clock_monotonic_ms();
    uint32_t ended = 0, done = 0;
    for (uint32_t index = 0; index < server->loop_count; index++) {
        check_beat(server, index, at_ms);
        ended += nilai_worker_loop_has_ended(server->loops[index]);
        done += nilai_worker_loop_is_done(server->loops[index]);
    }
    server->looked_at_ms = at_ms;
    /* Only all together: the group may still move a partition to a worker that was done. */
    if (atomic_load(&server->stopping) || ended > 0 || done == server->loop_count)
        stop_all(server);
    if (at_ms - server->reported_at_ms >= NILAI_SERVER_REPORT_MS)
        report(server, at_ms);
    return ended < server->loop_count;
}

static void *watch(void *context)
{
    struct nilai_server *server = context;
    while (watch_once(server))
        nanosleep(&(struct timespec){.tv_nsec = WATCH_MS * 1000000L}, NULL);
    report(server, nilai_clock_monotonic_ms());
    atomic_store(&server->ended, true);
    return NULL;
}

/* --- Life ------------------------------------------------------------------------------- */

static enum nilai_status prepare_topics(struct nilai_server *server, struct nilai_error *error)
{
    const struct nilai_config *config = server->options.config;
    const char *inputs[NILAI_CONFIG_TOPICS_MAX];
    for (size_t topic = 0; topic < config->input_topic_count; topic++)
        inputs[topic] = config->input_topics[topic];
    enum nilai_status status = nilai_kafka_admin_prepare(
        &(struct nilai_kafka_admin_options){
            .kafka = config->kafka,
            .kafka_count = config->kafka_count,
            .inputs = inputs,
            .input_count = (uint32_t)config->input_topic_count,
            .outputs = {[NILAI_OUTPUT_CHURN_RISK] = config->churn_risk_topic,
                        [NILAI_OUTPUT_VALUE_SEGMENT] = config->value_segment_topic,
                        [NILAI_OUTPUT_CUSTOMERS] =
                            config->customers_feed ? config->customers_topic : NULL,
                        [NILAI_OUTPUT_DEAD_LETTER] = config->dead_letter_topic},
            .state = server->options.emulated ? NULL : config->state_topic,
            .input_needed_ms =
                server->options.emulated ? 0 : INPUT_NEEDED_ROUNDS * config->image_round_max_ms,
            .create = config->topics_create,
            .replication = (int32_t)config->topics_replication,
            .emulated = server->options.emulated,
            .timeout_ms = server->options.connect_timeout_ms,
        },
        &server->layout, error);
    if (status == NILAI_OK)
        server->marks = (struct nilai_marks){.partition_count = server->layout.partition_count,
                                             .ends = server->layout.ends};
    return status;
}

/* More workers than partitions would only wait. */
static uint32_t workers_needed(const struct nilai_server *server)
{
    uint32_t partitions = (uint32_t)server->layout.partition_count;
    return server->options.config->workers < partitions ? server->options.config->workers
                                                        : partitions;
}

static enum nilai_status create_loops(struct nilai_server *server, struct nilai_error *error)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return nilai_error_set(error, NILAI_FAILED, "no random bytes: %s", strerror(errno));
    uint32_t needed = workers_needed(server);
    while (server->loop_count < needed) {
        enum nilai_status status = nilai_worker_loop_create(
            &(struct nilai_worker_loop_options){
                .config = server->options.config,
                .number = server->loop_count,
                .partition_count = server->layout.partition_count,
                /* The emulated brokers have no transactions to speak of and delete no heads. */
                .journal = !server->options.emulated,
                .marks = server->options.exit_at_end ? &server->marks : NULL,
                .connect_timeout_ms = server->options.connect_timeout_ms,
                .budget = &server->budget,
                .hash_seed = seed,
                .observe = server->options.observe,
                .observe_context = server->options.observe_context,
            },
            &server->loops[server->loop_count], error);
        if (status != NILAI_OK)
            return status;
        server->loop_count++;
    }
    return NILAI_OK;
}

enum nilai_status nilai_server_create(const struct nilai_server_options *options,
                                      struct nilai_server **server, struct nilai_error *error)
{
    struct nilai_server *created = calloc(1, sizeof *created);
    if (created == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    created->options = *options;
    if (created->options.stall_ms == 0)
        created->options.stall_ms = NILAI_SERVER_STALL_MS;
    created->budget.max_bytes = options->config->memory_max_bytes;
    enum nilai_status status = prepare_topics(created, error);
    if (status == NILAI_OK)
        status = create_loops(created, error);
    if (status != NILAI_OK) {
        struct nilai_error first = *error;
        if (nilai_server_destroy(created, error) != NILAI_OK)
            nilai_log(NILAI_LOG_WARNING, "%s", error->text);
        *error = first;
        return status;
    }
    *server = created;
    return NILAI_OK;
}

enum nilai_status nilai_server_start(struct nilai_server *server, struct nilai_error *error)
{
    server->looked_at_ms = server->reported_at_ms = nilai_clock_monotonic_ms();
    for (uint32_t index = 0; index < server->loop_count; index++) {
        server->watched[index].beat_at_ms = server->reported_at_ms;
        enum nilai_status status = nilai_worker_loop_start(server->loops[index], error);
        if (status != NILAI_OK)
            return status;
    }
    int code = pthread_create(&server->watcher, NULL, watch, server);
    if (code != 0)
        return nilai_error_set(error, NILAI_FAILED, "a thread cannot be started: %s",
                               strerror(code));
    server->watching = true;
    return NILAI_OK;
}

void nilai_server_stop(struct nilai_server *server)
{
    atomic_store(&server->stopping, true);
}

bool nilai_server_has_ended(const struct nilai_server *server)
{
    return atomic_load(&server->ended);
}

enum nilai_status nilai_server_destroy(struct nilai_server *server, struct nilai_error *error)
{
    enum nilai_status first = NILAI_OK;
    nilai_server_stop(server);
    stop_all(server); /* also when no watcher was started */
    if (server->watching)
        pthread_join(server->watcher, NULL);
    bool is_cause = false;
    for (uint32_t index = 0; index < server->loop_count; index++) {
        struct nilai_error one;
        bool failed = nilai_worker_loop_has_failed(server->loops[index]);
        enum nilai_status status = nilai_worker_loop_destroy(server->loops[index], &one);
        /* Why one has failed says more than what became of the others, which were stopped. */
        if (status != NILAI_OK && (first == NILAI_OK || (failed && !is_cause))) {
            is_cause = failed;
            first = status;
            *error = one;
        }
    }
    free(server->layout.ends);
    free(server);
    return first;
}
