/*
 * partition.h - one state partition: turns in, changes out.
 *
 * A turn is a bounded batch of good events, merged by event time, and the clock after it.
 * Everything a partition publishes is a pure function of its turns, and per customer not even
 * of where one turn ends and the next begins. The caller works a turn off in steps, each of
 * which fills an array of bounded size:
 *
 *     nilai_partition_begin(partition, &turn);
 *     for (bool done = false; !done;) {
 *         status = nilai_partition_step(partition, &effects, &done);
 *         ... send the effects, of which there may be none yet, wait for room ...
 *     }
 *
 * Thread: one writer; nilai_table_read on nilai_partition_table from any thread.
 */
#ifndef NILAI_STATE_PARTITION_H
#define NILAI_STATE_PARTITION_H

#include "nilai/state/erased.h"
#include "nilai/state/floors.h"
#include "nilai/state/table.h"

struct nilai_partition;

struct nilai_partition_options {
    const struct nilai_model *model; /* prepared; outlives the partition */
    struct nilai_table_limits limits;
    int64_t erase_remember_ms;
    bool feed;      /* keep the list of touched customers for nilai_partition_take_touched */
    bool journaled; /* tell of erasures among the effects, and keep the chunks' floors */
};

enum { NILAI_TURN_EVENTS_MAX = 512 };

struct nilai_restore;

/* A turn that is applied again, from a journal. */
struct nilai_again {
    struct nilai_restore *restore; /* knows which customers hold the turn already */
    const uint64_t *still; /* as nilai_partition_still said then; NULL: it was not recorded */
    bool frozen; /* the settings are others now: what is published stays as the marks say */
};

/* The events stay borrowed until the turn is done; their texts too. A turn may be worked off in
 * pieces: events in order, each piece with the same number, `first` going on. */
struct nilai_turn {
    const struct nilai_event *const *events;
    size_t count;
    int64_t clock_ms; /* the clock is at least here after the turn; -1: the events alone move it */
    uint64_t number;  /* of the turn in the journal; 0 without one */
    uint32_t first;   /* place of events[0] in the whole turn */
    const struct nilai_again *again; /* NULL: for the first time */
};

/* One published change with its customer and cause, self-contained. */
struct nilai_effect {
    struct nilai_change change;
    bool erased;   /* no change, but an erasure of `customer` (with options.journaled) */
    bool by_event; /* else by the timer */
    struct nilai_origin origin;
    uint8_t customer_size, cause_size;
    char customer[NILAI_TEXT_MAX];
    char cause[NILAI_TEXT_MAX]; /* id of the event */
};

enum { NILAI_EFFECTS_MAX = 1024 };

struct nilai_effects {
    uint32_t count;
    struct nilai_effect list[NILAI_EFFECTS_MAX];
};

/* Running totals; only grow. */
struct nilai_partition_counts {
    uint64_t events[NILAI_EVENT_TYPES]; /* applied */
    uint64_t duplicates, erased_ignored, late, old_days, saturated, tickets_unfollowed;
    uint64_t changes_band, changes_value, changes_by_timer;
    uint64_t wakes; /* timers looked at */
};

struct nilai_partition *nilai_partition_create(const struct nilai_partition_options *options);
void nilai_partition_destroy(struct nilai_partition *partition);

/* The turn before must be done. */
void nilai_partition_begin(struct nilai_partition *partition, const struct nilai_turn *turn);

/* Empties `effects`, works until it is full, the turn is done (*done), or some hundred events
 * and timers were looked at: a step is a millisecond, and may bring nothing.
 * NILAI_FULL: state.memory_max is reached, NILAI_NO_MEMORY: the system's memory is;
 * nothing of the event at hand was applied, the partition can only be destroyed. */
NILAI_MUST_CHECK enum nilai_status nilai_partition_step(struct nilai_partition *partition,
                                                        struct nilai_effects *effects, bool *done);

/* Of the turn at hand, or the last one: bit i is set if event i (less than NILAI_TURN_EVENTS_MAX)
 * was ignored: seen before, or of the time before an erasure; it did not move the clock either.
 * Rare; who applies the turn again without knowing all that was known then cannot find out by
 * himself. */
const uint64_t *nilai_partition_still(const struct nilai_partition *partition);

/* The largest ts applied, or the turn's clock; -1 before the first. */
int64_t nilai_partition_clock_ms(const struct nilai_partition *partition);

/* A lower bound of the next time at which a deadline may fire without an event, ms;
 * INT64_MAX: none. */
int64_t nilai_partition_next_ms(const struct nilai_partition *partition);

/* All that is allocated for customers: records, index, timers, erasures. */
uint64_t nilai_partition_memory_bytes(const struct nilai_partition *partition);

const struct nilai_table *nilai_partition_table(const struct nilai_partition *partition);
struct nilai_floors *nilai_partition_floors(struct nilai_partition *partition);

/* For restore.c: a customer or a remembered erasure as an image holds it; the place (number) must
 * be free, the customer not known. `unload` takes one back. Then, once, `loaded`: the clock as it
 * was (-1: never set), and timers for everybody. Before it no turn begins. */
NILAI_MUST_CHECK enum nilai_status nilai_partition_load(struct nilai_partition *partition,
                                                        uint32_t number, struct nilai_text id,
                                                        const struct nilai_customer *customer,
                                                        const struct nilai_service *service);
NILAI_MUST_CHECK enum nilai_status nilai_partition_load_erasure(struct nilai_partition *partition,
                                                                struct nilai_hash_wide hash,
                                                                int64_t ts_ms, int64_t at_ms);
void nilai_partition_unload(struct nilai_partition *partition, uint32_t number);
void nilai_partition_loaded(struct nilai_partition *partition, int64_t clock_ms);
/* Puts a standing back to what was published. */
void nilai_partition_adopt(struct nilai_partition *partition, uint32_t number, uint32_t seq,
                           struct nilai_standing standing);
/* After turns that were applied frozen, before `turn`: everybody is looked at in the second after
 * the clock, but for those who come from an image of that turn or a later one: it was made after
 * they had been looked at. */
void nilai_partition_thaw(struct nilai_partition *partition, const struct nilai_restore *restore,
                          uint64_t turn);

/* For image.c. */
const struct nilai_model *nilai_partition_model(const struct nilai_partition *partition);
const struct nilai_erased *nilai_partition_erased(const struct nilai_partition *partition);
void nilai_partition_read_counts(const struct nilai_partition *partition,
                                 struct nilai_partition_counts *counts);

/* Calls `visit` once for each customer touched since the last call (with options.feed):
 * with its record, or with NULL when it was erased. When it answers false, that customer and
 * the rest are left for the next call. */
typedef bool (*nilai_touched_fn)(void *context, struct nilai_text id,
                                 const struct nilai_customer *customer,
                                 const struct nilai_service *service);
void nilai_partition_take_touched(struct nilai_partition *partition, nilai_touched_fn visit,
                                  void *context);

/* The ids of erased customers are held until they are taken, and there is room for a bounded
 * number: when this is true, nilai_partition_step does not go on until they were. */
bool nilai_partition_touched_full(const struct nilai_partition *partition);

#endif
