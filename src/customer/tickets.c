#include "nilai/customer/tickets.h"

#include <math.h>
#include <string.h>

#include "nilai/base/hash.h"
#include "nilai/customer/signals.h"

static struct nilai_followed *find(struct nilai_service *service, uint64_t id_hash)
{
    for (uint32_t i = 0; i < service->ticket_count; i++)
        if (service->tickets[i].id_hash == id_hash)
            return &service->tickets[i];
    return NULL;
}

static void unfollow(struct nilai_service *service, struct nilai_followed *ticket)
{
    struct nilai_followed *end = service->tickets + service->ticket_count;
    memmove(ticket, ticket + 1, (size_t)((char *)end - (char *)(ticket + 1)));
    service->ticket_count--;
    memset(service->tickets + service->ticket_count, 0, sizeof *ticket);
}

/* The one resolved longest ago; of several, the one followed longest. */
static struct nilai_followed *find_resolved(struct nilai_service *service)
{
    struct nilai_followed *oldest = NULL;
    for (uint32_t i = 0; i < service->ticket_count; i++) {
        struct nilai_followed *ticket = &service->tickets[i];
        if (!ticket->open && (oldest == NULL || ticket->since_ms < oldest->since_ms))
            oldest = ticket;
    }
    return oldest;
}

static bool follow(struct nilai_service *service, struct nilai_followed ticket)
{
    if (service->ticket_count == NILAI_TICKETS_MAX) {
        struct nilai_followed *resolved = find_resolved(service);
        if (resolved == NULL)
            return false;
        unfollow(service, resolved);
    }
    service->tickets[service->ticket_count++] = ticket;
    return true;
}

static enum nilai_signal opening_code(uint8_t kind)
{
    return kind == NILAI_KIND_COMPLAINT ? NILAI_SIGNAL_COMPLAINT : NILAI_SIGNAL_TICKET;
}

static void signal_opening(const struct nilai_model *model, struct nilai_service *service,
                           const struct nilai_event *event)
{
    enum nilai_signal code = opening_code((uint8_t)event->ticket.kind);
    nilai_signals_add(model, service, code, model->weights[code], event->ts_ms);
}

static void signal_resolution(const struct nilai_model *model, struct nilai_service *service,
                              uint8_t kind, int64_t opened_ms, int64_t ts_ms)
{
    enum nilai_signal code = NILAI_SIGNAL_RESOLVED_LATE;
    double weight = model->weights[code];
    if (ts_ms - opened_ms <= model->sla_ms) {
        code = NILAI_SIGNAL_RESOLVED_IN_TIME;
        weight = -model->recovery * model->weights[opening_code(kind)];
    }
    nilai_signals_add(model, service, code, weight, ts_ms);
}

static struct nilai_followed from_event(const struct nilai_event *event, uint64_t id_hash,
                                        bool open, bool counted)
{
    return (struct nilai_followed){
        .id_hash = id_hash,
        .since_ms = event->ts_ms,
        .kind = (uint8_t)event->ticket.kind,
        .open = open,
        .counted = counted,
    };
}

static bool apply_opened(const struct nilai_model *model, struct nilai_service *service,
                         const struct nilai_event *event, struct nilai_followed *ticket,
                         uint64_t id_hash)
{
    if (ticket != NULL && ticket->counted)
        return true;
    signal_opening(model, service, event);
    if (ticket == NULL)
        return follow(service, from_event(event, id_hash, true, true));
    ticket->counted = true;
    return true;
}

static void resolve(const struct nilai_model *model, struct nilai_service *service,
                    const struct nilai_event *event, struct nilai_followed *ticket)
{
    signal_resolution(model, service, ticket->kind, ticket->since_ms, event->ts_ms);
    ticket->open = false;
    ticket->since_ms = event->ts_ms;
}

static bool apply_resolved(const struct nilai_model *model, struct nilai_service *service,
                           const struct nilai_event *event, struct nilai_followed *ticket,
                           uint64_t id_hash)
{
    if (ticket != NULL) {
        if (ticket->open)
            resolve(model, service, event, ticket);
        return true;
    }
    if (event->ticket.has_opened)
        signal_resolution(model, service, (uint8_t)event->ticket.kind, event->ticket.opened_ms,
                          event->ts_ms);
    return follow(service, from_event(event, id_hash, false, false));
}

static bool apply_reopened(const struct nilai_model *model, struct nilai_service *service,
                           const struct nilai_event *event, struct nilai_followed *ticket,
                           uint64_t id_hash)
{
    nilai_signals_add(model, service, NILAI_SIGNAL_REOPENED, model->weights[NILAI_SIGNAL_REOPENED],
                      event->ts_ms);
    if (ticket == NULL)
        return follow(service, from_event(event, id_hash, true, false));
    ticket->open = true;
    ticket->since_ms = event->ts_ms;
    return true;
}

static bool apply_closed(const struct nilai_model *model, struct nilai_service *service,
                         const struct nilai_event *event, struct nilai_followed *ticket,
                         uint64_t id_hash)
{
    (void)id_hash;
    if (ticket == NULL)
        return true;
    if (ticket->open)
        resolve(model, service, event, ticket);
    unfollow(service, ticket);
    return true;
}

static bool apply_pending(const struct nilai_model *model, struct nilai_service *service,
                          const struct nilai_event *event, struct nilai_followed *ticket,
                          uint64_t id_hash)
{
    (void)model, (void)service, (void)event, (void)ticket, (void)id_hash;
    return true;
}

bool nilai_tickets_apply(const struct nilai_model *model, struct nilai_service *service,
                         const struct nilai_event *event)
{
    static bool (*const apply[NILAI_TICKET_STATUSES])(
        const struct nilai_model *, struct nilai_service *, const struct nilai_event *,
        struct nilai_followed *, uint64_t) = {
        [NILAI_TICKET_OPENED] = apply_opened,     [NILAI_TICKET_PENDING] = apply_pending,
        [NILAI_TICKET_RESOLVED] = apply_resolved, [NILAI_TICKET_REOPENED] = apply_reopened,
        [NILAI_TICKET_CLOSED] = apply_closed,
    };
    NILAI_ASSERT(event->type == NILAI_TICKET && event->ticket.status < NILAI_TICKET_STATUSES);
    uint64_t id_hash = nilai_hash(event->ticket.ticket.data, event->ticket.ticket.size);
    struct nilai_followed *ticket = find(service, id_hash);
    return apply[event->ticket.status](model, service, event, ticket, id_hash);
}

double nilai_tickets_overdue(const struct nilai_model *model, const struct nilai_service *service,
                             int64_t ms)
{
    double largest = 0;
    bool any = false;
    for (uint32_t i = 0; i < service->ticket_count; i++) {
        const struct nilai_followed *ticket = &service->tickets[i];
        int64_t open_ms = ms - ticket->since_ms;
        if (!ticket->open || open_ms < model->sla_ms)
            continue;
        double weight = model->weights[NILAI_SIGNAL_TICKET_OVERDUE];
        if (open_ms >= model->overdue_max_ms)
            weight *= nilai_signals_fade(model, open_ms - model->overdue_max_ms);
        largest = any ? fmax(largest, weight) : weight;
        any = true;
    }
    return largest;
}

int64_t nilai_tickets_next_overdue_ms(const struct nilai_model *model,
                                      const struct nilai_service *service, int64_t after_ms)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < service->ticket_count; i++) {
        const struct nilai_followed *ticket = &service->tickets[i];
        int64_t overdue = ticket->since_ms + model->sla_ms;
        if (ticket->open && overdue > after_ms && overdue < next)
            next = overdue;
    }
    return next;
}

uint32_t nilai_tickets_open(const struct nilai_service *service)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < service->ticket_count; i++)
        open += service->tickets[i].open;
    return open;
}
