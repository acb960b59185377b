#include "nilai/state/wire.h"

#include <assert.h>

enum { WORD = 8 };
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are written as they lie");

void nilai_wire_put_8(struct nilai_buffer *buffer, uint8_t value)
{
    nilai_buffer_append(buffer, &value, 1);
}

void nilai_wire_put_64(struct nilai_buffer *buffer, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    nilai_buffer_append(buffer, bytes, sizeof bytes);
}

void nilai_wire_put_unsigned(struct nilai_buffer *buffer, uint64_t value)
{
    unsigned char bytes[NILAI_WIRE_VARIABLE_MAX];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (unsigned char)(value | 0x80);
    bytes[size++] = (unsigned char)value;
    nilai_buffer_append(buffer, bytes, size);
}

void nilai_wire_put_signed(struct nilai_buffer *buffer, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    nilai_wire_put_unsigned(buffer, value < 0 ? ~(bits << 1) : bits << 1);
}

static uint64_t load_word(const void *at)
{
    uint64_t word;
    memcpy(&word, at, WORD);
    return word;
}

static uint32_t size_of_word(uint64_t word)
{
    return word == 0 ? 0 : WORD - (uint32_t)__builtin_clzll(word) / 8;
}

void nilai_wire_put_words(struct nilai_buffer *buffer, const void *words, size_t count)
{
    NILAI_ASSERT(count % 2 == 0);
    const char *from = words;
    char *sizes = nilai_buffer_room(buffer, count / 2 + count * WORD);
    if (sizes == NULL)
        return;
    char *at = sizes + count / 2; /* every word is written whole, and what is too much over it */
    for (size_t pair = 0; pair < count / 2; pair++, from += 2 * WORD) {
        uint32_t first = size_of_word(load_word(from)),
                 second = size_of_word(load_word(from + WORD));
        memcpy(at, from, WORD);
        memcpy(at + first, from + WORD, WORD);
        at += first + second;
        sizes[pair] = (char)(first | second << 4);
    }
    nilai_buffer_end_at(buffer, at);
}

void nilai_wire_put_text(struct nilai_buffer *buffer, struct nilai_text text)
{
    NILAI_ASSERT(text.size <= UINT8_MAX);
    nilai_wire_put_8(buffer, (uint8_t)text.size);
    nilai_buffer_append(buffer, text.data, text.size);
}

struct nilai_wire nilai_wire_of(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    /* Nothing may lie nowhere: no pointer is moved then. */
    return (struct nilai_wire){.at = bytes, .end = size > 0 ? bytes + size : bytes};
}

bool nilai_wire_is_done(const struct nilai_wire *wire)
{
    return !wire->failed && wire->at == wire->end;
}

const void *nilai_wire_take(struct nilai_wire *wire, size_t size)
{
    if (wire->failed || size > (size_t)(wire->end - wire->at)) {
        wire->failed = true;
        return NULL;
    }
    const void *taken = wire->at;
    wire->at += size;
    return taken;
}

uint8_t nilai_wire_take_8(struct nilai_wire *wire)
{
    const unsigned char *byte = nilai_wire_take(wire, 1);
    return byte != NULL ? *byte : 0;
}

uint64_t nilai_wire_take_64(struct nilai_wire *wire)
{
    const unsigned char *bytes = nilai_wire_take(wire, 8);
    uint64_t value = 0;
    for (int i = 0; bytes != NULL && i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

uint64_t nilai_wire_take_unsigned(struct nilai_wire *wire)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 7 * NILAI_WIRE_VARIABLE_MAX; shift += 7) {
        uint8_t byte = nilai_wire_take_8(wire);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return wire->failed ? 0 : value;
    }
    wire->failed = true;
    return 0;
}

int64_t nilai_wire_take_signed(struct nilai_wire *wire)
{
    uint64_t bits = nilai_wire_take_unsigned(wire);
    return (int64_t)(bits & 1 ? ~(bits >> 1) : bits >> 1);
}

/* Where the words' bytes begin; NULL if there are not so many, or a word has too many. */
static const unsigned char *take_word_bytes(struct nilai_wire *wire, const unsigned char *sizes,
                                            size_t count)
{
    size_t sum = 0;
    bool too_large = false;
    for (size_t pair = 0; sizes != NULL && pair < count / 2; pair++) {
        uint32_t first = sizes[pair] & 15, second = sizes[pair] >> 4;
        too_large |= first > WORD || second > WORD;
        sum += first + second;
    }
    wire->failed |= too_large;
    return nilai_wire_take(wire, sum);
}

/* The word of `size` bytes at `at`, of which more may be read if they lie before `end`. */
static uint64_t read_word(const unsigned char *at, uint32_t size, const unsigned char *end)
{
    static const uint64_t masks[WORD + 1] = {0,
                                             UINT64_MAX >> 56,
                                             UINT64_MAX >> 48,
                                             UINT64_MAX >> 40,
                                             UINT64_MAX >> 32,
                                             UINT64_MAX >> 24,
                                             UINT64_MAX >> 16,
                                             UINT64_MAX >> 8,
                                             UINT64_MAX};
    if (NILAI_LIKELY(end - at >= WORD))
        return load_word(at) & masks[size];
    uint64_t word = 0;
    memcpy(&word, at, size);
    return word;
}

void nilai_wire_take_words(struct nilai_wire *wire, void *words, size_t count)
{
    NILAI_ASSERT(count % 2 == 0);
    const unsigned char *sizes = nilai_wire_take(wire, count / 2);
    const unsigned char *at = take_word_bytes(wire, sizes, count);
    char *to = words;
    if (at == NULL) {
        memset(words, 0, count * WORD);
        return;
    }
    for (size_t index = 0; index < count; index++, to += WORD) {
        uint32_t size = sizes[index / 2] >> 4 * (index % 2) & 15;
        uint64_t word = read_word(at, size, wire->end);
        memcpy(to, &word, WORD);
        at += size;
    }
}

struct nilai_text nilai_wire_take_text(struct nilai_wire *wire)
{
    uint32_t size = nilai_wire_take_8(wire);
    const char *data = nilai_wire_take(wire, size);
    return data != NULL ? (struct nilai_text){data, size} : (struct nilai_text){"", 0};
}
