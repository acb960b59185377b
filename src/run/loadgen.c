#include "nilai/run/loadgen.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nilai/base/clock.h"
#include "nilai/customer/model.h"
#include "nilai/io/kafka_producer.h"
#include "nilai/run/config.h"
#include "nilai/run/generator.h"
#include "nilai/run/options.h"
#include "nilai/run/progress.h"

enum {
    FILE_BUFFER = 1024 * 1024,
    LOOK_AROUND_EVENTS = 1024, /* progress and acknowledgements are served each so many events */
    PAUSE_MS_MAX = 50,         /* so that a signal is noticed soon */
    PAUSE_NS_MIN = 500000,     /* going to sleep and waking up costs more than sending an event */
    BEHIND_MS = 10,            /* later than that counts as behind schedule */
    CONNECT_TIMEOUT_MS = 30000,
};

struct loadgen {
    struct nilai_config config;
    struct nilai_options options;
    struct nilai_generator_options plan;
    struct nilai_generator *generator;
    double rate; /* events per second; 0: as fast as possible */
    int64_t connect_timeout_ms;
    FILE *out; /* or NULL: into Kafka */
    FILE *truth;
    struct nilai_kafka_producer *producer;
    struct nilai_progress progress;

    uint64_t begin_ns, end_ns;
    int64_t begin_wall_us;
    uint64_t sent, behind;
    uint64_t behind_ns_max;
};

static const struct nilai_option loadgen_options[] = {
    {"customers", "N", "how many customers there are, default 10000"},
    {"events", "N", "stop after so many events, default 100000; 0: as many as the span brings"},
    {"from", "TS", "when the simulated time begins, default 2025-01-01"},
    {"span", "DURATION", "the simulated time that the events fill, default 365d"},
    {"skew", "X", "how unequal purchase rates are: 0 alike, 1 as in the data (default), to 10"},
    {"grievance", "X", "how much bad tickets add to the odds of leaving: 1 nothing, default 1.5"},
    {"late", "SHARE", "share of events that come after later ones of any customer, default 0"},
    {"duplicate", "SHARE", "share of events that are repeated, default 0"},
    {"bad", "SHARE", "share of events that must be refused, default 0"},
    {"bad-classes", "LIST", "of which classes, separated by commas"},
    {"erase", "SHARE", "share of events after which a customer wants to be forgotten, default 0"},
    {"now", "TS", "the time after which the future-timestamp of a bad event lies"},
    {"seed", "N", "same seed and options, same bytes; default 1"},
    {"rate", "N", "events a second, sent when due whatever the receiver does; default: no limit"},
    {"format", "FORMAT", "msgpack or json; default: input.format"},
    {"out", "FILE|-", "write to a file instead of Kafka"},
    {"truth", "FILE", "write what really became of each customer, as JSON lines"},
    {"connect-timeout", "DURATION", "give up if no broker answers, default 30s"},
};

static const struct nilai_command loadgen_command = {
    .name = "loadgen",
    .configures = true,
    .summary = "synthetic customers with known truth, into Kafka or a file",
    .description =
        "Customers join, buy (MBG/NBD, Gamma-Gamma spend), have tickets, answer surveys, and leave;\n"
        "badly handled tickets make them leave sooner. Rates are multiplied so that the events fill\n"
        "the span; with --events 0 they are the natural ones (those of the CDNOW data), and all\n"
        "events of the span come out. --truth tells what really became of each customer.\n"
        "\n"
        "Into Kafka, purchases and refunds go to the first of input.topics, tickets and erasures\n"
        "to the second, surveys to the third; the key is the customer. A file holds JSON lines, or\n"
        "MessagePack values one after the other. With --rate each event has a time at which it is\n"
        "due, which a slow receiver does not change; how far behind it was is reported.\n"
        "Messages go out uncompressed unless kafka.compression.codec is set (compressing takes more\n"
        "than half as long as all the rest), and to each broker one request at a time unless\n"
        "kafka.max.in.flight.requests.per.connection is: set it where a broker is far away.\n"
        "\n"
        "The shares of late, duplicate and bad events together may be 0.9. --bad-classes knows\n"
        "too-large, malformed, duplicate-field, missing-field, wrong-type, out-of-range,\n"
        "unknown-value, unknown-currency, key-mismatch (Kafka only) and future-timestamp (which\n"
        "needs --now); left out, it means all but the first and the last. Events above 1 MiB need\n"
        "room in kafka.message.max.bytes and in the topic's max.message.bytes.",
    .options = loadgen_options,
    .option_count = NILAI_ARRAY_LEN(loadgen_options),
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* The first signal ends the load, the second one the process. */
static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* a closed pipe is an error with a text */
}

static int fail(struct loadgen *loadgen, int exit_code, const char *text)
{
    nilai_progress_finish(&loadgen->progress);
    fprintf(stderr, "nilai loadgen: %s\n", text);
    return exit_code;
}

static int exit_code_of(enum nilai_status status)
{
    return status == NILAI_CONFIG      ? NILAI_EXIT_CONFIG
           : status == NILAI_NO_MEMORY ? NILAI_EXIT_IO
                                       : NILAI_EXIT_UNAVAILABLE;
}

/* ---- options ---- */

static enum nilai_status read_classes(struct loadgen *loadgen, const char *list)
{
    loadgen->plan.bad_classes = 0;
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        uint32_t class = 1;
        while (class < NILAI_REJECT_CLASSES
               && (strlen(nilai_reject_names[class]) != size
                   || strncmp(nilai_reject_names[class], list, size) != 0))
            class++;
        if (class == NILAI_REJECT_CLASSES) {
            loadgen->options.exit_code = NILAI_EXIT_USAGE;
            return nilai_error_set(
                &loadgen->options.error, NILAI_INVALID,
                "--bad-classes: there is no class \"%.*s\"; "
                "see the classes of bad events, from too-large to future-timestamp",
                (int)(size < 64 ? size : 64), list);
        }
        loadgen->plan.bad_classes |= 1u << class;
        list += size;
        if (*list == ',')
            list++;
    }
    return NILAI_OK;
}

static enum nilai_status read_shares(struct loadgen *loadgen)
{
    static const double SHARE_MAX = 0.9;
    struct nilai_generator_options *plan = &loadgen->plan;
    const struct {
        const char *name;
        double *value;
    } shares[] = {
        {"late", &plan->late},
        {"duplicate", &plan->duplicate},
        {"bad", &plan->bad},
        {"erase", &plan->erase},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(shares); i++) {
        enum nilai_status status =
            nilai_options_number(&loadgen->options, shares[i].name, 0, SHARE_MAX, shares[i].value);
        if (status != NILAI_OK)
            return status;
    }
    return NILAI_OK;
}

static enum nilai_status read_numbers(struct loadgen *loadgen)
{
    struct nilai_options *options = &loadgen->options;
    struct nilai_generator_options *plan = &loadgen->plan;
    uint64_t customers = plan->customers;
    enum nilai_status status;

    if ((status = nilai_options_count(options, "customers", 1, NILAI_GENERATOR_CUSTOMERS_MAX,
                                      &customers))
            != NILAI_OK
        || (status =
                nilai_options_count(options, "events", 0, UINT64_C(1000000000000), &plan->events))
               != NILAI_OK
        || (status = nilai_options_count(options, "seed", 0, UINT64_MAX, &plan->seed)) != NILAI_OK
        || (status = nilai_options_number(options, "skew", 0, 10, &plan->skew)) != NILAI_OK
        || (status = nilai_options_number(options, "grievance", 1, 10, &plan->grievance))
               != NILAI_OK
        || (status = nilai_options_number(options, "rate", 0.001, 1e9, &loadgen->rate)) != NILAI_OK)
        return status;
    plan->customers = (uint32_t)customers;
    return NILAI_OK;
}

static enum nilai_status read_times(struct loadgen *loadgen)
{
    struct nilai_options *options = &loadgen->options;
    struct nilai_generator_options *plan = &loadgen->plan;
    enum nilai_status status;

    if ((status = nilai_options_time(options, "from", &plan->from_ms)) != NILAI_OK
        || (status = nilai_options_time(options, "now", &plan->style.now_ms)) != NILAI_OK
        || (status = nilai_options_duration(options, "span", 1, NILAI_TIME_MAX_MS, &plan->span_ms))
               != NILAI_OK
        || (status = nilai_options_duration(options, "connect-timeout", 1, 600000,
                                            &loadgen->connect_timeout_ms))
               != NILAI_OK)
        return status;
    return NILAI_OK;
}

/* The currencies that the service will know: the base, and the first with a rate. */
static void take_currencies(struct loadgen *loadgen)
{
    const struct nilai_config *config = &loadgen->config;
    struct nilai_fact_style *style = &loadgen->plan.style;

    memcpy(style->currencies[0].code, config->model.currency, sizeof style->currencies[0].code);
    style->currencies[0].rate = 1;
    for (size_t i = 0; i < config->rate_count && style->currency_count < NILAI_FACT_CURRENCIES_MAX;
         i++)
        if (strcmp(config->rates[i].code, config->model.currency) != 0)
            style->currencies[style->currency_count++] = config->rates[i];
}

static enum nilai_status read_plan(struct loadgen *loadgen)
{
    static const char *const formats[] = {"msgpack", "json", NULL};
    struct nilai_generator_options *plan = &loadgen->plan;
    int format = loadgen->config.input_format == NILAI_FORMAT_JSON ? 1 : 0;
    enum nilai_status status;

    nilai_generator_defaults(plan);
    take_currencies(loadgen);
    plan->style.keyed = !nilai_options_has(&loadgen->options, "out");
    if (!plan->style.keyed)
        plan->bad_classes &= ~(1u << NILAI_REJECT_KEY_MISMATCH);
    if ((status = read_numbers(loadgen)) != NILAI_OK || (status = read_times(loadgen)) != NILAI_OK
        || (status = read_shares(loadgen)) != NILAI_OK
        || (status = nilai_options_choice(&loadgen->options, "format", formats, &format))
               != NILAI_OK)
        return status;
    plan->style.format = format == 1 ? NILAI_FORMAT_JSON : NILAI_FORMAT_MSGPACK;
    const char *classes = nilai_options_text(&loadgen->options, "bad-classes");
    return classes != NULL ? read_classes(loadgen, classes) : NILAI_OK;
}

/* ---- where it goes ---- */

static size_t topic_of(const struct loadgen *loadgen, enum nilai_event_type type)
{
    size_t wanted = type == NILAI_TICKET || type == NILAI_ERASE ? 1 : type == NILAI_SURVEY ? 2 : 0;
    size_t last = loadgen->config.input_topic_count - 1;
    return wanted < last ? wanted : last;
}

static int open_file(struct loadgen *loadgen, const char *path, FILE **file)
{
    *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "wbe");
    if (*file != NULL) {
        setvbuf(*file, NULL, _IOFBF, FILE_BUFFER);
        return NILAI_EXIT_OK;
    }
    char text[512];
    snprintf(text, sizeof text, "%s: %s", path, strerror(errno));
    return fail(loadgen, NILAI_EXIT_IO, text);
}

static int open_kafka(struct loadgen *loadgen)
{
    const char *topics[NILAI_CONFIG_TOPICS_MAX];
    struct nilai_error error;
    for (size_t i = 0; i < loadgen->config.input_topic_count; i++)
        topics[i] = loadgen->config.input_topics[i];
    const struct nilai_kafka_producer_options options = {
        .given = loadgen->config.kafka,
        .given_count = loadgen->config.kafka_count,
        .topics = topics,
        .topic_count = loadgen->config.input_topic_count,
        .connect_timeout_ms = (int)loadgen->connect_timeout_ms,
    };
    enum nilai_status status = nilai_kafka_producer_create(&options, &loadgen->producer, &error);
    return status == NILAI_OK ? NILAI_EXIT_OK : fail(loadgen, exit_code_of(status), error.text);
}

static int open_outputs(struct loadgen *loadgen)
{
    const char *out = nilai_options_text(&loadgen->options, "out");
    const char *truth = nilai_options_text(&loadgen->options, "truth");
    if (out != NULL && truth != NULL && strcmp(out, truth) == 0)
        return nilai_options_misuse(&loadgen->options, "--out and --truth name the same file, %s",
                                    out);
    int code = truth != NULL ? open_file(loadgen, truth, &loadgen->truth) : NILAI_EXIT_OK;
    if (code != NILAI_EXIT_OK)
        return code;
    return out != NULL ? open_file(loadgen, out, &loadgen->out) : open_kafka(loadgen);
}

static int fail_to_write(struct loadgen *loadgen, const char *option)
{
    char text[512];
    snprintf(text, sizeof text, "%s: %s", nilai_options_text(&loadgen->options, option),
             strerror(errno));
    return fail(loadgen, NILAI_EXIT_IO, text);
}

/* ---- sending ---- */

static int write_event(struct loadgen *loadgen, const struct nilai_generated *event)
{
    if (fwrite(event->value, 1, event->value_size, loadgen->out) != event->value_size
        || (loadgen->plan.style.format == NILAI_FORMAT_JSON
            && putc_unlocked('\n', loadgen->out) == EOF))
        return fail_to_write(loadgen, "out");
    return NILAI_EXIT_OK;
}

/* When the queue is full, the broker is waited for; that this makes us late shows in the
 * summary, and the schedule stays as it is. */
static int produce_event(struct loadgen *loadgen, const struct nilai_generated *event,
                         int64_t due_ms)
{
    struct nilai_error error;
    for (;;) {
        enum nilai_status status = nilai_kafka_producer_send(
            loadgen->producer, topic_of(loadgen, event->type), event->key, sizeof event->key,
            event->value, event->value_size, due_ms, &error);
        if (status == NILAI_OK)
            return NILAI_EXIT_OK;
        if (status == NILAI_AGAIN)
            status = nilai_kafka_producer_poll(loadgen->producer, PAUSE_MS_MAX, &error);
        if (status != NILAI_OK)
            return fail(loadgen, exit_code_of(status), error.text);
        nilai_progress_update(&loadgen->progress, loadgen->sent, nilai_clock_monotonic_ns());
    }
}

static int look_around(struct loadgen *loadgen, uint64_t now_ns)
{
    nilai_progress_update(&loadgen->progress, loadgen->sent, now_ns);
    if (loadgen->producer == NULL)
        return NILAI_EXIT_OK;
    struct nilai_error error;
    enum nilai_status status = nilai_kafka_producer_poll(loadgen->producer, 0, &error);
    return status == NILAI_OK ? NILAI_EXIT_OK : fail(loadgen, exit_code_of(status), error.text);
}

/* Somebody may be reading along: what is written so far must not wait for the buffer. */
static int pause_until(struct loadgen *loadgen, uint64_t due_ns)
{
    for (;;) {
        uint64_t now_ns = nilai_clock_monotonic_ns();
        int code = look_around(loadgen, now_ns);
        if (code != NILAI_EXIT_OK || now_ns >= due_ns || interrupted)
            return code;
        uint64_t wait_ns = due_ns - now_ns;
        if (wait_ns > 1000000 && loadgen->out != NULL && fflush(loadgen->out) != 0)
            return fail_to_write(loadgen, "out");
        if (wait_ns > PAUSE_MS_MAX * 1000000u)
            wait_ns = PAUSE_MS_MAX * 1000000u;
        if (wait_ns < PAUSE_NS_MIN)
            wait_ns = PAUSE_NS_MIN;
        const struct timespec wait = {.tv_nsec = (long)wait_ns};
        nanosleep(&wait, NULL);
    }
}

/* Waits until the next event is due and notes by how much that was missed. */
static int keep_schedule(struct loadgen *loadgen, int64_t *due_wall_ms)
{
    double since_ns = (double)loadgen->sent * 1e9 / loadgen->rate;
    uint64_t due_ns = loadgen->begin_ns + (uint64_t)since_ns;
    *due_wall_ms = (loadgen->begin_wall_us + (int64_t)(since_ns * 1e-3)) / 1000;
    uint64_t now_ns = nilai_clock_monotonic_ns();
    if (now_ns < due_ns)
        return pause_until(loadgen, due_ns);
    loadgen->behind += now_ns - due_ns > BEHIND_MS * 1000000u;
    if (now_ns - due_ns > loadgen->behind_ns_max)
        loadgen->behind_ns_max = now_ns - due_ns;
    return NILAI_EXIT_OK;
}

static int send_all(struct loadgen *loadgen)
{
    struct nilai_generated event;
    enum nilai_status status;
    int code = NILAI_EXIT_OK;

    while (code == NILAI_EXIT_OK) {
        int64_t due_ms = 0;
        if (loadgen->rate > 0 && !interrupted)
            code = keep_schedule(loadgen, &due_ms);
        if (interrupted)
            nilai_generator_stop(loadgen->generator);
        if (code != NILAI_EXIT_OK)
            break;
        status = nilai_generator_next(loadgen->generator, &event);
        if (status == NILAI_MISSING)
            break;
        if (status != NILAI_OK)
            return fail(loadgen, NILAI_EXIT_IO, "out of memory");
        code = loadgen->out != NULL ? write_event(loadgen, &event)
                                    : produce_event(loadgen, &event, due_ms);
        if (++loadgen->sent % LOOK_AROUND_EVENTS == 0 && code == NILAI_EXIT_OK)
            code = look_around(loadgen, nilai_clock_monotonic_ns());
    }
    return code;
}

/* Everything is where it belongs. A broker that does not take it is given up by the library
 * after message.timeout.ms, and then poll fails. */
static int finish(struct loadgen *loadgen)
{
    if (loadgen->out != NULL)
        return fflush(loadgen->out) == 0 ? NILAI_EXIT_OK : fail_to_write(loadgen, "out");
    while (nilai_kafka_producer_pending(loadgen->producer) > 0) {
        struct nilai_error error;
        enum nilai_status status =
            nilai_kafka_producer_poll(loadgen->producer, PAUSE_MS_MAX, &error);
        if (status != NILAI_OK)
            return fail(loadgen, exit_code_of(status), error.text);
    }
    return NILAI_EXIT_OK;
}

/* ---- truth and summary ---- */

static void encode_instant(struct nilai_encoder *encoder, const char *key, int64_t ms)
{
    if (ms < 0)
        nilai_encode_null(encoder, key);
    else
        nilai_encode_int(encoder, key, ms);
}

static enum nilai_status encode_truth(struct nilai_encoder *encoder,
                                      const struct nilai_truth *truth, const char **data,
                                      size_t *size)
{
    char customer[NILAI_FACT_CUSTOMER_SIZE];
    nilai_fact_customer(truth->customer, customer);
    nilai_encode_begin(encoder);
    nilai_encode_open_map(encoder, NULL, 10);
    nilai_encode_text(encoder, "customer", customer, sizeof customer);
    nilai_encode_int(encoder, "joined", truth->joined_ms);
    encode_instant(encoder, "left", truth->left_ms);
    encode_instant(encoder, "erased", truth->erased_ms);
    nilai_encode_real(encoder, "purchases_per_day", truth->purchases_per_day);
    nilai_encode_real(encoder, "leave_probability", truth->leave_probability);
    nilai_encode_real(encoder, "mean_spend", truth->mean_spend);
    nilai_encode_int(encoder, "purchases", truth->purchases);
    nilai_encode_int(encoder, "tickets", truth->tickets);
    nilai_encode_int(encoder, "bad_tickets", truth->bad_tickets);
    nilai_encode_close_map(encoder);
    return nilai_encode_end(encoder, data, size);
}

static int write_truth(struct loadgen *loadgen)
{
    const struct nilai_population *population = nilai_generator_population(loadgen->generator);
    struct nilai_encoder *encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    if (encoder == NULL)
        return fail(loadgen, NILAI_EXIT_IO, "out of memory");
    bool written = true;
    for (uint32_t i = 0; i < nilai_population_joined(population) && written; i++) {
        struct nilai_truth truth;
        const char *data;
        size_t size;
        nilai_population_truth(population, i, &truth);
        written = encode_truth(encoder, &truth, &data, &size) == NILAI_OK
                  && fwrite(data, 1, size, loadgen->truth) == size
                  && putc_unlocked('\n', loadgen->truth) != EOF;
    }
    nilai_encoder_destroy(encoder);
    return written && fflush(loadgen->truth) == 0 ? NILAI_EXIT_OK : fail_to_write(loadgen, "truth");
}

static void print_customers(const struct loadgen *loadgen)
{
    const struct nilai_population *population = nilai_generator_population(loadgen->generator);
    uint32_t joined = nilai_population_joined(population), left = 0, erased = 0;
    for (uint32_t i = 0; i < joined; i++) {
        struct nilai_truth truth;
        nilai_population_truth(population, i, &truth);
        left += truth.left_ms >= 0;
        erased += truth.erased_ms >= 0;
    }
    fprintf(stderr, "  customers: %u of %u joined, %u left, %u erased; purchase rates x %.4g\n",
            joined, loadgen->plan.customers, left, erased, nilai_population_scale(population));
}

static void print_bad(const struct nilai_generator_counts *counts)
{
    uint64_t total = 0;
    for (size_t class = 1; class < NILAI_REJECT_CLASSES; class++)
        total += counts->bad[class];
    if (total == 0)
        return;
    fprintf(stderr, "  bad %" PRIu64 ":", total);
    for (size_t class = 1; class < NILAI_REJECT_CLASSES; class++)
        if (counts->bad[class] > 0)
            fprintf(stderr, " %s %" PRIu64, nilai_reject_names[class], counts->bad[class]);
    fputc('\n', stderr);
}

static void print_schedule(const struct loadgen *loadgen)
{
    if (loadgen->rate <= 0)
        return;
    /* From this instant on the reader of what an event caused can tell when it was due. */
    fprintf(stderr, "  wanted %.6g/s from %" PRId64 ".%06" PRId64 "; ", loadgen->rate,
            loadgen->begin_wall_us / 1000000, loadgen->begin_wall_us % 1000000);
    if (loadgen->behind == 0)
        fputs("on schedule\n", stderr);
    else
        fprintf(stderr,
                "%" PRIu64 " events were more than %d ms behind schedule, at most %.1f ms\n",
                loadgen->behind, BEHIND_MS, (double)loadgen->behind_ns_max * 1e-6);
}

static void print_summary(const struct loadgen *loadgen, bool complete)
{
    const struct nilai_generator_counts *counts = nilai_generator_counts(loadgen->generator);
    double seconds = fmax((double)(loadgen->end_ns - loadgen->begin_ns) * 1e-9, 1e-9);

    fprintf(stderr, "nilai loadgen: %" PRIu64 " events, %" PRIu64 " bytes, in %.2f s (%.0f/s)%s\n",
            counts->events, counts->bytes, seconds, (double)counts->events / seconds,
            interrupted ? ", stopped by a signal" : "");
    fputs("  good:", stderr);
    for (size_t type = 0; type < NILAI_EVENT_TYPES; type++)
        fprintf(stderr, " %s %" PRIu64, nilai_event_type_names[type], counts->good[type]);
    fprintf(stderr, "; %" PRIu64 " of them late; duplicates %" PRIu64 "\n", counts->late,
            counts->duplicates);
    print_bad(counts);
    if (loadgen->producer != NULL) {
        const struct nilai_kafka_producer_counts *sent =
            nilai_kafka_producer_counts(loadgen->producer);
        fprintf(stderr,
                "  delivered %" PRIu64 ", failed %" PRIu64 ", not acknowledged %" PRIu64 "\n",
                sent->delivered, sent->failed, nilai_kafka_producer_pending(loadgen->producer));
    }
    print_schedule(loadgen);
    print_customers(loadgen);
    if (complete && !interrupted && counts->events < loadgen->plan.events)
        fputs("  all customers have left before the wanted number of events was reached\n", stderr);
}

/* ---- the command ---- */

static int run(struct loadgen *loadgen)
{
    catch_signals();
    loadgen->begin_ns = nilai_clock_monotonic_ns();
    loadgen->begin_wall_us = nilai_clock_wall_us();
    nilai_progress_init(&loadgen->progress, "loadgen", "events", loadgen->plan.events,
                        loadgen->begin_ns);

    int code = send_all(loadgen);
    int end_code = code == NILAI_EXIT_OK ? finish(loadgen) : code;
    loadgen->end_ns = nilai_clock_monotonic_ns();
    nilai_progress_finish(&loadgen->progress);
    int truth_code = loadgen->truth != NULL ? write_truth(loadgen) : NILAI_EXIT_OK;
    print_summary(loadgen, end_code == NILAI_EXIT_OK);
    return end_code != NILAI_EXIT_OK ? end_code : truth_code;
}

static int prepare(struct loadgen *loadgen)
{
    if (nilai_options_configure(&loadgen->options, &loadgen->config) != NILAI_OK
        || read_plan(loadgen) != NILAI_OK)
        return nilai_options_fail(&loadgen->options);
    struct nilai_error error;
    enum nilai_status status = nilai_generator_create(&loadgen->plan, &loadgen->generator, &error);
    if (status == NILAI_INVALID)
        return nilai_options_misuse(&loadgen->options, "%s", error.text);
    if (status != NILAI_OK)
        return fail(loadgen, exit_code_of(status), error.text);
    return open_outputs(loadgen);
}

static void release(struct loadgen *loadgen)
{
    if (loadgen->truth != NULL && loadgen->truth != stdout)
        fclose(loadgen->truth);
    if (loadgen->out != NULL && loadgen->out != stdout)
        fclose(loadgen->out);
    nilai_kafka_producer_destroy(loadgen->producer);
    nilai_generator_destroy(loadgen->generator);
    free(loadgen);
}

int nilai_loadgen_main(int argc, char **argv)
{
    struct loadgen *loadgen = calloc(1, sizeof *loadgen);
    if (loadgen == NULL) {
        fputs("nilai loadgen: out of memory\n", stderr);
        return NILAI_EXIT_IO;
    }
    loadgen->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    int code;
    if (nilai_options_parse(&loadgen->options, &loadgen_command, argc, argv, &code)) {
        code = prepare(loadgen);
        if (code == NILAI_EXIT_OK)
            code = run(loadgen);
    }
    release(loadgen);
    return code;
}
