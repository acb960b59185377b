#include "nilai/state/wire.h"

void nilai_wire_put_8(struct nilai_buffer *buffer, uint8_t value)
{
    nilai_buffer_append(buffer, &value, 1);
}

void nilai_wire_put_64(struct nilai_buffer *buffer, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    nilai_buffer_append(buffer, bytes, sizeof bytes);
}

void nilai_wire_put_unsigned(struct nilai_buffer *buffer, uint64_t value)
{
    unsigned char bytes[NILAI_WIRE_VARIABLE_MAX];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (unsigned char)(value | 0x80);
    bytes[size++] = (unsigned char)value;
    nilai_buffer_append(buffer, bytes, size);
}

void nilai_wire_put_signed(struct nilai_buffer *buffer, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    nilai_wire_put_unsigned(buffer, value < 0 ? ~(bits << 1) : bits << 1);
}

void nilai_wire_put_text(struct nilai_buffer *buffer, struct nilai_text text)
{
    NILAI_ASSERT(text.size <= UINT8_MAX);
    nilai_wire_put_8(buffer, (uint8_t)text.size);
    nilai_buffer_append(buffer, text.data, text.size);
}

struct nilai_wire nilai_wire_of(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    /* Nothing may lie nowhere: no pointer is moved then. */
    return (struct nilai_wire){.at = bytes, .end = size > 0 ? bytes + size : bytes};
}

bool nilai_wire_is_done(const struct nilai_wire *wire)
{
    return !wire->failed && wire->at == wire->end;
}

const void *nilai_wire_take(struct nilai_wire *wire, size_t size)
{
    if (wire->failed || size > (size_t)(wire->end - wire->at)) {
        wire->failed = true;
        return NULL;
    }
    const void *taken = wire->at;
    wire->at += size;
    return taken;
}

uint8_t nilai_wire_take_8(struct nilai_wire *wire)
{
    const unsigned char *byte = nilai_wire_take(wire, 1);
    return byte != NULL ? *byte : 0;
}

uint64_t nilai_wire_take_64(struct nilai_wire *wire)
{
    const unsigned char *bytes = nilai_wire_take(wire, 8);
    uint64_t value = 0;
    for (int i = 0; bytes != NULL && i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

uint64_t nilai_wire_take_unsigned(struct nilai_wire *wire)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 7 * NILAI_WIRE_VARIABLE_MAX; shift += 7) {
        uint8_t byte = nilai_wire_take_8(wire);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return wire->failed ? 0 : value;
    }
    wire->failed = true;
    return 0;
}

int64_t nilai_wire_take_signed(struct nilai_wire *wire)
{
    uint64_t bits = nilai_wire_take_unsigned(wire);
    return (int64_t)(bits & 1 ? ~(bits >> 1) : bits >> 1);
}

struct nilai_text nilai_wire_take_text(struct nilai_wire *wire)
{
    uint32_t size = nilai_wire_take_8(wire);
    const char *data = nilai_wire_take(wire, size);
    return data != NULL ? (struct nilai_text){data, size} : (struct nilai_text){"", 0};
}
