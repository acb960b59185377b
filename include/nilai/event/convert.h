/*
 * convert.h - any JSON value to MessagePack and back, as `nilai encode | decode` do.
 *
 * Everything well formed converts, bad events too (tests feed them to the service). Order and
 * repetition of keys are kept, and so are bytes in strings that are not UTF-8. JSON integers
 * become MessagePack integers while they fit into 64 bits (signed or unsigned), all other
 * numbers binary64. MessagePack timestamps become integer ms; what JSON cannot say (NaN,
 * infinity, binary, other extensions, keys that are no strings) is NILAI_INVALID, and so is
 * what is nested deeper than 64. Nothing larger than NILAI_ENCODE_SIZE_MAX goes in or comes
 * out (NILAI_FULL).
 */
#ifndef NILAI_EVENT_CONVERT_H
#define NILAI_EVENT_CONVERT_H

#include "nilai/base/base.h"

struct nilai_converter;

struct nilai_converter *nilai_converter_create(void);
void nilai_converter_destroy(struct nilai_converter *converter);

/* The result is borrowed until the next call. The error text names the byte position. */
NILAI_MUST_CHECK enum nilai_status
nilai_convert_json_to_msgpack(struct nilai_converter *converter, const void *bytes, size_t size,
                              const char **result, size_t *result_size, struct nilai_error *error);
NILAI_MUST_CHECK enum nilai_status
nilai_convert_msgpack_to_json(struct nilai_converter *converter, const void *bytes, size_t size,
                              const char **result, size_t *result_size, struct nilai_error *error);

#endif
