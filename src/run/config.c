#include "nilai/run/config.h"

#include "nilai/base/hash.h"
#include "nilai/base/machine.h"
#include "nilai/base/nearest.h"
#include "nilai/event/utf8.h"
#include "nilai/run/setting.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kafka_prefix[] = "kafka.";
static const char rates_prefix[] = "currency.rates.";

/* What follows `prefix` in `text`, or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

void nilai_config_defaults(struct nilai_config *config)
{
    struct nilai_error error;
    memset(config, 0, sizeof *config);
    nilai_model_defaults(&config->model);
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        if (setting->fallback != NULL)
            NILAI_ASSERT(nilai_setting_parse(setting, config, setting->fallback, &error)
                         == NILAI_OK);
    }
}

/* ---- One value -------------------------------------------------------------------------- */

static enum nilai_status unknown_setting(const char *path, struct nilai_error *error)
{
    struct nilai_nearest nearest;
    char hint[NILAI_NEAREST_TEXT_SIZE];
    nilai_nearest_init(&nearest, path);
    for (size_t i = 0; i < nilai_setting_count; i++)
        nilai_nearest_consider(&nearest, nilai_settings[i].path);
    return nilai_error_set(error, NILAI_CONFIG, "%.80s is not a setting%s", path,
                           nilai_nearest_text(&nearest, hint));
}

static enum nilai_status assign_rate(struct nilai_config *config, const char *code,
                                     const char *value, struct nilai_error *error)
{
    double rate;
    if (strlen(code) != 3 || strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return nilai_error_set(error, NILAI_CONFIG,
                               "currency.rates.%.40s: a currency has three capitals", code);
    if (!nilai_number_parse(value, &rate) || !(rate > 0 && rate <= 1e12))
        return nilai_error_set(error, NILAI_CONFIG,
                               "currency.rates.%s: `%.40s` is not a number above 0, at most 1e12",
                               code, value);
    size_t place = 0;
    while (place < config->rate_count && strcmp(config->rates[place].code, code) != 0)
        place++;
    if (place == NILAI_CONFIG_RATES_MAX)
        return nilai_error_set(error, NILAI_CONFIG, "currency.rates: more than %d currencies",
                               NILAI_CONFIG_RATES_MAX);
    memcpy(config->rates[place].code, code, 4);
    config->rates[place].rate = rate;
    if (place == config->rate_count)
        config->rate_count++;
    return NILAI_OK;
}

/* What was set before goes: the library knows some properties by two names and lets the later
 * win, so a property that is set again must stand at the end. */
static void forget_property(struct nilai_config *config, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < config->kafka_count; i++) {
        if (strcmp(config->kafka[i].name, name) == 0)
            continue;
        if (kept != i)
            config->kafka[kept] = config->kafka[i];
        kept++;
    }
    config->kafka_count = kept;
}

static enum nilai_status assign_property(struct nilai_config *config, const char *name,
                                         const char *value, struct nilai_error *error)
{
    if (strlen(name) >= NILAI_KAFKA_NAME_SIZE)
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%.80s...: the name is too long", name);
    if (strlen(value) >= NILAI_KAFKA_VALUE_SIZE)
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%s: longer than %d bytes", name,
                               NILAI_KAFKA_VALUE_SIZE - 1);
    if (!nilai_utf8_valid(value, strlen(value)))
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%s: the value is not UTF-8", name);
    enum nilai_status status = nilai_kafka_property_check(name, value, error);
    if (status != NILAI_OK)
        return status;

    forget_property(config, name);
    if (config->kafka_count == NILAI_CONFIG_KAFKA_MAX)
        return nilai_error_set(error, NILAI_CONFIG, "kafka: more than %d properties",
                               NILAI_CONFIG_KAFKA_MAX);
    struct nilai_kafka_property *property = &config->kafka[config->kafka_count++];
    snprintf(property->name, sizeof property->name, "%s", name);
    snprintf(property->value, sizeof property->value, "%s", value);
    return NILAI_OK;
}

/* Reads a file of one secret; a newline at its end is the editor's, not the secret's. */
static enum nilai_status read_secret(const char *name, const char *path,
                                     char secret[static NILAI_KAFKA_VALUE_SIZE],
                                     struct nilai_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%s.file: %.200s: %s", name, path,
                               strerror(errno));
    size_t size = fread(secret, 1, NILAI_KAFKA_VALUE_SIZE, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || size == NILAI_KAFKA_VALUE_SIZE)
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%s.file: %.200s: %s", name, path,
                               failed ? "it cannot be read" : "it is too large for a secret");
    while (size > 0 && (secret[size - 1] == '\n' || secret[size - 1] == '\r'))
        size--;
    secret[size] = '\0';
    if (size == 0 || strlen(secret) != size)
        return nilai_error_set(error, NILAI_CONFIG, "kafka.%s.file: %.200s: %s", name, path,
                               size == 0 ? "it is empty" : "it holds a zero byte");
    return NILAI_OK;
}

/* "sasl.password.file" -> "sasl.password"; false if it is not the file of a secret. */
static bool secret_of_file(const char *property, char name[static NILAI_KAFKA_NAME_SIZE])
{
    static const char suffix[] = ".file";
    size_t size = strlen(property), suffix_size = sizeof suffix - 1;
    if (size <= suffix_size || size - suffix_size >= NILAI_KAFKA_NAME_SIZE
        || strcmp(property + size - suffix_size, suffix) != 0)
        return false;
    memcpy(name, property, size - suffix_size);
    name[size - suffix_size] = '\0';
    return nilai_kafka_property_is_secret(name);
}

static enum nilai_status assign_kafka(struct nilai_config *config, const char *property,
                                      const char *value, struct nilai_error *error)
{
    char name[NILAI_KAFKA_NAME_SIZE], secret[NILAI_KAFKA_VALUE_SIZE];
    if (!secret_of_file(property, name))
        return assign_property(config, property, value, error);
    enum nilai_status status = read_secret(name, value, secret, error);
    if (status == NILAI_OK)
        status = assign_property(config, name, secret, error);
    explicit_bzero(secret, sizeof secret);
    return status;
}

enum nilai_status nilai_config_assign(struct nilai_config *config, const char *path,
                                      const char *value, struct nilai_error *error)
{
    const char *name = after(path, kafka_prefix);
    if (name != NULL)
        return assign_kafka(config, name, value, error);
    name = after(path, rates_prefix);
    if (name != NULL)
        return assign_rate(config, name, value, error);
    const struct nilai_setting *setting = nilai_setting_find(path);
    if (setting != NULL)
        return nilai_setting_parse(setting, config, value, error);
    if (nilai_setting_is_section(path) || strcmp(path, "kafka") == 0
        || strcmp(path, "currency.rates") == 0)
        return nilai_error_set(error, NILAI_CONFIG, "%s is a section of settings, not one setting",
                               path);
    return unknown_setting(path, error);
}

/* ---- Command line and environment ------------------------------------------------------- */

enum nilai_status nilai_config_set(struct nilai_config *config, const char *assignment,
                                   struct nilai_error *error)
{
    char path[NILAI_CONFIG_PATH_SIZE];
    size_t size = strcspn(assignment, "=");
    if (size == 0 || assignment[size] == '\0' || size >= sizeof path)
        return nilai_error_set(error, NILAI_CONFIG, "`%.80s` is not of the form section.name=value",
                               assignment);
    memcpy(path, assignment, size);
    path[size] = '\0';

    char secret[NILAI_KAFKA_NAME_SIZE];
    const char *property = after(path, kafka_prefix);
    if (property != NULL && !secret_of_file(property, secret)
        && nilai_kafka_property_is_secret(property))
        return nilai_error_set(error, NILAI_CONFIG,
                               "%s is a secret, and others can read a command line: use the "
                               "environment, the configuration file or %s.file",
                               path, path);
    return nilai_config_assign(config, path, assignment + size + 1, error);
}

/* Names that are never settings. Kubernetes gives every container the addresses of the services
 * around it (NILAI_SERVICE_HOST, NILAI_PORT_8080_TCP, ...): one called nilai must not keep
 * its own program from starting. */
static bool is_foreign(const char *name)
{
    return after(name, "TEST_") != NULL || after(name, "SERVICE_") != NULL
           || after(name, "PORT_") != NULL || strcmp(name, "PORT") == 0;
}

/* SASL_PASSWORD_FILE -> sasl.password.file, BOOTSTRAP_SERVERS -> bootstrap.servers. */
static bool property_by_environment(const char *name, char path[static NILAI_CONFIG_PATH_SIZE])
{
    static const char suffix[] = "_FILE";
    char stem[NILAI_CONFIG_PATH_SIZE];
    const char *property = nilai_kafka_property_by_environment(name);
    const char *tail = "";
    size_t size = strlen(name), suffix_size = sizeof suffix - 1;
    if (property == NULL && size > suffix_size && size < sizeof stem
        && strcmp(name + size - suffix_size, suffix) == 0) {
        snprintf(stem, sizeof stem, "%.*s", (int)(size - suffix_size), name);
        property = nilai_kafka_property_by_environment(stem);
        tail = ".file";
    }
    if (property == NULL)
        return false;
    snprintf(path, NILAI_CONFIG_PATH_SIZE, "%s%s%s", kafka_prefix, property, tail);
    return true;
}

/* The path of a name without its NILAI_; false if there is none. */
static bool path_by_environment(const char *name, char path[static NILAI_CONFIG_PATH_SIZE])
{
    const char *rest = after(name, "KAFKA_");
    if (rest != NULL)
        return property_by_environment(rest, path);
    rest = after(name, "CURRENCY_RATES_");
    if (rest != NULL) {
        snprintf(path, NILAI_CONFIG_PATH_SIZE, "%s%s", rates_prefix, rest);
        return true;
    }
    const struct nilai_setting *setting = nilai_setting_by_environment(name);
    if (setting == NULL)
        return false;
    snprintf(path, NILAI_CONFIG_PATH_SIZE, "%s", setting->path);
    return true;
}

static enum nilai_status unknown_variable(const char *name, struct nilai_error *error)
{
    struct nilai_nearest nearest;
    char hint[NILAI_NEAREST_TEXT_SIZE], path[NILAI_CONFIG_PATH_SIZE];
    snprintf(path, sizeof path, "%s", name);
    for (char *c = path; *c != '\0'; c++)
        *c = *c == '_' ? '.' : (char)tolower((unsigned char)*c);
    nilai_nearest_init(&nearest, path);
    for (size_t i = 0; i < nilai_setting_count; i++)
        nilai_nearest_consider(&nearest, nilai_settings[i].path);
    return nilai_error_set(error, NILAI_CONFIG,
                           "the environment variable NILAI_%.80s is not a "
                           "setting%s",
                           name, nilai_nearest_text(&nearest, hint));
}

static enum nilai_status read_variable(struct nilai_config *config, const char *variable,
                                       struct nilai_error *error)
{
    char name[NILAI_CONFIG_PATH_SIZE], path[NILAI_CONFIG_PATH_SIZE];
    size_t size = strcspn(variable, "=");
    snprintf(name, sizeof name, "%.*s", size < sizeof name ? (int)size : (int)sizeof name - 1,
             variable);
    if (is_foreign(name) || variable[size] == '\0')
        return NILAI_OK;
    if (!path_by_environment(name, path))
        return unknown_variable(name, error);

    struct nilai_error inner;
    enum nilai_status status = nilai_config_assign(config, path, variable + size + 1, &inner);
    if (status != NILAI_OK)
        return nilai_error_set(error, status, "NILAI_%s: %.400s", name, inner.text);
    return NILAI_OK;
}

enum nilai_status nilai_config_read_environment(struct nilai_config *config,
                                                char *const *environment, struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    for (size_t i = 0; environment[i] != NULL && status == NILAI_OK; i++) {
        const char *variable = after(environment[i], "NILAI_");
        if (variable != NULL)
            status = read_variable(config, variable, error);
    }
    return status;
}

/* ---- All together ----------------------------------------------------------------------- */

static enum nilai_status check_topics(const struct nilai_config *config, struct nilai_error *error)
{
    const char *topics[NILAI_CONFIG_TOPICS_MAX + 5];
    const char *settings[NILAI_ARRAY_LEN(topics)];
    size_t count = 0;
    for (; count < config->input_topic_count; count++) {
        topics[count] = config->input_topics[count];
        settings[count] = "input.topics";
    }
    const char *const outputs[][2] = {
        {config->churn_risk_topic, "output.topics.churn_risk"},
        {config->value_segment_topic, "output.topics.value_segment"},
        {config->customers_topic, "output.topics.customers"},
        {config->dead_letter_topic, "output.topics.dead_letter"},
        {config->state_topic, "state.topic"},
    };
    for (size_t i = 0; i < NILAI_ARRAY_LEN(outputs); i++, count++) {
        topics[count] = outputs[i][0];
        settings[count] = outputs[i][1];
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(topics[i], topics[j]) == 0)
                return nilai_error_set(error, NILAI_CONFIG, "%s and %s both name the topic %s",
                                       settings[j], settings[i], topics[i]);
    return NILAI_OK;
}

static enum nilai_status check_rates(const struct nilai_config *config, struct nilai_error *error)
{
    for (size_t i = 0; i < config->rate_count; i++)
        if (strcmp(config->rates[i].code, config->model.currency) == 0
            && config->rates[i].rate != 1)
            return nilai_error_set(error, NILAI_CONFIG,
                                   "currency.rates.%s: the rate of the base currency is 1",
                                   config->model.currency);
    return NILAI_OK;
}

static enum nilai_status resolve_machine(struct nilai_config *config, struct nilai_error *error)
{
    if (config->workers == 0) {
        uint32_t cores = nilai_machine_cores();
        config->workers = cores < NILAI_CONFIG_WORKERS_MAX ? cores : NILAI_CONFIG_WORKERS_MAX;
    }
    if (config->memory_max_bytes == 0)
        config->memory_max_bytes = nilai_machine_memory_bytes() / 2;
    if (config->instance[0] == '\0')
        nilai_machine_name(config->instance, sizeof config->instance);
    if (config->instance[0] == '\0')
        return nilai_error_set(error, NILAI_CONFIG,
                               "instance is not set, and this machine has no host name");
    return NILAI_OK;
}

enum nilai_status nilai_config_finish(struct nilai_config *config, struct nilai_error *error)
{
    enum nilai_status status = check_topics(config, error);
    if (status == NILAI_OK)
        status = check_rates(config, error);
    if (status == NILAI_OK)
        status = resolve_machine(config, error);
    if (status == NILAI_OK)
        status = nilai_model_prepare(&config->model, error);
    return status;
}

struct nilai_decode_rules nilai_config_decode_rules(const struct nilai_config *config)
{
    struct nilai_decode_rules rules = {
        .format = config->input_format,
        .margin = config->model.margin,
        .rates = config->rates,
        .rate_count = config->rate_count,
        .max_future_ms = config->max_future_ms,
    };
    memcpy(rules.base_currency, config->model.currency, sizeof rules.base_currency);
    return rules;
}

/* Raised when the program computes something else than before from the same settings. */
enum { RESULTS_VERSION = 1 };

static bool decides_results(const char *path)
{
    static const char *const which[] = {"currency.", "value.",          "erase.",      "alerts.",
                                        "model.",    "time.max_future", "input.format"};
    for (size_t index = 0; index < NILAI_ARRAY_LEN(which); index++) {
        if (strncmp(path, which[index], strlen(which[index])) == 0)
            return true;
    }
    return false;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return nilai_hash_seeded(text, strlen(text), hash);
}

uint64_t nilai_config_inputs_hash(const struct nilai_config *config)
{
    char value[NILAI_SETTING_VALUE_SIZE];
    uint64_t hash = hash_text(0, config->group);
    for (size_t topic = 0; topic < config->input_topic_count; topic++)
        hash = hash_text(hash, config->input_topics[topic]);
    nilai_setting_format(nilai_setting_find("time.day_offset"), config, value);
    return hash_text(hash, value);
}

uint64_t nilai_config_results_hash(const struct nilai_config *config)
{
    char value[NILAI_SETTING_VALUE_SIZE];
    uint64_t hash = RESULTS_VERSION, rates = 0;
    for (size_t index = 0; index < nilai_setting_count; index++) {
        const struct nilai_setting *setting = &nilai_settings[index];
        if (!decides_results(setting->path) || strcmp(setting->path, "model.name") == 0)
            continue;
        nilai_setting_format(setting, config, value);
        hash = hash_text(hash_text(hash, setting->path), value);
    }
    for (size_t index = 0; index < config->rate_count; index++) { /* in any order */
        nilai_number_format(config->rates[index].rate, value);
        rates += hash_text(nilai_hash(config->rates[index].code, sizeof config->rates[index].code),
                           value);
    }
    return nilai_hash_seeded(&rates, sizeof rates, hash);
}
