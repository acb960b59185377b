/* services.h - service records of random bytes, of both widths that a table keeps them in. */
#ifndef NILAI_TESTS_SERVICES_H
#define NILAI_TESTS_SERVICES_H

#include "nilai/state/narrow.h"
#include "test.h"

/* Takes away what a narrow one has no room for; what stays is any bytes. */
static inline void services_make_narrow(struct nilai_service *service)
{
    for (int code = 0; code < NILAI_SIGNALS_STORED; code++)
        if (code % 4 != 1)
            service->signals[code] = 0;
    service->ticket_count %= 2;
    memset(&service->tickets[1], 0, sizeof service->tickets - sizeof service->tickets[0]);
}

#endif
