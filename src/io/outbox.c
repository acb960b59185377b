#include "nilai/io/outbox.h"

#include <stdlib.h>
#include <string.h>

/*
 * A message in memory, padded to a multiple of the size of a slot:
 *
 *   struct held | header 0 .. n-1 (struct nilai_header) | key | value | name 0, value 0, ...
 *
 * Texts follow each other without gaps; a name keeps its terminator. The pointers of the headers
 * point into the message itself, which never moves.
 */
struct held {
    size_t slots; /* of the whole */
    struct nilai_output output;
};

union slot {
    struct held held;
    struct nilai_header header;
};

struct nilai_outbox {
    union slot *slots;
    size_t room, head, tail; /* in slots */
};

static size_t slots_for(size_t size)
{
    return (size + sizeof(union slot) - 1) / sizeof(union slot);
}

static size_t text_size(const struct nilai_output *output)
{
    size_t size = output->key_size + output->value_size;
    for (size_t index = 0; index < output->header_count; index++) {
        const struct nilai_header *header = &output->headers[index];
        size += strlen(header->name) + 1 + (header->value != NULL ? header->size : 0);
    }
    return size;
}

/* Copies `size` bytes to *at and moves it on; NULL stays NULL, which is not the same as empty. */
static const void *keep(char **at, const void *data, size_t size)
{
    if (data == NULL)
        return NULL;
    char *copy = *at;
    if (size > 0)
        memcpy(copy, data, size);
    *at += size;
    return copy;
}

struct nilai_outbox *nilai_outbox_create(size_t size_bytes)
{
    struct nilai_outbox *outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL)
        return NULL;
    outbox->room = size_bytes / sizeof(union slot);
    outbox->slots = calloc(outbox->room + 1, sizeof *outbox->slots);
    if (outbox->slots == NULL) {
        free(outbox);
        return NULL;
    }
    return outbox;
}

void nilai_outbox_destroy(struct nilai_outbox *outbox)
{
    if (outbox == NULL)
        return;
    free(outbox->slots);
    free(outbox);
}

enum nilai_status nilai_outbox_push(struct nilai_outbox *outbox, const struct nilai_output *output)
{
    NILAI_ASSERT(outbox->head <= outbox->tail && outbox->tail <= outbox->room);
    size_t needed = 1 + output->header_count + slots_for(text_size(output));
    if (needed > outbox->room - outbox->tail)
        return NILAI_AGAIN;
    union slot *first = &outbox->slots[outbox->tail];
    struct nilai_header *headers = &first[1].header;
    char *text = (char *)&first[1 + output->header_count];

    first->held = (struct held){.slots = needed, .output = *output};
    first->held.output.key = keep(&text, output->key, output->key_size);
    first->held.output.value = keep(&text, output->value, output->value_size);
    first->held.output.headers = headers;
    for (size_t index = 0; index < output->header_count; index++) {
        const struct nilai_header *header = &output->headers[index];
        headers[index].name = keep(&text, header->name, strlen(header->name) + 1);
        headers[index].value = keep(&text, header->value, header->size);
        headers[index].size = header->size;
    }
    NILAI_ASSERT(text <= (char *)(first + needed));
    outbox->tail += needed;
    return NILAI_OK;
}

bool nilai_outbox_is_empty(const struct nilai_outbox *outbox)
{
    return outbox->head == outbox->tail;
}

size_t nilai_outbox_bytes(const struct nilai_outbox *outbox)
{
    return (outbox->tail - outbox->head) * sizeof(union slot);
}

const struct nilai_output *nilai_outbox_first(struct nilai_outbox *outbox)
{
    if (nilai_outbox_is_empty(outbox))
        return NULL;
    return &outbox->slots[outbox->head].held.output;
}

void nilai_outbox_pop(struct nilai_outbox *outbox)
{
    NILAI_ASSERT(!nilai_outbox_is_empty(outbox));
    outbox->head += outbox->slots[outbox->head].held.slots;
    NILAI_ASSERT(outbox->head <= outbox->tail);
    if (outbox->head == outbox->tail)
        nilai_outbox_clear(outbox);
}

void nilai_outbox_clear(struct nilai_outbox *outbox)
{
    outbox->head = outbox->tail = 0;
}
