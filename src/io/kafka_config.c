#include "nilai/io/kafka_config.h"

#include "nilai/base/nearest.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <librdkafka/rdkafka.h>

/* ---- What may not be set ---------------------------------------------------------------- */

#define OFFSETS  "offsets are committed together with the output"
#define UNUSED   "nothing in this program reads it"
#define CALLBACK "the program's own event loop depends on it"

static const struct nilai_kafka_refusal refusals[] = {
    {"group.id", NULL, "it is the setting `group`"},
    {"group.instance.id", NULL, "it is the setting `instance`"},
    {"transactional.id", NULL, "it follows from the settings `group` and `instance`"},
    {"group.protocol", "classic", "partitions of all input topics must be assigned together"},
    {"group.protocol.type", "consumer", "the group is one of consumers"},
    {"group.remote.assignor", NULL, "partitions of all input topics must be assigned together"},
    {"partition.assignment.strategy", "range",
     "partitions of all input topics must be assigned together"},
    {"enable.auto.commit", "false", OFFSETS},
    {"auto.commit.enable", "false", OFFSETS},
    {"auto.commit.interval.ms", NULL, OFFSETS},
    {"enable.auto.offset.store", "false", OFFSETS},
    {"offset.store.method", "broker", OFFSETS},
    {"offset.store.path", NULL, OFFSETS},
    {"offset.store.sync.interval.ms", NULL, OFFSETS},
    {"auto.offset.reset", "earliest", "a customer's result follows from all of their events"},
    {"isolation.level", "read_committed", "events of aborted transactions did not happen"},
    {"enable.partition.eof", "true", "the clock depends on knowing the end of a partition"},
    {"enable.idempotence", "true", "a change must not be published twice"},
    {"enable.gapless.guarantee", NULL, "failed messages abort the transaction already"},
    {"acks", "all", "a published change must survive the loss of a broker"},
    {"request.required.acks", "all", "a published change must survive the loss of a broker"},
    {"queuing.strategy", "fifo", "the changes of one customer come out in order"},
    {"partitioner", "murmur2_random", "one key belongs to the same partition of every topic"},
    {"delivery.report.only.error", "false", "every delivery is counted"},
    {"allow.auto.create.topics", "false", "it is the setting `topics.create`"},
    {"topic.blacklist", NULL, "topics are named by `input.topics` and `output.topics`"},
    {"plugin.library.paths", NULL, "foreign code could see and change every message"},
    {"enabled_events", NULL, CALLBACK},
    {"log.queue", NULL, CALLBACK},
    {"internal.termination.signal", NULL, CALLBACK},
    {"statistics.interval.ms", "0", UNUSED},
    {"consume.callback.max.messages", NULL, UNUSED},
    {"builtin.features", NULL, "it tells what the library can do"},
};

const struct nilai_kafka_refusal *nilai_kafka_refusals(size_t *count)
{
    *count = NILAI_ARRAY_LEN(refusals);
    return refusals;
}

static const struct nilai_kafka_bound bounds[] = {
    {"max.in.flight", 1, 5, "more would lose the order of what is published"},
    {"max.in.flight.requests.per.connection", 1, 5,
     "more would lose the order of what is published"},
    {"retries", 1, 2147483647, "without a retry one lost packet would stop the partition"},
    {"message.send.max.retries", 1, 2147483647,
     "without a retry one lost packet would stop the partition"},
    {"queue.buffering.max.messages", 1, 10000000, "every queue has a limit"},
};

const struct nilai_kafka_bound *nilai_kafka_bounds(size_t *count)
{
    *count = NILAI_ARRAY_LEN(bounds);
    return bounds;
}

static enum nilai_status check_promises(const char *name, const char *value,
                                        struct nilai_error *error)
{
    for (size_t i = 0; i < NILAI_ARRAY_LEN(refusals); i++) {
        const struct nilai_kafka_refusal *refusal = &refusals[i];
        if (strcmp(name, refusal->name) != 0)
            continue;
        if (refusal->allowed == NULL)
            return nilai_error_set(error, NILAI_CONFIG, "kafka.%s cannot be set: %s", name,
                                   refusal->reason);
        if (strcmp(value, refusal->allowed) != 0)
            return nilai_error_set(error, NILAI_CONFIG, "kafka.%s can only be %s: %s", name,
                                   refusal->allowed, refusal->reason);
    }
    for (size_t i = 0; i < NILAI_ARRAY_LEN(bounds); i++) {
        if (strcmp(name, bounds[i].name) != 0)
            continue;
        long number = strtol(value, NULL, 10);
        if (number < bounds[i].min || number > bounds[i].max)
            return nilai_error_set(error, NILAI_CONFIG, "kafka.%s must be within %ld .. %ld: %s",
                                   name, bounds[i].min, bounds[i].max, bounds[i].reason);
    }
    return NILAI_OK;
}

/* ---- What there is ---------------------------------------------------------------------- */

enum { CATALOGUE_MAX = 512 };

struct entry {
    char name[NILAI_KAFKA_NAME_SIZE];
    bool consumer, producer; /* who takes notice of it */
};

static struct entry catalogue[CATALOGUE_MAX];
static size_t catalogue_count;

static struct entry *find_entry(const char *name)
{
    for (size_t i = 0; i < catalogue_count; i++)
        if (strcmp(catalogue[i].name, name) == 0)
            return &catalogue[i];
    return NULL;
}

/* A row of the library's own table: `name  |  C  | ...`; P is the producer's, * everybody's.
 * Names that stand in both of its tables (global and topic) keep both uses. */
static void catalogue_row(const char *row)
{
    char name[NILAI_KAFKA_NAME_SIZE], use;
    if (sscanf(row, " %95[a-z0-9_.] | %c |", name, &use) != 2 || strchr("CP*", use) == NULL)
        return;
    struct entry *entry = find_entry(name);
    if (entry == NULL) {
        NILAI_ASSERT(catalogue_count < CATALOGUE_MAX);
        entry = &catalogue[catalogue_count++];
        memcpy(entry->name, name, sizeof name);
    }
    entry->consumer |= use != 'P';
    entry->producer |= use != 'C';
}

static void read_catalogue(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *table = open_memstream(&text, &size);
    NILAI_ASSERT(table != NULL);
    rd_kafka_conf_properties_show(table);
    fclose(table);

    char *rest = text;
    for (char *row = strsep(&rest, "\n"); row != NULL; row = strsep(&rest, "\n"))
        catalogue_row(row);
    free(text);
    /* If the library writes its table in another way one day, nothing would be known. */
    NILAI_ASSERT(find_entry("bootstrap.servers") != NULL && find_entry("acks") != NULL);
}

static void need_catalogue(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_catalogue);
}

const char *nilai_kafka_property_by_environment(const char *name)
{
    need_catalogue();
    for (size_t i = 0; i < catalogue_count; i++) {
        const char *have = catalogue[i].name, *want = name;
        while (*have != '\0' && *want == (*have == '.' ? '_' : toupper((unsigned char)*have)))
            have++, want++;
        if (*have == '\0' && *want == '\0')
            return catalogue[i].name;
    }
    return NULL;
}

bool nilai_kafka_property_is_secret(const char *name)
{
    /* By parts of the name, so that what a newer library brings is covered, too. */
    static const char *const parts[] = {
        "password",    "passphrase",         "secret",    "key.pem",
        "private.key", "oauthbearer.config", "assertion", "token",
    };
    if (strcmp(name, "sasl.oauthbearer.token.endpoint.url") == 0)
        return false;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(parts); i++)
        if (strcasestr(name, parts[i]) != NULL)
            return true;
    return false;
}

static enum nilai_status unknown_property(const char *name, struct nilai_error *error)
{
    struct nilai_nearest nearest;
    char hint[NILAI_NEAREST_TEXT_SIZE];
    nilai_nearest_init(&nearest, name);
    for (size_t i = 0; i < catalogue_count; i++)
        nilai_nearest_consider(&nearest, catalogue[i].name);
    return nilai_error_set(error, NILAI_CONFIG, "kafka.%.80s is not a property of librdkafka %s%s",
                           name, rd_kafka_version_str(), nilai_nearest_text(&nearest, hint));
}

/* ---- What the library is given ---------------------------------------------------------- */

static enum nilai_status set(rd_kafka_conf_t *config, const char *name, const char *value,
                             struct nilai_error *error)
{
    char reason[256];
    if (rd_kafka_conf_set(config, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
        return NILAI_OK;
    /* The library names an alias by its other name: say which one was written. It may quote the
     * value, which for a secret must not come out. */
    if (nilai_kafka_property_is_secret(name))
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%s: the library refuses its value",
                               name);
    reason[strcspn(reason, "\r\n")] = '\0';
    return nilai_error_set(error, NILAI_CONFIG, "kafka.%s: %s", name, reason);
}

enum nilai_status nilai_kafka_property_check(const char *name, const char *value,
                                             struct nilai_error *error)
{
    need_catalogue();
    enum nilai_status status = check_promises(name, value, error);
    if (status != NILAI_OK)
        return status;
    if (find_entry(name) == NULL)
        return unknown_property(name, error);

    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    status = set(scratch, name, value, error);
    rd_kafka_conf_destroy(scratch);
    return status;
}

/* Better than the library's defaults for this program; the user may differ. */
static const struct nilai_kafka_fixed preferred_consumer[] = {
    /* Some versions sleep for up to a second when all partitions of a broker have reached their
     * limit, of messages or of bytes. So many bytes last for longer than that (kafka_source.c), the
     * default of so many messages does not. */
    {"queued.min.messages", "10000000"},
    /* The end of a topic is told by an answer without messages. */
    {"fetch.wait.max.ms", "100"},
    {"client.id", "nilai"},
};
/* What of a worker's output may wait in the library has a limit; how large a message may be, the
 * brokers decide. A transaction registers its partitions first, which takes longer than its output
 * lingers: all of a commit is there by then. */
static const struct nilai_kafka_fixed preferred_output[] = {
    {"queue.buffering.max.kbytes", "65536"},
    {"queue.buffering.max.messages", "200000"},
    {"message.max.bytes", "67108864"},
    {"linger.ms", "1"},
    {"compression.codec", "lz4"},
    {"client.id", "nilai"},
};
/* With more than one request under way the library up to 2.3 may give up for good when a leader
 * changes (its #4438), and a partition that has five messages under way and others waiting keeps a
 * core busy. The former only aborts a transaction. */
static const struct nilai_kafka_fixed preferred_careful[] = {
    {"max.in.flight.requests.per.connection", "1"},
};
/* The brokers turn a transaction away for as long as they close the one before: milliseconds. */
static const struct nilai_kafka_fixed preferred_transactions[] = {
    {"retry.backoff.ms", "10"},
};
/* Compression takes more than half as long as all the rest of the way. What is under way fits the
 * processor's cache: a queue of 100,000 costs a tenth more. */
static const struct nilai_kafka_fixed preferred_feeder[] = {
    {"compression.codec", "none"},
    {"queue.buffering.max.messages", "20000"},
    {"client.id", "nilai"},
};
static const struct nilai_kafka_fixed preferred_admin[] = {
    {"client.id", "nilai"},
};

/* What the promises rest on. */
static const struct nilai_kafka_fixed demanded_consumer[] = {
    {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
    {"isolation.level", "read_committed"}, {"partition.assignment.strategy", "range"},
    {"auto.offset.reset", "earliest"},     {"enable.partition.eof", "true"},
    {"allow.auto.create.topics", "false"},
};
static const struct nilai_kafka_fixed demanded_producer[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"partitioner", "murmur2_random"},
    {"allow.auto.create.topics", "false"},
};
static const struct nilai_kafka_fixed demanded_admin[] = {
    {"allow.auto.create.topics", "false"},
};

struct pairs {
    const struct nilai_kafka_fixed *list;
    size_t count;
};
/* clang-format off */
#define PAIRS(array) {array, NILAI_ARRAY_LEN(array)}
/* clang-format on */

static const struct {
    struct pairs preferred[2], demanded;
} roles[] = {
    [NILAI_KAFKA_CONSUMER] = {{PAIRS(preferred_consumer)}, PAIRS(demanded_consumer)},
    [NILAI_KAFKA_PRODUCER] = {{PAIRS(preferred_output), PAIRS(preferred_careful)},
                              PAIRS(demanded_producer)},
    [NILAI_KAFKA_TRANSACTIONS] = {{PAIRS(preferred_output), PAIRS(preferred_transactions)},
                                  PAIRS(demanded_producer)},
    [NILAI_KAFKA_FEEDER] = {{PAIRS(preferred_feeder), PAIRS(preferred_careful)},
                            PAIRS(demanded_producer)},
    [NILAI_KAFKA_ADMIN] = {{PAIRS(preferred_admin)}, PAIRS(demanded_admin)},
};

/* The library warns of each property that a client of the other kind would ignore. */
static bool concerns(enum nilai_kafka_role role, const char *name)
{
    const struct entry *entry = find_entry(name);
    if (entry == NULL)
        return true; /* the library will say what it thinks of it */
    switch (role) {
    case NILAI_KAFKA_CONSUMER: return entry->consumer;
    case NILAI_KAFKA_PRODUCER:
    case NILAI_KAFKA_TRANSACTIONS:
    case NILAI_KAFKA_FEEDER: return entry->producer;
    case NILAI_KAFKA_ADMIN: break;
    }
    return entry->consumer && entry->producer;
}

static enum nilai_status set_pairs(rd_kafka_conf_t *config, struct pairs pairs,
                                   struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    for (size_t i = 0; i < pairs.count && status == NILAI_OK; i++)
        status = set(config, pairs.list[i].name, pairs.list[i].value, error);
    return status;
}

static enum nilai_status set_given(rd_kafka_conf_t *config, enum nilai_kafka_role role,
                                   const struct nilai_kafka_property *given, size_t count,
                                   struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    for (size_t i = 0; i < count && status == NILAI_OK; i++)
        if (concerns(role, given[i].name))
            status = set(config, given[i].name, given[i].value, error);
    return status;
}

static bool is_set(const rd_kafka_conf_t *config, const char *name)
{
    char value[8];
    return nilai_kafka_config_get(config, name, value, sizeof value) && value[0] != '\0';
}

enum nilai_status nilai_kafka_config_create(enum nilai_kafka_role role,
                                            const struct nilai_kafka_property *given,
                                            size_t given_count,
                                            const struct nilai_kafka_fixed *fixed,
                                            size_t fixed_count, struct rd_kafka_conf_s **config,
                                            struct nilai_error *error)
{
    NILAI_ASSERT((size_t)role < NILAI_ARRAY_LEN(roles));
    need_catalogue();

    rd_kafka_conf_t *made = rd_kafka_conf_new();
    struct pairs last = {fixed, fixed_count};
    enum nilai_status status = NILAI_OK;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(roles[role].preferred) && status == NILAI_OK; i++)
        status = set_pairs(made, roles[role].preferred[i], error);
    if (status == NILAI_OK)
        status = set_given(made, role, given, given_count, error);
    if (status == NILAI_OK)
        status = set_pairs(made, roles[role].demanded, error);
    if (status == NILAI_OK)
        status = set_pairs(made, last, error);

    char mock[16] = "0";
    nilai_kafka_config_get(made, "test.mock.num.brokers", mock, sizeof mock);
    if (status == NILAI_OK && !is_set(made, "bootstrap.servers") && strcmp(mock, "0") == 0)
        status = nilai_error_set(error, NILAI_CONFIG,
                                 "kafka.bootstrap.servers is not set: which brokers to ask first?");
    if (status != NILAI_OK) {
        rd_kafka_conf_destroy(made);
        return status;
    }
    *config = made;
    return NILAI_OK;
}

void nilai_kafka_config_destroy(struct rd_kafka_conf_s *config)
{
    rd_kafka_conf_destroy(config);
}

bool nilai_kafka_config_get(const struct rd_kafka_conf_s *config, const char *name, char *value,
                            size_t size)
{
    size_t needed = 0;
    NILAI_ASSERT(size > 0);
    if (rd_kafka_conf_get(config, name, NULL, &needed) != RD_KAFKA_CONF_OK)
        return false;
    char *whole = malloc(needed + 1);
    NILAI_ASSERT(whole != NULL);
    bool found = rd_kafka_conf_get(config, name, whole, &needed) == RD_KAFKA_CONF_OK;
    if (found)
        snprintf(value, size, "%s", whole);
    free(whole);
    return found;
}
