#include "nilai/base/nearest.h"

#include <stdio.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row of the matrix at a time. */
static size_t distance_between(const char *from, const char *to)
{
    size_t row[NILAI_NEAREST_LENGTH_MAX + 1];
    size_t from_size = strlen(from), to_size = strlen(to);
    NILAI_ASSERT(from_size <= NILAI_NEAREST_LENGTH_MAX && to_size <= NILAI_NEAREST_LENGTH_MAX);

    for (size_t j = 0; j <= to_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= from_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= to_size; j++) {
            size_t replaced = diagonal + (from[i - 1] != to[j - 1]);
            diagonal = row[j];
            row[j] = smaller(replaced, 1 + smaller(row[j], row[j - 1]));
        }
    }
    return row[to_size];
}

void nilai_nearest_init(struct nilai_nearest *nearest, const char *word)
{
    size_t close = strlen(word) / 3;
    *nearest = (struct nilai_nearest){.word = word, .distance = (close < 2 ? 2 : close) + 1};
}

void nilai_nearest_consider(struct nilai_nearest *nearest, const char *candidate)
{
    if (strlen(nearest->word) > NILAI_NEAREST_LENGTH_MAX
        || strlen(candidate) > NILAI_NEAREST_LENGTH_MAX)
        return;
    size_t distance = distance_between(nearest->word, candidate);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = candidate;
    }
}

const char *nilai_nearest_text(const struct nilai_nearest *nearest,
                               char text[static NILAI_NEAREST_TEXT_SIZE])
{
    text[0] = '\0';
    if (nearest->best != NULL)
        snprintf(text, NILAI_NEAREST_TEXT_SIZE, " (did you mean %s?)", nearest->best);
    return text;
}
