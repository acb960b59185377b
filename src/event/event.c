#include "nilai/event/event.h"

const char *const nilai_event_type_names[NILAI_EVENT_TYPES] = {
    [NILAI_PURCHASE] = "purchase",
    [NILAI_REFUND] = "refund",
    [NILAI_TICKET] = "ticket",
    [NILAI_SURVEY] = "survey",
    [NILAI_ERASE] = "erase",
};

const char *const nilai_ticket_status_names[NILAI_TICKET_STATUSES] = {
    [NILAI_TICKET_OPENED] = "opened",
    [NILAI_TICKET_PENDING] = "pending",
    [NILAI_TICKET_RESOLVED] = "resolved",
    [NILAI_TICKET_REOPENED] = "reopened",
    [NILAI_TICKET_CLOSED] = "closed",
};

const char *const nilai_ticket_kind_names[NILAI_TICKET_KINDS] = {
    [NILAI_KIND_COMPLAINT] = "complaint",
    [NILAI_KIND_QUESTION] = "question",
    [NILAI_KIND_REQUEST] = "request",
    [NILAI_KIND_OTHER] = "other",
};

const char *const nilai_metric_names[NILAI_METRICS] = {
    [NILAI_METRIC_NPS] = "nps",
    [NILAI_METRIC_CSAT] = "csat",
    [NILAI_METRIC_CES] = "ces",
    [NILAI_METRIC_RATING] = "rating",
};

const char *const nilai_factor_names[NILAI_FACTORS] = {
    [NILAI_FACTOR_NONE] = NULL,
    [NILAI_FACTOR_PRODUCT] = "product",
    [NILAI_FACTOR_SERVICE] = "service",
    [NILAI_FACTOR_IMAGE] = "image",
    [NILAI_FACTOR_TIME] = "time",
    [NILAI_FACTOR_EMOTIONAL] = "emotional",
    [NILAI_FACTOR_ECONOMIC] = "economic",
    [NILAI_FACTOR_FUNCTIONAL] = "functional",
};
