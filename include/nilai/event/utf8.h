/*
 * utf8.h - which bytes are UTF-8: neither overlong, nor surrogates, nor above U+10FFFF.
 */
#ifndef NILAI_EVENT_UTF8_H
#define NILAI_EVENT_UTF8_H

#include "nilai/base/base.h"

/* True if all of it is UTF-8 (nothing at all is, too). */
bool nilai_utf8_valid(const char *data, size_t size);

/* Length of the character at the start (size > 0); when it is not UTF-8, *valid is false and
 * the result is the maximal ill-formed part: what one U+FFFD stands for. */
size_t nilai_utf8_step(const char *data, size_t size, bool *valid);

#endif
