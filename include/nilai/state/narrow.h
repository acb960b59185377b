/*
 * narrow.h - a service record in a third of its bytes.
 *
 * Nine customers of ten who have a service record have few signals in it and follow one ticket or
 * none. Those few are kept one after the other, and nothing of the zeros in between; unpacking
 * gives the same record, bit by bit.
 *
 * Pure; any thread, on its own copies.
 */
#ifndef NILAI_STATE_NARROW_H
#define NILAI_STATE_NARROW_H

#include "nilai/customer/customer.h"

enum { NILAI_NARROW_SIGNALS = 4 };

/* Flat, without padding. */
struct nilai_narrow {
    double signals[NILAI_NARROW_SIGNALS]; /* those of `codes`, ascending; the rest 0 */
    int64_t signals_ms;
    double answers_sum, drift;
    struct nilai_followed ticket; /* zeros without one */
    uint32_t answers;
    uint16_t codes;        /* bit c: signal c is not 0 */
    uint16_t ticket_count; /* 0 or 1 */
};

/* False: the record needs more room, and `narrow` was left alone. */
bool nilai_narrow_pack(struct nilai_narrow *narrow, const struct nilai_service *service);

/* Whatever the bytes are, only `service` is written. */
void nilai_narrow_unpack(struct nilai_service *service, const struct nilai_narrow *narrow);

#endif
