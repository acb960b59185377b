/*
 * outbox.h - messages that wait, in order, in one piece of memory of a fixed size.
 *
 * A transactional sink may not write while a transaction ends; what is put meanwhile waits here
 * for the next one. Messages are copied in, looked at from the oldest on, and dropped. Room is
 * given back when the box is empty, which it is soon: it is emptied as fast as messages are made.
 *
 * Thread: one.
 */
#ifndef NILAI_IO_OUTBOX_H
#define NILAI_IO_OUTBOX_H

#include "nilai/io/record.h"

struct nilai_outbox;

/* NULL when out of memory. */
struct nilai_outbox *nilai_outbox_create(size_t size_bytes);
void nilai_outbox_destroy(struct nilai_outbox *outbox);

/* NILAI_AGAIN: no room now. A message larger than the box never fits: it must be written
 * when nothing waits. */
NILAI_MUST_CHECK enum nilai_status nilai_outbox_push(struct nilai_outbox *outbox,
                                                     const struct nilai_output *output);
bool nilai_outbox_is_empty(const struct nilai_outbox *outbox);
/* What the messages in it take. */
size_t nilai_outbox_bytes(const struct nilai_outbox *outbox);
/* The oldest message; valid until the next call. NULL: none waits. */
const struct nilai_output *nilai_outbox_first(struct nilai_outbox *outbox);
void nilai_outbox_pop(struct nilai_outbox *outbox);
void nilai_outbox_clear(struct nilai_outbox *outbox);

#endif
