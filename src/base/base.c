#include "nilai/base/base.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const status_names[] = {
    [NILAI_OK] = "ok",
    [NILAI_AGAIN] = "again",
    [NILAI_MISSING] = "missing",
    [NILAI_FULL] = "full",
    [NILAI_BUSY] = "busy",
    [NILAI_INVALID] = "invalid",
    [NILAI_CONFIG] = "bad configuration",
    [NILAI_UNREACHABLE] = "unreachable",
    [NILAI_NO_MEMORY] = "out of memory",
    [NILAI_FAILED] = "failed",
};

const char *nilai_status_name(enum nilai_status status)
{
    NILAI_ASSERT((size_t)status < NILAI_ARRAY_LEN(status_names));
    return status_names[status];
}

enum nilai_status nilai_error_set(struct nilai_error *error, enum nilai_status status,
                                  const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

void nilai_assert_failed(const char *file, int line, const char *claim)
{
    fprintf(stderr, "nilai: a bug: %s:%d: not true: %s\n", file, line, claim);
    abort();
}
