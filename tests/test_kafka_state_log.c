/*
 * The journals against librdkafka's mock cluster. It knows no transactions, keeps everything and
 * deletes nothing; what depends on those is tested with a real broker (kafka/test_state_log.py).
 */
#include "nilai/io/kafka_state_log.h"
#include "test.h"

#include <time.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { BROKERS = 2, PARTITIONS = 4, API_LIST_OFFSETS = 2, LATE_MS = 2000 };

struct scene {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    struct nilai_kafka_property properties[1];
    struct nilai_state_log *log;
    struct nilai_error error;
};

static void wake(void *context)
{
    (void)context;
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000}, NULL);
}

static void scene_open(struct scene *scene)
{
    char text[256], brokers[8];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    *scene = (struct scene){.log = NULL};
    snprintf(brokers, sizeof brokers, "%d", BROKERS);
    CHECK_EQ(rd_kafka_conf_set(settings, "test.mock.num.brokers", brokers, text, sizeof text),
             RD_KAFKA_CONF_OK);
    scene->producer = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof text);
    CHECK(scene->producer != NULL);
    scene->cluster = rd_kafka_handle_mock_cluster(scene->producer);
    CHECK_EQ(rd_kafka_mock_topic_create(scene->cluster, "state", PARTITIONS, 1), 0);
    snprintf(scene->properties[0].name, NILAI_KAFKA_NAME_SIZE, "bootstrap.servers");
    snprintf(scene->properties[0].value, NILAI_KAFKA_VALUE_SIZE, "%s",
             rd_kafka_mock_cluster_bootstraps(scene->cluster));
    CHECK_EQ(nilai_kafka_state_log_create(
                 &(struct nilai_kafka_state_log_options){.kafka = scene->properties,
                                                         .kafka_count = 1,
                                                         .topic = "state",
                                                         .partition_count = PARTITIONS,
                                                         .wake = wake},
                 &scene->log, &scene->error),
             NILAI_OK);
}

static void scene_close(struct scene *scene)
{
    scene->log->ops->close(scene->log);
    rd_kafka_destroy(scene->producer);
}

/* `count` records, numbered from `first`. */
static void write_records(struct scene *scene, int32_t partition, int first, int count)
{
    for (int number = first; number < first + count; number++)
        CHECK_EQ(rd_kafka_producev(scene->producer, RD_KAFKA_V_TOPIC("state"),
                                   RD_KAFKA_V_PARTITION(partition),
                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                   RD_KAFKA_V_VALUE(&number, sizeof number), RD_KAFKA_V_END),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_EQ(rd_kafka_flush(scene->producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void poll_log(struct scene *scene)
{
    CHECK_EQ(scene->log->ops->poll(scene->log, &scene->error), NILAI_OK);
    rest();
}

static enum nilai_status next(struct scene *scene, int32_t partition, struct nilai_input *input)
{
    enum nilai_status status = NILAI_AGAIN;
    WAIT_FOR((status = scene->log->ops->take(scene->log, partition, input)) != NILAI_AGAIN,
             poll_log(scene));
    return status;
}

static void check_records(struct scene *scene, int32_t partition, int first, int count)
{
    struct nilai_input input;
    for (int number = first; number < first + count; number++) {
        int value;
        CHECK_EQ(next(scene, partition, &input), NILAI_OK);
        CHECK_EQ(input.value_size, sizeof value);
        memcpy(&value, input.value, sizeof value);
        CHECK_EQ(value, number);
        CHECK_EQ(input.offset, number);
        scene->log->ops->give_back(scene->log, &input);
    }
}

static void check_end(struct scene *scene, int32_t partition, int64_t end)
{
    struct nilai_input input;
    for (int again = 0; again < 2; again++) {
        CHECK_EQ(next(scene, partition, &input), NILAI_MISSING);
        CHECK_EQ(input.offset, end);
    }
    CHECK_EQ(scene->log->ops->end(scene->log, partition), end);
}

static int64_t wait_for_mark(struct scene *scene, int32_t partition)
{
    int64_t marked = -1;
    WAIT_FOR((marked = scene->log->ops->marked(scene->log, partition)) >= 0, poll_log(scene));
    return marked;
}

/* Goal: what is there at `open` is read, whole and in order, and nothing after it; an empty log
 * ends at once; several are read at the same time, and opening one leaves the others alone.
 * Method: three partitions, opened while others are half read, one of them twice; records that
 * come later. */
TEST(a_log_is_read_to_where_it_ended_when_it_was_opened)
{
    struct scene scene;
    scene_open(&scene);
    CHECK_EQ(scene.log->ops->end(scene.log, 0), -1);
    write_records(&scene, 0, 0, 1000);
    write_records(&scene, 1, 0, 300);
    CHECK_EQ(scene.log->ops->open(scene.log, 0), NILAI_OK);
    check_records(&scene, 0, 0, 100);
    CHECK_EQ(scene.log->ops->open(scene.log, 1), NILAI_OK);
    CHECK_EQ(scene.log->ops->open(scene.log, 2), NILAI_OK);
    check_end(&scene, 2, 0);
    check_records(&scene, 1, 0, 200);
    check_records(&scene, 0, 100, 100);
    write_records(&scene, 0, 1000, 10);
    write_records(&scene, 2, 0, 10);
    check_records(&scene, 0, 200, 800);
    check_end(&scene, 0, 1000);
    check_end(&scene, 2, 0);

    scene.log->ops->stop(scene.log, 0);
    CHECK_EQ(scene.log->ops->end(scene.log, 0), -1);
    CHECK_EQ(scene.log->ops->open(scene.log, 1), NILAI_OK); /* anew */
    check_records(&scene, 1, 0, 300);
    check_end(&scene, 1, 300);
    CHECK_EQ(scene.log->ops->open(scene.log, 0), NILAI_OK);
    check_records(&scene, 0, 0, 1010);
    check_end(&scene, 0, 1010);
    scene_close(&scene);
}

/* Goal: a record stays what it is until it is given back, also when its partition is left.
 * Method: one is kept over a stop and another open. */
TEST(a_record_outlives_its_reading)
{
    struct scene scene;
    struct nilai_input kept;
    int value;
    scene_open(&scene);
    write_records(&scene, 3, 0, 2);
    CHECK_EQ(scene.log->ops->open(scene.log, 3), NILAI_OK);
    CHECK_EQ(next(&scene, 3, &kept), NILAI_OK);
    scene.log->ops->stop(scene.log, 3);
    scene.log->ops->stop(scene.log, 3);
    CHECK_EQ(scene.log->ops->open(scene.log, 3), NILAI_OK);
    check_records(&scene, 3, 0, 2);
    memcpy(&value, kept.value, sizeof value);
    CHECK_EQ(value, 0);
    scene.log->ops->give_back(scene.log, &kept);
    scene_close(&scene);
}

/* Goal: a mark is where the log ended after it was asked for; it is told until the next; without
 * anything being read.
 * Method: marks of two partitions with records in between, also many times at once. */
TEST(a_mark_tells_where_the_log_ended)
{
    struct scene scene;
    scene_open(&scene);
    CHECK_EQ(scene.log->ops->marked(scene.log, 1), -1);
    write_records(&scene, 1, 0, 7);
    scene.log->ops->mark(scene.log, 1);
    scene.log->ops->mark(scene.log, 0);
    CHECK_EQ(wait_for_mark(&scene, 1), 7);
    CHECK_EQ(wait_for_mark(&scene, 0), 0);
    write_records(&scene, 1, 7, 5);
    CHECK_EQ(scene.log->ops->marked(scene.log, 1), 7);
    for (int asked = 0; asked < 1000; asked++)
        scene.log->ops->mark(scene.log, 1);
    CHECK_EQ(wait_for_mark(&scene, 1), 12);
    scene_close(&scene);
}

/* The next question for an end is answered with what it is now, but late. */
static void delay_answer(struct scene *scene)
{
    for (int32_t broker = 1; broker <= BROKERS; broker++)
        rd_kafka_mock_broker_push_request_error_rtts(scene->cluster, broker, API_LIST_OFFSETS, 1,
                                                     RD_KAFKA_RESP_ERR_NO_ERROR, LATE_MS);
}

static bool is_asked(struct scene *scene)
{
    size_t left = 0;
    for (int32_t broker = 1; broker <= BROKERS; broker++) {
        size_t count = 0;
        CHECK_EQ(rd_kafka_mock_broker_error_stack_cnt(scene->cluster, broker, API_LIST_OFFSETS,
                                                      &count),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
        left += count;
    }
    return left < BROKERS;
}

/* Goal: the end that is read to is not the answer to a question of before.
 * Method: a mark is asked for, records arrive, and the log is opened before the answer comes. */
TEST(an_answer_from_before_the_opening_is_not_the_end)
{
    struct scene scene;
    scene_open(&scene);
    write_records(&scene, 1, 0, 7);
    scene.log->ops->mark(scene.log, 1);
    CHECK_EQ(wait_for_mark(&scene, 1), 7);
    delay_answer(&scene);
    scene.log->ops->mark(scene.log, 1);
    WAIT_FOR(is_asked(&scene), rest());
    write_records(&scene, 1, 7, 5);
    CHECK_EQ(scene.log->ops->open(scene.log, 1), NILAI_OK);
    check_records(&scene, 1, 0, 12);
    check_end(&scene, 1, 12);
    CHECK_EQ(wait_for_mark(&scene, 1), 12);
    scene_close(&scene);
}

/* Goal: what may pass is tried again.
 * Method: errors to the first questions for an end. */
TEST(an_end_is_asked_for_until_it_is_told)
{
    struct scene scene;
    scene_open(&scene);
    write_records(&scene, 1, 0, 7);
    rd_kafka_mock_push_request_errors(scene.cluster, API_LIST_OFFSETS, 3,
                                      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                                      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                                      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    CHECK_EQ(scene.log->ops->open(scene.log, 1), NILAI_OK);
    check_records(&scene, 1, 0, 7);
    check_end(&scene, 1, 7);
    scene_close(&scene);
}

/* Goal: who asks finds the new leader of a partition, however often it changes.
 * Method: it changes between questions; the brokers refuse those for what they do not lead. */
TEST(an_end_is_asked_of_the_present_leader)
{
    struct scene scene;
    scene_open(&scene);
    for (int32_t times = 0; times < 4; times++) {
        CHECK_EQ(rd_kafka_mock_partition_set_leader(scene.cluster, "state", 1, 1 + times % 2),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
        scene.log->ops->mark(scene.log, 1);
        CHECK_EQ(wait_for_mark(&scene, 1), 0);
    }
    scene_close(&scene);
}

/* Goal: without a right to the topic, the log ends with a word of it.
 * Method: the brokers refuse to say where a partition ends. */
TEST(a_missing_right_ends_the_log)
{
    struct scene scene;
    struct nilai_input input;
    enum nilai_status status = NILAI_OK;
    scene_open(&scene);
    rd_kafka_mock_push_request_errors(scene.cluster, API_LIST_OFFSETS, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    scene.log->ops->mark(scene.log, 0);
    WAIT_FOR((status = scene.log->ops->poll(scene.log, &scene.error)) != NILAI_OK, rest());
    CHECK_EQ(status, NILAI_CONFIG);
    CHECK(strstr(scene.error.text, "state.topic") != NULL);
    CHECK_EQ(scene.log->ops->take(scene.log, 0, &input), NILAI_AGAIN); /* it was not opened */
    scene_close(&scene);
}

/* Goal: closing does not wait for brokers.
 * Method: brokers that answer far too late, with ends and records asked of them. */
TEST(closing_does_not_wait_for_brokers)
{
    struct scene scene;
    scene_open(&scene);
    write_records(&scene, 0, 0, 5);
    CHECK_EQ(scene.log->ops->open(scene.log, 0), NILAI_OK);
    check_records(&scene, 0, 0, 5);
    check_end(&scene, 0, 5);
    rd_kafka_mock_broker_set_rtt(scene.cluster, -1, PATIENCE_MS);
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        CHECK_EQ(scene.log->ops->open(scene.log, partition), NILAI_OK);
        scene.log->ops->mark(scene.log, partition);
    }
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000}, NULL);
    int64_t begun_ms = nilai_clock_monotonic_ms();
    scene.log->ops->close(scene.log);
    CHECK(nilai_clock_monotonic_ms() - begun_ms < PATIENCE_MS / 4);
    rd_kafka_destroy(scene.producer);
}
