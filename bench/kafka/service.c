/*
 * service.c - the service as a library, with its CPU time told by thread.
 *
 *     bench_service [--no-journal] [--emulated] [--warm-up N] [--events N] [--serve]
 *                   [--set NAME=VALUE]...
 *
 * What `nilai run` does, by the same server; with --no-journal without durability: state is not
 * written anywhere, changes are sent at least once (set delivery and commit.interval for it).
 * It ends when all input that is there at the start is processed and committed. With --events it
 * begins to end after so many, so that rare commits are not waited for; with --warm-up what comes
 * after about so many is measured; with --serve it tells on standard output when its partitions are
 * in service, and ends in order with SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "measure.h"
#include "nilai/base/clock.h"
#include "nilai/run/server.h"

enum {
    LOOK_MS = 20,
    LOOK_FIRST_MS = 1, /* for when the warm-up is over */
    CONNECT_MS = 240000,
};

struct service {
    struct nilai_server *server;
    uint64_t begin_ns, end_ns; /* of what was processed, as far as seen */
    uint64_t events;
    uint64_t customers_max, memory_max_bytes; /* a partition that is given up counts no more */
    uint64_t events_max;                      /* 0: no limit */
    uint64_t warm_up;                         /* events before what is measured */
    uint64_t begin_events, begin_changes;
    bool begun, ready;
};

static struct nilai_config config;
static struct nilai_options options;

static const struct nilai_option service_options[] = {
    {"no-journal", NULL, "keep no journal: nothing is durable"},
    {"emulated", NULL, "the brokers are librdkafka's own emulation, which knows no journal"},
    {"warm-up", "N", "measure what comes after about so many events"},
    {"events", "N", "end after so many events"},
    {"serve", NULL, "say \"ready\", and go on until SIGTERM"},
};
static const struct nilai_command service_command = {
    .name = "bench_service",
    .configures = true,
    .summary = "the service, measured",
    .options = service_options,
    .option_count = NILAI_ARRAY_LEN(service_options),
};

static uint64_t events_now(const struct nilai_server *server)
{
    uint64_t events = nilai_server_read(server, NILAI_COUNTER_EVENTS);
    for (int class = NILAI_REJECT_NONE + 1; class < NILAI_REJECT_CLASSES; class++)
        events += nilai_server_read(server, NILAI_COUNTER_BAD + class);
    return events;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void say_ready(struct service *service)
{
    if (service->ready || !nilai_options_has(&options, "serve")
        || nilai_server_read(service->server, NILAI_COUNTER_PARTITIONS) == 0
        || nilai_server_read(service->server, NILAI_COUNTER_REPLAYING) > 0)
        return;
    service->ready = true;
    puts("ready");
    if (fflush(stdout) != 0)
        bench_fail("standard output is closed");
}

static uint64_t changes_now(const struct nilai_server *server)
{
    return nilai_server_read(server, NILAI_COUNTER_CHURN_RISK)
           + nilai_server_read(server, NILAI_COUNTER_VALUE_SEGMENT);
}

/* Without a warm-up everything counts. */
static void begin(struct service *service, uint64_t now_ns, uint64_t events)
{
    service->begun = true;
    service->begin_ns = now_ns;
    if (service->warm_up == 0)
        return;
    service->begin_events = events;
    service->begin_changes = changes_now(service->server);
    bench_mark();
}

static void look(struct service *service)
{
    uint64_t now_ns = nilai_clock_monotonic_ns(), events = events_now(service->server);
    if (events != service->events) {
        if (!service->begun && events > service->warm_up)
            begin(service, now_ns, events);
        service->events = events;
        service->end_ns = now_ns;
    }
    service->customers_max =
        max_of(service->customers_max, nilai_server_read(service->server, NILAI_COUNTER_CUSTOMERS));
    service->memory_max_bytes = max_of(
        service->memory_max_bytes, nilai_server_read(service->server, NILAI_COUNTER_MEMORY_BYTES));
    say_ready(service);
}

static void attend(struct service *service, const sigset_t *set)
{
    while (!nilai_server_has_ended(service->server)) {
        look(service);
        bool soon = service->warm_up > 0 && !service->begun;
        const struct timespec until = {.tv_nsec = (soon ? LOOK_FIRST_MS : LOOK_MS) * 1000000L};
        bool told = sigtimedwait(set, NULL, &until) > 0;
        if (told || (service->events_max > 0 && service->events >= service->events_max))
            nilai_server_stop(service->server);
    }
    look(service);
    /* With --serve the end is the last event's; else it includes the last commit. */
    if (!nilai_options_has(&options, "serve"))
        service->end_ns = nilai_clock_monotonic_ns();
}

static void report(const struct service *service)
{
    const struct nilai_server *server = service->server;
    bench_report_count("events", service->events);
    bench_report_count("changes", changes_now(server));
    bench_report_count("measured_events", service->events - service->begin_events);
    bench_report_count("measured_changes", changes_now(server) - service->begin_changes);
    bench_report_count("customers", service->customers_max);
    bench_report_count("state_bytes", service->memory_max_bytes);
    bench_report_count("commits", nilai_server_read(server, NILAI_COUNTER_COMMITS));
    bench_report_count("journal_bytes", nilai_server_read(server, NILAI_COUNTER_JOURNAL_BYTES));
    bench_report_count("sink_full", nilai_server_read(server, NILAI_COUNTER_SINK_FULL));
    bench_report_real("seconds", (double)(service->end_ns - service->begin_ns) * 1e-9);
    bench_report_end();
}

static void open_server(struct service *service)
{
    struct nilai_error error;
    const struct nilai_server_options server_options = {
        .config = &config,
        .exit_at_end = !nilai_options_has(&options, "serve"),
        /* The emulation has no journal, and a server that thinks it meets one keeps none. */
        .emulated =
            nilai_options_has(&options, "emulated") || nilai_options_has(&options, "no-journal"),
        .connect_timeout_ms = CONNECT_MS,
    };
    if (nilai_server_create(&server_options, &service->server, &error) != NILAI_OK
        || nilai_server_start(service->server, &error) != NILAI_OK)
        bench_fail("%s", error.text);
}

int main(int argc, char **argv)
{
    static struct service service;
    struct nilai_error error;
    sigset_t set;
    int exit_code;
    if (!bench_begin(&service_command, argc, argv, &options, &config, &exit_code))
        return exit_code;
    if (nilai_options_count(&options, "events", 1, UINT64_MAX, &service.events_max) != NILAI_OK
        || nilai_options_count(&options, "warm-up", 0, UINT64_MAX, &service.warm_up) != NILAI_OK)
        return nilai_options_fail(&options);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* for threads to come, too */
    bench_watch(false);
    open_server(&service);
    attend(&service, &set);
    report(&service);
    if (nilai_server_destroy(service.server, &error) != NILAI_OK)
        bench_fail("%s", error.text);
    return NILAI_EXIT_OK;
}
