/*
 * The service in process, against librdkafka's own mock cluster, as the demo runs it. The mock
 * knows nothing of transactions or fencing; what depends on a broker is tested with a real one.
 */
#include "nilai/io/kafka_sink.h"
#include "nilai/run/server.h"
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { PARTITIONS = 2, EVENTS = 2000, PRODUCE = 0, ACK_MS = 1000 };

static const char *const topics[] = {"purchases", "tickets", "nilai.churn-risk",
                                     "nilai.value-segment", "nilai.dead-letter"};

struct mock {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
};

static void mock_open(struct mock *mock)
{
    char text[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    CHECK_EQ(rd_kafka_conf_set(settings, "test.mock.num.brokers", "1", text, sizeof text),
             RD_KAFKA_CONF_OK);
    CHECK_EQ(rd_kafka_conf_set(settings, "partitioner", "murmur2_random", text, sizeof text),
             RD_KAFKA_CONF_OK);
    mock->producer = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof text);
    CHECK(mock->producer != NULL);
    mock->cluster = rd_kafka_handle_mock_cluster(mock->producer);
    CHECK(mock->cluster != NULL);
    for (size_t topic = 0; topic < NILAI_ARRAY_LEN(topics); topic++)
        CHECK_EQ(rd_kafka_mock_topic_create(mock->cluster, topics[topic], PARTITIONS, 1), 0);
}

static void mock_close(struct mock *mock)
{
    rd_kafka_destroy(mock->producer);
}

static void produce(struct mock *mock, int number)
{
    char key[16], value[160];
    snprintf(key, sizeof key, "c%d", number % 50);
    snprintf(value, sizeof value,
             "{\"id\":\"%d\",\"type\":\"purchase\",\"customer\":\"%s\",\"ts\":%d,\"amount\":%d}",
             number, key, number * 1000000, number % 30);
    CHECK_EQ(rd_kafka_producev(mock->producer, RD_KAFKA_V_TOPIC(topics[number % 2]),
                               RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                               RD_KAFKA_V_KEY(key, strlen(key)),
                               RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_END),
             RD_KAFKA_RESP_ERR_NO_ERROR);
}

static struct nilai_config *configure(struct mock *mock)
{
    struct nilai_error error;
    struct nilai_config *config = calloc(1, sizeof *config);
    CHECK(config != NULL);
    nilai_config_defaults(config);
    CHECK_EQ(nilai_config_assign(config, "kafka.bootstrap.servers",
                                 rd_kafka_mock_cluster_bootstraps(mock->cluster), &error),
             NILAI_OK);
    CHECK_EQ(nilai_config_assign(config, "input.format", "json", &error), NILAI_OK);
    CHECK_EQ(nilai_config_assign(config, "input.topics", "purchases,tickets", &error), NILAI_OK);
    CHECK_EQ(nilai_config_assign(config, "workers", "2", &error), NILAI_OK);
    CHECK_EQ(nilai_config_assign(config, "delivery", "at-least-once", &error), NILAI_OK);
    /* The mock cluster does not notice a member that leaves amid a rebalance. */
    CHECK_EQ(nilai_config_assign(config, "kafka.session.timeout.ms", "6000", &error), NILAI_OK);
    CHECK_EQ(nilai_config_finish(config, &error), NILAI_OK);
    return config;
}

static void count_change(void *context, const struct nilai_effect *effect)
{
    CHECK(effect->customer_size > 0);
    atomic_fetch_add((_Atomic uint64_t *)context, 1);
}

static void stand_still(void *context, const struct nilai_effect *effect)
{
    (void)context, (void)effect;
    for (;;)
        pause();
}

/* A process whose worker never comes back from the first change. */
_Noreturn static void run_and_stand_still(void)
{
    struct mock mock;
    struct nilai_error error = {{0}};
    struct nilai_server *server;
    mock_open(&mock);
    for (int number = 0; number < EVENTS; number++)
        produce(&mock, number);
    CHECK_EQ(rd_kafka_flush(mock.producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_EQ(nilai_server_create(
                 &(struct nilai_server_options){.config = configure(&mock),
                                                .emulated = true,
                                                .connect_timeout_ms = PATIENCE_MS,
                                                .stall_ms = 1000,
                                                .observe = stand_still},
                 &server, &error),
             NILAI_OK);
    CHECK_EQ(nilai_server_start(server, &error), NILAI_OK);
    for (int waited = 0; waited < PATIENCE_MS; waited += 1000)
        usleep(1000000);
    _exit(1); /* nobody has noticed */
}

/* Goal: a worker that stands still ends the process, so that others take over.
 * Method: a child whose observer never returns; its exit code. First of all tests: a process with
 * threads cannot be forked. */
TEST(a_worker_that_stands_still_ends_the_process)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        run_and_stand_still();
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), NILAI_EXIT_BUG);
}

/* Goal: the service runs as a library, ends by itself at the end, and tells of each change.
 * Method: events into the mock cluster, two workers, the observer's count against the totals;
 * a second server of the same group finds nothing left to publish. */
TEST(a_server_runs_in_process_and_tells_what_it_published)
{
    struct mock mock;
    mock_open(&mock);
    for (int number = 0; number < EVENTS; number++)
        produce(&mock, number);
    CHECK_EQ(rd_kafka_flush(mock.producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    struct nilai_config *config = configure(&mock);
    for (int run = 0; run < 2; run++) {
        struct nilai_error error = {{0}};
        struct nilai_server *server;
        _Atomic uint64_t observed = 0;
        CHECK_EQ(nilai_server_create(
                     &(struct nilai_server_options){.config = config,
                                                    .exit_at_end = true,
                                                    .emulated = true,
                                                    .connect_timeout_ms = PATIENCE_MS,
                                                    .observe = count_change,
                                                    .observe_context = &observed},
                     &server, &error),
                 NILAI_OK);
        CHECK_EQ(nilai_server_start(server, &error), NILAI_OK);
        WAIT_FOR(nilai_server_has_ended(server), usleep(10000));
        CHECK_EQ(nilai_server_read(server, NILAI_COUNTER_EVENTS), run == 0 ? EVENTS : 0);
        CHECK_EQ(observed, nilai_server_read(server, NILAI_COUNTER_CHURN_RISK)
                               + nilai_server_read(server, NILAI_COUNTER_VALUE_SEGMENT));
        CHECK(run == 0 ? observed > 50 : observed == 0);
        CHECK_EQ(nilai_server_destroy(server, &error), NILAI_OK);
    }
    free(config);
    mock_close(&mock);
}

/* Goal: a server that runs on is stopped in order, at any time, and leaves nothing out.
 * Method: stop right after the start, and once it is at work; another one works off the rest. The
 * mock refuses the offsets of one worker while another leaves, which no broker does: then it is
 * said that what they stand for comes again, and it must. */
TEST(a_server_is_stopped_at_any_time)
{
    enum { AT_START, AT_WORK, AT_END, RUNS };
    struct mock mock;
    uint64_t events = 0;
    bool again = false;
    mock_open(&mock);
    for (int number = 0; number < EVENTS; number++)
        produce(&mock, number);
    CHECK_EQ(rd_kafka_flush(mock.producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    struct nilai_config *config = configure(&mock);
    for (int run = 0; run < RUNS; run++) {
        struct nilai_error error = {{0}};
        struct nilai_server *server;
        CHECK_EQ(nilai_server_create(
                     &(struct nilai_server_options){.config = config,
                                                    .exit_at_end = run == AT_END,
                                                    .emulated = true,
                                                    .connect_timeout_ms = PATIENCE_MS},
                     &server, &error),
                 NILAI_OK);
        CHECK_EQ(nilai_server_start(server, &error), NILAI_OK);
        WAIT_FOR(run != AT_WORK || nilai_server_read(server, NILAI_COUNTER_EVENTS) > 0,
                 usleep(10000));
        if (run != AT_END)
            nilai_server_stop(server);
        WAIT_FOR(nilai_server_has_ended(server), usleep(10000));
        events += nilai_server_read(server, NILAI_COUNTER_EVENTS);
        enum nilai_status status = nilai_server_destroy(server, &error);
        CHECK(status == NILAI_OK || (status == NILAI_UNREACHABLE && run == AT_WORK));
        again |= status != NILAI_OK;
    }
    CHECK(again ? events >= EVENTS : events == EVENTS);
    free(config);
    mock_close(&mock);
}

/* --- The sink ----------------------------------------------------------------------------- */

static void take_all(void *context, struct nilai_assigned *list, size_t count)
{
    for (size_t index = 0; index < count; index++)
        list[index].skip = true;
    *(bool *)context = count == PARTITIONS;
}

static void give_up(void *context, bool lost)
{
    (void)lost;
    *(bool *)context = false;
}

static void no_wake(void *context)
{
    (void)context;
}

static int64_t committed_offset(struct nilai_source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "purchases", 1);
    CHECK_EQ(rd_kafka_committed(nilai_kafka_source_client(source), list, PATIENCE_MS),
             RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    if (offset >= 0) {
        struct nilai_position read = {.clock_ms = -1};
        CHECK(nilai_kafka_metadata_parse(list->elems[0].metadata, list->elems[0].metadata_size,
                                         &read));
        CHECK(read.clock_ms == 1234 && read.turn == 56 && read.writer == 0xabc);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return offset;
}

static void poll_source(struct nilai_source *source)
{
    struct nilai_error error;
    CHECK_EQ(nilai_source_poll(source, &error), NILAI_OK);
    usleep(10000);
}

static enum nilai_commit_state poll_sink(struct nilai_sink *sink)
{
    struct nilai_error error;
    enum nilai_commit_state state;
    CHECK_EQ(nilai_sink_poll(sink, 10, &state, &error), NILAI_OK);
    return state;
}

static void open_sink(const struct nilai_config *config, struct nilai_source **source,
                      struct nilai_sink **sink)
{
    struct nilai_error error = {{0}};
    static bool assigned;
    assigned = false;
    CHECK_EQ(nilai_kafka_source_create(
                 &(struct nilai_kafka_source_options){.kafka = config->kafka,
                                                      .kafka_count = config->kafka_count,
                                                      .group = "sink",
                                                      .topics = topics,
                                                      .topic_count = 2,
                                                      .partition_count = PARTITIONS,
                                                      .wake = no_wake},
                 source, &error),
             NILAI_OK);
    (*source)->listener = (struct nilai_source_listener){&assigned, take_all, give_up};
    CHECK_EQ(nilai_kafka_sink_create(
                 &(struct nilai_kafka_sink_options){.kafka = config->kafka,
                                                    .kafka_count = config->kafka_count,
                                                    .input_topics = topics,
                                                    .input_topic_count = 2,
                                                    .topics = {[NILAI_OUTPUT_CHURN_RISK]
                                                               = topics[2],
                                                               [NILAI_OUTPUT_DEAD_LETTER]
                                                               = topics[4]},
                                                    .source = *source,
                                                    .wake = no_wake},
                 sink, &error),
             NILAI_OK);
    WAIT_FOR(assigned, poll_source(*source)); /* whose listener sets it */
}

static void close_sink(struct nilai_source *source, struct nilai_sink *sink)
{
    nilai_source_leave(source);
    nilai_sink_close(sink);
    nilai_source_close(source);
}

/* One poll, and whether the offset is there too early. Whoever looks late may miss that, but never
 * sees it where it was not. */
static enum nilai_commit_state poll_and_look(struct nilai_source *source, struct nilai_sink *sink,
                                             int64_t begun_ms)
{
    enum nilai_commit_state state = poll_sink(sink);
    bool there = committed_offset(source) >= 0;
    CHECK(!there || nilai_clock_monotonic_ms() - begun_ms >= ACK_MS);
    return state;
}

/* Goal: offsets are committed only when what was put before is acknowledged.
 * Method: a broker that takes a second for the first message. */
TEST(offsets_wait_for_acknowledgements)
{
    struct mock mock;
    struct nilai_source *source;
    struct nilai_sink *sink;
    mock_open(&mock);
    struct nilai_config *config = configure(&mock);
    open_sink(config, &source, &sink);
    rd_kafka_mock_broker_push_request_error_rtts(mock.cluster, 1, PRODUCE, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, ACK_MS);
    struct nilai_position position = {.partition = 1, .offsets = {7, -1}, .clock_ms = 1234,
                                      .turn = 56, .writer = 0xabc};
    int64_t begun_ms = nilai_clock_monotonic_ms();
    CHECK_EQ(nilai_sink_put(sink, &(struct nilai_output){.topic = NILAI_OUTPUT_CHURN_RISK,
                                                         .key = "k",
                                                         .key_size = 1,
                                                         .value = "v",
                                                         .value_size = 1}),
             NILAI_OK);
    CHECK_EQ(nilai_sink_commit(sink, &position, 1), NILAI_OK);
    CHECK_EQ(nilai_sink_commit(sink, &position, 1), NILAI_AGAIN);
    enum nilai_commit_state state = poll_and_look(source, sink, begun_ms);
    CHECK_EQ(state, NILAI_COMMIT_RUNNING);
    WAIT_FOR(state != NILAI_COMMIT_RUNNING, state = poll_and_look(source, sink, begun_ms));
    CHECK_EQ(state, NILAI_COMMIT_DONE);
    CHECK_EQ(committed_offset(source), 7);
    close_sink(source, sink);
    free(config);
    mock_close(&mock);
}

static rd_kafka_message_t *read_dead_letter(struct mock *mock, rd_kafka_t **consumer)
{
    char text[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    CHECK_EQ(rd_kafka_conf_set(settings, "bootstrap.servers",
                               rd_kafka_mock_cluster_bootstraps(mock->cluster), text, sizeof text),
             RD_KAFKA_CONF_OK);
    CHECK_EQ(rd_kafka_conf_set(settings, "group.id", "reader", text, sizeof text),
             RD_KAFKA_CONF_OK);
    *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, settings, text, sizeof text);
    CHECK(*consumer != NULL);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int partition = 0; partition < PARTITIONS; partition++)
        rd_kafka_topic_partition_list_add(all, topics[4], partition)->offset
            = RD_KAFKA_OFFSET_BEGINNING;
    CHECK_EQ(rd_kafka_assign(*consumer, all), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(*consumer, PATIENCE_MS);
    CHECK(message != NULL);
    CHECK_EQ(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
    return message;
}

static void check_header(const rd_kafka_headers_t *headers, const char *name, const char *expected)
{
    const void *value;
    size_t size;
    CHECK_EQ(rd_kafka_header_get_last(headers, name, &value, &size), RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_EQ(size, strlen(expected));
    CHECK(memcmp(value, expected, size) == 0);
}

/* Goal: no bad event can stop a partition by its size, be it that of its key or its headers.
 * Method: a dead letter of which everything is too large, for the library or for the broker; its
 * reason arrives alone, and the commit holds. */
TEST(the_reason_of_any_dead_letter_arrives)
{
    static char large[3000];
    memset(large, 'x', sizeof large);
    for (int by_broker = 0; by_broker < 2; by_broker++) {
        struct mock mock;
        struct nilai_error error = {{0}};
        struct nilai_source *source;
        struct nilai_sink *sink;
        mock_open(&mock);
        struct nilai_config *config = configure(&mock);
        if (!by_broker)
            CHECK_EQ(nilai_config_assign(config, "kafka.message.max.bytes", "2000", &error),
                     NILAI_OK);
        open_sink(config, &source, &sink);
        if (by_broker)
            rd_kafka_mock_push_request_errors(mock.cluster, PRODUCE, 2,
                                              RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                              RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        const struct nilai_header headers[] = {
            {"trace", large, sizeof large},
            {"__connect.errors.class.name", large, sizeof large}, /* not ours */
            {"__connect.errors.class.name", "malformed", 9},
        };
        CHECK_EQ(nilai_sink_put(sink, &(struct nilai_output){.topic = NILAI_OUTPUT_DEAD_LETTER,
                                                             .key = large,
                                                             .key_size = sizeof large,
                                                             .value = large,
                                                             .value_size = sizeof large,
                                                             .headers = headers,
                                                             .header_count = 3}),
                 NILAI_OK);
        struct nilai_position position = {.partition = 1, .offsets = {7, -1}, .clock_ms = 1234,
                                      .turn = 56, .writer = 0xabc};
        enum nilai_commit_state state = NILAI_COMMIT_RUNNING;
        CHECK_EQ(nilai_sink_commit(sink, &position, 1), NILAI_OK);
        WAIT_FOR(state != NILAI_COMMIT_RUNNING, state = poll_sink(sink));
        CHECK_EQ(state, NILAI_COMMIT_DONE);
        close_sink(source, sink);

        rd_kafka_t *consumer;
        rd_kafka_headers_t *read;
        rd_kafka_message_t *message = read_dead_letter(&mock, &consumer);
        CHECK_EQ(message->len, 0);
        CHECK_EQ(message->key_len, 0);
        CHECK_EQ(rd_kafka_message_headers(message, &read), RD_KAFKA_RESP_ERR_NO_ERROR);
        CHECK_EQ(rd_kafka_header_cnt(read), 4);
        check_header(read, "__connect.errors.class.name", "malformed");
        check_header(read, "nilai.value.omitted", "3000");
        check_header(read, "nilai.key.omitted", "3000");
        check_header(read, "nilai.headers.omitted", "2");
        rd_kafka_message_destroy(message);
        rd_kafka_destroy(consumer);
        free(config);
        mock_close(&mock);
    }
}

/* Goal: what stands beside a committed offset is ours, or is taken for nothing.
 * Method: our own texts back, and texts that only look like them. */
TEST(metadata_reads_back_or_is_ignored)
{
    static const struct nilai_position ours[] = {
        {.clock_ms = NILAI_TIME_MAX_MS, .turn = UINT64_MAX, .writer = UINT64_MAX},
        {.clock_ms = -1, .turn = 7, .writer = 0xabc},
        {.clock_ms = 0},
    };
    static const char *const foreign[] = {
        "", "nilai", "nilai 1 clock_ms=", "nilai 1 clock_ms=12x", "nilai 1 clock_ms=-5",
        "nilai 1 clock_ms=+5", "nilai 1 clock_ms= 5", "nilai 1 clock_ms=05", "nilai 2 clock_ms=5",
        "nilai 1 clock_ms=253402300800000", "nilai 1 clock_ms=99999999999999999999",
        "nilai 3 clock_ms=5 turn=1 writer=0000000000000000",
        "nilai 2 clock_ms=5 turn=1 writer=0000000000000000 ",
        "nilai 2 clock_ms=5 turn=1 writer=00000000000000001",
        "nilai 2 clock_ms=5 turn=1 writer=000000000000001",
        "nilai 2 clock_ms=5 turn=1 writer=000000000000000A",
        "nilai 2 clock_ms=5 turn=-1 writer=0000000000000000",
        "nilai 2 clock_ms=5 turn=18446744073709551616 writer=0000000000000000",
        "nilai 2 clock_ms=5  turn=1 writer=0000000000000000",
        "nilai 2 clock_ms=-2 turn=1 writer=0000000000000000",
        "nilai 2 clock_ms=5 turn=1 writer=0x00000000000000",
    };
    char text[NILAI_KAFKA_METADATA_SIZE];
    struct nilai_position read;
    for (size_t index = 0; index < NILAI_ARRAY_LEN(ours); index++) {
        read = (struct nilai_position){.partition = 3, .clock_ms = 9, .turn = 9, .writer = 9};
        nilai_kafka_metadata_format(&ours[index], text);
        CHECK(nilai_kafka_metadata_parse(text, strlen(text), &read));
        CHECK(read.partition == 3 && read.clock_ms == ours[index].clock_ms
              && read.turn == ours[index].turn && read.writer == ours[index].writer);
        CHECK(!nilai_kafka_metadata_parse(text, strlen(text) + 1, &read)); /* with its zero */
    }
    CHECK(nilai_kafka_metadata_parse("nilai 1 clock_ms=12", 19, &read));
    CHECK(read.clock_ms == 12 && read.turn == 0 && read.writer == 0);
    for (size_t index = 0; index < NILAI_ARRAY_LEN(foreign); index++) {
        CHECK(!nilai_kafka_metadata_parse(foreign[index], strlen(foreign[index]), &read));
        CHECK(read.clock_ms == 12);
    }
    CHECK(!nilai_kafka_metadata_parse(NULL, 0, &read));
}
