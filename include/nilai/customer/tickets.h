/*
 * tickets.h - the few tickets of a customer that are followed by id.
 *
 * At most four, in the order in which they were first followed. A fifth takes the place of the
 * one resolved longest ago; if all four are open it is not followed, though its signals count.
 */
#ifndef NILAI_CUSTOMER_TICKETS_H
#define NILAI_CUSTOMER_TICKETS_H

#include "nilai/customer/customer.h"

/* Applies one step of a ticket: its signals, and what is followed after it.
 * False: the ticket should be followed but all places are taken by open ones. */
bool nilai_tickets_apply(const struct nilai_model *model, struct nilai_service *service,
                         const struct nilai_event *event);

/* The weight of the overdue tickets at an instant, and when the next one becomes overdue
 * after it (INT64_MAX: none does). */
double nilai_tickets_overdue(const struct nilai_model *model, const struct nilai_service *service,
                             int64_t ms);
int64_t nilai_tickets_next_overdue_ms(const struct nilai_model *model,
                                      const struct nilai_service *service, int64_t after_ms);

uint32_t nilai_tickets_open(const struct nilai_service *service);

#endif
