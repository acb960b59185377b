/*
 * The transactional sink against librdkafka's mock cluster, which answers requests with the
 * errors it is told to. It keeps no transactions: what a reader sees is tested with real brokers.
 */
#include "nilai/io/kafka_transaction_sink.h"
#include "../src/io/kafka_backoff.h"
#include "../src/io/kafka_rival.h"
#include "nilai/base/clock.h"
#include "test.h"

#include <time.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum {
    TIMEOUT_MS = 60000, /* of a transaction: longer than a busy machine keeps it waiting */
    LATE_MS = 4000,     /* of one that shall be late, or its session; longer than the mock takes to
                           bring a group together */
    RTT_MS = 60,
    INIT_MS = 5000,     /* that a producer takes to begin: longer than other tries of a request */
    /* Requests by their numbers in the protocol. */
    API_INIT_PRODUCER = 22,
    API_ADD_PARTITIONS = 24,
    API_ADD_OFFSETS = 25,
    API_END = 26,
    API_OFFSETS = 28,
};

static const char *const inputs[] = {"in"};

struct scene {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    struct nilai_kafka_property properties[2];
    struct nilai_source *source;
    struct nilai_sink *sink;
    bool assigned;
    struct nilai_error error;
};

static void on_assigned(void *context, struct nilai_assigned *list, size_t count)
{
    for (size_t index = 0; index < count; index++)
        list[index].start[0] = NILAI_OFFSET_BEGINNING;
    ((struct scene *)context)->assigned = true;
}

static void on_revoked(void *context, bool lost)
{
    (void)lost;
    ((struct scene *)context)->assigned = false;
}

static void wake(void *context)
{
    (void)context;
}

static void poll_source(struct scene *scene)
{
    CHECK_EQ(nilai_source_poll(scene->source, &scene->error), NILAI_OK);
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
}

static void open_source(struct scene *scene)
{
    CHECK_EQ(nilai_kafka_source_create(
                 &(struct nilai_kafka_source_options){.kafka = scene->properties,
                                                      .kafka_count = 2,
                                                      .group = "g",
                                                      .topics = inputs,
                                                      .topic_count = 1,
                                                      .partition_count = 1,
                                                      .wake = wake},
                 &scene->source, &scene->error),
             NILAI_OK);
    scene->source->listener
        = (struct nilai_source_listener){scene, on_assigned, on_revoked};
    WAIT_FOR(scene->assigned, poll_source(scene));
}

/* `timeout` names the property that says how long a transaction may be open. */
static void scene_open_with(struct scene *scene, const char *timeout, int timeout_ms)
{
    char text[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    *scene = (struct scene){.owner = NULL};
    CHECK_EQ(rd_kafka_conf_set(settings, "test.mock.num.brokers", "1", text, sizeof text),
             RD_KAFKA_CONF_OK);
    scene->owner = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof text);
    CHECK(scene->owner != NULL);
    scene->cluster = rd_kafka_handle_mock_cluster(scene->owner);
    CHECK_EQ(rd_kafka_mock_topic_create(scene->cluster, "in", 1, 1), 0);
    CHECK_EQ(rd_kafka_mock_topic_create(scene->cluster, "out", 1, 1), 0);
    CHECK_EQ(rd_kafka_mock_topic_create(scene->cluster, "state", 2, 1), 0);
    snprintf(scene->properties[0].name, NILAI_KAFKA_NAME_SIZE, "bootstrap.servers");
    snprintf(scene->properties[0].value, NILAI_KAFKA_VALUE_SIZE, "%s",
             rd_kafka_mock_cluster_bootstraps(scene->cluster));
    snprintf(scene->properties[1].name, NILAI_KAFKA_NAME_SIZE, "%s", timeout);
    snprintf(scene->properties[1].value, NILAI_KAFKA_VALUE_SIZE, "%d", timeout_ms);
    open_source(scene);
    CHECK_EQ(nilai_kafka_transaction_sink_create(
                 &(struct nilai_kafka_sink_options){.kafka = scene->properties,
                                                    .kafka_count = 2,
                                                    .input_topics = inputs,
                                                    .input_topic_count = 1,
                                                    .topics = {"out",
                                                               [NILAI_OUTPUT_STATE] = "state"},
                                                    .source = scene->source,
                                                    .wake = wake},
                 "g-test-0", PATIENCE_MS, &scene->sink, &scene->error),
             NILAI_OK);
}

static void scene_open(struct scene *scene)
{
    scene_open_with(scene, "transaction.timeout.ms", TIMEOUT_MS);
}

static void scene_close(struct scene *scene)
{
    nilai_source_leave(scene->source);
    nilai_sink_close(scene->sink);
    nilai_source_close(scene->source);
    rd_kafka_destroy(scene->owner);
}

static enum nilai_status put(struct scene *scene, int number)
{
    char value[16];
    int size = snprintf(value, sizeof value, "%d", number);
    return nilai_sink_put(scene->sink, &(struct nilai_output){.topic = 0,
                                                              .key = "k",
                                                              .key_size = 1,
                                                              .value = value,
                                                              .value_size = (size_t)size});
}

/* Puts so much that the transaction does not wait for its commit any more. */
static void put_enough(struct scene *scene)
{
    static char value[NILAI_TRANSACTION_ENOUGH_BYTES / 2];
    for (int number = 0; number < 3; number++)
        CHECK_EQ(nilai_sink_put(scene->sink, &(struct nilai_output){.topic = 0,
                                                                    .key = "k",
                                                                    .key_size = 1,
                                                                    .value = value,
                                                                    .value_size = sizeof value}),
                 NILAI_OK);
}

static void commit(struct scene *scene)
{
    struct nilai_position position = {.partition = 0, .offsets = {7}, .clock_ms = 1};
    CHECK_EQ(nilai_sink_commit(scene->sink, &position, 1), NILAI_OK);
}

/* Polls until something is told; the status of the last poll. */
static enum nilai_status wait_for_word(struct scene *scene, enum nilai_commit_state *state)
{
    enum nilai_status status = NILAI_OK;
    *state = NILAI_COMMIT_IDLE;
    WAIT_FOR(status != NILAI_OK
                 || (*state != NILAI_COMMIT_IDLE && *state != NILAI_COMMIT_RUNNING),
             status = nilai_sink_poll(scene->sink, 10, state, &scene->error));
    return status;
}

static void check_word(struct scene *scene, enum nilai_commit_state expected)
{
    enum nilai_commit_state state;
    CHECK_EQ(wait_for_word(scene, &state), NILAI_OK);
    CHECK_EQ(state, expected);
}

/* One transaction, from a first message to what is told of it. */
static void check_round(struct scene *scene, int number, enum nilai_commit_state expected)
{
    CHECK_EQ(put(scene, number), NILAI_OK);
    commit(scene);
    check_word(scene, expected);
}

static void will_answer(struct scene *scene, int16_t request, rd_kafka_resp_err_t code)
{
    rd_kafka_mock_push_request_errors(scene->cluster, request, 1, code);
}

/* Whether the answer that waits for the first question of a transaction was taken. */
static bool is_begun(struct scene *scene)
{
    size_t unasked = 0;
    CHECK_EQ(rd_kafka_mock_broker_error_stack_cnt(scene->cluster, 1, API_ADD_PARTITIONS, &unasked),
             RD_KAFKA_RESP_ERR_NO_ERROR);
    return unasked == 0;
}

static void poll_without_commit(struct scene *scene)
{
    enum nilai_commit_state state;
    CHECK_EQ(nilai_sink_poll(scene->sink, 10, &state, &scene->error), NILAI_OK);
    CHECK_EQ(state, NILAI_COMMIT_IDLE);
}

/* All values that a partition holds, as one text. */
static void read_topic(struct scene *scene, const char *topic, int32_t partition, char *text,
                       size_t size)
{
    char error[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    CHECK_EQ(rd_kafka_conf_set(settings, "bootstrap.servers", scene->properties[0].value, error,
                               sizeof error),
             RD_KAFKA_CONF_OK);
    CHECK_EQ(rd_kafka_conf_set(settings, "group.id", "reader", error, sizeof error),
             RD_KAFKA_CONF_OK);
    CHECK_EQ(rd_kafka_conf_set(settings, "enable.partition.eof", "true", error, sizeof error),
             RD_KAFKA_CONF_OK);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, settings, error, sizeof error);
    CHECK(reader != NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    CHECK_EQ(rd_kafka_assign(reader, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    size_t used = 0;
    for (bool end = false; !end;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, PATIENCE_MS);
        CHECK(message != NULL);
        end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            used += (size_t)snprintf(text + used, size - used, "%.*s ", (int)message->len,
                                     (const char *)message->payload);
        CHECK(used < size);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
}

/* Goal: work goes on while a commit is on its way, and order is kept.
 * Method: a slow broker; messages before, during and after commits, read back. */
TEST(what_is_put_during_a_commit_comes_after_it)
{
    char text[512] = "", expected[512] = "";
    struct scene scene;
    size_t used = 0;
    scene_open(&scene);
    rd_kafka_mock_broker_set_rtt(scene.cluster, -1, RTT_MS);
    for (int number = 0; number < 12; number += 3) {
        enum nilai_commit_state state;
        CHECK_EQ(put(&scene, number), NILAI_OK);
        commit(&scene);
        CHECK_EQ(put(&scene, number + 1), NILAI_AGAIN); /* nobody has polled: no thread has it */
        CHECK_EQ(nilai_sink_poll(scene.sink, 0, &state, &scene.error), NILAI_OK);
        CHECK_EQ(state, NILAI_COMMIT_RUNNING);
        CHECK_EQ(put(&scene, number + 1), NILAI_OK);
        CHECK_EQ(put(&scene, number + 2), NILAI_OK);
        check_word(&scene, NILAI_COMMIT_DONE);
    }
    commit(&scene);
    check_word(&scene, NILAI_COMMIT_DONE);
    read_topic(&scene, "out", 0, text, sizeof text);
    for (int number = 0; number < 12; number++)
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%d ", number);
    CHECK_TEXT(text, expected);
    scene_close(&scene);
}

/* Goal: what may pass is tried again; what spoils a transaction is told, and the next one works.
 * Method: one error at each request of a commit. */
TEST(a_spoilt_transaction_is_told_and_the_next_one_works)
{
    struct scene scene;
    scene_open(&scene);
    check_round(&scene, 1, NILAI_COMMIT_DONE);
    will_answer(&scene, API_END, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    check_round(&scene, 2, NILAI_COMMIT_DONE);
    will_answer(&scene, API_OFFSETS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    check_round(&scene, 3, NILAI_COMMIT_DONE);
    will_answer(&scene, API_OFFSETS, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    check_round(&scene, 4, NILAI_COMMIT_ABORTED);
    check_round(&scene, 5, NILAI_COMMIT_DONE);
    will_answer(&scene, API_OFFSETS, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    check_round(&scene, 6, NILAI_COMMIT_ABORTED);
    check_round(&scene, 7, NILAI_COMMIT_DONE);
    will_answer(&scene, API_OFFSETS, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    check_round(&scene, 8, NILAI_COMMIT_ABORTED);
    check_round(&scene, 9, NILAI_COMMIT_DONE);
    scene_close(&scene);
}

/* How a transaction may come to be taken back. */
enum way { REFUSED, UNANSWERED, ASKED_FOR, WAYS };

static void have_it_taken_back(struct scene *scene, enum way way)
{
    put_enough(scene);
    if (way == ASKED_FOR) {
        nilai_sink_abort(scene->sink);
        check_word(scene, NILAI_COMMIT_ABORTED);
        return;
    }
    if (way == REFUSED)
        will_answer(scene, API_OFFSETS, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    else
        rd_kafka_mock_broker_push_request_error_rtts(scene->cluster, 1, API_OFFSETS, 1,
                                                     RD_KAFKA_RESP_ERR_NO_ERROR, 3 * LATE_MS);
    commit(scene);
    check_word(scene, NILAI_COMMIT_ABORTED);
}

/* Goal: after what was taken back comes another epoch, so that neither messages nor offsets that
 * arrive later can get into the next transaction.
 * Method: the brokers would spoil the next end that they are asked for. It is not that of the one
 * that is taken back, which is ended by a new producer. */
TEST(what_is_taken_back_is_the_last_of_its_epoch)
{
    for (int way = 0; way < WAYS; way++) {
        struct scene scene;
        scene_open_with(&scene, "transaction.timeout.ms", LATE_MS);
        check_round(&scene, 1, NILAI_COMMIT_DONE);
        will_answer(&scene, API_END, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID);
        have_it_taken_back(&scene, (enum way)way);
        check_round(&scene, 3, NILAI_COMMIT_ABORTED);
        check_round(&scene, 4, NILAI_COMMIT_DONE);
        scene_close(&scene);
    }
}

/* A commit that holds after all, with a new producer behind it, which takes its time to begin. */
static void check_last_of_its_epoch(struct scene *scene)
{
    rd_kafka_mock_broker_push_request_error_rtts(scene->cluster, 1, API_INIT_PRODUCER, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, INIT_MS);
    int64_t begun_ms = nilai_clock_monotonic_ms();
    check_round(scene, 2, NILAI_COMMIT_DONE);
    CHECK(nilai_clock_monotonic_ms() - begun_ms >= INIT_MS);
    check_round(scene, 3, NILAI_COMMIT_DONE);
}

/* Goal: so does a commit that holds, but was asked for more than once: the other request may come
 * later.
 * Method: a connection that breaks in place of an answer, for each request of a commit. */
TEST(what_was_asked_for_twice_is_the_last_of_its_epoch)
{
    static const int16_t requests[] = {API_ADD_PARTITIONS, API_ADD_OFFSETS, API_OFFSETS, API_END};
    for (size_t index = 0; index < NILAI_ARRAY_LEN(requests); index++) {
        struct scene scene;
        scene_open(&scene);
        check_round(&scene, 1, NILAI_COMMIT_DONE);
        will_answer(&scene, requests[index], RD_KAFKA_RESP_ERR__TRANSPORT);
        check_last_of_its_epoch(&scene);
        scene_close(&scene);
    }
}

/* Goal: the same, though the library says nothing of it.
 * Method: a connection that breaks during the commit as it did twice shortly before: the third
 * of the same errors is not told. */
TEST(what_is_not_told_of_counts)
{
    struct scene scene;
    scene_open(&scene);
    check_round(&scene, 1, NILAI_COMMIT_DONE);
    rd_kafka_mock_broker_push_request_error_rtts(
        scene.cluster, 1, API_ADD_PARTITIONS, 2, RD_KAFKA_RESP_ERR__TRANSPORT, 0,
        RD_KAFKA_RESP_ERR__TRANSPORT, 0);
    put_enough(&scene);
    WAIT_FOR(is_begun(&scene), poll_without_commit(&scene));
    for (int polls = 0; polls < 50; polls++)
        poll_without_commit(&scene);
    will_answer(&scene, API_END, RD_KAFKA_RESP_ERR__TRANSPORT);
    check_last_of_its_epoch(&scene);
    scene_close(&scene);
}

/* Goal: what is taken back on request leaves a sink that works.
 * Method: an abort with and without something put. */
TEST(an_abort_is_told_once)
{
    struct scene scene;
    enum nilai_commit_state state;
    scene_open(&scene);
    nilai_sink_abort(scene.sink);
    check_word(&scene, NILAI_COMMIT_ABORTED);
    CHECK_EQ(put(&scene, 1), NILAI_OK);
    nilai_sink_abort(scene.sink);
    CHECK_EQ(put(&scene, 2), NILAI_AGAIN);
    check_word(&scene, NILAI_COMMIT_ABORTED);
    CHECK_EQ(nilai_sink_poll(scene.sink, 50, &state, &scene.error), NILAI_OK);
    CHECK_EQ(state, NILAI_COMMIT_IDLE);
    check_round(&scene, 3, NILAI_COMMIT_DONE);

    /* A commit on its way is decided first. */
    CHECK_EQ(put(&scene, 4), NILAI_OK);
    commit(&scene);
    CHECK_EQ(nilai_sink_poll(scene.sink, 0, &state, &scene.error), NILAI_OK);
    nilai_sink_abort(scene.sink);
    check_word(&scene, NILAI_COMMIT_DONE);
    check_word(&scene, NILAI_COMMIT_ABORTED);
    check_round(&scene, 5, NILAI_COMMIT_DONE);
    scene_close(&scene);
}

/* Goal: transactions that fail in a row are taken back, each, and the next is tried after a wait.
 * Method: one error for each of four, then none; the waits of the second to the fourth. */
TEST(several_may_fail_in_a_row)
{
    enum { FAILURES = 4, WAITS_MS = NILAI_KAFKA_BACKOFF_FIRST_MS * (1 + 2 + 4) };
    struct scene scene;
    scene_open(&scene);
    for (int round = 0; round < 2; round++) {
        int64_t begun_ms = nilai_clock_monotonic_ms();
        for (int number = 0; number < FAILURES; number++) {
            will_answer(&scene, API_OFFSETS, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
            check_round(&scene, number, NILAI_COMMIT_ABORTED);
        }
        CHECK(nilai_clock_monotonic_ms() - begun_ms >= WAITS_MS);
        check_round(&scene, FAILURES, NILAI_COMMIT_DONE);
    }
    scene_close(&scene);
}

TEST(waits_double_and_come_to_an_end)
{
    struct nilai_kafka_backoff backoff = {0};
    int total_ms = 0, wait_ms = nilai_kafka_backoff_note(&backoff);
    CHECK_EQ(wait_ms, 0);
    for (int failures = 2; failures < NILAI_KAFKA_BACKOFF_FAILURES; failures++) {
        int next_ms = nilai_kafka_backoff_note(&backoff);
        CHECK(next_ms == NILAI_KAFKA_BACKOFF_LONGEST_MS || next_ms == 2 * wait_ms
              || (wait_ms == 0 && next_ms == NILAI_KAFKA_BACKOFF_FIRST_MS));
        total_ms += wait_ms = next_ms;
    }
    CHECK_EQ(total_ms, 47750);
    CHECK_EQ(nilai_kafka_backoff_note(&backoff), -1);
    nilai_kafka_backoff_reset(&backoff);
    CHECK_EQ(nilai_kafka_backoff_note(&backoff), 0);
    CHECK_EQ(nilai_kafka_backoff_note(&backoff), NILAI_KAFKA_BACKOFF_FIRST_MS);
}

/* Fenced once less than makes a rival; one that holds after each. */
static void fence_almost(struct scene *scene)
{
    for (int times = 1; times < NILAI_KAFKA_RIVAL_TIMES; times++) {
        will_answer(scene, API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
        check_round(scene, times, NILAI_COMMIT_ABORTED);
        check_round(scene, times, NILAI_COMMIT_DONE);
    }
}

/* Fenced once more. */
static void check_rival(struct scene *scene)
{
    enum nilai_commit_state state;
    will_answer(scene, API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    CHECK_EQ(put(scene, 0), NILAI_OK);
    commit(scene);
    CHECK_EQ(wait_for_word(scene, &state), NILAI_CONFIG);
    CHECK(strstr(scene->error.text, "instance") != NULL);
}

/* Goal: another process with our id ends the sink with a word about `instance`; being fenced less
 * often only costs that transaction.
 * Method: the brokers' word for it, as often as makes a rival. */
TEST(who_is_fenced_again_and_again_is_told_of_the_other)
{
    struct scene scene;
    scene_open(&scene);
    fence_almost(&scene);
    check_rival(&scene);
    scene_close(&scene);
}

/* A transaction that is open for too long, so that the brokers fence its producer. */
static void be_late(struct scene *scene)
{
    put_enough(scene);
    nanosleep(&(struct timespec){.tv_sec = LATE_MS / 1000, .tv_nsec = 500000000}, NULL);
    will_answer(scene, API_ADD_OFFSETS, RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    commit(scene);
    check_word(scene, NILAI_COMMIT_ABORTED);
}

static enum nilai_commit_state try_round(struct scene *scene)
{
    enum nilai_commit_state state;
    CHECK_EQ(put(scene, 1), NILAI_OK);
    commit(scene);
    CHECK_EQ(wait_for_word(scene, &state), NILAI_OK);
    return state;
}

/* Goal: being fenced because our own transaction was open for too long is nobody else's doing: it
 * costs that transaction, and does not count.
 * Method: late when once more would make a rival, and then once more. */
TEST(being_late_is_not_being_fenced_by_another)
{
    struct scene scene;
    scene_open_with(&scene, "transaction.timeout.ms", LATE_MS);
    fence_almost(&scene);
    be_late(&scene);
    WAIT_FOR(try_round(&scene) == NILAI_COMMIT_DONE, (void)0);
    check_rival(&scene);
    scene_close(&scene);
}

/* Goal: unless somebody says otherwise, a transaction may be open for no longer than its process
 * may be silent.
 * Method: a short session, and being fenced after it: that is being late. */
TEST(a_transaction_is_over_with_the_session)
{
    struct scene scene;
    scene_open_with(&scene, "session.timeout.ms", LATE_MS);
    be_late(&scene);
    scene_close(&scene);
}

/* Goal: a record of the journal goes where it is told, in order.
 * Method: two partitions in turn over two transactions; one is read back. */
TEST(the_journal_goes_where_it_is_told)
{
    enum { SIZE = 8 };
    struct scene scene;
    char text[64] = "";
    scene_open(&scene);
    for (int number = 0; number < SIZE; number++) {
        char value = (char)('a' + number);
        CHECK_EQ(nilai_sink_put(scene.sink,
                                &(struct nilai_output){.topic = NILAI_OUTPUT_STATE,
                                                       .partition = number % 2,
                                                       .value = &value,
                                                       .value_size = 1}),
                 NILAI_OK);
        if (number % 4 == 3) {
            commit(&scene);
            check_word(&scene, NILAI_COMMIT_DONE);
        }
    }
    read_topic(&scene, "state", 1, text, sizeof text);
    CHECK_TEXT(text, "b d f h ");
    scene_close(&scene);
}

/* Goal: a transaction begins when there is enough for it, or with its commit.
 * Method: an answer that waits for its first question, before the commit and after. */
TEST(a_transaction_begins_late)
{
    for (int enough = 0; enough < 2; enough++) {
        struct scene scene;
        scene_open(&scene);
        rd_kafka_mock_broker_push_request_error_rtts(
            scene.cluster, 1, API_ADD_PARTITIONS, 1,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 0);
        CHECK_EQ(put(&scene, 1), NILAI_OK);
        if (enough)
            put_enough(&scene);
        for (int polls = 0; polls < 50; polls++)
            poll_without_commit(&scene);
        if (enough)
            WAIT_FOR(is_begun(&scene), poll_without_commit(&scene));
        CHECK_EQ(is_begun(&scene), enough);
        commit(&scene);
        check_word(&scene, NILAI_COMMIT_DONE);
        CHECK(is_begun(&scene));
        scene_close(&scene);
    }
}

/* Goal: a message that no outbox could hold is written, in its place.
 * Method: one of that size between two others. */
TEST(a_message_larger_than_the_outbox_is_written)
{
    static char value[NILAI_TRANSACTION_OUTBOX_BYTES];
    struct scene scene;
    char text[64] = "";
    scene_open(&scene);
    CHECK_EQ(put(&scene, 1), NILAI_OK);
    CHECK_EQ(nilai_sink_put(scene.sink,
                            &(struct nilai_output){.topic = NILAI_OUTPUT_STATE,
                                                   .value = value,
                                                   .value_size = sizeof value}),
             NILAI_OK);
    CHECK_EQ(put(&scene, 2), NILAI_OK);
    commit(&scene);
    check_word(&scene, NILAI_COMMIT_DONE);
    read_topic(&scene, "out", 0, text, sizeof text);
    CHECK_TEXT(text, "1 2 ");
    scene_close(&scene);
}

/* Goal: what only a person can mend ends the sink at once, with the reason.
 * Method: no right to write the topic. */
TEST(a_missing_right_ends_the_sink)
{
    struct scene scene;
    enum nilai_commit_state state;
    scene_open(&scene);
    will_answer(&scene, API_ADD_PARTITIONS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    CHECK_EQ(put(&scene, 1), NILAI_OK);
    commit(&scene);
    CHECK_EQ(wait_for_word(&scene, &state), NILAI_CONFIG);
    CHECK(strstr(scene.error.text, "uthoriz") != NULL);
    scene_close(&scene);
}
