/*
 * reader.h - the two readers of bytes behind the decoder (decode.h).
 *
 * Each notes the known fields of one whole event in `fields`. False: not well formed, and
 * `reject` says where. Texts borrow from `bytes`, or from the JSON reader until its next call.
 */
#ifndef NILAI_EVENT_READER_H
#define NILAI_EVENT_READER_H

#include "nilai/event/fields.h"

NILAI_MUST_CHECK bool nilai_read_msgpack(const struct nilai_field_index *index,
                                         const uint8_t *bytes, size_t size,
                                         struct nilai_fields *fields, struct nilai_reject *reject);

/* Holds all the memory that reading JSON takes (about 6 MiB of address space, of which only
 * what is needed is ever touched), so that nothing is allocated for an event. */
struct nilai_json_reader;

struct nilai_json_reader *nilai_json_reader_create(void);
void nilai_json_reader_destroy(struct nilai_json_reader *reader);

/* `size` <= NILAI_EVENT_SIZE_MAX. */
NILAI_MUST_CHECK bool nilai_read_json(struct nilai_json_reader *reader,
                                      const struct nilai_field_index *index, const uint8_t *bytes,
                                      size_t size, struct nilai_fields *fields,
                                      struct nilai_reject *reject);

#endif
