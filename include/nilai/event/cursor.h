/*
 * cursor.h - a bounds-checked walk over MessagePack: one value at a time, containers as
 * their header alone. Allocates nothing, recurses nowhere, keeps no tree.
 *
 *   00..7f integer   80..8f map   90..9f array   a0..bf string   c0 nil   c1 never used
 *   c2 false  c3 true   c4 c5 c6 binary (8, 16, 32 bit length)   c7 c8 c9 extension
 *   ca float  cb double   cc..cf unsigned   d0..d3 signed   d4..d8 extension of 1..16 bytes
 *   d9 da db string   dc dd array   de df map   e0..ff negative integer
 */
#ifndef NILAI_EVENT_CURSOR_H
#define NILAI_EVENT_CURSOR_H

#include "nilai/event/fields.h"

struct nilai_cursor {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
};

static inline size_t nilai_cursor_left(const struct nilai_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* The big-endian integer of `width` bytes at the cursor; the caller knows that they are there. */
static inline uint64_t nilai_cursor_load(const uint8_t *at, size_t width)
{
    uint16_t half;
    uint32_t single;
    uint64_t twice;
    switch (width) {
    case 1:
        return *at;
    case 2:
        memcpy(&half, at, sizeof half);
        return __builtin_bswap16(half);
    case 4:
        memcpy(&single, at, sizeof single);
        return __builtin_bswap32(single);
    default:
        memcpy(&twice, at, sizeof twice);
        return __builtin_bswap64(twice);
    }
}

static inline enum nilai_status nilai_cursor_bytes(struct nilai_cursor *cursor, uint8_t kind, uint32_t size,
                                                   struct nilai_value *value)
{
    if (size > nilai_cursor_left(cursor))
        return NILAI_AGAIN;
    value->kind = kind;
    value->text = (struct nilai_text){(const char *)cursor->at, size};
    cursor->at += size;
    return NILAI_OK;
}

/* Each element takes a byte at least: a count beyond the bytes that remain is cut short. */
static inline enum nilai_status nilai_cursor_container(struct nilai_cursor *cursor, uint8_t kind,
                                                       uint32_t count, struct nilai_value *value)
{
    uint64_t values = kind == NILAI_VALUE_MAP ? 2 * (uint64_t)count : count;
    if (values > nilai_cursor_left(cursor))
        return NILAI_AGAIN;
    value->kind = kind;
    value->count = count;
    value->all_maps = true;
    value->all_numbers = true;
    return NILAI_OK;
}

/* The values whose first byte is c0 to df, without the most frequent ones. */
enum nilai_status nilai_cursor_take_rare(struct nilai_cursor *cursor, uint8_t first,
                                         struct nilai_value *value);

/* Takes one value, or the header of a container, whose `count` (of pairs, for a map) values
 * follow. NILAI_AGAIN: more bytes are declared than remain. NILAI_INVALID: not MessagePack.
 * After a failure the cursor stands somewhere in or after the value. */
static inline enum nilai_status nilai_cursor_take(struct nilai_cursor *cursor, struct nilai_value *value)
{
    if (cursor->at == cursor->end)
        return NILAI_AGAIN;
    value->position = (uint32_t)(cursor->at - cursor->start);
    uint8_t first = *cursor->at++;
    if (first >= 0xa0 && first <= 0xbf)
        return nilai_cursor_bytes(cursor, NILAI_VALUE_TEXT, first & 0x1f, value);
    if (first <= 0x7f || first >= 0xe0) {
        value->kind = NILAI_VALUE_INTEGER;
        value->integer = (int8_t)first;
        return NILAI_OK;
    }
    if (first <= 0x8f)
        return nilai_cursor_container(cursor, NILAI_VALUE_MAP, first & 0x0f, value);
    if (first <= 0x9f)
        return nilai_cursor_container(cursor, NILAI_VALUE_ARRAY, first & 0x0f, value);
    return nilai_cursor_take_rare(cursor, first, value);
}

/* An EXTENSION of type -1 and 4, 8 or 12 bytes becomes a TIME, cut to ms, whatever instant it
 * is (before 1970, too). False: another extension, or an instant that is none or does not fit
 * into 64 bits of ms; then the value is left as it is, and *bad tells the two apart. */
bool nilai_cursor_read_time(struct nilai_value *value, bool *bad);

#endif
