/*
 * event_file.h - a file or standard input, cut into encoded events.
 *
 * JSON: a line each; lines of spaces, tabs and carriage returns are skipped but counted, and a
 * byte order mark of UTF-8 before the first is skipped.
 * MessagePack: values one after the other. Which of the two is decided by the first byte of the
 * file that is not white space: a MessagePack map does not begin with a character of JSON.
 *
 * One thread; memory is bounded by the largest record, at most NILAI_EVENT_FILE_RECORD_MAX.
 */
#ifndef NILAI_RUN_EVENT_FILE_H
#define NILAI_RUN_EVENT_FILE_H

#include "nilai/event/decode.h"

enum { NILAI_EVENT_FILE_RECORD_MAX = 256 * 1024 * 1024 };

struct nilai_event_file;

/* One record, borrowed until the next call. `number` counts lines or values from 0. */
struct nilai_record {
    const char *data;
    size_t size;
    int64_t number;
};

/* `path` "-" is standard input. `format` AUTO looks at the first byte. */
NILAI_MUST_CHECK enum nilai_status nilai_event_file_open(const char *path, enum nilai_format format,
                                                         struct nilai_event_file **file,
                                                         struct nilai_error *error);
void nilai_event_file_close(struct nilai_event_file *file);

/* NILAI_MISSING: the end. NILAI_INVALID: what follows is not MessagePack or is cut off, so that
 * there is no telling where the next value begins; `record` has the rest that was read.
 * NILAI_FAILED: reading failed, or a record is too long. */
NILAI_MUST_CHECK enum nilai_status nilai_event_file_next(struct nilai_event_file *file,
                                                         struct nilai_record *record,
                                                         struct nilai_error *error);

/* JSON or MSGPACK; known after the first next. */
enum nilai_format nilai_event_file_format(const struct nilai_event_file *file);

/* Bytes read so far, and the size of the file, 0 if it is not known. */
uint64_t nilai_event_file_position(const struct nilai_event_file *file);
uint64_t nilai_event_file_size(const struct nilai_event_file *file);

#endif
