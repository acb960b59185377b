#include "nilai/io/kafka_source.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kafka_client.h"
#include "kafka_report.h"
#include "kafka_rival.h"
#include "nilai/base/clock.h"
#include "nilai/base/prefetch.h"

enum {
    COMMITTED_TIMEOUT_MS = 10000,
    LEAVE_POLL_MS = 50,
    LEAVE_MAX_MS = 10000,
    COMMITTED_MAX_MS = 45000, /* less than a watchdog's patience */
    COMMITTED_PAUSE_MS = 50,
    /* What the library may hold of messages that were not taken, for a whole process: each
     * partition of each topic has its share. */
    QUEUED_KBYTES = 256 * 1024,
    QUEUED_KBYTES_MIN = 128,
    QUEUED_KBYTES_MAX = 16 * 1024,
    AHEAD = 64, /* messages taken out of the library's queue together */
    /* How many messages before its own a message is fetched, and what it points to: another core
     * has written both. */
    MESSAGE_AHEAD = 8,
    VALUE_AHEAD = 4,
    VALUE_BYTES = 128, /* of most, all */
};

/*
 * One partition of one topic. Messages are taken out of the library's queue many at a time, which
 * spares a look at the clock and some more for each.
 *
 * Some versions forget what such a call has taken already when it meets the mark of a new
 * assignment, of a seek or of a pause (the library's issues 4208 and 4844). Nothing is lost by that
 * here, because there is neither seek nor pause, and every assignment, also the one that a pause of
 * the library's own announces, closes the queue and is read from where the listener stands, not
 * from where the library thinks that it does.
 */
struct queue {
    rd_kafka_queue_t *handle; /* NULL: not read */
    uint32_t next, count;     /* of `ahead` */
    rd_kafka_message_t *ahead[AHEAD];
};

/*
 * The client is made anew when the group has fenced it (`renew`), and everything that hangs on it
 * with it; so nobody else keeps a handle of it. `lock` is for the one question that comes from
 * another thread.
 */
struct kafka_source {
    struct nilai_source base;
    struct nilai_kafka_source_options options;
    pthread_mutex_t lock; /* whoever changes `client`, and whoever reads it elsewhere */
    rd_kafka_t *client;
    rd_kafka_queue_t *events;  /* the group's, with errors */
    rd_kafka_queue_t *commits; /* answers to commits */
    enum nilai_commit_state commit;
    struct queue *queues;                   /* [partition * topic_count + topic] */
    rd_kafka_topic_partition_list_t *given; /* by the group; NULL: nothing */
    rd_kafka_consumer_group_metadata_t *group; /* when it was given */
    uint64_t assignment; /* counts what was given, taken away or begun again */
    uint64_t taken;      /* messages that were not given back */
    struct nilai_kafka_rival rival;
    bool joined;
    bool lost; /* what we had, before we were fenced: the brokers had given us up */
    enum nilai_status failure;
    struct nilai_error error;
    bool leaving, abandoned;
};

static struct kafka_source *of(struct nilai_source *source)
{
    return (struct kafka_source *)source;
}

static void on_wake(rd_kafka_t *client, void *context)
{
    (void)client;
    struct kafka_source *source = context;
    source->options.wake(source->options.wake_context);
}

/* The only fatal error that the library has for a consumer. */
static bool is_fenced(const struct kafka_source *source)
{
    char text[8];
    return rd_kafka_fatal_error(source->client, text, sizeof text)
           == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

/* A fenced client refuses every call: that is for `renew` to mend, with the next poll. */
static void fail(struct kafka_source *source, rd_kafka_resp_err_t code, const char *what,
                 const char *text)
{
    if (source->failure != NILAI_OK || is_fenced(source))
        return;
    source->failure =
        nilai_error_set(&source->error, nilai_kafka_client_status(code), "kafka: %s: %s%s", what,
                        text, nilai_kafka_client_advice(NILAI_KAFKA_CONSUMER, code));
}

/* What the library reports, by whichever way. A fatal error may come under its own code or under
 * a common one, so the library is asked. What passes, the library tries again by itself; whoever
 * waits for input sees the lag grow. */
static void judge(struct kafka_source *source, rd_kafka_resp_err_t code, const char *what,
                  const char *text)
{
    char fatal[256], group[288];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(source->client, fatal, sizeof fatal);
    if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) {
        snprintf(group, sizeof group, "group %s", source->options.group);
        what = group;
    }
    if (cause != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(source, cause, "consumer", fatal);
    else if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
             || code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        fail(source, code, what, text);
    else
        nilai_kafka_report(NILAI_LOG_WARNING, what, text);
}

static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    judge(context, (rd_kafka_resp_err_t)code, rd_kafka_name(client), text);
}

/* --- What goes along with an offset ----------------------------------------------------- */

void nilai_kafka_metadata_format(const struct nilai_position *position,
                                 char text[static NILAI_KAFKA_METADATA_SIZE])
{
    int size = snprintf(text, NILAI_KAFKA_METADATA_SIZE,
                        "nilai 2 clock_ms=%" PRId64 " turn=%" PRIu64 " writer=%016" PRIx64,
                        position->clock_ms, position->turn, position->writer);
    NILAI_ASSERT(size > 0 && size < NILAI_KAFKA_METADATA_SIZE);
}

static void format_1(const struct nilai_position *position,
                     char text[static NILAI_KAFKA_METADATA_SIZE])
{
    snprintf(text, NILAI_KAFKA_METADATA_SIZE, "nilai 1 clock_ms=%" PRId64, position->clock_ms);
}

/* Anybody may write there: what was read is written again and must be the same bytes, so that no
 * other spelling of a number means anything. */
bool nilai_kafka_metadata_parse(const char *text, size_t size, struct nilai_position *position)
{
    char copy[NILAI_KAFKA_METADATA_SIZE], again[NILAI_KAFKA_METADATA_SIZE];
    struct nilai_position read = *position;
    if (text == NULL || size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    read.turn = read.writer = 0;
    if (sscanf(copy, "nilai 2 clock_ms=%20" SCNd64 " turn=%20" SCNu64 " writer=%16" SCNx64,
               &read.clock_ms, &read.turn, &read.writer)
        == 3)
        nilai_kafka_metadata_format(&read, again);
    else if (sscanf(copy, "nilai 1 clock_ms=%20" SCNd64, &read.clock_ms) == 1)
        format_1(&read, again);
    else
        return false;
    if (strlen(again) != size || memcmp(again, text, size) != 0 || read.clock_ms < -1
        || read.clock_ms > NILAI_TIME_MAX_MS)
        return false;
    *position = read;
    return true;
}

/* --- The group -------------------------------------------------------------------------- */

static int topic_index(const struct kafka_source *source, const char *name)
{
    for (uint32_t topic = 0; topic < source->options.topic_count; topic++) {
        if (strcmp(source->options.topics[topic], name) == 0)
            return (int)topic;
    }
    return -1;
}

/* The topics of a partition are committed together, but somebody may have set one back by hand. */
static void adopt(struct nilai_position *position, const rd_kafka_topic_partition_t *one)
{
    struct nilai_position read = *position;
    if (nilai_kafka_metadata_parse(one->metadata, one->metadata_size, &read)
        && (read.turn > position->turn
            || (read.turn == position->turn && read.clock_ms > position->clock_ms)))
        *position = read;
}

/* Sorts what the group gave into state partitions. false: some topic is missing of one. */
static bool gather(const struct kafka_source *source, const rd_kafka_topic_partition_list_t *given,
                   struct nilai_assigned *list, size_t *count)
{
    uint32_t topics[NILAI_INPUT_TOPICS_MAX] = {0};
    *count = 0;
    for (int32_t partition = 0; partition < source->options.partition_count; partition++) {
        struct nilai_assigned *entry = &list[*count];
        uint32_t found = 0;
        *entry = (struct nilai_assigned){.committed = {.partition = partition, .clock_ms = -1}};
        for (int index = 0; index < given->cnt; index++) {
            const rd_kafka_topic_partition_t *one = &given->elems[index];
            int topic = topic_index(source, one->topic);
            if (one->partition != partition || topic < 0)
                continue;
            entry->committed.offsets[topic] = one->offset >= 0 ? one->offset : -1;
            adopt(&entry->committed, one);
            found++;
            topics[topic]++;
        }
        if (found != 0 && found != source->options.topic_count)
            return false;
        *count += found != 0;
    }
    /* A partition beyond partition_count would be seen nowhere above. */
    size_t seen = 0;
    for (uint32_t topic = 0; topic < source->options.topic_count; topic++)
        seen += topics[topic];
    return seen == (size_t)given->cnt;
}

/* Offsets that lie in a transaction which is still open are not told (UNSTABLE_OFFSET_COMMIT):
 * somebody who died left it, and the brokers end it after its time-out. */
static bool read_committed(struct kafka_source *source, rd_kafka_topic_partition_list_t *given)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t until_ms = nilai_clock_monotonic_ms() + COMMITTED_MAX_MS;
    while (given->cnt > 0) {
        int64_t left_ms = until_ms - nilai_clock_monotonic_ms();
        if (left_ms <= 0)
            break;
        code = rd_kafka_committed(source->client, given,
                                  left_ms < COMMITTED_TIMEOUT_MS ? (int)left_ms
                                                                 : COMMITTED_TIMEOUT_MS);
        for (int index = 0; index < given->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; index++)
            code = given->elems[index].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return true;
        if (nilai_kafka_client_status(code) == NILAI_CONFIG || is_fenced(source))
            break;
        nanosleep(&(struct timespec){.tv_nsec = COMMITTED_PAUSE_MS * 1000000L}, NULL);
    }
    if (given->cnt > 0)
        fail(source, code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : RD_KAFKA_RESP_ERR__TIMED_OUT,
             "committed offsets cannot be read", rd_kafka_err2str(code));
    return given->cnt == 0;
}

static struct queue *queue_of(const struct kafka_source *source, uint32_t topic, int32_t partition)
{
    return &source->queues[(size_t)partition * source->options.topic_count + topic];
}

static void close_handle(rd_kafka_queue_t **handle)
{
    if (*handle == NULL)
        return;
    rd_kafka_queue_cb_event_enable(*handle, NULL, NULL);
    rd_kafka_queue_destroy(*handle);
    *handle = NULL;
}

/* The queue of a partition is taken out of the common one before every assign: the library
 * forgets it with a rebalance, and then messages pile up where nobody looks. */
static void open_queue(struct kafka_source *source, uint32_t topic, int32_t partition)
{
    struct queue *queue = queue_of(source, topic, partition);
    NILAI_ASSERT(queue->handle == NULL && queue->next == queue->count);
    queue->handle =
        rd_kafka_queue_get_partition(source->client, source->options.topics[topic], partition);
    if (queue->handle == NULL) {
        fail(source, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, source->options.topics[topic],
             "no such partition");
        return;
    }
    rd_kafka_queue_forward(queue->handle, NULL);
    rd_kafka_queue_cb_event_enable(queue->handle, on_wake, source);
}

static void close_queue(struct queue *queue)
{
    for (; queue->next < queue->count; queue->next++)
        rd_kafka_message_destroy(queue->ahead[queue->next]);
    close_handle(&queue->handle);
}

static void close_queues(struct kafka_source *source)
{
    size_t all = (size_t)source->options.partition_count * source->options.topic_count;
    for (size_t index = 0; index < all; index++)
        close_queue(&source->queues[index]);
}

static void start_reading(struct kafka_source *source, const struct nilai_assigned *list,
                          size_t count)
{
    rd_kafka_topic_partition_list_t *starts =
        rd_kafka_topic_partition_list_new((int)(count * source->options.topic_count));
    for (size_t index = 0; index < count; index++) {
        int32_t partition = list[index].committed.partition;
        for (uint32_t topic = 0; topic < source->options.topic_count && !list[index].skip;
             topic++) {
            int64_t start = list[index].start[topic];
            open_queue(source, topic, partition);
            rd_kafka_topic_partition_list_add(starts, source->options.topics[topic], partition)
                ->offset = start == NILAI_OFFSET_BEGINNING ? RD_KAFKA_OFFSET_BEGINNING : start;
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(source->client, starts);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(source, code, "the assignment cannot be taken up", rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(starts);
}

static void forget_given(struct kafka_source *source)
{
    if (source->given != NULL)
        rd_kafka_topic_partition_list_destroy(source->given);
    if (source->group != NULL)
        rd_kafka_consumer_group_metadata_destroy(source->group);
    source->given = NULL;
    source->group = NULL;
    source->assignment++;
}

static void take_up(struct kafka_source *source)
{
    rd_kafka_topic_partition_list_t *given = source->given;
    struct nilai_assigned *list = calloc((size_t)source->options.partition_count, sizeof *list);
    size_t count;
    if (list == NULL) {
        fail(source, RD_KAFKA_RESP_ERR__FAIL, "assignment", "out of memory");
    } else if (read_committed(source, given)) {
        if (!gather(source, given, list, &count)) {
            fail(source, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "assignment",
                 "the partitions of the input topics did not come together: is another program "
                 "in the group, or were partitions added? (restart to use added ones)");
        } else {
            source->base.listener.assigned(source->base.listener.context, list, count);
            start_reading(source, list, count);
        }
    }
    if (source->failure != NILAI_OK)
        rd_kafka_assign(source->client, NULL);
    free(list);
}

/* The group's metadata is taken here and nowhere else: taken later, it might be that of a newer
 * assignment, and let through what the group must refuse. */
static void on_assign(struct kafka_source *source, const rd_kafka_topic_partition_list_t *given)
{
    forget_given(source);
    source->lost = false;
    source->given = rd_kafka_topic_partition_list_copy(given);
    source->group = rd_kafka_consumer_group_metadata(source->client);
    take_up(source);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *given, void *context)
{
    struct kafka_source *source = context;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !source->leaving) {
        on_assign(source, given);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && !source->leaving) {
        bool lost = rd_kafka_assignment_lost(client) != 0;
        source->lost = lost && !is_fenced(source);
        source->base.listener.revoked(source->base.listener.context, lost);
    } else if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
               && code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        fail(source, code, "rebalance", rd_kafka_err2str(code));
    }
    close_queues(source);
    forget_given(source);
    rd_kafka_assign(client, NULL);
}

/* --- The client ------------------------------------------------------------------------- */

/* The library's own memory, shared out among all partitions there are. */
static long queued_kbytes(const struct nilai_kafka_source_options *options)
{
    long share = QUEUED_KBYTES / ((long)options->partition_count * (long)options->topic_count);
    if (share < QUEUED_KBYTES_MIN)
        return QUEUED_KBYTES_MIN;
    return share > QUEUED_KBYTES_MAX ? QUEUED_KBYTES_MAX : share;
}

static enum nilai_status configure(const struct nilai_kafka_source_options *options,
                                   rd_kafka_conf_t **config, struct nilai_error *error)
{
    char kbytes[24], fetch[24];
    long share = queued_kbytes(options);
    snprintf(kbytes, sizeof kbytes, "%ld", share);
    /* One fetch is taken whole, so it may exceed the limit by its own size. */
    snprintf(fetch, sizeof fetch, "%ld", share < 1024 ? share * 1024 : 1024 * 1024L);
    struct nilai_kafka_fixed fixed[4] = {{"group.id", options->group}};
    size_t count = 1;
    if (options->instance != NULL)
        fixed[count++] = (struct nilai_kafka_fixed){"group.instance.id", options->instance};
    if (!nilai_kafka_client_is_given(options->kafka, options->kafka_count,
                                     "queued.max.messages.kbytes"))
        fixed[count++] = (struct nilai_kafka_fixed){"queued.max.messages.kbytes", kbytes};
    if (!nilai_kafka_client_is_given(options->kafka, options->kafka_count,
                                     "max.partition.fetch.bytes")
        && !nilai_kafka_client_is_given(options->kafka, options->kafka_count,
                                        "fetch.message.max.bytes"))
        fixed[count++] = (struct nilai_kafka_fixed){"fetch.message.max.bytes", fetch};
    return nilai_kafka_config_create(NILAI_KAFKA_CONSUMER, options->kafka, options->kafka_count,
                                     fixed, count, config, error);
}

static enum nilai_status join(struct kafka_source *source, struct nilai_error *error)
{
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)source->options.topic_count);
    for (uint32_t topic = 0; topic < source->options.topic_count; topic++)
        rd_kafka_topic_partition_list_add(topics, source->options.topics[topic],
                                          RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(source->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return nilai_error_set(error, NILAI_FAILED, "kafka: subscribe: %s", rd_kafka_err2str(code));
    source->joined = true;
    return NILAI_OK;
}

static void set_client(struct kafka_source *source, rd_kafka_t *client)
{
    pthread_mutex_lock(&source->lock);
    source->client = client;
    pthread_mutex_unlock(&source->lock);
}

static enum nilai_status open_client(struct kafka_source *source, struct nilai_error *error)
{
    rd_kafka_conf_t *config;
    rd_kafka_t *client;
    enum nilai_status status = configure(&source->options, &config, error);
    if (status != NILAI_OK)
        return status;
    rd_kafka_conf_set_opaque(config, source);
    rd_kafka_conf_set_rebalance_cb(config, on_rebalance);
    rd_kafka_conf_set_error_cb(config, on_error);
    status = nilai_kafka_client_create(RD_KAFKA_CONSUMER, config, &client, error);
    if (status != NILAI_OK)
        return status;
    set_client(source, client);
    rd_kafka_poll_set_consumer(client);
    source->events = rd_kafka_queue_get_consumer(client);
    rd_kafka_queue_cb_event_enable(source->events, on_wake, source);
    source->commits = rd_kafka_queue_new(client);
    rd_kafka_queue_cb_event_enable(source->commits, on_wake, source);
    source->joined = false; /* the next poll does */
    return NILAI_OK;
}

/* The library waits for every message that was taken; the queues are closed. */
static void close_client(struct kafka_source *source, int flags)
{
    rd_kafka_t *client = source->client;
    NILAI_ASSERT(source->taken == 0);
    close_handle(&source->events);
    close_handle(&source->commits);
    set_client(source, NULL);
    if (client != NULL)
        rd_kafka_destroy_flags(client, flags);
}

/* After having been fenced: a client to which that happened stays so. The library brings it about
 * by itself after an outage, when the group has given us up and a request to join again was
 * answered to nobody: then we join a second time, as a stranger to ourselves. But whoever was
 * fenced while all was well was so by another process, or by what an outage left behind. */
static void renew(struct kafka_source *source)
{
    const char *instance = source->options.instance;
    if (!source->lost && nilai_kafka_rival_note(&source->rival, nilai_clock_monotonic_ms())) {
        source->failure = nilai_error_set(&source->error, NILAI_CONFIG,
                                          "kafka: consumer: another process has joined as "
                                          "`instance` %s; every process needs its own",
                                          instance);
        return;
    }
    nilai_log(NILAI_LOG_WARNING, "kafka: the group has fenced %s; it joins anew", instance);
    if (source->given != NULL)
        source->base.listener.revoked(source->base.listener.context, true);
    close_queues(source);
    forget_given(source);
    if (source->commit == NILAI_COMMIT_RUNNING)
        source->commit = NILAI_COMMIT_REFUSED;
    close_client(source, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    source->lost = false;
    source->failure = open_client(source, &source->error);
}

/* --- Operations ------------------------------------------------------------------------- */

/* Begins again with what is assigned; false: the group is about to take it away. */
static bool restart(struct kafka_source *source)
{
    if (source->given == NULL || rd_kafka_assignment_lost(source->client))
        return false;
    source->base.listener.revoked(source->base.listener.context, true);
    source->assignment++;
    close_queues(source);
    rd_kafka_assign(source->client, NULL);
    take_up(source);
    return true;
}

/* Every partition has its own queue, so only errors come this way. A message tells that the library
 * has put another in the place of one of them, as it may when a topic is gone for a moment: that
 * partition would not be read any more. false: so it was. */
static bool serve_group(struct kafka_source *source)
{
    rd_kafka_message_t *message;
    bool whole = true;
    while (source->failure == NILAI_OK
           && (message = rd_kafka_consumer_poll(source->client, 0)) != NULL) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            whole = false;
            nilai_kafka_report(NILAI_LOG_WARNING, rd_kafka_topic_name(message->rkt),
                               "a message came by the group's queue; all is read again");
        } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            judge(source, message->err, "input", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
    return whole;
}

static enum nilai_status source_poll(struct nilai_source *base, struct nilai_error *error)
{
    struct kafka_source *source = of(base);
    if (source->failure == NILAI_OK && !source->joined)
        source->failure = join(source, &source->error);
    bool whole = serve_group(source);
    if (source->failure == NILAI_OK && is_fenced(source))
        renew(source);
    else if (source->failure == NILAI_OK && !whole)
        (void)restart(source);
    if (source->failure != NILAI_OK)
        *error = source->error;
    return source->failure;
}

static void prefetch_later(const struct queue *queue)
{
    if (queue->next + MESSAGE_AHEAD < queue->count)
        nilai_prefetch(queue->ahead[queue->next + MESSAGE_AHEAD], sizeof(rd_kafka_message_t));
    if (queue->next + VALUE_AHEAD >= queue->count)
        return;
    const void *value = queue->ahead[queue->next + VALUE_AHEAD]->payload;
    if (value != NULL)
        nilai_prefetch(value, VALUE_BYTES);
}

/* NULL: there is none. */
static rd_kafka_message_t *take_message(struct queue *queue)
{
    if (queue->next == queue->count) {
        ssize_t count = rd_kafka_consume_batch_queue(queue->handle, 0, queue->ahead, AHEAD);
        queue->next = 0;
        queue->count = count > 0 ? (uint32_t)count : 0;
    }
    prefetch_later(queue);
    return queue->next < queue->count ? queue->ahead[queue->next++] : NULL;
}

static bool is_error(const rd_kafka_message_t *message)
{
    return message->err != RD_KAFKA_RESP_ERR_NO_ERROR
           && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF;
}

/* What comes instead of a message: permanent errors end the source, others pass, and messages that
 * are behind them are taken. */
static rd_kafka_message_t *take_past_errors(struct kafka_source *source, struct queue *queue,
                                            uint32_t topic)
{
    rd_kafka_message_t *message;
    while ((message = take_message(queue)) != NULL && is_error(message)) {
        judge(source, message->err, source->options.topics[topic],
              rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
        if (source->failure != NILAI_OK)
            return NULL;
    }
    return message;
}

static enum nilai_status source_take(struct nilai_source *base, uint32_t topic, int32_t partition,
                                     struct nilai_input *input)
{
    struct kafka_source *source = of(base);
    NILAI_ASSERT(topic < source->options.topic_count
                 && partition < source->options.partition_count);
    struct queue *queue = queue_of(source, topic, partition);
    if (queue->handle == NULL)
        return NILAI_AGAIN;
    rd_kafka_message_t *message = take_past_errors(source, queue, topic);
    if (message == NULL)
        return source->failure != NILAI_OK ? NILAI_FAILED : NILAI_AGAIN;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        input->offset = message->offset;
        rd_kafka_message_destroy(message);
        return NILAI_MISSING;
    }
    NILAI_ASSERT(message->partition == partition);
    source->taken++;
    *input = (struct nilai_input){.handle = message,
                                  .key = message->key,
                                  .key_size = message->key_len,
                                  .value = message->payload,
                                  .value_size = message->len,
                                  .offset = message->offset};
    return NILAI_OK;
}

static void source_give_back(struct nilai_source *base, struct nilai_input *input)
{
    struct kafka_source *source = of(base);
    NILAI_ASSERT(source->taken > 0);
    source->taken--;
    rd_kafka_message_destroy(input->handle);
    input->handle = NULL;
}

static void source_headers(struct nilai_source *base, const struct nilai_input *input,
                           nilai_header_fn visit, void *context)
{
    (void)base;
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(input->handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    struct nilai_header header;
    for (size_t index = 0;
         rd_kafka_header_get_all(headers, index, &header.name, &header.value, &header.size)
         == RD_KAFKA_RESP_ERR_NO_ERROR;
         index++)
        visit(context, &header);
}

static int64_t source_high(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    struct kafka_source *source = of(base);
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(source->client, source->options.topics[topic], partition,
                                       &low, &high)
        != RD_KAFKA_RESP_ERR_NO_ERROR)
        return -1;
    return high;
}

/* Every answer to a fetch says where the log begins. One that is an error does not: for a moment
 * nothing is known again. */
static int64_t source_low(struct nilai_source *base, uint32_t topic, int32_t partition)
{
    struct kafka_source *source = of(base);
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(source->client, source->options.topics[topic], partition,
                                       &low, &high)
            != RD_KAFKA_RESP_ERR_NO_ERROR
        || low < 0)
        return -1;
    return low;
}

/* Until the library has stopped reading what an assign took away. Told to stop it once more before
 * that, by an assign that follows at once, it ends the program with an assertion (librdkafka 5573).
 * Everything goes through its main thread in turn: the first question comes back after it was told
 * to stop, the second after it heard that it has. */
static void await_stop(struct kafka_source *source)
{
    for (int question = 0; question < 2; question++) {
        rd_kafka_topic_partition_list_t *assigned;
        if (rd_kafka_assignment(source->client, &assigned) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_destroy(assigned);
    }
}

/* One assign, without an empty one before it: that would be taken as the answer to a rebalance
 * which waits to be polled, and the group would go on without us. */
static enum nilai_status source_read(struct nilai_source *base, const struct nilai_assigned *list,
                                     size_t count, struct nilai_error *error)
{
    struct kafka_source *source = of(base);
    if (source->given == NULL || rd_kafka_assignment_lost(source->client))
        return NILAI_AGAIN;
    close_queues(source);
    start_reading(source, list, count);
    await_stop(source);
    if (source->failure != NILAI_OK)
        *error = source->error;
    return source->failure;
}

static enum nilai_status source_restart(struct nilai_source *base, struct nilai_error *error)
{
    struct kafka_source *source = of(base);
    if (!restart(source))
        return NILAI_AGAIN;
    if (source->failure != NILAI_OK)
        *error = source->error;
    return source->failure;
}

/* Gives up what is assigned before the consumer is closed, and waits for the closing only for
 * a while: brokers that do not answer could hold it up for minutes. */
static void source_leave(struct nilai_source *base)
{
    struct kafka_source *source = of(base);
    source->leaving = true;
    source->base.listener.revoked(source->base.listener.context, nilai_kafka_source_is_lost(base));
    close_queues(source);
    if (source->client == NULL) /* another one could not be made */
        return;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->client);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(source->client, queue);
    for (int waited = 0;
         error == NULL && !rd_kafka_consumer_closed(source->client) && waited < LEAVE_MAX_MS;
         waited += LEAVE_POLL_MS)
        rd_kafka_queue_poll_callback(queue, LEAVE_POLL_MS);
    if (error != NULL) /* of a consumer that has failed for good */
        rd_kafka_error_destroy(error);
    source->abandoned = !rd_kafka_consumer_closed(source->client);
    rd_kafka_queue_destroy(queue);
}

static void source_close(struct nilai_source *base)
{
    struct kafka_source *source = of(base);
    source->leaving = true; /* nobody listens any more, or not yet */
    close_client(source, source->abandoned ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0);
    forget_given(source);
    pthread_mutex_destroy(&source->lock);
    free(source->queues);
    free(source);
}

static const struct nilai_source_ops kafka_source_ops = {
    .poll = source_poll,
    .take = source_take,
    .give_back = source_give_back,
    .headers = source_headers,
    .high = source_high,
    .low = source_low,
    .read = source_read,
    .restart = source_restart,
    .leave = source_leave,
    .close = source_close,
};

/* --- For sinks -------------------------------------------------------------------------- */

static void on_committed(rd_kafka_t *client, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *offsets, void *context)
{
    (void)client;
    struct kafka_source *source = context;
    for (int index = 0;
         offsets != NULL && index < offsets->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; index++)
        code = offsets->elems[index].err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        nilai_log(NILAI_LOG_INFO, "kafka: offsets are not committed yet: %s",
                  rd_kafka_err2str(code));
    source->commit = code == RD_KAFKA_RESP_ERR_NO_ERROR ? NILAI_COMMIT_DONE : NILAI_COMMIT_REFUSED;
}

bool nilai_kafka_source_commit(struct nilai_source *base,
                               const struct rd_kafka_topic_partition_list_s *offsets)
{
    NILAI_ASSERT(base->ops == &kafka_source_ops);
    struct kafka_source *source = of(base);
    NILAI_ASSERT(source->commit == NILAI_COMMIT_IDLE);
    if (rd_kafka_commit_queue(source->client, offsets, source->commits, on_committed, source)
        != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    source->commit = NILAI_COMMIT_RUNNING;
    return true;
}

enum nilai_commit_state nilai_kafka_source_commit_poll(struct nilai_source *base, int timeout_ms)
{
    NILAI_ASSERT(base->ops == &kafka_source_ops);
    struct kafka_source *source = of(base);
    if (source->commit == NILAI_COMMIT_RUNNING)
        rd_kafka_queue_poll_callback(source->commits, timeout_ms);
    enum nilai_commit_state commit = source->commit;
    if (commit != NILAI_COMMIT_RUNNING)
        source->commit = NILAI_COMMIT_IDLE;
    return commit;
}

struct rd_kafka_s *nilai_kafka_source_client(struct nilai_source *source)
{
    NILAI_ASSERT(source->ops == &kafka_source_ops);
    return of(source)->client;
}

struct rd_kafka_consumer_group_metadata_s *nilai_kafka_source_group(struct nilai_source *source)
{
    NILAI_ASSERT(source->ops == &kafka_source_ops);
    const rd_kafka_consumer_group_metadata_t *group = of(source)->group;
    void *bytes = NULL;
    size_t size;
    rd_kafka_consumer_group_metadata_t *copy = NULL;
    if (group == NULL)
        return NULL;
    /* The library has no other way to copy it. */
    rd_kafka_error_t *error = rd_kafka_consumer_group_metadata_write(group, &bytes, &size);
    if (error == NULL)
        error = rd_kafka_consumer_group_metadata_read(&copy, bytes, size);
    if (bytes != NULL)
        rd_kafka_mem_free(NULL, bytes);
    if (error != NULL)
        rd_kafka_error_destroy(error);
    return copy;
}

uint64_t nilai_kafka_source_assignment(struct nilai_source *source)
{
    NILAI_ASSERT(source->ops == &kafka_source_ops);
    return of(source)->assignment;
}

bool nilai_kafka_source_is_lost(struct nilai_source *source)
{
    NILAI_ASSERT(source->ops == &kafka_source_ops);
    struct kafka_source *ours = of(source);
    pthread_mutex_lock(&ours->lock);
    bool lost =
        ours->client == NULL || rd_kafka_assignment_lost(ours->client) != 0 || is_fenced(ours);
    pthread_mutex_unlock(&ours->lock);
    return lost;
}

static void init_rival(struct kafka_source *source)
{
    char text[24] = "";
    (void)nilai_kafka_config_get(rd_kafka_conf(source->client), "session.timeout.ms", text,
                                 sizeof text);
    nilai_kafka_rival_init(&source->rival, strtoll(text, NULL, 10));
}

enum nilai_status nilai_kafka_source_create(const struct nilai_kafka_source_options *options,
                                            struct nilai_source **source, struct nilai_error *error)
{
    NILAI_ASSERT(options->topic_count > 0 && options->topic_count <= NILAI_INPUT_TOPICS_MAX);
    NILAI_ASSERT(options->partition_count > 0);
    struct kafka_source *created = calloc(1, sizeof *created);
    if (created == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    created->base.ops = &kafka_source_ops;
    created->options = *options;
    NILAI_ASSERT(pthread_mutex_init(&created->lock, NULL) == 0);
    created->queues =
        calloc((size_t)options->partition_count * options->topic_count, sizeof *created->queues);
    enum nilai_status status = created->queues != NULL
                                   ? open_client(created, error)
                                   : nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    if (status != NILAI_OK) {
        source_close(&created->base);
        return status;
    }
    init_rival(created);
    *source = &created->base;
    return NILAI_OK;
}
