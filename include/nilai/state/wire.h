/*
 * wire.h - numbers and texts as bytes, and back.
 *
 * Fixed numbers are little-endian; a number of variable length has 7 bits a byte, the lowest first,
 * and a high bit on all bytes but the last; a signed one is folded (0, -1, 1, -2, ...) first. Words
 * are 64-bit numbers of a record, most of them small or zero: one byte for each two of them with
 * how many bytes each has (the first in the low half), for all of them; then the bytes of each, up
 * to the last that is not zero. Writing goes to a buffer, whose first failure sticks; so does a
 * reader's: what is taken after it is zero, and the caller looks once, at the end.
 *
 * Thread: one a buffer or reader.
 */
#ifndef NILAI_STATE_WIRE_H
#define NILAI_STATE_WIRE_H

#include "nilai/event/buffer.h"

enum { NILAI_WIRE_VARIABLE_MAX = 10 }; /* bytes of one number of variable length */

void nilai_wire_put_8(struct nilai_buffer *buffer, uint8_t value);
void nilai_wire_put_64(struct nilai_buffer *buffer, uint64_t value);
void nilai_wire_put_unsigned(struct nilai_buffer *buffer, uint64_t value);
void nilai_wire_put_signed(struct nilai_buffer *buffer, int64_t value);
/* An even number of words, as they lie in the memory of a little-endian machine. */
void nilai_wire_put_words(struct nilai_buffer *buffer, const void *words, size_t count);
/* At most 255 bytes; the length goes before in one byte. */
void nilai_wire_put_text(struct nilai_buffer *buffer, struct nilai_text text);

struct nilai_wire {
    const unsigned char *at, *end;
    bool failed;
};

struct nilai_wire nilai_wire_of(const void *data, size_t size);
/* Whether all was taken and nothing failed. */
bool nilai_wire_is_done(const struct nilai_wire *wire);
uint8_t nilai_wire_take_8(struct nilai_wire *wire);
uint64_t nilai_wire_take_64(struct nilai_wire *wire);
/* Fails on more bits than 64. */
uint64_t nilai_wire_take_unsigned(struct nilai_wire *wire);
int64_t nilai_wire_take_signed(struct nilai_wire *wire);
/* Zeros after a failure. */
void nilai_wire_take_words(struct nilai_wire *wire, void *words, size_t count);
struct nilai_text nilai_wire_take_text(struct nilai_wire *wire);
/* `size` bytes as they are; NULL if there are not so many. */
const void *nilai_wire_take(struct nilai_wire *wire, size_t size);

#endif
