#include "nilai/event/buffer.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 1024 };

void nilai_buffer_init(struct nilai_buffer *buffer, size_t size_max)
{
    *buffer = (struct nilai_buffer){.size_max = size_max, .status = NILAI_OK};
}

void nilai_buffer_fini(struct nilai_buffer *buffer)
{
    free(buffer->data);
    nilai_buffer_init(buffer, buffer->size_max);
}

void nilai_buffer_clear(struct nilai_buffer *buffer)
{
    buffer->size = 0;
    buffer->status = NILAI_OK;
}

static enum nilai_status grow(struct nilai_buffer *buffer, size_t size)
{
    if (size > buffer->size_max - buffer->size)
        return NILAI_FULL;
    size_t capacity = buffer->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : buffer->capacity;
    while (capacity < buffer->size + size)
        capacity *= 2;
    if (capacity > buffer->size_max)
        capacity = buffer->size_max; /* so that whoever has room is within the limit */
    char *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return NILAI_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return NILAI_OK;
}

bool nilai_buffer_grow(struct nilai_buffer *buffer, size_t size)
{
    NILAI_ASSERT(buffer->size <= buffer->size_max);
    if (buffer->status == NILAI_OK)
        buffer->status = grow(buffer, size);
    return buffer->status == NILAI_OK;
}
