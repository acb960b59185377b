/*
 * convert.h - any JSON value to MessagePack and back, as `nilai encode | decode` do.
 *
 * Everything well formed converts, bad events too (tests feed them to the service). Order and
 * repetition of keys are kept. JSON integers become MessagePack integers while they fit into
 * 64 bits, all other numbers binary64. MessagePack timestamps become integer ms; what JSON
 * cannot say (NaN, infinity, binary, other extensions) is NILAI_INVALID.
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
