/*
 * name.h - short names as words, so that comparing them is comparing integers.
 */
#ifndef NILAI_EVENT_NAME_H
#define NILAI_EVENT_NAME_H

#include <string.h>

#include "nilai/base/base.h"

struct nilai_name {
    const char *text; /* NULL: no name, matches nothing */
    uint64_t word;
    size_t size;
};

/* The first eight bytes, or all of fewer: then the two halves overlap, and the word and the
 * size decide the bytes. */
static inline uint64_t nilai_name_word(const char *name, size_t size)
{
    if (size >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, name, sizeof word);
        return word;
    }
    if (size >= sizeof(uint32_t)) {
        uint32_t head, tail;
        memcpy(&head, name, sizeof head);
        memcpy(&tail, name + size - sizeof tail, sizeof tail);
        return (uint64_t)tail << 32 | head;
    }
    if (size < 2)
        return size == 0 ? 0 : (uint8_t)name[0];
    uint16_t head, tail;
    memcpy(&head, name, sizeof head);
    memcpy(&tail, name + size - sizeof tail, sizeof tail);
    return (uint64_t)tail << 32 | head;
}

static inline struct nilai_name nilai_name_of(const char *text)
{
    if (text == NULL)
        return (struct nilai_name){NULL, 0, 0};
    size_t size = strlen(text);
    return (struct nilai_name){text, nilai_name_word(text, size), size};
}

/* `word` is that of the text. */
static inline bool nilai_name_is(const struct nilai_name *name, uint64_t word, const char *text, size_t size)
{
    return name->word == word && name->size == size && name->text != NULL &&
           (size <= sizeof word || memcmp(name->text + sizeof word, text + sizeof word, size - sizeof word) == 0);
}

#endif
