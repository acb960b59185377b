#include "nilai/run/options.h"

#include "nilai/base/clock.h"
#include "nilai/base/nearest.h"
#include "nilai/run/config.h"
#include "nilai/run/setting.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Errors ----------------------------------------------------------------------------- */

static enum nilai_status misuse(struct nilai_options *options, const char *format, ...)
    NILAI_PRINTF(2, 3);

static enum nilai_status misuse(struct nilai_options *options, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(options->error.text, sizeof options->error.text, format, arguments);
    va_end(arguments);
    options->exit_code = NILAI_EXIT_USAGE;
    return NILAI_INVALID;
}

int nilai_options_fail(const struct nilai_options *options)
{
    const char *name = options->command->name;
    char text[sizeof options->error.text];
    memcpy(text, options->error.text, sizeof text);
    /* What was wrong may be quoted: it must not drive the terminal. */
    for (char *c = text; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';
    fprintf(stderr, "nilai %s: %s\n", name, text);
    if (options->exit_code == NILAI_EXIT_USAGE)
        fprintf(stderr, "Try `nilai %s --help`.\n", name);
    return options->exit_code;
}

int nilai_options_misuse(struct nilai_options *options, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(options->error.text, sizeof options->error.text, format, arguments);
    va_end(arguments);
    options->exit_code = NILAI_EXIT_USAGE;
    return nilai_options_fail(options);
}

/* ---- Help ------------------------------------------------------------------------------- */

static void print_option(const char *name, const char *argument, const char *help)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", name, argument != NULL ? " " : "",
             argument != NULL ? argument : "");
    if (strlen(left) > 24)
        printf("  %s\n  %-24s  %s\n", left, "", help);
    else
        printf("  %-24s  %s\n", left, help);
}

static void print_help(const struct nilai_command *command)
{
    printf("Usage: nilai %s [OPTION]...%s%s\n", command->name, command->operands != NULL ? " " : "",
           command->operands != NULL ? command->operands : "");
    printf("\n%c%s.\n", toupper((unsigned char)command->summary[0]), command->summary + 1);
    if (command->description != NULL)
        printf("\n%s\n", command->description);
    printf("\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", command->options[i].name);
        print_option(name, command->options[i].argument, command->options[i].help);
    }
    if (command->configures) {
        print_option("-c, --config", "FILE", "read settings from a YAML file");
        print_option("--set", "NAME=VALUE", "change one setting; may be repeated");
    }
    print_option("-h, --help", NULL, "show this and exit");
    print_option("--version", NULL, "show the version and exit");
    if (command->configures)
        printf(
            "\nSettings are taken from the file, then from the environment (alerts.medium.up is\n"
            "NILAI_ALERTS_MEDIUM_UP), then from --set. `nilai help settings` lists them.\n");
}

/* ---- Parsing ---------------------------------------------------------------------------- */

/* One argument, taken apart. */
struct word {
    char name[64];      /* "until", "c" */
    const char *inside; /* what follows the '=' (or the letter), or NULL */
    const char *shown;  /* "--until" as written, for errors */
};

static void split_word(const char *argument, struct word *word)
{
    bool is_long = argument[1] == '-';
    const char *name = argument + (is_long ? 2 : 1);
    size_t size = is_long ? strcspn(name, "=") : 1;
    const char *rest = name + size;
    snprintf(word->name, sizeof word->name, "%.*s", size < 63 ? (int)size : 63, name);
    word->inside = *rest == '\0' ? NULL : is_long ? rest + 1 : rest;
    word->shown = argument;
}

/* Where the value of an option goes. */
struct slot {
    const char *argument; /* NULL: a flag */
    const char **value;
    bool repeatable;
};

static bool find_slot(struct nilai_options *options, const struct word *word, struct slot *slot)
{
    const struct nilai_command *command = options->command;
    bool is_long = word->shown[1] == '-';
    for (size_t i = 0; is_long && i < command->option_count; i++) {
        if (strcmp(command->options[i].name, word->name) == 0) {
            *slot = (struct slot){command->options[i].argument, &options->values[i], false};
            return true;
        }
    }
    if (!command->configures)
        return false;
    if (strcmp(word->name, is_long ? "config" : "c") == 0) {
        *slot = (struct slot){"FILE", &options->config_file, false};
        return true;
    }
    if (is_long && strcmp(word->name, "set") == 0) {
        *slot = (struct slot){"NAME=VALUE", &options->sets[options->set_count], true};
        return true;
    }
    return false;
}

static enum nilai_status unknown_option(struct nilai_options *options, const struct word *word)
{
    const struct nilai_command *command = options->command;
    if (word->shown[1] != '-')
        return misuse(options, "there is no option -%s", word->name);
    struct nilai_nearest nearest;
    nilai_nearest_init(&nearest, word->name);
    for (size_t i = 0; i < command->option_count; i++)
        nilai_nearest_consider(&nearest, command->options[i].name);
    const char *const common[] = {"help", "version", "config", "set"};
    for (size_t i = 0; i < (command->configures ? 4 : 2); i++)
        nilai_nearest_consider(&nearest, common[i]);
    if (nearest.best == NULL)
        return misuse(options, "there is no option --%s", word->name);
    return misuse(options, "there is no option --%s (did you mean --%s?)", word->name,
                  nearest.best);
}

/* Takes the option at argv[*next] and, if it has one, its value. */
static enum nilai_status take_option(struct nilai_options *options, int argc, char **argv,
                                     int *next)
{
    struct word word;
    struct slot slot;
    split_word(argv[(*next)++], &word);
    const char *dashes = word.shown[1] == '-' ? "--" : "-";
    if (!find_slot(options, &word, &slot))
        return unknown_option(options, &word);
    if (slot.argument == NULL && word.inside != NULL)
        return misuse(options, "%s%s takes no value", dashes, word.name);

    const char *value = slot.argument == NULL ? "" : word.inside;
    if (value == NULL && *next < argc)
        value = argv[(*next)++];
    if (value == NULL)
        return misuse(options, "%s%s needs a value: %s", dashes, word.name, slot.argument);
    if (slot.repeatable) {
        if (options->set_count == NILAI_OPTIONS_SETS_MAX - 1)
            return misuse(options, "--set is given more than %d times", NILAI_OPTIONS_SETS_MAX - 1);
        options->set_count++;
    } else if (*slot.value != NULL) {
        return misuse(options, "%s%s is given twice", dashes, word.name);
    }
    *slot.value = value;
    return NILAI_OK;
}

static enum nilai_status take_operand(struct nilai_options *options, const char *operand)
{
    if (options->operand_count == options->command->operands_max)
        return misuse(options, "`%.80s` is one argument too many", operand);
    options->operands[options->operand_count++] = operand;
    return NILAI_OK;
}

static enum nilai_status take_all(struct nilai_options *options, int argc, char **argv)
{
    enum nilai_status status = NILAI_OK;
    bool only_operands = false;
    for (int next = 1; next < argc && status == NILAI_OK;) {
        const char *argument = argv[next];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
            next++;
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            status = take_option(options, argc, argv, &next);
        } else {
            status = take_operand(options, argument);
            next++;
        }
    }
    if (status == NILAI_OK && options->operand_count < options->command->operands_min)
        return misuse(options, "an argument is missing: %s", options->command->operands);
    return status;
}

/* Help and version are answered even if the rest makes no sense. */
static bool asks_for(int argc, char **argv, const char *option)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], option) == 0)
            return true;
    return false;
}

bool nilai_options_parse(struct nilai_options *options, const struct nilai_command *command,
                         int argc, char **argv, int *exit_code)
{
    NILAI_ASSERT(command->option_count <= NILAI_OPTIONS_MAX);
    NILAI_ASSERT(command->operands_max <= NILAI_OPTIONS_OPERANDS_MAX);
    NILAI_ASSERT(argc >= 1);

    *options = (struct nilai_options){.command = command};
    *exit_code = NILAI_EXIT_OK;
    if (asks_for(argc, argv, "--help") || asks_for(argc, argv, "-h")) {
        print_help(command);
        return false;
    }
    if (asks_for(argc, argv, "--version")) {
        printf("nilai %s\n", NILAI_VERSION);
        return false;
    }
    if (take_all(options, argc, argv) == NILAI_OK)
        return true;
    *exit_code = nilai_options_fail(options);
    return false;
}

/* ---- Values ----------------------------------------------------------------------------- */

const char *nilai_options_text(const struct nilai_options *options, const char *name)
{
    const struct nilai_command *command = options->command;
    size_t row = 0;
    while (row < command->option_count && strcmp(command->options[row].name, name) != 0)
        row++;
    NILAI_ASSERT(row < command->option_count);
    return options->values[row];
}

bool nilai_options_has(const struct nilai_options *options, const char *name)
{
    return nilai_options_text(options, name) != NULL;
}

enum nilai_status nilai_options_count(struct nilai_options *options, const char *name, uint64_t min,
                                      uint64_t max, uint64_t *value)
{
    const char *text = nilai_options_text(options, name);
    if (text == NULL)
        return NILAI_OK;
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    uint64_t number = strtoull(text, NULL, 10);
    if (digits == 0 || text[digits] != '\0' || errno != 0 || number < min || number > max)
        return misuse(options, "--%s: `%.60s` is not a whole number within %" PRIu64 " .. %" PRIu64,
                      name, text, min, max);
    *value = number;
    return NILAI_OK;
}

enum nilai_status nilai_options_number(struct nilai_options *options, const char *name, double min,
                                       double max, double *value)
{
    const char *text = nilai_options_text(options, name);
    if (text == NULL)
        return NILAI_OK;
    double number;
    if (!nilai_number_parse(text, &number) || number < min || number > max)
        return misuse(options, "--%s: `%.60s` is not a number within %g .. %g", name, text, min,
                      max);
    *value = number;
    return NILAI_OK;
}

enum nilai_status nilai_options_time(struct nilai_options *options, const char *name, int64_t *ms)
{
    const char *text = nilai_options_text(options, name);
    if (text != NULL && nilai_clock_parse(text, ms) != NILAI_OK)
        return misuse(options,
                      "--%s: `%.60s` is not a time: 2026-01-31, 2026-01-31T12:00:00Z or "
                      "milliseconds since 1970",
                      name, text);
    return NILAI_OK;
}

enum nilai_status nilai_options_duration(struct nilai_options *options, const char *name,
                                         int64_t min_ms, int64_t max_ms, int64_t *ms)
{
    const char *text = nilai_options_text(options, name);
    if (text == NULL)
        return NILAI_OK;
    double value;
    if (!nilai_duration_parse(text, &value))
        return misuse(options, "--%s: `%.60s` is not a duration: a number with ms, s, m, h or d",
                      name, text);
    if (value < (double)min_ms || value > (double)max_ms) {
        char least[32], most[32];
        nilai_duration_format(min_ms, least);
        nilai_duration_format(max_ms, most);
        return misuse(options, "--%s: `%.60s` is not within %s .. %s", name, text, least, most);
    }
    *ms = (int64_t)value;
    return NILAI_OK;
}

enum nilai_status nilai_options_choice(struct nilai_options *options, const char *name,
                                       const char *const *choices, int *value)
{
    const char *text = nilai_options_text(options, name);
    if (text == NULL)
        return NILAI_OK;
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            *value = i;
            return NILAI_OK;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? " | " : "",
                                 choices[i]);
        NILAI_ASSERT(used < sizeof list);
    }
    return misuse(options, "--%s: `%.60s` is not one of %s", name, text, list);
}

/* ---- Configuration ---------------------------------------------------------------------- */

static enum nilai_status apply_sets(struct nilai_options *options, struct nilai_config *config)
{
    for (size_t i = 0; i < options->set_count; i++) {
        struct nilai_error inner;
        enum nilai_status status = nilai_config_set(config, options->sets[i], &inner);
        if (status != NILAI_OK)
            return nilai_error_set(&options->error, status, "--set: %.480s", inner.text);
    }
    return NILAI_OK;
}

enum nilai_status nilai_options_configure(struct nilai_options *options,
                                          struct nilai_config *config)
{
    NILAI_ASSERT(options->command->configures);

    enum nilai_status status = NILAI_OK;
    nilai_config_defaults(config);
    if (options->config_file != NULL)
        status = nilai_config_read_file(config, options->config_file, &options->error);
    if (status == NILAI_OK)
        status = nilai_config_read_environment(config, environ, &options->error);
    if (status == NILAI_OK)
        status = apply_sets(options, config);
    if (status == NILAI_OK)
        status = nilai_config_finish(config, &options->error);
    if (status == NILAI_OK)
        nilai_log_configure(config->log_level, config->log_format);
    else
        options->exit_code = NILAI_EXIT_CONFIG;
    return status;
}
