#include "nilai/run/demo.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "nilai/base/clock.h"
#include "nilai/base/log.h"
#include "nilai/io/mock_cluster.h"
#include "nilai/run/demo_feed.h"
#include "nilai/run/demo_plan.h"
#include "nilai/run/demo_screen.h"
#include "nilai/run/demo_summary.h"
#include "nilai/run/demo_tally.h"
#include "nilai/run/demo_view.h"
#include "nilai/run/options.h"
#include "nilai/run/server.h"

enum {
    TICK_MS = 100,
    SAMPLE_MS = 500,       /* rates are those of the time since the last sample but one */
    NEWS_SCREEN_MS = 1500, /* a person reads one alert in so long */
    NEWS_LINES_MS = 1000,
    STATUS_LINES_MS = 3000,
    DRAIN_MS = 3000,
    CONNECT_MS = 60000,
    SECONDS_MAX = 86400,
    PARTITIONS_DEFAULT = 4,
};

/* What grows, at one instant. */
struct sample {
    uint64_t at_ns, events, changes, purchases, tickets, surveys;
};

struct demo {
    struct nilai_options options;
    struct nilai_config config;
    struct nilai_demo_wish wish;
    uint64_t partitions;
    struct nilai_generator_options business;
    int64_t live_from_ms;

    struct nilai_mock_cluster *cluster;
    struct nilai_server *server;
    struct nilai_demo_tally *tally;
    struct nilai_demo_feed *feed;
    bool feed_started;

    int signals; /* a signalfd */
    bool on_screen, unicode, colour;
    bool stopping;
    uint64_t begin_ns; /* of the feed */
    uint64_t now_ns;
    uint64_t sampled_ns, news_ns, status_ns; /* when that was last done */
    struct sample newer, older;
    size_t news_turn;
    size_t alert_count;
    struct nilai_effect alerts[NILAI_DEMO_ALERTS_MAX]; /* newest first */
    struct nilai_demo_counts counts;
    struct nilai_demo_feed_state feed_state;
    struct nilai_demo_lines lines;
};

static const struct nilai_option demo_options[] = {
    {"rate", "N",
     "events a second when the history ends, about, default 2000; as customers join, more"},
    {"customers", "N", "how many are known then; default: as the rate suggests, 40000"},
    {"speed", "DAYS", "simulated days a second, default 1"},
    {"history", "DAYS", "simulated days that are read at the start, default 400"},
    {"seconds", "N", "end after so long, default 3600"},
    {"seed", "N", "same seed and options, same customers; default 1"},
    {"partitions", "N", "of each topic, default 4"},
};

static const struct nilai_command demo_command = {
    .name = "demo",
    .configures = true,
    .summary = "broker, customers and engine in one process; nothing to set up",
    .description =
        "Starts a Kafka broker inside the process (librdkafka's emulation), a business of\n"
        "synthetic customers, and the service as `nilai run` has it. First it catches up with\n"
        "the business's history; then a simulated day takes a second, so that silence, which is\n"
        "a reason by itself, can be watched. Nothing is stored, nothing is reachable from\n"
        "outside.\n\n"
        "On a terminal it draws one page until `q`, Ctrl-C or SIGTERM; elsewhere it writes lines.\n"
        "At the end it sums up. Latency is measured, for changes that an event brought, from the\n"
        "instant at which the event was due until the change was handed to the Kafka client.\n\n"
        "Settings of the model and of alerts count (try --set alerts.high.up=0.6), those of\n"
        "Kafka, input and time do not.",
    .options = demo_options,
    .option_count = NILAI_ARRAY_LEN(demo_options),
};

/* ---- what was asked for ---- */

static enum nilai_status read_wish(struct demo *demo)
{
    struct nilai_options *options = &demo->options;
    struct nilai_demo_wish *wish = &demo->wish;
    enum nilai_status status;
    *wish = (struct nilai_demo_wish){
        .seed = 1, .rate = 2000, .speed = 1, .seconds = 3600, .history_days = 400};
    demo->partitions = PARTITIONS_DEFAULT;
    if ((status = nilai_options_number(options, "rate", 1, 1e6, &wish->rate)) != NILAI_OK
        || (status = nilai_options_number(options, "speed", 0.01, 365, &wish->speed)) != NILAI_OK
        || (status = nilai_options_number(options, "history", 1, 3650, &wish->history_days))
               != NILAI_OK
        || (status = nilai_options_number(options, "seconds", 1, SECONDS_MAX, &wish->seconds))
               != NILAI_OK
        || (status = nilai_options_count(options, "seed", 0, UINT64_MAX, &wish->seed)) != NILAI_OK
        || (status = nilai_options_count(options, "partitions", 1, NILAI_MOCK_PARTITIONS_MAX,
                                         &demo->partitions))
               != NILAI_OK)
        return status;
    wish->customers = nilai_demo_plan_customers(wish->rate, wish->speed, wish->history_days);
    return nilai_options_count(options, "customers", 1, NILAI_DEMO_CUSTOMERS_MAX, &wish->customers);
}

/* Over what was configured: the demo's own broker, its own time. The simulated time runs
 * away from the wall clock, which therefore is neither followed nor a limit. One worker: the
 * emulated broker is the bottleneck, and there are no rebalances to wait for. */
static enum nilai_status take_over(struct demo *demo, struct nilai_error *error)
{
    struct nilai_config *config = &demo->config;
    const struct {
        const char *path, *value;
    } own[] = {
        {"kafka.bootstrap.servers", nilai_mock_cluster_servers(demo->cluster)},
        {"kafka.fetch.wait.max.ms", "10"}, /* it does not answer earlier when something comes */
        {"kafka.linger.ms", "1"},
        {"group", "nilai-demo"},
        {"workers", "1"},
        {"topics.create", "false"},
        {"delivery", "at-least-once"}, /* emulated brokers forget the offsets of transactions */
        {"time.follow_wall_clock", "false"},
    };
    config->kafka_count = 0;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(own); i++) {
        enum nilai_status status = nilai_config_assign(config, own[i].path, own[i].value, error);
        if (status != NILAI_OK)
            return status;
    }
    config->max_future_ms = NILAI_TIME_MAX_MS;
    return NILAI_OK;
}

static enum nilai_status prepare_config(struct demo *demo)
{
    enum nilai_status status = nilai_options_configure(&demo->options, &demo->config);
    if (status == NILAI_OK) /* before the topics are made by these names */
        status = nilai_config_assign(&demo->config, "input.topics",
                                     "purchases,support-tickets,surveys", &demo->options.error);
    if (status != NILAI_OK)
        return status;
    demo->config.input_format = NILAI_FORMAT_MSGPACK;
    if (demo->config.log_level == NILAI_LOG_INFO) /* the page says what is going on */
        nilai_log_configure(NILAI_LOG_WARNING, demo->config.log_format);
    return NILAI_OK;
}

/* ---- the parts, in the order in which they need each other ---- */

static enum nilai_status open_cluster(struct demo *demo, struct nilai_error *error)
{
    const struct nilai_config *config = &demo->config;
    const char *topics[] = {
        config->input_topics[0],   config->input_topics[1],     config->input_topics[2],
        config->churn_risk_topic,  config->value_segment_topic, config->customers_topic,
        config->dead_letter_topic,
    };
    return nilai_mock_cluster_create(topics, NILAI_ARRAY_LEN(topics), (int32_t)demo->partitions,
                                     &demo->cluster, error);
}

static enum nilai_status open_server(struct demo *demo, struct nilai_error *error)
{
    demo->tally = nilai_demo_tally_create();
    if (demo->tally == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    const struct nilai_server_options options = {
        .config = &demo->config,
        .emulated = true,
        .connect_timeout_ms = CONNECT_MS,
        .observe = nilai_demo_tally_observe,
        .observe_context = demo->tally,
    };
    enum nilai_status status = nilai_server_create(&options, &demo->server, error);
    if (status != NILAI_OK)
        return status;
    return nilai_server_start(demo->server, error);
}

static uint64_t applied(void *context)
{
    const struct nilai_server *server = context;
    uint64_t sum = nilai_server_read(server, NILAI_COUNTER_EVENTS);
    for (int class = NILAI_REJECT_NONE + 1; class < NILAI_REJECT_CLASSES; class++)
        sum += nilai_server_read(server, NILAI_COUNTER_BAD + class);
    return sum;
}

static enum nilai_status open_feed(struct demo *demo, struct nilai_error *error)
{
    return nilai_demo_feed_create(
        &(struct nilai_demo_feed_options){
            .config = &demo->config,
            .generator = demo->business,
            .live_from_ms = demo->live_from_ms,
            .speed = demo->wish.speed,
            .tally = demo->tally,
            .applied = applied,
            .applied_context = demo->server,
            .connect_timeout_ms = CONNECT_MS,
        },
        &demo->feed, error);
}

static enum nilai_status open_parts(struct demo *demo, struct nilai_error *error)
{
    enum nilai_status status = open_cluster(demo, error);
    if (status == NILAI_OK)
        status = take_over(demo, error);
    if (status == NILAI_OK)
        status = open_server(demo, error);
    if (status == NILAI_OK)
        status = open_feed(demo, error);
    return status;
}

/* Nothing is sent before the engine listens: the first events would wait where space is short. */
static enum nilai_status start_feed_if_ready(struct demo *demo, struct nilai_error *error)
{
    if (demo->feed_started
        || nilai_server_read(demo->server, NILAI_COUNTER_PARTITIONS) < demo->partitions)
        return NILAI_OK;
    demo->feed_started = true;
    demo->begin_ns = demo->status_ns = demo->now_ns;
    return nilai_demo_feed_start(demo->feed, error);
}

/* ---- what is to be seen ---- */

static double elapsed_s(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}

static void look(struct demo *demo)
{
    demo->now_ns = nilai_clock_monotonic_ns();
    nilai_demo_tally_read(demo->tally, &demo->counts);
    nilai_demo_feed_read(demo->feed, &demo->feed_state);
    if (demo->now_ns - demo->sampled_ns < SAMPLE_MS * 1000000u)
        return;
    const uint64_t *good = demo->feed_state.good;
    demo->sampled_ns = demo->now_ns;
    demo->older = demo->newer;
    demo->newer = (struct sample){
        .at_ns = demo->now_ns,
        .events = applied(demo->server),
        .changes = nilai_demo_tally_changes(&demo->counts),
        .purchases = good[NILAI_PURCHASE],
        .tickets = good[NILAI_TICKET],
        .surveys = good[NILAI_SURVEY],
    };
}

static enum nilai_demo_phase phase_of(const struct demo *demo)
{
    if (demo->stopping)
        return NILAI_DEMO_STOPPING;
    if (!demo->feed_started)
        return NILAI_DEMO_STARTING;
    return demo->feed_state.live ? NILAI_DEMO_LIVE : NILAI_DEMO_HISTORY;
}

static double left_s(const struct demo *demo)
{
    double spent_s = demo->feed_started ? elapsed_s(demo->begin_ns, demo->now_ns) : 0;
    return fmax(0, demo->wish.seconds - spent_s);
}

static struct nilai_demo_view view_of(const struct demo *demo)
{
    const struct sample *newer = &demo->newer, *older = &demo->older;
    double seconds = older->at_ns > 0 ? elapsed_s(older->at_ns, newer->at_ns) : INFINITY;
    double history_ms = (double)(demo->live_from_ms - demo->business.from_ms);
    struct nilai_demo_view view = {
        .colour = demo->colour,
        .unicode = demo->unicode,
        .phase = phase_of(demo),
        .progress = (double)(demo->feed_state.sim_ms - demo->business.from_ms) / history_ms,
        .history_days = demo->wish.history_days,
        .speed = demo->wish.speed,
        .sim_ms = demo->feed_state.sim_ms,
        .left_s = left_s(demo),
        .events = newer->events,
        .customers = nilai_demo_tally_customers(&demo->counts),
        .events_per_s = (double)(newer->events - older->events) / seconds,
        .changes_per_s = (double)(newer->changes - older->changes) / seconds,
        .purchases_per_s = (double)(newer->purchases - older->purchases) / seconds,
        .tickets_per_s = (double)(newer->tickets - older->tickets) / seconds,
        .surveys_per_s = (double)(newer->surveys - older->surveys) / seconds,
        .has_latency = demo->counts.latency_count > 0,
        .latency_median_ms = demo->counts.latency_median_ms,
        .latency_99_ms = demo->counts.latency_99_ms,
        .currency = demo->config.model.currency,
        .alert_count = demo->alert_count,
        .alerts = demo->alerts,
    };
    memcpy(view.bands, demo->counts.bands, sizeof view.bands);
    memcpy(view.segments, demo->counts.segments, sizeof view.segments);
    return view;
}

/* The best news of the kind whose turn it is; silence more often, because it is what no
 * other program tells. False: nothing new. */
static bool take_news(struct demo *demo)
{
    static const enum nilai_demo_news turns[] = {NILAI_DEMO_NEWS_SILENCE, NILAI_DEMO_NEWS_EVENT,
                                                 NILAI_DEMO_NEWS_SILENCE, NILAI_DEMO_NEWS_VALUE};
    struct nilai_effect news;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(turns); i++) {
        if (!nilai_demo_tally_take(demo->tally, turns[demo->news_turn++ % NILAI_ARRAY_LEN(turns)],
                                   &news))
            continue;
        memmove(demo->alerts + 1, demo->alerts, sizeof demo->alerts - sizeof demo->alerts[0]);
        demo->alerts[0] = news;
        demo->alert_count += demo->alert_count < NILAI_DEMO_ALERTS_MAX;
        return true;
    }
    return false;
}

static void draw(struct demo *demo)
{
    struct nilai_demo_view view = view_of(demo);
    nilai_demo_screen_size(&view.columns, &view.rows);
    nilai_demo_view_draw(&view, &demo->lines);
    nilai_demo_screen_draw(&demo->lines);
}

static void print_status(struct demo *demo)
{
    struct nilai_demo_view view = view_of(demo);
    char date[NILAI_CLOCK_TEXT_SIZE];
    nilai_clock_format(view.sim_ms, date);
    printf("%.10s %s: %.0f events/s, %" PRIu64 " customers (%" PRIu64 " at high risk), "
           "%.0f changes/s\n",
           date,
           view.phase == NILAI_DEMO_STARTING  ? "starting"
           : view.phase == NILAI_DEMO_HISTORY ? "catching up"
                                              : "live",
           view.events_per_s, view.customers, view.bands[NILAI_BAND_HIGH], view.changes_per_s);
    fflush(stdout);
}

static void print_alert(struct demo *demo)
{
    char text[NILAI_DEMO_ALERT_SIZE];
    nilai_demo_view_alert(&demo->alerts[0], demo->config.model.currency, demo->unicode, text);
    puts(text);
    fflush(stdout);
}

static bool is_time(const struct demo *demo, uint64_t *last_ns, uint64_t every_ms)
{
    if (demo->now_ns - *last_ns < every_ms * 1000000)
        return false;
    *last_ns = demo->now_ns;
    return true;
}

static void show(struct demo *demo)
{
    look(demo);
    bool news = is_time(demo, &demo->news_ns, demo->on_screen ? NEWS_SCREEN_MS : NEWS_LINES_MS)
                && take_news(demo);
    if (demo->on_screen) {
        draw(demo);
        return;
    }
    if (news)
        print_alert(demo);
    if (demo->feed_started && is_time(demo, &demo->status_ns, STATUS_LINES_MS))
        print_status(demo);
}

/* ---- whoever looks on ---- */

/* The time that we were away does not count. */
static void suspend(struct demo *demo)
{
    uint64_t left_ns = nilai_clock_monotonic_ns();
    nilai_demo_screen_leave();
    raise(SIGSTOP);
    demo->begin_ns += nilai_clock_monotonic_ns() - left_ns;
    if (demo->on_screen)
        nilai_demo_screen_enter();
}

static void take_signal(struct demo *demo)
{
    struct signalfd_siginfo info;
    if (read(demo->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGTSTP)
        suspend(demo);
    else if (info.ssi_signo != SIGWINCH) /* the next drawing asks for the size anyway */
        demo->stopping = true;
}

/* Waits for a moment, or until somebody wants something. */
static void attend(struct demo *demo)
{
    struct pollfd wait[] = {
        {.fd = demo->signals, .events = POLLIN},
        {.fd = nilai_demo_screen_input(), .events = POLLIN}, /* -1 is left out */
    };
    if (poll(wait, NILAI_ARRAY_LEN(wait), TICK_MS) <= 0)
        return;
    if (wait[0].revents != 0)
        take_signal(demo);
    if (wait[1].revents & (POLLHUP | POLLERR | POLLNVAL))
        demo->stopping = true;
    for (int key; (key = nilai_demo_screen_key()) != 0;)
        demo->stopping |= key == 'q' || key == 'Q';
}

static bool watch_signals(struct demo *demo)
{
    sigset_t set;
    sigemptyset(&set);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(numbers); i++)
        sigaddset(&set, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* threads started later inherit it */
    signal(SIGPIPE, SIG_IGN);
    demo->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return demo->signals >= 0;
}

/* From here on a signal ends the process at once; nothing is lost by that. */
static void unblock_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the end ---- */

static void print_summary(struct demo *demo, uint64_t end_ns)
{
    struct nilai_demo_summary summary = {
        .from_ms = demo->business.from_ms,
        .begin_ns = demo->begin_ns,
        .end_ns = end_ns,
        .events = demo->newer.events,
        .feed = &demo->feed_state,
        .counts = &demo->counts,
    };
    for (int class = NILAI_REJECT_NONE + 1; class < NILAI_REJECT_CLASSES; class++)
        summary.bad += nilai_server_read(demo->server, NILAI_COUNTER_BAD + class);
    nilai_demo_summary_print(&summary);
}

/* What was sent shall be counted before the sum is taken. */
static void drain(struct demo *demo)
{
    uint64_t until_ns = nilai_clock_monotonic_ns() + DRAIN_MS * 1000000ull;
    do {
        demo->sampled_ns = 0;
        look(demo);
        poll(NULL, 0, TICK_MS / 4);
    } while (applied(demo->server) < demo->feed_state.sent && demo->now_ns < until_ns
             && !nilai_server_has_ended(demo->server));
    demo->sampled_ns = 0;
    look(demo);
}

static enum nilai_status finish(struct demo *demo, struct nilai_error *error)
{
    demo->stopping = true;
    if (demo->on_screen)
        draw(demo);
    uint64_t end_ns = nilai_clock_monotonic_ns();
    enum nilai_status status = nilai_demo_feed_stop(demo->feed, error);
    drain(demo);
    nilai_demo_screen_leave();
    if (status == NILAI_OK && demo->feed_started)
        print_summary(demo, end_ns);
    return status;
}

static enum nilai_status close_parts(struct demo *demo, struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    nilai_demo_feed_destroy(demo->feed);
    if (demo->server != NULL)
        status = nilai_server_destroy(demo->server, error);
    nilai_demo_tally_destroy(demo->tally);
    nilai_mock_cluster_destroy(demo->cluster);
    return status;
}

/* ---- the command ---- */

static enum nilai_status go_on(struct demo *demo, struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    while (status == NILAI_OK && !demo->stopping) {
        show(demo);
        status = start_feed_if_ready(demo, error);
        attend(demo);
        if (nilai_server_has_ended(demo->server) || demo->feed_state.ended || left_s(demo) <= 0
            || ferror(stdout))
            break;
    }
    return status;
}

static enum nilai_status run(struct demo *demo, struct nilai_error *error)
{
    enum nilai_status status = nilai_demo_plan(&demo->wish, &demo->business, error);
    if (status != NILAI_OK)
        return status;
    demo->live_from_ms =
        demo->business.from_ms + (int64_t)(demo->wish.history_days * (double)NILAI_DAY_MS);
    memcpy(demo->business.style.currencies[0].code, demo->config.model.currency,
           sizeof demo->business.style.currencies[0].code);
    if (!watch_signals(demo))
        return nilai_error_set(error, NILAI_FAILED, "signals cannot be read: %s", strerror(errno));

    status = open_parts(demo, error);
    if (status == NILAI_OK) {
        if (demo->on_screen)
            nilai_demo_screen_enter();
        status = go_on(demo, error);
        struct nilai_error late;
        enum nilai_status finished = finish(demo, &late);
        if (status == NILAI_OK && finished != NILAI_OK) {
            status = finished;
            *error = late;
        }
    }
    unblock_signals();
    struct nilai_error ending;
    enum nilai_status closed = close_parts(demo, &ending);
    if (status == NILAI_OK && closed != NILAI_OK) {
        status = closed;
        *error = ending;
    }
    close(demo->signals);
    return status;
}

static int exit_code_of(enum nilai_status status)
{
    switch (status) {
    case NILAI_OK: return NILAI_EXIT_OK;
    case NILAI_CONFIG:
    case NILAI_FULL: return NILAI_EXIT_CONFIG;
    case NILAI_UNREACHABLE:
    case NILAI_FAILED: return NILAI_EXIT_UNAVAILABLE;
    default: return NILAI_EXIT_BUG;
    }
}

static int start(struct demo *demo)
{
    struct nilai_error error;
    if (read_wish(demo) != NILAI_OK || prepare_config(demo) != NILAI_OK)
        return nilai_options_fail(&demo->options);
    demo->on_screen = nilai_demo_screen_is_there();
    demo->unicode = nilai_demo_screen_has_unicode();
    demo->colour = nilai_demo_screen_has_colour();
    enum nilai_status status = run(demo, &error);
    if (status == NILAI_INVALID)
        return nilai_options_misuse(&demo->options, "%s", error.text);
    if (status != NILAI_OK)
        fprintf(stderr, "nilai demo: %s\n", error.text);
    return exit_code_of(status);
}

int nilai_demo_main(int argc, char **argv)
{
    struct demo *demo = calloc(1, sizeof *demo);
    int exit_code;
    if (demo == NULL) {
        fputs("nilai demo: out of memory\n", stderr);
        return NILAI_EXIT_IO;
    }
    if (nilai_options_parse(&demo->options, &demo_command, argc, argv, &exit_code))
        exit_code = start(demo);
    free(demo);
    return exit_code;
}
