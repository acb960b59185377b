#include "nilai/state/narrow.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct nilai_narrow) == 88, "without padding");
static_assert(NILAI_SIGNALS_STORED <= 16, "a code is a bit of `codes`");

/* By its bits: -0 is something. */
static uint32_t codes_of(const struct nilai_service *service)
{
    uint32_t codes = 0;
    for (uint32_t code = 0; code < NILAI_SIGNALS_STORED; code++) {
        uint64_t bits;
        memcpy(&bits, &service->signals[code], sizeof bits);
        codes |= (uint32_t)(bits != 0) << code;
    }
    return codes;
}

bool nilai_narrow_pack(struct nilai_narrow *narrow, const struct nilai_service *service)
{
    uint32_t codes = codes_of(service), count = 0;
    if (service->ticket_count > 1 || __builtin_popcount(codes) > NILAI_NARROW_SIGNALS)
        return false;
    *narrow = (struct nilai_narrow){
        .signals_ms = service->signals_ms,
        .answers_sum = service->answers_sum,
        .drift = service->drift,
        .ticket = service->tickets[0],
        .answers = service->answers,
        .codes = (uint16_t)codes,
        .ticket_count = (uint16_t)service->ticket_count,
    };
    for (uint32_t rest = codes; rest != 0; rest &= rest - 1)
        narrow->signals[count++] = service->signals[__builtin_ctz(rest)];
    return true;
}

/* A reader may have bytes here that no writer ever wrote together. */
void nilai_narrow_unpack(struct nilai_service *service, const struct nilai_narrow *narrow)
{
    uint32_t rest = narrow->codes & ((1 << NILAI_SIGNALS_STORED) - 1);
    memset(service, 0, sizeof *service);
    for (uint32_t i = 0; i < NILAI_NARROW_SIGNALS && rest != 0; i++, rest &= rest - 1)
        service->signals[__builtin_ctz(rest)] = narrow->signals[i];
    service->signals_ms = narrow->signals_ms;
    service->tickets[0] = narrow->ticket;
    service->answers_sum = narrow->answers_sum;
    service->drift = narrow->drift;
    service->answers = narrow->answers;
    service->ticket_count = narrow->ticket_count;
}
