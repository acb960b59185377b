/*
 * nearest.h - "did you mean ...?": the known word closest to one that nobody knows.
 *
 * Words longer than NILAI_NEAREST_LENGTH_MAX are never close to anything.
 */
#ifndef NILAI_BASE_NEAREST_H
#define NILAI_BASE_NEAREST_H

#include "nilai/base/base.h"

enum { NILAI_NEAREST_LENGTH_MAX = 127 };

struct nilai_nearest {
    const char *word; /* what was written */
    const char *best; /* the closest so far, or NULL; borrowed from the caller */
    size_t distance;  /* its edit distance; at the start: one more than is still "close" */
};

/* Begins a search; at most a third of the letters (and at least two) may differ. */
void nilai_nearest_init(struct nilai_nearest *nearest, const char *word);
void nilai_nearest_consider(struct nilai_nearest *nearest, const char *candidate);

enum { NILAI_NEAREST_TEXT_SIZE = NILAI_NEAREST_LENGTH_MAX + 32 };

/* " (did you mean X?)", or nothing when no word is close. */
const char *nilai_nearest_text(const struct nilai_nearest *nearest,
                               char text[static NILAI_NEAREST_TEXT_SIZE]);

#endif
