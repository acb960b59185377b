#include "nilai/customer/customer.h"

#include <math.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/money.h"
#include "nilai/customer/deadline.h"
#include "nilai/customer/ring.h"
#include "nilai/customer/risk.h"
#include "nilai/customer/signals.h"
#include "nilai/customer/tickets.h"
#include "nilai/customer/value.h"

const char *const nilai_band_names[NILAI_BANDS] = {
    [NILAI_BAND_LOW] = "low", [NILAI_BAND_MEDIUM] = "medium", [NILAI_BAND_HIGH] = "high"};

const char *const nilai_segment_names[NILAI_SEGMENTS] = {
    [NILAI_SEGMENT_LAPSED] = "lapsed", [NILAI_SEGMENT_VIP] = "vip",
    [NILAI_SEGMENT_LOYAL] = "loyal",   [NILAI_SEGMENT_REGULAR] = "regular",
    [NILAI_SEGMENT_NEW] = "new",       [NILAI_SEGMENT_OCCASIONAL] = "occasional",
};

const char *const nilai_tier_names[NILAI_TIERS] = {
    [NILAI_TIER_A] = "A", [NILAI_TIER_B] = "B", [NILAI_TIER_C] = "C", [NILAI_TIER_D] = "D"};

void nilai_customer_init(struct nilai_customer *customer, uint64_t id_hash)
{
    *customer = (struct nilai_customer){
        .last_event_ms = -1,
        .current_ms = -1,
        .wake_s = NILAI_NEVER_S,
    };
    nilai_ring_init(&customer->ring, id_hash);
}

void nilai_service_init(struct nilai_service *service)
{
    *service = (struct nilai_service){0};
}

bool nilai_customer_needs_service(const struct nilai_event *event)
{
    return event->type == NILAI_TICKET || event->type == NILAI_SURVEY
           || event->type == NILAI_REFUND;
}

/* ---- duplicates ---- */

bool nilai_customer_has_seen(const struct nilai_customer *customer, uint64_t id_hash)
{
    for (uint8_t i = 0; i < customer->recent_count; i++)
        if (customer->recent_ids[i] == id_hash)
            return true;
    return false;
}

static void remember_id(struct nilai_customer *customer, uint64_t id_hash)
{
    customer->recent_ids[customer->recent_next] = id_hash;
    customer->recent_next = (uint8_t)((customer->recent_next + 1) % NILAI_RECENT_IDS);
    if (customer->recent_count < NILAI_RECENT_IDS)
        customer->recent_count++;
}

/* ---- changes ---- */

static struct nilai_change next_change(struct nilai_customer *customer, bool is_band)
{
    return (struct nilai_change){
        .is_band = is_band,
        .seq = ++customer->seq,
        .at_ms = customer->current_ms,
        .from = customer->standing,
        .to = customer->standing,
    };
}

static struct nilai_change band_change(struct nilai_customer *customer,
                                       const struct nilai_curve *curve,
                                       const struct nilai_terms *terms, enum nilai_band band,
                                       double clv)
{
    struct nilai_reason all[NILAI_REASONS_ALL];
    uint32_t count = nilai_risk_reasons(curve, terms, all);
    struct nilai_change change = next_change(customer, true);

    change.to.band = (uint8_t)band;
    change.eta = terms->eta;
    change.risk = nilai_risk_of_eta(terms->eta);
    change.silence_days = terms->silence.days;
    change.gap_days = curve->gap_days;
    change.repeat_days = customer->rhythm.repeat_days;
    change.span_days = customer->rhythm.last_day - customer->rhythm.first_day;
    change.value_at_risk = clv * change.risk;
    change.reason_count = nilai_risk_main_reasons(all, count, change.reasons);
    return change;
}

static struct nilai_change value_change(struct nilai_customer *customer, struct nilai_standing to,
                                        const struct nilai_worth *worth)
{
    struct nilai_change change = next_change(customer, false);
    change.first = customer->standing.segment == NILAI_SEGMENT_NONE;
    change.to = to;
    change.net_year = worth->net_year;
    change.clv_365 = worth->clv_365;
    change.purchase_days_year = worth->purchase_days_year;
    return change;
}

/* The band at the current time. The first one, after the first purchase, is set without a word. */
static uint32_t evaluate_band(struct nilai_customer *customer, const struct nilai_curve *curve,
                              const struct nilai_terms *terms, double clv,
                              struct nilai_change *change)
{
    bool first = customer->standing.band == NILAI_BAND_NONE;
    enum nilai_band own = first ? NILAI_BAND_LOW : (enum nilai_band)customer->standing.band;
    enum nilai_band band = nilai_risk_band(curve, own, terms);
    uint32_t written = 0;
    if (!first && band != own)
        change[written++] = band_change(customer, curve, terms, band, clv);
    customer->standing.band = (uint8_t)band;
    return written;
}

static uint32_t evaluate_value(const struct nilai_model *model, struct nilai_customer *customer,
                               const struct nilai_worth *worth, struct nilai_change *change)
{
    struct nilai_standing to = nilai_value_standing(model, customer, worth, customer->current_ms);
    if (nilai_value_same(customer->standing, to))
        return 0;
    *change = value_change(customer, to, worth);
    customer->standing = to;
    return 1;
}

/* ---- deadlines ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* After an event or a change: what is cheap to know. The clock ends with the year 9999, and what
 * would come after it never does. */
static void arm_bound(struct nilai_customer *customer, const struct nilai_curve *curve,
                      const struct nilai_terms *terms, const struct nilai_worth *worth)
{
    const struct nilai_model *model = curve->model;
    enum nilai_band band = (enum nilai_band)customer->standing.band;
    int64_t now_ms = customer->current_ms, limit_s = NILAI_TIME_MAX_MS / 1000;
    int64_t bound_s = nilai_deadline_bound(curve, band, terms, now_ms);
    bound_s =
        earlier(bound_s, nilai_value_next_rest_change(model, customer, &worth->year, now_ms / 1000,
                                                      earlier(bound_s, limit_s)));
    bound_s =
        earlier(bound_s, nilai_value_fall_bound(model, customer, &curve->posterior, &terms->silence,
                                                worth->clv_365, now_ms, earlier(bound_s, limit_s)));
    customer->wake_s = bound_s <= limit_s ? bound_s : NILAI_NEVER_S;
}

/* What holds at one instant, if no event comes. */
struct moment {
    int64_t ms;
    struct nilai_terms terms;
    struct nilai_worth worth;
};

static struct moment moment_at(const struct nilai_curve *curve,
                               const struct nilai_customer *customer, int64_t ms)
{
    struct nilai_terms terms = nilai_risk_terms(curve, ms);
    return (struct moment){ms, terms,
                           nilai_value_worth_in(curve->model, customer, &terms.silence, ms)};
}

/* Moves the customer there: the band is judged at any time, value at events and check times. */
static uint32_t change_at(struct nilai_customer *customer, const struct nilai_curve *curve,
                          const struct moment *moment, bool is_check, struct nilai_change *changes)
{
    customer->current_ms = moment->ms;
    uint32_t written =
        evaluate_band(customer, curve, &moment->terms, moment->worth.clv_365, changes);
    if (is_check)
        written += evaluate_value(curve->model, customer, &moment->worth, changes + written);
    arm_bound(customer, curve, &moment->terms, &moment->worth);
    return written;
}
static bool changes_at(const struct nilai_customer *customer, const struct nilai_curve *curve,
                       const struct moment *moment, bool is_check)
{
    const struct nilai_standing *now = &customer->standing;
    if (nilai_risk_band(curve, (enum nilai_band)now->band, &moment->terms) != now->band)
        return true;
    return is_check
           && !nilai_value_same(
               *now, nilai_value_standing(curve->model, customer, &moment->worth, moment->ms));
}

/* Where to begin to look: at the bound, which is later than the current second. */
static int64_t first_look_s(const struct nilai_customer *customer)
{
    int64_t next_s = customer->current_ms / 1000 + 1;
    return customer->wake_s > next_s ? customer->wake_s : next_s;
}

/* The first change of anything after a moment at which nothing changes, up to the end of time;
 * NILAI_NEVER_S if there is none. What costs least is looked at first: it limits what the rest must
 * look at. */
static int64_t next_deadline(const struct nilai_customer *customer, const struct nilai_curve *curve,
                             const struct moment *moment)
{
    const struct nilai_model *model = curve->model;
    enum nilai_band band = (enum nilai_band)customer->standing.band;
    int64_t after_s = moment->ms / 1000, limit_s = NILAI_TIME_MAX_MS / 1000;
    int64_t rest_s =
        nilai_value_next_rest_change(model, customer, &moment->worth.year, after_s, limit_s);
    int64_t band_s =
        nilai_deadline_search(curve, band, &moment->terms, after_s, earlier(rest_s, limit_s));
    int64_t first_s = earlier(rest_s, band_s);
    int64_t fall_s = nilai_value_next_fall(model, customer, &curve->posterior, after_s,
                                           earlier(first_s, limit_s));
    return earlier(first_s, fall_s);
}

/* The first deadline at or after the first look, and what holds then, in *moment. */
static int64_t find_deadline(const struct nilai_customer *customer, const struct nilai_curve *curve,
                             struct moment *moment)
{
    int64_t look_s = first_look_s(customer);
    *moment = moment_at(curve, customer, look_s * 1000);
    if (changes_at(customer, curve, moment, nilai_value_is_check(curve->model, customer, look_s)))
        return look_s;
    return next_deadline(customer, curve, moment);
}

uint32_t nilai_customer_fire(const struct nilai_model *model, struct nilai_customer *customer,
                             const struct nilai_service *service, int64_t clock_ms,
                             struct nilai_change changes[static NILAI_CHANGES_PER_STEP])
{
    int64_t clock_s = clock_ms / 1000;
    NILAI_ASSERT(clock_ms <= NILAI_TIME_MAX_MS);
    if (customer->wake_s > clock_s)
        return 0;
    NILAI_ASSERT(customer->rhythm.bought);

    struct nilai_curve curve = nilai_risk_curve(model, customer, service);
    struct moment moment;
    int64_t deadline_s = find_deadline(customer, &curve, &moment);
    if (deadline_s > clock_s) {
        customer->wake_s = deadline_s; /* the bound came too early; this one is exact */
        return 0;
    }
    if (moment.ms != deadline_s * 1000)
        moment = moment_at(&curve, customer, deadline_s * 1000);
    uint32_t written = change_at(customer, &curve, &moment,
                                 nilai_value_is_check(model, customer, deadline_s), changes);
    NILAI_ASSERT(written > 0);
    return written;
}

int64_t nilai_customer_next_deadline_s(const struct nilai_model *model,
                                       const struct nilai_customer *customer,
                                       const struct nilai_service *service)
{
    if (!customer->rhythm.bought || customer->wake_s == NILAI_NEVER_S)
        return NILAI_NEVER_S;
    struct nilai_curve curve = nilai_risk_curve(model, customer, service);
    struct moment moment;
    return find_deadline(customer, &curve, &moment);
}

/* ---- events ---- */

/* An event at work: what its parts need to know beside the event itself. */
struct step {
    const struct nilai_model *model;
    const struct nilai_event *event;
    int32_t day, period; /* of the event's own ts */
    bool late;
    uint32_t notes;
};

static void add_net(struct step *step, struct nilai_customer *customer, int64_t net)
{
    if (nilai_ring_add_net(&customer->ring, step->period, net))
        step->notes |= NILAI_NOTE_SATURATED;
}

static void add_ever(struct step *step, int64_t *sum, int64_t amount)
{
    if (nilai_money_add(sum, amount))
        step->notes |= NILAI_NOTE_SATURATED;
}

static void apply_purchase(struct step *step, struct nilai_customer *customer,
                           struct nilai_service *service)
{
    const struct nilai_event *event = step->event;
    enum nilai_day_seen seen = nilai_rhythm_add(&customer->rhythm, step->day);
    if (seen == NILAI_DAY_NEW_UNSURE)
        step->notes |= NILAI_NOTE_OLD_DAY;
    if (seen != NILAI_DAY_SEEN && nilai_ring_add_purchase_day(&customer->ring, step->period))
        step->notes |= NILAI_NOTE_SATURATED;

    add_ever(step, &customer->amounts, event->purchase.amount);
    add_ever(step, &customer->costs, event->purchase.cost);
    add_net(step, customer, event->purchase.amount - event->purchase.cost);
    if (!step->late && service != NULL)
        nilai_signals_forgive(step->model, service);
}

static void apply_refund(struct step *step, struct nilai_customer *customer,
                         struct nilai_service *service)
{
    add_ever(step, &customer->refunds, step->event->refund.amount);
    add_net(step, customer, -step->event->refund.amount);
    nilai_signals_add(step->model, service, NILAI_SIGNAL_REFUND,
                      step->model->weights[NILAI_SIGNAL_REFUND], step->event->ts_ms);
}

static void apply_ticket(struct step *step, struct nilai_customer *customer,
                         struct nilai_service *service)
{
    double handling =
        rint(step->model->cost_per_hour * step->event->ticket.handle_s / 3600 * NILAI_MONEY_UNIT);
    NILAI_ASSERT(handling >= 0 && handling < 0x1p63);
    add_net(step, customer, -(int64_t)handling);
    if (!nilai_tickets_apply(step->model, service, step->event))
        step->notes |= NILAI_NOTE_UNFOLLOWED;
}

static void apply_survey(struct step *step, struct nilai_customer *customer,
                         struct nilai_service *service)
{
    (void)customer;
    nilai_signals_answer(step->model, service, step->event->survey.metric,
                         step->event->survey.normalized, step->event->ts_ms);
}

static void apply_by_type(struct step *step, struct nilai_customer *customer,
                          struct nilai_service *service)
{
    static void (*const apply[NILAI_EVENT_TYPES])(struct step *, struct nilai_customer *,
                                                  struct nilai_service *) = {
        [NILAI_PURCHASE] = apply_purchase,
        [NILAI_REFUND] = apply_refund,
        [NILAI_TICKET] = apply_ticket,
        [NILAI_SURVEY] = apply_survey,
    };
    NILAI_ASSERT(step->event->type < NILAI_EVENT_TYPES && apply[step->event->type] != NULL);
    apply[step->event->type](step, customer, service);
}

/* Moves the customer's time to the event, which may be late. */
static void move_time(struct nilai_customer *customer, int64_t ts_ms)
{
    if (ts_ms > customer->last_event_ms)
        customer->last_event_ms = ts_ms;
    if (ts_ms > customer->current_ms)
        customer->current_ms = ts_ms;
}

static uint32_t evaluate(const struct nilai_model *model, struct nilai_customer *customer,
                         const struct nilai_service *service, struct nilai_change *changes)
{
    if (!customer->rhythm.bought)
        return 0;
    struct nilai_curve curve = nilai_risk_curve(model, customer, service);
    struct moment moment = moment_at(&curve, customer, customer->current_ms);
    return change_at(customer, &curve, &moment, true, changes);
}

uint32_t nilai_customer_apply(const struct nilai_model *model, struct nilai_customer *customer,
                              struct nilai_service *service, const struct nilai_event *event,
                              uint64_t id_hash, uint32_t *notes,
                              struct nilai_change changes[static NILAI_CHANGES_PER_STEP])
{
    NILAI_ASSERT(service != NULL || !nilai_customer_needs_service(event));
    NILAI_ASSERT(customer->wake_s > event->ts_ms / 1000);

    int32_t day = nilai_model_day(model, event->ts_ms);
    struct step step = {
        .model = model,
        .event = event,
        .day = day,
        .period = nilai_ring_period(&customer->ring, day),
        .late = event->ts_ms < customer->last_event_ms,
    };
    if (step.late)
        step.notes |= NILAI_NOTE_LATE;
    move_time(customer, event->ts_ms);
    remember_id(customer, id_hash);
    nilai_ring_slide(
        &customer->ring,
        nilai_ring_period(&customer->ring, nilai_model_day(model, customer->current_ms)));
    apply_by_type(&step, customer, service);
    *notes = step.notes;
    return evaluate(model, customer, service, changes);
}
