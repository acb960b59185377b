#include "nilai/event/cursor.h"

enum { TIMESTAMP = -1, NANOSECONDS_END = 1000000000 };

/* A length or number that follows the first byte; false if it is cut short. */
static bool take_number(struct nilai_cursor *cursor, size_t width, uint64_t *number)
{
    if (nilai_cursor_left(cursor) < width)
        return false;
    *number = nilai_cursor_load(cursor->at, width);
    cursor->at += width;
    return true;
}

static enum nilai_status take_unsigned(struct nilai_cursor *cursor, size_t width, struct nilai_value *value)
{
    uint64_t number;
    if (!take_number(cursor, width, &number))
        return NILAI_AGAIN;
    if (number <= INT64_MAX) {
        value->kind = NILAI_VALUE_INTEGER;
        value->integer = (int64_t)number;
    } else {
        value->kind = NILAI_VALUE_BIG_INTEGER;
        value->real = (double)number;
        value->natural = number;
    }
    return NILAI_OK;
}

static enum nilai_status take_signed(struct nilai_cursor *cursor, size_t width, struct nilai_value *value)
{
    uint64_t number;
    if (!take_number(cursor, width, &number))
        return NILAI_AGAIN;
    size_t unused = 64 - 8 * width;
    value->kind = NILAI_VALUE_INTEGER;
    value->integer = (int64_t)(number << unused) >> unused;
    return NILAI_OK;
}

static enum nilai_status take_real(struct nilai_cursor *cursor, size_t width, struct nilai_value *value)
{
    uint64_t bits;
    if (!take_number(cursor, width, &bits))
        return NILAI_AGAIN;
    value->kind = NILAI_VALUE_REAL;
    if (width == sizeof(float)) {
        uint32_t half = (uint32_t)bits;
        float number;
        memcpy(&number, &half, sizeof number);
        value->real = number;
    } else {
        memcpy(&value->real, &bits, sizeof value->real);
    }
    return NILAI_OK;
}

static enum nilai_status take_simple(uint8_t kind, int64_t integer, struct nilai_value *value)
{
    value->kind = kind;
    value->integer = integer;
    return NILAI_OK;
}

static enum nilai_status take_extension(struct nilai_cursor *cursor, uint32_t size, struct nilai_value *value)
{
    if (cursor->at == cursor->end)
        return NILAI_AGAIN;
    value->extension = (int8_t)*cursor->at++;
    return nilai_cursor_bytes(cursor, NILAI_VALUE_EXTENSION, size, value);
}

/* What has its length, of `width` bytes, after the first byte. */
static enum nilai_status take_sized(struct nilai_cursor *cursor, uint8_t kind, size_t width,
                                    struct nilai_value *value)
{
    uint64_t size;
    if (!take_number(cursor, width, &size))
        return NILAI_AGAIN;
    if (kind == NILAI_VALUE_EXTENSION)
        return take_extension(cursor, (uint32_t)size, value);
    if (kind == NILAI_VALUE_ARRAY || kind == NILAI_VALUE_MAP)
        return nilai_cursor_container(cursor, kind, (uint32_t)size, value);
    return nilai_cursor_bytes(cursor, kind, (uint32_t)size, value);
}

enum nilai_status nilai_cursor_take_rare(struct nilai_cursor *cursor, uint8_t first,
                                         struct nilai_value *value)
{
    NILAI_ASSERT(first >= 0xc0 && first <= 0xdf);
    switch (first) {
    case 0xc0: return take_simple(NILAI_VALUE_NULL, 0, value);
    case 0xc2: return take_simple(NILAI_VALUE_BOOL, 0, value);
    case 0xc3: return take_simple(NILAI_VALUE_BOOL, 1, value);
    case 0xc4: return take_sized(cursor, NILAI_VALUE_BINARY, 1, value);
    case 0xc5: return take_sized(cursor, NILAI_VALUE_BINARY, 2, value);
    case 0xc6: return take_sized(cursor, NILAI_VALUE_BINARY, 4, value);
    case 0xc7: return take_sized(cursor, NILAI_VALUE_EXTENSION, 1, value);
    case 0xc8: return take_sized(cursor, NILAI_VALUE_EXTENSION, 2, value);
    case 0xc9: return take_sized(cursor, NILAI_VALUE_EXTENSION, 4, value);
    case 0xca: return take_real(cursor, 4, value);
    case 0xcb: return take_real(cursor, 8, value);
    case 0xcc: return take_unsigned(cursor, 1, value);
    case 0xcd: return take_unsigned(cursor, 2, value);
    case 0xce: return take_unsigned(cursor, 4, value);
    case 0xcf: return take_unsigned(cursor, 8, value);
    case 0xd0: return take_signed(cursor, 1, value);
    case 0xd1: return take_signed(cursor, 2, value);
    case 0xd2: return take_signed(cursor, 4, value);
    case 0xd3: return take_signed(cursor, 8, value);
    case 0xd4: return take_extension(cursor, 1, value);
    case 0xd5: return take_extension(cursor, 2, value);
    case 0xd6: return take_extension(cursor, 4, value);
    case 0xd7: return take_extension(cursor, 8, value);
    case 0xd8: return take_extension(cursor, 16, value);
    case 0xd9: return take_sized(cursor, NILAI_VALUE_TEXT, 1, value);
    case 0xda: return take_sized(cursor, NILAI_VALUE_TEXT, 2, value);
    case 0xdb: return take_sized(cursor, NILAI_VALUE_TEXT, 4, value);
    case 0xdc: return take_sized(cursor, NILAI_VALUE_ARRAY, 2, value);
    case 0xdd: return take_sized(cursor, NILAI_VALUE_ARRAY, 4, value);
    case 0xde: return take_sized(cursor, NILAI_VALUE_MAP, 2, value);
    case 0xdf: return take_sized(cursor, NILAI_VALUE_MAP, 4, value);
    default: return NILAI_INVALID;
    }
}

/* 4 bytes: seconds. 8: nanoseconds in 30 bits, seconds in 34. 12: nanoseconds in 32 bits,
 * signed seconds in 64. */
static void split_time(const uint8_t *bytes, uint32_t size, int64_t *seconds, uint64_t *nanoseconds)
{
    uint64_t packed;
    switch (size) {
    case 4:
        *seconds = (int64_t)nilai_cursor_load(bytes, 4);
        *nanoseconds = 0;
        return;
    case 8:
        packed = nilai_cursor_load(bytes, 8);
        *seconds = (int64_t)(packed & ((UINT64_C(1) << 34) - 1));
        *nanoseconds = packed >> 34;
        return;
    default:
        *nanoseconds = nilai_cursor_load(bytes, 4);
        *seconds = (int64_t)nilai_cursor_load(bytes + 4, 8);
    }
}

bool nilai_cursor_read_time(struct nilai_value *value, bool *bad)
{
    NILAI_ASSERT(value->kind == NILAI_VALUE_EXTENSION);
    uint32_t size = value->text.size;
    *bad = false;
    if (value->extension != TIMESTAMP || (size != 4 && size != 8 && size != 12))
        return false;

    int64_t seconds, ms;
    uint64_t nanoseconds;
    split_time((const uint8_t *)value->text.data, size, &seconds, &nanoseconds);
    *bad = nanoseconds >= NANOSECONDS_END || __builtin_mul_overflow(seconds, 1000, &ms) ||
           __builtin_add_overflow(ms, (int64_t)(nanoseconds / 1000000), &ms);
    if (*bad)
        return false;
    value->kind = NILAI_VALUE_TIME;
    value->integer = ms;
    return true;
}
