/*
 * JSON is read by yajl, which says how many entries a container has only at its end: room
 * for the longest header is left at its start, and what follows is moved up at its end. The
 * depth is limited, so that no byte is moved often.
 */
#include "nilai/event/convert.h"

#include <errno.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "json.h"
#include "nilai/event/buffer.h"
#include "nilai/event/cursor.h"
#include "nilai/event/encode.h"

enum {
    DEPTH_MAX = 64, /* below yajl's own limit of 128 */
    HEADER_SIZE_MAX = 5,
};

#define SIZE_MAX_CONVERTED ((size_t)NILAI_ENCODE_SIZE_MAX)

/* One open container: of JSON being read, or of MessagePack being read. */
struct level {
    bool is_map;
    size_t start;  /* JSON: where its header will be, in the output */
    uint64_t left; /* MessagePack: values still to come; a map's keys are at even numbers */
    uint32_t count;
};

struct nilai_converter {
    struct nilai_buffer output;
    struct nilai_buffer input; /* JSON with marks (nilai_json_copy_marked) */
    msgpack_packer packer;
    struct nilai_json json;
    const char *fault; /* why MessagePack is not read on; NULL if nothing is wrong */
    uint32_t depth;
    struct level levels[DEPTH_MAX + 1];
};

static int append(void *context, const char *data, size_t size)
{
    nilai_buffer_append(context, data, size);
    return 0;
}

static void append_json(void *context, const char *data, size_t size)
{
    nilai_buffer_append(context, data, size);
}

struct nilai_converter *nilai_converter_create(void)
{
    struct nilai_converter *converter = calloc(1, sizeof *converter);
    if (converter == NULL)
        return NULL;
    nilai_buffer_init(&converter->output, SIZE_MAX_CONVERTED);
    nilai_buffer_init(&converter->input, SIZE_MAX_CONVERTED);
    msgpack_packer_init(&converter->packer, &converter->output, append);
    return converter;
}

void nilai_converter_destroy(struct nilai_converter *converter)
{
    if (converter == NULL)
        return;
    nilai_buffer_fini(&converter->output);
    nilai_buffer_fini(&converter->input);
    free(converter);
}

static enum nilai_status begin(struct nilai_converter *converter, size_t size,
                               struct nilai_error *error)
{
    nilai_buffer_clear(&converter->output);
    converter->fault = NULL;
    converter->depth = 0;
    converter->levels[0] = (struct level){.is_map = false};
    if (size > SIZE_MAX_CONVERTED)
        return nilai_error_set(error, NILAI_FULL, "%zu bytes are more than %zu", size,
                               SIZE_MAX_CONVERTED);
    return NILAI_OK;
}

static enum nilai_status end(const struct nilai_converter *converter, const char **result,
                             size_t *result_size, struct nilai_error *error)
{
    const struct nilai_buffer *output = &converter->output;
    if (output->status == NILAI_FULL)
        return nilai_error_set(error, NILAI_FULL, "the result has more than %zu bytes",
                               SIZE_MAX_CONVERTED);
    if (output->status != NILAI_OK)
        return nilai_error_set(error, output->status, "out of memory");
    *result = output->data;
    *result_size = output->size;
    return NILAI_OK;
}

/* ---- JSON to MessagePack ------------------------------------------------- */

static void count_value(struct nilai_converter *converter)
{
    converter->levels[converter->depth].count++;
    if (converter->depth == 0)
        converter->json.end = yajl_get_bytes_consumed(converter->json.parser);
}

static int on_null(void *context)
{
    struct nilai_converter *converter = context;
    count_value(converter);
    msgpack_pack_nil(&converter->packer);
    return 1;
}

static int on_bool(void *context, int truth)
{
    struct nilai_converter *converter = context;
    count_value(converter);
    if (truth)
        msgpack_pack_true(&converter->packer);
    else
        msgpack_pack_false(&converter->packer);
    return 1;
}

static void pack_number(msgpack_packer *packer, const char *digits)
{
    if (strpbrk(digits, ".eE") == NULL) {
        errno = 0;
        long long integer = strtoll(digits, NULL, 10);
        if (errno == 0) {
            msgpack_pack_int64(packer, integer);
            return;
        }
        errno = 0;
        unsigned long long natural = strtoull(digits, NULL, 10);
        if (errno == 0 && digits[0] != '-') {
            msgpack_pack_uint64(packer, natural);
            return;
        }
    }
    msgpack_pack_double(packer, strtod(digits, NULL));
}

static int on_number(void *context, const char *data, size_t size)
{
    struct nilai_converter *converter = context;
    count_value(converter);
    char few[64];
    char *digits = size < sizeof few ? few : malloc(size + 1);
    if (digits == NULL) {
        converter->output.status = NILAI_NO_MEMORY;
        return 1;
    }
    memcpy(digits, data, size);
    digits[size] = 0;
    pack_number(&converter->packer, digits);
    if (digits != few)
        free(digits);
    return 1;
}

/* Keys are not counted: a map's entries are its values. */
static int on_key(void *context, const unsigned char *data, size_t size)
{
    struct nilai_converter *converter = context;
    msgpack_pack_str_with_body(&converter->packer, data, size);
    return 1;
}

static int on_string(void *context, const unsigned char *data, size_t size)
{
    struct nilai_converter *converter = context;
    count_value(converter);
    return on_key(context, data, size);
}

static int open_level(struct nilai_converter *converter, bool is_map)
{
    static const char room[HEADER_SIZE_MAX];
    count_value(converter);
    if (converter->depth == DEPTH_MAX) {
        converter->json.fault = "nested deeper than 64";
        return 0;
    }
    converter->levels[++converter->depth] =
        (struct level){.is_map = is_map, .start = converter->output.size};
    nilai_buffer_append(&converter->output, room, sizeof room);
    return 1;
}

static int on_open_map(void *context)
{
    return open_level(context, true);
}

static int on_open_array(void *context)
{
    return open_level(context, false);
}

/* Writes the header into the room that was left, and moves up what follows. */
static int on_close(void *context)
{
    struct nilai_converter *converter = context;
    struct nilai_buffer *output = &converter->output;
    NILAI_ASSERT(converter->depth > 0);
    const struct level *level = &converter->levels[converter->depth--];
    if (converter->depth == 0)
        converter->json.end = yajl_get_bytes_consumed(converter->json.parser);
    if (output->status != NILAI_OK)
        return 1;

    size_t content = output->size;
    if (level->is_map)
        msgpack_pack_map(&converter->packer, level->count);
    else
        msgpack_pack_array(&converter->packer, level->count);
    if (output->status != NILAI_OK)
        return 1;
    size_t header_size = output->size - content;
    NILAI_ASSERT(header_size <= HEADER_SIZE_MAX);
    char *start = output->data + level->start;
    memcpy(start, output->data + content, header_size);
    memmove(start + header_size, start + HEADER_SIZE_MAX, content - level->start - HEADER_SIZE_MAX);
    output->size = content - HEADER_SIZE_MAX + header_size;
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

/* Half surrogate pairs become bytes that are not UTF-8, as they do for the decoder. */
static const char *marked(struct nilai_converter *converter, const char *bytes, size_t size)
{
    if (!nilai_json_has_escapes(bytes, size))
        return bytes;
    nilai_buffer_clear(&converter->input);
    nilai_buffer_append(&converter->input, bytes, size);
    if (converter->input.status != NILAI_OK)
        return NULL;
    nilai_json_copy_marked(converter->input.data, bytes, size);
    return converter->input.data;
}

enum nilai_status nilai_convert_json_to_msgpack(struct nilai_converter *converter,
                                                const void *bytes, size_t size, const char **result,
                                                size_t *result_size, struct nilai_error *error)
{
    enum nilai_status status = begin(converter, size, error);
    if (status != NILAI_OK)
        return status;
    if (size == 0)
        return nilai_error_set(error, NILAI_INVALID, "the value is empty (byte 0)");
    const char *text = marked(converter, bytes, size);
    if (text == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    if (!nilai_json_start(&converter->json, &callbacks, NULL, converter, text, size))
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");

    size_t position;
    const char *fault = nilai_json_parse(&converter->json, &position);
    yajl_free(converter->json.parser);
    if (fault != NULL)
        return nilai_error_set(error, NILAI_INVALID, "%s (byte %zu)", fault, position);
    return end(converter, result, result_size, error);
}

/* ---- MessagePack to JSON ------------------------------------------------- */

/* yajl's gen_number copies its text as it is. */
static void write_real(yajl_gen json, double value)
{
    char text[NILAI_REAL_TEXT_SIZE];
    yajl_gen_number(json, text, nilai_real_format(value, text));
}

static void write_natural(yajl_gen json, uint64_t value)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    yajl_gen_number(json, text, (size_t)size);
}

/* NULL, or why JSON cannot say it. */
static const char *write_value(yajl_gen json, struct nilai_value *value)
{
    bool bad;
    switch ((enum nilai_value_kind)value->kind) {
    case NILAI_VALUE_NULL: yajl_gen_null(json); return NULL;
    case NILAI_VALUE_BOOL: yajl_gen_bool(json, value->integer != 0); return NULL;
    case NILAI_VALUE_INTEGER: yajl_gen_integer(json, value->integer); return NULL;
    case NILAI_VALUE_BIG_INTEGER: write_natural(json, value->natural); return NULL;
    case NILAI_VALUE_TEXT:
        yajl_gen_string(json, (const unsigned char *)value->text.data, value->text.size);
        return NULL;
    case NILAI_VALUE_ARRAY: yajl_gen_array_open(json); return NULL;
    case NILAI_VALUE_MAP: yajl_gen_map_open(json); return NULL;
    case NILAI_VALUE_REAL:
        if (!isfinite(value->real))
            return "JSON has no NaN and no infinity";
        write_real(json, value->real);
        return NULL;
    case NILAI_VALUE_EXTENSION:
        if (!nilai_msgpack_read_time(value, &bad))
            return "JSON has no such extension or instant";
        yajl_gen_integer(json, value->integer);
        return NULL;
    default: return "JSON has no binary data";
    }
}

static void close_done(struct nilai_converter *converter, yajl_gen json)
{
    while (converter->depth > 0 && converter->levels[converter->depth].left == 0) {
        if (converter->levels[converter->depth--].is_map)
            yajl_gen_map_close(json);
        else
            yajl_gen_array_close(json);
    }
}

/* Writes the value and counts it where it stands. */
static const char *write_next(struct nilai_converter *converter, yajl_gen json,
                              struct nilai_value *value)
{
    struct level *level = &converter->levels[converter->depth];
    bool is_key = level->is_map && level->left % 2 == 0;
    if (is_key && value->kind != NILAI_VALUE_TEXT)
        return "JSON has only strings as keys";
    if (nilai_value_is_container(value) && converter->depth == DEPTH_MAX)
        return "nested deeper than 64";
    const char *fault = write_value(json, value);
    if (fault != NULL)
        return fault;
    level->left--;
    if (nilai_value_is_container(value))
        converter->levels[++converter->depth] = (struct level){
            .is_map = value->kind == NILAI_VALUE_MAP, .left = nilai_msgpack_children(value)};
    close_done(converter, json);
    return NULL;
}

/* NULL, or what is wrong at *position. */
static const char *write_all(struct nilai_converter *converter, yajl_gen json, const uint8_t *bytes,
                             size_t size, size_t *position)
{
    const uint8_t *at = bytes, *last = bytes + size;
    converter->levels[0].left = 1;
    while (converter->levels[0].left > 0 || converter->depth > 0) {
        struct nilai_value value;
        const uint8_t *next = nilai_msgpack_take(at, last, &value);
        *position = (size_t)(at - bytes);
        if (next == NULL)
            return nilai_msgpack_fault(at, last) == NILAI_INVALID
                       ? "not MessagePack: no value starts so"
                       : "a value is cut short, or declares more than remains";
        const char *fault = write_next(converter, json, &value);
        if (fault != NULL)
            return fault;
        at = next;
    }
    *position = (size_t)(at - bytes);
    return at == last ? NULL : "more than one value";
}

enum nilai_status nilai_convert_msgpack_to_json(struct nilai_converter *converter,
                                                const void *bytes, size_t size, const char **result,
                                                size_t *result_size, struct nilai_error *error)
{
    enum nilai_status status = begin(converter, size, error);
    if (status != NILAI_OK)
        return status;
    yajl_gen json = yajl_gen_alloc(NULL);
    if (json == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
    yajl_gen_config(json, yajl_gen_print_callback, append_json, &converter->output);

    size_t position = 0;
    const char *fault =
        size == 0 ? "the value is empty" : write_all(converter, json, bytes, size, &position);
    yajl_gen_free(json);
    if (fault != NULL)
        return nilai_error_set(error, NILAI_INVALID, "%s (byte %zu)", fault, position);
    return end(converter, result, result_size, error);
}
