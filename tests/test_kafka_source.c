/*
 * What is taken, and a member of the group that is fenced, by itself or by somebody else, against
 * librdkafka's mock cluster. The mock knows no static members, so it is told to answer a heartbeat
 * as a group does that has seen another member of the same instance.
 */
#include "../src/io/kafka_report.h"
#include "../src/io/kafka_rival.h"
#include "nilai/io/kafka_source.h"
#include "test.h"

#include <time.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { PARTITIONS = 2, HEARTBEAT = 12 };

static const char *const inputs[] = {"in"};

struct scene {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    struct nilai_kafka_property properties[3];
    struct nilai_source *source;
    struct nilai_input held; /* given back when it must be */
    bool assigned;
    int lost; /* how often */
    int64_t committed;
    struct nilai_error error;
};

static void on_assigned(void *context, struct nilai_assigned *list, size_t count)
{
    struct scene *scene = context;
    CHECK_EQ(count, PARTITIONS);
    for (size_t index = 0; index < count; index++)
        list[index].start[0] = NILAI_OFFSET_BEGINNING;
    scene->committed = list[1].committed.offsets[0];
    scene->assigned = true;
}

static void on_revoked(void *context, bool lost)
{
    struct scene *scene = context;
    if (scene->held.handle != NULL)
        nilai_source_give_back(scene->source, &scene->held);
    scene->lost += lost;
    scene->assigned = false;
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

static void wait_for_assignment(struct scene *scene, bool assigned)
{
    WAIT_FOR(scene->assigned == assigned, poll_source(scene));
}

static void set(struct nilai_kafka_property *property, const char *name, const char *value)
{
    snprintf(property->name, NILAI_KAFKA_NAME_SIZE, "%s", name);
    snprintf(property->value, NILAI_KAFKA_VALUE_SIZE, "%s", value);
}

static void scene_open(struct scene *scene)
{
    char text[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    *scene = (struct scene){.owner = NULL};
    CHECK_EQ(rd_kafka_conf_set(settings, "test.mock.num.brokers", "1", text, sizeof text),
             RD_KAFKA_CONF_OK);
    scene->owner = rd_kafka_new(RD_KAFKA_PRODUCER, settings, text, sizeof text);
    CHECK(scene->owner != NULL);
    scene->cluster = rd_kafka_handle_mock_cluster(scene->owner);
    CHECK_EQ(rd_kafka_mock_topic_create(scene->cluster, inputs[0], PARTITIONS, 1), 0);
    set(&scene->properties[0], "bootstrap.servers",
        rd_kafka_mock_cluster_bootstraps(scene->cluster));
    set(&scene->properties[1], "session.timeout.ms", "6000");
    set(&scene->properties[2], "heartbeat.interval.ms", "200");
    CHECK_EQ(nilai_kafka_source_create(
                 &(struct nilai_kafka_source_options){
                     .kafka = scene->properties,
                     .kafka_count = NILAI_ARRAY_LEN(scene->properties),
                     .group = "g",
                     .instance = "i-0",
                     .topics = inputs,
                     .topic_count = 1,
                     .partition_count = PARTITIONS,
                     .wake = wake},
                 &scene->source, &scene->error),
             NILAI_OK);
    scene->source->listener = (struct nilai_source_listener){scene, on_assigned, on_revoked};
    wait_for_assignment(scene, true);
}

static void scene_close(struct scene *scene)
{
    nilai_source_leave(scene->source);
    nilai_source_close(scene->source);
    rd_kafka_destroy(scene->owner);
}

static void fence(struct scene *scene)
{
    rd_kafka_mock_broker_push_request_error_rtts(scene->cluster, 1, HEARTBEAT, 1,
                                                 RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 0);
}

static void produce(struct scene *scene)
{
    static char value[] = "v";
    CHECK_EQ(rd_kafka_producev(scene->owner, RD_KAFKA_V_TOPIC(inputs[0]),
                               RD_KAFKA_V_PARTITION(1), RD_KAFKA_V_VALUE(value, 1),
                               RD_KAFKA_V_END),
             RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_EQ(rd_kafka_flush(scene->owner, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void take(struct scene *scene)
{
    WAIT_FOR(nilai_source_take(scene->source, 0, 1, &scene->held) == NILAI_OK,
             poll_source(scene));
    CHECK_EQ(scene->held.offset, 0);
}

static void commit(struct scene *scene, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, inputs[0], 1)->offset = offset;
    CHECK(nilai_kafka_source_commit(scene->source, list));
    rd_kafka_topic_partition_list_destroy(list);
}

static enum nilai_commit_state commit_answer(struct scene *scene)
{
    enum nilai_commit_state state = NILAI_COMMIT_RUNNING;
    WAIT_FOR(state != NILAI_COMMIT_RUNNING,
             state = nilai_kafka_source_commit_poll(scene->source, 10));
    return state;
}

/* Goal: who is fenced joins anew and goes on; what was under way is decided.
 * Method: fenced with a message taken and a commit on its way, whose answer nobody looks at. */
TEST(a_fenced_member_joins_anew)
{
    struct scene scene;
    scene_open(&scene);
    produce(&scene);
    take(&scene);
    commit(&scene, 5);
    CHECK_EQ(commit_answer(&scene), NILAI_COMMIT_DONE);
    CHECK_EQ(nilai_kafka_source_commit_poll(scene.source, 0), NILAI_COMMIT_IDLE);
    uint64_t assignment = nilai_kafka_source_assignment(scene.source);
    CHECK(!nilai_kafka_source_is_lost(scene.source));

    commit(&scene, 6);
    fence(&scene);
    wait_for_assignment(&scene, false);
    CHECK(scene.lost >= 1);
    CHECK(scene.held.handle == NULL);
    CHECK_EQ(nilai_kafka_source_commit_poll(scene.source, 0), NILAI_COMMIT_REFUSED);
    CHECK_EQ(nilai_kafka_source_commit_poll(scene.source, 0), NILAI_COMMIT_IDLE);

    wait_for_assignment(&scene, true);
    CHECK(nilai_kafka_source_assignment(scene.source) != assignment);
    CHECK(!nilai_kafka_source_is_lost(scene.source));
    CHECK(scene.committed == 5 || scene.committed == 6);
    struct rd_kafka_consumer_group_metadata_s *group = nilai_kafka_source_group(scene.source);
    CHECK(group != NULL);
    rd_kafka_consumer_group_metadata_destroy(group);
    take(&scene);
    commit(&scene, 7);
    CHECK_EQ(commit_answer(&scene), NILAI_COMMIT_DONE);
    scene_close(&scene);
}

static void take_at(struct scene *scene, int64_t offset)
{
    WAIT_FOR(nilai_source_take(scene->source, 0, 1, &scene->held) == NILAI_OK,
             poll_source(scene));
    CHECK_EQ(scene->held.offset, offset);
    nilai_source_give_back(scene->source, &scene->held);
}

static void read_from(struct scene *scene, int64_t offset)
{
    struct nilai_assigned list[PARTITIONS] = {{.committed.partition = 0, .start[0] = 0},
                                              {.committed.partition = 1, .start[0] = offset}};
    CHECK_EQ(nilai_source_read(scene->source, list, PARTITIONS, &scene->error), NILAI_OK);
}

/* Goal: messages come in order, whole and to the end, however many the source takes out of the
 * library together; what it has taken ahead is forgotten when reading begins anew.
 * Method: some hundreds, that are more than it takes at once; begun anew after one, further on, and
 * again further back. */
TEST(reading_that_begins_anew_forgets_what_was_taken_ahead)
{
    enum { MESSAGES = 300, FURTHER = 100, BACK = 5 };
    struct scene scene;
    scene_open(&scene);
    for (int message = 0; message < MESSAGES; message++)
        produce(&scene);
    take_at(&scene, 0);
    take_at(&scene, 1);
    read_from(&scene, FURTHER);
    take_at(&scene, FURTHER);
    take_at(&scene, FURTHER + 1);
    read_from(&scene, BACK);
    for (int64_t offset = BACK; offset < MESSAGES; offset++)
        take_at(&scene, offset);
    WAIT_FOR(nilai_source_take(scene.source, 0, 1, &scene.held) == NILAI_MISSING,
             poll_source(&scene));
    CHECK_EQ(scene.held.offset, MESSAGES);
    scene_close(&scene);
}

/* Goal: reading may begin anew while the library is still about to stop what it read before, which
 * it must not be told twice (it ends the program with an assertion).
 * Method: twice at once, again and again. */
TEST(reading_that_begins_anew_twice_at_once_is_survived)
{
    enum { TIMES = 100 };
    struct scene scene;
    scene_open(&scene);
    produce(&scene);
    produce(&scene);
    for (int times = 0; times < TIMES; times++) {
        take_at(&scene, 0);
        read_from(&scene, 1);
        read_from(&scene, 0);
    }
    scene_close(&scene);
}

/* Goal: a partition whose queue the library has let go of is read on all the same.
 * Method: its messages are sent to the group's queue, as those of a partition without one are. */
TEST(a_partition_whose_queue_is_cut_off_is_read_again)
{
    struct scene scene;
    scene_open(&scene);
    produce(&scene);
    take_at(&scene, 0);
    rd_kafka_t *client = nilai_kafka_source_client(scene.source);
    rd_kafka_queue_t *own = rd_kafka_queue_get_partition(client, inputs[0], 1);
    rd_kafka_queue_t *common = rd_kafka_queue_get_consumer(client);
    rd_kafka_queue_forward(own, common);
    rd_kafka_queue_destroy(own);
    rd_kafka_queue_destroy(common);
    produce(&scene);
    WAIT_FOR(scene.lost == 1, poll_source(&scene));
    CHECK(scene.assigned);
    take_at(&scene, 0);
    take_at(&scene, 1);
    CHECK_EQ(scene.lost, 1);
    scene_close(&scene);
}

/* Fenced once less than makes a rival, `apart_ms` from one to the next; returns when the last was. */
static int64_t fence_almost(struct nilai_kafka_rival *rival, int64_t timeout_ms, int64_t apart_ms)
{
    nilai_kafka_rival_init(rival, timeout_ms);
    for (int times = 1; times < NILAI_KAFKA_RIVAL_TIMES; times++)
        CHECK(!nilai_kafka_rival_note(rival, times * apart_ms));
    return (NILAI_KAFKA_RIVAL_TIMES - 1) * apart_ms;
}

TEST(a_rival_is_known_by_how_often_within_what_time)
{
    enum { SESSION_MS = 45000, SHORT_MS = 3000 };
    struct nilai_kafka_rival rival;
    int64_t window_ms = (int64_t)SESSION_MS * NILAI_KAFKA_RIVAL_TIMEOUTS;
    fence_almost(&rival, SESSION_MS, 1);
    CHECK(nilai_kafka_rival_note(&rival, window_ms + 1));
    CHECK(!nilai_kafka_rival_note(&rival, 2 * window_ms));
    fence_almost(&rival, SESSION_MS, 1);
    CHECK(!nilai_kafka_rival_note(&rival, window_ms + 2));
    fence_almost(&rival, SHORT_MS, 1);
    CHECK(nilai_kafka_rival_note(&rival, NILAI_KAFKA_RIVAL_WINDOW_MS + 1));
    /* Brokers that die one after the other. */
    CHECK(!nilai_kafka_rival_note(&rival, fence_almost(&rival, SESSION_MS, 20000) + 20000));
    CHECK(!nilai_kafka_rival_note(&rival, fence_almost(&rival, SHORT_MS, 9000) + 9000));
}

TEST(a_text_is_logged_once_in_a_while_with_how_often_it_was_left_out)
{
    uint64_t left_out;
    CHECK(nilai_kafka_report_is_due("a", "refused (after 0ms in state CONNECT)", 100, &left_out));
    CHECK_EQ(left_out, 0);
    CHECK(nilai_kafka_report_is_due("b", "refused (after 0ms in state CONNECT)", 100, &left_out));
    CHECK(nilai_kafka_report_is_due("a", "reset", 100, &left_out));
    for (int times = 0; times < 7; times++)
        CHECK(!nilai_kafka_report_is_due("a", "refused (after 3ms in state CONNECT)",
                                         10099 - times, &left_out));
    CHECK(nilai_kafka_report_is_due("a", "refused", 10100, &left_out));
    CHECK_EQ(left_out, 7);
    CHECK(nilai_kafka_report_is_due("a", "refused", 20100, &left_out));
    CHECK_EQ(left_out, 0);
    for (int other = 0; other < 1000; other++) {
        char text[16];
        snprintf(text, sizeof text, "%d", other);
        CHECK(nilai_kafka_report_is_due("a", text, 20101, &left_out));
        CHECK_EQ(left_out, 0);
    }
}
