#include "nilai/event/output.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 1024 };

void nilai_output_init(struct nilai_output *output, size_t size_max)
{
    *output = (struct nilai_output){.size_max = size_max, .status = NILAI_OK};
}

void nilai_output_fini(struct nilai_output *output)
{
    free(output->data);
    nilai_output_init(output, output->size_max);
}

void nilai_output_clear(struct nilai_output *output)
{
    output->size = 0;
    output->status = NILAI_OK;
}

static enum nilai_status grow(struct nilai_output *output, size_t size)
{
    if (size > output->size_max - output->size)
        return NILAI_FULL;
    size_t capacity = output->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : output->capacity;
    while (capacity < output->size + size)
        capacity *= 2;
    char *data = realloc(output->data, capacity);
    if (data == NULL)
        return NILAI_NO_MEMORY;
    output->data = data;
    output->capacity = capacity;
    return NILAI_OK;
}

void nilai_output_append(struct nilai_output *output, const void *data, size_t size)
{
    NILAI_ASSERT(output->size <= output->size_max);
    if (size == 0 || output->status != NILAI_OK)
        return;
    if (size > output->capacity - output->size || size > output->size_max - output->size)
        output->status = grow(output, size);
    if (output->status != NILAI_OK)
        return;
    memcpy(output->data + output->size, data, size);
    output->size += size;
}
