/*
 * event.h - one fact about one customer, as the engine sees it.
 *
 * Both decoders fill the same structure. Texts are borrowed from the bytes that were
 * decoded (or from the decoder's own buffer, when JSON had to be unescaped): they live
 * until the decoder's next call or until those bytes go, whichever comes first.
 *
 * Money is in ten-thousandths of the base currency, converted already.
 */
#ifndef NILAI_EVENT_EVENT_H
#define NILAI_EVENT_EVENT_H

#include "nilai/base/base.h"

enum {
    NILAI_EVENT_SIZE_MAX = 1024 * 1024, /* bytes of one encoded event */
    NILAI_EVENT_DEPTH_MAX = 8,          /* the top map is depth 1 */
    NILAI_TEXT_MAX = 64,                /* bytes of an id, a customer, an order, ... */
};

enum nilai_event_type {
    NILAI_PURCHASE,
    NILAI_REFUND,
    NILAI_TICKET,
    NILAI_SURVEY,
    NILAI_ERASE,
    NILAI_EVENT_TYPES,
};

enum nilai_ticket_status {
    NILAI_TICKET_OPENED,
    NILAI_TICKET_PENDING,
    NILAI_TICKET_RESOLVED,
    NILAI_TICKET_REOPENED,
    NILAI_TICKET_CLOSED,
    NILAI_TICKET_STATUSES,
};

enum nilai_ticket_kind {
    NILAI_KIND_COMPLAINT,
    NILAI_KIND_QUESTION,
    NILAI_KIND_REQUEST,
    NILAI_KIND_OTHER,
    NILAI_TICKET_KINDS,
};

enum nilai_metric {
    NILAI_METRIC_NPS,
    NILAI_METRIC_CSAT,
    NILAI_METRIC_CES,
    NILAI_METRIC_RATING,
    NILAI_METRICS,
};

/* Which part of customer value a ticket or an answer was about. */
enum nilai_factor {
    NILAI_FACTOR_NONE,
    NILAI_FACTOR_PRODUCT,
    NILAI_FACTOR_SERVICE,
    NILAI_FACTOR_IMAGE,
    NILAI_FACTOR_TIME,
    NILAI_FACTOR_EMOTIONAL,
    NILAI_FACTOR_ECONOMIC,
    NILAI_FACTOR_FUNCTIONAL,
    NILAI_FACTORS,
};

/* Where an event came from; `topic` is an index into the configured input topics,
 * -1 when it came from a file (then `offset` counts lines or values from 0). */
struct nilai_origin {
    int32_t topic;
    int32_t partition;
    int64_t offset;
};

struct nilai_event {
    enum nilai_event_type type;
    enum nilai_factor factor;
    struct nilai_text id;
    struct nilai_text customer;
    int64_t ts_ms;
    struct nilai_origin origin; /* left as it is by the decoders */
    union {
        struct {
            int64_t amount;
            int64_t cost; /* given, or rint(amount * (1 - value.margin)) */
        } purchase;
        struct {
            int64_t amount;
        } refund;
        struct {
            struct nilai_text ticket;
            enum nilai_ticket_status status;
            enum nilai_ticket_kind kind;
            bool has_opened;
            int64_t opened_ms;
            double handle_s; /* 0 when absent */
        } ticket;
        struct {
            enum nilai_metric metric;
            double normalized; /* (score - worst) / (best - worst), 0 .. 1 */
        } survey;
    };
};

/* The names in events and messages: "purchase", "opened", "complaint", "nps", "product". */
extern const char *const nilai_event_type_names[NILAI_EVENT_TYPES];
extern const char *const nilai_ticket_status_names[NILAI_TICKET_STATUSES];
extern const char *const nilai_ticket_kind_names[NILAI_TICKET_KINDS];
extern const char *const nilai_metric_names[NILAI_METRICS];
extern const char *const nilai_factor_names[NILAI_FACTORS]; /* [NILAI_FACTOR_NONE] is NULL */

/* Room for the texts of one event. */
enum { NILAI_EVENT_TEXTS_SIZE = 3 * NILAI_TEXT_MAX };

/* Copies the texts of an event into `room`, so that they outlive what they were decoded from; those
 * that lie within `stays` (which may be empty) are left where they are. */
void nilai_event_keep_texts(struct nilai_event *event, struct nilai_text stays,
                            char room[static NILAI_EVENT_TEXTS_SIZE]);

#endif
