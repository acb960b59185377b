/*
 * Any bytes through the converter. What is JSON becomes one whole MessagePack value, and,
 * where JSON can say it all, comes back; the second time round nothing changes any more, and
 * the decoder finds the same in all of them. What is MessagePack likewise.
 */
#include "check.h"
#include "nilai/event/convert.h"

static struct nilai_decoder *decoder;
static struct nilai_converter *converter;

static char *copy_of(const char *data, size_t size)
{
    char *copy = malloc(size + 1);
    NILAI_ASSERT(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

/* From MessagePack to JSON and back. */
static void check_round(const char *packed, size_t size)
{
    const char *data;
    size_t text_size, back_size;
    if (nilai_convert_msgpack_to_json(converter, packed, size, &data, &text_size, NULL) != NILAI_OK)
        return;
    char *text = copy_of(data, text_size);
    enum nilai_status status =
        nilai_convert_json_to_msgpack(converter, text, text_size, &data, &back_size, NULL);
    if (status == NILAI_FULL) {
        free(text);
        return;
    }
    NILAI_ASSERT(status == NILAI_OK);
    char *back = copy_of(data, back_size);
    size_t span;
    NILAI_ASSERT(nilai_msgpack_span(back, back_size, &span) == NILAI_OK && span == back_size);

    struct nilai_event event;
    if (text_size <= NILAI_EVENT_SIZE_MAX && back_size <= NILAI_EVENT_SIZE_MAX && size <= NILAI_EVENT_SIZE_MAX &&
        text_size > 0 && text[0] == '{')
        NILAI_ASSERT(check_decode(decoder, text, text_size, &event) == check_decode(decoder, back, back_size, &event));

    /* A fixed point: the same text again. */
    size_t again_size;
    NILAI_ASSERT(nilai_convert_msgpack_to_json(converter, back, back_size, &data, &again_size, NULL) == NILAI_OK);
    NILAI_ASSERT(again_size == text_size && memcmp(data, text, text_size) == 0);
    free(back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (converter == NULL) {
        converter = nilai_converter_create();
        NILAI_ASSERT(converter != NULL);
        decoder = check_decoder(NILAI_FORMAT_AUTO);
    }
    const char *packed;
    size_t packed_size, span;
    if (nilai_convert_json_to_msgpack(converter, data, size, &packed, &packed_size, NULL) == NILAI_OK) {
        NILAI_ASSERT(nilai_msgpack_span(packed, packed_size, &span) == NILAI_OK && span == packed_size);
        char *copy = copy_of(packed, packed_size);
        check_round(copy, packed_size);
        free(copy);
    }
    check_round((const char *)data, size);
    return 0;
}
