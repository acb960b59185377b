/*
 * name.h - short names as words, and a set of them in which finding one is comparing integers.
 *
 * The set is a perfect hash: every name has a slot of its own, so that a search looks at one
 * slot, whatever stands there. Made once, read by any thread.
 */
#ifndef NILAI_EVENT_NAME_H
#define NILAI_EVENT_NAME_H

#include <string.h>

#include "nilai/base/base.h"

enum {
    NILAI_NAME_SIZE_MAX = 16,
    NILAI_NAME_SLOT_BITS = 6,
    NILAI_NAME_NONE = UINT8_MAX, /* no name of the set */
};

struct nilai_name {
    uint64_t word; /* the first eight bytes; zeros after the end */
    uint64_t tail; /* the last eight, if there are more than eight */
    uint32_t size; /* UINT32_MAX: an empty slot, which no text matches */
    uint32_t number;
};

struct nilai_names {
    uint64_t multiplier;
    struct nilai_name slots[1 << NILAI_NAME_SLOT_BITS];
};

/* The first eight bytes, or all of fewer and zeros, as they stand in memory (little-endian). */
static inline uint64_t nilai_name_word(const char *text, size_t size)
{
    if (size >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text, sizeof word);
        return word;
    }
    if (size >= sizeof(uint32_t)) { /* two halves that overlap: the same bytes meet */
        uint32_t head, tail;
        memcpy(&head, text, sizeof head);
        memcpy(&tail, text + size - sizeof tail, sizeof tail);
        return (uint64_t)tail << 8 * (size - sizeof tail) | head;
    }
    if (size < 2)
        return size == 0 ? 0 : (uint8_t)text[0];
    uint16_t head, tail;
    memcpy(&head, text, sizeof head);
    memcpy(&tail, text + size - sizeof tail, sizeof tail);
    return (uint64_t)tail << 8 * (size - sizeof tail) | head;
}

/* `text` is not empty and has at most NILAI_NAME_SIZE_MAX bytes; `number` is what a search
 * finds, below NILAI_NAME_NONE. */
struct nilai_name nilai_name_of(const char *text, uint32_t number);

/* The last eight bytes, of at least so many. */
static inline uint64_t nilai_name_tail(const char *text, size_t size)
{
    uint64_t word;
    memcpy(&word, text + size - sizeof word, sizeof word);
    return word;
}

/* Makes an empty set. */
void nilai_names_init(struct nilai_names *names);

/* Adds a name that is not in it yet. */
void nilai_names_add(struct nilai_names *names, struct nilai_name name);

static inline size_t nilai_names_slot(uint64_t multiplier, uint64_t word)
{
    return (word * multiplier) >> (64 - NILAI_NAME_SLOT_BITS);
}

/* The number of a name, or NILAI_NAME_NONE. */
static inline uint32_t nilai_names_find(const struct nilai_names *names, const char *text,
                                        size_t size)
{
    uint64_t word = nilai_name_word(text, size);
    const struct nilai_name *name = &names->slots[nilai_names_slot(names->multiplier, word)];
    if (name->word != word || name->size != size
        || (size > sizeof word && name->tail != nilai_name_tail(text, size)))
        return NILAI_NAME_NONE;
    return name->number;
}

#endif
