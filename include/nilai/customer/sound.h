/*
 * sound.h - whether bytes that came from outside can be a customer's record.
 *
 * A record is saved by copying its bytes. What comes back may be damaged, or forged by somebody who
 * can write where records are kept, and nothing else in this layer looks at a record with distrust:
 * its loops, indices and assertions rely on what the program always makes true. So every record
 * from outside is judged here first, and then anything may be done with it: events applied,
 * deadlines fired, reasons explained. It may still be wrong; that no record can tell.
 *
 * Sound stays sound: events and time make sound records of sound ones.
 */
#ifndef NILAI_CUSTOMER_SOUND_H
#define NILAI_CUSTOMER_SOUND_H

#include "nilai/customer/customer.h"

/* `service` NULL: it has none. Of the model only the day offset matters: days that were counted
 * under another one may not fit. Not judged: what only others know, such as whether the phase
 * is that of the customer's id and whether current_ms is past the partition's clock. */
bool nilai_customer_is_sound(const struct nilai_model *model, const struct nilai_customer *customer,
                             const struct nilai_service *service);

#endif
