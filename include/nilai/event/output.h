/*
 * output.h - bytes that are being written: grows on demand, up to a limit.
 *
 * The first failure sticks: what is appended after it is dropped, and the writer looks at
 * `status` once, at the end. Never shrinks, so that a reused output soon stops allocating.
 */
#ifndef NILAI_EVENT_OUTPUT_H
#define NILAI_EVENT_OUTPUT_H

#include "nilai/base/base.h"

struct nilai_output {
    char *data;
    size_t size;
    size_t capacity;
    size_t size_max;
    enum nilai_status status; /* NILAI_OK, NILAI_NO_MEMORY or NILAI_FULL */
};

void nilai_output_init(struct nilai_output *output, size_t size_max);
void nilai_output_fini(struct nilai_output *output);

/* Forgets the content and the failure, keeps the memory. */
void nilai_output_clear(struct nilai_output *output);

void nilai_output_append(struct nilai_output *output, const void *data, size_t size);

#endif
