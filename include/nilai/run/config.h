/*
 * config.h - the settings of every command: one table row an option (config.c).
 *
 * A row has the YAML path, the kind and range of its value, its default, its place in
 * struct nilai_config and one line of help; parsing of YAML, of the environment
 * (NILAI_SECTION_NAME) and of --set, `nilai check`, the reference that --help prints and
 * config/nilai.yaml all follow from the table. Later wins: defaults, file, environment, --set.
 */
#ifndef NILAI_RUN_CONFIG_H
#define NILAI_RUN_CONFIG_H

#include <stdio.h>

#include "nilai/base/log.h"
#include "nilai/customer/model.h"
#include "nilai/event/decode.h"

enum {
    NILAI_CONFIG_TEXT_SIZE = 256,
    NILAI_CONFIG_TOPICS_MAX = 16,
    NILAI_CONFIG_RATES_MAX = 256,
    NILAI_CONFIG_KAFKA_MAX = 128,
    NILAI_CONFIG_WORKERS_MAX = 256,
};

enum nilai_delivery { NILAI_DELIVERY_EXACTLY_ONCE, NILAI_DELIVERY_AT_LEAST_ONCE };

/* A librdkafka property, passed through. */
struct nilai_kafka_property {
    char name[128];
    char value[1024];
};

struct nilai_config {
    struct nilai_kafka_property kafka[NILAI_CONFIG_KAFKA_MAX];
    size_t kafka_count;
    char group[NILAI_CONFIG_TEXT_SIZE];
    char instance[NILAI_CONFIG_TEXT_SIZE];
    uint32_t workers; /* 0 in the table means: number of cores; here it is resolved */
    char input_topics[NILAI_CONFIG_TOPICS_MAX][NILAI_CONFIG_TEXT_SIZE];
    size_t input_topic_count;
    enum nilai_format input_format;
    char churn_risk_topic[NILAI_CONFIG_TEXT_SIZE];
    char value_segment_topic[NILAI_CONFIG_TEXT_SIZE];
    char customers_topic[NILAI_CONFIG_TEXT_SIZE];
    char dead_letter_topic[NILAI_CONFIG_TEXT_SIZE];
    bool customers_feed;             /* output.customers */
    enum nilai_format output_format; /* json or msgpack */
    char output_source[NILAI_CONFIG_TEXT_SIZE];
    char state_topic[NILAI_CONFIG_TEXT_SIZE];
    uint64_t memory_max_bytes; /* state.memory_max, resolved */
    double image_ratio;
    int64_t image_round_max_ms;
    enum nilai_delivery delivery;
    int64_t commit_interval_ms;
    bool topics_create;
    uint32_t topics_replication;
    int64_t merge_max_idle_ms;
    int64_t erase_remember_ms;
    int64_t max_future_ms;
    bool follow_wall_clock;
    struct nilai_currency_rate rates[NILAI_CONFIG_RATES_MAX];
    size_t rate_count;
    enum nilai_log_level log_level;
    enum nilai_log_format log_format;
    struct nilai_model model; /* prepared by nilai_config_finish */
};

/* The defaults; never fails. The struct is large: keep it in static or heap storage. */
void nilai_config_defaults(struct nilai_config *config);

/* Adds what a YAML file says. Errors name file, line and key. */
NILAI_MUST_CHECK enum nilai_status nilai_config_read_file(struct nilai_config *config,
                                                          const char *path, struct nilai_error *error);
/* Adds what the environment says (NILAI_MODEL_SIGNALS_NPS_DETRACTOR=0.4,
 * NILAI_KAFKA_BOOTSTRAP_SERVERS=...); an unknown NILAI_ name is an error. */
NILAI_MUST_CHECK enum nilai_status nilai_config_read_environment(struct nilai_config *config,
                                                                 struct nilai_error *error);
/* Adds one `section.name=value`. */
NILAI_MUST_CHECK enum nilai_status nilai_config_set(struct nilai_config *config, const char *assignment,
                                                    struct nilai_error *error);
/* Checks what no row can tell alone, resolves what depends on the machine, prepares the model. */
NILAI_MUST_CHECK enum nilai_status nilai_config_finish(struct nilai_config *config,
                                                       struct nilai_error *error);

/* The effective configuration as YAML that reads back to the same; secrets are redacted. */
void nilai_config_print(const struct nilai_config *config, FILE *out);
/* The documented sample file, all options with defaults and help: config/nilai.yaml. */
void nilai_config_print_sample(FILE *out);

/* What the decoder must know, borrowing from `config`. */
struct nilai_decode_rules nilai_config_decode_rules(const struct nilai_config *config);

#endif
