#include "nilai/event/event.h"

#include <string.h>

const char *const nilai_event_type_names[NILAI_EVENT_TYPES] = {
    [NILAI_PURCHASE] = "purchase", [NILAI_REFUND] = "refund", [NILAI_TICKET] = "ticket",
    [NILAI_SURVEY] = "survey",     [NILAI_ERASE] = "erase",
};

const char *const nilai_ticket_status_names[NILAI_TICKET_STATUSES] = {
    [NILAI_TICKET_OPENED] = "opened",     [NILAI_TICKET_PENDING] = "pending",
    [NILAI_TICKET_RESOLVED] = "resolved", [NILAI_TICKET_REOPENED] = "reopened",
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
    [NILAI_FACTOR_NONE] = NULL,           [NILAI_FACTOR_PRODUCT] = "product",
    [NILAI_FACTOR_SERVICE] = "service",   [NILAI_FACTOR_IMAGE] = "image",
    [NILAI_FACTOR_TIME] = "time",         [NILAI_FACTOR_EMOTIONAL] = "emotional",
    [NILAI_FACTOR_ECONOMIC] = "economic", [NILAI_FACTOR_FUNCTIONAL] = "functional",
};

static void keep_text(struct nilai_text *text, struct nilai_text stays, char *room)
{
    uintptr_t data = (uintptr_t)text->data, from = (uintptr_t)stays.data;
    if (data >= from && data < from + stays.size)
        return;
    NILAI_ASSERT(text->size <= NILAI_TEXT_MAX);
    if (text->size > 0)
        memcpy(room, text->data, text->size);
    text->data = room;
}

void nilai_event_keep_texts(struct nilai_event *event, struct nilai_text stays,
                            char room[static NILAI_EVENT_TEXTS_SIZE])
{
    keep_text(&event->id, stays, room);
    keep_text(&event->customer, stays, room + NILAI_TEXT_MAX);
    if (event->type == NILAI_TICKET)
        keep_text(&event->ticket.ticket, stays, room + 2 * NILAI_TEXT_MAX);
}
