#include "nilai/run/config.h"
#include "nilai/run/setting.h"
#include "test.h"

#include <unistd.h>

static struct nilai_config config, other;
static struct nilai_error error;

static enum nilai_status read_yaml(struct nilai_config *into, const char *text)
{
    error.text[0] = '\0';
    return nilai_config_read_text(into, "f.yaml", text, strlen(text), &error);
}

static enum nilai_status read_variable(struct nilai_config *into, const char *variable)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", variable);
    char *environment[] = {copy, NULL};
    return nilai_config_read_environment(into, environment, &error);
}

static void check_says(const char *part)
{
    if (strstr(error.text, part) == NULL)
        fail_msg("`%s` does not say `%s`", error.text, part);
}

static const char *value_of(const struct nilai_config *of, const char *path)
{
    static char value[NILAI_SETTING_VALUE_SIZE];
    const struct nilai_setting *setting = nilai_setting_find(path);
    CHECK(setting != NULL);
    nilai_setting_format(setting, of, value);
    return value;
}

/* What `print` writes, as a string to be freed. */
static char *printed(const struct nilai_config *of)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    nilai_config_print(of, out);
    fclose(out);
    return text;
}

/* Goal: the defaults are those that users were promised.
 * Method: a list of our own, written by hand. */
TEST(defaults_are_the_promised_ones)
{
    static const char *const promised[][2] = {
        {"group", "nilai"}, {"instance", ""}, {"workers", "auto"},
        {"input.topics", "purchases,support-tickets,surveys"}, {"input.format", "msgpack"},
        {"output.topics.churn_risk", "nilai.churn-risk"},
        {"output.topics.value_segment", "nilai.value-segment"},
        {"output.topics.customers", "nilai.customers"},
        {"output.topics.dead_letter", "nilai.dead-letter"},
        {"output.customers", "false"}, {"output.format", "json"}, {"output.source", "nilai"},
        {"state.memory_max", "auto"}, {"state.topic", "nilai.state"},
        {"state.image_ratio", "0.5"}, {"state.image_round_max", "10m"},
        {"delivery", "exactly-once"}, {"commit.interval", "100ms"},
        {"topics.create", "false"}, {"topics.replication", "3"}, {"merge.max_idle", "500ms"},
        {"time.day_offset", "0"}, {"time.max_future", "5m"}, {"time.follow_wall_clock", "true"},
        {"erase.remember", "30d"}, {"currency.base", "USD"},
        {"value.margin", "0.3"}, {"value.scale", "1"}, {"value.cost_per_hour", "20"},
        {"value.cuts.a", "100"}, {"value.cuts.b", "40"}, {"value.cuts.c", "20"},
        {"alerts.one_time_high", "false"}, {"alerts.medium.up", "0.4"},
        {"alerts.medium.down", "0.33"}, {"alerts.high.up", "0.7"}, {"alerts.high.down", "0.63"},
        {"alerts.cause_min", "0.1"}, {"model.name", "default"}, {"model.rhythm.r", "0.6371"},
        {"model.rhythm.alpha", "51.17"}, {"model.rhythm.a", "0.8075"}, {"model.rhythm.b", "1.2284"},
        {"model.horizon_days", "90"}, {"model.spend.p", "6.2754"}, {"model.spend.q", "3.6245"},
        {"model.spend.gamma", "auto"}, {"model.risk.b0", "0"}, {"model.risk.bz", "1"},
        {"model.risk.bx", "0"}, {"model.signals.half_life_days", "90"},
        {"model.signals.complaint", "0.6"}, {"model.signals.ticket", "0.15"},
        {"model.signals.resolved_late", "0.5"}, {"model.signals.reopened", "0.5"},
        {"model.signals.refund", "0.25"}, {"model.signals.nps_detractor", "0.5"},
        {"model.signals.nps_promoter", "-0.3"}, {"model.signals.csat_low", "0.5"},
        {"model.signals.csat_high", "-0.2"}, {"model.signals.ces_hard", "0.35"},
        {"model.signals.rating_low", "0.3"}, {"model.signals.rating_high", "-0.1"},
        {"model.signals.perception_drift", "0.3"}, {"model.signals.ticket_overdue", "0.6"},
        {"model.signals.recovery", "0.5"}, {"model.signals.forgive", "0.3"},
        {"model.signals.sla", "3d"}, {"model.signals.overdue_max", "30d"},
        {"model.signals.cap_support", "2.5"}, {"model.signals.cap_survey", "1.5"},
        {"log.level", "info"}, {"log.format", "text"},
    };
    nilai_config_defaults(&config);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(promised); i++)
        CHECK_TEXT(value_of(&config, promised[i][0]), promised[i][1]);
    CHECK_EQ(NILAI_ARRAY_LEN(promised), nilai_setting_count);
}

static void environment_name(const char *path, char name[static 256])
{
    size_t used = 0;
    for (; path[used] != '\0'; used++)
        name[used] = path[used] == '.' ? '_' : (char)(path[used] >= 'a' ? path[used] - 32 : path[used]);
    name[used] = '\0';
}

/* Goal: no two rows share a name, also not in the environment; every row explains itself.
 * Method: all pairs. */
TEST(rows_are_well_formed)
{
    char mine[256], yours[256];
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        size_t help = strlen(setting->help);
        CHECK(help > 5 && setting->help[help - 1] == '.');
        environment_name(setting->path, mine);
        CHECK(nilai_setting_by_environment(mine) == setting);
        for (size_t j = 0; j < i; j++) {
            environment_name(nilai_settings[j].path, yours);
            CHECK(strcmp(mine, yours) != 0);
        }
    }
}

static bool is_quantity(const struct nilai_setting *setting)
{
    return setting->kind == NILAI_SETTING_COUNT || setting->kind == NILAI_SETTING_INTEGER ||
           setting->kind == NILAI_SETTING_NUMBER || setting->kind == NILAI_SETTING_DURATION ||
           setting->kind == NILAI_SETTING_SIZE;
}

/* A number in the form that the row's kind wants. */
static const char *as_value(const struct nilai_setting *setting, double number)
{
    static char value[64];
    bool duration = setting->kind == NILAI_SETTING_DURATION;
    snprintf(value, sizeof value, "%.17g%s", number, duration ? "ms" : "");
    if (strchr(value, 'e') != NULL && setting->kind != NILAI_SETTING_NUMBER)
        snprintf(value, sizeof value, "%.0f%s", number, duration ? "ms" : "");
    return value;
}

static void check_refused(const struct nilai_setting *setting, const char *value)
{
    other = config;
    CHECK_EQ(nilai_config_assign(&config, setting->path, value, &error), NILAI_CONFIG);
    check_says(setting->path);
    CHECK(memcmp(&config, &other, sizeof config) == 0);
}

/* Goal: every row takes its ends and refuses what lies beyond, and what is no value at all,
 * by its name and without a change.
 * Method: for each row, values made from its own range. */
TEST(every_row_refuses_what_it_cannot_hold)
{
    nilai_config_defaults(&config);
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        if (setting->kind != NILAI_SETTING_TEXT || setting->automatic == NULL)
            check_refused(setting, "");
        check_refused(setting, "a\nb");
        if (!is_quantity(setting)) {
            check_refused(setting, setting->kind == NILAI_SETTING_TEXT ? "\xff" : "no such thing");
            continue;
        }
        if (setting->kind == NILAI_SETTING_COUNT || setting->kind == NILAI_SETTING_INTEGER)
            check_refused(setting, "1.5");
        check_refused(setting, "twelve");
        check_refused(setting, "nan");
        check_refused(setting, "0x10");
        check_refused(setting, "1e999");
        check_refused(setting, as_value(setting, setting->min - (setting->open ? 0 : 1)));
        check_refused(setting, as_value(setting, setting->max + (setting->open ? 0 : 1)));
        if (!setting->open) {
            CHECK_EQ(nilai_config_assign(&config, setting->path, as_value(setting, setting->min),
                                         &error), NILAI_OK);
            CHECK_EQ(nilai_config_assign(&config, setting->path, as_value(setting, setting->max),
                                         &error), NILAI_OK);
        }
    }
}

TEST(units_mean_what_they_say)
{
    nilai_config_defaults(&config);
    static const struct {
        const char *text;
        int64_t ms;
    } durations[] = {{"250ms", 250}, {"2s", 2000}, {"1.5m", 90000}, {"1h", 3600000}, {"0ms", 0}};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(durations); i++) {
        CHECK_EQ(nilai_config_assign(&config, "merge.max_idle", durations[i].text, &error), NILAI_OK);
        CHECK_EQ(config.merge_max_idle_ms, durations[i].ms);
    }
    CHECK_EQ(nilai_config_assign(&config, "erase.remember", "2d", &error), NILAI_OK);
    CHECK_EQ(config.erase_remember_ms, 2 * INT64_C(86400000));
    CHECK_EQ(nilai_config_assign(&config, "state.memory_max", "1.5GiB", &error), NILAI_OK);
    CHECK_EQ(config.memory_max_bytes, UINT64_C(3) << 29);
    CHECK_EQ(nilai_config_assign(&config, "state.memory_max", "2000000", &error), NILAI_OK);
    CHECK_EQ(config.memory_max_bytes, 2000000);
    static const char *const wrong[] = {"5", "5 s", "s", "5sec", "1e3s", "-1s", "1-2s", "5S"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wrong); i++)
        CHECK_EQ(nilai_config_assign(&config, "commit.interval", wrong[i], &error), NILAI_CONFIG);
}

TEST(sections_nest_or_are_joined_by_dots)
{
    static const char *const same[] = {
        "alerts: {medium: {up: 0.5}, cause_min: 0.2}\nkafka: {client.id: me}\n",
        "alerts.medium.up: 0.5\nalerts.cause_min: 0.2\nkafka.client.id: me\n",
        "alerts:\n  medium.up: \"0.5\"\n  cause_min: '0.2'\nkafka:\n  client:\n    id: me\n",
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(same); i++) {
        nilai_config_defaults(&config);
        CHECK_EQ(read_yaml(&config, same[i]), NILAI_OK);
        CHECK_NEAR(config.model.medium_up, 0.5, 0);
        CHECK_NEAR(config.model.cause_min, 0.2, 0);
        CHECK_EQ(config.kafka_count, 1);
        CHECK_TEXT(config.kafka[0].name, "client.id");
        CHECK_TEXT(config.kafka[0].value, "me");
    }
}

TEST(an_empty_file_or_section_changes_nothing)
{
    static const char *const empty[] = {"", "# nothing\n", "---\n", "alerts:\nkafka:\n",
                                        "currency:\n  rates:\n", "{}", "kafka: {}\n"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(empty); i++) {
        nilai_config_defaults(&config);
        other = config;
        CHECK_EQ(read_yaml(&config, empty[i]), NILAI_OK);
        CHECK(memcmp(&config, &other, sizeof config) == 0);
    }
}

/* Goal: what is wrong in a file is named with file, line and key, and nothing is changed.
 * Method: one fault each, behind a line that alone would be right. */
TEST(faults_of_a_file_are_named_by_line_and_key)
{
    static const struct {
        const char *text;
        const char *says;
    } faults[] = {
        {"alerts:\n  medum:\n    up: 0.5\n", "f.yaml:3: alerts.medum is not a setting"},
        {"alerts:\n  cause_mn: 0.5\n", "f.yaml:3: alerts.cause_mn is not a setting (did you mean alerts.cause_min?)"},
        {"workers: 0\n", "f.yaml:2: workers: `0` is not within 1 .. 256"},
        {"workers: 1\nworkers: 2\n", "f.yaml:3: workers was given in line 2 already"},
        {"value: {margin: 0.1}\nvalue.margin: 0.2\n", "f.yaml:3: value.margin was given in line 2"},
        {"alerts: {}\nalerts: {}\n", "f.yaml:3: alerts was given in line 2"},
        {"workers: &a 1\n", "f.yaml:2: anchors (&a)"},
        {"alerts: *a\n", "f.yaml:2: aliases (*a)"},
        {"workers: !!int 1\n", "f.yaml:2: tags"},
        {"workers: [1]\n", "f.yaml:2: workers is not a list"},
        {"workers: {a: 1}\n", "f.yaml:2: workers has one value"},
        {"workers:\n", "f.yaml:2: workers has no value"},
        {"kafka:\n  client.id:\n", "f.yaml:3: kafka.client.id has no value"},
        {"alerts: 5\n", "f.yaml:2: alerts is a section"},
        {"currency: {rates: 5}\n", "f.yaml:2: currency.rates is a section"},
        {"kafka: 5\n", "f.yaml:2: kafka is a section"},
        {"input: {topics: [a, [b]]}\n", "f.yaml:2: input.topics: an item"},
        {"input: {topics: [\"a,b\"]}\n", "f.yaml:2: input.topics: `a,b`"},
        {"input: {topics: []}\n", "f.yaml:2: input.topics: ``"},
        {"? [a]\n: b\n", "f.yaml:2: a key is a plain name"},
        {"\"\": 1\n", "f.yaml:2: a key of 0 bytes"},
        {"group: \"a\\0b\"\n", "f.yaml:2: a zero byte"},
        {"input: {topics: [a\n", "f.yaml:3: did not find"},
        {"group: a: b\n", "f.yaml:2: "},
        {"...\n---\ngroup: b\n", "f.yaml:3: a second document"},
        {"kafka: {no.such.thing: 1}\n", "f.yaml:2: kafka.no.such.thing is not a property"},
        {"kafka: {bootstrap.server: x}\n", "(did you mean bootstrap.servers?)"},
        {"kafka: {linger.ms: soon}\n", "f.yaml:2: kafka.linger.ms: "},
        {"kafka: {group.id: x}\n", "f.yaml:2: kafka.group.id cannot be set: it is the setting `group`"},
        {"kafka: {a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}}\n", "f.yaml:2: sections are nested deeper"},
        {"currency: {rates: {eur: 1}}\n", "f.yaml:2: currency.rates.eur: a currency has three"},
        {"currency: {rates: {EUR: 0}}\n", "f.yaml:2: currency.rates.EUR: `0` is not"},
        {"currency: {rates: {EUR: {x: 1}}}\n", "f.yaml:2: currency.rates.EUR"},
        {"time: {follow_wall_clock: yes}\n", "f.yaml:2: time.follow_wall_clock: `yes` is not true or false"},
    };
    char text[512];
    for (size_t i = 0; i < NILAI_ARRAY_LEN(faults); i++) {
        nilai_config_defaults(&config);
        other = config;
        snprintf(text, sizeof text, "output.source: there\n%s", faults[i].text);
        CHECK_EQ(read_yaml(&config, text), NILAI_CONFIG);
        check_says(faults[i].says);
        CHECK(memcmp(&config, &other, sizeof config) == 0);
    }
    CHECK_EQ(read_yaml(&config, "- a\n"), NILAI_CONFIG);
    check_says("f.yaml:1: a configuration is a map");
    CHECK_EQ(read_yaml(&config, "group: \xff\n"), NILAI_CONFIG);
    check_says("f.yaml: byte 7: ");
}

TEST(a_file_has_limits)
{
    nilai_config_defaults(&config);
    size_t size = NILAI_CONFIG_FILE_SIZE_MAX + 1;
    char *text = malloc(size);
    CHECK(text != NULL);
    memset(text, ' ', size);
    CHECK_EQ(nilai_config_read_text(&config, "f.yaml", text, size, &error), NILAI_CONFIG);
    check_says("larger than");
    CHECK_EQ(nilai_config_read_text(&config, "f.yaml", text, size - 1, &error), NILAI_OK);

    size_t used = (size_t)sprintf(text, "currency.rates:\n");
    for (int i = 0; i < 257; i++)
        used += (size_t)sprintf(text + used, "  A%c%c: 1\n", 'A' + i / 26, 'A' + i % 26);
    CHECK_EQ(nilai_config_read_text(&config, "f.yaml", text, used, &error), NILAI_CONFIG);
    check_says("f.yaml:258: currency.rates: more than 256");
    free(text);

    CHECK_EQ(nilai_config_read_file(&config, "no/such/file.yaml", &error), NILAI_CONFIG);
    check_says("no/such/file.yaml: ");
    CHECK_EQ(nilai_config_read_file(&config, ".", &error), NILAI_CONFIG);
}

TEST(the_environment_names_every_setting)
{
    char variable[512], name[256];
    nilai_config_defaults(&config);
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        environment_name(setting->path, name);
        snprintf(variable, sizeof variable, "NILAI_%s=%s", name, value_of(&config, setting->path));
        CHECK_EQ(read_variable(&config, variable), NILAI_OK);
        snprintf(variable, sizeof variable, "NILAI_%s=a\nb", name);
        CHECK_EQ(read_variable(&config, variable), NILAI_CONFIG);
        snprintf(variable, sizeof variable, "NILAI_%s: ", name);
        check_says(variable);
    }
    CHECK_EQ(read_variable(&config, "NILAI_MODEL_SIGNALS_NPS_DETRACTOR=0.4"), NILAI_OK);
    CHECK_NEAR(config.model.weights[NILAI_SIGNAL_NPS_DETRACTOR], 0.4, 0);
    CHECK_EQ(read_variable(&config, "NILAI_INPUT_TOPICS=a,b"), NILAI_OK);
    CHECK_EQ(config.input_topic_count, 2);
    CHECK_EQ(read_variable(&config, "NILAI_CURRENCY_RATES_EUR=1.08"), NILAI_OK);
    CHECK_TEXT(config.rates[0].code, "EUR");
    CHECK_EQ(read_variable(&config, "NILAI_KAFKA_BOOTSTRAP_SERVERS=a:1"), NILAI_OK);
    CHECK_TEXT(config.kafka[0].name, "bootstrap.servers");
}

TEST(a_foreign_variable_is_an_error_only_under_our_name)
{
    nilai_config_defaults(&config);
    other = config;
    CHECK_EQ(read_variable(&config, "NILAI_TEST_SEED=7"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "PATH=/bin"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "XNILAI_WORKERS=3"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "NILAI_SERVICE_HOST=10.0.0.1"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "NILAI_PORT=tcp://10.0.0.1:80"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "NILAI_PORT_80_TCP_ADDR=10.0.0.1"), NILAI_OK);
    CHECK(memcmp(&config, &other, sizeof config) == 0);
    CHECK_EQ(read_variable(&config, "NILAI_PORTS=3"), NILAI_CONFIG);
    CHECK_EQ(read_variable(&config, "NILAI_WORKER=3"), NILAI_CONFIG);
    check_says("NILAI_WORKER is not a setting (did you mean workers?)");
    CHECK_EQ(read_variable(&config, "NILAI_KAFKA_NO_SUCH=3"), NILAI_CONFIG);
    CHECK_EQ(read_variable(&config, "NILAI_KAFKA_GROUP_ID=x"), NILAI_CONFIG);
    check_says("NILAI_KAFKA_GROUP_ID: kafka.group.id cannot be set");
    CHECK_EQ(read_variable(&config, "NILAI_=x"), NILAI_CONFIG);
    CHECK_EQ(read_variable(&config, "NILAI_KAFKA_CLIENT_ID=\xdf"), NILAI_CONFIG);
    check_says("kafka.client.id: the value is not UTF-8");
}

TEST(later_sources_win)
{
    nilai_config_defaults(&config);
    CHECK_EQ(read_yaml(&config, "workers: 2\nvalue.margin: 0.1\nkafka: {sasl.mechanism: PLAIN}\n"
                                "currency.rates.EUR: 2\n"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "NILAI_WORKERS=3"), NILAI_OK);
    CHECK_EQ(read_variable(&config, "NILAI_KAFKA_SASL_MECHANISMS=SCRAM-SHA-256"), NILAI_OK);
    CHECK_EQ(nilai_config_set(&config, "workers=4", &error), NILAI_OK);
    CHECK_EQ(nilai_config_set(&config, "currency.rates.EUR=3", &error), NILAI_OK);
    CHECK_EQ(nilai_config_set(&config, "kafka.sasl.mechanism=OAUTHBEARER", &error), NILAI_OK);
    CHECK_EQ(config.workers, 4);
    CHECK_NEAR(config.model.margin, 0.1, 0);
    CHECK_EQ(config.rate_count, 1);
    CHECK_NEAR(config.rates[0].rate, 3, 0);
    /* Two names of one property: what was set last must stand last. */
    CHECK_EQ(config.kafka_count, 2);
    CHECK_TEXT(config.kafka[1].value, "OAUTHBEARER");
}

TEST(a_set_has_a_name_and_a_value)
{
    nilai_config_defaults(&config);
    static const char *const wrong[] = {"", "=", "=1", "workers", "alerts=1", "nothing=1"};
    for (size_t i = 0; i < NILAI_ARRAY_LEN(wrong); i++)
        CHECK_EQ(nilai_config_set(&config, wrong[i], &error), NILAI_CONFIG);
    CHECK_EQ(nilai_config_set(&config, "output.source=a=b", &error), NILAI_OK);
    CHECK_TEXT(config.output_source, "a=b");
    CHECK_EQ(nilai_config_set(&config, "instance=", &error), NILAI_OK);
}

/* Goal: a secret enters by file or environment only and never comes out.
 * Method: set the same secret in every way; search for it in all that is printed. */
TEST(secrets_stay_secret)
{
    char path[] = "/tmp/nilai-secret-XXXXXX", text[128];
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0);
    CHECK_EQ(write(descriptor, "hunter2\n", 8), 8);
    close(descriptor);

    nilai_config_defaults(&config);
    CHECK_EQ(nilai_config_set(&config, "kafka.sasl.password=hunter2", &error), NILAI_CONFIG);
    check_says("kafka.sasl.password is a secret");
    CHECK(strstr(error.text, "hunter2") == NULL);

    for (int way = 0; way < 5; way++) {
        nilai_config_defaults(&config);
        enum nilai_status status = NILAI_FAILED;
        switch (way) {
        case 0:
            status = read_yaml(&config, "kafka: {sasl.password: hunter2}\n");
            break;
        case 1:
            status = read_variable(&config, "NILAI_KAFKA_SASL_PASSWORD=hunter2");
            break;
        case 2:
            snprintf(text, sizeof text, "kafka: {sasl.password.file: %s}\n", path);
            status = read_yaml(&config, text);
            break;
        case 3:
            snprintf(text, sizeof text, "NILAI_KAFKA_SASL_PASSWORD_FILE=%s", path);
            status = read_variable(&config, text);
            break;
        case 4:
            snprintf(text, sizeof text, "kafka.sasl.password.file=%s", path);
            status = nilai_config_set(&config, text, &error);
            break;
        }
        CHECK_EQ(status, NILAI_OK);
        CHECK_EQ(config.kafka_count, 1);
        CHECK_TEXT(config.kafka[0].name, "sasl.password");
        CHECK_TEXT(config.kafka[0].value, "hunter2");
        char *shown = printed(&config);
        CHECK(strstr(shown, "hunter2") == NULL);
        CHECK(strstr(shown, "# sasl.password: set, not shown") != NULL);
        free(shown);
    }
    unlink(path);
    CHECK_EQ(nilai_config_assign(&config, "kafka.sasl.password.file", path, &error), NILAI_CONFIG);
    check_says("kafka.sasl.password.file: /tmp/");
    CHECK_EQ(nilai_config_assign(&config, "kafka.sasl.password.file", "/dev/zero", &error), NILAI_CONFIG);
    CHECK_EQ(nilai_config_assign(&config, "kafka.sasl.password.file", "/dev/null", &error), NILAI_CONFIG);
    /* Only a secret has a file. */
    CHECK_EQ(nilai_config_assign(&config, "kafka.client.id.file", "/dev/null", &error), NILAI_CONFIG);
    check_says("kafka.client.id.file is not a property");
}

/* A value within the row's range; `space` holds the text. */
static const char *random_value(const struct nilai_setting *setting, uint64_t *seed, char *space)
{
    double u = next_uniform(seed), number = setting->min + (setting->max - setting->min) * u;
    size_t choices = 0;
    switch (setting->kind) {
    case NILAI_SETTING_TEXT:
        sprintf(space, "x %c\"\\'#: %llu \xc2\x85\xc3\xa9\xe2\x80\xa8\xef\xbf\xbf\xf0\x9f\x98\x80",
                (char)(32 + next_random(seed) % 95), (unsigned long long)next_random(seed));
        return space;
    case NILAI_SETTING_TOPIC:
        sprintf(space, "on-%llu.t", (unsigned long long)next_random(seed));
        return space;
    case NILAI_SETTING_TOPICS:
        sprintf(space, "on,%llu.t,null", (unsigned long long)next_random(seed));
        return space;
    case NILAI_SETTING_CURRENCY:
        return "YEN";
    case NILAI_SETTING_CHOICE:
        while (setting->choices[choices] != NULL)
            choices++;
        return setting->choices[next_random(seed) % choices];
    case NILAI_SETTING_BOOL:
        return u < 0.5 ? "true" : "false";
    case NILAI_SETTING_NUMBER:
        break;
    case NILAI_SETTING_COUNT:
    case NILAI_SETTING_INTEGER:
    case NILAI_SETTING_DURATION:
    case NILAI_SETTING_SIZE:
        number = floor(number + 1);
        break;
    }
    if (setting->automatic != NULL && u < 0.2)
        return "auto";
    return as_value(setting, number);
}

/* Goal: what is printed reads back to the same configuration.
 * Method: random values for every row, rates and properties; print, read, print. */
TEST(what_is_printed_reads_back)
{
    uint64_t seed = test_seed(20240611);
    char space[256], path[64];
    for (int round = 0; round < 200; round++) {
        nilai_config_defaults(&config);
        for (size_t i = 0; i < nilai_setting_count; i++) {
            const struct nilai_setting *setting = &nilai_settings[i];
            const char *value = random_value(setting, &seed, space);
            if (nilai_config_assign(&config, setting->path, value, &error) != NILAI_OK)
                fail_msg("%s", error.text);
        }
        for (size_t i = next_random(&seed) % 5; i > 0; i--) {
            snprintf(path, sizeof path, "currency.rates.E%c%c", (int)('A' + i), (int)('A' + round % 26));
            snprintf(space, sizeof space, "%.17g", next_uniform(&seed) + 1e-9);
            CHECK_EQ(nilai_config_assign(&config, path, space, &error), NILAI_OK);
        }
        snprintf(space, sizeof space, "%llu \t\"\\\n#\xc2\x80\xc3\xa9", (unsigned long long)next_random(&seed));
        CHECK_EQ(nilai_config_assign(&config, "kafka.client.id", space, &error), NILAI_OK);

        char *shown = printed(&config);
        nilai_config_defaults(&other);
        if (read_yaml(&other, shown) != NILAI_OK)
            fail_msg("%s in\n%s", error.text, shown);
        char *again = printed(&other);
        CHECK_TEXT(again, shown);
        CHECK_EQ(other.kafka_count, config.kafka_count);
        CHECK(memcmp(other.kafka, config.kafka, sizeof config.kafka[0]) == 0);
        CHECK(memcmp(other.rates, config.rates, sizeof config.rates) == 0);
        for (size_t i = 0; i < nilai_setting_count; i++) {
            snprintf(space, sizeof space, "%s", value_of(&config, nilai_settings[i].path));
            CHECK_TEXT(value_of(&other, nilai_settings[i].path), space);
        }
        free(shown);
        free(again);
    }
}

/* Goal: the sample in the source tree is what the table says, and means the defaults. */
TEST(the_sample_file_is_up_to_date)
{
    char *sample = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sample, &size);
    nilai_config_print_sample(out);
    fclose(out);

    FILE *file = fopen("../config/nilai.yaml", "re");
    CHECK(file != NULL);
    char *kept = calloc(1, size + 2);
    size_t kept_size = fread(kept, 1, size + 1, file);
    fclose(file);
    if (kept_size != size || memcmp(kept, sample, size) != 0)
        fail_msg("%s", "config/nilai.yaml is old: nilai check --sample > config/nilai.yaml");

    nilai_config_defaults(&config);
    CHECK_EQ(read_yaml(&config, sample), NILAI_OK);
    CHECK_EQ(config.kafka_count, 1);
    config.kafka_count = 0;
    nilai_config_defaults(&other);
    char *read = printed(&config), *defaults = printed(&other);
    CHECK_TEXT(read, defaults);
    for (size_t i = 0; i < nilai_setting_count; i++)
        CHECK(strstr(sample, strrchr(nilai_settings[i].path, '.') != NULL
                                 ? strrchr(nilai_settings[i].path, '.') + 1
                                 : nilai_settings[i].path) != NULL);
    free(read);
    free(defaults);
    free(kept);
    free(sample);
}

/* Goal: what no row can tell alone is refused at the end. */
TEST(settings_that_contradict_each_other_are_refused)
{
    static const struct {
        const char *text;
        const char *says;
    } faults[] = {
        {"input.topics: [a, b, a]", "input.topics and input.topics both name the topic a"},
        {"input.topics: [nilai.churn-risk]", "input.topics and output.topics.churn_risk both"},
        {"output.topics.customers: nilai.dead-letter", "output.topics.customers and output.topics.dead_letter"},
        {"state.topic: nilai.churn-risk", "output.topics.churn_risk and state.topic both"},
        {"currency.rates.USD: 1.1", "currency.rates.USD: the rate of the base currency is 1"},
        {"alerts.medium.up: 0.8", "alerts.medium.up"},
        {"alerts.high.down: 0.75", "alerts.high.down"},
        {"value.cuts.b: 200", "value.cuts"},
        {"model.spend: {p: 0.3, q: 0.5}", "p + q"},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(faults); i++) {
        nilai_config_defaults(&config);
        CHECK_EQ(read_yaml(&config, faults[i].text), NILAI_OK);
        CHECK_EQ(nilai_config_finish(&config, &error), NILAI_CONFIG);
        check_says(faults[i].says);
    }
    nilai_config_defaults(&config);
    CHECK_EQ(read_yaml(&config, "currency: {base: EUR, rates: {EUR: 1, USD: 0.9}}"), NILAI_OK);
    CHECK_EQ(nilai_config_finish(&config, &error), NILAI_OK);
}

TEST(finish_asks_the_machine)
{
    char name[64] = "";
    nilai_config_defaults(&config);
    CHECK_EQ(nilai_config_assign(&config, "value.scale", "2", &error), NILAI_OK);
    CHECK_EQ(nilai_config_finish(&config, &error), NILAI_OK);
    CHECK(config.workers >= 1 && config.workers <= NILAI_CONFIG_WORKERS_MAX);
    CHECK(config.memory_max_bytes > 1 << 20);
    CHECK(gethostname(name, sizeof name - 1) == 0);
    CHECK_TEXT(config.instance, name);
    CHECK_NEAR(config.model.spend_gamma, 2 * 14.9837, 1e-12);

    nilai_config_defaults(&config);
    CHECK_EQ(read_yaml(&config, "{workers: 7, instance: me, state.memory_max: 8MiB, "
                                "model.spend.gamma: 3}"), NILAI_OK);
    CHECK_EQ(nilai_config_finish(&config, &error), NILAI_OK);
    CHECK_EQ(config.workers, 7);
    CHECK_EQ(config.memory_max_bytes, 8 << 20);
    CHECK_TEXT(config.instance, "me");
    CHECK_NEAR(config.model.spend_gamma, 3, 0);
}

TEST(the_decoder_gets_its_rules)
{
    nilai_config_defaults(&config);
    CHECK_EQ(read_yaml(&config, "{currency: {base: IDR, rates: {USD: 16000}}, input.format: auto, "
                                "value.margin: 0.2, time.max_future: 1m}"), NILAI_OK);
    struct nilai_decode_rules rules = nilai_config_decode_rules(&config);
    CHECK_EQ(rules.format, NILAI_FORMAT_AUTO);
    CHECK_TEXT(rules.base_currency, "IDR");
    CHECK_EQ(rules.rate_count, 1);
    CHECK_NEAR(rules.rates[0].rate, 16000, 0);
    CHECK_NEAR(rules.margin, 0.2, 0);
    CHECK_EQ(rules.max_future_ms, 60000);
}
