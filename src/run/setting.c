#include "nilai/run/setting.h"

#include "nilai/base/nearest.h"
#include "nilai/event/utf8.h"
#include "nilai/run/config.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Units ------------------------------------------------------------------------------ */

struct unit {
    const char *name;
    double factor;
};

/* Largest first: that is how values are written. */
static const struct unit duration_units[] = {
    {"d", 86400e3}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}, {"ms", 1},
};
static const struct unit size_units[] = {
    {"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"", 1},
};

bool nilai_number_parse(const char *text, double *number)
{
    char *end;
    if (text[0] == '\0' || text[strspn(text, "+-.0123456789eE")] != '\0')
        return false;
    double value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *number = value;
    return true;
}

/* A number and one of the units, directly behind it. */
static bool quantity_parse(const char *text, const struct unit *units, size_t count, double *value)
{
    char digits[64];
    size_t size = strspn(text, "+-.0123456789");
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text + size, units[i].name) != 0)
            continue;
        double number;
        if (!nilai_number_parse(digits, &number))
            return false;
        *value = rint(number * units[i].factor);
        return true;
    }
    return false;
}

static void quantity_format(double value, const struct unit *units, size_t count, char *text,
                            size_t size)
{
    const struct unit *unit = &units[count - 1];
    for (size_t i = 0; i < count && value != 0; i++) {
        if (fmod(value, units[i].factor) == 0) {
            unit = &units[i];
            break;
        }
    }
    snprintf(text, size, "%.0f%s", value / unit->factor, unit->name);
}

bool nilai_duration_parse(const char *text, double *ms)
{
    return quantity_parse(text, duration_units, NILAI_ARRAY_LEN(duration_units), ms);
}

void nilai_duration_format(int64_t ms, char text[static 32])
{
    quantity_format((double)ms, duration_units, NILAI_ARRAY_LEN(duration_units), text, 32);
}

void nilai_number_format(double number, char text[static 32])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            return;
    }
}

/* ---- Rows ------------------------------------------------------------------------------- */

const struct nilai_setting *nilai_setting_find(const char *path)
{
    for (size_t i = 0; i < nilai_setting_count; i++)
        if (strcmp(nilai_settings[i].path, path) == 0)
            return &nilai_settings[i];
    return NULL;
}

bool nilai_setting_is_section(const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < nilai_setting_count; i++)
        if (strncmp(nilai_settings[i].path, path, size) == 0 && nilai_settings[i].path[size] == '.')
            return true;
    return false;
}

const struct nilai_setting *nilai_setting_by_environment(const char *name)
{
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const char *have = nilai_settings[i].path, *want = name;
        while (*have != '\0' && *want == (*have == '.' ? '_' : toupper((unsigned char)*have)))
            have++, want++;
        if (*have == '\0' && *want == '\0')
            return &nilai_settings[i];
    }
    return NULL;
}

/* ---- Reading ---------------------------------------------------------------------------- */

static void *place_of(const struct nilai_setting *setting, struct nilai_config *config)
{
    return (char *)config + setting->offset;
}

static const void *value_of(const struct nilai_setting *setting, const struct nilai_config *config)
{
    return (const char *)config + setting->offset;
}

/* `expected` says what would have been right. The value is cut: it may be a whole file. */
static enum nilai_status refuse(const struct nilai_setting *setting, const char *value,
                                const char *expected, struct nilai_error *error)
{
    char shown[64];
    snprintf(shown, sizeof shown, "%s", value);
    for (char *c = shown; *c != '\0'; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    return nilai_error_set(error, NILAI_CONFIG, "%s: `%s` is not %s", setting->path, shown,
                           expected);
}

static enum nilai_status parse_text(const struct nilai_setting *setting, char *place,
                                    const char *value, struct nilai_error *error)
{
    size_t size = strlen(value);
    bool printable = true;
    for (const char *c = value; *c != '\0'; c++)
        printable &= !iscntrl((unsigned char)*c);
    if (!printable || !nilai_utf8_valid(value, size))
        return refuse(setting, value, "a text in UTF-8 without control characters", error);
    if (size == 0 && setting->automatic == NULL)
        return refuse(setting, value, "a text of at least one letter", error);
    if (size >= setting->size)
        return nilai_error_set(error, NILAI_CONFIG, "%s: longer than %zu bytes", setting->path,
                               setting->size - 1);
    memcpy(place, value, size + 1);
    return NILAI_OK;
}

static bool is_topic_name(const char *name)
{
    size_t size = strlen(name);
    return size >= 1 && size <= 249 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0
           && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
                  == size;
}

#define TOPIC_RULE "the name of a topic (1 to 249 letters, digits, dots, _ and -)"

static enum nilai_status parse_topic(const struct nilai_setting *setting, char *place,
                                     const char *value, struct nilai_error *error)
{
    if (!is_topic_name(value))
        return refuse(setting, value, TOPIC_RULE, error);
    strcpy(place, value);
    return NILAI_OK;
}

static enum nilai_status parse_topics(const struct nilai_setting *setting,
                                      struct nilai_config *config, const char *value,
                                      struct nilai_error *error)
{
    char topics[NILAI_CONFIG_TOPICS_MAX][NILAI_CONFIG_TEXT_SIZE] = {0};
    size_t count = 0;
    for (const char *next = value;; next++) {
        size_t size = strcspn(next, ",");
        if (count == NILAI_CONFIG_TOPICS_MAX)
            return nilai_error_set(error, NILAI_CONFIG, "%s: more than %d topics", setting->path,
                                   NILAI_CONFIG_TOPICS_MAX);
        snprintf(topics[count], sizeof topics[count], "%.*s", size < 255 ? (int)size : 255, next);
        if (!is_topic_name(topics[count]))
            return refuse(setting, topics[count], TOPIC_RULE, error);
        count++;
        next += size;
        if (*next == '\0')
            break;
    }
    memcpy(config->input_topics, topics, sizeof topics);
    config->input_topic_count = count;
    return NILAI_OK;
}

static enum nilai_status parse_currency(const struct nilai_setting *setting, char *place,
                                        const char *value, struct nilai_error *error)
{
    if (strlen(value) != 3 || strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
        return refuse(setting, value, "a currency of three capitals", error);
    memcpy(place, value, 4);
    return NILAI_OK;
}

static enum nilai_status parse_choice(const struct nilai_setting *setting, void *place,
                                      const char *value, struct nilai_error *error)
{
    char expected[NILAI_SETTING_RANGE_SIZE];
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], value) == 0) {
            memcpy(place, &i, sizeof i);
            return NILAI_OK;
        }
    }
    nilai_setting_format_range(setting, expected);
    return refuse(setting, value, expected, error);
}

static enum nilai_status parse_bool(const struct nilai_setting *setting, bool *place,
                                    const char *value, struct nilai_error *error)
{
    bool yes = strcmp(value, "true") == 0;
    if (!yes && strcmp(value, "false") != 0)
        return refuse(setting, value, "true or false", error);
    *place = yes;
    return NILAI_OK;
}

static bool read_quantity(enum nilai_setting_kind kind, const char *value, double *number)
{
    if (kind == NILAI_SETTING_DURATION)
        return nilai_duration_parse(value, number);
    if (kind == NILAI_SETTING_SIZE)
        return quantity_parse(value, size_units, NILAI_ARRAY_LEN(size_units), number);
    return nilai_number_parse(value, number);
}

static bool in_range(const struct nilai_setting *setting, double number)
{
    if (setting->open)
        return number > setting->min && number < setting->max;
    return number >= setting->min && number <= setting->max;
}

static void store_number(enum nilai_setting_kind kind, void *place, double number)
{
    if (kind == NILAI_SETTING_NUMBER)
        *(double *)place = number;
    else if (kind == NILAI_SETTING_COUNT)
        *(uint32_t *)place = (uint32_t)number;
    else if (kind == NILAI_SETTING_SIZE)
        *(uint64_t *)place = (uint64_t)number;
    else
        *(int64_t *)place = (int64_t)number;
}

static const char *const kind_names[] = {
    [NILAI_SETTING_COUNT] = "a whole number",
    [NILAI_SETTING_INTEGER] = "a whole number",
    [NILAI_SETTING_NUMBER] = "a number",
    [NILAI_SETTING_DURATION] = "a duration, a number with ms, s, m, h or d",
    [NILAI_SETTING_SIZE] = "a size, a number of bytes or with KiB, MiB, GiB or TiB",
};

static enum nilai_status parse_quantity(const struct nilai_setting *setting, void *place,
                                        const char *value, struct nilai_error *error)
{
    char range[NILAI_SETTING_RANGE_SIZE], expected[sizeof range + 16];
    double number;
    if (setting->automatic != NULL && strcmp(value, "auto") == 0) {
        store_number(setting->kind, place, setting->kind == NILAI_SETTING_NUMBER ? NAN : 0);
        return NILAI_OK;
    }
    bool whole = setting->kind == NILAI_SETTING_COUNT || setting->kind == NILAI_SETTING_INTEGER;
    if (!read_quantity(setting->kind, value, &number) || (whole && number != rint(number)))
        return refuse(setting, value, kind_names[setting->kind], error);
    if (!in_range(setting, number)) {
        nilai_setting_format_range(setting, range);
        snprintf(expected, sizeof expected, "within %s", range);
        return refuse(setting, value, expected, error);
    }
    store_number(setting->kind, place, number);
    return NILAI_OK;
}

enum nilai_status nilai_setting_parse(const struct nilai_setting *setting,
                                      struct nilai_config *config, const char *value,
                                      struct nilai_error *error)
{
    void *place = place_of(setting, config);
    switch (setting->kind) {
    case NILAI_SETTING_TEXT: return parse_text(setting, place, value, error);
    case NILAI_SETTING_TOPIC: return parse_topic(setting, place, value, error);
    case NILAI_SETTING_TOPICS: return parse_topics(setting, config, value, error);
    case NILAI_SETTING_CURRENCY: return parse_currency(setting, place, value, error);
    case NILAI_SETTING_CHOICE: return parse_choice(setting, place, value, error);
    case NILAI_SETTING_BOOL: return parse_bool(setting, place, value, error);
    case NILAI_SETTING_COUNT:
    case NILAI_SETTING_INTEGER:
    case NILAI_SETTING_NUMBER:
    case NILAI_SETTING_DURATION:
    case NILAI_SETTING_SIZE: break;
    }
    return parse_quantity(setting, place, value, error);
}

/* ---- Writing ---------------------------------------------------------------------------- */

static void format_quantity(enum nilai_setting_kind kind, double number, char *text)
{
    if (kind == NILAI_SETTING_DURATION)
        quantity_format(number, duration_units, NILAI_ARRAY_LEN(duration_units), text, 32);
    else if (kind == NILAI_SETTING_SIZE)
        quantity_format(number, size_units, NILAI_ARRAY_LEN(size_units), text, 32);
    else
        nilai_number_format(number, text);
}

static double load_number(enum nilai_setting_kind kind, const void *place)
{
    if (kind == NILAI_SETTING_NUMBER)
        return *(const double *)place;
    if (kind == NILAI_SETTING_COUNT)
        return *(const uint32_t *)place;
    if (kind == NILAI_SETTING_SIZE)
        return (double)*(const uint64_t *)place;
    return (double)*(const int64_t *)place;
}

static bool is_automatic(const struct nilai_setting *setting, double number)
{
    if (setting->automatic == NULL)
        return false;
    return setting->kind == NILAI_SETTING_NUMBER ? isnan(number) : number == 0;
}

static void format_topics(const struct nilai_config *config, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < config->input_topic_count; i++)
        used += (size_t)snprintf(text + used, NILAI_SETTING_VALUE_SIZE - used, "%s%s",
                                 i > 0 ? "," : "", config->input_topics[i]);
}

void nilai_setting_format(const struct nilai_setting *setting, const struct nilai_config *config,
                          char value[static NILAI_SETTING_VALUE_SIZE])
{
    const void *place = value_of(setting, config);
    int choice;
    switch (setting->kind) {
    case NILAI_SETTING_TEXT:
    case NILAI_SETTING_TOPIC:
    case NILAI_SETTING_CURRENCY:
        snprintf(value, NILAI_SETTING_VALUE_SIZE, "%s", (const char *)place);
        return;
    case NILAI_SETTING_TOPICS: format_topics(config, value); return;
    case NILAI_SETTING_CHOICE:
        memcpy(&choice, place, sizeof choice);
        strcpy(value, setting->choices[choice]);
        return;
    case NILAI_SETTING_BOOL: strcpy(value, *(const bool *)place ? "true" : "false"); return;
    case NILAI_SETTING_COUNT:
    case NILAI_SETTING_INTEGER:
    case NILAI_SETTING_NUMBER:
    case NILAI_SETTING_DURATION:
    case NILAI_SETTING_SIZE: break;
    }
    double number = load_number(setting->kind, place);
    if (is_automatic(setting, number))
        strcpy(value, "auto");
    else
        format_quantity(setting->kind, number, value);
}

void nilai_setting_format_range(const struct nilai_setting *setting,
                                char text[static NILAI_SETTING_RANGE_SIZE])
{
    char least[32], most[32];
    text[0] = '\0';
    switch (setting->kind) {
    case NILAI_SETTING_TEXT:
    case NILAI_SETTING_TOPIC:
    case NILAI_SETTING_TOPICS:
    case NILAI_SETTING_CURRENCY: return;
    case NILAI_SETTING_BOOL: strcpy(text, "true | false"); return;
    case NILAI_SETTING_CHOICE:
        for (int i = 0; setting->choices[i] != NULL; i++) {
            strcat(text, i > 0 ? " | " : "");
            strcat(text, setting->choices[i]);
        }
        return;
    case NILAI_SETTING_COUNT:
    case NILAI_SETTING_INTEGER:
    case NILAI_SETTING_NUMBER:
    case NILAI_SETTING_DURATION:
    case NILAI_SETTING_SIZE: break;
    }
    format_quantity(setting->kind, setting->min, least);
    format_quantity(setting->kind, setting->max, most);
    snprintf(text, NILAI_SETTING_RANGE_SIZE, "%s .. %s%s", least, most,
             setting->open ? " (both excluded)" : "");
}
