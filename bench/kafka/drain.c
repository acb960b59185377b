/*
 * drain.c - the limit: how fast the input can be had at all.
 *
 *     bench_drain [--emulated] [--warm-up N] [--busy NS] [--set NAME=VALUE]...
 *
 * Reads the input topics as the service does, through its own source with its own settings, queue
 * by queue; touches each byte of key and value once, and gives the message back. One thread takes;
 * no offsets are committed. It ends at the ends that the topics have when it starts.
 *
 * With --busy it stands for an application that is slower than the fetcher: each message keeps it
 * busy for so long. Where its thread does not work all the time, it waited for input that was
 * there, in the broker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "nilai/base/clock.h"
#include "nilai/io/kafka_source.h"

enum { TAKE_MAX = 512, WAIT_MS = 100, BUSY_NS_MAX = 1000000000 };

struct drain {
    struct nilai_kafka_layout layout;
    struct nilai_source *source;
    struct bench_bell *bell;
    uint32_t topic_count;
    uint64_t busy_ns; /* with each message */
    bool *ended;      /* [topic * partition_count + partition] */
    uint64_t messages, bytes, sum;
    uint64_t warm_up; /* messages before what is measured */
    uint64_t begin_messages, begin_ns, end_ns;
    bool begun;
};

static struct nilai_config config;
static struct nilai_options options;

static const struct nilai_option drain_options[] = {
    {"emulated", NULL, "the brokers are librdkafka's own emulation"},
    {"warm-up", "N", "measure what comes after so many messages"},
    {"busy", "NS", "be busy with each message for so long"},
};
static const struct nilai_command drain_command = {
    .name = "bench_drain",
    .configures = true,
    .summary = "takes all input, looks at it and drops it",
    .options = drain_options,
    .option_count = NILAI_ARRAY_LEN(drain_options),
};

static void on_assigned(void *context, struct nilai_assigned *list, size_t count)
{
    const struct drain *drain = context;
    for (size_t i = 0; i < count; i++) {
        list[i].skip = false;
        for (uint32_t topic = 0; topic < drain->topic_count; topic++)
            list[i].start[topic] = NILAI_OFFSET_BEGINNING;
    }
}

static void on_revoked(void *context, bool lost)
{
    (void)context;
    (void)lost;
}

static void open_source(struct drain *drain, const char *const *topics)
{
    struct nilai_error error;
    drain->bell = bench_bell_create();
    if (nilai_kafka_source_create(
            &(struct nilai_kafka_source_options){
                .kafka = config.kafka,
                .kafka_count = config.kafka_count,
                .group = config.group,
                .topics = topics,
                .topic_count = drain->topic_count,
                .partition_count = drain->layout.partition_count,
                .wake = bench_bell_ring,
                .wake_context = drain->bell,
            },
            &drain->source, &error)
        != NILAI_OK)
        bench_fail("%s", error.text);
    drain->source->listener = (struct nilai_source_listener){
        .context = drain, .assigned = on_assigned, .revoked = on_revoked};
}

/* Word by word: it is to touch what came, and to cost as little as that can. */
static uint64_t sum_of(const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t sum = 0, word;
    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    word = 0;
    if (size > 0)
        memcpy(&word, at, size);
    return sum + word;
}

static void keep_busy(uint64_t ns)
{
    if (ns == 0)
        return;
    uint64_t until_ns = nilai_clock_monotonic_ns() + ns;
    while (nilai_clock_monotonic_ns() < until_ns) {
    }
}

/* Takes what one queue has; the number of messages. */
static uint32_t drain_queue(struct drain *drain, uint32_t topic, int32_t partition)
{
    struct nilai_input input;
    uint32_t taken = 0;
    while (taken < TAKE_MAX) {
        enum nilai_status status = nilai_source_take(drain->source, topic, partition, &input);
        if (status == NILAI_MISSING)
            drain->ended[topic * (size_t)drain->layout.partition_count + (size_t)partition] = true;
        if (status != NILAI_OK)
            break;
        drain->sum += sum_of(input.key, input.key_size) + sum_of(input.value, input.value_size);
        drain->bytes += input.value_size;
        nilai_source_give_back(drain->source, &input);
        keep_busy(drain->busy_ns);
        taken++;
    }
    return taken;
}

/* Without a warm-up everything counts. */
static void begin(struct drain *drain)
{
    drain->begun = true;
    drain->begin_ns = nilai_clock_monotonic_ns();
    if (drain->warm_up == 0)
        return;
    drain->begin_messages = drain->messages;
    bench_mark();
}

/* False: every partition of every topic was read to its end. */
static bool drain_round(struct drain *drain)
{
    struct nilai_error error;
    uint32_t taken = 0, left = 0;
    if (nilai_source_poll(drain->source, &error) != NILAI_OK)
        bench_fail("%s", error.text);
    for (int32_t partition = 0; partition < drain->layout.partition_count; partition++)
        for (uint32_t topic = 0; topic < drain->topic_count; topic++)
            taken += drain_queue(drain, topic, partition);
    size_t queues = drain->topic_count * (size_t)drain->layout.partition_count;
    for (size_t queue = 0; queue < queues; queue++)
        left += !drain->ended[queue];
    drain->messages += taken;
    if (!drain->begun && drain->messages > drain->warm_up)
        begin(drain);
    if (taken == 0 && left > 0)
        bench_bell_wait(drain->bell, WAIT_MS);
    return left > 0;
}

static void report(const struct drain *drain)
{
    bench_report_count("events", drain->messages);
    bench_report_count("measured_events", drain->messages - drain->begin_messages);
    bench_report_count("value_bytes", drain->bytes);
    bench_report_count("word_sum", drain->sum);
    bench_report_real("seconds", (double)(drain->end_ns - drain->begin_ns) * 1e-9);
    bench_report_end();
}

int main(int argc, char **argv)
{
    static struct drain drain;
    const char *topics[NILAI_INPUT_TOPICS_MAX];
    int exit_code;
    if (!bench_begin(&drain_command, argc, argv, &options, &config, &exit_code))
        return exit_code;
    bench_watch(true);
    if (nilai_options_count(&options, "busy", 0, BUSY_NS_MAX, &drain.busy_ns) != NILAI_OK
        || nilai_options_count(&options, "warm-up", 0, UINT64_MAX, &drain.warm_up) != NILAI_OK)
        return nilai_options_fail(&options);
    drain.topic_count = (uint32_t)config.input_topic_count;
    bench_find_input(&config, nilai_options_has(&options, "emulated"), topics, &drain.layout);
    drain.ended = calloc(drain.topic_count * (size_t)drain.layout.partition_count, sizeof(bool));
    NILAI_ASSERT(drain.ended != NULL);
    open_source(&drain, topics);
    while (drain_round(&drain)) {
    }
    drain.end_ns = nilai_clock_monotonic_ns();
    report(&drain);
    nilai_source_leave(drain.source);
    nilai_source_close(drain.source);
    free(drain.layout.ends);
    free(drain.ended);
    return NILAI_EXIT_OK;
}
