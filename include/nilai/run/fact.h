/*
 * fact.h - one thing that happened to a synthetic customer, and how it is written down.
 *
 * A fact is small (it waits in thousands when events come late) and holds only what follows
 * from the customer's story. What merely dresses an event (channel, category, items, whether
 * an amount is a number or a decimal string, ...) is drawn from a hash of the fact's serial
 * number, so that writing the same fact again gives the same bytes: that is a duplicate.
 *
 * A flaw makes the event bad in exactly one class, whichever fact it is applied to.
 */
#ifndef NILAI_RUN_FACT_H
#define NILAI_RUN_FACT_H

#include "nilai/event/encode.h"
#include "nilai/run/stencil.h"

enum {
    NILAI_FACT_CUSTOMER_DIGITS = 10, /* "c0000000042" */
    NILAI_FACT_CUSTOMER_SIZE = 1 + NILAI_FACT_CUSTOMER_DIGITS,
    NILAI_FACT_CURRENCIES_MAX = 8,
};

struct nilai_fact {
    uint64_t serial;
    int64_t ts_ms;
    int64_t opened_ms;  /* ticket: written as opened_ts; -1: not written */
    double amount;      /* purchase, refund: major units of the base currency */
    float satisfaction; /* survey: 0 worst, 1 best */
    uint32_t customer;
    uint32_t handle_s; /* ticket: 0 is not written */
    uint16_t ticket;   /* ticket: which of the customer's */
    uint8_t type;      /* enum nilai_event_type */
    uint8_t status;
    uint8_t kind;
    uint8_t factor; /* NILAI_FACTOR_NONE is not written */
    uint8_t metric;
};

/* What all facts of one run have in common. */
struct nilai_fact_style {
    uint64_t seed;
    uint32_t customers; /* for referrers and foreign keys: ids are below it */
    int64_t now_ms;     /* future timestamps lie after it; -1: there are none */
    bool keyed;         /* events are messages with keys, not a stream of values */
    enum nilai_format format;
    size_t currency_count; /* [0] is the base currency, rate 1 */
    struct nilai_currency_rate currencies[NILAI_FACT_CURRENCIES_MAX];
};

/* "c0000000042". */
void nilai_fact_customer(uint32_t customer, char text[static NILAI_FACT_CUSTOMER_SIZE]);

/* Whether facts in this style can be flawed in this way: key-mismatch needs keys,
 * future-timestamp needs to know the time; NILAI_REJECT_NONE is no flaw. */
bool nilai_fact_can_flaw(const struct nilai_fact_style *style, enum nilai_reject_class flaw);

/* Writes the fact; `encoder` has the style's format. The bytes are borrowed until the
 * encoder's next use. */
NILAI_MUST_CHECK enum nilai_status nilai_fact_encode(const struct nilai_fact *fact,
                                                     const struct nilai_fact_style *style,
                                                     struct nilai_encoder *encoder,
                                                     const char **data, size_t *size);

/* The same bytes for MessagePack, in a third of the time; borrowed until the next use. */
void nilai_fact_trace(const struct nilai_fact *fact, const struct nilai_fact_style *style,
                      struct nilai_stencils *stencils, const char **data, size_t *size);
/* Stencils of our fields; NULL when out of memory. nilai_stencils_destroy ends them. */
struct nilai_stencils *nilai_fact_stencils_create(void);

/* A bad event. `scratch` (SCRATCH_SIZE bytes) may receive the bytes. `*data` NULL is an empty
 * value. `key` is that of the fact's customer before the call, and of another one after it
 * if the class is key-mismatch. An unknown currency needs a purchase or a refund. */
enum { NILAI_FACT_SCRATCH_SIZE = 16 * 1024 };
NILAI_MUST_CHECK enum nilai_status
nilai_fact_encode_flawed(const struct nilai_fact *fact, const struct nilai_fact_style *style,
                         enum nilai_reject_class flaw, struct nilai_encoder *encoder,
                         char scratch[static NILAI_FACT_SCRATCH_SIZE],
                         char key[static NILAI_FACT_CUSTOMER_SIZE], const char **data,
                         size_t *size);

#endif
