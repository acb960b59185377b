/*
 * naive.c - the same job as it is written in an afternoon: what a straightforward program costs.
 *
 *     bench_naive --changes-per-event X [--warm-up N] [--set NAME=VALUE]...
 *
 * One rd_kafka_consumer_poll a message, msgpack_unpack_next into a tree, fields found by name, a
 * hash table of chains under a lock, a rule of thumb for a score, one rd_kafka_produce with a text
 * by snprintf and headers for each change; the library's defaults, and the C library's allocator.
 * State is in memory only, and offsets are committed by the library every few seconds.
 *
 * It knows no deadlines, windows, segments, currencies or dead letters, and only one reason. So that
 * it publishes as much as the service does over the same events, changes come at a given pace, in
 * messages that are built as the service's are, and say what the score is at that moment.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <msgpack.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "nilai/base/clock.h"

enum { POLL_MS = 100, FLUSH_MS = 240000, BUCKETS_FIRST = 1024, KEY_MAX = 64, JSON_SIZE = 1024 };

struct customer {
    struct customer *next;
    uint64_t hash;
    int64_t first_ms, last_ms;
    uint64_t events, purchases, tickets;
    double spent;
    double score;
    char band[8], band_before[8];
    uint64_t changes;
    char id[KEY_MAX];
};

struct naive {
    rd_kafka_t *consumer, *producer;
    pthread_mutex_t lock;
    struct customer **buckets;
    size_t bucket_count, customers;
    double changes_per_event, changes_due;
    uint64_t events, produced, delivered, not_delivered;
    int ends_left;    /* partitions that were not read to their end */
    uint64_t warm_up; /* events before what is measured */
    uint64_t begin_ns, end_ns;
};

static struct nilai_config config;
static struct nilai_options options;

static const struct nilai_option naive_options[] = {
    {"changes-per-event", "X", "how many messages to produce for each event, default 0.2"},
    {"warm-up", "N", "measure what comes after so many events"},
};
static const struct nilai_command naive_command = {
    .name = "bench_naive",
    .configures = true,
    .summary = "the same job in a straightforward way",
    .options = naive_options,
    .option_count = NILAI_ARRAY_LEN(naive_options),
};

/* --- State ------------------------------------------------------------------------------ */

static uint64_t hash_of(const char *key)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *key != '\0'; key++)
        hash = (hash ^ (uint8_t)*key) * UINT64_C(1099511628211);
    return hash;
}

static void grow(struct naive *naive)
{
    size_t count = naive->bucket_count == 0 ? BUCKETS_FIRST : naive->bucket_count * 2;
    struct customer **buckets = calloc(count, sizeof(struct customer *));
    if (buckets == NULL)
        bench_fail("out of memory");
    for (size_t i = 0; i < naive->bucket_count; i++)
        for (struct customer *one = naive->buckets[i], *next; one != NULL; one = next) {
            next = one->next;
            one->next = buckets[one->hash % count];
            buckets[one->hash % count] = one;
        }
    free(naive->buckets);
    naive->buckets = buckets;
    naive->bucket_count = count;
}

static struct customer *find_or_add(struct naive *naive, const char *id, int64_t ts_ms)
{
    uint64_t hash = hash_of(id);
    if (naive->customers >= naive->bucket_count)
        grow(naive);
    struct customer **place = &naive->buckets[hash % naive->bucket_count];
    for (struct customer *one = *place; one != NULL; one = one->next)
        if (one->hash == hash && strcmp(one->id, id) == 0)
            return one;
    struct customer *made = calloc(1, sizeof *made);
    if (made == NULL)
        bench_fail("out of memory");
    *made = (struct customer){.next = *place, .hash = hash, .first_ms = ts_ms, .last_ms = ts_ms};
    snprintf(made->id, sizeof made->id, "%s", id);
    *place = made;
    naive->customers++;
    return made;
}

/* Recency against the usual gap, less for who spends, more for who complains. */
static void score(struct customer *customer, int64_t ts_ms)
{
    double gap = (double)(customer->last_ms - customer->first_ms) / (double)customer->events;
    double silence = (double)(ts_ms - customer->last_ms);
    double risk = silence / (silence + gap + 86400e3) + 0.05 * (double)customer->tickets
                  - 0.0001 * customer->spent;
    strcpy(customer->band_before, customer->band);
    customer->score = risk < 0 ? 0 : risk > 1 ? 1 : risk;
    strcpy(customer->band, customer->score > 0.7   ? "high"
                           : customer->score > 0.4 ? "medium"
                                                   : "low");
}

/* --- Events ----------------------------------------------------------------------------- */

static const msgpack_object *field(const msgpack_object *map, const char *name)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *entry = &map->via.map.ptr[i];
        if (entry->key.type == MSGPACK_OBJECT_STR && entry->key.via.str.size == strlen(name)
            && memcmp(entry->key.via.str.ptr, name, strlen(name)) == 0)
            return &entry->val;
    }
    return NULL;
}

static void text_of(const msgpack_object *object, char *text, size_t size)
{
    bool is_text = object != NULL && object->type == MSGPACK_OBJECT_STR;
    snprintf(text, size, "%.*s", is_text ? (int)object->via.str.size : 0,
             is_text ? object->via.str.ptr : "");
}

/* Numbers are integers, floats, or decimals as text. */
static double number_of(const msgpack_object *object)
{
    char text[64];
    if (object == NULL)
        return 0;
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: return (double)object->via.i64;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: return object->via.f64;
    case MSGPACK_OBJECT_STR: text_of(object, text, sizeof text); return strtod(text, NULL);
    default: return 0;
    }
}

/* What a change comes from. */
struct cause {
    const rd_kafka_message_t *message;
    char id[KEY_MAX];
    int64_t ts_ms;
};

static void add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    if (rd_kafka_header_add(headers, name, -1, value, -1) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("a header cannot be added");
}

/* A CloudEvent. */
static rd_kafka_headers_t *headers_of(const struct customer *customer, int64_t ts_ms)
{
    char id[2 * KEY_MAX], seconds[32], at[40];
    struct tm time;
    time_t ts_s = ts_ms / 1000;
    snprintf(id, sizeof id, "%s:%" PRId64 ":%" PRIu64, customer->id, ts_ms, customer->changes);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts_s, &time));
    snprintf(at, sizeof at, "%s.%03dZ", seconds, (int)(ts_ms % 1000));
    rd_kafka_headers_t *headers = rd_kafka_headers_new(6);
    add_header(headers, "ce_specversion", "1.0");
    add_header(headers, "ce_id", id);
    add_header(headers, "ce_source", config.output_source);
    add_header(headers, "ce_type", "nilai.churn-risk.v1");
    add_header(headers, "ce_time", at);
    add_header(headers, "content-type", "application/json");
    return headers;
}

static int format(const struct customer *customer, const struct cause *cause,
                  char value[static JSON_SIZE])
{
    double silence_days = (double)(cause->ts_ms - customer->last_ms) / 86400e3;
    return snprintf(
        value, JSON_SIZE,
        "{\"v\":1,\"customer\":\"%s\",\"seq\":%" PRIu64 ",\"at\":%" PRId64
        ",\"cause\":{\"type\":\"event\",\"id\":\"%s\",\"topic\":\"%s\",\"partition\":%" PRId32
        ",\"offset\":%" PRId64 "},\"from\":\"%s\",\"to\":\"%s\",\"risk\":%.4f,"
        "\"reasons\":[{\"code\":\"silence\",\"points\":%.4f,"
        "\"text\":\"No purchase for %.1f days.\"}],\"silence_days\":%.4f,"
        "\"repeat_days\":%" PRIu64 ",\"value_at_risk\":\"%.4f\",\"currency\":\"USD\","
        "\"model\":\"default\"}",
        customer->id, customer->changes, cause->ts_ms, cause->id,
        rd_kafka_topic_name(cause->message->rkt), cause->message->partition, cause->message->offset,
        customer->band_before, customer->band, customer->score, silence_days / 30, silence_days,
        silence_days, customer->purchases, customer->score * customer->spent);
}

static void publish(struct naive *naive, struct customer *customer, const struct cause *cause)
{
    char value[JSON_SIZE];
    customer->changes++;
    int size = format(customer, cause, value);
    rd_kafka_headers_t *headers = headers_of(customer, cause->ts_ms);
    while (rd_kafka_producev(naive->producer, RD_KAFKA_V_TOPIC(config.churn_risk_topic),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(customer->id, strlen(customer->id)),
                             RD_KAFKA_V_VALUE(value, (size_t)size), RD_KAFKA_V_HEADERS(headers),
                             RD_KAFKA_V_END)
           == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(naive->producer, POLL_MS);
    rd_kafka_poll(naive->producer, 0);
    naive->produced++;
}

static void apply(struct naive *naive, const rd_kafka_message_t *message,
                  const msgpack_object *event)
{
    char id[KEY_MAX], type[16];
    int64_t ts_ms = (int64_t)number_of(field(event, "ts"));
    struct cause cause = {.message = message, .ts_ms = ts_ms};
    text_of(field(event, "id"), cause.id, sizeof cause.id);
    text_of(field(event, "customer"), id, sizeof id);
    text_of(field(event, "type"), type, sizeof type);
    pthread_mutex_lock(&naive->lock);
    struct customer *customer = find_or_add(naive, id, ts_ms);
    customer->events++;
    customer->tickets += strcmp(type, "ticket") == 0;
    if (strcmp(type, "purchase") == 0) {
        customer->purchases++;
        customer->spent += number_of(field(event, "amount"));
    }
    score(customer, ts_ms);
    for (naive->changes_due += naive->changes_per_event; naive->changes_due >= 1;
         naive->changes_due--)
        publish(naive, customer, &cause);
    customer->last_ms = ts_ms;
    pthread_mutex_unlock(&naive->lock);
    naive->events++;
}

/* Without a warm-up everything counts. */
static void begin(struct naive *naive)
{
    naive->begin_ns = nilai_clock_monotonic_ns();
    if (naive->warm_up > 0)
        bench_mark();
}

static void take(struct naive *naive, const rd_kafka_message_t *message)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        naive->ends_left--;
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("%s", rd_kafka_message_errstr(message));
    if (naive->events == naive->warm_up)
        begin(naive);
    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, message->payload, message->len, &offset)
            != MSGPACK_UNPACK_SUCCESS
        || unpacked.data.type != MSGPACK_OBJECT_MAP)
        bench_fail("an event is not a MessagePack map");
    apply(naive, message, &unpacked.data);
    msgpack_unpacked_destroy(&unpacked);
}

/* --- Kafka ------------------------------------------------------------------------------ */

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    struct naive *naive = context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        naive->delivered++;
    else
        naive->not_delivered++;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
        bench_fail("%s", reason);
}

/* bootstrap.servers and what else was given; all the rest as the library has it. */
static rd_kafka_t *open_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char reason[256];
    for (size_t i = 0; i < config.kafka_count; i++)
        set(conf, config.kafka[i].name, config.kafka[i].value);
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    if (client == NULL)
        bench_fail("%s", reason);
    return client;
}

/* How many partitions there are to read. */
static int count_partitions(struct naive *naive)
{
    int count = 0;
    for (size_t topic = 0; topic < config.input_topic_count; topic++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *handle =
            rd_kafka_topic_new(naive->consumer, config.input_topics[topic], NULL);
        if (rd_kafka_metadata(naive->consumer, 0, handle, &metadata, FLUSH_MS)
            != RD_KAFKA_RESP_ERR_NO_ERROR)
            bench_fail("topic %s cannot be asked for", config.input_topics[topic]);
        count += metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
        rd_kafka_topic_destroy(handle);
    }
    return count;
}

static void open_clients(struct naive *naive)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", config.group);
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.partition.eof", "true"); /* to know when to stop */
    naive->consumer = open_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(naive->consumer);
    naive->ends_left = count_partitions(naive);
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)config.input_topic_count);
    for (size_t topic = 0; topic < config.input_topic_count; topic++)
        rd_kafka_topic_partition_list_add(topics, config.input_topics[topic],
                                          RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(naive->consumer, topics) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("the topics cannot be subscribed to");
    rd_kafka_topic_partition_list_destroy(topics);

    conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, naive);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    naive->producer = open_client(RD_KAFKA_PRODUCER, conf);
}

static void drain(struct naive *naive)
{
    while (naive->ends_left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(naive->consumer, POLL_MS);
        if (message == NULL)
            continue;
        take(naive, message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_flush(naive->producer, FLUSH_MS);
    naive->end_ns = nilai_clock_monotonic_ns();
    if (naive->delivered != naive->produced || naive->not_delivered != 0)
        bench_fail("%" PRIu64 " of %" PRIu64 " changes were delivered", naive->delivered,
                   naive->produced);
}

int main(int argc, char **argv)
{
    static struct naive naive = {.changes_per_event = 0.2};
    int exit_code;
    if (!bench_begin(&naive_command, argc, argv, &options, &config, &exit_code))
        return exit_code;
    if (nilai_options_number(&options, "changes-per-event", 0, 100, &naive.changes_per_event)
            != NILAI_OK
        || nilai_options_count(&options, "warm-up", 0, UINT64_MAX, &naive.warm_up) != NILAI_OK)
        return nilai_options_fail(&options);
    bench_watch(true);
    pthread_mutex_init(&naive.lock, NULL);
    open_clients(&naive);
    drain(&naive);
    bench_report_count("events", naive.events);
    bench_report_count("measured_events", naive.events - naive.warm_up);
    bench_report_count("changes", naive.delivered);
    bench_report_count("customers", naive.customers);
    bench_report_real("seconds", (double)(naive.end_ns - naive.begin_ns) * 1e-9);
    bench_report_end();
    rd_kafka_consumer_close(naive.consumer);
    rd_kafka_destroy(naive.consumer);
    rd_kafka_destroy(naive.producer);
    return NILAI_EXIT_OK;
}
