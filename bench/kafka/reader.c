/*
 * reader.c - who reads the changes: counts and sums them up, or tells how late they are.
 *
 *     bench_reader [--set NAME=VALUE]...              all changes there are, their number and
 *     digest bench_reader --replay FILE|-                    the same of what `nilai replay` wrote
 *     bench_reader --latency [--set NAME=VALUE]...    how long after its event a change arrives
 *
 * The digest is the sum of a hash of each change, so order does not matter, and a change that is
 * missing, doubled or different does. Left out are topic, partition and offset of the cause, which
 * a file has not. Reading is with read_committed.
 *
 * Latency is counted from the instant at which the event that caused the change was due, whether
 * or not it was sent in time: `nilai loadgen` numbers its events in their ids, and event n is due n
 * / rate seconds after the first. The reader says "ready" when it stands at the end of the topics,
 * keeps the number and the instant of each change, and is told on standard input, when all is over:
 *
 *     BEGIN_US RATE FROM_S UNTIL_S CHANGES
 *
 * It goes on until it has seen CHANGES changes, and takes the events due in [FROM_S, UNTIL_S).
 * Changes that time alone has caused are counted, but have no latency.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "nilai/base/clock.h"
#include "nilai/base/hash.h"

enum {
    POLL_MS = 100,
    CONNECT_MS = 240000,
    BATCH = 1000,
    SILENCE_MS_MAX = 240000, /* after which changes that are still missing will not come */
    CHANGE_SIZE_MAX = 65536,
};

struct sample {
    uint64_t number; /* of the event */
    int64_t at_us;
};

struct reader {
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    int ends_left;
    uint64_t changes, digest, timed;
    struct sample *samples;
    size_t sample_count, sample_room;
    bool keeps_samples;
};

static struct nilai_config config;
static struct nilai_options options;

static const struct nilai_option reader_options[] = {
    {"replay", "FILE|-", "read lines of `nilai replay` instead"},
    {"latency", NULL, "stand at the end and tell how late changes are"},
};
static const struct nilai_command reader_command = {
    .name = "bench_reader",
    .configures = true,
    .summary = "reads the changes and checks them",
    .options = reader_options,
    .option_count = NILAI_ARRAY_LEN(reader_options),
};

/* --- One change ------------------------------------------------------------------------- */

/* The first place of `what`, or NULL. */
static const char *find(const char *text, size_t size, const char *what)
{
    return memmem(text, size, what, strlen(what));
}

static uint64_t hash_change(const char *key, size_t key_size, const char *value, size_t size)
{
    const char *end = value + size, *place = find(value, size, ",\"topic\":");
    const char *rest = place != NULL ? memchr(place, '}', (size_t)(end - place)) : NULL;
    if (rest == NULL)
        place = rest = end;
    uint64_t hash = nilai_hash_seeded(key, key_size, 1);
    hash = nilai_hash_seeded(value, (size_t)(place - value), hash);
    return nilai_hash_seeded(rest, (size_t)(end - rest), hash);
}

static void note_change(struct reader *reader, const char *key, size_t key_size, const char *value,
                        size_t size)
{
    reader->changes++;
    reader->digest += hash_change(key, key_size, value, size);
}

/* "id":"e12345-000000002a" within the cause. */
static bool read_number(const char *value, size_t size, uint64_t *number)
{
    char text[32];
    const char *end = value + size,
               *id = find(value, size, "\"cause\":{\"type\":\"event\",\"id\":\"");
    const char *dash = id != NULL ? memchr(id, '-', (size_t)(end - id)) : NULL;
    if (dash == NULL || (size_t)(end - dash) <= sizeof text)
        return false;
    memcpy(text, dash + 1, sizeof text);
    text[sizeof text - 1] = '\0';
    char *rest;
    *number = strtoull(text, &rest, 16);
    return *rest == '"';
}

static void keep_sample(struct reader *reader, const char *value, size_t size, int64_t at_us)
{
    uint64_t number;
    if (!read_number(value, size, &number)) {
        reader->timed++;
        return;
    }
    if (reader->sample_count == reader->sample_room) {
        reader->sample_room = reader->sample_room == 0 ? 65536 : reader->sample_room * 2;
        reader->samples = realloc(reader->samples, reader->sample_room * sizeof(struct sample));
        NILAI_ASSERT(reader->samples != NULL);
    }
    reader->samples[reader->sample_count++] = (struct sample){number, at_us};
}

/* --- Lines of replay -------------------------------------------------------------------- */

/* {"topic":"...","key":"...","value":{...}}; keys and topics of benches need no escapes. */
static void note_line(struct reader *reader, const char *line, size_t size)
{
    static const char key_name[] = ",\"key\":\"", value_name[] = "\",\"value\":";
    const char *end = line + size, *key = find(line, size, key_name);
    const char *value = find(line, size, value_name);
    if (key == NULL || value == NULL || size < 2 || end[-1] != '}')
        bench_fail("this is no line of nilai replay");
    key += sizeof key_name - 1;
    const char *json = value + sizeof value_name - 1;
    note_change(reader, key, (size_t)(value - key), json, (size_t)(end - 1 - json));
}

static void read_lines(struct reader *reader, const char *path)
{
    static char line[CHANGE_SIZE_MAX];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL)
        bench_fail("%s cannot be read", path);
    while (fgets(line, sizeof line, file) != NULL) {
        size_t size = strlen(line);
        if (size == 0 || line[size - 1] != '\n')
            bench_fail("a line has no end");
        note_line(reader, line, size - 1);
    }
    if (ferror(file))
        bench_fail("%s cannot be read", path);
}

/* --- Kafka ------------------------------------------------------------------------------ */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        bench_fail("%s", reason);
}

static void open_consumer(struct reader *reader)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < config.kafka_count; i++)
        if (strcmp(config.kafka[i].name, "bootstrap.servers") == 0)
            set(conf, config.kafka[i].name, config.kafka[i].value);
    set(conf, "group.id", "bench-reader"); /* joined by nobody: partitions are taken by hand */
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", "true");
    reader->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (reader->consumer == NULL)
        bench_fail("%s", reason);
    rd_kafka_poll_set_consumer(reader->consumer);
    reader->queue = rd_kafka_queue_get_consumer(reader->consumer);
}

static void add_topic(struct reader *reader, const char *name, int64_t offset,
                      rd_kafka_topic_partition_list_t *places)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->consumer, name, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(reader->consumer, 0, topic, &metadata, CONNECT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = metadata->topics[0].err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("topic %s: %s", name, rd_kafka_err2str(code));
    for (int32_t partition = 0; partition < metadata->topics[0].partition_cnt; partition++)
        rd_kafka_topic_partition_list_add(places, name, partition)->offset = offset;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

static void assign(struct reader *reader, int64_t offset)
{
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(16);
    add_topic(reader, config.churn_risk_topic, offset, places);
    add_topic(reader, config.value_segment_topic, offset, places);
    reader->ends_left = places->cnt;
    if (rd_kafka_assign(reader->consumer, places) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("the topics cannot be read");
    rd_kafka_topic_partition_list_destroy(places);
}

static void take(struct reader *reader, const rd_kafka_message_t *message, int64_t at_us)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reader->ends_left--; /* once a partition, as long as nothing is written */
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("%s", rd_kafka_message_errstr(message));
    if (reader->keeps_samples) {
        reader->changes++;
        keep_sample(reader, message->payload, message->len, at_us);
    } else {
        note_change(reader, message->key, message->key_len, message->payload, message->len);
    }
}

/* Takes what has arrived, all at one instant: that of its arrival here. */
static size_t take_batch(struct reader *reader)
{
    static rd_kafka_message_t *messages[BATCH];
    uint64_t before = reader->changes;
    ssize_t count = rd_kafka_consume_batch_queue(reader->queue, POLL_MS, messages, 1);
    int64_t at_us = nilai_clock_wall_us();
    if (count == 1) {
        ssize_t more = rd_kafka_consume_batch_queue(reader->queue, 0, messages + 1, BATCH - 1);
        count += more > 0 ? more : 0;
    }
    for (ssize_t i = 0; i < count; i++) {
        take(reader, messages[i], at_us);
        rd_kafka_message_destroy(messages[i]);
    }
    return (size_t)(reader->changes - before);
}

static void close_consumer(struct reader *reader)
{
    rd_kafka_queue_destroy(reader->queue);
    rd_kafka_consumer_close(reader->consumer);
    rd_kafka_destroy(reader->consumer);
}

static void report_changes(const struct reader *reader)
{
    char text[32];
    bench_report_count("changes", reader->changes);
    snprintf(text, sizeof text, "%016" PRIx64, reader->digest);
    bench_report_text("digest", text);
    bench_report_end();
}

/* --- Latency ---------------------------------------------------------------------------- */

struct schedule {
    int64_t begin_us;
    double rate, from_s, until_s;
    uint64_t changes;
};

static bool is_told(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static struct schedule read_schedule(void)
{
    struct schedule schedule;
    if (scanf("%" SCNd64 " %lf %lf %lf %" SCNu64, &schedule.begin_us, &schedule.rate,
              &schedule.from_s, &schedule.until_s, &schedule.changes)
        != 5)
        bench_fail("no schedule on standard input");
    return schedule;
}

static void wait_for_changes(struct reader *reader, uint64_t changes)
{
    int64_t last_us = nilai_clock_wall_us();
    while (reader->changes < changes) {
        if (take_batch(reader) > 0)
            last_us = nilai_clock_wall_us();
        else if (nilai_clock_wall_us() - last_us > SILENCE_MS_MAX * INT64_C(1000))
            bench_fail("%" PRIu64 " of %" PRIu64 " changes have arrived", reader->changes, changes);
    }
    if (reader->changes > changes)
        bench_fail("%" PRIu64 " changes have arrived, and there are %" PRIu64, reader->changes,
                   changes);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The latencies of the events in question, sorted, in place of the samples. */
static size_t sort_latencies(struct reader *reader, const struct schedule *schedule,
                             int64_t **latencies_us)
{
    size_t count = 0;
    *latencies_us = malloc((reader->sample_count + 1) * sizeof(int64_t));
    NILAI_ASSERT(*latencies_us != NULL);
    for (size_t i = 0; i < reader->sample_count; i++) {
        const struct sample *sample = &reader->samples[i];
        double due_s = (double)sample->number / schedule->rate;
        if (due_s >= schedule->from_s && due_s < schedule->until_s)
            (*latencies_us)[count++] = sample->at_us - schedule->begin_us - (int64_t)(due_s * 1e6);
    }
    qsort(*latencies_us, count, sizeof(int64_t), by_value);
    return count;
}

static void report_latency(struct reader *reader, const struct schedule *schedule)
{
    static const struct {
        const char *name;
        double share;
    } points[] = {
        {"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}, {"p999_ms", 0.999}, {"max_ms", 1}};
    int64_t *latencies_us;
    size_t count = sort_latencies(reader, schedule, &latencies_us);
    if (count > 0 && latencies_us[0] < 0)
        bench_fail("a change arrived %" PRId64 " us before its event was due", -latencies_us[0]);
    bench_report_count("changes", reader->changes);
    bench_report_count("timed", reader->timed);
    bench_report_count("samples", count);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(points) && count > 0; i++) {
        size_t at = (size_t)(points[i].share * (double)count);
        bench_report_real(points[i].name, (double)latencies_us[at < count ? at : count - 1] * 1e-3);
    }
    bench_report_end();
    free(latencies_us);
}

static void follow(struct reader *reader)
{
    reader->keeps_samples = true;
    assign(reader, RD_KAFKA_OFFSET_BEGINNING);
    while (reader->ends_left > 0)
        take_batch(reader);
    if (reader->changes > 0)
        bench_fail("there are changes already");
    puts("ready");
    fflush(stdout);
    while (!is_told())
        take_batch(reader);
    struct schedule schedule = read_schedule();
    wait_for_changes(reader, schedule.changes);
    report_latency(reader, &schedule);
    free(reader->samples);
}

int main(int argc, char **argv)
{
    static struct reader reader;
    int exit_code;
    if (!bench_begin(&reader_command, argc, argv, &options, &config, &exit_code))
        return exit_code;
    if (nilai_options_has(&options, "replay")) {
        read_lines(&reader, nilai_options_text(&options, "replay"));
        report_changes(&reader);
        return NILAI_EXIT_OK;
    }
    open_consumer(&reader);
    if (nilai_options_has(&options, "latency")) {
        follow(&reader);
    } else {
        assign(&reader, RD_KAFKA_OFFSET_BEGINNING);
        while (reader.ends_left > 0)
            take_batch(&reader);
        report_changes(&reader);
    }
    close_consumer(&reader);
    return NILAI_EXIT_OK;
}
