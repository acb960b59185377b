#include "nilai/run/check.h"

#include "nilai/run/config.h"
#include "nilai/run/options.h"

static const struct nilai_option check_options[] = {
    {"sample", NULL, "print the documented sample file instead: all settings, their defaults"},
};

static const struct nilai_command check_command = {
    .name = "check",
    .configures = true,
    .summary = "validate a configuration and print the effective one",
    .description = "Prints YAML that reads back to the same. Secrets are not shown.",
    .options = check_options,
    .option_count = NILAI_ARRAY_LEN(check_options),
};

static struct nilai_config config; /* too large for a stack */

int nilai_check_main(int argc, char **argv)
{
    struct nilai_options options;
    int exit_code;
    if (!nilai_options_parse(&options, &check_command, argc, argv, &exit_code))
        return exit_code;
    if (nilai_options_has(&options, "sample")) {
        nilai_config_print_sample(stdout);
        return NILAI_EXIT_OK;
    }
    if (nilai_options_configure(&options, &config) != NILAI_OK)
        return nilai_options_fail(&options);
    nilai_config_print(&config, stdout);
    return NILAI_EXIT_OK;
}
