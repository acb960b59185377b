#include "json.h"

#include <stdio.h>
#include <string.h>

/* ---- halves of surrogate pairs ------------------------------------------- */

enum { ESCAPE_SIZE = 6 }; /* \uXXXX */

/* The code unit of an escape at `at`; -1 if there is none. */
static int32_t code_unit(const char *bytes, size_t size, size_t at)
{
    int32_t unit = 0;
    if (at >= size || size - at < ESCAPE_SIZE || bytes[at] != '\\' || bytes[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + ESCAPE_SIZE; i++) {
        char c = bytes[i];
        int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_half(int32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_half(int32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

void nilai_json_copy_marked(char *copy, const void *bytes, size_t size)
{
    const char *from = bytes;
    memcpy(copy, from, size);
    for (size_t at = 0; at < size;) {
        const char *escape = memchr(from + at, '\\', size - at);
        if (escape == NULL)
            return;
        at = (size_t)(escape - from);
        int32_t unit = code_unit(from, size, at);
        if (unit < 0) {
            at += 2; /* another escape, of a backslash perhaps */
        } else if (is_high_half(unit) && is_low_half(code_unit(from, size, at + ESCAPE_SIZE))) {
            at += 2 * ESCAPE_SIZE;
        } else {
            if (is_high_half(unit) || is_low_half(unit))
                memset(copy + at, 0xff, ESCAPE_SIZE);
            at += ESCAPE_SIZE;
        }
    }
}

/* ---- parsing ------------------------------------------------------------- */

bool nilai_json_start(struct nilai_json *json, const yajl_callbacks *callbacks,
                      yajl_alloc_funcs *functions, void *context, const char *bytes, size_t size)
{
    json->bytes = bytes;
    json->size = size;
    json->end = 0;
    json->fault = NULL;
    json->parser = yajl_alloc(callbacks, functions, context);
    if (json->parser == NULL)
        return false;
    int known = yajl_config(json->parser, yajl_dont_validate_strings, 1);
    NILAI_ASSERT(known != 0);
    return true;
}

/* The position of a control character that only yajl takes for white space; `size` if none. */
static size_t find_bad_space(const char *bytes, size_t size)
{
    const char *feed = memchr(bytes, '\f', size);
    const char *tab = memchr(bytes, '\v', feed == NULL ? size : (size_t)(feed - bytes));
    const char *first = tab != NULL ? tab : feed;
    return first == NULL ? size : (size_t)(first - bytes);
}

/* Its text ends with a line feed. */
static const char *tell_syntax(struct nilai_json *json)
{
    unsigned char *error = yajl_get_error(json->parser, 0, NULL, 0);
    snprintf(json->syntax, sizeof json->syntax, "not JSON: %s",
             error == NULL ? "" : (const char *)error);
    json->syntax[strcspn(json->syntax, "\n")] = 0;
    if (error != NULL)
        yajl_free_error(json->parser, error);
    return json->syntax;
}

static size_t after_space(const struct nilai_json *json, size_t at)
{
    while (at < json->size && nilai_json_is_space(json->bytes[at]))
        at++;
    return at;
}

const char *nilai_json_parse(struct nilai_json *json, size_t *position)
{
    *position = find_bad_space(json->bytes, json->size);
    if (*position < json->size)
        return "not JSON: a form feed or vertical tab";

    yajl_status status = yajl_parse(json->parser, (const unsigned char *)json->bytes, json->size);
    *position = yajl_get_bytes_consumed(json->parser);
    if (status == yajl_status_ok && json->end > 0) {
        *position = after_space(json, json->end);
        if (*position < json->size)
            return "more than one value";
    }
    if (status == yajl_status_ok) {
        *position = json->size;
        status = yajl_complete_parse(json->parser);
    }
    if (json->fault != NULL) {
        *position -= *position > 0; /* what was read last */
        return json->fault;
    }
    return status == yajl_status_ok ? NULL : tell_syntax(json);
}
