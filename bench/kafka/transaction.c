/*
 * transaction.c - the floor of exactly-once: what a transaction takes that does nothing else.
 *
 *     bench_transaction [--interval MS] [--transactions N] [--messages N] [--set NAME=VALUE]...
 *
 * A bare producer with the service's settings. At each interval it begins a transaction, writes
 * some messages to each partition of the output topics and of the state topic, adds an offset of
 * each input partition, and commits, in the order and by the calls of the service. Told is how long
 * that takes, from the first call to the last one's return. Nothing is read, decoded or thought of.
 */
#include <stdlib.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "measure.h"
#include "nilai/base/clock.h"
#include "nilai/io/kafka_config.h"

enum {
    TOPICS = 3, /* both kinds of changes, and the journal */
    MESSAGE_BYTES = 700,
    OFFSETS_MS = 5000,
    FLUSH_LOOKS_MAX = 100,
    PATIENCE_MS = 240000,
};

struct bare {
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[TOPICS];
    rd_kafka_topic_partition_list_t *offsets;
    rd_kafka_consumer_group_metadata_t *group;
    int32_t partition_count;
    uint64_t interval_ms, transactions, messages; /* of these so many to each partition */
    double *took_ms;
};

static struct nilai_config config;
static struct nilai_options options;

static const struct nilai_option transaction_options[] = {
    {"interval", "MS", "from one transaction to the next, default 20"},
    {"transactions", "N", "how many, default 500"},
    {"messages", "N", "to each partition of each topic, default 8"},
};
static const struct nilai_command transaction_command = {
    .name = "bench_transaction",
    .configures = true,
    .summary = "bare transactions, timed",
    .options = transaction_options,
    .option_count = NILAI_ARRAY_LEN(transaction_options),
};

static void must(rd_kafka_error_t *error, const char *what)
{
    if (error != NULL)
        bench_fail("%s: %s", what, rd_kafka_error_string(error));
}

static void open_producer(struct bare *bare)
{
    static const struct nilai_kafka_fixed fixed[] = {{"transactional.id", "bare"}};
    const char *const names[TOPICS] = {config.churn_risk_topic, config.value_segment_topic,
                                       config.state_topic};
    rd_kafka_conf_t *settings;
    struct nilai_error error;
    char text[256];
    if (nilai_kafka_config_create(NILAI_KAFKA_TRANSACTIONS, config.kafka, config.kafka_count, fixed,
                                  NILAI_ARRAY_LEN(fixed), &settings, &error)
        != NILAI_OK)
        bench_fail("%s", error.text);
    bare->producer = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof text);
    if (bare->producer == NULL)
        bench_fail("%s", text);
    must(rd_kafka_init_transactions(bare->producer, PATIENCE_MS), "init_transactions");
    for (size_t topic = 0; topic < TOPICS; topic++) {
        bare->topics[topic] = rd_kafka_topic_new(bare->producer, names[topic], NULL);
        if (bare->topics[topic] == NULL)
            bench_fail("%s: %s", names[topic], rd_kafka_err2str(rd_kafka_last_error()));
    }
}

static void fill_offsets(struct bare *bare)
{
    const char *inputs[NILAI_INPUT_TOPICS_MAX];
    struct nilai_kafka_layout layout;
    bench_find_input(&config, false, inputs, &layout);
    bare->partition_count = layout.partition_count;
    free(layout.ends);
    bare->offsets = rd_kafka_topic_partition_list_new(0);
    for (size_t topic = 0; topic < config.input_topic_count; topic++)
        for (int32_t partition = 0; partition < bare->partition_count; partition++)
            rd_kafka_topic_partition_list_add(bare->offsets, inputs[topic], partition)->offset = 1;
    bare->group = rd_kafka_consumer_group_metadata_new(config.group);
}

static void write_messages(struct bare *bare)
{
    static const char bytes[MESSAGE_BYTES];
    for (size_t topic = 0; topic < TOPICS; topic++)
        for (int32_t partition = 0; partition < bare->partition_count; partition++)
            for (uint64_t message = 0; message < bare->messages; message++)
                if (rd_kafka_produce(bare->topics[topic], partition, RD_KAFKA_MSG_F_COPY,
                                     (void *)(uintptr_t)bytes, sizeof bytes, NULL, 0, NULL)
                    != 0)
                    bench_fail("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
}

static void flush(struct bare *bare)
{
    for (int looks = 0; looks < FLUSH_LOOKS_MAX; looks++)
        if (rd_kafka_flush(bare->producer, 1) == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
}

static double run_transaction(struct bare *bare)
{
    uint64_t begin_ns = nilai_clock_monotonic_ns();
    must(rd_kafka_begin_transaction(bare->producer), "begin_transaction");
    write_messages(bare);
    must(rd_kafka_send_offsets_to_transaction(bare->producer, bare->offsets, bare->group,
                                              OFFSETS_MS),
         "send_offsets_to_transaction");
    flush(bare);
    must(rd_kafka_commit_transaction(bare->producer, -1), "commit_transaction");
    return (double)(nilai_clock_monotonic_ns() - begin_ns) * 1e-6;
}

static void wait_until(uint64_t due_ns)
{
    uint64_t now_ns = nilai_clock_monotonic_ns();
    if (now_ns >= due_ns)
        return;
    uint64_t wait_ns = due_ns - now_ns;
    const struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
                                  .tv_nsec = (long)(wait_ns % 1000000000)};
    nanosleep(&wait, NULL);
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void report(struct bare *bare)
{
    size_t count = bare->transactions;
    qsort(bare->took_ms, count, sizeof *bare->took_ms, by_size);
    bench_report_count("transactions", count);
    bench_report_real("p50_ms", bare->took_ms[count / 2]);
    bench_report_real("p90_ms", bare->took_ms[count * 9 / 10]);
    bench_report_real("p99_ms", bare->took_ms[count * 99 / 100]);
    bench_report_end();
}

static void close_all(struct bare *bare)
{
    for (size_t topic = 0; topic < TOPICS; topic++)
        rd_kafka_topic_destroy(bare->topics[topic]);
    rd_kafka_topic_partition_list_destroy(bare->offsets);
    rd_kafka_consumer_group_metadata_destroy(bare->group);
    rd_kafka_destroy(bare->producer);
    free(bare->took_ms);
}

int main(int argc, char **argv)
{
    static struct bare bare = {.interval_ms = 20, .transactions = 500, .messages = 8};
    int exit_code;
    if (!bench_begin(&transaction_command, argc, argv, &options, &config, &exit_code))
        return exit_code;
    if (nilai_options_count(&options, "interval", 1, 60000, &bare.interval_ms) != NILAI_OK
        || nilai_options_count(&options, "transactions", 1, 1000000, &bare.transactions) != NILAI_OK
        || nilai_options_count(&options, "messages", 1, 100000, &bare.messages) != NILAI_OK)
        return nilai_options_fail(&options);
    bench_watch(true);
    bare.took_ms = calloc(bare.transactions, sizeof *bare.took_ms);
    NILAI_ASSERT(bare.took_ms != NULL);
    fill_offsets(&bare);
    open_producer(&bare);
    run_transaction(&bare); /* makes the connections */
    uint64_t due_ns = nilai_clock_monotonic_ns();
    for (uint64_t i = 0; i < bare.transactions; i++) {
        due_ns += bare.interval_ms * 1000000;
        wait_until(due_ns);
        bare.took_ms[i] = run_transaction(&bare);
    }
    report(&bare);
    close_all(&bare);
    return NILAI_EXIT_OK;
}
