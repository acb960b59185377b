/*
 * state_log_probe.c - a journal's reader at the command of a test.
 *
 *   state_log_probe BOOTSTRAP TOPIC prepare INPUT yes|no
 *
 * Sees to it that the journal is there beside one input topic, making what is missing or not;
 * answers "ok PARTITIONS", or with what is wrong.
 *
 *   state_log_probe BOOTSTRAP TOPIC PARTITIONS
 *
 * Reads commands from standard input, a line each, and answers each with one line:
 *
 *   open P          ok
 *   take P N        up to N records' values with blanks between, fewer at the end of the log
 *   drain P MS      "OFFSET COUNT FIRST LAST HASH" at the end: how many records were read since open, the
 *                   values of the first and the last, FNV-1a over all; "waiting COUNT" if MS are over
 *   end P           where it ends, once known
 *   mark P          where it ends now
 *   trim P OFFSET   ok; some time later the records are gone
 *   stop P          ok
 *   close           the milliseconds that closing took; the program ends
 */
#include "nilai/base/clock.h"
#include "nilai/io/kafka_admin.h"
#include "nilai/io/kafka_state_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTITIONS_MAX = 64, PATIENCE_MS = 240000, LABEL_SIZE = 64 };

struct seen {
    uint64_t count, hash;
    char first[LABEL_SIZE], last[LABEL_SIZE];
};

static struct nilai_state_log *state_log;
static struct seen all_seen[PARTITIONS_MAX];

static void wake(void *context)
{
    (void)context;
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void die(const char *what, const struct nilai_error *error)
{
    printf("failed: %s: %s\n", what, error->text);
    exit(1);
}

static void serve(void)
{
    struct nilai_error error;
    if (state_log->ops->poll(state_log, &error) != NILAI_OK)
        die("poll", &error);
}

/* The values start with a label that ends at a blank. */
static void label_of(const struct nilai_input *input, char label[static LABEL_SIZE])
{
    size_t size = 0;
    const char *value = input->value;
    while (size < input->value_size && size + 1 < LABEL_SIZE && value[size] != ' ')
        size++;
    if (size > 0)
        memcpy(label, value, size);
    label[size] = '\0';
}

static void note(int32_t partition, const struct nilai_input *input, char label[static LABEL_SIZE])
{
    struct seen *seen = &all_seen[partition];
    label_of(input, label);
    for (size_t index = 0; index < input->value_size; index++)
        seen->hash = (seen->hash ^ ((const unsigned char *)input->value)[index])
                     * UINT64_C(0x100000001b3);
    if (seen->count++ == 0)
        memcpy(seen->first, label, LABEL_SIZE);
    memcpy(seen->last, label, LABEL_SIZE);
}

/* NILAI_AGAIN: the time is over. */
static enum nilai_status next(int32_t partition, int64_t until_ms, struct nilai_input *input,
                              char label[static LABEL_SIZE])
{
    for (;;) {
        serve();
        enum nilai_status status = state_log->ops->take(state_log, partition, input);
        if (status == NILAI_OK) {
            note(partition, input, label);
            state_log->ops->give_back(state_log, input);
        }
        if (status != NILAI_AGAIN || nilai_clock_monotonic_ms() >= until_ms)
            return status;
        rest();
    }
}

static void take(int32_t partition, int64_t count)
{
    struct nilai_input input;
    char label[LABEL_SIZE];
    const char *gap = "";
    while (count-- > 0
           && next(partition, nilai_clock_monotonic_ms() + PATIENCE_MS, &input, label) == NILAI_OK) {
        printf("%s%s", gap, label);
        gap = " ";
    }
    printf("\n");
}

static void drain(int32_t partition, int64_t timeout_ms)
{
    struct nilai_input input;
    char label[LABEL_SIZE];
    struct seen *seen = &all_seen[partition];
    int64_t until_ms = nilai_clock_monotonic_ms() + timeout_ms;
    enum nilai_status status;
    while ((status = next(partition, until_ms, &input, label)) == NILAI_OK)
        ;
    if (status == NILAI_MISSING)
        printf("%" PRId64 " %" PRIu64 " %s %s %016" PRIx64 "\n", input.offset, seen->count,
               seen->first, seen->last, seen->hash);
    else
        printf("waiting %" PRIu64 "\n", seen->count);
}

static void print_when_known(int64_t (*known)(struct nilai_state_log *, int32_t), int32_t partition)
{
    int64_t until_ms = nilai_clock_monotonic_ms() + PATIENCE_MS, offset;
    while ((offset = known(state_log, partition)) < 0 && nilai_clock_monotonic_ms() < until_ms) {
        serve();
        rest();
    }
    printf("%" PRId64 "\n", offset);
}

static void begin(int32_t partition)
{
    all_seen[partition] = (struct seen){.hash = UINT64_C(0xcbf29ce484222325), .first = "-",
                                        .last = "-"};
    printf("%s\n", state_log->ops->open(state_log, partition) == NILAI_OK ? "ok" : "failed");
}

static void obey(const char *verb, int32_t partition, int64_t number)
{
    if (strcmp(verb, "open") == 0) {
        begin(partition);
    } else if (strcmp(verb, "take") == 0) {
        take(partition, number);
    } else if (strcmp(verb, "drain") == 0) {
        drain(partition, number);
    } else if (strcmp(verb, "end") == 0) {
        print_when_known(state_log->ops->end, partition);
    } else if (strcmp(verb, "mark") == 0) {
        state_log->ops->mark(state_log, partition);
        print_when_known(state_log->ops->marked, partition);
    } else if (strcmp(verb, "trim") == 0) {
        state_log->ops->trim(state_log, partition, number);
        printf("ok\n");
    } else if (strcmp(verb, "stop") == 0) {
        state_log->ops->stop(state_log, partition);
        printf("ok\n");
    } else {
        printf("failed: what is %s?\n", verb);
    }
}

static int prepare(const struct nilai_kafka_property *properties, char **argv)
{
    struct nilai_error error;
    struct nilai_kafka_layout layout;
    const char *const inputs[] = {argv[4]};
    if (nilai_kafka_admin_prepare(
            &(struct nilai_kafka_admin_options){.kafka = properties,
                                                .kafka_count = 1,
                                                .inputs = inputs,
                                                .input_count = 1,
                                                .state = argv[2],
                                                .create = strcmp(argv[5], "yes") == 0,
                                                .replication = 1,
                                                .timeout_ms = PATIENCE_MS},
            &layout, &error)
        != NILAI_OK) {
        printf("%s\n", error.text);
        return 0;
    }
    printf("ok %" PRId32 "\n", layout.partition_count);
    free(layout.ends);
    return 0;
}

int main(int argc, char **argv)
{
    static struct nilai_kafka_property properties[1];
    struct nilai_error error;
    char line[256], verb[16];
    int32_t partition;
    int64_t number;
    if (argc < 4)
        return 64;
    snprintf(properties[0].name, NILAI_KAFKA_NAME_SIZE, "bootstrap.servers");
    snprintf(properties[0].value, NILAI_KAFKA_VALUE_SIZE, "%s", argv[1]);
    if (argc == 6 && strcmp(argv[3], "prepare") == 0)
        return prepare(properties, argv);
    if (argc != 4 || atoi(argv[3]) < 1 || atoi(argv[3]) > PARTITIONS_MAX)
        return 64;
    if (nilai_kafka_state_log_create(
            &(struct nilai_kafka_state_log_options){.kafka = properties,
                                                    .kafka_count = 1,
                                                    .topic = argv[2],
                                                    .partition_count = atoi(argv[3]),
                                                    .wake = wake},
            &state_log, &error)
        != NILAI_OK)
        die("create", &error);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        partition = 0, number = 0, verb[0] = '\0';
        sscanf(line, "%15s %" SCNd32 " %" SCNd64, verb, &partition, &number);
        if (strcmp(verb, "close") == 0)
            break;
        if (partition < 0 || partition >= atoi(argv[3]))
            return 64;
        obey(verb, partition, number);
    }
    int64_t begun_ms = nilai_clock_monotonic_ms();
    state_log->ops->close(state_log);
    printf("%" PRId64 "\n", nilai_clock_monotonic_ms() - begun_ms);
    return 0;
}
