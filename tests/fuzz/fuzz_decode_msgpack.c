/*
 * Any bytes as MessagePack: an event within all ranges, or a reason. Bytes that are a whole
 * value for the cutter of files are never "cut short" for the decoder, and the other way round.
 */
#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nilai_decoder *decoder;
    if (decoder == NULL)
        decoder = check_decoder(NILAI_FORMAT_MSGPACK);

    struct nilai_event event;
    enum nilai_reject_class class = check_decode(decoder, data, size, &event);
    size_t span = 0;
    enum nilai_status status = nilai_msgpack_span(data, size, &span);
    NILAI_ASSERT(status == NILAI_OK || status == NILAI_AGAIN || status == NILAI_INVALID);
    if (class != NILAI_REJECT_MALFORMED && class != NILAI_REJECT_TOO_LARGE)
        NILAI_ASSERT(status == NILAI_OK && span == size);
    if (status == NILAI_OK) {
        NILAI_ASSERT(span >= 1 && span <= size);
        size_t again;
        NILAI_ASSERT(nilai_msgpack_span(data, span, &again) == NILAI_OK && again == span);
        NILAI_ASSERT(nilai_msgpack_span(data, span - 1, &again) != NILAI_OK);
    }
    return 0;
}
