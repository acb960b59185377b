#include "nilai/event/utf8.h"

/* What may follow a lead byte: Table 3-7 of the Unicode Standard. Only the second byte has
 * narrower limits than 80..BF, which is what shuts out overlong forms and surrogates. */
struct lead {
    uint8_t length; /* 0: not a lead byte */
    uint8_t low, high;
};

static struct lead lead_of(uint8_t byte)
{
    if (byte < 0x80)
        return (struct lead){1, 0, 0};
    if (byte < 0xc2)
        return (struct lead){0, 0, 0};
    if (byte < 0xe0)
        return (struct lead){2, 0x80, 0xbf};
    if (byte < 0xf0)
        return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
    if (byte < 0xf5)
        return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

size_t nilai_utf8_step(const char *data, size_t size, bool *valid)
{
    NILAI_ASSERT(size > 0);
    const uint8_t *bytes = (const uint8_t *)data;
    struct lead lead = lead_of(bytes[0]);
    *valid = false;
    if (lead.length == 0)
        return 1;

    for (size_t i = 1; i < lead.length; i++) {
        uint8_t low = i == 1 ? lead.low : 0x80;
        uint8_t high = i == 1 ? lead.high : 0xbf;
        if (i == size || bytes[i] < low || bytes[i] > high)
            return i;
    }
    *valid = true;
    return lead.length;
}

bool nilai_utf8_valid_slow(const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        bool valid;
        at += nilai_utf8_step(data + at, size - at, &valid);
        if (!valid)
            return false;
    }
    return true;
}
