#include "nilai/io/kafka_state_log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kafka_client.h"
#include "monitor.h"
#include "nilai/base/clock.h"
#include "nilai/base/log.h"

enum {
    ASK_MS = 3000,  /* the most that closing may wait for */
    TRIM_MS = 5000, /* who asks for an end then waits for so long */
    TRIM_POLL_MS = 100,
    RETRY_MS = 1000,
    WARN_EVERY_MS = 60000,
    /* What the library may hold of records that were not taken, all partitions together. */
    QUEUED_KBYTES = 64 * 1024,
    QUEUED_KBYTES_MIN = 1024,
    QUEUED_KBYTES_MAX = 16 * 1024,
};

/* One partition as it is read: the worker's. */
struct reading {
    rd_kafka_queue_t *queue; /* NULL: it is not */
    int64_t end;             /* where to stop; -1: not known yet */
    int64_t reached;         /* everything before it was taken, or is not there; -1: who knows */
};

/* What the keeper shall do for one partition: at most one of each. */
struct wish {
    uint64_t asked; /* counts `mark` and `open`; an answer to an older one does not count */
    bool want_mark, want_end;
    int64_t marked, end; /* the answers; -1: none yet */
    int64_t trim;        /* delete what is before it; -1: nothing */
};

/*
 * Two threads. `wishes`, `stopping`, `failure` and `error` are shared and touched only under the
 * lock. `readings` and the reader belong to the worker, `asker` and what follows it to the keeper,
 * after it was started and until it is joined. The keeper holds the lock only to look what there
 * is to do and to lay down answers, never over a call that waits: so the worker does not, either.
 */
struct kafka_state_log {
    struct nilai_state_log base;
    struct nilai_kafka_state_log_options options;

    rd_kafka_t *reader; /* since the first `open` */
    rd_kafka_topic_t *topic;
    struct reading *readings; /* by partition */

    pthread_t keeper;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct wish *wishes; /* by partition */
    bool stopping;
    enum nilai_status failure;
    struct nilai_error error;

    rd_kafka_t *asker;
    rd_kafka_topic_t *asked; /* so that the library looks for the leaders again when they change */
    uint64_t *asking;        /* by partition: `asked` as it was */
    int64_t warned_ms;
};

static struct kafka_state_log *of(struct nilai_state_log *log)
{
    return (struct kafka_state_log *)log;
}

static void fail(struct kafka_state_log *log, rd_kafka_resp_err_t code, const char *text)
{
    pthread_mutex_lock(&log->lock);
    if (log->failure == NILAI_OK)
        log->failure = nilai_error_set(&log->error, nilai_kafka_client_status(code),
                                       "kafka: topic %s (state.topic): %s%s", log->options.topic,
                                       text, nilai_kafka_client_advice(NILAI_KAFKA_CONSUMER, code));
    pthread_mutex_unlock(&log->lock);
}

static void on_wake(rd_kafka_t *client, void *context)
{
    (void)client;
    struct kafka_state_log *log = context;
    log->options.wake(log->options.wake_context);
}

/* Trouble with connections: the source and the sink, which talk to the same brokers, warn of it. */
static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    (void)client, (void)code, (void)context;
    nilai_log(NILAI_LOG_DEBUG, "kafka: journal: %s", text);
}

static enum nilai_status create_client(struct kafka_state_log *log, enum nilai_kafka_role role,
                                       const struct nilai_kafka_fixed *fixed, size_t fixed_count,
                                       rd_kafka_t **client, struct nilai_error *error)
{
    rd_kafka_conf_t *config;
    enum nilai_status status = nilai_kafka_config_create(
        role, log->options.kafka, log->options.kafka_count, fixed, fixed_count, &config, error);
    if (status != NILAI_OK)
        return status;
    rd_kafka_conf_set_opaque(config, log);
    rd_kafka_conf_set_error_cb(config, on_error);
    return nilai_kafka_client_create(RD_KAFKA_CONSUMER, config, client, error);
}

#define FETCH_WAIT_MS "10"

/* --- Reading -------------------------------------------------------------------------------- */

static void configure_reader(const struct kafka_state_log *log, char kbytes[static 24],
                             char fetch[static 24])
{
    long share = QUEUED_KBYTES / (long)log->options.partition_count;
    if (share < QUEUED_KBYTES_MIN)
        share = QUEUED_KBYTES_MIN;
    if (share > QUEUED_KBYTES_MAX)
        share = QUEUED_KBYTES_MAX;
    snprintf(kbytes, 24, "%ld", share);
    /* One fetch is taken whole, so it may exceed the limit by its own size. */
    snprintf(fetch, 24, "%ld", share * 1024 / 2);
}

/* The interface of the library that knows no groups: with one, even if nothing is ever committed
 * in its name, the library would look for the group's coordinator, and need rights for it. */
static enum nilai_status create_reader(struct kafka_state_log *log, struct nilai_error *error)
{
    char kbytes[24], fetch[24];
    configure_reader(log, kbytes, fetch);
    const struct nilai_kafka_fixed fixed[] = {{"queued.max.messages.kbytes", kbytes},
                                              {"fetch.message.max.bytes", fetch},
                                              /* A restore ends with an answer that is empty: a
                                               * broker that waits for more delays it. */
                                              {"fetch.wait.max.ms", FETCH_WAIT_MS}};
    enum nilai_status status = create_client(log, NILAI_KAFKA_CONSUMER, fixed,
                                             NILAI_ARRAY_LEN(fixed), &log->reader, error);
    if (status != NILAI_OK)
        return status;
    log->topic = rd_kafka_topic_new(log->reader, log->options.topic, NULL);
    if (log->topic != NULL)
        return NILAI_OK;
    return nilai_error_set(error, NILAI_CONFIG, "kafka: topic %s: %s", log->options.topic,
                           rd_kafka_err2str(rd_kafka_last_error()));
}

static bool need_reader(struct kafka_state_log *log)
{
    struct nilai_error error;
    if (log->topic != NULL)
        return true;
    enum nilai_status status = create_reader(log, &error);
    if (status == NILAI_OK)
        return true;
    pthread_mutex_lock(&log->lock);
    log->failure = status;
    log->error = error;
    pthread_mutex_unlock(&log->lock);
    return false;
}

static void log_stop(struct nilai_state_log *base, int32_t partition)
{
    struct kafka_state_log *log = of(base);
    struct reading *reading = &log->readings[partition];
    if (reading->queue == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    log->wishes[partition].want_end = false;
    pthread_mutex_unlock(&log->lock);
    rd_kafka_queue_cb_event_enable(reading->queue, NULL, NULL);
    /* Waits for the library's own thread, not for brokers. */
    rd_kafka_consume_stop(log->topic, partition);
    rd_kafka_queue_destroy(reading->queue);
    reading->queue = NULL;
}

static void ask(struct kafka_state_log *log, int32_t partition, bool for_end)
{
    pthread_mutex_lock(&log->lock);
    struct wish *wish = &log->wishes[partition];
    wish->asked++;
    if (for_end) {
        wish->want_end = true;
        wish->end = -1;
    } else {
        wish->want_mark = true;
        wish->marked = -1;
    }
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

static enum nilai_status log_open(struct nilai_state_log *base, int32_t partition)
{
    struct kafka_state_log *log = of(base);
    NILAI_ASSERT(partition >= 0 && partition < log->options.partition_count);
    struct reading *reading = &log->readings[partition];
    log_stop(base, partition);
    if (!need_reader(log))
        return NILAI_FAILED;
    *reading = (struct reading){.queue = rd_kafka_queue_new(log->reader), .end = -1, .reached = -1};
    rd_kafka_queue_cb_event_enable(reading->queue, on_wake, log);
    if (rd_kafka_consume_start_queue(log->topic, partition, RD_KAFKA_OFFSET_BEGINNING,
                                     reading->queue)
        != 0) {
        fail(log, rd_kafka_last_error(), rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_queue_destroy(reading->queue);
        reading->queue = NULL;
        return NILAI_FAILED;
    }
    ask(log, partition, true);
    return NILAI_OK;
}

static int64_t answer(struct kafka_state_log *log, int32_t partition, bool of_end)
{
    pthread_mutex_lock(&log->lock);
    int64_t offset = of_end ? log->wishes[partition].end : log->wishes[partition].marked;
    pthread_mutex_unlock(&log->lock);
    return offset;
}

static int64_t log_end(struct nilai_state_log *base, int32_t partition)
{
    struct kafka_state_log *log = of(base);
    struct reading *reading = &log->readings[partition];
    if (reading->queue != NULL && reading->end < 0)
        reading->end = answer(log, partition, true);
    return reading->queue != NULL ? reading->end : -1;
}

/* An error instead of a record: without rights nothing will ever come, the rest passes. */
static bool passes(struct kafka_state_log *log, const rd_kafka_message_t *message)
{
    const char *text = rd_kafka_message_errstr(message);
    if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        fail(log, message->err, text);
        return false;
    }
    nilai_log(NILAI_LOG_WARNING, "kafka: journal of partition %" PRId32 ": %s", message->partition,
              text);
    return true;
}

/* The end of a partition is told whenever everything decided so far was read. It may be before
 * ours, if a transaction is open: there will be another. */
static enum nilai_status take_one(struct kafka_state_log *log, struct reading *reading,
                                  struct nilai_input *input)
{
    rd_kafka_message_t *message = rd_kafka_consume_queue(reading->queue, 0);
    enum nilai_status status = NILAI_MISSING;
    if (message == NULL)
        return NILAI_AGAIN;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset > reading->reached)
            reading->reached = message->offset;
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = passes(log, message) ? NILAI_MISSING : NILAI_FAILED;
    } else if (reading->end >= 0 && message->offset >= reading->end) {
        reading->reached = message->offset; /* somebody has written since */
    } else {
        reading->reached = message->offset + 1;
        *input = (struct nilai_input){.handle = message,
                                      .key = message->key,
                                      .key_size = message->key_len,
                                      .value = message->payload,
                                      .value_size = message->len,
                                      .offset = message->offset};
        return NILAI_OK;
    }
    rd_kafka_message_destroy(message);
    return status;
}

static enum nilai_status log_take(struct nilai_state_log *base, int32_t partition,
                                  struct nilai_input *input)
{
    struct kafka_state_log *log = of(base);
    NILAI_ASSERT(partition >= 0 && partition < log->options.partition_count);
    struct reading *reading = &log->readings[partition];
    if (reading->queue == NULL)
        return NILAI_AGAIN;
    int64_t end = log_end(base, partition);
    enum nilai_status status = NILAI_MISSING; /* of take_one: no record, but there may be more */
    while (status == NILAI_MISSING) {
        /* An empty one, too, only once a broker has let us read it: whoever lacks the right to
         * should not learn it at the second start, when there is something to lose. */
        if (end >= 0 && reading->reached >= end) {
            input->offset = end;
            return NILAI_MISSING;
        }
        status = take_one(log, reading, input);
    }
    return status;
}

static void log_give_back(struct nilai_state_log *base, struct nilai_input *input)
{
    (void)base;
    rd_kafka_message_destroy(input->handle);
    input->handle = NULL;
}

/* --- Keeping: in the keeper's thread ---------------------------------------------------------- */

/* What does not work is tried again for ever, so it is not told each time. */
static void warn(struct kafka_state_log *log, const char *what, const char *text)
{
    int64_t at_ms = nilai_clock_monotonic_ms();
    if (log->warned_ms != 0 && at_ms - log->warned_ms < WARN_EVERY_MS)
        return;
    log->warned_ms = at_ms;
    nilai_log(NILAI_LOG_WARNING, "kafka: topic %s (state.topic): %s: %s", log->options.topic, what,
              text);
}

/* Under the lock. What there is to ask and to trim; NULL where there is nothing. */
static void collect(struct kafka_state_log *log, rd_kafka_topic_partition_list_t **questions,
                    rd_kafka_topic_partition_list_t **trims)
{
    *questions = *trims = NULL;
    for (int32_t partition = 0; partition < log->options.partition_count; partition++) {
        const struct wish *wish = &log->wishes[partition];
        log->asking[partition] = wish->asked;
        if (wish->want_mark || wish->want_end) {
            if (*questions == NULL)
                *questions = rd_kafka_topic_partition_list_new(1);
            rd_kafka_topic_partition_list_add(*questions, log->options.topic, partition)->offset =
                RD_KAFKA_OFFSET_END;
        }
        if (wish->trim >= 0) {
            if (*trims == NULL)
                *trims = rd_kafka_topic_partition_list_new(1);
            rd_kafka_topic_partition_list_add(*trims, log->options.topic, partition)->offset =
                wish->trim;
        }
    }
}

/* false: nobody waits for the answer any more, or for another one. */
static bool lay_down(struct kafka_state_log *log, int32_t partition, int64_t end)
{
    struct wish *wish = &log->wishes[partition];
    pthread_mutex_lock(&log->lock);
    bool current = wish->asked == log->asking[partition] && (wish->want_mark || wish->want_end);
    if (current && wish->want_mark)
        wish->marked = end;
    if (current && wish->want_end)
        wish->end = end;
    if (current)
        wish->want_mark = wish->want_end = false;
    pthread_mutex_unlock(&log->lock);
    return current;
}

static bool is_stopping(struct kafka_state_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool stopping = log->stopping;
    pthread_mutex_unlock(&log->lock);
    return stopping;
}

/* `code` is that of all questions. true: something is to be asked again. */
static bool take_answers(struct kafka_state_log *log, const rd_kafka_topic_partition_list_t *list,
                         rd_kafka_resp_err_t code)
{
    bool answered = false, again = false;
    for (int index = 0; index < list->cnt; index++) {
        const rd_kafka_topic_partition_t *one = &list->elems[index];
        rd_kafka_resp_err_t mine = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : one->err;
        if (mine == RD_KAFKA_RESP_ERR_NO_ERROR && one->offset < 0)
            mine = RD_KAFKA_RESP_ERR__NO_OFFSET;
        if (mine == RD_KAFKA_RESP_ERR_NO_ERROR) {
            answered |= lay_down(log, one->partition, one->offset);
        } else if (mine == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
            fail(log, mine, rd_kafka_err2str(mine));
            answered = true;
        } else {
            warn(log, "where it ends cannot be asked, trying again", rd_kafka_err2str(mine));
            again = true;
        }
    }
    if (answered)
        log->options.wake(log->options.wake_context);
    return again;
}

static bool ask_one(struct kafka_state_log *log, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, log->options.topic, partition)->offset =
        RD_KAFKA_OFFSET_END;
    bool again = take_answers(log, list, rd_kafka_offsets_for_times(log->asker, list, ASK_MS));
    rd_kafka_topic_partition_list_destroy(list);
    return again;
}

/* All in one call; but that fails as a whole if one partition has no leader, say, and the others
 * shall not wait for it. true: something is to be asked again. */
static bool ask_ends(struct kafka_state_log *log, rd_kafka_topic_partition_list_t *list)
{
    bool again = false;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(log->asker, list, ASK_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || list->cnt == 1)
        return take_answers(log, list, code);
    for (int index = 0; index < list->cnt && !is_stopping(log); index++)
        again |= ask_one(log, list->elems[index].partition);
    return again;
}

/* NULL: no answer in time. */
static rd_kafka_event_t *await(struct kafka_state_log *log, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = NULL;
    int64_t until_ms = nilai_clock_monotonic_ms() + TRIM_MS + RETRY_MS;
    while (event == NULL && nilai_clock_monotonic_ms() < until_ms && !is_stopping(log))
        event = rd_kafka_queue_poll(queue, TRIM_POLL_MS);
    return event;
}

/* The wish is fulfilled or given up, unless there is a newer one by now. */
static void forget_trim(struct kafka_state_log *log, int32_t partition, int64_t offset)
{
    pthread_mutex_lock(&log->lock);
    if (log->wishes[partition].trim == offset)
        log->wishes[partition].trim = -1;
    pthread_mutex_unlock(&log->lock);
}

/* Whether to try again. What is given up comes again by itself, further on, after the next round
 * of images. */
static bool judge_trim(struct kafka_state_log *log, rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: /* somebody was faster */ return false;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        warn(log, "records that are not needed any more cannot be deleted, it grows for ever",
             "the right DELETE on the topic is missing (kafka-acls.sh --add --operation Delete "
             "--topic ... --allow-principal ...)");
        return false;
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        warn(log, "records that are not needed any more cannot be deleted, it grows for ever",
             "its cleanup.policy must be delete");
        return false;
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE: /* an emulation of Kafka */ return false;
    default:
        warn(log, "records that are not needed any more cannot be deleted, trying again",
             rd_kafka_err2str(code));
        return true;
    }
}

static rd_kafka_event_t *delete_records(struct kafka_state_log *log,
                                        const rd_kafka_topic_partition_list_t *list)
{
    char text[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(log->asker); /* a late answer finds nobody */
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(log->asker, RD_KAFKA_ADMIN_OP_DELETERECORDS);
    rd_kafka_AdminOptions_set_request_timeout(options, TRIM_MS, text, sizeof text);
    rd_kafka_DeleteRecords(log->asker, &request, 1, options, queue);
    rd_kafka_event_t *event = await(log, queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_queue_destroy(queue);
    return event;
}

/* true: something is to be tried again. */
static bool trim_heads(struct kafka_state_log *log, const rd_kafka_topic_partition_list_t *list)
{
    bool again = false;
    rd_kafka_event_t *event = delete_records(log, list);
    rd_kafka_resp_err_t code =
        event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    const rd_kafka_topic_partition_list_t *results =
        code == RD_KAFKA_RESP_ERR_NO_ERROR
            ? rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event))
            : list;
    for (int index = 0; index < list->cnt; index++) {
        const rd_kafka_topic_partition_t *one = &list->elems[index];
        const rd_kafka_topic_partition_t *result = rd_kafka_topic_partition_list_find(
            (rd_kafka_topic_partition_list_t *)(uintptr_t)results, one->topic, one->partition);
        rd_kafka_resp_err_t mine = result != NULL ? result->err : RD_KAFKA_RESP_ERR__BAD_MSG;
        if (judge_trim(log, code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : mine))
            again = true;
        else
            forget_trim(log, one->partition, one->offset);
    }
    if (event != NULL)
        rd_kafka_event_destroy(event);
    return again;
}

/* Without the lock. true: something is to be tried again. */
static bool keep_once(struct kafka_state_log *log, rd_kafka_topic_partition_list_t *questions,
                      rd_kafka_topic_partition_list_t *trims)
{
    bool again = false;
    if (questions != NULL) { /* first: somebody waits for them */
        again = ask_ends(log, questions);
        rd_kafka_topic_partition_list_destroy(questions);
    }
    if (trims != NULL) {
        again |= trim_heads(log, trims);
        rd_kafka_topic_partition_list_destroy(trims);
    }
    rd_kafka_poll(log->asker, 0);
    return again;
}

static void *keep(void *context)
{
    struct kafka_state_log *log = context;
    rd_kafka_topic_partition_list_t *questions, *trims;
    pthread_mutex_lock(&log->lock);
    while (!log->stopping) {
        collect(log, &questions, &trims);
        if (questions == NULL && trims == NULL) {
            pthread_cond_wait(&log->changed, &log->lock);
            continue;
        }
        pthread_mutex_unlock(&log->lock);
        bool again = keep_once(log, questions, trims);
        pthread_mutex_lock(&log->lock);
        struct timespec until = nilai_monitor_until(RETRY_MS);
        if (again && !log->stopping)
            pthread_cond_timedwait(&log->changed, &log->lock, &until);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

/* --- Operations ------------------------------------------------------------------------------- */

static void log_mark(struct nilai_state_log *base, int32_t partition)
{
    NILAI_ASSERT(partition >= 0 && partition < of(base)->options.partition_count);
    ask(of(base), partition, false);
}

static int64_t log_marked(struct nilai_state_log *base, int32_t partition)
{
    return answer(of(base), partition, false);
}

static void log_trim(struct nilai_state_log *base, int32_t partition, int64_t offset)
{
    struct kafka_state_log *log = of(base);
    NILAI_ASSERT(partition >= 0 && partition < log->options.partition_count && offset >= 0);
    pthread_mutex_lock(&log->lock);
    if (offset > log->wishes[partition].trim)
        log->wishes[partition].trim = offset;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

static enum nilai_status log_poll(struct nilai_state_log *base, struct nilai_error *error)
{
    struct kafka_state_log *log = of(base);
    if (log->reader != NULL)
        rd_kafka_poll(log->reader, 0);
    pthread_mutex_lock(&log->lock);
    enum nilai_status status = log->failure;
    if (status != NILAI_OK)
        *error = log->error;
    pthread_mutex_unlock(&log->lock);
    return status;
}

/* --- Storage ---------------------------------------------------------------------------------- */

static void end_keeper(struct kafka_state_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->keeper, NULL);
}

static void log_close(struct nilai_state_log *base)
{
    struct kafka_state_log *log = of(base);
    if (log->started)
        end_keeper(log);
    for (int32_t partition = 0;
         log->readings != NULL && log->wishes != NULL && partition < log->options.partition_count;
         partition++)
        log_stop(base, partition);
    if (log->topic != NULL)
        rd_kafka_topic_destroy(log->topic);
    if (log->reader != NULL)
        rd_kafka_destroy(log->reader);
    if (log->asked != NULL)
        rd_kafka_topic_destroy(log->asked);
    if (log->asker != NULL)
        rd_kafka_destroy(log->asker);
    pthread_cond_destroy(&log->changed);
    pthread_mutex_destroy(&log->lock);
    free(log->readings);
    free(log->wishes);
    free(log->asking);
    free(log);
}

static const struct nilai_state_log_ops kafka_state_log_ops = {
    .open = log_open,
    .take = log_take,
    .give_back = log_give_back,
    .end = log_end,
    .stop = log_stop,
    .mark = log_mark,
    .marked = log_marked,
    .trim = log_trim,
    .poll = log_poll,
    .close = log_close,
};

static bool create_tables(struct kafka_state_log *log)
{
    size_t count = (size_t)log->options.partition_count;
    log->readings = calloc(count, sizeof *log->readings);
    log->wishes = calloc(count, sizeof *log->wishes);
    log->asking = calloc(count, sizeof *log->asking);
    if (log->readings == NULL || log->wishes == NULL || log->asking == NULL)
        return false;
    for (size_t partition = 0; partition < count; partition++)
        log->wishes[partition] = (struct wish){.marked = -1, .end = -1, .trim = -1};
    return true;
}

static enum nilai_status start_keeper(struct kafka_state_log *log, struct nilai_error *error)
{
    /* Where a partition ends includes what is in open transactions. */
    static const struct nilai_kafka_fixed fixed[] = {{"isolation.level", "read_uncommitted"}};
    enum nilai_status status =
        create_client(log, NILAI_KAFKA_ADMIN, fixed, NILAI_ARRAY_LEN(fixed), &log->asker, error);
    if (status != NILAI_OK)
        return status;
    log->asked = rd_kafka_topic_new(log->asker, log->options.topic, NULL);
    if (log->asked == NULL)
        return nilai_error_set(error, NILAI_CONFIG, "kafka: topic %s: %s", log->options.topic,
                               rd_kafka_err2str(rd_kafka_last_error()));
    int code = pthread_create(&log->keeper, NULL, keep, log);
    if (code != 0)
        return nilai_error_set(error, NILAI_FAILED, "a thread cannot be started: %s",
                               strerror(code));
    log->started = true;
    return NILAI_OK;
}

enum nilai_status nilai_kafka_state_log_create(const struct nilai_kafka_state_log_options *options,
                                               struct nilai_state_log **log,
                                               struct nilai_error *error)
{
    NILAI_ASSERT(options->partition_count > 0);
    struct kafka_state_log *created = calloc(1, sizeof *created);
    if (created == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    created->base.ops = &kafka_state_log_ops;
    created->options = *options;
    nilai_monitor_init(&created->lock, &created->changed);
    enum nilai_status status = create_tables(created)
                                   ? start_keeper(created, error)
                                   : nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    if (status != NILAI_OK) {
        log_close(&created->base);
        return status;
    }
    *log = &created->base;
    return NILAI_OK;
}
