/*
 * Any bytes as JSON: an event within all ranges, or a reason; the same whether white space
 * stands around it; and the same as MessagePack, where the converter can say it.
 */
#include "check.h"
#include "nilai/event/convert.h"

/* Integers beyond 64 bits are integers in JSON alone: as MessagePack they are reals. */
static bool has_long_number(const uint8_t *data, size_t size)
{
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        digits = data[i] >= '0' && data[i] <= '9' ? digits + 1 : 0;
        if (digits >= 19)
            return true;
    }
    return false;
}

static void check_spaced(struct nilai_decoder *decoder, const uint8_t *data, size_t size,
                         enum nilai_reject_class class)
{
    char *spaced = malloc(size + 2);
    NILAI_ASSERT(spaced != NULL);
    spaced[0] = '\t';
    memcpy(spaced + 1, data, size);
    spaced[size + 1] = '\n';
    struct nilai_event event;
    NILAI_ASSERT(check_decode(decoder, spaced, size + 2, &event) == class);
    free(spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nilai_decoder *json, *msgpack;
    static struct nilai_converter *converter;
    if (json == NULL) {
        json = check_decoder(NILAI_FORMAT_JSON);
        msgpack = check_decoder(NILAI_FORMAT_MSGPACK);
        converter = nilai_converter_create();
        NILAI_ASSERT(converter != NULL);
    }

    struct nilai_event event, other;
    enum nilai_reject_class class = check_decode(json, data, size, &event);
    if (class == NILAI_REJECT_TOO_LARGE)
        return 0;
    if (size + 2 <= NILAI_EVENT_SIZE_MAX)
        check_spaced(json, data, size, class);

    const char *packed;
    size_t packed_size;
    enum nilai_status status =
        nilai_convert_json_to_msgpack(converter, data, size, &packed, &packed_size, NULL);
    if (class != NILAI_REJECT_MALFORMED)
        NILAI_ASSERT(status == NILAI_OK);
    if (status == NILAI_OK && packed_size <= NILAI_EVENT_SIZE_MAX && !has_long_number(data, size)) {
        NILAI_ASSERT(check_decode(msgpack, packed, packed_size, &other) == class);
        if (class == NILAI_REJECT_NONE) {
            check_decode(json, data, size, &event); /* its texts were borrowed */
            NILAI_ASSERT(event.type == other.type && event.ts_ms == other.ts_ms);
            NILAI_ASSERT(event.customer.size == other.customer.size &&
                         memcmp(event.customer.data, other.customer.data, event.customer.size) == 0);
        }
    }
    return 0;
}
