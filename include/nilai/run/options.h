/*
 * options.h - the command line, the same way for every command.
 *
 * A command is one table: its name, what it is for and its options. Parsing, errors and --help
 * follow from it. Every command has --help and --version; one that `configures` also has
 * -c/--config FILE and --set NAME=VALUE (repeatable), and reads the environment.
 *
 *     static const struct nilai_option replay_options[] = {
 *         {"until", "TS", "move the clock there at the end"},
 *         {"strict", NULL, "stop with exit code 65 at the first bad line"},
 *     };
 *     static const struct nilai_command replay = {
 *         .name = "replay", .operands = "[FILE|-]", .operands_max = 1, .configures = true,
 *         .summary = "events in, changes out", .options = replay_options,
 *         .option_count = NILAI_ARRAY_LEN(replay_options),
 *     };
 *
 *     int nilai_replay_main(int argc, char **argv)
 *     {
 *         struct nilai_options options;
 *         int exit_code;
 *         if (!nilai_options_parse(&options, &replay, argc, argv, &exit_code))
 *             return exit_code;
 *         int64_t until_ms = -1;
 *         if (nilai_options_time(&options, "until", &until_ms) != NILAI_OK ||
 *             nilai_options_configure(&options, config) != NILAI_OK)
 *             return nilai_options_fail(&options);
 *
 * argv[0] is the command's name. Accepted are `--name value`, `--name=value`, `-c value`,
 * `-cvalue`; `--` ends the options. An option given twice is an error, except --set.
 */
#ifndef NILAI_RUN_OPTIONS_H
#define NILAI_RUN_OPTIONS_H

#include "nilai/base/base.h"

struct nilai_config;

enum {
    NILAI_OPTIONS_MAX = 32, /* rows of one command */
    NILAI_OPTIONS_SETS_MAX = 128,
    NILAI_OPTIONS_OPERANDS_MAX = 8,
};

struct nilai_option {
    const char *name;     /* without the dashes */
    const char *argument; /* "TS", "FILE"; NULL: a flag */
    const char *help;     /* begins small, has no full stop */
};

struct nilai_command {
    const char *name;
    const char *operands; /* "[FILE|-]", or NULL */
    size_t operands_min, operands_max;
    bool configures;
    const char *summary;     /* one line, begins small, has no full stop */
    const char *description; /* more, for --help; or NULL */
    const struct nilai_option *options;
    size_t option_count;
};

struct nilai_options {
    const struct nilai_command *command;
    const char *values[NILAI_OPTIONS_MAX]; /* by the rows of the command; "" for a flag */
    const char *config_file;
    const char *sets[NILAI_OPTIONS_SETS_MAX];
    size_t set_count;
    const char *operands[NILAI_OPTIONS_OPERANDS_MAX];
    size_t operand_count;
    struct nilai_error error; /* what the last failing call below found */
    int exit_code;            /* 64, or 78 when the configuration is wrong */
};

/* True: go on. False: end with `*exit_code`; help, version or the error have been printed. */
NILAI_MUST_CHECK bool nilai_options_parse(struct nilai_options *options,
                                          const struct nilai_command *command, int argc,
                                          char **argv, int *exit_code);

/* Whether the option was given; its text, or NULL. `name` must be in the table. */
bool nilai_options_has(const struct nilai_options *options, const char *name);
const char *nilai_options_text(const struct nilai_options *options, const char *name);

/* Read an option if it was given; otherwise *value stays as it is. On failure the error
 * names option, value and what would have been right. */
NILAI_MUST_CHECK enum nilai_status nilai_options_count(struct nilai_options *options,
                                                       const char *name, uint64_t min, uint64_t max,
                                                       uint64_t *value);
NILAI_MUST_CHECK enum nilai_status nilai_options_number(struct nilai_options *options,
                                                        const char *name, double min, double max,
                                                        double *value);
/* "2026-01-31", "2026-01-31T12:00:00Z" or ms since 1970. */
NILAI_MUST_CHECK enum nilai_status nilai_options_time(struct nilai_options *options,
                                                      const char *name, int64_t *ms);
/* "90s", "30d"; within min_ms .. max_ms. */
NILAI_MUST_CHECK enum nilai_status nilai_options_duration(struct nilai_options *options,
                                                          const char *name, int64_t min_ms,
                                                          int64_t max_ms, int64_t *ms);
/* One of a NULL-terminated list; *value becomes its place in it. */
NILAI_MUST_CHECK enum nilai_status nilai_options_choice(struct nilai_options *options,
                                                        const char *name,
                                                        const char *const *choices, int *value);

/* Defaults, the file of -c, the environment, --set, all checked; and the log as the
 * configuration wants it. Only for commands that configure. */
NILAI_MUST_CHECK enum nilai_status nilai_options_configure(struct nilai_options *options,
                                                           struct nilai_config *config);

/* Prints the error, and for a usage error where to find help; returns the exit code. */
int nilai_options_fail(const struct nilai_options *options);
/* The same for what a command finds wrong with its arguments itself: exit code 64. */
int nilai_options_misuse(struct nilai_options *options, const char *format, ...) NILAI_PRINTF(2, 3);

#endif
