/*
 * fuzz_config.c - any bytes as a file, as --set and as a variable of the environment.
 *
 * Whatever they are: no crash, an error text on failure, and a configuration that was taken
 * is printed so that it reads back to the same.
 */
#include "nilai/run/config.h"
#include "nilai/run/setting.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nilai_config defaults, config, again;
static struct nilai_error error;

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void same_settings(void)
{
    static char mine[NILAI_SETTING_VALUE_SIZE], yours[NILAI_SETTING_VALUE_SIZE];
    for (size_t i = 0; i < nilai_setting_count; i++) {
        nilai_setting_format(&nilai_settings[i], &config, mine);
        nilai_setting_format(&nilai_settings[i], &again, yours);
        must(strcmp(mine, yours) == 0);
    }
    must(memcmp(config.rates, again.rates, sizeof config.rates) == 0);
}

static void print_and_read(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    nilai_config_print(&config, out);
    fclose(out);
    again = defaults;
    must(nilai_config_read_text(&again, "printed", text, size, &error) == NILAI_OK);
    same_settings();
    free(text);
}

static void check_outcome(enum nilai_status status)
{
    must(status == NILAI_OK || (status == NILAI_CONFIG && error.text[0] != '\0'));
    error.text[0] = '\0';
}

static void as_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + sizeof "NILAI_");
    must(text != NULL);
    memcpy(text, "NILAI_", 6);
    memcpy(text + 6, data, size);
    text[6 + size] = '\0';
    char *environment[] = {text, NULL};
    check_outcome(nilai_config_set(&config, text + 6, &error));
    check_outcome(nilai_config_read_environment(&config, environment, &error));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (defaults.group[0] == '\0')
        nilai_config_defaults(&defaults);
    /* A secret's file would be opened, and some files never end or never answer. */
    if (memmem(data, size, ".file", 5) != NULL || memmem(data, size, "_FILE", 5) != NULL)
        return 0;
    config = defaults;
    enum nilai_status status = nilai_config_read_text(&config, "fuzz", data, size, &error);
    if (status != NILAI_OK)
        must(memcmp(&config, &defaults, sizeof config) == 0);
    check_outcome(status);
    as_text(data, size);
    print_and_read();
    check_outcome(nilai_config_finish(&config, &error));
    return 0;
}
