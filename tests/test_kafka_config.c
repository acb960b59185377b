#include "nilai/io/kafka_config.h"
#include "test.h"

static struct nilai_error error;

static void check_says(const char *part)
{
    if (strstr(error.text, part) == NULL)
        fail_msg("`%s` does not say `%s`", error.text, part);
}

static struct nilai_kafka_property given(const char *name, const char *value)
{
    struct nilai_kafka_property property;
    snprintf(property.name, sizeof property.name, "%s", name);
    snprintf(property.value, sizeof property.value, "%s", value);
    return property;
}

static void check_holds(const struct rd_kafka_conf_s *config, const char *name, const char *expected)
{
    char value[256] = "";
    CHECK(nilai_kafka_config_get(config, name, value, sizeof value));
    CHECK_TEXT(value, expected);
}

/* Goal: what would break a promise is refused by name and reason, in all its values but one.
 * Method: the whole list. */
TEST(properties_that_break_a_promise_are_refused)
{
    size_t count;
    const struct nilai_kafka_refusal *refusals = nilai_kafka_refusals(&count);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(nilai_kafka_property_check(refusals[i].name, "7", &error), NILAI_CONFIG);
        check_says(refusals[i].name);
        check_says(refusals[i].reason);
        if (refusals[i].allowed == NULL)
            continue;
        /* An older library does not know all of them: then that is what it says. */
        if (nilai_kafka_property_check(refusals[i].name, refusals[i].allowed, &error) != NILAI_OK)
            check_says("is not a property of librdkafka");
    }
    static const char *const needed[] = {
        "group.id", "group.instance.id", "transactional.id", "enable.auto.commit",
        "enable.auto.offset.store", "isolation.level", "partition.assignment.strategy",
        "enable.idempotence", "acks", "allow.auto.create.topics", "plugin.library.paths",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(needed); i++)
        CHECK_EQ(nilai_kafka_property_check(needed[i], "x", &error), NILAI_CONFIG);
}

TEST(numbers_are_kept_within_what_the_promises_bear)
{
    CHECK_EQ(nilai_kafka_property_check("max.in.flight", "5", &error), NILAI_OK);
    CHECK_EQ(nilai_kafka_property_check("max.in.flight", "6", &error), NILAI_CONFIG);
    check_says("kafka.max.in.flight must be within 1 .. 5");
    CHECK_EQ(nilai_kafka_property_check("retries", "0", &error), NILAI_CONFIG);
    CHECK_EQ(nilai_kafka_property_check("queue.buffering.max.messages", "0", &error), NILAI_CONFIG);
    CHECK_EQ(nilai_kafka_property_check("queue.buffering.max.messages", "5000", &error), NILAI_OK);
}

TEST(the_library_decides_about_the_rest)
{
    CHECK_EQ(nilai_kafka_property_check("bootstrap.servers", "a:9092,b:9092", &error), NILAI_OK);
    CHECK_EQ(nilai_kafka_property_check("security.protocol", "sasl_ssl", &error), NILAI_OK);
    CHECK_EQ(nilai_kafka_property_check("security.protocol", "trust_me", &error), NILAI_CONFIG);
    check_says("kafka.security.protocol: ");
    CHECK_EQ(nilai_kafka_property_check("socket.timeout.ms", "1", &error), NILAI_CONFIG);
    check_says("outside allowed range");
    CHECK_EQ(nilai_kafka_property_check("rebalance_cb", "x", &error), NILAI_CONFIG);
    CHECK_EQ(nilai_kafka_property_check("sasl.mecanism", "x", &error), NILAI_CONFIG);
    check_says("kafka.sasl.mecanism is not a property of librdkafka");
    check_says("(did you mean sasl.mechanism?)");
    CHECK_EQ(nilai_kafka_property_check("", "x", &error), NILAI_CONFIG);
}

TEST(secrets_are_known_by_their_names)
{
    static const char *const secret[] = {
        "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",
        "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
    };
    static const char *const plain[] = {
        "sasl.username", "ssl.ca.location", "ssl.key.location", "ssl.certificate.pem",
        "bootstrap.servers", "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.client.id",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(secret); i++)
        CHECK(nilai_kafka_property_is_secret(secret[i]));
    for (size_t i = 0; i < NILAI_ARRAY_LEN(plain); i++)
        CHECK(!nilai_kafka_property_is_secret(plain[i]));
}

TEST(names_in_the_environment_find_their_property)
{
    static const char *const pairs[][2] = {
        {"BOOTSTRAP_SERVERS", "bootstrap.servers"}, {"SSL_CA_LOCATION", "ssl.ca.location"},
        {"LOG_LEVEL", "log_level"},                 {"ACKS", "acks"},
        {"SASL_PASSWORD", "sasl.password"},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(pairs); i++)
        CHECK_TEXT(nilai_kafka_property_by_environment(pairs[i][0]), pairs[i][1]);
    static const char *const none[] = {"", "bootstrap.servers", "BOOTSTRAP.SERVERS", "BOOTSTRAP",
                                       "BOOTSTRAP_SERVERS_X"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(none); i++)
        CHECK(nilai_kafka_property_by_environment(none[i]) == NULL);
}

/* Goal: each role gets what concerns it, and the promises over what the user wrote.
 * Method: properties of all kinds into all roles, read back from the library. */
TEST(each_role_gets_what_concerns_it)
{
    const struct nilai_kafka_property properties[] = {
        given("bootstrap.servers", "a:1"), given("fetch.wait.max.ms", "77"),
        given("linger.ms", "33"),          given("socket.timeout.ms", "4444"),
        given("compression.type", "zstd"), given("queued.min.messages", "55"),
    };
    const struct nilai_kafka_fixed fixed[] = {{"client.id", "fixed"}};
    size_t count = NILAI_ARRAY_LEN(properties);
    struct rd_kafka_conf_s *config;

    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_CONSUMER, properties, count, fixed, 1, &config,
                                       &error), NILAI_OK);
    check_holds(config, "bootstrap.servers", "a:1");
    check_holds(config, "fetch.wait.max.ms", "77");
    check_holds(config, "linger.ms", "5");
    check_holds(config, "socket.timeout.ms", "4444");
    check_holds(config, "queued.min.messages", "55");
    check_holds(config, "enable.auto.commit", "false");
    check_holds(config, "enable.auto.offset.store", "false");
    check_holds(config, "isolation.level", "read_committed");
    check_holds(config, "partition.assignment.strategy", "range");
    check_holds(config, "enable.partition.eof", "true");
    check_holds(config, "client.id", "fixed");
    nilai_kafka_config_destroy(config);

    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_PRODUCER, properties, count, NULL, 0, &config,
                                       &error), NILAI_OK);
    check_holds(config, "fetch.wait.max.ms", "500");
    check_holds(config, "linger.ms", "33");
    check_holds(config, "max.in.flight.requests.per.connection", "1");
    check_holds(config, "compression.codec", "zstd");
    check_holds(config, "enable.idempotence", "true");
    check_holds(config, "client.id", "nilai");
    nilai_kafka_config_destroy(config);

    const struct nilai_kafka_property aliases[] = {
        given("bootstrap.servers", "a:1"), given("queue.buffering.max.ms", "44"),
        given("max.in.flight", "3"),
    };
    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_TRANSACTIONS, aliases,
                                       NILAI_ARRAY_LEN(aliases), NULL, 0, &config, &error),
             NILAI_OK);
    check_holds(config, "linger.ms", "44");
    check_holds(config, "max.in.flight.requests.per.connection", "3");
    check_holds(config, "retry.backoff.ms", "10");
    check_holds(config, "enable.idempotence", "true");
    nilai_kafka_config_destroy(config);

    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_FEEDER, properties, count - 2, NULL, 0, &config,
                                       &error), NILAI_OK);
    check_holds(config, "compression.codec", "none");
    check_holds(config, "max.in.flight.requests.per.connection", "1");
    check_holds(config, "enable.idempotence", "true");
    nilai_kafka_config_destroy(config);

    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_ADMIN, properties, count, NULL, 0, &config,
                                       &error), NILAI_OK);
    check_holds(config, "fetch.wait.max.ms", "500");
    check_holds(config, "linger.ms", "5");
    check_holds(config, "socket.timeout.ms", "4444");
    nilai_kafka_config_destroy(config);

    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_CONSUMER, properties, 1, NULL, 0, &config,
                                       &error), NILAI_OK);
    check_holds(config, "queued.min.messages", "10000000");
    nilai_kafka_config_destroy(config);
}

TEST(brokers_must_be_named_unless_they_are_mocked)
{
    const struct nilai_kafka_fixed mock[] = {{"test.mock.num.brokers", "1"}};
    const struct nilai_kafka_fixed wrong[] = {{"group.id", "g"}, {"linger.ms", "never"}};
    struct rd_kafka_conf_s *config;
    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_PRODUCER, NULL, 0, NULL, 0, &config, &error),
             NILAI_CONFIG);
    check_says("kafka.bootstrap.servers is not set");
    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_PRODUCER, NULL, 0, mock, 1, &config, &error),
             NILAI_OK);
    nilai_kafka_config_destroy(config);
    CHECK_EQ(nilai_kafka_config_create(NILAI_KAFKA_PRODUCER, NULL, 0, wrong, 2, &config, &error),
             NILAI_CONFIG);
    check_says("linger.ms");
}
