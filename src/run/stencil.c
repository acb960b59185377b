/*
 * A stencil is what the encoder writes into a container of one entry, without the head of that
 * container, which is one byte. What an array that is opened would hold is written as nulls, of one
 * byte each, and left out.
 */
#include "nilai/run/stencil.h"

#include <stdlib.h>

enum { HEAD_SIZE = 1, NULL_SIZE = 1 };

/* Makes the encoder take the memory that any stencil needs, so that later nothing can fail. */
static bool warm_up(struct nilai_encoder *encoder)
{
    static const char longest[2 * NILAI_STENCIL_SIZE] = "";
    const char *data;
    size_t size;
    nilai_encode_begin(encoder);
    nilai_encode_text(encoder, NULL, longest, sizeof longest);
    return nilai_encode_end(encoder, &data, &size) == NILAI_OK;
}

struct nilai_stencils *nilai_stencils_create(const char *const *names)
{
    NILAI_ASSERT(names[0] == NULL);
    struct nilai_stencils *stencils = calloc(1, sizeof *stencils);
    if (stencils == NULL)
        return NULL;
    stencils->names = names;
    stencils->encoder = nilai_encoder_create(NILAI_FORMAT_MSGPACK);
    if (stencils->encoder == NULL || !warm_up(stencils->encoder)) {
        nilai_stencils_destroy(stencils);
        return NULL;
    }
    return stencils;
}

void nilai_stencils_destroy(struct nilai_stencils *stencils)
{
    if (stencils == NULL)
        return;
    nilai_encoder_destroy(stencils->encoder);
    free(stencils);
}

/* Begins a container of one entry; the entry's key is returned. */
static const char *begin(struct nilai_stencils *stencils, uint32_t field)
{
    nilai_encode_begin(stencils->encoder);
    if (field == 0)
        nilai_encode_open_array(stencils->encoder, NULL, 1);
    else
        nilai_encode_open_map(stencils->encoder, NULL, 1);
    return stencils->names[field];
}

/* Ends it and takes the entry, but for the last `left_out` bytes. */
static void end(struct nilai_stencils *stencils, struct nilai_stencil *stencil, uint32_t field,
                size_t left_out)
{
    if (field == 0)
        nilai_encode_close_array(stencils->encoder);
    else
        nilai_encode_close_map(stencils->encoder);
    const char *data;
    size_t size;
    enum nilai_status status = nilai_encode_end(stencils->encoder, &data, &size);
    NILAI_ASSERT(status == NILAI_OK);
    NILAI_ASSERT(size > HEAD_SIZE + left_out && size - HEAD_SIZE - left_out <= NILAI_STENCIL_SIZE);
    stencil->size = (uint8_t)(size - HEAD_SIZE - left_out);
    memcpy(stencil->bytes, data + HEAD_SIZE, stencil->size);
}

void nilai_stencil_make_map(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                            uint32_t entries)
{
    begin(stencils, 0);
    nilai_encode_open_map(stencils->encoder, NULL, entries);
    for (uint32_t i = 0; i < entries; i++)
        nilai_encode_null(stencils->encoder, "");
    nilai_encode_close_map(stencils->encoder);
    end(stencils, stencil, 0, 2 * NULL_SIZE * entries); /* an empty key is one byte, too */
}

void nilai_stencil_make_array(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                              uint32_t field, uint32_t entries)
{
    nilai_encode_open_array(stencils->encoder, begin(stencils, field), entries);
    for (uint32_t i = 0; i < entries; i++)
        nilai_encode_null(stencils->encoder, NULL);
    nilai_encode_close_array(stencils->encoder);
    end(stencils, stencil, field, NULL_SIZE * entries);
}

void nilai_stencil_make_text(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                             uint32_t field, const char *text, size_t size)
{
    nilai_encode_text(stencils->encoder, begin(stencils, field), text, size);
    end(stencils, stencil, field, 0);
}

void nilai_stencil_make_number(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                               uint32_t field, int64_t value)
{
    nilai_encode_int(stencils->encoder, begin(stencils, field), value);
    end(stencils, stencil, field, 0);
}

void nilai_stencil_make_real(struct nilai_stencils *stencils, struct nilai_stencil *stencil,
                             uint32_t field)
{
    nilai_encode_real(stencils->encoder, begin(stencils, field), 0.5);
    end(stencils, stencil, field, 0);
}
