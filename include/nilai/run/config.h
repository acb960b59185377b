/*
 * config.h - the settings of every command, put together from all that gives them.
 *
 * One table row a setting (setting.h). Later wins: defaults, file, environment, command line.
 * In the environment a setting has its path in capitals, with underscores for dots, after
 * NILAI_ (model.signals.nps_detractor is NILAI_MODEL_SIGNALS_NPS_DETRACTOR), a property of
 * librdkafka likewise after NILAI_KAFKA_ (bootstrap.servers is NILAI_KAFKA_BOOTSTRAP_SERVERS)
 * and a rate after NILAI_CURRENCY_RATES_. Lists are separated by commas. Any other name that
 * begins with NILAI_ is an error, except NILAI_TEST_..., which is left to tests, and
 * NILAI_SERVICE_..., NILAI_PORT and NILAI_PORT_..., which Kubernetes sets by itself.
 *
 * Secrets (passwords, private keys) come from the file or the environment, never from the
 * command line, which others on the machine can read. `kafka.<secret>.file` names a file that
 * holds one; it is read when the setting is. Secrets are never printed.
 *
 * The struct is large: keep it in static or heap storage. Thread: any, one at a time.
 */
#ifndef NILAI_RUN_CONFIG_H
#define NILAI_RUN_CONFIG_H

#include <stdio.h>

#include "nilai/base/log.h"
#include "nilai/customer/model.h"
#include "nilai/event/decode.h"
#include "nilai/io/kafka_config.h"

enum {
    NILAI_CONFIG_TEXT_SIZE = 256,
    NILAI_CONFIG_TOPICS_MAX = 16,
    NILAI_CONFIG_RATES_MAX = 256,
    NILAI_CONFIG_KAFKA_MAX = 64,
    NILAI_CONFIG_WORKERS_MAX = 256,
    NILAI_CONFIG_FILE_SIZE_MAX = 1024 * 1024,
    NILAI_CONFIG_DEPTH_MAX = 8,   /* nested sections */
    NILAI_CONFIG_KEYS_MAX = 1024, /* in one file */
    NILAI_CONFIG_PATH_SIZE = 160,
};

enum nilai_delivery { NILAI_EXACTLY_ONCE, NILAI_AT_LEAST_ONCE };

struct nilai_config {
    struct nilai_kafka_property
        kafka[NILAI_CONFIG_KAFKA_MAX]; /* in the order in which they count */
    size_t kafka_count;
    char group[NILAI_CONFIG_TEXT_SIZE];
    char instance[NILAI_CONFIG_TEXT_SIZE]; /* "" until finish: the host name */
    uint32_t workers;                      /* 0 until finish: the number of processors */
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
    uint64_t memory_max_bytes; /* 0 until finish: half of the machine's memory */
    char state_topic[NILAI_CONFIG_TEXT_SIZE];
    double image_ratio; /* bytes of images per byte of input */
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
    struct nilai_model model; /* prepared by finish */
};

/* The defaults; never fails. */
void nilai_config_defaults(struct nilai_config *config);

/* Adds what a YAML file says. Errors name file, line and key; after one nothing is changed. */
NILAI_MUST_CHECK enum nilai_status
nilai_config_read_file(struct nilai_config *config, const char *path, struct nilai_error *error);
/* The same for text in memory; `name` stands for the file in errors. */
NILAI_MUST_CHECK enum nilai_status nilai_config_read_text(struct nilai_config *config,
                                                          const char *name, const void *text,
                                                          size_t size, struct nilai_error *error);
/* Adds what the environment (a NULL-terminated list of NAME=value) says; an unknown NILAI_
 * name is an error. Names must be unique, as in a process's own. */
NILAI_MUST_CHECK enum nilai_status nilai_config_read_environment(struct nilai_config *config,
                                                                 char *const *environment,
                                                                 struct nilai_error *error);
/* Adds one `section.name=value` of the command line; secrets are refused. */
NILAI_MUST_CHECK enum nilai_status
nilai_config_set(struct nilai_config *config, const char *assignment, struct nilai_error *error);
/* Adds one value; the others come down to this. */
NILAI_MUST_CHECK enum nilai_status nilai_config_assign(struct nilai_config *config,
                                                       const char *path, const char *value,
                                                       struct nilai_error *error);
/* Checks what no row can tell alone, resolves what depends on the machine, prepares the model.
 * Call once, after all the others. */
NILAI_MUST_CHECK enum nilai_status nilai_config_finish(struct nilai_config *config,
                                                       struct nilai_error *error);

/* The effective configuration as YAML that reads back to the same, but for secrets, which
 * are only named in a comment. */
void nilai_config_print(const struct nilai_config *config, FILE *out);
/* The documented sample file, all options with defaults and help: config/nilai.yaml. */
void nilai_config_print_sample(FILE *out);
/* The list of settings for `nilai help settings`. */
void nilai_config_print_reference(FILE *out);

/* Stands for whose state a journal holds: the group, its input topics in their order, and where
 * their days begin. */
uint64_t nilai_config_inputs_hash(const struct nilai_config *config);

/* Stands for all settings that results depend on: with the same, the same turns bring the same. Of
 * a finished configuration. */
uint64_t nilai_config_results_hash(const struct nilai_config *config);

/* What the decoder must know, borrowing from `config`. */
struct nilai_decode_rules nilai_config_decode_rules(const struct nilai_config *config);

#endif
