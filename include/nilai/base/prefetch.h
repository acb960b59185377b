/*
 * prefetch.h - memory that is needed soon.
 *
 * Thread: any.
 */
#ifndef NILAI_BASE_PREFETCH_H
#define NILAI_BASE_PREFETCH_H

#include <stddef.h>

enum { NILAI_LINE_BYTES = 64 }; /* of a cache line */

/* Asks for all lines that `size` > 0 bytes lie in, and goes on. To gcc, a function that only
 * prefetches has no effect, so that a call of it may be left out; what is volatile has one. */
static inline void nilai_prefetch(const void *from, size_t size)
{
    for (size_t i = 0; i < size; i += NILAI_LINE_BYTES)
        __builtin_prefetch((const char *)from + i);
    __builtin_prefetch((const char *)from + size - 1);
    __asm__ volatile("");
}

#endif
