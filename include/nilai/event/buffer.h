/*
 * buffer.h - bytes that are being written: grows on demand, up to a limit.
 *
 * The first failure sticks: what is appended after it is dropped, and the writer looks at
 * `status` once, at the end. Never shrinks, so that a reused buffer soon stops allocating.
 */
#ifndef NILAI_EVENT_BUFFER_H
#define NILAI_EVENT_BUFFER_H

#include "nilai/base/base.h"

struct nilai_buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t size_max;
    enum nilai_status status; /* NILAI_OK, NILAI_NO_MEMORY or NILAI_FULL */
};

void nilai_buffer_init(struct nilai_buffer *buffer, size_t size_max);
void nilai_buffer_fini(struct nilai_buffer *buffer);

/* Forgets the content and the failure, keeps the memory. */
void nilai_buffer_clear(struct nilai_buffer *buffer);

void nilai_buffer_append(struct nilai_buffer *buffer, const void *data, size_t size);

#endif
