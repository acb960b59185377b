/*
 * base.h - what every file needs: statuses, assertions, must-check, error text.
 *
 * Two kinds of failure, never mixed. The world fails: a function returns an
 * `enum nilai_status` that the caller must look at. We fail: NILAI_ASSERT, which
 * stays on in release, because a stopped process restores and a corrupt one spreads.
 */
#ifndef NILAI_BASE_BASE_H
#define NILAI_BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NILAI_MUST_CHECK          __attribute__((warn_unused_result))
#define NILAI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define NILAI_ARRAY_LEN(array)    (sizeof(array) / sizeof((array)[0]))
#define NILAI_LIKELY(x)           __builtin_expect(!!(x), 1)
#define NILAI_UNLIKELY(x)         __builtin_expect(!!(x), 0)

enum nilai_status {
    NILAI_OK = 0,
    NILAI_AGAIN,       /* not now: nothing available, or no room for the moment */
    NILAI_MISSING,     /* what was asked for is not there */
    NILAI_FULL,        /* a configured limit is reached */
    NILAI_BUSY,        /* a reader kept losing against the writer */
    NILAI_INVALID,     /* the input is wrong */
    NILAI_CONFIG,      /* the configuration is wrong */
    NILAI_UNREACHABLE, /* a server does not answer */
    NILAI_NO_MEMORY,
    NILAI_FAILED, /* the world failed in another way; the error text says how */
};

/* A short English name of a status, for logs. Never NULL. */
const char *nilai_status_name(enum nilai_status status);

/* Process exit codes (sysexits.h has the same numbers). */
enum nilai_exit {
    NILAI_EXIT_OK = 0,
    NILAI_EXIT_USAGE = 64,
    NILAI_EXIT_DATA = 65,
    NILAI_EXIT_UNAVAILABLE = 69,
    NILAI_EXIT_BUG = 70,
    NILAI_EXIT_IO = 74, /* a local file or pipe could not be read or written */
    NILAI_EXIT_CONFIG = 78,
};

/* What went wrong, for a person: names the file, line, key or topic and what to do. */
struct nilai_error {
    char text[512];
};

/* Writes the text (cut to fit) and returns `status`, so that a caller can
 * `return nilai_error_set(error, NILAI_CONFIG, "...", ...)`. `error` may be NULL. */
enum nilai_status nilai_error_set(struct nilai_error *error, enum nilai_status status,
                                  const char *format, ...) NILAI_PRINTF(3, 4);

/* Prints where and what to standard error and ends the process with abort(). */
_Noreturn void nilai_assert_failed(const char *file, int line, const char *claim);

#define NILAI_ASSERT(claim)                                                                        \
    (NILAI_LIKELY(claim) ? (void)0 : nilai_assert_failed(__FILE__, __LINE__, #claim))

/* A string that somebody else owns; not terminated, may hold any bytes. */
struct nilai_text {
    const char *data;
    uint32_t size;
};

#endif
