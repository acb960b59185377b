/*
 * The journal in the sink that publishes at least once, and a source that reads from other places,
 * against librdkafka's mock cluster. It may be told to answer late, but does at once what it was
 * asked: so the stages of a commit can be looked at one by one.
 */
#include "nilai/io/kafka_sink.h"
#include "test.h"

#include <time.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { ACK_MS = 500, PARTITIONS = 3, PRODUCE = 0 };

static const char *const inputs[] = {"in"};

struct scene {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    struct nilai_kafka_property properties[2];
    struct nilai_source *source;
    struct nilai_sink *sink;
    rd_kafka_t *eye; /* looks at the brokers while the sink stands still */
    bool assigned;
    struct nilai_assigned list[PARTITIONS];
    struct nilai_error error;
};

static void on_assigned(void *context, struct nilai_assigned *list, size_t count)
{
    struct scene *scene = context;
    CHECK_EQ(count, PARTITIONS);
    for (size_t index = 0; index < count; index++) {
        list[index].start[0] = NILAI_OFFSET_BEGINNING;
        scene->list[index] = list[index];
    }
    scene->assigned = true;
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

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
}

static void poll_source(struct scene *scene)
{
    CHECK_EQ(nilai_source_poll(scene->source, &scene->error), NILAI_OK);
    rest();
}

static void open_source(struct scene *scene)
{
    CHECK_EQ(nilai_kafka_source_create(
                 &(struct nilai_kafka_source_options){.kafka = scene->properties,
                                                      .kafka_count = 2,
                                                      .group = "g",
                                                      .topics = inputs,
                                                      .topic_count = 1,
                                                      .partition_count = PARTITIONS,
                                                      .wake = wake},
                 &scene->source, &scene->error),
             NILAI_OK);
    scene->source->listener = (struct nilai_source_listener){scene, on_assigned, on_revoked};
    WAIT_FOR(scene->assigned, poll_source(scene));
}

static rd_kafka_t *client(struct scene *scene, rd_kafka_type_t type)
{
    char text[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    CHECK_EQ(rd_kafka_conf_set(settings, "bootstrap.servers", scene->properties[0].value, text,
                               sizeof text),
             RD_KAFKA_CONF_OK);
    if (type == RD_KAFKA_CONSUMER)
        CHECK_EQ(rd_kafka_conf_set(settings, "group.id", "g", text, sizeof text),
                 RD_KAFKA_CONF_OK);
    rd_kafka_t *made = rd_kafka_new(type, settings, text, sizeof text);
    CHECK(made != NULL);
    return made;
}

static void scene_open(struct scene *scene)
{
    char text[256];
    static const char *const topics[] = {"in", "out", "state"};
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    *scene = (struct scene){.owner = NULL};
    CHECK_EQ(rd_kafka_conf_set(settings, "test.mock.num.brokers", "1", text, sizeof text),
             RD_KAFKA_CONF_OK);
    scene->owner = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof text);
    CHECK(scene->owner != NULL);
    scene->cluster = rd_kafka_handle_mock_cluster(scene->owner);
    for (size_t topic = 0; topic < NILAI_ARRAY_LEN(topics); topic++)
        CHECK_EQ(rd_kafka_mock_topic_create(scene->cluster, topics[topic], PARTITIONS, 1), 0);
    snprintf(scene->properties[0].name, NILAI_KAFKA_NAME_SIZE, "bootstrap.servers");
    snprintf(scene->properties[0].value, NILAI_KAFKA_VALUE_SIZE, "%s",
             rd_kafka_mock_cluster_bootstraps(scene->cluster));
    /* That one request waits for another is not what keeps the order. */
    snprintf(scene->properties[1].name, NILAI_KAFKA_NAME_SIZE, "max.in.flight");
    snprintf(scene->properties[1].value, NILAI_KAFKA_VALUE_SIZE, "5");
    scene->eye = client(scene, RD_KAFKA_CONSUMER);
    open_source(scene);
    CHECK_EQ(nilai_kafka_sink_create(
                 &(struct nilai_kafka_sink_options){
                     .kafka = scene->properties,
                     .kafka_count = 2,
                     .input_topics = inputs,
                     .input_topic_count = 1,
                     .topics = {"out", [NILAI_OUTPUT_STATE] = "state"},
                     .source = scene->source,
                     .wake = wake},
                 &scene->sink, &scene->error),
             NILAI_OK);
}

static void scene_close(struct scene *scene)
{
    nilai_source_leave(scene->source);
    nilai_sink_close(scene->sink);
    nilai_source_close(scene->source);
    rd_kafka_destroy(scene->eye);
    rd_kafka_destroy(scene->owner);
}

static enum nilai_status put(struct scene *scene, enum nilai_output_topic topic, int32_t partition,
                             const void *value, size_t size)
{
    bool state = topic == NILAI_OUTPUT_STATE;
    return nilai_sink_put(scene->sink, &(struct nilai_output){.topic = topic,
                                                              .partition = partition,
                                                              .key = state ? NULL : "k",
                                                              .key_size = !state,
                                                              .value = value,
                                                              .value_size = size});
}

static void commit(struct scene *scene, int64_t offset)
{
    struct nilai_position position = {.partition = 1, .offsets = {offset}, .clock_ms = 1};
    CHECK_EQ(nilai_sink_commit(scene->sink, &position, 1), NILAI_OK);
}

static enum nilai_commit_state poll_once(struct scene *scene)
{
    enum nilai_commit_state state;
    CHECK_EQ(nilai_sink_poll(scene->sink, 10, &state, &scene->error), NILAI_OK);
    return state;
}

static enum nilai_commit_state wait_for_word(struct scene *scene)
{
    enum nilai_commit_state state = poll_once(scene);
    WAIT_FOR(state != NILAI_COMMIT_RUNNING, state = poll_once(scene));
    return state;
}

static int64_t written(struct scene *scene, const char *topic, int32_t partition)
{
    int64_t low, high;
    CHECK_EQ(rd_kafka_query_watermark_offsets(scene->eye, topic, partition, &low, &high,
                                              PATIENCE_MS),
             RD_KAFKA_RESP_ERR_NO_ERROR);
    return high;
}

static int64_t written_anywhere(struct scene *scene, const char *topic)
{
    int64_t sum = 0;
    for (int32_t partition = 0; partition < PARTITIONS; partition++)
        sum += written(scene, topic, partition);
    return sum;
}

static int64_t committed(struct scene *scene)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "in", 1);
    CHECK_EQ(rd_kafka_committed(scene->eye, list, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return offset;
}

/* The next requests to write are done at once, but acknowledged only after ACK_MS. */
static void acknowledge_late(struct scene *scene, int requests)
{
    for (int count = 0; count < requests; count++)
        rd_kafka_mock_broker_push_request_error_rtts(scene->cluster, 1, PRODUCE, 1,
                                                     RD_KAFKA_RESP_ERR_NO_ERROR, ACK_MS);
}

/* One poll amid a commit of offset 7 over 5, and what the brokers have after it. Whoever looks late
 * may miss what came too early, but never sees it where it was not. */
static enum nilai_commit_state poll_and_look(struct scene *scene, int64_t begun_ms)
{
    enum nilai_commit_state state = poll_once(scene);
    int64_t offset = committed(scene);
    int64_t journal = written(scene, "state", 2);
    int64_t output = written_anywhere(scene, "out");
    int64_t passed_ms = nilai_clock_monotonic_ms() - begun_ms;
    CHECK(journal == 0 || (output == 2 && passed_ms >= ACK_MS));
    CHECK(offset == 5 || (journal == 1 && passed_ms >= 2 * ACK_MS));
    return state;
}

/* Goal: the journal is not written before the output of its commit is acknowledged, nor the
 * offsets committed before the journal is; work goes on meanwhile.
 * Method: a broker that acknowledges late, and looks at it from elsewhere after each poll. */
TEST(the_journal_comes_between_output_and_offsets)
{
    struct scene scene;
    scene_open(&scene);
    CHECK_EQ(put(&scene, 0, 0, "a", 1), NILAI_OK);
    commit(&scene, 5);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE); /* without a journal, too */
    acknowledge_late(&scene, 2);
    int64_t begun_ms = nilai_clock_monotonic_ms();
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 2, "s", 1), NILAI_OK);
    CHECK_EQ(put(&scene, 0, 0, "b", 1), NILAI_OK);
    commit(&scene, 7);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 2, "t", 1), NILAI_OK); /* of the next one */
    enum nilai_commit_state state = poll_and_look(&scene, begun_ms);
    CHECK_EQ(state, NILAI_COMMIT_RUNNING);
    WAIT_FOR(state != NILAI_COMMIT_RUNNING, state = poll_and_look(&scene, begun_ms));
    CHECK_EQ(state, NILAI_COMMIT_DONE);
    CHECK_EQ(committed(&scene), 7);
    CHECK_EQ(written(&scene, "state", 2), 1);
    CHECK_EQ(written_anywhere(&scene, "state"), 1); /* where it was told to, and no more */

    commit(&scene, 8);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(written(&scene, "state", 2), 2);
    scene_close(&scene);
}

/* Goal: what is held back is bounded, and a commit makes room.
 * Method: records until there is no room, a commit, and one more; a record larger than all. */
TEST(what_waits_for_a_commit_is_bounded)
{
    enum { SIZE = 512 * 1024 };
    struct scene scene;
    char *record = calloc(1, SIZE);
    int count = 0;
    scene_open(&scene);
    enum nilai_status status;
    while ((status = put(&scene, NILAI_OUTPUT_STATE, 0, record, SIZE)) == NILAI_OK)
        count++;
    CHECK_EQ(status, NILAI_AGAIN);
    CHECK(count >= NILAI_SINK_STATE_BYTES / SIZE - 1 && count <= NILAI_SINK_STATE_BYTES / SIZE);
    commit(&scene, 5);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, record, SIZE), NILAI_OK);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(written(&scene, "state", 0), count);
    commit(&scene, 6);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(written(&scene, "state", 0), count + 1);
    free(record);

    char *huge = calloc(1, NILAI_SINK_STATE_BYTES + 1);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, huge, NILAI_SINK_STATE_BYTES + 1), NILAI_FAILED);
    free(huge);
    scene_close(&scene);
}

static void poll_without_commit(struct scene *scene, int64_t begun_ms)
{
    CHECK_EQ(poll_once(scene), NILAI_COMMIT_IDLE);
    bool there = written(scene, "state", 0) > 0;
    CHECK(!there || nilai_clock_monotonic_ms() - begun_ms >= ACK_MS);
}

/* Goal: between two commits there may be more than is held back.
 * Method: twice as much, with polls whenever there is no room; nothing of it is written before the
 * output is acknowledged, which takes its time, and all of it before the offsets. */
TEST(a_long_turn_does_not_wait_for_its_commit)
{
    enum { SIZE = 512 * 1024, COUNT = 2 * NILAI_SINK_STATE_BYTES / SIZE };
    struct scene scene;
    char *record = calloc(1, SIZE);
    scene_open(&scene);
    acknowledge_late(&scene, 1);
    int64_t begun_ms = nilai_clock_monotonic_ms();
    CHECK_EQ(put(&scene, NILAI_OUTPUT_CHURN_RISK, 0, "x", 1), NILAI_OK);
    for (int count = 0; count < COUNT; count++)
        WAIT_FOR(put(&scene, NILAI_OUTPUT_STATE, 0, record, SIZE) == NILAI_OK,
                 poll_without_commit(&scene, begun_ms));
    WAIT_FOR(written(&scene, "state", 0) >= COUNT / 2, poll_without_commit(&scene, begun_ms));
    commit(&scene, 5);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(written(&scene, "state", 0), COUNT);
    free(record);
    scene_close(&scene);
}

/* Goal: a record of the journal that the brokers refuse ends the sink; its offsets stay.
 * Method: a refusal for good of what is written after the output. */
TEST(a_journal_that_cannot_be_written_ends_the_sink)
{
    struct scene scene;
    enum nilai_commit_state state;
    enum nilai_status status = NILAI_OK;
    scene_open(&scene);
    CHECK_EQ(put(&scene, 0, 0, "a", 1), NILAI_OK);
    commit(&scene, 5);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    rd_kafka_mock_push_request_errors(scene.cluster, PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, "s", 1), NILAI_OK);
    commit(&scene, 6);
    WAIT_FOR(status != NILAI_OK,
             status = nilai_sink_poll(scene.sink, 10, &state, &scene.error));
    CHECK_EQ(status, NILAI_CONFIG);
    CHECK(strstr(scene.error.text, "state") != NULL);
    CHECK_EQ(committed(&scene), 5);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, "s", 1), NILAI_FAILED);
    scene_close(&scene);
}

/* Goal: nothing is written of what was put under an assignment that is over.
 * Method: the source begins again between put and commit, and between commit and poll. */
TEST(an_assignment_that_is_over_leaves_nothing_behind)
{
    struct scene scene;
    scene_open(&scene);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, "old", 3), NILAI_OK);
    CHECK_EQ(nilai_source_restart(scene.source, &scene.error), NILAI_OK);
    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, "new", 3), NILAI_OK);
    commit(&scene, 5);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(written_anywhere(&scene, "state"), 1);

    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, "old", 3), NILAI_OK);
    commit(&scene, 6);
    CHECK_EQ(nilai_source_restart(scene.source, &scene.error), NILAI_OK);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_REFUSED);
    CHECK_EQ(written_anywhere(&scene, "state"), 1);
    CHECK_EQ(committed(&scene), 5);

    CHECK_EQ(put(&scene, NILAI_OUTPUT_STATE, 0, "old", 3), NILAI_OK);
    CHECK_EQ(nilai_source_restart(scene.source, &scene.error), NILAI_OK);
    commit(&scene, 7);
    CHECK_EQ(wait_for_word(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(written_anywhere(&scene, "state"), 1);
    scene_close(&scene);
}

/* --- The source ----------------------------------------------------------------------------- */

static void fill(struct scene *scene, int count)
{
    rd_kafka_t *producer = client(scene, RD_KAFKA_PRODUCER);
    for (int number = 0; number < count * PARTITIONS; number++) {
        char value[16];
        int size = snprintf(value, sizeof value, "%d", number / PARTITIONS);
        CHECK_EQ(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("in"),
                                   RD_KAFKA_V_PARTITION(number % PARTITIONS),
                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                   RD_KAFKA_V_VALUE(value, (size_t)size), RD_KAFKA_V_END),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    CHECK_EQ(rd_kafka_flush(producer, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
}

/* What comes next of a partition; NILAI_MISSING: its end. */
static enum nilai_status next(struct scene *scene, int32_t partition, struct nilai_input *input)
{
    enum nilai_status status = NILAI_AGAIN;
    WAIT_FOR((status = nilai_source_take(scene->source, 0, partition, input)) != NILAI_AGAIN,
             poll_source(scene));
    return status;
}

static void check_next(struct scene *scene, int32_t partition, int64_t first, int64_t end)
{
    struct nilai_input input;
    for (int64_t offset = first; offset < end; offset++) {
        enum nilai_status status;
        while ((status = next(scene, partition, &input)) == NILAI_MISSING)
            CHECK(input.offset <= offset); /* the end, as it was before */
        CHECK_EQ(status, NILAI_OK);
        CHECK_EQ(input.offset, offset);
        nilai_source_give_back(scene->source, &input);
    }
}

/* Goal: a source that is told to reads from there, and only from there; what was taken stays.
 * Method: several places one after another, with messages of the old ones still waiting, one
 * partition left out. */
TEST(a_source_reads_from_where_it_is_told)
{
    enum { COUNT = 200 };
    struct scene scene;
    struct nilai_input kept, none;
    scene_open(&scene);
    fill(&scene, COUNT);
    check_next(&scene, 0, 0, 20);
    enum nilai_status status;
    while ((status = next(&scene, 1, &kept)) == NILAI_MISSING)
        CHECK_EQ(kept.offset, 0); /* the end, as it was before */
    CHECK_EQ(status, NILAI_OK);
    CHECK_EQ(nilai_source_low(scene.source, 0, 0), 0);
    WAIT_FOR(nilai_source_high(scene.source, 0, 0) == COUNT, poll_source(&scene));
    for (int64_t place = 150; place >= 0; place -= 50) {
        for (size_t index = 0; index < PARTITIONS; index++) {
            scene.list[index].start[0] = place + (int64_t)index;
            scene.list[index].skip = index == 2;
        }
        CHECK_EQ(nilai_source_read(scene.source, scene.list, PARTITIONS, &scene.error), NILAI_OK);
        CHECK(scene.assigned); /* nobody was told anything */
        check_next(&scene, 1, place + 1, place + 10);
        check_next(&scene, 0, place, COUNT);
        CHECK_EQ(nilai_source_take(scene.source, 0, 2, &none), NILAI_AGAIN);
    }
    CHECK(kept.offset == 0 && memcmp(kept.value, "0", 1) == 0);
    nilai_source_give_back(scene.source, &kept);
    scene_close(&scene);
}
