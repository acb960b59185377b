/*
 * encode.h - one writer for what we publish and generate, as JSON or MessagePack.
 *
 * The caller opens maps and arrays with their number of entries (MessagePack needs it first;
 * a wrong number is a bug and asserted), names each entry of a map with `key` and passes a
 * NULL key inside an array. The writer remembers failure, so that twenty appends need one
 * check, at nilai_encode_end.
 *
 * A writer is reused for many values, belongs to one thread, and grows its buffer to at
 * most NILAI_ENCODE_SIZE_MAX bytes.
 */
#ifndef NILAI_EVENT_ENCODE_H
#define NILAI_EVENT_ENCODE_H

#include <string.h>

#include "nilai/event/decode.h"

enum { NILAI_ENCODE_SIZE_MAX = 16 * 1024 * 1024, NILAI_ENCODE_PLACES = 4 };

struct nilai_encoder;

/* `format` is JSON or MSGPACK. NULL when out of memory. */
struct nilai_encoder *nilai_encoder_create(enum nilai_format format);
void nilai_encoder_destroy(struct nilai_encoder *encoder);

/* Starts a new value and forgets the one before. */
void nilai_encode_begin(struct nilai_encoder *encoder);

static inline void nilai_encode_open_map(struct nilai_encoder *encoder, const char *key,
                                         uint32_t entries);
void nilai_encode_close_map(struct nilai_encoder *encoder);
static inline void nilai_encode_open_array(struct nilai_encoder *encoder, const char *key,
                                           uint32_t entries);
void nilai_encode_close_array(struct nilai_encoder *encoder);

static inline void nilai_encode_null(struct nilai_encoder *encoder, const char *key);
static inline void nilai_encode_bool(struct nilai_encoder *encoder, const char *key, bool value);
static inline void nilai_encode_int(struct nilai_encoder *encoder, const char *key, int64_t value);
/* The shortest of 15 to 17 digits that reads back as the same double; a finite value. Always
 * with a point or an exponent ("5.0"), so that readers see that it is no integer. */
static inline void nilai_encode_real(struct nilai_encoder *encoder, const char *key, double value);
/* Four decimals ("0.7300", never "-0.0000"); MessagePack: the double of that text. */
static inline void nilai_encode_fixed(struct nilai_encoder *encoder, const char *key, double value);
/* Bytes that are not UTF-8 become U+FFFD, one each maximal ill-formed part. */
static inline void nilai_encode_text(struct nilai_encoder *encoder, const char *key,
                                     const char *data, size_t size);
/* Derived money, which is not exact: the same four decimals as a string, in either format. */
static inline void nilai_encode_decimal(struct nilai_encoder *encoder, const char *key,
                                        double value);
/* Money in ten-thousandths, as a string with four decimals. */
static inline void nilai_encode_money(struct nilai_encoder *encoder, const char *key,
                                      int64_t units);

/* The finished bytes, borrowed until the next begin; JSON has no newline at its end.
 * NILAI_NO_MEMORY or NILAI_FULL when something on the way failed. */
NILAI_MUST_CHECK enum nilai_status nilai_encode_end(struct nilai_encoder *encoder,
                                                    const char **data, size_t *size);

enum { NILAI_REAL_TEXT_SIZE = 40 };

/* The text that nilai_encode_real writes into JSON; returns its length. */
size_t nilai_real_format(double value, char text[static NILAI_REAL_TEXT_SIZE]);

/* ---- inline: the length of a key is known where the key is written out ---- */

struct nilai_key {
    const char *name; /* NULL: none, inside an array */
    size_t size;
};

static inline struct nilai_key nilai_key_of(const char *name)
{
    return (struct nilai_key){name, name != NULL ? strlen(name) : 0};
}

void nilai_encode_keyed_open_map(struct nilai_encoder *encoder, struct nilai_key key,
                                 uint32_t entries);
void nilai_encode_keyed_open_array(struct nilai_encoder *encoder, struct nilai_key key,
                                   uint32_t entries);
void nilai_encode_keyed_null(struct nilai_encoder *encoder, struct nilai_key key);
void nilai_encode_keyed_bool(struct nilai_encoder *encoder, struct nilai_key key, bool value);
void nilai_encode_keyed_int(struct nilai_encoder *encoder, struct nilai_key key, int64_t value);
void nilai_encode_keyed_real(struct nilai_encoder *encoder, struct nilai_key key, double value);
void nilai_encode_keyed_fixed(struct nilai_encoder *encoder, struct nilai_key key, double value);
void nilai_encode_keyed_text(struct nilai_encoder *encoder, struct nilai_key key,
                             const char *data, size_t size);
void nilai_encode_keyed_decimal(struct nilai_encoder *encoder, struct nilai_key key, double value);
void nilai_encode_keyed_money(struct nilai_encoder *encoder, struct nilai_key key, int64_t units);

static inline void nilai_encode_open_map(struct nilai_encoder *encoder, const char *key,
                                         uint32_t entries)
{
    nilai_encode_keyed_open_map(encoder, nilai_key_of(key), entries);
}

static inline void nilai_encode_open_array(struct nilai_encoder *encoder, const char *key,
                                           uint32_t entries)
{
    nilai_encode_keyed_open_array(encoder, nilai_key_of(key), entries);
}

static inline void nilai_encode_null(struct nilai_encoder *encoder, const char *key)
{
    nilai_encode_keyed_null(encoder, nilai_key_of(key));
}

static inline void nilai_encode_bool(struct nilai_encoder *encoder, const char *key, bool value)
{
    nilai_encode_keyed_bool(encoder, nilai_key_of(key), value);
}

static inline void nilai_encode_int(struct nilai_encoder *encoder, const char *key, int64_t value)
{
    nilai_encode_keyed_int(encoder, nilai_key_of(key), value);
}

static inline void nilai_encode_real(struct nilai_encoder *encoder, const char *key, double value)
{
    nilai_encode_keyed_real(encoder, nilai_key_of(key), value);
}

static inline void nilai_encode_fixed(struct nilai_encoder *encoder, const char *key, double value)
{
    nilai_encode_keyed_fixed(encoder, nilai_key_of(key), value);
}

static inline void nilai_encode_text(struct nilai_encoder *encoder, const char *key,
                                     const char *data, size_t size)
{
    nilai_encode_keyed_text(encoder, nilai_key_of(key), data, size);
}

static inline void nilai_encode_decimal(struct nilai_encoder *encoder, const char *key,
                                        double value)
{
    nilai_encode_keyed_decimal(encoder, nilai_key_of(key), value);
}

static inline void nilai_encode_money(struct nilai_encoder *encoder, const char *key, int64_t units)
{
    nilai_encode_keyed_money(encoder, nilai_key_of(key), units);
}

#endif
