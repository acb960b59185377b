/*
 * utf8.h - which bytes are UTF-8: neither overlong, nor surrogates, nor above U+10FFFF.
 */
#ifndef NILAI_EVENT_UTF8_H
#define NILAI_EVENT_UTF8_H

#include "nilai/event/name.h"

/* Length of the character at the start (size > 0); when it is not UTF-8, *valid is false and
 * the result is the maximal ill-formed part: what one U+FFFD stands for. */
size_t nilai_utf8_step(const char *data, size_t size, bool *valid);

bool nilai_utf8_valid_slow(const char *data, size_t size);

/* Nearly all text is short and ASCII: a word at once, the last one overlapping the one before. */
static inline bool nilai_utf8_is_ascii(const char *data, size_t size)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    if (size < sizeof(uint64_t))
        return (nilai_name_word(data, size) & high_bits) == 0;
    uint64_t seen = nilai_name_word(data, sizeof seen) | nilai_name_tail(data, size);
    for (size_t at = sizeof seen; at + sizeof seen < size; at += sizeof seen)
        seen |= nilai_name_word(data + at, sizeof seen);
    return (seen & high_bits) == 0;
}

/* Whether one of eight bytes is below 0x20, a quote, a backslash or not ASCII: with a borrow only
 * where a byte is found, so that the answer for all eight is exact. */
static inline bool nilai_utf8_word_is_plain(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high_bits = ones << 7;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t found = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;
    return (found & high_bits) == 0;
}

/* True if a JSON string can hold it as it is: ASCII without control characters, quotes and
 * backslashes. */
static inline bool nilai_utf8_is_plain(const char *data, size_t size)
{
    enum { WORD = sizeof(uint64_t) };
    if (size < WORD)
        return nilai_utf8_word_is_plain(nilai_name_word(data, size)
                                        | UINT64_C(0x2020202020202020) << 8 * size);
    bool plain = true;
    for (size_t at = 0; at + WORD < size; at += WORD)
        plain &= nilai_utf8_word_is_plain(nilai_name_word(data + at, WORD));
    return plain && nilai_utf8_word_is_plain(nilai_name_word(data + size - WORD, WORD));
}

/* True if all of it is UTF-8 (nothing at all is, too). */
static inline bool nilai_utf8_valid(const char *data, size_t size)
{
    return NILAI_LIKELY(nilai_utf8_is_ascii(data, size)) || nilai_utf8_valid_slow(data, size);
}

#endif
