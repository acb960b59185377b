/*
 * buffer.h - bytes that are being written: grows on demand, up to a limit.
 *
 * The first failure sticks: what is appended after it is dropped, and the writer looks at
 * `status` once, at the end. Never shrinks, so that a reused buffer soon stops allocating.
 */
#ifndef NILAI_EVENT_BUFFER_H
#define NILAI_EVENT_BUFFER_H

#include <string.h>

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

/* Room for so many bytes behind what is there, for who writes them in place and then says where
 * they end; NULL after a failure. */
static inline char *nilai_buffer_room(struct nilai_buffer *buffer, size_t size);
static inline void nilai_buffer_end_at(struct nilai_buffer *buffer, const char *end);

static inline void nilai_buffer_append(struct nilai_buffer *buffer, const void *data, size_t size);

/* ---- inline: most of what is written are a few bytes ---- */

/* Makes room, or notes why not: false. */
bool nilai_buffer_grow(struct nilai_buffer *buffer, size_t size);

static inline char *nilai_buffer_room(struct nilai_buffer *buffer, size_t size)
{
    if (NILAI_LIKELY(size <= buffer->capacity - buffer->size && buffer->status == NILAI_OK))
        return buffer->data + buffer->size;
    return nilai_buffer_grow(buffer, size) ? buffer->data + buffer->size : NULL;
}

static inline void nilai_buffer_end_at(struct nilai_buffer *buffer, const char *end)
{
    buffer->size = (size_t)(end - buffer->data);
}

static inline void nilai_buffer_append(struct nilai_buffer *buffer, const void *data, size_t size)
{
    char *room = size > 0 ? nilai_buffer_room(buffer, size) : NULL;
    if (room == NULL)
        return;
    memcpy(room, data, size);
    buffer->size += size;
}

#endif
