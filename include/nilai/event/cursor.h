/*
 * cursor.h - a bounds-checked walk over MessagePack: one value at a time, containers as
 * their header alone. Allocates nothing, recurses nowhere, keeps no tree.
 *
 * The cursor is a plain pointer that functions take and return, so that it lives in a
 * register: kept in a structure, each step would wait for a store of the one before.
 *
 *   00..7f integer   80..8f map   90..9f array   a0..bf string   c0 nil   c1 never used
 *   c2 false  c3 true   c4 c5 c6 binary (8, 16, 32 bit length)   c7 c8 c9 extension
 *   ca float  cb double   cc..cf unsigned   d0..d3 signed   d4..d8 extension of 1..16 bytes
 *   d9 da db string   dc dd array   de df map   e0..ff negative integer
 */
#ifndef NILAI_EVENT_CURSOR_H
#define NILAI_EVENT_CURSOR_H

#include "nilai/event/fields.h"

/* The big-endian integer of `width` bytes (1, 2, 4 or 8) at `at`. */
static inline uint64_t nilai_msgpack_load(const uint8_t *at, size_t width)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (width) {
    case 1: return *at;
    case 2: memcpy(&two, at, sizeof two); return __builtin_bswap16(two);
    case 4: memcpy(&four, at, sizeof four); return __builtin_bswap32(four);
    default: memcpy(&eight, at, sizeof eight); return __builtin_bswap64(eight);
    }
}

static inline const uint8_t *nilai_msgpack_bytes(const uint8_t *at, const uint8_t *end,
                                                 uint8_t kind, uint32_t size,
                                                 struct nilai_value *value)
{
    if (size > (size_t)(end - at))
        return NULL;
    value->kind = kind;
    value->text = (struct nilai_text){(const char *)at, size};
    return at + size;
}

/* Each element takes a byte at least: a count beyond the bytes that remain is cut short. */
static inline const uint8_t *nilai_msgpack_container(const uint8_t *at, const uint8_t *end,
                                                     uint8_t kind, uint32_t count,
                                                     struct nilai_value *value)
{
    uint64_t values = kind == NILAI_VALUE_MAP ? 2 * (uint64_t)count : count;
    if (values > (size_t)(end - at))
        return NULL;
    value->kind = kind;
    value->count = count;
    value->all_maps = true;
    value->all_numbers = true;
    return at;
}

/* Takes one value, or the header of a container whose nilai_msgpack_children() follow; the
 * result is where the next one starts. NULL: nilai_msgpack_fault() says why.
 * `position` is left to those who need it. */
const uint8_t *nilai_msgpack_take(const uint8_t *at, const uint8_t *end, struct nilai_value *value);

/* Why no value could be taken at `at`. NILAI_AGAIN: it is cut short, or declares more than
 * remains. NILAI_INVALID: not MessagePack. */
static inline enum nilai_status nilai_msgpack_fault(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at == 0xc1 ? NILAI_INVALID : NILAI_AGAIN;
}

/* How many values stand in a container. */
static inline uint64_t nilai_msgpack_children(const struct nilai_value *container)
{
    return container->kind == NILAI_VALUE_MAP ? 2 * (uint64_t)container->count : container->count;
}

/* By first byte: the bytes of a value whose first byte tells them; 0 if more decides. */
extern const uint8_t nilai_msgpack_sizes[256];

/* An EXTENSION of type -1 and 4, 8 or 12 bytes becomes a TIME, cut to ms, whatever instant it
 * is (before 1970, too). False: another extension, or an instant that is none or does not fit
 * into 64 bits of ms; then the value is left as it is, and *bad tells the two apart. */
bool nilai_msgpack_read_time(struct nilai_value *value, bool *bad);

#endif
