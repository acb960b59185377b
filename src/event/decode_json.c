/*
 * yajl reads (json.h). Depth, and "a map and nothing else", are for its callbacks to count. It
 * allocates as it goes, and does not look whether it got anything: it is given an arena that is
 * large enough for the largest event.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "nilai/event/fault.h"
#include "nilai/event/reader.h"

enum {
    /* yajl keeps two buffers that double: one for a string with escapes, one for a token
     * that the end of the text cuts off. The rest are a few hundred bytes. */
    ARENA_SIZE = 2 * 2 * NILAI_EVENT_SIZE_MAX + 64 * 1024,
    ARENA_ALIGN = 16,
    SHORT_NUMBER_SIZE = 64,
};

/* Memory that is given out from the front and forgotten as a whole; only the last block can
 * grow where it is. Each block has its size before it. */
struct arena {
    unsigned char *bytes;
    size_t used;
};

struct nilai_json_reader {
    struct arena arena;
    char *copy;  /* the event, when escapes in it have to be looked at */
    char *texts; /* decoded strings, and long numbers: never more than the event is long */
    size_t texts_used;

    /* The event that is being read. */
    const struct nilai_field_index *index;
    struct nilai_fields *fields;
    struct nilai_json json;
    uint32_t depth;
    uint32_t nth;           /* element of the array that stands in the top map */
    enum nilai_field field; /* whose value comes or is open; NILAI_FIELDS: of no interest */
    uint32_t position;      /* of that value */
};

/* ---- the arena ----------------------------------------------------------- */

static size_t *size_of_block(void *block)
{
    return (size_t *)(void *)((char *)block - ARENA_ALIGN);
}

static void *arena_malloc(void *context, size_t size)
{
    struct arena *arena = context;
    size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    NILAI_ASSERT(rounded >= size && rounded + ARENA_ALIGN <= ARENA_SIZE - arena->used);
    unsigned char *block = arena->bytes + arena->used + ARENA_ALIGN;
    arena->used += ARENA_ALIGN + rounded;
    *size_of_block(block) = rounded;
    return block;
}

static void *arena_realloc(void *context, void *block, size_t size)
{
    struct arena *arena = context;
    if (block == NULL)
        return arena_malloc(context, size);
    size_t before = *size_of_block(block);
    if (size <= before)
        return block;
    if ((unsigned char *)block + before == arena->bytes + arena->used) {
        arena->used = (size_t)((unsigned char *)block - arena->bytes) - ARENA_ALIGN;
        return arena_malloc(context, size);
    }
    void *moved = arena_malloc(context, size);
    memcpy(moved, block, before);
    return moved;
}

static void arena_free(void *context, void *block)
{
    (void)context;
    (void)block;
}

/* ---- what yajl calls ----------------------------------------------------- */

static int stop(struct nilai_json_reader *reader, const char *fault)
{
    reader->json.fault = fault;
    return 0;
}

/* The value of a known field, or an element of an array that is one, is noted. */
static int note(struct nilai_json_reader *reader, const struct nilai_value *value)
{
    if (reader->depth == 0 && value->kind != NILAI_VALUE_MAP)
        return stop(reader, "not a map");
    if (reader->field == NILAI_FIELDS)
        return 1;
    struct nilai_value *field = &reader->fields->values[reader->field];
    if (reader->depth == 1) {
        *field = *value;
        field->position = reader->position;
        reader->nth = 0;
    } else if (reader->depth == 2 && field->kind == NILAI_VALUE_ARRAY) {
        nilai_value_note_element(field, reader->nth++, value);
        field->count = reader->nth;
    }
    return 1;
}

static int on_null(void *context)
{
    return note(context, &(struct nilai_value){.kind = NILAI_VALUE_NULL});
}

static int on_bool(void *context, int truth)
{
    return note(context, &(struct nilai_value){.kind = NILAI_VALUE_BOOL, .integer = truth});
}

/* True if a value that comes now is one that `note` looks at. */
static bool is_noted(const struct nilai_json_reader *reader)
{
    return reader->depth == 0 || (reader->depth <= 2 && reader->field != NILAI_FIELDS);
}

static void read_number(const char *digits, struct nilai_value *value)
{
    char *end;
    value->kind = NILAI_VALUE_REAL;
    if (strpbrk(digits, ".eE") == NULL) {
        errno = 0;
        value->integer = strtoll(digits, &end, 10);
        value->kind = errno == ERANGE ? NILAI_VALUE_BIG_INTEGER : NILAI_VALUE_INTEGER;
    }
    if (value->kind != NILAI_VALUE_INTEGER)
        value->real = strtod(digits, &end);
    NILAI_ASSERT(end > digits && *end == 0);
}

static int on_number(void *context, const char *data, size_t size)
{
    struct nilai_json_reader *reader = context;
    struct nilai_value value = {.kind = NILAI_VALUE_INTEGER};
    if (is_noted(reader)) {
        /* The digits are not terminated where they stand. */
        char few[SHORT_NUMBER_SIZE];
        NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX - reader->texts_used);
        char *digits = size < sizeof few ? few : reader->texts + reader->texts_used;
        memcpy(digits, data, size);
        digits[size] = 0;
        read_number(digits, &value);
    }
    return note(reader, &value);
}

/* A string without escapes is where it was; one with escapes is in a buffer that yajl uses
 * again for the next. */
static const char *keep_text(struct nilai_json_reader *reader, const char *data, size_t size)
{
    if (data >= reader->json.bytes && data < reader->json.bytes + reader->json.size)
        return data;
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX - reader->texts_used);
    char *text = reader->texts + reader->texts_used;
    memcpy(text, data, size);
    reader->texts_used += size;
    return text;
}

static int on_string(void *context, const unsigned char *data, size_t size)
{
    struct nilai_json_reader *reader = context;
    struct nilai_value value = {.kind = NILAI_VALUE_TEXT};
    if (is_noted(reader)) {
        value.text.data = keep_text(reader, (const char *)data, size);
        value.text.size = (uint32_t)size;
    }
    return note(reader, &value);
}

static int open_container(struct nilai_json_reader *reader, enum nilai_value_kind kind)
{
    struct nilai_value value = {.kind = (uint8_t)kind, .all_maps = true, .all_numbers = true};
    if (!note(reader, &value))
        return 0;
    if (reader->depth == NILAI_EVENT_DEPTH_MAX)
        return stop(reader, "nested deeper than 8");
    reader->depth++;
    return 1;
}

static int on_open_map(void *context)
{
    return open_container(context, NILAI_VALUE_MAP);
}

static int on_open_array(void *context)
{
    return open_container(context, NILAI_VALUE_ARRAY);
}

static int on_close(void *context)
{
    struct nilai_json_reader *reader = context;
    NILAI_ASSERT(reader->depth > 0);
    reader->depth--;
    if (reader->depth == 0)
        reader->json.end = yajl_get_bytes_consumed(reader->json.parser);
    return 1;
}

/* Where the value starts whose key has just been read. */
static uint32_t value_position(const struct nilai_json_reader *reader)
{
    size_t at = yajl_get_bytes_consumed(reader->json.parser);
    while (at < reader->json.size
           && (nilai_json_is_space(reader->json.bytes[at]) || reader->json.bytes[at] == ':'))
        at++;
    return (uint32_t)at;
}

static int on_key(void *context, const unsigned char *name, size_t size)
{
    struct nilai_json_reader *reader = context;
    if (reader->depth != 1)
        return 1;
    reader->field = nilai_field_find(reader->index, (const char *)name, size);
    if (reader->field == NILAI_FIELDS)
        return 1;
    uint32_t bit = UINT32_C(1) << reader->field;
    reader->fields->twice |= reader->fields->present & bit;
    reader->fields->present |= bit;
    reader->position = value_position(reader);
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close,
};

/* ---- one event ----------------------------------------------------------- */

struct nilai_json_reader *nilai_json_reader_create(void)
{
    struct nilai_json_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->arena.bytes = malloc(ARENA_SIZE);
    reader->copy = malloc(NILAI_EVENT_SIZE_MAX);
    reader->texts = malloc(NILAI_EVENT_SIZE_MAX + 1);
    if (reader->arena.bytes == NULL || reader->copy == NULL || reader->texts == NULL) {
        nilai_json_reader_destroy(reader);
        return NULL;
    }
    return reader;
}

void nilai_json_reader_destroy(struct nilai_json_reader *reader)
{
    if (reader == NULL)
        return;
    free(reader->arena.bytes);
    free(reader->copy);
    free(reader->texts);
    free(reader);
}

static void start(struct nilai_json_reader *reader, const struct nilai_field_index *index,
                  const uint8_t *bytes, size_t size, struct nilai_fields *fields)
{
    fields->present = 0;
    fields->twice = 0;
    reader->texts_used = 0;
    reader->index = index;
    reader->fields = fields;
    reader->depth = 0;
    reader->field = NILAI_FIELDS;
    const char *text = (const char *)bytes;
    if (nilai_json_has_escapes(bytes, size)) {
        nilai_json_copy_marked(reader->copy, bytes, size);
        text = reader->copy;
    }
    /* The parser lives in the arena and is forgotten with it: it is never freed. */
    yajl_alloc_funcs functions = {
        .malloc = arena_malloc,
        .realloc = arena_realloc,
        .free = arena_free,
        .ctx = &reader->arena,
    };
    reader->arena.used = 0;
    bool started = nilai_json_start(&reader->json, &callbacks, &functions, reader, text, size);
    NILAI_ASSERT(started); /* the arena is large enough */
}

/* What is no UTF-8 concerns the fields alone, not the whole. */
bool nilai_read_json(struct nilai_json_reader *reader, const struct nilai_field_index *index,
                     const uint8_t *bytes, size_t size, struct nilai_fields *fields,
                     struct nilai_reject *reject)
{
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX);
    size_t position;
    start(reader, index, bytes, size, fields);
    const char *fault = nilai_json_parse(&reader->json, &position);
    if (fault != NULL)
        return nilai_fault_malformed(reject, fault, position);
    NILAI_ASSERT(reader->depth == 0 && reader->json.end > 0);
    return true;
}
