/*
 * setting.h - one setting: its name, place, kind, range, default and meaning.
 *
 * The table of settings (settings.c) is the only list of them. Reading a value, writing it, the
 * sample file, the reference and the names in the environment follow from a row.
 */
#ifndef NILAI_RUN_SETTING_H
#define NILAI_RUN_SETTING_H

#include "nilai/base/base.h"

enum nilai_setting_kind {
    NILAI_SETTING_TEXT,     /* char[] */
    NILAI_SETTING_TOPIC,    /* char[], a legal name of a Kafka topic */
    NILAI_SETTING_TOPICS,   /* input_topics: names, separated by commas */
    NILAI_SETTING_CURRENCY, /* char[4], three capitals */
    NILAI_SETTING_CHOICE,   /* an enum, one of `choices` */
    NILAI_SETTING_BOOL,
    NILAI_SETTING_COUNT,    /* uint32_t */
    NILAI_SETTING_INTEGER,  /* int64_t */
    NILAI_SETTING_NUMBER,   /* double */
    NILAI_SETTING_DURATION, /* int64_t, ms */
    NILAI_SETTING_SIZE,     /* uint64_t, bytes */
};

struct nilai_setting {
    const char *path; /* "alerts.medium.up" */
    enum nilai_setting_kind kind;
    size_t offset;         /* within struct nilai_config */
    size_t size;           /* of the place, for texts */
    double min, max;       /* of numbers; durations in ms */
    bool open;             /* min and max themselves are outside */
    const char *automatic; /* not NULL: may be left to the machine (`auto`, or "" for a text), and
                              what is taken then. The place holds 0, NaN or "" until finish */
    const char *fallback;  /* default; NULL: that of the model (nilai_model_defaults) */
    const char *const *choices; /* NULL-terminated, by the enum's values */
    const char *help;           /* whole sentences */
};

extern const struct nilai_setting nilai_settings[];
extern const size_t nilai_setting_count;

enum {
    NILAI_SETTING_VALUE_SIZE = 4096 + 64, /* sixteen topics of 249 letters, and commas */
    NILAI_SETTING_RANGE_SIZE = 128,
};

struct nilai_config;

/* The row of `path`, or NULL. */
const struct nilai_setting *nilai_setting_find(const char *path);
/* Whether settings stand below `path` ("alerts", "alerts.medium"). */
bool nilai_setting_is_section(const char *path);
/* The row whose path, in capitals with underscores for dots, is `name`, or NULL. */
const struct nilai_setting *nilai_setting_by_environment(const char *name);

/* Reads one value into its place; on failure the text names path and reason, and the place is
 * as before. */
NILAI_MUST_CHECK enum nilai_status nilai_setting_parse(const struct nilai_setting *setting,
                                                       struct nilai_config *config,
                                                       const char *value,
                                                       struct nilai_error *error);
/* Writes the value so that parse reads back the same. */
void nilai_setting_format(const struct nilai_setting *setting, const struct nilai_config *config,
                          char value[static NILAI_SETTING_VALUE_SIZE]);
/* The range for a person: "0 .. 1", "text | json", "1ms .. 10s". */
void nilai_setting_format_range(const struct nilai_setting *setting,
                                char text[static NILAI_SETTING_RANGE_SIZE]);

/* A finite decimal number: no hexadecimal, no infinity, nothing after it. */
NILAI_MUST_CHECK bool nilai_number_parse(const char *text, double *number);
/* "500ms", "1.5h", "30d". */
NILAI_MUST_CHECK bool nilai_duration_parse(const char *text, double *ms);
/* In the largest unit that holds it exactly: 90000 is "90s", 172800000 is "2d". */
void nilai_duration_format(int64_t ms, char text[static 32]);
/* "0.4": the shortest decimal text that reads back to the same number. */
void nilai_number_format(double number, char text[static 32]);

#endif
