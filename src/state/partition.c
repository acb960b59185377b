#include "nilai/state/partition.h"

#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/base/hash.h"
#include "nilai/base/mutation.h"
#include "nilai/state/restore.h"
#include "nilai/state/timers.h"
#include "nilai/state/touched.h"

enum {
    BATCH = 32,        /* events whose memory is fetched ahead together */
    WORK_MAX = 128,    /* events applied and timers looked at in one step, some microseconds each */
    ERASED_MAX = 1024, /* ids of erased customers that wait for the feed */
    ERASED_SHARE = 16, /* remembered erasures take at most this part of the memory limit */
    ERASED_ENTRY_BYTES = 128,
};

#define NOBODY UINT32_MAX

struct erased_id {
    uint8_t size;
    char bytes[NILAI_TEXT_MAX];
};

struct nilai_partition {
    struct nilai_partition_options options;
    struct nilai_table *table;
    struct nilai_timers *timers;
    struct nilai_erased *erased;
    struct nilai_partition_counts counts;
    struct nilai_floors floors; /* used with options.journaled */
    int64_t clock_ms;

    /* The turn at work. */
    struct nilai_turn turn;
    size_t next;      /* of its events */
    size_t batch_end; /* hashes[] are those of events up to here */
    uint64_t hashes[BATCH];
    uint32_t likely[BATCH]; /* whose record was fetched for the event; NOBODY */
    uint32_t due[BATCH];    /* timers taken out of the wheel and not yet looked at */
    uint32_t due_next, due_count;
    uint64_t still[NILAI_TURN_EVENTS_MAX / 64];
    bool done;

    /* What the customers feed has not seen yet. */
    struct nilai_touched touched;
    struct erased_id *erased_ids; /* NULL without a feed */
    uint32_t erased_count;
};

/* Copies of one customer's records, to work on; stored back whole. */
struct scratch {
    uint32_t number;
    bool has_service;
    int64_t stored_wake_s; /* of the record as it lies in the table */
    struct nilai_customer customer;
    struct nilai_service service;
};

struct nilai_partition *nilai_partition_create(const struct nilai_partition_options *options)
{
    struct nilai_partition *partition = calloc(1, sizeof *partition);
    if (partition == NULL)
        return NULL;
    partition->options = *options;
    partition->clock_ms = -1;
    partition->done = true;
    nilai_touched_init(&partition->touched);
    nilai_floors_init(&partition->floors);
    partition->table = nilai_table_create(&options->limits);
    partition->timers = nilai_timers_create();
    partition->erased = nilai_erased_create(
        options->erase_remember_ms,
        options->limits.memory_max_bytes / ERASED_SHARE / ERASED_ENTRY_BYTES + 1,
        options->limits.hash_seed);
    if (options->feed)
        partition->erased_ids = calloc(ERASED_MAX, sizeof *partition->erased_ids);
    if (partition->table == NULL || partition->timers == NULL || partition->erased == NULL
        || (options->feed && partition->erased_ids == NULL)) {
        nilai_partition_destroy(partition);
        return NULL;
    }
    return partition;
}

void nilai_partition_destroy(struct nilai_partition *partition)
{
    if (partition == NULL)
        return;
    if (partition->table != NULL)
        nilai_table_destroy(partition->table);
    if (partition->timers != NULL)
        nilai_timers_destroy(partition->timers);
    nilai_erased_destroy(partition->erased);
    nilai_floors_fini(&partition->floors);
    nilai_touched_fini(&partition->touched);
    free(partition->erased_ids);
    free(partition);
}

/* ---- one customer ---- */

static void load(const struct nilai_partition *partition, uint32_t number, struct scratch *scratch)
{
    scratch->number = number;
    scratch->customer = *nilai_table_customer(partition->table, number);
    scratch->has_service = nilai_table_service(partition->table, number, &scratch->service);
    scratch->stored_wake_s = scratch->customer.wake_s;
}

static struct nilai_service *service_of(struct scratch *scratch)
{
    return scratch->has_service ? &scratch->service : NULL;
}

static void arm(struct nilai_partition *partition, uint32_t number, int64_t wake_s)
{
    if (wake_s < nilai_timers_armed_at(partition->timers, number))
        nilai_timers_arm(partition->timers, number, wake_s);
}

/* Publishes the copy to readers. A timer is only ever moved earlier here: one that comes too
 * early looks, finds nothing, and is armed anew. As a timer is never later than what its record
 * says, a record that moves its own later, as nearly every event does, need not look at it. */
static void store(struct nilai_partition *partition, struct scratch *scratch)
{
    int64_t wake_s = scratch->customer.wake_s;
    nilai_table_store(partition->table, scratch->number, &scratch->customer, service_of(scratch));
    if (wake_s < scratch->stored_wake_s)
        arm(partition, scratch->number, wake_s);
    scratch->stored_wake_s = wake_s;
}

static enum nilai_status touch(struct nilai_partition *partition, uint32_t number)
{
    if (!partition->options.feed)
        return NILAI_OK;
    return nilai_touched_add(&partition->touched, number);
}

static bool has_room(const struct nilai_effects *effects)
{
    return effects->count + NILAI_CHANGES_PER_STEP <= NILAI_EFFECTS_MAX;
}

/* Completes the changes just written at the end of `effects`; event NULL: by the timer. */
static void emit(struct nilai_partition *partition, struct nilai_effects *effects, uint32_t number,
                 const struct nilai_change *changes, uint32_t count,
                 const struct nilai_event *event)
{
    struct nilai_text id = nilai_table_id(partition->table, number);
    for (uint32_t i = 0; i < count; i++) {
        struct nilai_effect *effect = &effects->list[effects->count++];
        effect->change = changes[i];
        effect->erased = false;
        effect->by_event = event != NULL;
        effect->customer_size = (uint8_t)id.size;
        memcpy(effect->customer, id.data, id.size);
        effect->cause_size = 0;
        if (event != NULL) {
            effect->origin = event->origin;
            effect->cause_size = (uint8_t)event->id.size;
            memcpy(effect->cause, event->id.data, event->id.size);
        }
        partition->counts.changes_band += changes[i].is_band;
        partition->counts.changes_value += !changes[i].is_band;
        partition->counts.changes_by_timer += event == NULL;
    }
}

static bool is_frozen(const struct nilai_partition *partition)
{
    return partition->turn.again != NULL && partition->turn.again->frozen;
}

/* Fires what is due up to the clock. False: `effects` is full before all has fired. */
static enum nilai_status fire(struct nilai_partition *partition, struct scratch *scratch,
                              struct nilai_effects *effects, bool *complete)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    *complete = true;
    if (is_frozen(partition) || scratch->customer.wake_s > partition->clock_ms / 1000)
        return NILAI_OK;
    while (has_room(effects)) {
        uint32_t count = nilai_customer_fire(partition->options.model, &scratch->customer,
                                             service_of(scratch), partition->clock_ms, changes);
        if (count == 0) {
            store(partition, scratch);
            return NILAI_OK;
        }
        emit(partition, effects, scratch->number, changes, count, NULL);
        enum nilai_status status = touch(partition, scratch->number);
        if (status != NILAI_OK)
            return status;
    }
    store(partition, scratch);
    *complete = false;
    return NILAI_OK;
}

/* ---- one event ---- */

static void count_notes(struct nilai_partition_counts *counts, uint32_t notes)
{
    counts->late += (notes & NILAI_NOTE_LATE) != 0;
    counts->old_days += (notes & NILAI_NOTE_OLD_DAY) != 0;
    counts->saturated += (notes & NILAI_NOTE_SATURATED) != 0;
    counts->tickets_unfollowed += (notes & NILAI_NOTE_UNFOLLOWED) != 0;
}

static enum nilai_status insert(struct nilai_partition *partition, uint64_t hash,
                                struct nilai_text id, uint32_t *number)
{
    enum nilai_status status = nilai_table_insert(partition->table, hash, id, number);
    if (status != NILAI_OK)
        return status;
    if (partition->options.journaled) {
        status = nilai_floors_created(&partition->floors, *number / NILAI_CHUNK_CUSTOMERS,
                                      partition->turn.number);
        if (status != NILAI_OK)
            return status;
    }
    return nilai_timers_reserve(partition->timers, *number + 1);
}

/* An event of long ago under other settings: what was published then stays as it was. Nobody
 * wakes before nilai_partition_thaw. */
static void apply_frozen(struct nilai_partition *partition, const struct nilai_event *event,
                         uint64_t id_hash, struct scratch *scratch)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t notes;
    struct nilai_customer *customer = &scratch->customer;
    struct nilai_standing standing = customer->standing;
    uint32_t seq = customer->seq;
    customer->wake_s = NILAI_NEVER_S;
    (void)nilai_customer_apply(partition->options.model, customer, service_of(scratch), event,
                               id_hash, &notes, changes);
    customer->standing = standing;
    customer->seq = seq;
    customer->wake_s = NILAI_NEVER_S;
    store(partition, scratch);
}

static enum nilai_status apply(struct nilai_partition *partition, const struct nilai_event *event,
                               uint64_t id_hash, struct scratch *scratch,
                               struct nilai_effects *effects)
{
    struct nilai_change changes[NILAI_CHANGES_PER_STEP];
    uint32_t notes;
    if (nilai_customer_needs_service(event)) {
        enum nilai_status status = nilai_table_add_service(partition->table, scratch->number);
        if (status != NILAI_OK)
            return status;
        if (!scratch->has_service)
            nilai_service_init(&scratch->service);
        scratch->has_service = true;
    }
    if (is_frozen(partition)) {
        apply_frozen(partition, event, id_hash, scratch);
        return NILAI_OK;
    }
    uint32_t count = nilai_customer_apply(partition->options.model, &scratch->customer,
                                          service_of(scratch), event, id_hash, &notes, changes);
    store(partition, scratch);
    emit(partition, effects, scratch->number, changes, count, event);
    count_notes(&partition->counts, notes);
    return touch(partition, scratch->number);
}

static void hold_erased_id(struct nilai_partition *partition, struct nilai_text id)
{
    if (!partition->options.feed)
        return;
    NILAI_ASSERT(partition->erased_count < ERASED_MAX && id.size <= NILAI_TEXT_MAX);
    struct erased_id *held = &partition->erased_ids[partition->erased_count++];
    held->size = (uint8_t)id.size;
    memcpy(held->bytes, id.data, id.size);
}

static void emit_erasure(struct nilai_partition *partition, struct nilai_effects *effects,
                         const struct nilai_event *event)
{
    if (!partition->options.journaled)
        return;
    struct nilai_effect *effect = &effects->list[effects->count++];
    effect->erased = true;
    effect->cause_size = 0;
    effect->customer_size = (uint8_t)event->customer.size;
    memcpy(effect->customer, event->customer.data, event->customer.size);
}

static enum nilai_status erase(struct nilai_partition *partition, const struct nilai_event *event,
                               uint32_t number, bool known, struct nilai_effects *effects)
{
    enum nilai_status status =
        nilai_erased_add(partition->erased, event->customer, event->ts_ms, partition->clock_ms);
    if (status != NILAI_OK)
        return status;
    emit_erasure(partition, effects, event);
    if (!known)
        return NILAI_OK;
    hold_erased_id(partition, event->customer);
    if (partition->turn.again != NULL)
        nilai_restore_forget(partition->turn.again->restore, number);
    nilai_touched_remove(&partition->touched, number);
    nilai_timers_cancel(partition->timers, number);
    nilai_table_erase(partition->table, number);
    return NILAI_OK;
}

/* Place of the event at hand within the whole turn. */
static uint32_t place_of(const struct nilai_partition *partition, size_t index)
{
    return partition->turn.first + (uint32_t)index;
}

static bool still_bit(const uint64_t *still, uint32_t place)
{
    return place < NILAI_TURN_EVENTS_MAX && (still[place / 64] >> place % 64 & 1) != 0;
}

/* Whether the event is to be left out. With a record of what happened when the turn was applied for
 * the first time, that is how it happens again: who restores may know of too many erasures, for an
 * image is newer than the turn, or of too few, for those that have expired since are not in it. */
static bool is_ignored(struct nilai_partition *partition, const struct nilai_event *event,
                       uint32_t place, uint64_t id_hash, bool known, uint32_t number)
{
    const struct nilai_again *again = partition->turn.again;
    if (again != NULL
        && nilai_restore_skips(again->restore, partition->turn.number, known, number,
                               event->customer))
        return true;
    if (again != NULL && again->still != NULL)
        return still_bit(again->still, place);
    if (nilai_erased_covers(partition->erased, event->customer, event->ts_ms,
                            partition->clock_ms)) {
        partition->counts.erased_ignored++;
        return true;
    }
    if (known && nilai_customer_has_seen(nilai_table_customer(partition->table, number), id_hash)) {
        partition->counts.duplicates++;
        return true;
    }
    return false;
}

/* Every event that was not ignored moves the clock, for the first time and again: also one that
 * is skipped because an image holds what came of it. */
static void move_clock(struct nilai_partition *partition, const struct nilai_event *event,
                       uint32_t place, bool ignored)
{
    const struct nilai_again *again = partition->turn.again;
    bool stays = again != NULL ? again->still != NULL && still_bit(again->still, place) : ignored;
    if (again != NULL && NILAI_MUTATION(exceptions_move_the_clock))
        stays = false;
    if (stays && place < NILAI_TURN_EVENTS_MAX)
        partition->still[place / 64] |= UINT64_C(1) << place % 64;
    if (!stays && event->ts_ms > partition->clock_ms)
        partition->clock_ms = event->ts_ms;
}

/* An erasure that is left out, because an image holds what came of the customer since, may be
 * newer than the image of remembered erasures: it is remembered all the same, if it was one. Of
 * several the last one stays, in whichever order they come. */
static enum nilai_status remember_again(struct nilai_partition *partition,
                                        const struct nilai_event *event, uint32_t place)
{
    const struct nilai_again *again = partition->turn.again;
    if (again == NULL || event->type != NILAI_ERASE
        || NILAI_MUTATION(skipped_erasures_are_forgotten))
        return NILAI_OK;
    bool void_then = again->still != NULL ? still_bit(again->still, place)
                                          : nilai_erased_covers(partition->erased, event->customer,
                                                                event->ts_ms, partition->clock_ms);
    if (void_then)
        return NILAI_OK;
    return nilai_erased_add(partition->erased, event->customer, event->ts_ms, partition->clock_ms);
}

/* The record of the event's customer. */
static bool find(const struct nilai_partition *partition, size_t index, uint32_t *number)
{
    struct nilai_text id = partition->turn.events[index]->customer;
    *number = partition->likely[index % BATCH];
    return (*number != NOBODY && nilai_table_is(partition->table, *number, id))
           || nilai_table_find(partition->table, partition->hashes[index % BATCH], id, number)
                  == NILAI_OK;
}

/* Applies one event, after the deadlines before it. *complete false: no room for all of it
 * yet; call again with the same event. */
static enum nilai_status process(struct nilai_partition *partition, size_t index,
                                 struct nilai_effects *effects, bool *complete)
{
    struct scratch scratch;
    const struct nilai_event *event = partition->turn.events[index];
    uint64_t hash = partition->hashes[index % BATCH];
    uint64_t id_hash = nilai_hash(event->id.data, event->id.size);
    uint32_t number = 0, place = place_of(partition, index);
    bool known = find(partition, index, &number);
    bool ignored = is_ignored(partition, event, place, id_hash, known, number);
    *complete = true;
    move_clock(partition, event, place, ignored);
    if (ignored)
        return remember_again(partition, event, place);

    if (known) {
        load(partition, number, &scratch);
        enum nilai_status status = fire(partition, &scratch, effects, complete);
        if (status != NILAI_OK || !*complete)
            return status;
    }
    *complete = has_room(effects) && !nilai_partition_touched_full(partition);
    if (!*complete)
        return NILAI_OK;

    partition->counts.events[event->type]++;
    if (event->type == NILAI_ERASE)
        return erase(partition, event, number, known, effects);
    if (!known) {
        enum nilai_status status = insert(partition, hash, event->customer, &number);
        if (status != NILAI_OK)
            return status;
        load(partition, number, &scratch);
    }
    return apply(partition, event, id_hash, &scratch, effects);
}

/* ---- the turn ---- */

void nilai_partition_begin(struct nilai_partition *partition, const struct nilai_turn *turn)
{
    NILAI_ASSERT(partition->done && turn->clock_ms <= NILAI_TIME_MAX_MS);
    NILAI_ASSERT(!partition->options.journaled || turn->number > 0);
    if (turn->first == 0)
        memset(partition->still, 0, sizeof partition->still);
    partition->turn = *turn;
    partition->next = partition->batch_end = 0;
    partition->done = false;
}

/* Hashes the next events and fetches first their index lines, then their records, then what
 * hangs on those: each wave has arrived when the next one needs it. */
static void prefetch_batch(struct nilai_partition *partition)
{
    const struct nilai_table *table = partition->table;
    const struct nilai_turn *turn = &partition->turn;
    size_t from = partition->batch_end;
    size_t count = turn->count - from < BATCH ? turn->count - from : BATCH;
    uint32_t *likely = partition->likely;
    for (size_t i = 0; i < count; i++) {
        partition->hashes[i] = nilai_table_hash(table, turn->events[from + i]->customer);
        nilai_table_prefetch_index(table, partition->hashes[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (!nilai_table_prefetch_record(table, partition->hashes[i], &likely[i]))
            likely[i] = NOBODY;
    for (size_t i = 0; i < count; i++)
        if (likely[i] != NOBODY) {
            nilai_table_prefetch_service(table, likely[i]);
            nilai_timers_prefetch(partition->timers, likely[i]);
        }
    partition->batch_end = from + count;
}

static enum nilai_status step_events(struct nilai_partition *partition, uint32_t *work,
                                     struct nilai_effects *effects, bool *complete)
{
    const struct nilai_turn *turn = &partition->turn;
    for (*complete = true; partition->next < turn->count; partition->next++) {
        *complete = (*work)++ < WORK_MAX;
        if (!*complete)
            return NILAI_OK;
        if (partition->next == partition->batch_end)
            prefetch_batch(partition);
        enum nilai_status status = process(partition, partition->next, effects, complete);
        if (status != NILAI_OK || !*complete)
            return status;
    }
    return NILAI_OK;
}

/* Takes the next due timers out and fetches their records; false: none is due any more. */
static bool take_due(struct nilai_partition *partition)
{
    int64_t now_s = partition->clock_ms / 1000;
    uint32_t count = 0;
    enum nilai_status status = NILAI_OK;
    while (count < BATCH
           && (status = nilai_timers_pop_due(partition->timers, now_s, &partition->due[count]))
                  == NILAI_OK)
        nilai_table_prefetch_number(partition->table, partition->due[count++]);
    for (uint32_t i = 0; i < count; i++)
        nilai_table_prefetch_service(partition->table, partition->due[i]);
    partition->due_next = 0;
    partition->due_count = count;
    return count > 0 || status == NILAI_BUSY;
}

/* One record whose timer was due. *complete false: no room for all of it; look at it again. */
static enum nilai_status wake(struct nilai_partition *partition, uint32_t number,
                              struct nilai_effects *effects, bool *complete)
{
    struct scratch scratch;
    load(partition, number, &scratch);
    enum nilai_status status = fire(partition, &scratch, effects, complete);
    if (status != NILAI_OK || !*complete)
        return status;
    /* The timer may have been an early one, so that nothing was stored and armed. */
    arm(partition, number, scratch.customer.wake_s);
    partition->counts.wakes++;
    return NILAI_OK;
}

static enum nilai_status step_timers(struct nilai_partition *partition, uint32_t *work,
                                     struct nilai_effects *effects, bool *complete)
{
    *complete = true;
    while (partition->due_next < partition->due_count || take_due(partition)) {
        *complete = (*work)++ < WORK_MAX;
        if (!*complete)
            return NILAI_OK;
        if (partition->due_next == partition->due_count)
            continue; /* timers were moved, that is all */
        enum nilai_status status =
            wake(partition, partition->due[partition->due_next], effects, complete);
        if (status != NILAI_OK || !*complete)
            return status;
        partition->due_next++;
    }
    return NILAI_OK;
}

enum nilai_status nilai_partition_step(struct nilai_partition *partition,
                                       struct nilai_effects *effects, bool *done)
{
    NILAI_ASSERT(!partition->done);
    uint32_t work = 0;
    effects->count = 0;
    *done = false;
    enum nilai_status status = step_events(partition, &work, effects, done);
    if (status != NILAI_OK || !*done)
        return status;

    if (partition->turn.clock_ms > partition->clock_ms)
        partition->clock_ms = partition->turn.clock_ms;
    if (partition->clock_ms >= 0 && !is_frozen(partition))
        status = step_timers(partition, &work, effects, done);
    partition->done = *done;
    return status;
}

/* ---- being filled from images ---- */

enum nilai_status nilai_partition_load(struct nilai_partition *partition, uint32_t number,
                                       struct nilai_text id, const struct nilai_customer *customer,
                                       const struct nilai_service *service)
{
    enum nilai_status status = nilai_timers_reserve(partition->timers, number + 1);
    if (status != NILAI_OK)
        return status;
    return nilai_table_restore(partition->table, number, nilai_table_hash(partition->table, id), id,
                               customer, service);
}

void nilai_partition_unload(struct nilai_partition *partition, uint32_t number)
{
    nilai_table_erase(partition->table, number);
}

enum nilai_status nilai_partition_load_erasure(struct nilai_partition *partition,
                                               struct nilai_hash_wide hash, int64_t ts_ms,
                                               int64_t at_ms)
{
    return nilai_erased_load(partition->erased, hash, ts_ms, at_ms, at_ms);
}

static void arm_everybody(struct nilai_partition *partition)
{
    uint32_t numbers = nilai_table_numbers(partition->table);
    for (uint32_t number = 0; number < numbers; number++) {
        if (!nilai_table_is_live(partition->table, number))
            continue;
        int64_t wake_s = nilai_table_customer(partition->table, number)->wake_s;
        if (wake_s != NILAI_NEVER_S)
            nilai_timers_arm(partition->timers, number, wake_s);
    }
}

void nilai_partition_loaded(struct nilai_partition *partition, int64_t clock_ms)
{
    partition->clock_ms = clock_ms;
    nilai_table_restored(partition->table);
    arm_everybody(partition);
}

static void restamp(struct nilai_partition *partition, struct scratch *scratch, int64_t wake_s)
{
    scratch->customer.wake_s = wake_s <= NILAI_TIME_MAX_MS / 1000 ? wake_s : NILAI_NEVER_S;
    store(partition, scratch);
}

void nilai_partition_adopt(struct nilai_partition *partition, uint32_t number, uint32_t seq,
                           struct nilai_standing standing)
{
    struct scratch scratch;
    load(partition, number, &scratch);
    if (!scratch.customer.rhythm.bought)
        return; /* who never bought was never published: the mark is wrong */
    scratch.customer.seq = seq;
    scratch.customer.standing = standing;
    if (!is_frozen(partition))
        restamp(partition, &scratch, scratch.customer.current_ms / 1000 + 1);
    else
        store(partition, &scratch);
}

/* Who was published about is compared with what the settings say now. */
static void thaw(struct nilai_partition *partition, uint32_t number)
{
    struct scratch scratch;
    load(partition, number, &scratch);
    bool waits = scratch.customer.standing.segment != NILAI_SEGMENT_NONE;
    int64_t next_s = partition->clock_ms / 1000 + 1, own_s = scratch.customer.current_ms / 1000 + 1;
    restamp(partition, &scratch, !waits ? NILAI_NEVER_S : next_s > own_s ? next_s : own_s);
}

void nilai_partition_thaw(struct nilai_partition *partition, const struct nilai_restore *restore,
                          uint64_t turn)
{
    uint32_t numbers = nilai_table_numbers(partition->table);
    for (uint32_t number = 0; number < numbers; number++) {
        if (nilai_table_is_live(partition->table, number)
            && !nilai_restore_holds(restore, turn, number))
            thaw(partition, number);
    }
}

/* ---- looking in ---- */

const uint64_t *nilai_partition_still(const struct nilai_partition *partition)
{
    return partition->still;
}

struct nilai_floors *nilai_partition_floors(struct nilai_partition *partition)
{
    return &partition->floors;
}

const struct nilai_model *nilai_partition_model(const struct nilai_partition *partition)
{
    return partition->options.model;
}

const struct nilai_erased *nilai_partition_erased(const struct nilai_partition *partition)
{
    return partition->erased;
}

int64_t nilai_partition_clock_ms(const struct nilai_partition *partition)
{
    return partition->clock_ms;
}

int64_t nilai_partition_next_ms(const struct nilai_partition *partition)
{
    int64_t next_s = nilai_timers_next_s(partition->timers);
    return next_s > NILAI_TIME_MAX_MS / 1000 ? INT64_MAX : next_s * 1000;
}

uint64_t nilai_partition_memory_bytes(const struct nilai_partition *partition)
{
    struct nilai_table_stats stats;
    nilai_table_stats(partition->table, &stats);
    return stats.memory_bytes + nilai_timers_memory_bytes(partition->timers)
           + nilai_erased_memory_bytes(partition->erased) + partition->touched.numbers / 8;
}

const struct nilai_table *nilai_partition_table(const struct nilai_partition *partition)
{
    return partition->table;
}

void nilai_partition_read_counts(const struct nilai_partition *partition,
                                 struct nilai_partition_counts *counts)
{
    *counts = partition->counts;
}

bool nilai_partition_touched_full(const struct nilai_partition *partition)
{
    return partition->options.feed && partition->erased_count == ERASED_MAX;
}

static bool is_known(const struct nilai_partition *partition, struct nilai_text id)
{
    uint32_t number;
    return nilai_table_find(partition->table, nilai_table_hash(partition->table, id), id, &number)
           == NILAI_OK;
}

static bool take_erased(struct nilai_partition *partition, nilai_touched_fn visit, void *context)
{
    uint32_t told = 0;
    for (; told < partition->erased_count; told++) {
        struct nilai_text id = {partition->erased_ids[told].bytes,
                                partition->erased_ids[told].size};
        if (!is_known(partition, id) /* who came back is among the touched */
            && !visit(context, id, NULL, NULL))
            break;
    }
    partition->erased_count -= told;
    memmove(partition->erased_ids, partition->erased_ids + told,
            partition->erased_count * sizeof *partition->erased_ids);
    return partition->erased_count == 0;
}

void nilai_partition_take_touched(struct nilai_partition *partition, nilai_touched_fn visit,
                                  void *context)
{
    NILAI_ASSERT(partition->options.feed);
    uint32_t from = 0, number;
    bool more = take_erased(partition, visit, context);
    while (more && nilai_touched_take(&partition->touched, &from, &number)) {
        struct nilai_service service;
        bool has_service = nilai_table_service(partition->table, number, &service);
        more = visit(context, nilai_table_id(partition->table, number),
                     nilai_table_customer(partition->table, number), has_service ? &service : NULL);
        if (!more) {
            enum nilai_status kept = nilai_touched_add(&partition->touched, number);
            NILAI_ASSERT(kept == NILAI_OK); /* it had its place */
        }
    }
}
