/*
 * customer.h - what is known of one customer, and what events and time do to it.
 *
 * A record is flat, pointer-free and of a fixed size: copying the bytes saves it. It has no padding
 * (`unused` is 0), so that nothing is saved that nobody has written. The part that only support
 * and surveys need is a second record (`nilai_service`), which most customers never get; the
 * caller keeps both and passes the second as NULL until nilai_customer_needs_service() says that
 * an event needs it.
 *
 * Everything here is a pure function of the record, the event and the model. No clock is
 * read, nothing is allocated, nothing is shared: any thread may call on its own copies.
 *
 * Always true of a record: last_event_ms <= current_ms; nothing that is published changes
 * between current_ms and wake_s without an event (wake_s is a safe lower bound).
 */
#ifndef NILAI_CUSTOMER_CUSTOMER_H
#define NILAI_CUSTOMER_CUSTOMER_H

#include "nilai/customer/model.h"
#include "nilai/event/event.h"

enum {
    NILAI_PERIODS = 13, /* ring of rolling windows */
    NILAI_PERIOD_DAYS = 28,
    NILAI_RECENT_IDS = 8,  /* how far back duplicates are known */
    NILAI_TICKETS_MAX = 4, /* tickets followed at once */
    NILAI_REASONS_MAX = 4, /* published with a change of band */
};

#define NILAI_NEVER_S INT64_MAX

enum nilai_band {
    NILAI_BAND_NONE,
    NILAI_BAND_LOW,
    NILAI_BAND_MEDIUM,
    NILAI_BAND_HIGH,
    NILAI_BANDS
};

enum nilai_segment {
    NILAI_SEGMENT_NONE,
    NILAI_SEGMENT_LAPSED,
    NILAI_SEGMENT_VIP,
    NILAI_SEGMENT_LOYAL,
    NILAI_SEGMENT_REGULAR,
    NILAI_SEGMENT_NEW,
    NILAI_SEGMENT_OCCASIONAL,
    NILAI_SEGMENTS,
};

/* NILAI_TIER_A is the best; 0 is none. */
enum nilai_tier {
    NILAI_TIER_NONE,
    NILAI_TIER_A,
    NILAI_TIER_B,
    NILAI_TIER_C,
    NILAI_TIER_D,
    NILAI_TIERS
};

extern const char *const nilai_band_names[NILAI_BANDS];       /* "low", ...; NONE is NULL */
extern const char *const nilai_segment_names[NILAI_SEGMENTS]; /* "lapsed", ... */
extern const char *const nilai_tier_names[NILAI_TIERS];       /* "A", ... */

/* Distinct purchase days (rhythm.c). */
struct nilai_rhythm {
    uint64_t seen_days; /* bit k: the day `last_day - k` was a purchase day */
    int32_t first_day;
    int32_t last_day;
    uint32_t repeat_days; /* x: number of purchase days - 1 */
    bool bought;          /* false: the fields above mean nothing */
    uint8_t unused[3];
};

/* Sums by period of 28 days; holds exactly the periods (newest - 13, newest] (ring.c). */
struct nilai_ring {
    int64_t nets[NILAI_PERIODS]; /* amount - cost - refund - handling, ten-thousandths */
    uint16_t purchase_days[NILAI_PERIODS];
    uint16_t phase; /* o = XXH3_64bits(customer id) mod 28 */
    int32_t newest;
};

/* The part that is published, and that hysteresis compares with. */
struct nilai_standing {
    uint8_t band;
    uint8_t segment;
    uint8_t tier;
    uint8_t unprofitable;
};

struct nilai_customer {
    int64_t last_event_ms; /* largest ts of the customer's events, -1: none yet */
    int64_t current_ms;    /* latest of last_event_ms and the fired deadlines */
    int64_t wake_s;        /* nothing published changes before this second; NILAI_NEVER_S */
    int64_t amounts, refunds, costs; /* all ever, ten-thousandths */
    struct nilai_rhythm rhythm;
    struct nilai_ring ring;
    uint64_t recent_ids[NILAI_RECENT_IDS]; /* XXH3 of the last applied ids */
    uint32_t seq;                          /* of the last published change */
    uint8_t recent_next;
    uint8_t recent_count;
    struct nilai_standing standing;
    uint8_t unused[6];
};

/* A followed ticket; [0] is the one followed longest (tickets.c). */
struct nilai_followed {
    uint64_t id_hash;
    int64_t since_ms; /* open since, or resolved since */
    uint8_t kind;     /* enum nilai_ticket_kind */
    bool open;
    bool counted; /* its opening has given its signal */
    uint8_t unused[5];
};

struct nilai_service {
    double signals[NILAI_SIGNALS_STORED]; /* faded to signals_ms */
    int64_t signals_ms;
    struct nilai_followed tickets[NILAI_TICKETS_MAX];
    double answers_sum; /* of normalized answers */
    double drift;       /* CUSUM */
    uint32_t answers;
    uint32_t ticket_count;
};

/* What is worth counting about an applied event (a set of bits). */
enum nilai_note {
    NILAI_NOTE_LATE = 1 << 0,
    NILAI_NOTE_OLD_DAY = 1 << 1,    /* purchase day beyond the bitmap, taken as new */
    NILAI_NOTE_SATURATED = 1 << 2,  /* a sum reached the end of 64 bits */
    NILAI_NOTE_UNFOLLOWED = 1 << 3, /* a ticket found all places taken */
};

struct nilai_reason {
    uint8_t code;  /* enum nilai_reason_code, explain.h */
    double points; /* log odds */
};

/* One published change, with all that its message needs except the names. */
struct nilai_change {
    bool is_band; /* else: value segment, tier or flag */
    bool first;   /* value only: `from` is null */
    uint32_t seq;
    int64_t at_ms;
    struct nilai_standing from, to;
    /* band */
    double eta, risk;
    double silence_days, gap_days; /* gap: the customer's own median gap */
    uint32_t repeat_days;
    int32_t span_days; /* t_x */
    double value_at_risk;
    uint32_t reason_count;
    struct nilai_reason reasons[NILAI_REASONS_MAX];
    /* value */
    int64_t net_year;
    double clv_365;
    uint32_t purchase_days_year;
};

enum { NILAI_CHANGES_PER_STEP = 2 };

/* A customer of whom nothing is known. `id_hash` = XXH3_64bits of the customer id. */
void nilai_customer_init(struct nilai_customer *customer, uint64_t id_hash);
void nilai_service_init(struct nilai_service *service);

/* Whether applying this event must find a service record. */
bool nilai_customer_needs_service(const struct nilai_event *event);

/* Whether `id_hash` is among the last applied ids. */
bool nilai_customer_has_seen(const struct nilai_customer *customer, uint64_t id_hash);

/* Fires the first deadline at or before `clock_ms`, if there is one: writes one or two
 * changes and returns their number. 0: nothing is due; wake_s is now later than the clock.
 * Call until it returns 0. `clock_ms` in [current_ms, NILAI_TIME_MAX_MS]; an earlier clock
 * finds nothing due. */
uint32_t nilai_customer_fire(const struct nilai_model *model, struct nilai_customer *customer,
                             const struct nilai_service *service, int64_t clock_ms,
                             struct nilai_change changes[static NILAI_CHANGES_PER_STEP]);

/* Applies one event, of any type but erase; deadlines up to the event's ts and the
 * partition's clock must have fired. Returns the number of changes written; `notes` is
 * a set of enum nilai_note. */
uint32_t nilai_customer_apply(const struct nilai_model *model, struct nilai_customer *customer,
                              struct nilai_service *service, const struct nilai_event *event,
                              uint64_t id_hash, uint32_t *notes,
                              struct nilai_change changes[static NILAI_CHANGES_PER_STEP]);

/* The exact next deadline, NILAI_NEVER_S if there is none up to NILAI_TIME_MAX_MS.
 * Costs a root search; for look-ups, not for the path of an event. */
int64_t nilai_customer_next_deadline_s(const struct nilai_model *model,
                                       const struct nilai_customer *customer,
                                       const struct nilai_service *service);

#endif
