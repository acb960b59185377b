#include "nilai/run/config.h"

#include "nilai/run/setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

/*
 * A configuration file is one YAML map. Sections nest, or their names are joined by dots:
 *
 *     alerts: {medium: {up: 0.5}}        is the same as        alerts.medium.up: 0.5
 *
 * Of YAML only maps, lists of topics and scalars are taken: an anchor or a tag in a
 * configuration hides what a value is. The reader keeps the path down to where it stands and
 * hands every value, as text, to nilai_config_assign.
 */

/* A key that was seen: a second one would silently win over the first. */
struct seen {
    char path[NILAI_CONFIG_PATH_SIZE];
    size_t line;
};

struct reader {
    struct nilai_config *config;
    const char *name; /* of the file, for errors */
    yaml_parser_t parser;
    yaml_event_t event; /* the one in hand */
    bool holds_event;
    char path[NILAI_CONFIG_PATH_SIZE]; /* "alerts.medium" */
    size_t key_line;                   /* of the last key: a block below it begins a line later */
    size_t depth;
    struct seen *seen;
    size_t seen_count;
    struct nilai_error *error;
};

static size_t line_of(const struct reader *reader)
{
    return reader->event.start_mark.line + 1;
}

/* NILAI_CONFIG with file and line in front of `format`. */
static enum nilai_status fail_at(struct reader *reader, size_t line, const char *format, ...)
    NILAI_PRINTF(3, 4);

static enum nilai_status fail_at(struct reader *reader, size_t line, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return nilai_error_set(reader->error, NILAI_CONFIG, "%.100s:%zu: %s", reader->name, line, text);
}

/* Takes the next event in hand. */
static enum nilai_status next_event(struct reader *reader)
{
    if (reader->holds_event)
        yaml_event_delete(&reader->event);
    reader->holds_event = yaml_parser_parse(&reader->parser, &reader->event) == 1;
    if (reader->holds_event)
        return NILAI_OK;
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "out of memory";
    /* A problem of the bytes themselves has an offset, but no place in the text. */
    if (parser->error == YAML_READER_ERROR)
        return nilai_error_set(reader->error, NILAI_CONFIG, "%.100s: byte %zu: %s", reader->name,
                               parser->problem_offset, problem);
    return fail_at(reader, parser->problem_mark.line + 1, "%s", problem);
}

static enum nilai_status check_plain(struct reader *reader, const yaml_char_t *anchor,
                                     const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fail_at(reader, line_of(reader), "anchors (&%.40s) are not taken here",
                       (const char *)anchor);
    if (tag != NULL)
        return fail_at(reader, line_of(reader), "tags (%.40s) are not taken here",
                       (const char *)tag);
    return NILAI_OK;
}

/* What the event in hand must not be, wherever it stands. */
static enum nilai_status check_event(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(reader, line_of(reader), "aliases (*%.40s) are not taken here",
                       (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
            return fail_at(reader, line_of(reader), "a zero byte in a value");
        return check_plain(reader, event->data.scalar.anchor, event->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return check_plain(reader, event->data.sequence_start.anchor,
                           event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return check_plain(reader, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    default: return NILAI_OK;
    }
}

static enum nilai_status take(struct reader *reader)
{
    enum nilai_status status = next_event(reader);
    return status == NILAI_OK ? check_event(reader) : status;
}

/* ---- Keys ------------------------------------------------------------------------------- */

static enum nilai_status remember_key(struct reader *reader)
{
    for (size_t i = 0; i < reader->seen_count; i++)
        if (strcmp(reader->seen[i].path, reader->path) == 0)
            return fail_at(reader, line_of(reader), "%s was given in line %zu already",
                           reader->path, reader->seen[i].line);
    if (reader->seen_count == NILAI_CONFIG_KEYS_MAX)
        return fail_at(reader, line_of(reader), "more than %d keys", NILAI_CONFIG_KEYS_MAX);
    struct seen *seen = &reader->seen[reader->seen_count++];
    memcpy(seen->path, reader->path, sizeof seen->path);
    seen->line = line_of(reader);
    return NILAI_OK;
}

/* Goes down into the key in hand. */
static enum nilai_status enter_key(struct reader *reader)
{
    if (reader->event.type != YAML_SCALAR_EVENT)
        return fail_at(reader, line_of(reader), "a key is a plain name");
    const char *key = (const char *)reader->event.data.scalar.value;
    size_t used = strlen(reader->path), size = strlen(key);
    reader->key_line = line_of(reader);
    if (size == 0 || used + 1 + size >= sizeof reader->path)
        return fail_at(reader, line_of(reader), "a key of %zu bytes below `%s`", size,
                       reader->path);
    snprintf(reader->path + used, sizeof reader->path - used, "%s%s", used > 0 ? "." : "", key);
    return remember_key(reader);
}

/* Whether settings may stand below the path. */
static bool is_section(const char *path)
{
    return nilai_setting_is_section(path) || strcmp(path, "kafka") == 0
           || strncmp(path, "kafka.", 6) == 0 || strcmp(path, "currency.rates") == 0;
}

/* ---- Values ----------------------------------------------------------------------------- */

static enum nilai_status assign(struct reader *reader, size_t line, const char *value)
{
    struct nilai_error inner = {0};
    enum nilai_status status = nilai_config_assign(reader->config, reader->path, value, &inner);
    if (status != NILAI_OK)
        return fail_at(reader, line, "%s", inner.text);
    return NILAI_OK;
}

static enum nilai_status read_scalar(struct reader *reader)
{
    const char *value = (const char *)reader->event.data.scalar.value;
    bool plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool nothing =
        plain && (value[0] == '\0' || strcmp(value, "~") == 0 || strcmp(value, "null") == 0);
    if (!nothing)
        return assign(reader, line_of(reader), value);
    bool property = strncmp(reader->path, "kafka.", 6) == 0;
    /* A section whose lines are all commented out is an empty one. */
    if (is_section(reader->path) && !property)
        return NILAI_OK;
    if (property || nilai_setting_find(reader->path) != NULL)
        return fail_at(reader, line_of(reader), "%s has no value", reader->path);
    return assign(reader, line_of(reader), ""); /* says what is unknown */
}

/* A list of topics is handed over as one text with commas, as the environment writes it. */
static enum nilai_status read_list(struct reader *reader)
{
    const struct nilai_setting *setting = nilai_setting_find(reader->path);
    if (setting == NULL || setting->kind != NILAI_SETTING_TOPICS)
        return fail_at(reader, line_of(reader), "%s is not a list", reader->path);

    char list[NILAI_SETTING_VALUE_SIZE] = "";
    size_t used = 0;
    enum nilai_status status = take(reader);
    while (status == NILAI_OK && reader->event.type == YAML_SCALAR_EVENT) {
        const char *item = (const char *)reader->event.data.scalar.value;
        if (strchr(item, ',') != NULL || used + strlen(item) + 2 > sizeof list)
            return fail_at(reader, line_of(reader), "%s: `%.40s` is not an item of the list",
                           reader->path, item);
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? "," : "", item);
        status = take(reader);
    }
    if (status != NILAI_OK)
        return status;
    if (reader->event.type != YAML_SEQUENCE_END_EVENT)
        return fail_at(reader, line_of(reader), "%s: an item of the list is a plain name",
                       reader->path);
    return assign(reader, reader->key_line, list);
}

static enum nilai_status read_section(struct reader *reader);

static enum nilai_status read_value(struct reader *reader)
{
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT: return read_scalar(reader);
    case YAML_SEQUENCE_START_EVENT: return read_list(reader);
    default: break;
    }
    NILAI_ASSERT(reader->event.type == YAML_MAPPING_START_EVENT);
    if (nilai_setting_find(reader->path) != NULL)
        return fail_at(reader, reader->key_line, "%s has one value, it is not a section",
                       reader->path);
    if (!is_section(reader->path))
        return assign(reader, reader->key_line, ""); /* says what is unknown */
    return read_section(reader);
}

/* The keys of the map whose start is in hand, up to and including its end. */
static enum nilai_status read_section(struct reader *reader)
{
    size_t above = strlen(reader->path);
    if (reader->depth == NILAI_CONFIG_DEPTH_MAX)
        return fail_at(reader, line_of(reader), "sections are nested deeper than %d",
                       NILAI_CONFIG_DEPTH_MAX);
    reader->depth++;
    enum nilai_status status = take(reader);
    while (status == NILAI_OK && reader->event.type != YAML_MAPPING_END_EVENT) {
        status = enter_key(reader);
        if (status == NILAI_OK)
            status = take(reader);
        if (status == NILAI_OK)
            status = read_value(reader);
        reader->path[above] = '\0';
        if (status == NILAI_OK)
            status = take(reader);
    }
    reader->depth--;
    return status;
}

/* The one document; an empty file is an empty map. */
static enum nilai_status read_document(struct reader *reader)
{
    enum nilai_status status = take(reader);
    if (status == NILAI_OK)
        status = take(reader);
    if (status != NILAI_OK || reader->event.type == YAML_STREAM_END_EVENT)
        return status;

    NILAI_ASSERT(reader->event.type == YAML_DOCUMENT_START_EVENT);
    status = take(reader);
    if (status != NILAI_OK)
        return status;
    bool empty = reader->event.type == YAML_SCALAR_EVENT && reader->event.data.scalar.length == 0;
    if (reader->event.type == YAML_MAPPING_START_EVENT)
        status = read_section(reader);
    else if (!empty)
        return fail_at(reader, line_of(reader), "a configuration is a map of settings");
    if (status == NILAI_OK)
        status = take(reader);
    if (status == NILAI_OK)
        status = take(reader);
    if (status == NILAI_OK && reader->event.type != YAML_STREAM_END_EVENT)
        return fail_at(reader, line_of(reader), "a second document begins");
    return status;
}

static enum nilai_status read_into(struct nilai_config *config, const char *name, const void *text,
                                   size_t size, struct nilai_error *error)
{
    struct reader reader = {.config = config, .name = name, .error = error};
    reader.seen = malloc(NILAI_CONFIG_KEYS_MAX * sizeof *reader.seen);
    if (reader.seen == NULL || yaml_parser_initialize(&reader.parser) != 1) {
        free(reader.seen);
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, text, size);
    enum nilai_status status = read_document(&reader);
    if (reader.holds_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    free(reader.seen);
    return status;
}

enum nilai_status nilai_config_read_text(struct nilai_config *config, const char *name,
                                         const void *text, size_t size, struct nilai_error *error)
{
    if (size > NILAI_CONFIG_FILE_SIZE_MAX)
        return nilai_error_set(error, NILAI_CONFIG, "%.200s: larger than %d bytes", name,
                               NILAI_CONFIG_FILE_SIZE_MAX);
    struct nilai_config *changed = malloc(sizeof *changed);
    if (changed == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    *changed = *config;
    enum nilai_status status = read_into(changed, name, text, size, error);
    if (status == NILAI_OK)
        *config = *changed;
    explicit_bzero(changed, sizeof *changed); /* it may hold secrets */
    free(changed);
    return status;
}

enum nilai_status nilai_config_read_file(struct nilai_config *config, const char *path,
                                         struct nilai_error *error)
{
    enum { SPACE = NILAI_CONFIG_FILE_SIZE_MAX + 1 }; /* one more shows that it is too large */
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return nilai_error_set(error, NILAI_CONFIG, "%.200s: %s", path, strerror(errno));
    char *text = malloc(SPACE);
    size_t size = text != NULL ? fread(text, 1, SPACE, file) : 0;
    bool failed = ferror(file) != 0;
    int reason = errno;
    fclose(file);

    enum nilai_status status;
    if (text == NULL)
        status = nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    else if (failed)
        status = nilai_error_set(error, NILAI_CONFIG, "%.200s: %s", path, strerror(reason));
    else
        status = nilai_config_read_text(config, path, text, size, error);
    if (text != NULL)
        explicit_bzero(text, SPACE);
    free(text);
    return status;
}
