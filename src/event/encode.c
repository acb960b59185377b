/*
 * The two formats differ in six leaves (open, close, null, bool, number, string); all that
 * callers can get wrong - keys, numbers of entries, nesting - is checked above them, once.
 */
#include "nilai/event/encode.h"

#include <assert.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "nilai/base/money.h"
#include "nilai/event/buffer.h"
#include "nilai/event/utf8.h"

enum {
    DEPTH_MAX = 32,
    FIXED_TEXT_SIZE = 352, /* "-", 309 digits, ".", four decimals, and room */
};

/* One open map or array; the bottom level stands for the value as a whole: one entry, no key. */
struct level {
    bool is_map;
    uint32_t left; /* entries still to come */
};

struct nilai_encoder {
    enum nilai_format format;
    yajl_gen json; /* NULL for MessagePack */
    msgpack_packer packer;
    struct nilai_buffer output;
    struct nilai_buffer repaired; /* a text in which U+FFFD stands for what was not UTF-8 */
    uint32_t depth;
    struct level levels[DEPTH_MAX];
};

static void append_json(void *context, const char *data, size_t size)
{
    nilai_buffer_append(context, data, size);
}

/* Failure sticks in the output; the packer need not know. */
static int append_msgpack(void *context, const char *data, size_t size)
{
    nilai_buffer_append(context, data, size);
    return 0;
}

struct nilai_encoder *nilai_encoder_create(enum nilai_format format)
{
    NILAI_ASSERT(format == NILAI_FORMAT_JSON || format == NILAI_FORMAT_MSGPACK);
    struct nilai_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return NULL;
    encoder->format = format;
    nilai_buffer_init(&encoder->output, NILAI_ENCODE_SIZE_MAX);
    nilai_buffer_init(&encoder->repaired, 3 * (size_t)NILAI_ENCODE_SIZE_MAX);
    msgpack_packer_init(&encoder->packer, &encoder->output, append_msgpack);
    if (format == NILAI_FORMAT_JSON) {
        encoder->json = yajl_gen_alloc(NULL);
        if (encoder->json == NULL) {
            free(encoder);
            return NULL;
        }
        yajl_gen_config(encoder->json, yajl_gen_print_callback, append_json, &encoder->output);
    }
    nilai_encode_begin(encoder);
    return encoder;
}

void nilai_encoder_destroy(struct nilai_encoder *encoder)
{
    if (encoder == NULL)
        return;
    if (encoder->json != NULL)
        yajl_gen_free(encoder->json);
    nilai_buffer_fini(&encoder->output);
    nilai_buffer_fini(&encoder->repaired);
    free(encoder);
}

void nilai_encode_begin(struct nilai_encoder *encoder)
{
    nilai_buffer_clear(&encoder->output);
    encoder->depth = 0;
    encoder->levels[0] = (struct level){.is_map = false, .left = 1};
    if (encoder->json != NULL)
        yajl_gen_reset(encoder->json, NULL);
}

static void must(yajl_gen_status status)
{
    NILAI_ASSERT(status == yajl_gen_status_ok);
}

/* JSON: yajl's gen_number copies its text as it is, with the comma that the place needs. */
static void put_verbatim(struct nilai_encoder *encoder, const char *data, size_t size)
{
    if (encoder->json != NULL)
        must(yajl_gen_number(encoder->json, data, size));
    else
        nilai_buffer_append(&encoder->output, data, size);
}

static void put_text(struct nilai_encoder *encoder, const char *data, size_t size)
{
    if (encoder->json != NULL)
        must(yajl_gen_string(encoder->json, (const unsigned char *)data, size));
    else
        msgpack_pack_str_with_body(&encoder->packer, data, size);
}

/* Counts the entry that comes now and writes its key. */
static void enter(struct nilai_encoder *encoder, const char *key)
{
    struct level *level = &encoder->levels[encoder->depth];
    NILAI_ASSERT(level->left > 0);
    NILAI_ASSERT(level->is_map == (key != NULL));
    level->left--;
    if (key != NULL)
        put_text(encoder, key, strlen(key));
}

static void open_level(struct nilai_encoder *encoder, bool is_map, uint32_t entries)
{
    NILAI_ASSERT(encoder->depth + 1 < DEPTH_MAX);
    encoder->levels[++encoder->depth] = (struct level){.is_map = is_map, .left = entries};
}

static void close_level(struct nilai_encoder *encoder, bool is_map)
{
    NILAI_ASSERT(encoder->depth > 0);
    const struct level *level = &encoder->levels[encoder->depth];
    NILAI_ASSERT(level->is_map == is_map && level->left == 0);
    encoder->depth--;
}

void nilai_encode_open_map(struct nilai_encoder *encoder, const char *key, uint32_t entries)
{
    enter(encoder, key);
    open_level(encoder, true, entries);
    if (encoder->json != NULL)
        must(yajl_gen_map_open(encoder->json));
    else
        msgpack_pack_map(&encoder->packer, entries);
}

void nilai_encode_close_map(struct nilai_encoder *encoder)
{
    close_level(encoder, true);
    if (encoder->json != NULL)
        must(yajl_gen_map_close(encoder->json));
}

void nilai_encode_open_array(struct nilai_encoder *encoder, const char *key, uint32_t entries)
{
    enter(encoder, key);
    open_level(encoder, false, entries);
    if (encoder->json != NULL)
        must(yajl_gen_array_open(encoder->json));
    else
        msgpack_pack_array(&encoder->packer, entries);
}

void nilai_encode_close_array(struct nilai_encoder *encoder)
{
    close_level(encoder, false);
    if (encoder->json != NULL)
        must(yajl_gen_array_close(encoder->json));
}

void nilai_encode_null(struct nilai_encoder *encoder, const char *key)
{
    enter(encoder, key);
    if (encoder->json != NULL)
        must(yajl_gen_null(encoder->json));
    else
        msgpack_pack_nil(&encoder->packer);
}

void nilai_encode_bool(struct nilai_encoder *encoder, const char *key, bool value)
{
    enter(encoder, key);
    if (encoder->json != NULL)
        must(yajl_gen_bool(encoder->json, value));
    else if (value)
        msgpack_pack_true(&encoder->packer);
    else
        msgpack_pack_false(&encoder->packer);
}

void nilai_encode_int(struct nilai_encoder *encoder, const char *key, int64_t value)
{
    enter(encoder, key);
    if (encoder->json != NULL)
        must(yajl_gen_integer(encoder->json, value));
    else
        msgpack_pack_int64(&encoder->packer, value);
}

size_t nilai_real_format(double value, char text[static NILAI_REAL_TEXT_SIZE])
{
    NILAI_ASSERT(isfinite(value));
    static_assert(NILAI_REAL_TEXT_SIZE >= 1 + 17 + 1 + 5 + 2 + 1, "sign, digits, point, e-308, .0, end");
    int size = 0;
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(text, NILAI_REAL_TEXT_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (strpbrk(text, ".e") == NULL) {
        memcpy(text + size, ".0", 3);
        size += 2;
    }
    return (size_t)size;
}

void nilai_encode_real(struct nilai_encoder *encoder, const char *key, double value)
{
    NILAI_ASSERT(isfinite(value));
    enter(encoder, key);
    if (encoder->json == NULL) {
        msgpack_pack_double(&encoder->packer, value);
        return;
    }
    char text[NILAI_REAL_TEXT_SIZE];
    size_t size = nilai_real_format(value, text);
    put_verbatim(encoder, text, size);
}

void nilai_encode_fixed(struct nilai_encoder *encoder, const char *key, double value)
{
    NILAI_ASSERT(isfinite(value));
    enter(encoder, key);
    char text[FIXED_TEXT_SIZE];
    int size = snprintf(text, sizeof text, "%.4f", value);
    NILAI_ASSERT(size > 0 && size < FIXED_TEXT_SIZE);
    const char *start = strcmp(text, "-0.0000") == 0 ? text + 1 : text;
    if (encoder->json != NULL)
        put_verbatim(encoder, start, strlen(start));
    else
        msgpack_pack_double(&encoder->packer, strtod(start, NULL));
}

static void repair(struct nilai_buffer *repaired, const char *data, size_t size)
{
    nilai_buffer_clear(repaired);
    for (size_t at = 0; at < size;) {
        bool valid;
        size_t step = nilai_utf8_step(data + at, size - at, &valid);
        if (valid)
            nilai_buffer_append(repaired, data + at, step);
        else
            nilai_buffer_append(repaired, "\xef\xbf\xbd", 3);
        at += step;
    }
}

void nilai_encode_text(struct nilai_encoder *encoder, const char *key, const char *data, size_t size)
{
    enter(encoder, key);
    if (nilai_utf8_valid(data, size)) {
        put_text(encoder, data, size);
        return;
    }
    repair(&encoder->repaired, data, size);
    if (encoder->repaired.status == NILAI_OK)
        put_text(encoder, encoder->repaired.data, encoder->repaired.size);
    else
        encoder->output.status = encoder->repaired.status;
}

void nilai_encode_money(struct nilai_encoder *encoder, const char *key, int64_t units)
{
    enter(encoder, key);
    char text[NILAI_MONEY_TEXT_SIZE];
    size_t size = nilai_money_format(units, text);
    put_text(encoder, text, size);
}

void nilai_encode_raw(struct nilai_encoder *encoder, const char *key, const char *data, size_t size)
{
    NILAI_ASSERT(size > 0);
    enter(encoder, key);
    put_verbatim(encoder, data, size);
}

enum nilai_status nilai_encode_end(struct nilai_encoder *encoder, const char **data, size_t *size)
{
    NILAI_ASSERT(encoder->depth == 0 && encoder->levels[0].left == 0);
    if (encoder->output.status != NILAI_OK)
        return encoder->output.status;
    *data = encoder->output.data;
    *size = encoder->output.size;
    return NILAI_OK;
}
