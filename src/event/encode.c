/*
 * The two formats differ in a few leaves (open, close, null, bool, number, string); all that
 * callers can get wrong - keys, numbers of entries, nesting - is checked above them, once.
 *
 * A published change has some sixty keys and values, so that JSON's commas, colons and quotes are
 * put here, in place: yajl writes them by a call for each byte, which took two thirds of the time
 * of a change. It has the word where there is something to know: what in a text must be escaped,
 * and how.
 */
#include "nilai/event/encode.h"

#include <assert.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "nilai/base/decimal.h"
#include "nilai/base/money.h"
#include "nilai/event/buffer.h"
#include "nilai/event/utf8.h"

enum { DEPTH_MAX = 32 };

/* One open map or array; the bottom level stands for the value as a whole: one entry, no key. */
struct level {
    bool is_map;
    bool begun;    /* it has an entry, so that a comma comes before the next */
    uint32_t left; /* entries still to come */
};

struct nilai_encoder {
    enum nilai_format format;
    yajl_gen escaper; /* NULL for MessagePack */
    msgpack_packer packer;
    struct nilai_buffer output;
    struct nilai_buffer repaired; /* a text in which U+FFFD stands for what was not UTF-8 */
    uint32_t depth;
    struct level levels[DEPTH_MAX];
};

static bool is_json(const struct nilai_encoder *encoder)
{
    return encoder->format == NILAI_FORMAT_JSON;
}

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
    if (is_json(encoder)) {
        encoder->escaper = yajl_gen_alloc(NULL);
        if (encoder->escaper == NULL) {
            free(encoder);
            return NULL;
        }
        yajl_gen_config(encoder->escaper, yajl_gen_print_callback, append_json, &encoder->output);
    }
    nilai_encode_begin(encoder);
    return encoder;
}

void nilai_encoder_destroy(struct nilai_encoder *encoder)
{
    if (encoder == NULL)
        return;
    if (encoder->escaper != NULL)
        yajl_gen_free(encoder->escaper);
    nilai_buffer_fini(&encoder->output);
    nilai_buffer_fini(&encoder->repaired);
    free(encoder);
}

void nilai_encode_begin(struct nilai_encoder *encoder)
{
    nilai_buffer_clear(&encoder->output);
    encoder->depth = 0;
    encoder->levels[0] = (struct level){.is_map = false, .left = 1};
}

/* ---- entries ---- */

/* Counts the entry that comes now; true: a comma comes before it. */
static inline bool count_entry(struct nilai_encoder *encoder, struct nilai_key key)
{
    struct level *level = &encoder->levels[encoder->depth];
    NILAI_ASSERT(level->left > 0);
    NILAI_ASSERT(level->is_map == (key.name != NULL));
    bool comma = level->begun;
    level->left--;
    level->begun = true;
    return comma;
}

/* Returns the end of the copy. Keys and most values are a few bytes, for which a call takes longer:
 * two words, the second of which overlaps the first. */
static inline char *copy_short(char *to, const char *from, size_t size)
{
    if (NILAI_UNLIKELY(size > 2 * sizeof(uint64_t)))
        return mempcpy(to, from, size);
    if (size >= sizeof(uint64_t)) {
        memcpy(to, from, sizeof(uint64_t));
        memcpy(to + size - sizeof(uint64_t), from + size - sizeof(uint64_t), sizeof(uint64_t));
    } else if (size >= sizeof(uint32_t)) {
        memcpy(to, from, sizeof(uint32_t));
        memcpy(to + size - sizeof(uint32_t), from + size - sizeof(uint32_t), sizeof(uint32_t));
    } else {
        for (size_t at = 0; at < size; at++)
            to[at] = from[at];
    }
    return to + size;
}

/* JSON: the key of the entry that comes now, which is a name of ours and needs no escape. Returns
 * where its value goes, with room for so many bytes; NULL after a failure. */
static char *enter_json(struct nilai_encoder *encoder, struct nilai_key key, size_t value_room)
{
    bool comma = count_entry(encoder, key);
    char *at = nilai_buffer_room(&encoder->output, key.size + 4 + value_room);
    if (at == NULL)
        return NULL;
    *at = ',';
    at += comma;
    if (key.name == NULL)
        return at;
    *at++ = '"';
    at = copy_short(at, key.name, key.size);
    *at++ = '"';
    *at++ = ':';
    return at;
}

static void enter_msgpack(struct nilai_encoder *encoder, struct nilai_key key)
{
    (void)count_entry(encoder, key);
    if (key.name != NULL)
        msgpack_pack_str_with_body(&encoder->packer, key.name, key.size);
}

/* The entry ends here, unless it failed. */
static void leave_json(struct nilai_encoder *encoder, const char *end)
{
    if (end != NULL)
        nilai_buffer_end_at(&encoder->output, end);
}

static void put_json(struct nilai_encoder *encoder, struct nilai_key key, const char *text,
                     size_t size)
{
    char *at = enter_json(encoder, key, size);
    leave_json(encoder, at != NULL ? copy_short(at, text, size) : NULL);
}

static void put_quoted(struct nilai_encoder *encoder, struct nilai_key key, const char *text,
                       size_t size)
{
    char *at = enter_json(encoder, key, size + 2);
    if (at == NULL)
        return;
    *at++ = '"';
    at = copy_short(at, text, size);
    *at++ = '"';
    leave_json(encoder, at);
}

/* A text is a whole value to the escaper, which then wants no other. */
static void put_escaped(struct nilai_encoder *encoder, struct nilai_key key, const char *text,
                        size_t size)
{
    leave_json(encoder, enter_json(encoder, key, 0));
    yajl_gen_reset(encoder->escaper, NULL);
    yajl_gen_status status = yajl_gen_string(encoder->escaper, (const unsigned char *)text, size);
    NILAI_ASSERT(status == yajl_gen_status_ok);
}

/* ---- maps and arrays ---- */

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
    if (is_json(encoder))
        nilai_buffer_append(&encoder->output, is_map ? "}" : "]", 1);
}

void nilai_encode_keyed_open_map(struct nilai_encoder *encoder, struct nilai_key key,
                                 uint32_t entries)
{
    if (is_json(encoder)) {
        put_json(encoder, key, "{", 1);
    } else {
        enter_msgpack(encoder, key);
        msgpack_pack_map(&encoder->packer, entries);
    }
    open_level(encoder, true, entries);
}

void nilai_encode_close_map(struct nilai_encoder *encoder)
{
    close_level(encoder, true);
}

void nilai_encode_keyed_open_array(struct nilai_encoder *encoder, struct nilai_key key,
                                   uint32_t entries)
{
    if (is_json(encoder)) {
        put_json(encoder, key, "[", 1);
    } else {
        enter_msgpack(encoder, key);
        msgpack_pack_array(&encoder->packer, entries);
    }
    open_level(encoder, false, entries);
}

void nilai_encode_close_array(struct nilai_encoder *encoder)
{
    close_level(encoder, false);
}

/* ---- values ---- */

void nilai_encode_keyed_null(struct nilai_encoder *encoder, struct nilai_key key)
{
    if (is_json(encoder)) {
        put_json(encoder, key, "null", 4);
        return;
    }
    enter_msgpack(encoder, key);
    msgpack_pack_nil(&encoder->packer);
}

void nilai_encode_keyed_bool(struct nilai_encoder *encoder, struct nilai_key key, bool value)
{
    if (is_json(encoder)) {
        put_json(encoder, key, value ? "true" : "false", value ? 4 : 5);
        return;
    }
    enter_msgpack(encoder, key);
    if (value)
        msgpack_pack_true(&encoder->packer);
    else
        msgpack_pack_false(&encoder->packer);
}

void nilai_encode_keyed_int(struct nilai_encoder *encoder, struct nilai_key key, int64_t value)
{
    if (is_json(encoder)) {
        char *at = enter_json(encoder, key, NILAI_DECIMAL_INTEGER_SIZE);
        leave_json(encoder, at != NULL ? at + nilai_decimal_integer(value, at) : NULL);
        return;
    }
    enter_msgpack(encoder, key);
    msgpack_pack_int64(&encoder->packer, value);
}

size_t nilai_real_format(double value, char text[static NILAI_REAL_TEXT_SIZE])
{
    NILAI_ASSERT(isfinite(value));
    static_assert(NILAI_REAL_TEXT_SIZE >= 1 + 17 + 1 + 5 + 2 + 1,
                  "sign, digits, point, e-308, .0, end");
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

void nilai_encode_keyed_real(struct nilai_encoder *encoder, struct nilai_key key, double value)
{
    NILAI_ASSERT(isfinite(value));
    if (is_json(encoder)) {
        char *at = enter_json(encoder, key, NILAI_REAL_TEXT_SIZE);
        leave_json(encoder, at != NULL ? at + nilai_real_format(value, at) : NULL);
        return;
    }
    enter_msgpack(encoder, key);
    msgpack_pack_double(&encoder->packer, value);
}

void nilai_encode_keyed_fixed(struct nilai_encoder *encoder, struct nilai_key key, double value)
{
    if (is_json(encoder)) {
        char *at = enter_json(encoder, key, NILAI_DECIMAL_FIXED_SIZE);
        leave_json(encoder,
                   at != NULL ? at + nilai_decimal_fixed(value, NILAI_ENCODE_PLACES, at) : NULL);
        return;
    }
    char text[NILAI_DECIMAL_FIXED_SIZE];
    nilai_decimal_fixed(value, NILAI_ENCODE_PLACES, text);
    enter_msgpack(encoder, key);
    msgpack_pack_double(&encoder->packer, strtod(text, NULL));
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

/* `text` is UTF-8. */
static void put_text(struct nilai_encoder *encoder, struct nilai_key key, const char *text,
                     size_t size)
{
    if (is_json(encoder)) {
        put_escaped(encoder, key, text, size);
        return;
    }
    enter_msgpack(encoder, key);
    msgpack_pack_str_with_body(&encoder->packer, text, size);
}

void nilai_encode_keyed_text(struct nilai_encoder *encoder, struct nilai_key key, const char *data,
                             size_t size)
{
    if (NILAI_LIKELY(is_json(encoder) && nilai_utf8_is_plain(data, size))) {
        put_quoted(encoder, key, data, size);
        return;
    }
    if (nilai_utf8_valid(data, size)) {
        put_text(encoder, key, data, size);
        return;
    }
    repair(&encoder->repaired, data, size);
    if (encoder->repaired.status != NILAI_OK)
        encoder->output.status = encoder->repaired.status;
    put_text(encoder, key, encoder->repaired.data, encoder->repaired.size);
}

void nilai_encode_keyed_decimal(struct nilai_encoder *encoder, struct nilai_key key, double value)
{
    char text[NILAI_DECIMAL_FIXED_SIZE];
    size_t size = nilai_decimal_fixed(value, NILAI_ENCODE_PLACES, text);
    nilai_encode_keyed_text(encoder, key, text, size);
}

void nilai_encode_keyed_money(struct nilai_encoder *encoder, struct nilai_key key, int64_t units)
{
    char text[NILAI_MONEY_TEXT_SIZE];
    nilai_encode_keyed_text(encoder, key, text, nilai_money_format(units, text));
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
