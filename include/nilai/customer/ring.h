/*
 * ring.h - rolling sums of one customer: 13 periods of 28 days.
 *
 * Periods start on the customer's own day (phase), so that boundaries do not fall on one day
 * for everybody. The ring holds exactly the periods (newest - 13, newest]; evaluating it
 * later than its newest period leaves out what has slid out since, without changing it.
 */
#ifndef NILAI_CUSTOMER_RING_H
#define NILAI_CUSTOMER_RING_H

#include "nilai/customer/customer.h"

/* An empty ring. `id_hash` = XXH3_64bits of the customer id. */
void nilai_ring_init(struct nilai_ring *ring, uint64_t id_hash);

/* The period of a day, and the first day of a period. */
int32_t nilai_ring_period(const struct nilai_ring *ring, int32_t day);
int32_t nilai_ring_first_day(const struct nilai_ring *ring, int32_t period);

/* Makes `period` the newest if it is newer; what slides out is forgotten. */
void nilai_ring_slide(struct nilai_ring *ring, int32_t period);

/* Adds to a period; nothing happens if it has slid out. True: a sum saturated. */
bool nilai_ring_add_net(struct nilai_ring *ring, int32_t period, int64_t net);
bool nilai_ring_add_purchase_day(struct nilai_ring *ring, int32_t period);

/* What the ring holds of one period; nothing if it has slid out. */
struct nilai_ring_sums {
    __int128 net;
    uint32_t purchase_days;
};
struct nilai_ring_sums nilai_ring_of_period(const struct nilai_ring *ring, int32_t period);

/* Sums over `period` and the 12 before it; `period` >= newest. */
struct nilai_ring_sums nilai_ring_sums(const struct nilai_ring *ring, int32_t period);

/* The same, saturated at the ends of 64 bits. */
int64_t nilai_ring_net(const struct nilai_ring_sums *sums);

/* The first period at which nothing is in the ring any more. */
int32_t nilai_ring_empty_from(const struct nilai_ring *ring);

#endif
