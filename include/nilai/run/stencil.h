/*
 * stencil.h - entries of a map whose bytes are the same each time but for the last few.
 *
 * A generator writes the same keys and words over and over. So each entry is written once by the
 * encoder, when it is first needed, and from then on its bytes are copied; a text or a number of
 * the same size goes over the end of the copy, which is where MessagePack has it, big end first.
 * The bytes that come out are those of the encoder.
 *
 * For values that are known to be good: one map of small entries, texts in UTF-8, numbers from 0
 * on. Nested entries are the caller's affair: what is opened is not closed. A set of stencils
 * belongs to one thread.
 */
#ifndef NILAI_RUN_STENCIL_H
#define NILAI_RUN_STENCIL_H

#include <endian.h>
#include <string.h>

#include "nilai/event/encode.h"

enum {
    NILAI_STENCIL_SIZE = 31,       /* the key's bytes and the value's */
    NILAI_STENCIL_FIELDS_MAX = 32, /* [0] has no key: an element of an array */
    NILAI_STENCIL_CHOICES_MAX = 16,
    NILAI_STENCIL_WIDTHS = 5, /* numbers of 7, 8, 16, 32 and 63 bits differ in size */
    NILAI_STENCIL_OUTPUT_SIZE = 2048,
};

struct nilai_stencil {
    char bytes[NILAI_STENCIL_SIZE];
    uint8_t size; /* 0: not made yet */
};

struct nilai_stencils {
    struct nilai_encoder *encoder;
    const char *const *names; /* of the fields */
    char *at;
    struct nilai_stencil maps[NILAI_STENCIL_CHOICES_MAX];
    struct nilai_stencil arrays[NILAI_STENCIL_FIELDS_MAX][NILAI_STENCIL_CHOICES_MAX];
    struct nilai_stencil choices[NILAI_STENCIL_FIELDS_MAX][NILAI_STENCIL_CHOICES_MAX];
    struct nilai_stencil texts[NILAI_STENCIL_FIELDS_MAX][NILAI_STENCIL_SIZE];
    struct nilai_stencil numbers[NILAI_STENCIL_FIELDS_MAX][NILAI_STENCIL_WIDTHS];
    struct nilai_stencil reals[NILAI_STENCIL_FIELDS_MAX];
    char output[NILAI_STENCIL_OUTPUT_SIZE];
};

/* `names` ([0] NULL, up to FIELDS_MAX) is borrowed. NULL when out of memory. */
struct nilai_stencils *nilai_stencils_create(const char *const *names);
void nilai_stencils_destroy(struct nilai_stencils *stencils);

static inline void nilai_stencils_begin(struct nilai_stencils *stencils)
{
    stencils->at = stencils->output;
}

/* The bytes are borrowed until the next begin. */
static inline void nilai_stencils_end(const struct nilai_stencils *stencils, const char **data,
                                      size_t *size)
{
    *data = stencils->output;
    *size = (size_t)(stencils->at - stencils->output);
}

/* ---- inline: a dozen of these an event ---- */

void nilai_stencil_make_map(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                            uint32_t entries);
void nilai_stencil_make_array(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                              uint32_t field, uint32_t entries);
void nilai_stencil_make_text(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                             uint32_t field, const char *text, size_t size);
void nilai_stencil_make_number(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                               uint32_t field, int64_t value);
void nilai_stencil_make_real(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                             uint32_t field);

static inline void nilai_stencil_copy(struct nilai_stencils *stencils,
                                      const struct nilai_stencil *stencil)
{
    NILAI_ASSERT(stencils->at + sizeof *stencil <= stencils->output + NILAI_STENCIL_OUTPUT_SIZE);
    memcpy(stencils->at, stencil, sizeof *stencil);
    stencils->at += stencil->size;
}

/* Over the last `width` bytes, and what is behind them, which is not written yet. */
static inline void nilai_stencil_cover(struct nilai_stencils *stencils, uint64_t value,
                                       uint32_t width)
{
    uint64_t bytes = htobe64(value << (64 - 8 * width));
    memcpy(stencils->at - width, &bytes, sizeof bytes);
}

/* A map as the value itself or as an element, with fewer than CHOICES_MAX entries to follow. */
static inline void nilai_stencil_map(struct nilai_stencils *stencils, uint32_t entries)
{
    NILAI_ASSERT(entries < NILAI_STENCIL_CHOICES_MAX);
    struct nilai_stencil *stencil = &stencils->maps[entries];
    if (NILAI_UNLIKELY(stencil->size == 0))
        nilai_stencil_make_map(stencils, stencil, entries);
    nilai_stencil_copy(stencils, stencil);
}

static inline void nilai_stencil_array(struct nilai_stencils *stencils, uint32_t field,
                                       uint32_t entries)
{
    NILAI_ASSERT(field < NILAI_STENCIL_FIELDS_MAX && entries < NILAI_STENCIL_CHOICES_MAX);
    struct nilai_stencil *stencil = &stencils->arrays[field][entries];
    if (NILAI_UNLIKELY(stencil->size == 0))
        nilai_stencil_make_array(stencils, stencil, field, entries);
    nilai_stencil_copy(stencils, stencil);
}

/* One of the words that the field may have; the same choice is always the same word. */
static inline void nilai_stencil_choice(struct nilai_stencils *stencils, uint32_t field,
                                        uint32_t choice, const char *word)
{
    NILAI_ASSERT(field < NILAI_STENCIL_FIELDS_MAX && choice < NILAI_STENCIL_CHOICES_MAX);
    struct nilai_stencil *stencil = &stencils->choices[field][choice];
    if (NILAI_UNLIKELY(stencil->size == 0))
        nilai_stencil_make_text(stencils, stencil, field, word, strlen(word));
    nilai_stencil_copy(stencils, stencil);
}

static inline void nilai_stencil_text(struct nilai_stencils *stencils, uint32_t field,
                                      const char *text, size_t size)
{
    NILAI_ASSERT(field < NILAI_STENCIL_FIELDS_MAX && size < NILAI_STENCIL_SIZE);
    struct nilai_stencil *stencil = &stencils->texts[field][size];
    if (NILAI_UNLIKELY(stencil->size == 0))
        nilai_stencil_make_text(stencils, stencil, field, text, size);
    nilai_stencil_copy(stencils, stencil);
    memcpy(stencils->at - size, text, size);
}

static inline void nilai_stencil_number(struct nilai_stencils *stencils, uint32_t field,
                                        int64_t value)
{
    static const uint8_t widths[NILAI_STENCIL_WIDTHS] = {1, 1, 2, 4, 8};
    NILAI_ASSERT(field < NILAI_STENCIL_FIELDS_MAX && value >= 0);
    uint32_t kind = value <= INT8_MAX     ? 0
                    : value <= UINT8_MAX  ? 1
                    : value <= UINT16_MAX ? 2
                    : value <= UINT32_MAX ? 3
                                          : 4;
    struct nilai_stencil *stencil = &stencils->numbers[field][kind];
    if (NILAI_UNLIKELY(stencil->size == 0))
        nilai_stencil_make_number(stencils, stencil, field, value);
    nilai_stencil_copy(stencils, stencil);
    nilai_stencil_cover(stencils, (uint64_t)value, widths[kind]);
}

static inline void nilai_stencil_real(struct nilai_stencils *stencils, uint32_t field, double value)
{
    NILAI_ASSERT(field < NILAI_STENCIL_FIELDS_MAX);
    struct nilai_stencil *stencil = &stencils->reals[field];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (NILAI_UNLIKELY(stencil->size == 0))
        nilai_stencil_make_real(stencils, stencil, field);
    nilai_stencil_copy(stencils, stencil);
    nilai_stencil_cover(stencils, bits, sizeof bits);
}

#endif
