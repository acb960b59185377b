#include "nilai/event/cursor.h"

enum { TIMESTAMP = -1, NANOSECONDS_END = 1000000000 };

/* 0..7f and e0..ff: 1. a0..bf: 1 and the length. c0, c2, c3: 1. Numbers: 1 and their width.
 * d4..d8: 2 and the length. Containers, too (their depth counts), and all else: 0. */
/* clang-format off */
const uint8_t nilai_msgpack_sizes[256] = {
    [0x00 ... 0x7f] = 1,
    [0xa0] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    [0xb0] = 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    [0xc0] = 1, [0xc2] = 1, [0xc3] = 1, [0xca] = 5, [0xcb] = 9,
    [0xcc] = 2, [0xcd] = 3, [0xce] = 5, [0xcf] = 9,
    [0xd0] = 2, [0xd1] = 3, [0xd2] = 5, [0xd3] = 9,
    [0xd4] = 3, [0xd5] = 4, [0xd6] = 6, [0xd7] = 10, [0xd8] = 18,
    [0xe0 ... 0xff] = 1,
};
/* clang-format on */

static const uint8_t *take_unsigned(const uint8_t *at, const uint8_t *end, size_t width,
                                    struct nilai_value *value)
{
    if ((size_t)(end - at) < width)
        return NULL;
    uint64_t number = nilai_msgpack_load(at, width);
    if (number <= INT64_MAX) {
        value->kind = NILAI_VALUE_INTEGER;
        value->integer = (int64_t)number;
    } else {
        value->kind = NILAI_VALUE_BIG_INTEGER;
        value->real = (double)number;
        value->natural = number;
    }
    return at + width;
}

static const uint8_t *take_signed(const uint8_t *at, const uint8_t *end, size_t width,
                                  struct nilai_value *value)
{
    if ((size_t)(end - at) < width)
        return NULL;
    size_t unused = 64 - 8 * width;
    value->kind = NILAI_VALUE_INTEGER;
    value->integer = (int64_t)(nilai_msgpack_load(at, width) << unused) >> unused;
    return at + width;
}

static const uint8_t *take_single(const uint8_t *at, const uint8_t *end, struct nilai_value *value)
{
    if ((size_t)(end - at) < sizeof(uint32_t))
        return NULL;
    uint32_t bits = (uint32_t)nilai_msgpack_load(at, sizeof bits);
    float number;
    memcpy(&number, &bits, sizeof number);
    value->kind = NILAI_VALUE_REAL;
    value->real = number;
    return at + sizeof bits;
}

static const uint8_t *take_double(const uint8_t *at, const uint8_t *end, struct nilai_value *value)
{
    if ((size_t)(end - at) < sizeof(uint64_t))
        return NULL;
    uint64_t bits = nilai_msgpack_load(at, sizeof bits);
    value->kind = NILAI_VALUE_REAL;
    memcpy(&value->real, &bits, sizeof value->real);
    return at + sizeof bits;
}

static const uint8_t *take_simple(const uint8_t *at, uint8_t kind, int64_t integer,
                                  struct nilai_value *value)
{
    value->kind = kind;
    value->integer = integer;
    return at;
}

static const uint8_t *take_extension(const uint8_t *at, const uint8_t *end, uint32_t size,
                                     struct nilai_value *value)
{
    if (at == end)
        return NULL;
    value->extension = (int8_t)*at;
    return nilai_msgpack_bytes(at + 1, end, NILAI_VALUE_EXTENSION, size, value);
}

/* What has its length, of `width` bytes, after the first byte. */
static const uint8_t *take_sized(const uint8_t *at, const uint8_t *end, uint8_t kind, size_t width,
                                 struct nilai_value *value)
{
    if ((size_t)(end - at) < width)
        return NULL;
    uint32_t size = (uint32_t)nilai_msgpack_load(at, width);
    at += width;
    if (kind == NILAI_VALUE_EXTENSION)
        return take_extension(at, end, size, value);
    if (kind == NILAI_VALUE_ARRAY || kind == NILAI_VALUE_MAP)
        return nilai_msgpack_container(at, end, kind, size, value);
    return nilai_msgpack_bytes(at, end, kind, size, value);
}

/* What follows the first byte, c0 to df. */
static const uint8_t *take_other(const uint8_t *at, const uint8_t *end, uint8_t first,
                                 struct nilai_value *value)
{
    switch (first) {
    case 0xc0: return take_simple(at, NILAI_VALUE_NULL, 0, value);
    case 0xc2: return take_simple(at, NILAI_VALUE_BOOL, 0, value);
    case 0xc3: return take_simple(at, NILAI_VALUE_BOOL, 1, value);
    case 0xc4: return take_sized(at, end, NILAI_VALUE_BINARY, 1, value);
    case 0xc5: return take_sized(at, end, NILAI_VALUE_BINARY, 2, value);
    case 0xc6: return take_sized(at, end, NILAI_VALUE_BINARY, 4, value);
    case 0xc7: return take_sized(at, end, NILAI_VALUE_EXTENSION, 1, value);
    case 0xc8: return take_sized(at, end, NILAI_VALUE_EXTENSION, 2, value);
    case 0xc9: return take_sized(at, end, NILAI_VALUE_EXTENSION, 4, value);
    case 0xca: return take_single(at, end, value);
    case 0xcb: return take_double(at, end, value);
    case 0xcc: return take_unsigned(at, end, 1, value);
    case 0xcd: return take_unsigned(at, end, 2, value);
    case 0xce: return take_unsigned(at, end, 4, value);
    case 0xcf: return take_unsigned(at, end, 8, value);
    case 0xd0: return take_signed(at, end, 1, value);
    case 0xd1: return take_signed(at, end, 2, value);
    case 0xd2: return take_signed(at, end, 4, value);
    case 0xd3: return take_signed(at, end, 8, value);
    case 0xd4: return take_extension(at, end, 1, value);
    case 0xd5: return take_extension(at, end, 2, value);
    case 0xd6: return take_extension(at, end, 4, value);
    case 0xd7: return take_extension(at, end, 8, value);
    case 0xd8: return take_extension(at, end, 16, value);
    case 0xd9: return take_sized(at, end, NILAI_VALUE_TEXT, 1, value);
    case 0xda: return take_sized(at, end, NILAI_VALUE_TEXT, 2, value);
    case 0xdb: return take_sized(at, end, NILAI_VALUE_TEXT, 4, value);
    case 0xdc: return take_sized(at, end, NILAI_VALUE_ARRAY, 2, value);
    case 0xdd: return take_sized(at, end, NILAI_VALUE_ARRAY, 4, value);
    case 0xde: return take_sized(at, end, NILAI_VALUE_MAP, 2, value);
    case 0xdf: return take_sized(at, end, NILAI_VALUE_MAP, 4, value);
    default: return NULL; /* c1 */
    }
}

const uint8_t *nilai_msgpack_take(const uint8_t *at, const uint8_t *end, struct nilai_value *value)
{
    if (at == end)
        return NULL;
    uint8_t first = *at++;
    if (first <= 0x7f || first >= 0xe0)
        return take_simple(at, NILAI_VALUE_INTEGER, (int8_t)first, value);
    if (first <= 0x8f)
        return nilai_msgpack_container(at, end, NILAI_VALUE_MAP, first & 0x0f, value);
    if (first <= 0x9f)
        return nilai_msgpack_container(at, end, NILAI_VALUE_ARRAY, first & 0x0f, value);
    if (first <= 0xbf)
        return nilai_msgpack_bytes(at, end, NILAI_VALUE_TEXT, first & 0x1f, value);
    return take_other(at, end, first, value);
}

/* 4 bytes: seconds. 8: nanoseconds in 30 bits, seconds in 34. 12: nanoseconds in 32 bits,
 * signed seconds in 64. */
static void split_time(const uint8_t *bytes, uint32_t size, int64_t *seconds, uint64_t *nanoseconds)
{
    uint64_t packed;
    switch (size) {
    case 4:
        *seconds = (int64_t)nilai_msgpack_load(bytes, 4);
        *nanoseconds = 0;
        return;
    case 8:
        packed = nilai_msgpack_load(bytes, 8);
        *seconds = (int64_t)(packed & ((UINT64_C(1) << 34) - 1));
        *nanoseconds = packed >> 34;
        return;
    default:
        *nanoseconds = nilai_msgpack_load(bytes, 4);
        *seconds = (int64_t)nilai_msgpack_load(bytes + 4, 8);
    }
}

bool nilai_msgpack_read_time(struct nilai_value *value, bool *bad)
{
    NILAI_ASSERT(value->kind == NILAI_VALUE_EXTENSION);
    uint32_t size = value->text.size;
    *bad = false;
    if (value->extension != TIMESTAMP || (size != 4 && size != 8 && size != 12))
        return false;

    int64_t seconds, ms;
    uint64_t nanoseconds;
    split_time((const uint8_t *)value->text.data, size, &seconds, &nanoseconds);
    *bad = nanoseconds >= NANOSECONDS_END || __builtin_mul_overflow(seconds, 1000, &ms)
           || __builtin_add_overflow(ms, (int64_t)(nanoseconds / 1000000), &ms);
    if (*bad)
        return false;
    value->kind = NILAI_VALUE_TIME;
    value->integer = ms;
    return true;
}
