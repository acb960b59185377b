#include "nilai/io/kafka_transaction_sink.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kafka_backoff.h"
#include "kafka_output.h"
#include "kafka_report.h"
#include "kafka_rival.h"
#include "kafka_unanswered.h"
#include "monitor.h"
#include "nilai/base/clock.h"
#include "nilai/base/log.h"
#include "nilai/io/outbox.h"

enum {
    PAUSE_MS = 100,          /* before the same call again */
    INIT_MS = 1000,          /* of one call */
    REBUILD_MAX_MS = 300000, /* brokers that come back may need their time */
    SEND_OFFSETS_MS = 5000,  /* of one call */
    TRANSACTION_MS = 30000,  /* at most, if the user says nothing else */
    CLOSE_MAX_MS = 2000,
    FLUSH_LOOKS_MAX = 100, /* one each millisecond */
    ID_SIZE = 640,
};

enum job {
    JOB_NONE,
    JOB_COMMIT,
    JOB_ABORT, /* as the worker asked */
    JOB_MEND,  /* the transaction broke before anybody asked for its end */
    JOB_END,
};

/*
 * Two threads, one owner. What is named as shared below belongs to the worker's thread while
 * `job` is JOB_NONE, and to the helper while it is not. Both change `job` under the lock, which
 * therefore orders whatever the one wrote before the other reads it. The library's callbacks come
 * from within calls that the owner makes.
 */
struct transaction_sink {
    struct nilai_sink base;
    struct nilai_kafka_sink_options options;
    char id[ID_SIZE];
    char chosen_timeout[24]; /* of a transaction, unless the user says another */

    /* The worker's. */
    struct nilai_outbox *outbox;
    bool away; /* the helper has, or had, a job whose answer was not taken yet */
    bool commit_asked, abort_asked;

    /* Shared. */
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[NILAI_OUTPUT_TOPICS];
    rd_kafka_queue_t *events; /* the producer's */
    int64_t timeout_ms;       /* of a transaction */
    int64_t begun_ms;         /* the open one */
    bool open;
    bool broken;                              /* the open one can only be aborted */
    rd_kafka_topic_partition_list_t *offsets; /* of the commit */
    rd_kafka_consumer_group_metadata_t *group;
    bool held;             /* the commit did */
    bool repeated;         /* a call of it was: its request may have been sent more than once */
    size_t dead_value_max; /* the largest value that the dead-letter topic may still take, */
    size_t dead_rest_max;  /* and the largest key with headers */
    bool excused;          /* the transaction failed for a dead letter that comes smaller now */
    struct nilai_kafka_backoff backoff;
    struct nilai_kafka_rival rival;
    struct nilai_kafka_unanswered unanswered;
    enum nilai_status failure;
    struct nilai_error error;

    pthread_t helper;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum job job;
    _Atomic bool closing; /* tells a job not to try again; nothing else follows from it */
};

static struct transaction_sink *of(struct nilai_sink *sink)
{
    return (struct transaction_sink *)sink;
}

static void pause_ms(int64_t duration_ms)
{
    nanosleep(&(struct timespec){.tv_nsec = duration_ms * 1000000L}, NULL);
}

static void fail(struct transaction_sink *sink, enum nilai_status status, const char *what,
                 const char *text)
{
    if (sink->failure == NILAI_OK)
        sink->failure = nilai_error_set(&sink->error, status, "kafka: %s: %s", what, text);
}

/* With what a person can do about it. */
static void fail_for(struct transaction_sink *sink, rd_kafka_resp_err_t code, const char *what,
                     const char *text)
{
    char whole[384];
    snprintf(whole, sizeof whole, "%.200s%s", text,
             nilai_kafka_client_advice(NILAI_KAFKA_PRODUCER, code));
    fail(sink, nilai_kafka_client_status(code), what, whole);
}

/* --- The library's callbacks -------------------------------------------------------------- */

static void on_wake(rd_kafka_t *client, void *context)
{
    (void)client;
    struct transaction_sink *sink = context;
    sink->options.wake(sink->options.wake_context);
}

static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    char fatal[256];
    (void)code, (void)context;
    /* What a fatal one means is decided by whoever makes the next call. */
    if (rd_kafka_fatal_error(client, fatal, sizeof fatal) == RD_KAFKA_RESP_ERR_NO_ERROR)
        nilai_kafka_report(NILAI_LOG_WARNING, rd_kafka_name(client), text);
}

/* Bytes of key and headers. */
static size_t rest_of_message(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t rest = message->key_len, size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rest;
    for (size_t index = 0; rd_kafka_header_get_all(headers, index, &name, &value, &size)
                           == RD_KAFKA_RESP_ERR_NO_ERROR;
         index++)
        rest += strlen(name) + size;
    return rest;
}

/* A dead letter that was refused for its size: the next one like it goes without its value, or
 * without key and foreign headers. */
static void note_too_large(struct transaction_sink *sink, const rd_kafka_message_t *message)
{
    size_t rest = rest_of_message(message);
    if (message->len > 0 && message->len <= sink->dead_value_max)
        sink->dead_value_max = message->len - 1;
    else if (message->len == 0 && rest <= sink->dead_rest_max)
        sink->dead_rest_max = rest > 0 ? rest - 1 : 0;
    sink->excused = true;
}

/* Only of messages that were not delivered. They break their transaction, which is not our
 * business here, but some would break every other, too. */
static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    struct transaction_sink *sink = context;
    enum nilai_dead_part part = (enum nilai_dead_part)(uintptr_t)message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || atomic_load(&sink->closing))
        return;
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && part != NILAI_DEAD_REASON
        && message->rkt == sink->topics[NILAI_OUTPUT_DEAD_LETTER])
        note_too_large(sink, message);
    else if (nilai_kafka_client_status(message->err) == NILAI_CONFIG)
        fail_for(sink, message->err, rd_kafka_topic_name(message->rkt),
                 rd_kafka_err2str(message->err)); /* the message's own text would be its value */
}

/* --- The producer ------------------------------------------------------------------------- */

/* Who dies with a transaction open holds others up for so long: not longer than until the group
 * gives the partitions to them. */
static void choose_timeout(struct transaction_sink *sink)
{
    char session[24] = "";
    const rd_kafka_conf_t *consumer =
        rd_kafka_conf(nilai_kafka_source_client(sink->options.source));
    long timeout_ms = TRANSACTION_MS;
    if (nilai_kafka_config_get(consumer, "session.timeout.ms", session, sizeof session)
        && strtol(session, NULL, 10) < timeout_ms)
        timeout_ms = strtol(session, NULL, 10);
    snprintf(sink->chosen_timeout, sizeof sink->chosen_timeout, "%ld", timeout_ms);
}

static enum nilai_status create_producer(struct transaction_sink *sink, struct nilai_error *error)
{
    rd_kafka_conf_t *config;
    char timeout[24];
    const struct nilai_kafka_fixed fixed[] = {
        {"transactional.id", sink->id},
        {"delivery.report.only.error", "true"},
        {"transaction.timeout.ms", sink->chosen_timeout},
    };
    bool given = nilai_kafka_client_is_given(sink->options.kafka, sink->options.kafka_count,
                                             "transaction.timeout.ms");
    enum nilai_status status = nilai_kafka_config_create(
        NILAI_KAFKA_TRANSACTIONS, sink->options.kafka, sink->options.kafka_count, fixed,
        NILAI_ARRAY_LEN(fixed) - given, &config, error);
    if (status != NILAI_OK)
        return status;
    if (nilai_kafka_config_get(config, "transaction.timeout.ms", timeout, sizeof timeout))
        sink->timeout_ms = strtoll(timeout, NULL, 10);
    rd_kafka_conf_set_opaque(config, sink);
    rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    rd_kafka_conf_set_error_cb(config, on_error);
    nilai_kafka_unanswered_watch(&sink->unanswered, config);
    status = nilai_kafka_client_create(RD_KAFKA_PRODUCER, config, &sink->producer, error);
    if (status != NILAI_OK)
        return status;
    sink->events = rd_kafka_queue_get_main(sink->producer);
    rd_kafka_queue_cb_event_enable(sink->events, on_wake, sink);
    return nilai_kafka_output_open(sink->producer, &sink->options, sink->topics, error);
}

static void destroy_producer(struct transaction_sink *sink)
{
    if (sink->producer == NULL)
        return;
    nilai_kafka_output_close(sink->producer, sink->events, sink->topics, CLOSE_MAX_MS);
    sink->events = NULL;
    sink->producer = NULL;
}

/* Whether something of ours that had this error may go on; frees the error. */
static bool may_pass(rd_kafka_error_t *error)
{
    bool passes = rd_kafka_error_is_retriable(error) && !rd_kafka_error_is_fatal(error)
                  && !rd_kafka_error_txn_requires_abort(error);
    rd_kafka_error_destroy(error);
    return passes;
}

/* Ends what another holder of our id has left: the brokers then know us, and only us. */
static enum nilai_status init_transactions(struct transaction_sink *sink, int64_t max_ms,
                                           struct nilai_error *error)
{
    int64_t until_ms = nilai_clock_monotonic_ms() + max_ms;
    for (;;) {
        int64_t left_ms = until_ms - nilai_clock_monotonic_ms();
        int64_t call_ms = left_ms < INIT_MS ? left_ms : INIT_MS;
        rd_kafka_error_t *problem =
            rd_kafka_init_transactions(sink->producer, call_ms > 1 ? (int)call_ms : 1);
        if (problem == NULL)
            return NILAI_OK;
        rd_kafka_resp_err_t code = rd_kafka_error_code(problem);
        char fatal[256];
        rd_kafka_resp_err_t cause = rd_kafka_fatal_error(sink->producer, fatal, sizeof fatal);
        if (cause == RD_KAFKA_RESP_ERR_NO_ERROR)
            cause = code;
        enum nilai_status status = nilai_error_set(
            error, nilai_kafka_client_status(cause),
            "kafka: transactions as %s cannot be begun: %s%s", sink->id,
            rd_kafka_error_string(problem), nilai_kafka_client_advice(NILAI_KAFKA_PRODUCER, cause));
        if (!may_pass(problem) || left_ms <= PAUSE_MS || atomic_load(&sink->closing))
            return status;
        pause_ms(PAUSE_MS);
    }
}

static void rebuild(struct transaction_sink *sink)
{
    struct nilai_error error;
    destroy_producer(sink);
    enum nilai_status status = create_producer(sink, &error);
    if (status == NILAI_OK)
        status = init_transactions(sink, REBUILD_MAX_MS, &error);
    if (status != NILAI_OK && sink->failure == NILAI_OK) {
        sink->failure = status;
        sink->error = error;
    }
}

/* --- Jobs: in the helper's thread ---------------------------------------------------------- */

typedef rd_kafka_error_t *(*call_fn)(struct transaction_sink *sink);

static rd_kafka_error_t *call_send_offsets(struct transaction_sink *sink)
{
    /* The group gave them away: it would refuse them, too, but only after it has noticed. */
    if (nilai_kafka_source_is_lost(sink->options.source))
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, "the assignment was lost");
    return rd_kafka_send_offsets_to_transaction(sink->producer, sink->offsets, sink->group,
                                                SEND_OFFSETS_MS);
}

static rd_kafka_error_t *call_commit(struct transaction_sink *sink)
{
    return rd_kafka_commit_transaction(sink->producer, -1);
}

struct answer {
    rd_kafka_resp_err_t code; /* of the last try */
    bool abortable;
    char text[256];
};

/* Calls until it works, cannot work, or has taken as long as a transaction may. */
static bool attempt(struct transaction_sink *sink, call_fn call, struct answer *answer)
{
    int64_t until_ms = nilai_clock_monotonic_ms() + sink->timeout_ms;
    for (;;) {
        rd_kafka_error_t *error = call(sink);
        if (error == NULL)
            return true;
        answer->code = rd_kafka_error_code(error);
        answer->abortable = rd_kafka_error_txn_requires_abort(error) != 0;
        snprintf(answer->text, sizeof answer->text, "%s", rd_kafka_error_string(error));
        if (!may_pass(error) || nilai_clock_monotonic_ms() >= until_ms
            || atomic_load(&sink->closing))
            return false;
        sink->repeated = true;
        pause_ms(PAUSE_MS);
    }
}

static bool is_fencing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED
           || code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* Brokers fence a producer when its transaction is open for too long, and when another one
 * begins under its id. The library may take it for fatal or only for the end of a transaction. */
static bool is_displaced(const struct transaction_sink *sink, const struct answer *answer)
{
    char text[8];
    bool fenced = is_fencing(answer->code)
                  || is_fencing(rd_kafka_fatal_error(sink->producer, text, sizeof text));
    return fenced
           && (!sink->open || nilai_clock_monotonic_ms() - sink->begun_ms < sink->timeout_ms);
}

/* The brokers refused a topic of the transaction, and the library does not say which. */
static void fail_for_topics(struct transaction_sink *sink, const struct answer *answer)
{
    char names[384] = "";
    size_t used = 0;
    for (size_t topic = 0; topic < NILAI_OUTPUT_TOPICS && used < sizeof names; topic++) {
        if (sink->topics[topic] != NULL)
            used +=
                (size_t)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? " or " : "",
                                 rd_kafka_topic_name(sink->topics[topic]));
    }
    fail_for(sink, answer->code, names, rd_kafka_err2str(answer->code));
}

/* Decides whether to go on after a transaction that did not hold, and returns how many ms to wait
 * before. That the group fences its member is for the source to judge, which joins anew; that the
 * brokers fence the producer may be our own doing, when they took a request of ours twice while
 * they changed places. */
static int judge(struct transaction_sink *sink, const struct answer *answer)
{
    int wait_ms = 0;
    enum nilai_status status = nilai_kafka_client_status(answer->code);
    bool displaced = is_displaced(sink, answer);
    if (displaced && nilai_kafka_rival_note(&sink->rival, nilai_clock_monotonic_ms()))
        fail(sink, NILAI_CONFIG, sink->id,
             "another process writes as our `instance`; every process needs its own");
    else if (sink->excused)
        sink->excused = false;
    else if (answer->code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        fail_for_topics(sink, answer);
    else if ((status == NILAI_CONFIG && answer->code != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
             || (!displaced && (wait_ms = nilai_kafka_backoff_note(&sink->backoff)) < 0))
        fail_for(sink, answer->code, sink->id, answer->text);
    nilai_log(NILAI_LOG_WARNING,
              "kafka: %s: a transaction is aborted, its output was seen by nobody: %s", sink->id,
              answer->text);
    return wait_ms;
}

/* Makes sure that the transaction is decided, whichever way, and a next one possible. A new
 * producer, whose epoch shuts this one out: the library's own abort would go on with the same, and
 * give the sequence numbers of the messages that it drops to the next ones. Where brokers have them
 * already, unknown to us, they would take the next ones for these and drop them, too. */
static void take_back(struct transaction_sink *sink, int wait_ms)
{
    rebuild(sink);
    for (; wait_ms > 0 && !atomic_load(&sink->closing); wait_ms -= PAUSE_MS)
        pause_ms(wait_ms < PAUSE_MS ? wait_ms : PAUSE_MS);
}

/* Has what is buffered sent now. The end of the transaction does so, too, but waits in steps of 10
 * ms for messages of which no reports are wanted. */
static void flush(struct transaction_sink *sink)
{
    for (int looks = 0; looks < FLUSH_LOOKS_MAX && !atomic_load(&sink->closing); looks++) {
        if (rd_kafka_flush(sink->producer, 1) == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
    }
}

static void run_commit(struct transaction_sink *sink)
{
    struct answer answer = {.code = RD_KAFKA_RESP_ERR_NO_ERROR};
    sink->repeated = false;
    bool sent = attempt(sink, call_send_offsets, &answer);
    /* The transaction broke during the call: asked again, the library says why. */
    if (!sent && answer.abortable && answer.code == RD_KAFKA_RESP_ERR__STATE)
        sent = attempt(sink, call_send_offsets, &answer);
    if (sent)
        flush(sink);
    sink->held = sent && attempt(sink, call_commit, &answer);
    rd_kafka_poll(sink->producer, 0); /* why it did not */
    if (sink->held) {
        nilai_kafka_backoff_reset(&sink->backoff);
        if (sink->repeated || atomic_load(&sink->unanswered.any))
            rebuild(sink);
        return;
    }
    int wait_ms = judge(sink, &answer);
    if (sink->failure == NILAI_OK)
        take_back(sink, wait_ms);
}

static void run_abort(struct transaction_sink *sink, bool asked)
{
    static const struct answer unusable = {.code = RD_KAFKA_RESP_ERR__STATE,
                                           .text = "a message could not be written"};
    sink->held = false;
    rd_kafka_poll(sink->producer, 0); /* why it broke */
    int wait_ms = asked ? 0 : judge(sink, &unusable);
    if (sink->failure == NILAI_OK)
        take_back(sink, wait_ms);
}

static void *help(void *context)
{
    struct transaction_sink *sink = context;
    pthread_mutex_lock(&sink->lock);
    for (;;) {
        while (sink->job == JOB_NONE)
            pthread_cond_wait(&sink->changed, &sink->lock);
        enum job job = sink->job;
        pthread_mutex_unlock(&sink->lock);
        if (job == JOB_END)
            return NULL;
        if (job == JOB_COMMIT)
            run_commit(sink);
        else
            run_abort(sink, job == JOB_ABORT);
        pthread_mutex_lock(&sink->lock);
        sink->job = JOB_NONE;
        pthread_cond_broadcast(&sink->changed);
        sink->options.wake(sink->options.wake_context);
    }
}

/* --- Handing over -------------------------------------------------------------------------- */

static void give_job(struct transaction_sink *sink, enum job job)
{
    pthread_mutex_lock(&sink->lock);
    NILAI_ASSERT(sink->job == JOB_NONE);
    sink->job = job;
    pthread_cond_broadcast(&sink->changed);
    pthread_mutex_unlock(&sink->lock);
    sink->away = job != JOB_END;
}

/* Whether the helper is at work, after waiting a little for it. */
static bool is_working(struct transaction_sink *sink, int timeout_ms)
{
    struct timespec until = nilai_monitor_until(timeout_ms);
    int code = timeout_ms > 0 ? 0 : 1;
    pthread_mutex_lock(&sink->lock);
    while (sink->job != JOB_NONE && code == 0)
        code = pthread_cond_timedwait(&sink->changed, &sink->lock, &until);
    bool working = sink->job != JOB_NONE;
    pthread_mutex_unlock(&sink->lock);
    return working;
}

/* --- Messages ------------------------------------------------------------------------------ */

static bool need_transaction(struct transaction_sink *sink)
{
    if (sink->open)
        return true;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(sink->producer);
    if (error != NULL) {
        nilai_log(NILAI_LOG_WARNING, "kafka: %s: %s", sink->id, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        sink->broken = true;
        return false;
    }
    sink->open = true;
    sink->begun_ms = nilai_clock_monotonic_ms();
    return true;
}

static rd_kafka_resp_err_t produce(struct transaction_sink *sink, const struct nilai_output *output,
                                   enum nilai_dead_part part, rd_kafka_headers_t *headers)
{
    bool with_key = part != NILAI_DEAD_REASON, with_value = part == NILAI_DEAD_WHOLE;
    return nilai_kafka_output_produce(
        sink->producer, sink->topics[output->topic], nilai_kafka_output_partition(output),
        with_key ? output->key : NULL, with_key ? output->key_size : 0,
        with_value ? output->value : NULL, with_value ? output->value_size : 0, headers,
        (void *)(uintptr_t)part);
}

/* What of a dead letter the topic is known to take. */
static enum nilai_dead_part part_of(const struct transaction_sink *sink,
                                    const struct nilai_output *output)
{
    size_t rest = output->key_size;
    if (output->topic != NILAI_OUTPUT_DEAD_LETTER)
        return NILAI_DEAD_WHOLE;
    for (size_t index = 0; index < output->header_count; index++)
        rest += strlen(output->headers[index].name) + output->headers[index].size;
    if (rest > sink->dead_rest_max)
        return NILAI_DEAD_REASON;
    return output->value_size > sink->dead_value_max ? NILAI_DEAD_NO_VALUE : NILAI_DEAD_WHOLE;
}

/* What the library answered; whatever is not permanent breaks this transaction only. */
static enum nilai_status refused(struct transaction_sink *sink, enum nilai_output_topic topic,
                                 rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return NILAI_AGAIN;
    if (nilai_kafka_client_status(code) == NILAI_CONFIG) {
        fail_for(sink, code, rd_kafka_topic_name(sink->topics[topic]), rd_kafka_err2str(code));
        return NILAI_FAILED;
    }
    sink->broken = true;
    return NILAI_AGAIN;
}

static enum nilai_status write_one(struct transaction_sink *sink, const struct nilai_output *output)
{
    if (!need_transaction(sink))
        return NILAI_AGAIN;
    rd_kafka_headers_t *all = nilai_kafka_output_headers(output), *headers = all;
    if (all == NULL)
        return NILAI_NO_MEMORY;
    enum nilai_dead_part part = part_of(sink, output);
    rd_kafka_resp_err_t code;
    for (;;) {
        if (part != NILAI_DEAD_WHOLE)
            headers = nilai_dead_part_headers(all, part, output->key_size, output->value_size);
        code = produce(sink, output, part, headers);
        if (code != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || part == NILAI_DEAD_REASON
            || output->topic != NILAI_OUTPUT_DEAD_LETTER)
            break;
        if (headers != all)
            rd_kafka_headers_destroy(headers);
        part = nilai_dead_part_smaller(part, output->value != NULL);
    }
    if (headers != all)
        rd_kafka_headers_destroy(all);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return NILAI_OK;
    rd_kafka_headers_destroy(headers);
    return refused(sink, output->topic, code);
}

/* In order, as far as there is room in the library. */
static void empty_outbox(struct transaction_sink *sink)
{
    const struct nilai_output *output;
    while (!sink->broken && (output = nilai_outbox_first(sink->outbox)) != NULL) {
        enum nilai_status status = write_one(sink, output);
        if (status == NILAI_NO_MEMORY)
            fail(sink, status, sink->id, "out of memory");
        if (status != NILAI_OK)
            return;
        nilai_outbox_pop(sink->outbox);
    }
}

/* Whether what is put need not be written yet. */
static bool is_early(const struct transaction_sink *sink)
{
    return !sink->open && !sink->commit_asked
           && nilai_outbox_bytes(sink->outbox) < NILAI_TRANSACTION_ENOUGH_BYTES;
}

static enum nilai_status sink_put(struct nilai_sink *base, const struct nilai_output *output)
{
    struct transaction_sink *sink = of(base);
    if (sink->away)
        return nilai_outbox_push(sink->outbox, output);
    if (sink->failure != NILAI_OK)
        return NILAI_FAILED;
    /* What is put after a commit was asked for must not get into its transaction. */
    if (sink->broken || sink->abort_asked || sink->commit_asked)
        return NILAI_AGAIN;
    if (is_early(sink) && nilai_outbox_push(sink->outbox, output) == NILAI_OK)
        return NILAI_OK;
    empty_outbox(sink);
    return nilai_outbox_is_empty(sink->outbox) ? write_one(sink, output)
                                               : nilai_outbox_push(sink->outbox, output);
}

/* --- Commits ------------------------------------------------------------------------------- */

static void forget_commit(struct transaction_sink *sink)
{
    if (sink->offsets != NULL)
        rd_kafka_topic_partition_list_destroy(sink->offsets);
    if (sink->group != NULL)
        rd_kafka_consumer_group_metadata_destroy(sink->group);
    sink->offsets = NULL;
    sink->group = NULL;
    sink->commit_asked = false;
}

static enum nilai_commit_state end_aborted(struct transaction_sink *sink)
{
    forget_commit(sink);
    nilai_outbox_clear(sink->outbox);
    sink->broken = sink->abort_asked = false;
    sink->open &= sink->failure != NILAI_OK; /* then nobody has ended it: close does */
    return NILAI_COMMIT_ABORTED;
}

static enum nilai_commit_state take_answer(struct transaction_sink *sink)
{
    sink->away = false;
    if (!sink->held)
        return end_aborted(sink);
    forget_commit(sink);
    sink->open = sink->held = false;
    return NILAI_COMMIT_DONE;
}

/* Begins whatever can be begun now. */
static enum nilai_commit_state advance(struct transaction_sink *sink)
{
    if (sink->abort_asked && !sink->open && !sink->broken)
        return end_aborted(sink);
    if (!sink->abort_asked && !is_early(sink))
        empty_outbox(sink);
    if (sink->failure == NILAI_OK && sink->abort_asked)
        give_job(sink, JOB_ABORT);
    else if (sink->failure == NILAI_OK && sink->broken)
        give_job(sink, JOB_MEND);
    else if (sink->failure == NILAI_OK && sink->commit_asked && nilai_outbox_is_empty(sink->outbox))
        give_job(sink, need_transaction(sink) ? JOB_COMMIT : JOB_MEND);
    return sink->commit_asked ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
}

static bool fill_offsets(struct transaction_sink *sink, const struct nilai_position *list,
                         size_t count)
{
    sink->offsets = nilai_kafka_output_offsets(&sink->options, list, count);
    if (sink->offsets == NULL)
        return false;
    sink->group = nilai_kafka_source_group(sink->options.source);
    return sink->group != NULL;
}

static enum nilai_status sink_commit(struct nilai_sink *base, const struct nilai_position *list,
                                     size_t count)
{
    struct transaction_sink *sink = of(base);
    if (sink->commit_asked || sink->abort_asked)
        return NILAI_AGAIN;
    /* Without having been asked the helper is away only to mend: this commit is lost already. */
    if (!sink->away && !fill_offsets(sink, list, count)) {
        forget_commit(sink);
        return NILAI_NO_MEMORY;
    }
    sink->commit_asked = true;
    return NILAI_OK; /* the next poll begins */
}

/* While the helper is away it decides a commit, or mends; this is looked at afterwards. */
static void sink_abort(struct nilai_sink *base)
{
    of(base)->abort_asked = true;
}

static enum nilai_status sink_poll(struct nilai_sink *base, int timeout_ms,
                                   enum nilai_commit_state *state, struct nilai_error *error)
{
    struct transaction_sink *sink = of(base);
    if (sink->away && is_working(sink, timeout_ms)) {
        *state = sink->commit_asked ? NILAI_COMMIT_RUNNING : NILAI_COMMIT_IDLE;
        return NILAI_OK;
    }
    if (sink->away) {
        *state = take_answer(sink);
    } else {
        rd_kafka_poll(sink->producer, sink->commit_asked || sink->abort_asked ? 0 : timeout_ms);
        *state = advance(sink);
    }
    if (!sink->away && sink->failure != NILAI_OK) /* in this order: it may be the helper's */
        *error = sink->error;
    return sink->away ? NILAI_OK : sink->failure;
}

/* --- Storage -------------------------------------------------------------------------------- */

static void end_helper(struct transaction_sink *sink)
{
    while (is_working(sink, CLOSE_MAX_MS))
        ; /* each of its calls ends with the time of a transaction */
    give_job(sink, JOB_END);
    pthread_join(sink->helper, NULL);
}

static void sink_close(struct nilai_sink *base)
{
    struct transaction_sink *sink = of(base);
    atomic_store(&sink->closing, true);
    if (sink->started)
        end_helper(sink);
    if (sink->producer != NULL && sink->open) { /* or readers wait until it times out */
        rd_kafka_error_t *error = rd_kafka_abort_transaction(sink->producer, CLOSE_MAX_MS);
        if (error != NULL)
            rd_kafka_error_destroy(error);
    }
    destroy_producer(sink);
    forget_commit(sink);
    nilai_outbox_destroy(sink->outbox);
    pthread_cond_destroy(&sink->changed);
    pthread_mutex_destroy(&sink->lock);
    free(sink);
}

static const struct nilai_sink_ops transaction_sink_ops = {
    .put = sink_put,
    .commit = sink_commit,
    .poll = sink_poll,
    .abort = sink_abort,
    .close = sink_close,
};

static enum nilai_status start_helper(struct transaction_sink *sink, struct nilai_error *error)
{
    int code = pthread_create(&sink->helper, NULL, help, sink);
    if (code != 0)
        return nilai_error_set(error, NILAI_FAILED, "a thread cannot be started: %s",
                               strerror(code));
    sink->started = true;
    return NILAI_OK;
}

enum nilai_status
nilai_kafka_transaction_sink_create(const struct nilai_kafka_sink_options *options, const char *id,
                                    int timeout_ms, struct nilai_sink **sink,
                                    struct nilai_error *error)
{
    NILAI_ASSERT(strlen(id) < ID_SIZE);
    struct transaction_sink *created = calloc(1, sizeof *created);
    if (created == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    created->base.ops = &transaction_sink_ops;
    created->options = *options;
    created->dead_value_max = created->dead_rest_max = SIZE_MAX;
    snprintf(created->id, sizeof created->id, "%s", id);
    nilai_monitor_init(&created->lock, &created->changed);
    choose_timeout(created);
    created->outbox = nilai_outbox_create(NILAI_TRANSACTION_OUTBOX_BYTES);
    enum nilai_status status = created->outbox != NULL
                                   ? create_producer(created, error)
                                   : nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    if (status == NILAI_OK)
        status = init_transactions(created, timeout_ms, error);
    nilai_kafka_rival_init(&created->rival, created->timeout_ms);
    if (status == NILAI_OK)
        status = start_helper(created, error);
    if (status != NILAI_OK) {
        sink_close(&created->base);
        return status;
    }
    *sink = &created->base;
    return NILAI_OK;
}
