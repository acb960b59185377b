/*
 * main.c - the table of commands.
 *
 * Each command is a function of its own arguments; argv[0] is its name. What it prints on
 * standard output is data; messages go to standard error.
 */
#include "nilai/base/base.h"
#include "nilai/base/nearest.h"
#include "nilai/run/check.h"
#include "nilai/run/config.h"
#include "nilai/run/convert_command.h"
#include "nilai/run/demo.h"
#include "nilai/run/loadgen.h"
#include "nilai/run/replay.h"
#include "nilai/run/run_command.h"

#include <stdio.h>
#include <string.h>

struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"demo", nilai_demo_main, "broker, customers and engine in one process; nothing to set up"},
    {"run", nilai_run_main, "the service: events from Kafka in, changes to Kafka out"},
    {"replay", nilai_replay_main, "events of a file in, changes out as JSON lines"},
    {"loadgen", nilai_loadgen_main, "synthetic customers with known truth, into Kafka or a file"},
    {"encode", nilai_encode_main, "JSON lines in, MessagePack out"},
    {"decode", nilai_decode_main, "MessagePack values in, JSON lines out"},
    {"check", nilai_check_main, "validate a configuration and print the effective one"},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < NILAI_ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_usage(FILE *out)
{
    fputs("Usage: nilai COMMAND [OPTION]...\n\n"
          "Tells, the moment it becomes true, which customers are about to leave, what they\n"
          "are worth, and why.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(commands); i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].summary);
    fputs("  help      show this, or the help of a command, or `settings`\n\n"
          "`nilai COMMAND --help` shows the options of a command, `nilai --version` the version.\n",
          out);
}

static int unknown_command(const char *name)
{
    struct nilai_nearest nearest;
    char hint[NILAI_NEAREST_TEXT_SIZE];
    nilai_nearest_init(&nearest, name);
    for (size_t i = 0; i < NILAI_ARRAY_LEN(commands); i++)
        nilai_nearest_consider(&nearest, commands[i].name);
    fprintf(stderr, "nilai: there is no command `%.60s`%s\nTry `nilai --help`.\n", name,
            nilai_nearest_text(&nearest, hint));
    return NILAI_EXIT_USAGE;
}

static int show_help(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stdout);
        return NILAI_EXIT_OK;
    }
    if (strcmp(argv[1], "settings") == 0) {
        nilai_config_print_reference(stdout);
        return NILAI_EXIT_OK;
    }
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return unknown_command(argv[1]);
    char option[] = "--help";
    char *arguments[] = {argv[1], option, NULL};
    return command->main(2, arguments);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return NILAI_EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0
        || strcmp(argv[1], "-h") == 0)
        return show_help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0) {
        printf("nilai %s\n", NILAI_VERSION);
        return NILAI_EXIT_OK;
    }
    const struct command *command = find_command(argv[1]);
    return command != NULL ? command->main(argc - 1, argv + 1) : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    int exit_code = dispatch(argc, argv);
    /* Data that did not arrive must not look like data that did. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code != NILAI_EXIT_IO) {
        perror("nilai: standard output");
        return exit_code != NILAI_EXIT_OK ? exit_code : NILAI_EXIT_IO;
    }
    return exit_code;
}
