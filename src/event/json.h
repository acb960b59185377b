/*
 * json.h - one JSON text, read by yajl; what that gets wrong is put right around it:
 * - form feed and vertical tab are white space to it, not to JSON: looked for first;
 * - it takes `{} "` for whole: it waits for the end of the string, and then does not;
 * - half a surrogate pair becomes "?", or one character with whatever escape follows: such
 *   escapes are overwritten in a copy before it sees them.
 *
 * For the two files that bring its callbacks; nobody else needs yajl.
 */
#ifndef NILAI_EVENT_JSON_H
#define NILAI_EVENT_JSON_H

#include <yajl/yajl_parse.h>

#include "nilai/base/base.h"

struct nilai_json {
    yajl_handle parser;
    const char *bytes;
    size_t size;
    /* Written by the callbacks. */
    size_t end;        /* just after the outermost value; 0: it ends with the text, or not */
    const char *fault; /* why they stopped the parser; NULL if they did not */

    char syntax[96]; /* what yajl had to say */
};

static inline bool nilai_json_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool nilai_json_has_escapes(const void *bytes, size_t size)
{
    return __builtin_memchr(bytes, '\\', size) != NULL;
}

/* Copies `size` bytes of JSON and makes bytes that are not UTF-8 (six times FF) of each escape
 * of half a surrogate pair. Needed only where there are escapes. */
void nilai_json_copy_marked(char *copy, const void *bytes, size_t size);

/* Makes a parser for `bytes`, which are borrowed; strings need not be UTF-8. `functions` may be
 * NULL: the C library's. False: out of memory. The caller frees the parser, or its memory. */
NILAI_MUST_CHECK bool nilai_json_start(struct nilai_json *json, const yajl_callbacks *callbacks,
                                       yajl_alloc_funcs *functions, void *context,
                                       const char *bytes, size_t size);

/* Reads all of it. NULL: it is one JSON value. Else what is wrong at *position, borrowed from
 * `json`; it names no content of the text. */
NILAI_MUST_CHECK const char *nilai_json_parse(struct nilai_json *json, size_t *position);

#endif
