#include "nilai/state/touched.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBERS_MIN = 4096 };

static uint32_t words_of(uint32_t bits)
{
    return bits / 64 + (bits % 64 != 0);
}

void nilai_touched_init(struct nilai_touched *touched)
{
    *touched = (struct nilai_touched){0};
}

void nilai_touched_fini(struct nilai_touched *touched)
{
    free(touched->bits);
    free(touched->summary);
}

static bool grow(uint64_t **words, uint32_t from, uint32_t to)
{
    uint64_t *grown = realloc(*words, to * sizeof **words);
    if (grown == NULL)
        return false;
    memset(grown + from, 0, (to - from) * sizeof *grown);
    *words = grown;
    return true;
}

static enum nilai_status reserve(struct nilai_touched *touched, uint32_t number)
{
    uint64_t numbers = touched->numbers > 0 ? touched->numbers : NUMBERS_MIN;
    while (numbers <= number)
        numbers *= 2;
    if (numbers > UINT32_MAX)
        numbers = UINT32_MAX;
    uint32_t had = words_of(touched->numbers), need = words_of((uint32_t)numbers);
    if (!grow(&touched->bits, had, need) || !grow(&touched->summary, words_of(had), words_of(need)))
        return NILAI_NO_MEMORY;
    touched->numbers = (uint32_t)numbers;
    return NILAI_OK;
}

enum nilai_status nilai_touched_add(struct nilai_touched *touched, uint32_t number)
{
    if (number >= touched->numbers) {
        enum nilai_status status = reserve(touched, number);
        if (status != NILAI_OK)
            return status;
    }
    uint32_t word = number / 64;
    touched->bits[word] |= UINT64_C(1) << number % 64;
    touched->summary[word / 64] |= UINT64_C(1) << word % 64;
    return NILAI_OK;
}

void nilai_touched_remove(struct nilai_touched *touched, uint32_t number)
{
    if (number >= touched->numbers)
        return;
    uint32_t word = number / 64;
    touched->bits[word] &= ~(UINT64_C(1) << number % 64);
    if (touched->bits[word] == 0)
        touched->summary[word / 64] &= ~(UINT64_C(1) << word % 64);
}

/* The first set bit at or after `from` among `count` words; false: none. */
static bool find_bit(const uint64_t *words, uint32_t count, uint32_t from, uint32_t *bit)
{
    for (uint32_t word = from / 64; word < count; word++) {
        uint64_t rest = word == from / 64 ? words[word] >> from % 64 << from % 64 : words[word];
        if (rest != 0) {
            *bit = word * 64 + (uint32_t)__builtin_ctzll(rest);
            return true;
        }
    }
    return false;
}

bool nilai_touched_take(struct nilai_touched *touched, uint32_t *from, uint32_t *number)
{
    uint32_t words = words_of(touched->numbers), word = *from / 64;
    if (*from >= touched->numbers)
        return false;
    /* First what is left of the word at hand, then the next word that has anything. */
    if (!find_bit(touched->bits, word + 1, *from, number)) {
        if (!find_bit(touched->summary, words_of(words), word + 1, &word)
            || !find_bit(touched->bits, word + 1, word * 64, number))
            return false;
    }
    nilai_touched_remove(touched, *number);
    *from = *number + 1;
    return true;
}
