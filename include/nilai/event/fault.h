/*
 * fault.h - what a person is told about a bad event: the class, the field and the place.
 *
 * The text never holds the event's own content. Each returns false, for the caller to return.
 */
#ifndef NILAI_EVENT_FAULT_H
#define NILAI_EVENT_FAULT_H

#include "nilai/event/fields.h"

/* The whole is malformed at `position`. */
bool nilai_fault_malformed(struct nilai_reject *reject, const char *what, size_t position);

/* A field that is there is of a class from duplicate-field to unknown-currency. */
bool nilai_fault_field(struct nilai_reject *reject, enum nilai_reject_class class,
                       enum nilai_field field, const struct nilai_value *value);

bool nilai_fault_missing(struct nilai_reject *reject, enum nilai_field field);

#endif
