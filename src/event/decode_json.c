/*
 * yajl reads; what it gets wrong is put right around it:
 * - form feed and vertical tab are white space to it, not to JSON: looked for first;
 * - half a surrogate pair becomes "?", or one character with whatever escape follows; such
 *   escapes are overwritten by bytes that are not UTF-8 before it sees them, in a copy;
 * - depth, and "a map and nothing else", are for its callbacks to count;
 * - it allocates as it goes, and does not look whether it got anything: it is given an arena
 *   that is large enough for the largest event.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

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
    yajl_handle parser;
    const char *bytes;
    size_t size;
    const char *fault; /* why we stopped the parser; NULL if we did not */
    size_t end;        /* just after the top map */
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
    reader->fault = fault;
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
    if (data >= reader->bytes && data < reader->bytes + reader->size)
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
        reader->end = yajl_get_bytes_consumed(reader->parser);
    return 1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Where the value starts whose key has just been read. */
static uint32_t value_position(const struct nilai_json_reader *reader)
{
    size_t at = yajl_get_bytes_consumed(reader->parser);
    while (at < reader->size && (is_space(reader->bytes[at]) || reader->bytes[at] == ':'))
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

/* ---- what yajl would get wrong ------------------------------------------- */

size_t nilai_json_find_bad_space(const void *bytes, size_t size)
{
    const char *start = bytes;
    const char *feed = memchr(bytes, '\f', size);
    const char *tab = memchr(bytes, '\v', feed == NULL ? size : (size_t)(feed - start));
    const char *first = tab != NULL ? tab : feed;
    return first == NULL ? size : (size_t)(first - start);
}

enum { ESCAPE_SIZE = 6 }; /* \uXXXX */

/* The code unit of an escape at `at`; -1 if there is none. */
static int32_t code_unit(const char *bytes, size_t size, size_t at)
{
    int32_t unit = 0;
    if (at >= size || size - at < ESCAPE_SIZE || bytes[at] != '\\' || bytes[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + ESCAPE_SIZE; i++) {
        char c = bytes[i];
        int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_half(int32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_half(int32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

void nilai_json_copy_marked(char *copy, const void *bytes, size_t size)
{
    const char *from = bytes;
    memcpy(copy, from, size);
    for (size_t at = 0; at < size;) {
        const char *escape = memchr(from + at, '\\', size - at);
        if (escape == NULL)
            return;
        at = (size_t)(escape - from);
        int32_t unit = code_unit(from, size, at);
        if (unit < 0) {
            at += 2; /* another escape, of a backslash perhaps */
        } else if (is_high_half(unit) && is_low_half(code_unit(from, size, at + ESCAPE_SIZE))) {
            at += 2 * ESCAPE_SIZE;
        } else {
            if (is_high_half(unit) || is_low_half(unit))
                memset(copy + at, 0xff, ESCAPE_SIZE);
            at += ESCAPE_SIZE;
        }
    }
}

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

/* The parser lives in the arena and is forgotten with it: it is never freed. */
static void start_parser(struct nilai_json_reader *reader)
{
    yajl_alloc_funcs functions = {
        .malloc = arena_malloc,
        .realloc = arena_realloc,
        .free = arena_free,
        .ctx = &reader->arena,
    };
    reader->arena.used = 0;
    reader->parser = yajl_alloc(&callbacks, &functions, reader);
    NILAI_ASSERT(reader->parser != NULL);
    /* What is no UTF-8 concerns the fields alone, not the whole. */
    yajl_config(reader->parser, yajl_dont_validate_strings, 1);
}

static void start(struct nilai_json_reader *reader, const struct nilai_field_index *index,
                  const uint8_t *bytes, size_t size, struct nilai_fields *fields)
{
    fields->present = 0;
    fields->twice = 0;
    reader->texts_used = 0;
    reader->index = index;
    reader->fields = fields;
    reader->bytes = (const char *)bytes;
    reader->size = size;
    reader->fault = NULL;
    reader->depth = 0;
    reader->end = 0;
    reader->field = NILAI_FIELDS;
    if (memchr(bytes, '\\', size) != NULL) {
        nilai_json_copy_marked(reader->copy, bytes, size);
        reader->bytes = reader->copy;
    }
    start_parser(reader);
}

/* Its error text names no content of the event. */
static bool reject_syntax(struct nilai_json_reader *reader, size_t position, struct nilai_reject *reject)
{
    char text[96];
    unsigned char *error = yajl_get_error(reader->parser, 0, NULL, 0);
    snprintf(text, sizeof text, "not JSON: %s", (const char *)error);
    text[strcspn(text, "\n")] = 0;
    return nilai_fault_malformed(reject, text, position);
}

/* yajl takes `{} "` for whole: it waits for the end of the string, and then does not. */
static bool check_rest(const struct nilai_json_reader *reader, struct nilai_reject *reject)
{
    size_t at = reader->end;
    while (at < reader->size && is_space(reader->bytes[at]))
        at++;
    return at == reader->size || nilai_fault_malformed(reject, "more than one value", at);
}

bool nilai_read_json(struct nilai_json_reader *reader, const struct nilai_field_index *index,
                     const uint8_t *bytes, size_t size, struct nilai_fields *fields,
                     struct nilai_reject *reject)
{
    NILAI_ASSERT(size <= NILAI_EVENT_SIZE_MAX);
    size_t bad_space = nilai_json_find_bad_space(bytes, size);
    if (bad_space < size)
        return nilai_fault_malformed(reject, "not JSON: a form feed or vertical tab", bad_space);

    start(reader, index, bytes, size, fields);
    yajl_status status = yajl_parse(reader->parser, (const unsigned char *)reader->bytes, size);
    size_t position = yajl_get_bytes_consumed(reader->parser);
    if (status == yajl_status_ok) {
        position = size;
        status = yajl_complete_parse(reader->parser);
    }
    if (reader->fault != NULL)
        return nilai_fault_malformed(reject, reader->fault, position > 0 ? position - 1 : 0);
    if (status != yajl_status_ok)
        return reject_syntax(reader, position, reject);
    NILAI_ASSERT(reader->depth == 0 && reader->end > 0);
    return check_rest(reader, reject);
}
