/*
 * A worker between an in-memory log and an in-memory broker. The broker keeps what it has
 * acknowledged, forgets the rest when the worker "crashes", and remembers committed positions.
 * A transactional one keeps nothing but what a commit holds.
 */
#include "nilai/run/worker.h"
#include "test.h"

enum {
    TOPICS = 2,
    PARTITIONS = 3,
    EVENTS_MAX = 600,       /* of one topic and partition */
    MESSAGES_MAX = 60000,
    HEADERS_MAX = 8,
    DAY_MS = 86400000,
};

struct stored {
    char key[16];
    char value[160];
};

/* The input topics; filled before a test. */
struct log {
    struct stored events[TOPICS][PARTITIONS][EVENTS_MAX];
    int64_t sizes[TOPICS][PARTITIONS];
};

struct message {
    enum nilai_output_topic topic;
    char *key, *value; /* terminated copies; value NULL: a tombstone */
    char headers[HEADERS_MAX][2][64];
    size_t header_count;
};

struct broker {
    struct log *log;
    struct nilai_position committed[PARTITIONS];
    struct message *kept; /* acknowledged */
    size_t kept_count;
};

static struct nilai_config config;

/* --- The source ------------------------------------------------------------------------- */

struct memory_source {
    struct nilai_source base;
    struct broker *broker;
    uint64_t *seed; /* decides when nothing has arrived yet */
    int64_t next[TOPICS][PARTITIONS]; /* -1: not read */
    bool at_end[TOPICS][PARTITIONS];
    bool give, take_away, lost; /* at the next poll */
    bool broken, failed; /* the next take fails, and the polls after it say why */
    size_t outside, restarts;
    int64_t farthest; /* messages taken and not given back, at most */
};

static struct memory_source *source_of(struct nilai_source *base)
{
    return (struct memory_source *)base;
}

static enum nilai_status source_read(struct nilai_source *base, const struct nilai_assigned *list,
                                     size_t count, struct nilai_error *error)
{
    struct memory_source *source = source_of(base);
    (void)error;
    for (size_t index = 0; index < count; index++) {
        for (int topic = 0; topic < TOPICS; topic++) {
            int32_t partition = list[index].committed.partition;
            int64_t start = list[index].start[topic];
            source->next[topic][partition]
                = list[index].skip ? -1 : (start == NILAI_OFFSET_BEGINNING ? 0 : start);
            source->at_end[topic][partition] = false;
        }
    }
    return NILAI_OK;
}

static void source_assign(struct memory_source *source)
{
    struct nilai_assigned list[PARTITIONS];
    struct nilai_error error;
    for (int32_t partition = 0; partition < PARTITIONS; partition++)
        list[partition]
            = (struct nilai_assigned){.committed = source->broker->committed[partition]};
    source->base.listener.assigned(source->base.listener.context, list, PARTITIONS);
    CHECK_EQ(source_read(&source->base, list, PARTITIONS, &error), NILAI_OK);
}

static void source_revoke(struct memory_source *source)
{
    source->base.listener.revoked(source->base.listener.context, source->lost);
    CHECK_EQ(source->outside, 0);
    memset(source->next, -1, sizeof source->next);
}

static enum nilai_status source_poll(struct nilai_source *base, struct nilai_error *error)
{
    struct memory_source *source = source_of(base);
    if (source->failed)
        return nilai_error_set(error, NILAI_CONFIG, "no right to read");
    if (source->take_away)
        source_revoke(source);
    if (source->give)
        source_assign(source);
    source->give = source->take_away = false;
    return NILAI_OK;
}

static enum nilai_status source_take(struct nilai_source *base, uint32_t topic, int32_t partition,
                                     struct nilai_input *input)
{
    struct memory_source *source = source_of(base);
    int64_t offset = source->next[topic][partition];
    source->failed = source->broken;
    if (source->broken)
        return NILAI_FAILED;
    if (offset < 0 || next_random(source->seed) % 8 == 0)
        return NILAI_AGAIN;
    if (offset == source->broker->log->sizes[topic][partition]) {
        if (source->at_end[topic][partition])
            return NILAI_AGAIN;
        source->at_end[topic][partition] = true;
        input->offset = offset;
        return NILAI_MISSING;
    }
    struct stored *event = &source->broker->log->events[topic][partition][offset];
    *input = (struct nilai_input){.handle = event,
                                  .key = event->key,
                                  .key_size = strlen(event->key),
                                  .value = event->value,
                                  .value_size = strlen(event->value),
                                  .offset = offset};
    source->next[topic][partition]++;
    source->at_end[topic][partition] = false;
    source->outside++;
    if ((int64_t)source->outside > source->farthest)
        source->farthest = (int64_t)source->outside;
    return NILAI_OK;
}

static void source_give_back(struct nilai_source *base, struct nilai_input *input)
{
    (void)input;
    CHECK(source_of(base)->outside > 0);
    source_of(base)->outside--;
}

static void source_headers(struct nilai_source *base, const struct nilai_input *input,
                           nilai_header_fn visit, void *context)
{
    (void)base, (void)input;
    visit(context, &(struct nilai_header){"trace", "7", 1});
}

static int64_t source_low(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    (void)base, (void)topic, (void)partition;
    return 0;
}

static int64_t source_high(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    return source_of(base)->broker->log->sizes[topic][partition];
}

static enum nilai_status source_restart(struct nilai_source *base, struct nilai_error *error)
{
    (void)error;
    struct memory_source *source = source_of(base);
    bool lost = source->lost;
    if (next_random(source->seed) % 3 == 0)
        return NILAI_AGAIN;
    source->lost = true;
    source_revoke(source);
    source->lost = lost;
    source_assign(source);
    source->restarts++;
    return NILAI_OK;
}

static void source_leave(struct nilai_source *base)
{
    source_revoke(source_of(base));
}

static void source_close(struct nilai_source *base)
{
    (void)base;
}

static const struct nilai_source_ops memory_source_ops
    = {.poll = source_poll,
       .take = source_take,
       .give_back = source_give_back,
       .headers = source_headers,
       .high = source_high,
       .low = source_low,
       .read = source_read,
       .restart = source_restart,
       .leave = source_leave,
       .close = source_close};

/* --- The sink --------------------------------------------------------------------------- */

struct memory_sink {
    struct nilai_sink base;
    struct broker *broker;
    uint64_t *seed;
    struct message *waiting; /* put, not acknowledged */
    size_t waiting_count, room;
    size_t acks_per_poll;
    size_t full; /* puts for which there was no room */
    bool committing;
    size_t before_commit; /* of those waiting, how many belong to the commit */
    struct nilai_position positions[PARTITIONS];
    size_t position_count;
    size_t refuse; /* so many of the next commits */
    bool broken, failed; /* as of the source */

    /* A transactional one only. */
    bool aborting;
    size_t hold_max; /* messages that it takes while a commit is on its way */
    uint64_t abort_odds; /* one of so many commits is aborted; 0: none */
    bool abort_next;     /* at the next poll, commit or not */
    bool answer_lost;    /* an aborted commit may have held all the same */
    size_t aborts, asked_aborts;
};

static struct memory_sink *sink_of(struct nilai_sink *base)
{
    return (struct memory_sink *)base;
}

static char *copy_text(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static void free_message(struct message *message)
{
    free(message->key);
    free(message->value);
}

static enum nilai_status sink_put(struct nilai_sink *base, const struct nilai_output *output)
{
    struct memory_sink *sink = sink_of(base);
    sink->failed = sink->broken;
    if (sink->broken)
        return NILAI_FAILED;
    if (sink->waiting_count >= sink->room) {
        sink->full++;
        return NILAI_AGAIN;
    }
    struct message *message = &sink->waiting[sink->waiting_count++];
    *message = (struct message){.topic = output->topic,
                                .key = copy_text(output->key, output->key_size),
                                .value = output->value == NULL
                                             ? NULL
                                             : copy_text(output->value, output->value_size)};
    for (size_t index = 0; index < output->header_count && index < HEADERS_MAX; index++) {
        const struct nilai_header *header = &output->headers[index];
        snprintf(message->headers[index][0], 64, "%s", header->name);
        snprintf(message->headers[index][1], 64, "%.*s", (int)header->size,
                 (const char *)header->value);
        message->header_count++;
    }
    return NILAI_OK;
}

static enum nilai_status sink_commit(struct nilai_sink *base, const struct nilai_position *list,
                                     size_t count)
{
    struct memory_sink *sink = sink_of(base);
    CHECK(!sink->committing);
    CHECK(count > 0 && count <= PARTITIONS);
    sink->committing = true;
    sink->before_commit = sink->waiting_count;
    sink->position_count = count;
    memcpy(sink->positions, list, count * sizeof *list);
    return NILAI_OK;
}

static enum nilai_commit_state end_commit(struct memory_sink *sink)
{
    sink->committing = false;
    if (sink->refuse > 0) {
        sink->refuse--;
        return NILAI_COMMIT_REFUSED;
    }
    for (size_t index = 0; index < sink->position_count; index++) {
        struct nilai_position *known
            = &sink->broker->committed[sink->positions[index].partition];
        for (int topic = 0; topic < TOPICS; topic++)
            CHECK(sink->positions[index].offsets[topic] >= known->offsets[topic]);
        *known = sink->positions[index];
    }
    return NILAI_COMMIT_DONE;
}

static enum nilai_status sink_poll(struct nilai_sink *base, int timeout_ms,
                                   enum nilai_commit_state *state, struct nilai_error *error)
{
    (void)timeout_ms;
    struct memory_sink *sink = sink_of(base);
    if (sink->failed)
        return nilai_error_set(error, NILAI_CONFIG, "no right to write");
    size_t acks = sink->acks_per_poll < sink->waiting_count ? sink->acks_per_poll
                                                            : sink->waiting_count;
    for (size_t index = 0; index < acks; index++) {
        CHECK(sink->broker->kept_count < MESSAGES_MAX);
        sink->broker->kept[sink->broker->kept_count++] = sink->waiting[index];
    }
    memmove(sink->waiting, sink->waiting + acks,
            (sink->waiting_count - acks) * sizeof *sink->waiting);
    sink->waiting_count -= acks;
    sink->before_commit -= acks < sink->before_commit ? acks : sink->before_commit;
    *state = sink->committing ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
    if (sink->committing && sink->before_commit == 0)
        *state = end_commit(sink);
    return NILAI_OK;
}

static void sink_close(struct nilai_sink *base)
{
    (void)base;
}

static const struct nilai_sink_ops memory_sink_ops
    = {.put = sink_put, .commit = sink_commit, .poll = sink_poll, .close = sink_close};

/* --- The transactional sink --------------------------------------------------------------- */

/* The messages of the transaction, which are the first of those waiting, become visible. */
static void keep_transaction(struct memory_sink *sink)
{
    for (size_t index = 0; index < sink->before_commit; index++) {
        CHECK(sink->broker->kept_count < MESSAGES_MAX);
        sink->broker->kept[sink->broker->kept_count++] = sink->waiting[index];
    }
    sink->waiting_count -= sink->before_commit;
    memmove(sink->waiting, sink->waiting + sink->before_commit,
            sink->waiting_count * sizeof *sink->waiting);
    CHECK_EQ(end_commit(sink), NILAI_COMMIT_DONE);
}

static enum nilai_commit_state drop_everything(struct memory_sink *sink)
{
    while (sink->waiting_count > 0)
        free_message(&sink->waiting[--sink->waiting_count]);
    sink->committing = sink->aborting = false;
    sink->aborts++;
    return NILAI_COMMIT_ABORTED;
}

static enum nilai_status transaction_put(struct nilai_sink *base, const struct nilai_output *output)
{
    struct memory_sink *sink = sink_of(base);
    CHECK(!sink->aborting);
    if (sink->committing && sink->waiting_count - sink->before_commit >= sink->hold_max)
        return NILAI_AGAIN;
    return sink_put(base, output);
}

static enum nilai_status transaction_poll(struct nilai_sink *base, int timeout_ms,
                                          enum nilai_commit_state *state,
                                          struct nilai_error *error)
{
    (void)timeout_ms, (void)error;
    struct memory_sink *sink = sink_of(base);
    *state = sink->committing ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
    if (sink->abort_next) {
        *state = drop_everything(sink);
        sink->abort_next = false;
        return NILAI_OK;
    }
    if (next_random(sink->seed) % 3 == 0)
        return NILAI_OK; /* it takes a while */
    if (sink->committing && sink->abort_odds > 0
        && next_random(sink->seed) % sink->abort_odds == 0) {
        if (sink->answer_lost && next_random(sink->seed) % 2 == 0)
            keep_transaction(sink);
        *state = drop_everything(sink);
    } else if (sink->committing) {
        keep_transaction(sink);
        *state = NILAI_COMMIT_DONE;
    } else if (sink->aborting) {
        *state = drop_everything(sink);
    }
    return NILAI_OK;
}

static void transaction_abort(struct nilai_sink *base)
{
    sink_of(base)->aborting = true;
    sink_of(base)->asked_aborts++;
}

static const struct nilai_sink_ops transaction_sink_ops = {.put = transaction_put,
                                                           .commit = sink_commit,
                                                           .poll = transaction_poll,
                                                           .abort = transaction_abort,
                                                           .close = sink_close};

/* --- The stage -------------------------------------------------------------------------- */

struct stage {
    struct broker *broker;
    uint64_t seed;
    struct memory_source source;
    struct memory_sink sink;
    struct nilai_counters counters;
    struct nilai_budget budget;
    struct nilai_worker *worker;
    int64_t ends[TOPICS * PARTITIONS];
    struct nilai_marks marks;
    int64_t now_ms, wall_ms;
};

static void configure(void)
{
    struct nilai_error error;
    nilai_config_defaults(&config);
    CHECK_EQ(nilai_config_assign(&config, "kafka.bootstrap.servers", "nobody:1", &error), NILAI_OK);
    CHECK_EQ(nilai_config_assign(&config, "input.format", "json", &error), NILAI_OK);
    CHECK_EQ(nilai_config_assign(&config, "input.topics", "purchases,tickets", &error), NILAI_OK);
    CHECK_EQ(nilai_config_finish(&config, &error), NILAI_OK);
}

static struct broker *broker_open(struct log *log)
{
    struct broker *broker = calloc(1, sizeof *broker);
    CHECK(broker != NULL);
    broker->log = log;
    broker->kept = calloc(MESSAGES_MAX, sizeof *broker->kept);
    CHECK(broker->kept != NULL);
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        broker->committed[partition] = (struct nilai_position){.partition = partition,
                                                               .clock_ms = -1};
        for (int topic = 0; topic < TOPICS; topic++)
            broker->committed[partition].offsets[topic] = -1;
    }
    return broker;
}

static void broker_close(struct broker *broker)
{
    for (size_t index = 0; index < broker->kept_count; index++)
        free_message(&broker->kept[index]);
    free(broker->kept);
    free(broker);
}

/* `state_log`: NULL, if there is no journal. */
static void stage_open_with(struct stage *stage, struct broker *broker, uint64_t seed, bool marks,
                            struct nilai_state_log *state_log)
{
    *stage = (struct stage){.broker = broker, .seed = seed, .now_ms = 1000};
    stage->wall_ms = INT64_C(1) << 41;
    stage->budget.max_bytes = UINT64_C(1) << 32;
    stage->source = (struct memory_source){.base.ops = &memory_source_ops,
                                           .broker = broker,
                                           .seed = &stage->seed,
                                           .give = true};
    memset(stage->source.next, -1, sizeof stage->source.next);
    stage->sink = (struct memory_sink){.base.ops = &memory_sink_ops,
                                       .broker = broker,
                                       .seed = &stage->seed,
                                       .room = 1000,
                                       .acks_per_poll = 100};
    stage->sink.waiting = calloc(stage->sink.room, sizeof *stage->sink.waiting);
    CHECK(stage->sink.waiting != NULL);
    for (int topic = 0; topic < TOPICS; topic++) {
        for (int partition = 0; partition < PARTITIONS; partition++)
            stage->ends[topic * PARTITIONS + partition] = broker->log->sizes[topic][partition];
    }
    stage->marks = (struct nilai_marks){PARTITIONS, stage->ends};
    stage->worker = nilai_worker_create(
        &(struct nilai_worker_options){.config = &config,
                                       .source = &stage->source.base,
                                       .sink = &stage->sink.base,
                                       .state_log = state_log,
                                       .marks = marks ? &stage->marks : NULL,
                                       .counters = &stage->counters,
                                       .budget = &stage->budget,
                                       .hash_seed = seed});
    CHECK(stage->worker != NULL);
}

static void stage_open(struct stage *stage, struct broker *broker, uint64_t seed, bool marks)
{
    stage_open_with(stage, broker, seed, marks, NULL);
}

static void stage_round(struct stage *stage, int64_t passed_ms)
{
    struct nilai_error error;
    int64_t wake_ms;
    stage->now_ms += passed_ms;
    stage->wall_ms += passed_ms;
    CHECK_EQ(nilai_worker_work(stage->worker, stage->now_ms, stage->wall_ms, &wake_ms, &error),
             NILAI_OK);
}

static void stage_finish(struct stage *stage)
{
    for (int round = 0; round < 100000 && !nilai_worker_is_done(stage->worker); round++)
        stage_round(stage, 20);
    CHECK(nilai_worker_is_done(stage->worker));
}

/* In order, or by a crash: then what was not acknowledged is gone, and nothing is committed. */
static void stage_close(struct stage *stage, bool crash)
{
    struct nilai_error error;
    stage->source.lost = crash;
    nilai_source_leave(&stage->source.base);
    CHECK_EQ(nilai_worker_result(stage->worker, &error), NILAI_OK);
    nilai_worker_destroy(stage->worker);
    CHECK_EQ(stage->budget.used_bytes, 0);
    for (size_t index = 0; index < stage->sink.waiting_count; index++)
        free_message(&stage->sink.waiting[index]);
    if (!crash) /* all was acknowledged, or taken back, for otherwise it would not have been committed */
        CHECK_EQ(stage->sink.waiting_count, 0);
    free(stage->sink.waiting);
}

static uint64_t counted(const struct stage *stage, enum nilai_counter counter)
{
    return nilai_counter_read(&stage->counters, counter);
}

/* --- Events ------------------------------------------------------------------------------ */

static void append(struct log *log, int topic, int partition, const char *customer,
                   const char *value)
{
    int64_t offset = log->sizes[topic][partition]++;
    CHECK(offset < EVENTS_MAX);
    struct stored *event = &log->events[topic][partition][offset];
    snprintf(event->key, sizeof event->key, "%s", customer);
    snprintf(event->value, sizeof event->value, "%s", value);
}

static void append_event(struct log *log, int topic, int partition, int number, int64_t ts_ms)
{
    char customer[16], value[160];
    snprintf(customer, sizeof customer, "c%d-%d", partition, number % 17);
    if (topic == 0)
        snprintf(value, sizeof value,
                 "{\"id\":\"p%d-%d\",\"type\":\"purchase\",\"customer\":\"%s\",\"ts\":%" PRId64
                 ",\"amount\":%d}",
                 partition, number, customer, ts_ms, 5 + number % 40);
    else /* an escape, so that a text lies in the decoder's buffer and not in the message */
        snprintf(value, sizeof value,
                 "{\"id\":\"t%d-%d\",\"type\":\"ticket\",\"customer\":\"\\u0063%s\",\"ts\":%" PRId64
                 ",\"ticket\":\"\\u0074%d\",\"status\":\"%s\",\"kind\":\"complaint\"}",
                 partition, number, customer + 1, ts_ms, number,
                 number % 3 == 0 ? "resolved" : "opened");
    append(log, topic, partition, customer, value);
}

/* Two years of customers who buy, complain and fall silent; now and then something bad. */
static struct log *make_log(uint64_t *seed, int per_topic)
{
    struct log *log = calloc(1, sizeof *log);
    CHECK(log != NULL);
    for (int partition = 0; partition < PARTITIONS; partition++) {
        for (int topic = 0; topic < TOPICS; topic++) {
            int64_t ts_ms = DAY_MS;
            for (int number = 0; number < per_topic; number++) {
                ts_ms += (int64_t)(next_random(seed) % (UINT64_C(730) * DAY_MS * 2
                                                        / (uint64_t)per_topic));
                int64_t late_ms = next_random(seed) % 20 == 0 ? 3 * DAY_MS : 0;
                if (next_random(seed) % 40 == 0)
                    append(log, topic, partition, "x", "{\"id\":}");
                else
                    append_event(log, topic, partition, number,
                                 ts_ms > late_ms ? ts_ms - late_ms : ts_ms);
            }
        }
    }
    return log;
}

/* --- What came out ------------------------------------------------------------------------ */

static int by_content(const void *a, const void *b)
{
    const struct message *left = a, *right = b;
    if (left->topic != right->topic)
        return left->topic < right->topic ? -1 : 1;
    int order = strcmp(left->key, right->key);
    if (order == 0)
        order = strcmp(left->value != NULL ? left->value : "",
                       right->value != NULL ? right->value : "");
    /* Change: its identity. Dead letter: trace, topic, partition, offset. */
    for (size_t header = 0; order == 0 && header < 4; header++)
        order = strcmp(left->headers[header][1], right->headers[header][1]);
    return order;
}

/* Sorted, repeated ones out; returns how many there were more than once. */
static size_t distinct(struct broker *broker)
{
    size_t used = 0, repeated = 0;
    qsort(broker->kept, broker->kept_count, sizeof *broker->kept, by_content);
    for (size_t index = 0; index < broker->kept_count; index++) {
        if (used > 0 && by_content(&broker->kept[used - 1], &broker->kept[index]) == 0) {
            free_message(&broker->kept[index]);
            repeated++;
        } else {
            broker->kept[used++] = broker->kept[index];
        }
    }
    broker->kept_count = used;
    return repeated;
}

static void check_same(const struct broker *actual, const struct broker *expected)
{
    CHECK_EQ(actual->kept_count, expected->kept_count);
    for (size_t index = 0; index < actual->kept_count; index++)
        CHECK_EQ(by_content(&actual->kept[index], &expected->kept[index]), 0);
}

/* What the feed said last; NULL: nothing. */
static const struct message *latest_state(const struct broker *broker, const char *customer)
{
    const struct message *latest = NULL;
    for (size_t index = 0; index < broker->kept_count; index++) {
        if (broker->kept[index].topic == NILAI_OUTPUT_CUSTOMERS
            && strcmp(broker->kept[index].key, customer) == 0)
            latest = &broker->kept[index];
    }
    return latest;
}

/* What one uninterrupted worker publishes. */
static struct broker *reference(struct log *log)
{
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, 1, true);
    stage_finish(&stage);
    stage_close(&stage, false);
    CHECK_EQ(distinct(broker), 0);
    CHECK(broker->kept_count > 100);
    return broker;
}

/* --- Claims ------------------------------------------------------------------------------- */

/* Goal: whenever the worker dies, what comes out in the end is what an uninterrupted one
 * publishes: nothing missing, and what comes twice is the same both times.
 * Method: crashes and orderly ends at random rounds, with random room and slowness of the
 * broker, and refused commits; the distinct messages against the reference. */
TEST(nothing_is_lost_whenever_the_worker_dies)
{
    uint64_t seed = test_seed(5);
    configure();
    struct log *log = make_log(&seed, 150);
    struct broker *expected = reference(log);
    size_t repeated = 0, crashes = 0;
    for (int trial = 0; trial < 40; trial++) {
        struct broker *broker = broker_open(log);
        struct stage stage;
        bool done = false;
        for (int life = 0; !done; life++) {
            stage_open(&stage, broker, next_random(&seed), true);
            stage.sink.room = 1 + next_random(&seed) % 100;
            stage.sink.acks_per_poll = 1 + next_random(&seed) % 30;
            stage.sink.refuse = next_random(&seed) % 3;
            uint64_t rounds = next_random(&seed) % (uint64_t)(40 + 40 * life);
            while (rounds-- > 0 && !nilai_worker_is_done(stage.worker))
                stage_round(&stage, 1 + (int64_t)(next_random(&seed) % 60));
            done = nilai_worker_is_done(stage.worker);
            bool crash = !done && next_random(&seed) % 4 != 0;
            crashes += crash;
            stage_close(&stage, crash);
        }
        repeated += distinct(broker);
        check_same(broker, expected);
        broker_close(broker);
    }
    CHECK(crashes > 40);
    CHECK(repeated > 0); /* else the crashes hit nothing */
    broker_close(expected);
    free(log);
}

static void make_transactional(struct stage *stage, uint64_t *seed)
{
    stage->sink.base.ops = &transaction_sink_ops;
    free(stage->sink.waiting); /* a transaction has no limit of its own */
    stage->sink.room = MESSAGES_MAX;
    stage->sink.waiting = calloc(stage->sink.room, sizeof *stage->sink.waiting);
    CHECK(stage->sink.waiting != NULL);
    stage->sink.hold_max = next_random(seed) % 50;
    stage->sink.abort_odds = next_random(seed) % 6;
    if (stage->sink.abort_odds == 1) /* then nothing would ever be done */
        stage->sink.abort_odds = 6;
    stage->sink.answer_lost = next_random(seed) % 2 == 0;
}

/* The group takes everything away, in order or without asking, and mostly gives it back. */
static void maybe_rebalance(struct stage *stage, uint64_t *seed)
{
    if (next_random(seed) % 12 != 0)
        return;
    stage->source.lost = next_random(seed) % 2 == 0;
    stage->source.take_away = stage->source.give = true;
}

/* Goal: with a sink that publishes only what is committed, and takes back the rest, everything
 * comes once: whenever the worker dies, whatever the sink aborts, also when the commit held and
 * only its answer was lost, and whenever the group takes partitions away.
 * Method: all of that at random, against the reference; no message may come twice. */
TEST(what_a_transactional_sink_takes_back_comes_again_once)
{
    uint64_t seed = test_seed(13);
    configure();
    config.commit_interval_ms = 20;
    struct log *log = make_log(&seed, 400);
    struct broker *expected = reference(log);
    size_t aborts = 0, asked = 0, restarts = 0, crashes = 0;
    for (int trial = 0; trial < 40; trial++) {
        struct broker *broker = broker_open(log);
        struct stage stage;
        bool done = false;
        for (int life = 0; !done; life++) {
            stage_open(&stage, broker, next_random(&seed), true);
            make_transactional(&stage, &seed);
            uint64_t rounds = next_random(&seed) % (uint64_t)(8 + 8 * life);
            while (rounds-- > 0 && !nilai_worker_is_done(stage.worker)) {
                maybe_rebalance(&stage, &seed);
                stage_round(&stage, 1 + (int64_t)(next_random(&seed) % 60));
            }
            done = nilai_worker_is_done(stage.worker);
            bool crash = !done && next_random(&seed) % 4 != 0;
            crashes += crash;
            stage_close(&stage, crash);
            aborts += stage.sink.aborts;
            asked += stage.sink.asked_aborts;
            restarts += stage.source.restarts;
        }
        CHECK_EQ(distinct(broker), 0);
        check_same(broker, expected);
        broker_close(broker);
    }
    CHECK(crashes > 40 && restarts > 40); /* else nothing was tried */
    CHECK(asked > 20 && aborts > asked);
    broker_close(expected);
    free(log);
}

/* What the feed says of events, as opposed to the moment at which it was told. */
static void check_same_history(const struct message *actual, const struct message *expected)
{
    const char *from = strstr(expected->value, "\"first_purchase_day\"");
    const char *to = strstr(expected->value, ",\"next_deadline\"");
    CHECK(from != NULL && to != NULL && from < to);
    char *history = copy_text(from, (size_t)(to - from));
    CHECK(strstr(history, "\"seq\"") != NULL);
    CHECK(strstr(actual->value, history) != NULL);
    free(history);
}

/* Goal: what is taken back also leaves no trace in the feed.
 * Method: a feed through a small sink that aborts often; the latest state of everybody must be
 * that of a worker that was never disturbed. */
TEST(the_feed_survives_what_is_taken_back)
{
    uint64_t seed = test_seed(14);
    configure();
    config.customers_feed = true;
    config.commit_interval_ms = 20;
    struct log *log = make_log(&seed, 590);
    struct broker *latest[2];
    size_t aborts = 0;
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        struct stage stage;
        latest[disturbed] = broker_open(log);
        stage_open(&stage, latest[disturbed], 1, true);
        make_transactional(&stage, &seed);
        stage.sink.abort_odds = disturbed != 0 ? 2 : 0;
        for (int round = 0; round < 100000 && !nilai_worker_is_done(stage.worker); round++) {
            if (disturbed != 0)
                maybe_rebalance(&stage, &seed);
            stage_round(&stage, 20);
        }
        stage_close(&stage, false);
        aborts += disturbed != 0 ? stage.sink.aborts : 0;
    }
    CHECK(aborts > 0);
    for (int partition = 0; partition < PARTITIONS; partition++) {
        for (int number = 0; number < 17; number++) {
            char customer[16];
            snprintf(customer, sizeof customer, "c%d-%d", partition, number);
            const struct message *calm = latest_state(latest[0], customer);
            const struct message *other = latest_state(latest[1], customer);
            CHECK(calm != NULL && other != NULL);
            check_same_history(other, calm);
        }
    }
    broker_close(latest[0]);
    broker_close(latest[1]);
    free(log);
}

/* Goal: a worker that ends in order and starts again publishes nothing twice.
 * Method: many orderly ends; no message may come twice. */
TEST(an_orderly_end_repeats_nothing)
{
    uint64_t seed = test_seed(6);
    configure();
    struct log *log = make_log(&seed, 120);
    struct broker *expected = reference(log);
    struct broker *broker = broker_open(log);
    struct stage stage;
    bool done = false;
    for (uint64_t rounds = 4; !done; rounds += 3) {
        stage_open(&stage, broker, next_random(&seed), true);
        stage.sink.room = 20;
        stage.sink.acks_per_poll = 5;
        for (uint64_t round = 0; round < rounds; round++)
            stage_round(&stage, 60);
        done = nilai_worker_is_done(stage.worker);
        stage_close(&stage, false);
    }
    CHECK_EQ(distinct(broker), 0);
    check_same(broker, expected);
    broker_close(broker);
    broker_close(expected);
    free(log);
}

/* Goal: a sink without room stops the reading; nothing is dropped, and what is held stays
 * within the queues.
 * Method: a broker that acknowledges nothing for a while, then everything. */
TEST(a_full_sink_stops_the_reading)
{
    uint64_t seed = test_seed(7);
    configure();
    struct log *log = make_log(&seed, 500);
    struct broker *expected = reference(log);
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, 3, true);
    stage.sink.room = 3;
    stage.sink.acks_per_poll = 0;
    for (int round = 0; round < 50; round++)
        stage_round(&stage, 100);
    CHECK_EQ(stage.sink.waiting_count, 3);
    CHECK_EQ(broker->kept_count, 0);
    CHECK(counted(&stage, NILAI_COUNTER_SINK_FULL) > 0);
    size_t outside = stage.source.outside;
    for (int round = 0; round < 50; round++)
        stage_round(&stage, 100);
    CHECK_EQ(stage.source.outside, outside);
    for (int32_t partition = 0; partition < PARTITIONS; partition++)
        CHECK_EQ(broker->committed[partition].offsets[0], -1);
    stage.sink.acks_per_poll = 3;
    stage_finish(&stage);
    CHECK(stage.source.farthest <= TOPICS * PARTITIONS * 256);
    stage_close(&stage, false);
    CHECK_EQ(distinct(broker), 0);
    check_same(broker, expected);
    broker_close(broker);
    broker_close(expected);
    free(log);
}

static const char *header_of(const struct message *message, const char *name)
{
    for (size_t index = 0; index < message->header_count; index++) {
        if (strcmp(message->headers[index][0], name) == 0)
            return message->headers[index][1];
    }
    return NULL;
}

/* Goal: a bad event goes out whole, with its own headers and the place and reason.
 * Method: one malformed event, one under a wrong key, one from the future. */
TEST(dead_letters_say_where_and_why)
{
    static const char *const classes[] = {"malformed", "key-mismatch", "future-timestamp"};
    configure();
    struct log *log = calloc(1, sizeof *log);
    CHECK(log != NULL);
    append_event(log, 0, 1, 0, DAY_MS);
    append(log, 0, 1, "k", "{");
    append(log, 0, 1, "k", "{\"id\":\"1\",\"type\":\"erase\",\"customer\":\"other\",\"ts\":1}");
    append(log, 0, 1, "k",
           "{\"id\":\"2\",\"type\":\"erase\",\"customer\":\"k\",\"ts\":253402300799999}");
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, 1, true);
    stage_finish(&stage);
    stage_close(&stage, false);
    size_t found = 0;
    for (size_t index = 0; index < broker->kept_count; index++) {
        const struct message *message = &broker->kept[index];
        if (message->topic != NILAI_OUTPUT_DEAD_LETTER)
            continue;
        char offset[8];
        snprintf(offset, sizeof offset, "%zu", found + 1);
        CHECK_TEXT(message->key, "k");
        CHECK_TEXT(message->value, log->events[0][1][found + 1].value);
        CHECK_TEXT(message->headers[0][0], "trace");
        CHECK_TEXT(header_of(message, "__connect.errors.topic"), "purchases");
        CHECK_TEXT(header_of(message, "__connect.errors.partition"), "1");
        CHECK_TEXT(header_of(message, "__connect.errors.offset"), offset);
        CHECK_TEXT(header_of(message, "__connect.errors.class.name"), classes[found]);
        CHECK(header_of(message, "__connect.errors.exception.message") != NULL);
        found++;
    }
    CHECK_EQ(found, 3);
    broker_close(broker);
    free(log);
}

/* Goal: what the group takes away and gives back unchanged goes on without a replay; what
 * somebody else has worked on meanwhile is built anew, and not published again.
 * Method: two workers that hand the partitions to each other. */
TEST(a_rebalance_keeps_what_nobody_else_has_touched)
{
    uint64_t seed = test_seed(8);
    configure();
    struct log *log = make_log(&seed, 590);
    struct broker *expected = reference(log);
    struct broker *broker = broker_open(log);
    struct stage first, second;
    stage_open(&first, broker, 1, true);
    first.sink.room = 10;
    first.sink.acks_per_poll = 5;
    for (int round = 0; round < 12; round++)
        stage_round(&first, 50);
    uint64_t before = counted(&first, NILAI_COUNTER_EVENTS);
    CHECK(before > 0);
    first.source.take_away = first.source.give = true;
    stage_round(&first, 50);
    CHECK_EQ(counted(&first, NILAI_COUNTER_REPLAYED), 0);
    CHECK(!nilai_worker_is_done(first.worker));

    first.source.take_away = true;
    stage_round(&first, 50);
    stage_open(&second, broker, 2, true);
    second.sink.room = 10;
    second.sink.acks_per_poll = 5;
    for (int round = 0; round < 12; round++)
        stage_round(&second, 50);
    CHECK(counted(&second, NILAI_COUNTER_REPLAYED) > 0);
    CHECK(counted(&second, NILAI_COUNTER_EVENTS) > 0);
    CHECK(!nilai_worker_is_done(second.worker));
    stage_close(&second, false);

    first.source.give = true;
    stage_finish(&first);
    CHECK(counted(&first, NILAI_COUNTER_REPLAYED) > 0);
    stage_close(&first, false);
    CHECK_EQ(distinct(broker), 0);
    check_same(broker, expected);
    broker_close(broker);
    broker_close(expected);
    free(log);
}

/* --- A journal of which nothing is left, which counts how often it is read ------------------- */

struct empty_log {
    struct nilai_state_log base;
    int64_t end; /* -1: nobody is told, so that no images are written */
    int reads;
};

static enum nilai_status empty_open(struct nilai_state_log *log, int32_t partition)
{
    (void)partition;
    ((struct empty_log *)log)->reads++;
    return NILAI_OK;
}

static enum nilai_status empty_take(struct nilai_state_log *log, int32_t partition,
                                    struct nilai_input *input)
{
    (void)log, (void)partition;
    input->offset = 0;
    return NILAI_MISSING;
}

static int64_t empty_end(struct nilai_state_log *log, int32_t partition)
{
    (void)log, (void)partition;
    return 0;
}

static void empty_ignore(struct nilai_state_log *log, int32_t partition)
{
    (void)log, (void)partition;
}

static int64_t empty_marked(struct nilai_state_log *log, int32_t partition)
{
    (void)partition;
    return ((struct empty_log *)log)->end;
}

static void empty_trim(struct nilai_state_log *log, int32_t partition, int64_t offset)
{
    (void)log, (void)partition, (void)offset;
}

static enum nilai_status empty_poll(struct nilai_state_log *log, struct nilai_error *error)
{
    (void)log, (void)error;
    return NILAI_OK;
}

static const struct nilai_state_log_ops empty_log_ops = {.open = empty_open,
                                                         .take = empty_take,
                                                         .end = empty_end,
                                                         .stop = empty_ignore,
                                                         .mark = empty_ignore,
                                                         .marked = empty_marked,
                                                         .trim = empty_trim,
                                                         .poll = empty_poll};

/* Goal: who gets back what was taken away, with the same position, reads its journal again only
 * where that may have gone further than the position: where both are not one transaction. */
TEST(a_position_tells_all_only_in_a_transaction)
{
    for (int transactional = 0; transactional < 2; transactional++) {
        uint64_t seed = test_seed(15);
        configure();
        struct log *log = make_log(&seed, 200);
        struct broker *broker = broker_open(log);
        struct empty_log journal = {.base.ops = &empty_log_ops, .end = -1};
        struct stage stage;
        stage_open_with(&stage, broker, 1, false, &journal.base);
        if (transactional)
            make_transactional(&stage, &seed);
        stage.sink.abort_odds = 0;
        for (int round = 0; round < 100; round++)
            stage_round(&stage, 50);
        CHECK(counted(&stage, NILAI_COUNTER_EVENTS) > 0);
        CHECK_EQ(journal.reads, PARTITIONS);
        stage.source.take_away = stage.source.give = true;
        stage_round(&stage, 50);
        CHECK_EQ(journal.reads, transactional ? PARTITIONS : 2 * PARTITIONS);
        stage_close(&stage, false);
        broker_close(broker);
        free(log);
    }
}

static void pass_days(struct stage *stage, int days)
{
    for (; days > 0; days--) {
        stage->wall_ms += DAY_MS;
        stage_round(stage, 100);
    }
}

/* There is no room for all of a commit, or only just, and then everything is taken back. */
static void take_back(struct stage *stage, uint64_t *seed)
{
    stage->sink.room = stage->sink.waiting_count + next_random(seed) % 140;
    pass_days(stage, 4);
    stage->sink.abort_next = true;
    stage_round(stage, 100);
    stage->sink.room = MESSAGES_MAX;
}

/* What comes out while two years pass after the last event from a worker that writes images all the
 * time; *full: how often there was no room. */
static struct broker *follow_the_clock(struct log *log, uint64_t *seed, bool takes_back,
                                       size_t *full)
{
    struct broker *broker = broker_open(log);
    struct empty_log journal = {.base.ops = &empty_log_ops, .end = 0};
    struct stage stage;
    stage_open_with(&stage, broker, 1, false, &journal.base);
    make_transactional(&stage, seed);
    stage.sink.abort_odds = 0;
    stage.wall_ms = INT64_C(5 * 365) * DAY_MS;
    stage_round(&stage, 100);
    int64_t until_ms = stage.wall_ms + INT64_C(730) * DAY_MS;
    while (stage.wall_ms < until_ms) {
        if (takes_back && next_random(seed) % 2 == 0)
            take_back(&stage, seed);
        pass_days(&stage, 1);
    }
    pass_days(&stage, 100);
    stage_close(&stage, false);
    *full = stage.sink.full;
    size_t kept = 0; /* the journal is nobody's to see */
    for (size_t index = 0; index < broker->kept_count; index++) {
        if (broker->kept[index].topic == NILAI_OUTPUT_STATE)
            free_message(&broker->kept[index]);
        else
            broker->kept[kept++] = broker->kept[index];
    }
    broker->kept_count = kept;
    CHECK_EQ(distinct(broker), 0);
    return broker;
}

/* Goal: what is taken back while a commit still waits for room is published again, whichever
 * partitions had put their share already, and although their positions are as they were: when the
 * clock alone goes on. Method: as said, often, against one of whom nothing is taken back. */
TEST(what_is_taken_back_while_a_commit_waits_comes_again)
{
    uint64_t seed = test_seed(16);
    size_t full, all_full = 0;
    configure();
    config.image_round_max_ms = 1;
    config.merge_max_idle_ms = DAY_MS;
    struct log *log = make_log(&seed, 60);
    struct broker *expected = follow_the_clock(log, &seed, false, &full);
    CHECK_EQ(full, 0);
    for (int trial = 0; trial < 5; trial++) {
        struct broker *broker = follow_the_clock(log, &seed, true, &full);
        all_full += full;
        check_same(broker, expected);
        broker_close(broker);
    }
    CHECK(all_full > 20);
    broker_close(expected);
    free(log);
}

/* Goal: a rebalance while the broker acknowledges nothing ends no worker: it goes on with what
 * it gets, and nothing is lost. Method: everything taken away from under a deaf broker, which
 * hears again later. */
TEST(a_rebalance_without_acknowledgements_is_survived)
{
    uint64_t seed = test_seed(14);
    configure();
    struct log *log = make_log(&seed, 150);
    struct broker *expected = reference(log);
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, seed, true);
    stage.sink.acks_per_poll = 0;
    stage.sink.room = 50;
    for (int round = 0; round < 20; round++)
        stage_round(&stage, 50);
    CHECK_EQ(stage.sink.waiting_count, 50);
    stage.source.take_away = true;
    stage_round(&stage, 50);
    CHECK(!nilai_worker_is_done(stage.worker));
    stage.source.give = true;
    stage.sink.acks_per_poll = 10;
    stage_finish(&stage);
    stage_close(&stage, false);
    distinct(broker); /* the turn at hand is published twice */
    check_same(broker, expected);
    broker_close(broker);
    broker_close(expected);
    free(log);
}

/* Goal: a worker whose partitions were lost may end before it is told what comes instead, as when
 * its instance is fenced. Method: everything is taken away twice in a row. */
TEST(the_end_may_come_before_the_group_gives_anything_back)
{
    uint64_t seed = test_seed(24);
    configure();
    struct log *log = make_log(&seed, 150);
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, seed, true);
    for (int round = 0; round < 20; round++)
        stage_round(&stage, 50);
    stage.source.take_away = stage.source.lost = true;
    stage_round(&stage, 50);
    stage_close(&stage, true);
    broker_close(broker);
    free(log);
}

/* Goal: with everything finished by others, there is nothing to read and nothing to publish.
 * Method: a second worker on a finished group. */
TEST(a_finished_partition_is_not_read_again)
{
    uint64_t seed = test_seed(9);
    configure();
    struct log *log = make_log(&seed, 100);
    struct broker *broker = reference(log);
    size_t kept = broker->kept_count;
    struct stage stage;
    stage_open(&stage, broker, 1, true);
    stage_round(&stage, 10);
    CHECK(nilai_worker_is_done(stage.worker));
    CHECK_EQ(stage.source.farthest, 0);
    stage_close(&stage, false);
    CHECK_EQ(broker->kept_count, kept);
    broker_close(broker);
    free(log);
}

/* Goal: at the end of all input the clock follows the wall clock; what that published is not
 * published again by a worker that starts later, whose clock begins at the committed one.
 * Method: a live worker far in the future, a second after it; then the first without following. */
TEST(the_wall_clock_raises_alerts_once)
{
    uint64_t seed = test_seed(10);
    configure();
    struct log *log = make_log(&seed, 60);
    struct broker *quiet = reference(log);
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, 1, false);
    for (int round = 0; round < 500; round++)
        stage_round(&stage, 100);
    stage_close(&stage, false);
    size_t published = broker->kept_count;
    CHECK(published > quiet->kept_count);
    CHECK(broker->committed[0].clock_ms > quiet->committed[0].clock_ms);

    stage_open(&stage, broker, 2, false);
    for (int round = 0; round < 500; round++)
        stage_round(&stage, 100);
    CHECK(counted(&stage, NILAI_COUNTER_REPLAYED) > 0);
    CHECK_EQ(counted(&stage, NILAI_COUNTER_REPLAYING), 0);
    stage_close(&stage, false);
    CHECK_EQ(broker->kept_count, published);
    CHECK_EQ(distinct(broker), 0);

    struct nilai_error error;
    CHECK_EQ(nilai_config_assign(&config, "time.follow_wall_clock", "false", &error), NILAI_OK);
    struct broker *other = broker_open(log);
    stage_open(&stage, other, 1, false);
    for (int round = 0; round < 500; round++)
        stage_round(&stage, 100);
    stage_close(&stage, false);
    CHECK_EQ(distinct(other), 0);
    check_same(other, quiet);
    broker_close(other);
    broker_close(quiet);
    broker_close(broker);
    free(log);
}

/* Goal: the feed holds the latest state of everybody touched, a tombstone for the erased, and
 * also gets through a sink with little room.
 * Method: all customers must be in it; one is erased at the end. */
TEST(the_feed_tells_of_everybody_touched)
{
    uint64_t seed = test_seed(12);
    configure();
    config.customers_feed = true;
    struct log *log = make_log(&seed, 100);
    append(log, 0, 0, "c0-1",
           "{\"id\":\"e\",\"type\":\"erase\",\"customer\":\"c0-1\",\"ts\":252460800000}");
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, 1, true);
    stage.sink.room = 2;
    stage.sink.acks_per_poll = 1;
    stage_finish(&stage);
    stage_close(&stage, false);
    size_t known = 0, tombstones = 0;
    for (int partition = 0; partition < PARTITIONS; partition++) {
        for (int number = 0; number < 17; number++) {
            char customer[16];
            snprintf(customer, sizeof customer, "c%d-%d", partition, number);
            const struct message *latest = latest_state(broker, customer);
            CHECK(latest != NULL);
            known++;
            if (latest->value == NULL) {
                tombstones++;
                CHECK_TEXT(latest->key, "c0-1");
            }
        }
    }
    CHECK_EQ(known, PARTITIONS * 17);
    CHECK_EQ(tombstones, 1);
    broker_close(broker);
    free(log);
}

static void close_failed(struct stage *stage)
{
    nilai_source_leave(&stage->source.base);
    nilai_worker_destroy(stage->worker);
    for (size_t index = 0; index < stage->sink.waiting_count; index++)
        free_message(&stage->sink.waiting[index]);
    free(stage->sink.waiting);
}

/* Goal: a worker that ends says why, in the words and with the status of who knows.
 * Method: a source that may not be read, then a sink that may not be written to. */
TEST(what_broke_is_told)
{
    uint64_t seed = 13;
    configure();
    struct log *log = make_log(&seed, 100);
    for (int which = 0; which < 2; which++) {
        struct broker *broker = broker_open(log);
        struct stage stage;
        struct nilai_error error = {{0}};
        enum nilai_status status = NILAI_OK;
        int64_t wake_ms;
        stage_open(&stage, broker, seed, true);
        stage.source.broken = which == 0;
        stage.sink.broken = which == 1;
        for (int round = 0; round < 1000 && status == NILAI_OK; round++)
            status = nilai_worker_work(stage.worker, stage.now_ms += 10, stage.wall_ms, &wake_ms,
                                       &error);
        CHECK_EQ(status, NILAI_CONFIG);
        CHECK(strstr(error.text, which == 0 ? "no right to read" : "no right to write") != NULL);
        close_failed(&stage);
        broker_close(broker);
    }
    free(log);
}

/* Goal: a source that hands out again what was taken already, as a library does that lost its place,
 * changes nothing of what is published.
 * Method: it goes back now and then, amid rebalances, anywhere between the beginning and where it
 * was; against the reference, no message may come twice. */
TEST(what_comes_again_is_read_once)
{
    uint64_t seed = test_seed(15);
    size_t backs = 0;
    configure();
    config.commit_interval_ms = 20;
    struct log *log = make_log(&seed, 400);
    struct broker *expected = reference(log);
    for (int trial = 0; trial < 20; trial++) {
        struct broker *broker = broker_open(log);
        struct stage stage;
        stage_open(&stage, broker, next_random(&seed), true);
        make_transactional(&stage, &seed);
        while (!nilai_worker_is_done(stage.worker)) {
            int64_t *next = &stage.source.next[next_random(&seed) % TOPICS][0];
            if (next_random(&seed) % 8 == 0 && *next > 0) {
                *next = (int64_t)(next_random(&seed) % (uint64_t)*next);
                backs++;
            }
            maybe_rebalance(&stage, &seed);
            stage_round(&stage, 1 + (int64_t)(next_random(&seed) % 20000));
        }
        stage_close(&stage, false);
        CHECK_EQ(distinct(broker), 0);
        check_same(broker, expected);
        broker_close(broker);
    }
    CHECK(backs > 40);
    broker_close(expected);
    free(log);
}

/* Goal: a topic that is made anew while it is read ends the worker with a reason, not a bug, and
 * not at once.
 * Method: the source has nothing but its first message, with and without some in the queue. */
TEST(offsets_that_stay_back_are_refused)
{
    enum { ROUND_MS = 10, AT_LEAST_MS = 5000 };
    uint64_t seed = 15;
    configure();
    struct log *log = make_log(&seed, 400);
    for (int rounds = 3; rounds < 300; rounds += 99) {
        struct broker *broker = broker_open(log);
        struct stage stage;
        struct nilai_error error = {{0}};
        enum nilai_status status = NILAI_OK;
        int64_t wake_ms;
        stage_open(&stage, broker, seed, false);
        if (rounds < 100) /* else all is read */
            stage.sink.room = 10;
        for (int round = 0; round < rounds; round++)
            stage_round(&stage, ROUND_MS);
        int64_t begun_ms = stage.now_ms;
        for (int round = 0; round < 10000 && status == NILAI_OK; round++) {
            for (int topic = 0; topic < TOPICS; topic++)
                stage.source.next[topic][0] = 0;
            status = nilai_worker_work(stage.worker, stage.now_ms += ROUND_MS, stage.wall_ms,
                                       &wake_ms, &error);
        }
        CHECK_EQ(status, NILAI_UNREACHABLE);
        CHECK(strstr(error.text, "went back") != NULL);
        CHECK(stage.now_ms - begun_ms >= AT_LEAST_MS);
        close_failed(&stage);
        broker_close(broker);
    }
    free(log);
}

/* Goal: the limit of memory ends the worker with a word about the setting.
 * Method: a limit that any table exceeds. */
TEST(the_limit_of_memory_is_told)
{
    uint64_t seed = 1;
    struct nilai_error error = {{0}};
    configure();
    struct log *log = make_log(&seed, 20);
    struct broker *broker = broker_open(log);
    struct stage stage;
    stage_open(&stage, broker, 1, true);
    stage_round(&stage, 1); /* the tables know their own limit by now: it is the sum that counts */
    stage.budget.max_bytes = 1;
    enum nilai_status status = NILAI_OK;
    for (int round = 0; round < 100 && status == NILAI_OK; round++) {
        int64_t wake_ms;
        stage.now_ms += 1000;
        status = nilai_worker_work(stage.worker, stage.now_ms, stage.wall_ms, &wake_ms, &error);
    }
    CHECK_EQ(status, NILAI_FULL);
    CHECK(strstr(error.text, "state.memory_max") != NULL);
    nilai_source_leave(&stage.source.base);
    CHECK_EQ(nilai_worker_result(stage.worker, &error), NILAI_FULL);
    nilai_worker_destroy(stage.worker);
    for (size_t index = 0; index < stage.sink.waiting_count; index++)
        free_message(&stage.sink.waiting[index]);
    free(stage.sink.waiting);
    broker_close(broker);
    free(log);
}
