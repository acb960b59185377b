#include "nilai/run/config.h"

#include "nilai/event/utf8.h"
#include "nilai/run/setting.h"

#include <ctype.h>
#include <string.h>

enum { WIDTH = 78, INDENT = 2 };

/* ---- Scalars ---------------------------------------------------------------------------- */

/* Whether other YAML readers, too, take the bare text for a text. */
static bool is_bare_word(const char *text)
{
    static const char *const reserved[] = {"true", "false", "null", "yes",  "no",   "on",
                                           "off",  "y",     "n",    "True", "False"};
    if (!isalpha((unsigned char)text[0]))
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-/", *c) == NULL)
            return false;
    for (size_t i = 0; i < NILAI_ARRAY_LEN(reserved); i++)
        if (strcasecmp(text, reserved[i]) == 0)
            return false;
    return true;
}

/* The code point of the well-formed character at `text`. */
static uint32_t code_point(const char *text, size_t size)
{
    uint32_t code = (unsigned char)text[0];
    if (size > 1)
        code &= 0x7fu >> size;
    for (size_t i = 1; i < size; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    return code;
}

/* YAML forbids these as they are, or folds them as it does the ends of lines. */
static bool needs_escape(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029
           || code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void print_text(const char *text, FILE *out)
{
    if (is_bare_word(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (size_t left = strlen(text), size; left > 0; text += size, left -= size) {
        bool valid;
        size = nilai_utf8_step(text, left, &valid);
        NILAI_ASSERT(valid);
        uint32_t code = code_point(text, size);
        if (needs_escape(code))
            fprintf(out, "\\u%04x", (unsigned)code);
        else
            fprintf(out, "%s%.*s", code == '"' || code == '\\' ? "\\" : "", (int)size, text);
    }
    fputc('"', out);
}

static void print_list(const char *value, FILE *out)
{
    fputc('[', out);
    for (const char *next = value; *next != '\0';) {
        char item[NILAI_CONFIG_TEXT_SIZE];
        size_t size = strcspn(next, ",");
        snprintf(item, sizeof item, "%.*s", (int)size, next);
        print_text(item, out);
        next += size;
        if (*next == ',') {
            fputs(", ", out);
            next++;
        }
    }
    fputc(']', out);
}

static void print_value(const struct nilai_setting *setting, const char *value, FILE *out)
{
    switch (setting->kind) {
    case NILAI_SETTING_TEXT:
    case NILAI_SETTING_TOPIC:
    case NILAI_SETTING_CURRENCY: print_text(value, out); break;
    case NILAI_SETTING_TOPICS: print_list(value, out); break;
    case NILAI_SETTING_CHOICE:
    case NILAI_SETTING_BOOL:
    case NILAI_SETTING_COUNT:
    case NILAI_SETTING_INTEGER:
    case NILAI_SETTING_NUMBER:
    case NILAI_SETTING_DURATION:
    case NILAI_SETTING_SIZE: fputs(value, out); break;
    }
}

/* ---- Sections --------------------------------------------------------------------------- */

/* How many sections the paths share from the left; *shared is where they part. */
static size_t common_depth(const char *before, const char *path, size_t *shared)
{
    size_t depth = 0;
    *shared = 0;
    for (size_t i = 0; path[i] != '\0' && before[i] == path[i]; i++) {
        if (path[i] == '.') {
            depth++;
            *shared = i + 1;
        }
    }
    return depth;
}

static void print_indent(size_t depth, FILE *out)
{
    fprintf(out, "%*s", (int)(depth * INDENT), "");
}

/* The heads of the sections that begin between two settings. Returns the depth of `path`
 * and leaves *leaf at its last name. A blank line parts the outermost ones. */
static size_t print_sections(const char *before, const char *path, const char **leaf, FILE *out)
{
    size_t shared;
    size_t depth = common_depth(before, path, &shared);
    const char *next = path + shared;
    for (size_t size = strcspn(next, "."); next[size] == '.'; size = strcspn(next, ".")) {
        if (depth == 0 && before[0] != '\0')
            fputc('\n', out);
        print_indent(depth++, out);
        fprintf(out, "%.*s:\n", (int)size, next);
        next += size + 1;
    }
    *leaf = next;
    return depth;
}

/* ---- The effective configuration -------------------------------------------------------- */

static void print_properties(const struct nilai_config *config, FILE *out)
{
    if (config->kafka_count == 0)
        return;
    fputs("kafka:\n", out);
    for (size_t i = 0; i < config->kafka_count; i++) {
        const struct nilai_kafka_property *property = &config->kafka[i];
        if (nilai_kafka_property_is_secret(property->name)) {
            fprintf(out, "  # %s: set, not shown\n", property->name);
            continue;
        }
        fprintf(out, "  %s: ", property->name);
        print_text(property->value, out);
        fputc('\n', out);
    }
    fputc('\n', out);
}

static void print_rates(const struct nilai_config *config, FILE *out)
{
    char number[32];
    if (config->rate_count == 0) {
        fputs("  rates: {}\n", out);
        return;
    }
    fputs("  rates:\n", out);
    for (size_t i = 0; i < config->rate_count; i++) {
        nilai_number_format(config->rates[i].rate, number);
        fprintf(out, "    %s: %s\n", config->rates[i].code, number);
    }
}

/* The rates have no row of their own: they stand behind the base currency. */
static bool rates_follow(const struct nilai_setting *setting)
{
    return strcmp(setting->path, "currency.base") == 0;
}

void nilai_config_print(const struct nilai_config *config, FILE *out)
{
    char value[NILAI_SETTING_VALUE_SIZE];
    const char *before = "", *leaf;
    print_properties(config, out);
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        size_t depth = print_sections(before, setting->path, &leaf, out);
        nilai_setting_format(setting, config, value);
        print_indent(depth, out);
        fprintf(out, "%s: ", leaf);
        print_value(setting, value, out);
        fputc('\n', out);
        if (rates_follow(setting))
            print_rates(config, out);
        before = setting->path;
    }
}

static const struct nilai_config *defaults(void)
{
    static struct nilai_config config; /* too large for a stack */
    nilai_config_defaults(&config);
    return &config;
}

/* ---- The sample ------------------------------------------------------------------------- */

/* `text` as comment lines, broken between words. */
static void print_comment(size_t depth, const char *text, FILE *out)
{
    size_t column = 0, start = depth * INDENT + 1;
    for (const char *word = text; *word != '\0';) {
        size_t size = strcspn(word, " ");
        if (column == 0 || column + 1 + size > WIDTH) {
            if (column > 0)
                fputc('\n', out);
            print_indent(depth, out);
            fputc('#', out);
            column = start;
        }
        fprintf(out, " %.*s", (int)size, word);
        column += 1 + size;
        word += size;
        word += strspn(word, " ");
    }
    fputc('\n', out);
}

static void print_setting_comment(size_t depth, const struct nilai_setting *setting, FILE *out)
{
    char range[NILAI_SETTING_RANGE_SIZE];
    nilai_setting_format_range(setting, range);
    print_comment(depth, setting->help, out);
    bool telling = range[0] != '\0' && setting->kind != NILAI_SETTING_BOOL;
    if (!telling && setting->automatic == NULL)
        return;
    print_indent(depth, out);
    fprintf(out, "# %s%s", telling ? "Range: " : "", telling ? range : "");
    if (setting->automatic != NULL)
        fprintf(out, "%s%s: %s", telling ? "; " : "",
                setting->kind == NILAI_SETTING_TEXT ? "Empty" : "auto", setting->automatic);
    fputc('\n', out);
}

static const char sample_head[] =
    "# Settings of nilai, all with their defaults. Written by `nilai check --sample`.\n"
    "#\n"
    "# Of two values the later wins: the default, this file, the environment, --set.\n"
    "#   alerts.medium.up in the environment:   NILAI_ALERTS_MEDIUM_UP=0.5\n"
    "#   alerts.medium.up on the command line:  --set alerts.medium.up=0.5\n"
    "# An unknown name is an error everywhere; of the environment all that begins with NILAI_ is\n"
    "# looked at, but for NILAI_TEST_..., and NILAI_SERVICE_... and NILAI_PORT..., which\n"
    "# Kubernetes sets by itself. Lists are separated by commas there.\n"
    "# Sections may also be written as names with dots (alerts.medium.up: 0.5). A name\n"
    "# that is given twice is an error; anchors, aliases and tags are not taken.\n"
    "# Durations are numbers with ms, s, m, h or d; sizes are bytes, or with KiB, MiB, GiB, TiB.\n"
    "\n"
    "# Properties of librdkafka under their own names. In the environment\n"
    "# NILAI_KAFKA_BOOTSTRAP_SERVERS, with underscores for dots.\n"
    "#\n"
    "# Secrets (passwords, private keys) may stand here or in the environment, not in --set. The\n"
    "# name of a secret with .file behind it names a file that holds it:\n"
    "#   sasl.password.file: /run/secrets/kafka-password\n"
    "# They are never printed.\n"
    "#\n"
    "# Not all properties are open to change:\n";

static void print_refusals(FILE *out)
{
    size_t count;
    const struct nilai_kafka_refusal *refusals = nilai_kafka_refusals(&count);
    for (size_t i = 0; i < count; i++) {
        const struct nilai_kafka_refusal *refusal = &refusals[i];
        bool open = refusal->allowed != NULL;
        fprintf(out, "#   %s%s%s: %s\n", refusal->name, open ? " is " : "",
                open ? refusal->allowed : "", refusal->reason);
    }
}

static void print_bounds(FILE *out)
{
    size_t count;
    const struct nilai_kafka_bound *bounds = nilai_kafka_bounds(&count);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "#   %s is %ld to %ld: %s\n", bounds[i].name, bounds[i].min, bounds[i].max,
                bounds[i].reason);
}

void nilai_config_print_sample(FILE *out)
{
    char value[NILAI_SETTING_VALUE_SIZE];
    const char *before = "", *leaf;
    const struct nilai_config *config = defaults();

    fputs(sample_head, out);
    print_refusals(out);
    print_bounds(out);
    fputs("kafka:\n  # The brokers; for these alone there is no default.\n"
          "  bootstrap.servers: \"localhost:9092\"\n", out);
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        bool is_top = strchr(setting->path, '.') == NULL;
        if (is_top || i == 0)
            fputc('\n', out);
        size_t depth = print_sections(before, setting->path, &leaf, out);
        nilai_setting_format(setting, config, value);
        print_setting_comment(depth, setting, out);
        print_indent(depth, out);
        fprintf(out, "%s: ", leaf);
        print_value(setting, value, out);
        fputc('\n', out);
        if (rates_follow(setting)) {
            print_comment(depth,
                          "Units of the base currency that one unit of another costs, for "
                          "example EUR: 1.08. Fixed: results must not change when rates do.",
                          out);
            print_rates(config, out);
        }
        before = setting->path;
    }
}

/* ---- The reference ---------------------------------------------------------------------- */

static void print_reference_row(const char *path, const char *value, const char *help, FILE *out)
{
    fprintf(out, "%-34s %s\n", path, value);
    const char *rest = help;
    while (*rest != '\0') {
        size_t size = strlen(rest);
        if (size > WIDTH - 4) {
            size = WIDTH - 4;
            while (rest[size] != ' ')
                size--;
        }
        fprintf(out, "    %.*s\n", (int)size, rest);
        rest += size;
        rest += strspn(rest, " ");
    }
}

void nilai_config_print_reference(FILE *out)
{
    char value[NILAI_SETTING_VALUE_SIZE], range[NILAI_SETTING_RANGE_SIZE];
    const struct nilai_config *config = defaults();

    fputs(
        "Settings, with their defaults and ranges. `nilai check --sample` writes a file of them.\n\n",
        out);
    print_reference_row("kafka.<property>", "",
                        "Any property of librdkafka, but for those that "
                        "would break a promise. kafka.bootstrap.servers is needed to reach Kafka.",
                        out);
    print_reference_row("currency.rates.<XXX>", "",
                        "Units of the base currency that one unit of currency XXX costs.", out);
    for (size_t i = 0; i < nilai_setting_count; i++) {
        const struct nilai_setting *setting = &nilai_settings[i];
        nilai_setting_format(setting, config, value);
        nilai_setting_format_range(setting, range);
        char shown[sizeof value + sizeof range + 8];
        snprintf(shown, sizeof shown, "%s%s%s%s", value[0] != '\0' ? value : "\"\"",
                 range[0] != '\0' ? "  (" : "", range, range[0] != '\0' ? ")" : "");
        print_reference_row(setting->path, shown, setting->help, out);
    }
}
