#include "nilai/state/restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/hash.h"
#include "nilai/base/mutation.h"
#include "nilai/state/image.h"

enum {
    WRITERS_MAX = 65536, /* in one log, which is as long as a round or two */
    CUTS_MAX = 64,       /* times that reading begins again */
    DROP_MIN = 64,       /* segments */
};

/* The items of one part, copied: turns from `first` on. */
struct segment {
    uint64_t first, last; /* last < first: no turn ends in it */
    uint64_t settings;
    struct nilai_point before;
    unsigned char *items;
    size_t size;
};

struct segments {
    struct segment *list;
    size_t count, room;
};

/* Who has written, and from which turn on, following whom. */
struct writer {
    uint64_t id, parent, first;
    bool over; /* somebody else has begun after him */
};

/* What that writer wrote of turns from `first` on does not count, nor floors beyond `floor`. */
struct cut {
    uint64_t id, first, floor;
    uint64_t heir; /* who went on from before it */
    bool for_good; /* there is no heir: the committed position says so */
};

struct erasure {
    struct nilai_hash_wide hash;
    uint64_t turn;
};

struct mark {
    struct nilai_text customer; /* in a segment */
    bool erased;
    uint32_t seq;
    struct nilai_standing standing;
};

struct nilai_restore {
    struct nilai_restore_options options;
    struct nilai_restored result;

    /* Reading. */
    struct segments segments; /* of closed commits, after the floor */
    struct segments open;     /* of the commit that is not closed yet */
    size_t drop_at;           /* how many segments are looked at again */
    uint64_t open_writer; /* whose commit that is, or may become; result.writer closed the last */
    uint64_t open_turn;   /* the last turn of those */
    struct nilai_point open_point;
    uint32_t open_index; /* of the next part */
    bool differs;        /* some part was made under other settings */
    struct writer *writers;
    size_t writer_count, writer_room;
    struct cut cuts[CUTS_MAX]; /* outlive begin_again */
    size_t cut_count;
    struct erasure *erasures; /* sorted by finish */
    size_t erasure_count, erasure_room;
    size_t erasures_closed; /* of closed commits */
    bool closed;            /* some commit was */

    /* Who came from an image, and of which turn it was. */
    uint64_t *held; /* bits by number */
    uint64_t *chunk_turns;
    uint32_t chunk_room;

    /* Applying again. */
    size_t next_segment;
    struct nilai_part_reader reader;
    bool reading, base_told, chilled, frozen;
    uint64_t number;          /* of the turn at hand */
    struct nilai_point point; /* after the last one told */
    uint64_t still[NILAI_TURN_EVENTS_MAX / 64];
    struct mark *marks;
    size_t mark_count, mark_room;
    uint32_t *changed; /* numbers of customers that the turn at hand changed */
    size_t changed_count, changed_room;
    uint32_t *stamps; /* by number: the turn, as counted here, in which a mark was seen */
    uint32_t stamp, stamp_room;
    uint64_t differences;
};

/* Grows a list so that one more fits. */
static bool make_room(void **list, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room > 0 ? 2 * *room : 16;
    void *grown = reallocarray(*list, more, size);
    if (grown == NULL)
        return false;
    *list = grown;
    *room = more;
    return true;
}

#define MAKE_ROOM(list, room, count) make_room((void **)&(list), &(room), (count), sizeof *(list))

static void segments_clear(struct segments *segments)
{
    for (size_t index = 0; index < segments->count; index++)
        free(segments->list[index].items);
    segments->count = 0;
}

static void segments_fini(struct segments *segments)
{
    segments_clear(segments);
    free(segments->list);
}

struct nilai_restore *nilai_restore_create(const struct nilai_restore_options *options)
{
    struct nilai_restore *restore = calloc(1, sizeof *restore);
    if (restore == NULL)
        return NULL;
    restore->options = *options;
    return restore;
}

void nilai_restore_destroy(struct nilai_restore *restore)
{
    if (restore == NULL)
        return;
    segments_fini(&restore->segments);
    segments_fini(&restore->open);
    free(restore->writers);
    free(restore->erasures);
    free(restore->held);
    free(restore->chunk_turns);
    free(restore->marks);
    free(restore->changed);
    free(restore->stamps);
    free(restore);
}

void nilai_restore_begin_again(struct nilai_restore *restore, struct nilai_partition *state)
{
    restore->options.state = state;
    restore->result = (struct nilai_restored){0};
    segments_clear(&restore->segments);
    segments_clear(&restore->open);
    restore->open_turn = 0;
    restore->open_index = 0;
    restore->open_writer = 0;
    restore->differs = false;
    restore->writer_count = 0;
    restore->erasure_count = restore->erasures_closed = 0;
    restore->closed = false;
    if (restore->chunk_room > 0)
        memset(restore->held, 0, restore->chunk_room * (NILAI_CHUNK_CUSTOMERS / 8));
}

static enum nilai_status no_memory(struct nilai_error *error)
{
    return nilai_error_set(error, NILAI_NO_MEMORY, "out of memory");
}

static enum nilai_status damaged(struct nilai_error *error, const char *what)
{
    return nilai_error_set(error, NILAI_INVALID, "%s", what);
}

/* ---- writers ---- */

static const struct writer *find_writer(const struct writer *list, size_t count, uint64_t id)
{
    for (size_t index = count; index > 0; index--) {
        if (list[index - 1].id == id)
            return &list[index - 1];
    }
    return NULL;
}

static enum nilai_status note_writer(struct nilai_restore *restore, uint64_t id,
                                     const struct nilai_part_head *part, struct nilai_error *error)
{
    if (find_writer(restore->writers, restore->writer_count, id) != NULL)
        return NILAI_OK;
    if (restore->writer_count == WRITERS_MAX)
        return damaged(error, "too many writers");
    if (!MAKE_ROOM(restore->writers, restore->writer_room, restore->writer_count))
        return no_memory(error);
    restore->writers[restore->writer_count++] =
        (struct writer){.id = id, .parent = part->parent, .first = part->first};
    return NILAI_OK;
}

/* Whether `id` is `ancestor` or went on from it, through whomever. */
static bool descends(const struct nilai_restore *restore, uint64_t id, uint64_t ancestor)
{
    for (size_t steps = 0; steps <= restore->writer_count; steps++) {
        if (id == ancestor)
            return true;
        const struct writer *writer = find_writer(restore->writers, restore->writer_count, id);
        if (writer == NULL)
            return false;
        id = writer->parent;
    }
    return false;
}

static enum nilai_status cut(struct nilai_restore *restore, const struct cut *cut,
                             struct nilai_error *error)
{
    if (restore->cut_count == CUTS_MAX)
        return damaged(error, "its writers contradict each other");
    restore->cuts[restore->cut_count++] = *cut;
    return NILAI_AGAIN;
}

/* The heir does not count himself: what was cut off for his sake does again. */
static void disinherit(struct nilai_restore *restore, uint64_t heir)
{
    size_t kept = 0;
    for (size_t index = 0; index < restore->cut_count; index++) {
        if (restore->cuts[index].for_good || restore->cuts[index].heir != heir)
            restore->cuts[kept++] = restore->cuts[index];
    }
    restore->cut_count = kept;
}

/* Of a commit of the open writer. */
static uint64_t cut_floor(const struct nilai_restore *restore, uint64_t floor)
{
    for (size_t index = 0; index < restore->cut_count; index++) {
        const struct cut *cut = &restore->cuts[index];
        if (cut->id == restore->open_writer && floor > cut->floor)
            floor = cut->floor;
    }
    return floor;
}

static bool is_cut(const struct nilai_restore *restore, uint64_t id, uint64_t turn)
{
    for (size_t index = 0; index < restore->cut_count; index++) {
        if (restore->cuts[index].id == id && turn >= restore->cuts[index].first)
            return true;
    }
    return false;
}

/* The last writer and the committed one are on different branches: the committed one's counts. Each
 * time one cut more is for good, so this comes to an end. */
static enum nilai_status cut_branch(struct nilai_restore *restore, struct nilai_error *error)
{
    uint64_t id = restore->result.writer;
    const struct writer *writer;
    enum nilai_status status = NILAI_AGAIN;
    bool any = false;
    while (status == NILAI_AGAIN && !descends(restore, restore->options.committed, id)
           && (writer = find_writer(restore->writers, restore->writer_count, id)) != NULL) {
        disinherit(restore, id);
        status =
            cut(restore, &(struct cut){.id = id, .floor = UINT64_MAX, .for_good = true}, error);
        id = writer->parent;
        any = true;
    }
    /* To begin again for nothing would never end. */
    if (status == NILAI_AGAIN && !any)
        return damaged(error, "its writers contradict each other");
    return status;
}

/* ---- parts ---- */

static void drop_open(struct nilai_restore *restore)
{
    segments_clear(&restore->open);
    restore->erasure_count = restore->erasures_closed;
    restore->open_index = 0;
    restore->open_turn = restore->result.turn;
    restore->open_point = restore->result.end;
}

static void start_history(struct nilai_restore *restore, uint64_t writer,
                          const struct nilai_part_head *part)
{
    restore->result.found = true;
    restore->result.writer = part->parent;
    restore->open_writer = writer;
    restore->result.turn = part->first - 1;
    restore->result.end = part->before;
    drop_open(restore);
    restore->open_index = part->index; /* the head of the log may have been cut amid a commit */
}

static bool same_offsets(const struct nilai_restore *restore, const struct nilai_point *a,
                         const struct nilai_point *b)
{
    return memcmp(a->offsets, b->offsets, restore->options.topic_count * sizeof a->offsets[0]) == 0
           && a->clock_ms == b->clock_ms;
}

/* The last turn that ends in a part or, if none does, before it. Images may come without turns: a
 * cut from the next turn on leaves such a commit, which whoever goes on from there may have
 * read. */
static uint64_t last_turn(struct nilai_part_reader reader)
{
    struct nilai_part_item item;
    uint64_t last = reader.head.first - 1;
    while (nilai_part_next(&reader, &item) == NILAI_OK && item.kind != NILAI_ITEM_CLOSE
           && item.kind != NILAI_ITEM_MORE)
        last += item.kind == NILAI_ITEM_TURN;
    return last;
}

/* From now on what the writer before still writes does not count. */
static void switch_writer(struct nilai_restore *restore, uint64_t writer)
{
    for (size_t index = 0; index < restore->writer_count; index++)
        restore->writers[index].over |= restore->writers[index].id == restore->open_writer;
    restore->open_writer = writer;
    drop_open(restore);
}

/* Somebody other than before begins. NILAI_MISSING: it was replaced already, or is a sibling of who
 * was there first (see finish). */
static enum nilai_status take_over(struct nilai_restore *restore, uint64_t writer,
                                   const struct nilai_part_head *part, struct nilai_error *error)
{
    struct nilai_restored *result = &restore->result;
    if (find_writer(restore->writers, restore->writer_count, writer)->over)
        return NILAI_MISSING;
    if (!restore->closed) { /* what is at the head and was never closed is nobody's parent */
        switch_writer(restore, writer);
        start_history(restore, writer, part);
        return NILAI_OK;
    }
    if (part->parent != result->writer && !NILAI_MUTATION(anybody_follows))
        return NILAI_MISSING;
    /* The parent wrote on after this one had read; or what it wrote before is gone, and what is
     * there of it came too late: then this one's own beginning is gone, too, and it may by chance
     * go on after as many turns, but not from the same place. */
    if (part->first != result->turn + 1 || !same_offsets(restore, &part->before, &result->end))
        return cut(restore,
                   &(struct cut){.id = result->writer,
                                 .first = part->first <= result->turn ? part->first : 0,
                                 .floor = UINT64_MAX,
                                 .heir = writer},
                   error);
    switch_writer(restore, writer);
    return NILAI_OK;
}

/* Decides what a part of that writer is in the history; `last`: see above. NILAI_MISSING:
 * nothing. */
static enum nilai_status place_part(struct nilai_restore *restore, uint64_t writer,
                                    const struct nilai_part_head *part, uint64_t last,
                                    struct nilai_error *error)
{
    enum nilai_status status = NILAI_OK;
    if (is_cut(restore, writer, last))
        return NILAI_MISSING;
    if (!restore->result.found)
        start_history(restore, writer, part);
    else if (writer != restore->open_writer)
        status = take_over(restore, writer, part, error);
    if (status != NILAI_OK)
        return status;
    if (part->first != restore->open_turn + 1 || part->index != restore->open_index
        || !same_offsets(restore, &part->before, &restore->open_point))
        return damaged(error, "turns are missing before it");
    return NILAI_OK;
}

static enum nilai_status note_erasure(struct nilai_restore *restore, struct nilai_text customer,
                                      uint64_t turn)
{
    if (!MAKE_ROOM(restore->erasures, restore->erasure_room, restore->erasure_count))
        return NILAI_NO_MEMORY;
    restore->erasures[restore->erasure_count++] =
        (struct erasure){.hash = nilai_hash_wide(customer.data, customer.size), .turn = turn};
    return NILAI_OK;
}

/* Turns and erasures of a part; *closed: it ends its commit. */
static enum nilai_status scan_part(struct nilai_restore *restore, struct nilai_part_reader reader,
                                   bool *closed, struct nilai_part_item *last)
{
    enum nilai_status status;
    while ((status = nilai_part_next(&reader, last)) == NILAI_OK) {
        if (last->kind == NILAI_ITEM_CLOSE || last->kind == NILAI_ITEM_MORE)
            break;
        if (last->kind == NILAI_ITEM_TURN) {
            restore->open_turn++;
            restore->open_point = last->point;
        } else if (last->kind == NILAI_ITEM_ERASED && !NILAI_MUTATION(erasures_are_not_noted)) {
            status = note_erasure(restore, last->customer, restore->open_turn + 1);
            if (status != NILAI_OK)
                return status;
        }
    }
    *closed = last->kind == NILAI_ITEM_CLOSE;
    return status;
}

static enum nilai_status keep_segment(struct nilai_restore *restore,
                                      const struct nilai_part_reader *reader)
{
    struct segments *open = &restore->open;
    if (!MAKE_ROOM(open->list, open->room, open->count))
        return NILAI_NO_MEMORY;
    struct segment *segment = &open->list[open->count];
    *segment = (struct segment){.first = reader->head.first,
                                .settings = reader->head.settings,
                                .before = reader->head.before,
                                .size = (size_t)(reader->body.end - reader->body.at)};
    segment->items = malloc(segment->size);
    if (segment->items == NULL)
        return NILAI_NO_MEMORY;
    memcpy(segment->items, reader->body.at, segment->size);
    open->count++;
    return NILAI_OK;
}

/* What no later restore needs either. Behind the last turn that ends in a part there may be marks
 * of the next one: where the floor ends, the turn after it may have begun. */
static void drop_up_to(struct segments *segments, uint64_t floor)
{
    size_t dropped = 0;
    while (dropped < segments->count && segments->list[dropped].last < floor)
        free(segments->list[dropped++].items);
    if (dropped == 0)
        return;
    segments->count -= dropped;
    memmove(segments->list, segments->list + dropped, segments->count * sizeof *segments->list);
}

/* The floor goes back: the parent went on writing images after this one had read. They are of a
 * turn that both know, and are good; but this one counts on the images that it has read, or will
 * write. */
static enum nilai_status lower_floor(struct nilai_restore *restore, uint64_t floor,
                                     struct nilai_error *error)
{
    if (restore->open_writer == restore->result.writer)
        return damaged(error, "its floor cannot be");
    return cut(restore,
               &(struct cut){.id = restore->result.writer,
                             .first = UINT64_MAX,
                             .floor = floor,
                             .heir = restore->open_writer},
               error);
}

static enum nilai_status close_commit(struct nilai_restore *restore,
                                      const struct nilai_part_item *close,
                                      struct nilai_error *error)
{
    struct segments *open = &restore->open, *kept = &restore->segments;
    uint64_t floor = cut_floor(restore, close->floor);
    if (close->floor > restore->open_turn)
        return damaged(error, "its floor cannot be");
    if (floor < restore->result.floor)
        return lower_floor(restore, floor, error);
    for (size_t index = 0; index < open->count; index++) {
        if (!MAKE_ROOM(kept->list, kept->room, kept->count))
            return no_memory(error);
        kept->list[kept->count++] = open->list[index];
        open->list[index].items = NULL;
    }
    open->count = 0;
    restore->closed = true;
    restore->result.writer = restore->open_writer;
    restore->erasures_closed = restore->erasure_count;
    restore->open_index = 0;
    restore->result.turn = restore->open_turn;
    restore->result.end = restore->open_point;
    restore->result.floor = floor;
    restore->result.base = close->base;
    /* The floor moves with nearly every commit; not each time is the whole list. */
    if (kept->count >= restore->drop_at) {
        drop_up_to(kept, floor);
        restore->drop_at = 2 * kept->count + DROP_MIN;
    }
    return NILAI_OK;
}

static enum nilai_status take_part(struct nilai_restore *restore, uint64_t writer,
                                   struct nilai_wire body, struct nilai_error *error)
{
    struct nilai_part_reader reader;
    struct nilai_part_item last = {0};
    bool closed;
    if (nilai_part_open(&reader, body) != NILAI_OK
        || reader.head.topic_count != restore->options.topic_count)
        return damaged(error, "a part that cannot be read");
    enum nilai_status status = note_writer(restore, writer, &reader.head, error);
    if (status == NILAI_OK)
        status = place_part(restore, writer, &reader.head,
                            restore->cut_count > 0 ? last_turn(reader) : 0, error);
    if (status != NILAI_OK)
        return status == NILAI_MISSING ? NILAI_OK : status;

    if (keep_segment(restore, &reader) != NILAI_OK)
        return no_memory(error);
    status = scan_part(restore, reader, &closed, &last);
    if (status != NILAI_OK)
        return status == NILAI_NO_MEMORY ? no_memory(error)
                                         : damaged(error, "a part that cannot be read");
    restore->open.list[restore->open.count - 1].last = restore->open_turn;
    restore->open_index++;
    restore->differs |= reader.head.settings != restore->options.settings;
    return closed ? close_commit(restore, &last, error) : NILAI_OK;
}

/* ---- images ---- */

static bool is_held(const struct nilai_restore *restore, uint32_t number)
{
    uint32_t chunk = number / NILAI_CHUNK_CUSTOMERS;
    return chunk < restore->chunk_room && (restore->held[number / 64] >> number % 64 & 1) != 0;
}

static enum nilai_status need_chunk(struct nilai_restore *restore, uint32_t chunk)
{
    enum { WORDS = NILAI_CHUNK_CUSTOMERS / 64 };
    uint32_t room = restore->chunk_room > 0 ? restore->chunk_room : 64;
    while (room <= chunk)
        room *= 2;
    if (room == restore->chunk_room)
        return NILAI_OK;
    uint64_t *held = reallocarray(restore->held, room, WORDS * sizeof *held);
    if (held != NULL)
        restore->held = held;
    uint64_t *turns = reallocarray(restore->chunk_turns, room, sizeof *turns);
    if (turns != NULL)
        restore->chunk_turns = turns;
    if (held == NULL || turns == NULL)
        return NILAI_NO_MEMORY;
    uint32_t old = restore->chunk_room;
    memset(held + (size_t)old * WORDS, 0, (size_t)(room - old) * WORDS * sizeof *held);
    memset(turns + old, 0, (room - old) * sizeof *turns);
    restore->chunk_room = room;
    return NILAI_OK;
}

static void unload(struct nilai_restore *restore, uint32_t number)
{
    nilai_restore_forget(restore, number);
    nilai_partition_unload(restore->options.state, number);
}

/* What an older image held of the chunk. */
static void empty_chunk(struct nilai_restore *restore, uint32_t chunk)
{
    uint32_t first = chunk * NILAI_CHUNK_CUSTOMERS;
    for (uint32_t number = first; number < first + NILAI_CHUNK_CUSTOMERS; number++) {
        if (is_held(restore, number))
            unload(restore, number);
    }
}

static enum nilai_status load_customer(struct nilai_restore *restore,
                                       const struct nilai_image_customer *loaded)
{
    const struct nilai_table *table = nilai_partition_table(restore->options.state);
    uint32_t other;
    if (is_held(restore, loaded->number))
        return NILAI_INVALID;
    /* Of two images of one customer, the newer counts: that is this one. */
    if (nilai_table_find(table, nilai_table_hash(table, loaded->id), loaded->id, &other)
        == NILAI_OK) {
        if (NILAI_MUTATION(older_image_wins))
            return NILAI_OK;
        unload(restore, other);
    }
    enum nilai_status status =
        nilai_partition_load(restore->options.state, loaded->number, loaded->id, &loaded->customer,
                             loaded->has_service ? &loaded->service : NULL);
    if (status == NILAI_OK)
        restore->held[loaded->number / 64] |= UINT64_C(1) << loaded->number % 64;
    return status;
}

/* A chunk from nowhere would have lists of all chunks before it made. */
static bool fits(const struct nilai_restore *restore, uint32_t chunk)
{
    const struct nilai_table *table = nilai_partition_table(restore->options.state);
    return chunk < nilai_table_numbers_max(table) / NILAI_CHUNK_CUSTOMERS;
}

static enum nilai_status load_chunk(struct nilai_restore *restore, struct nilai_image *image)
{
    struct nilai_image_customer customer;
    const struct nilai_model *model = nilai_partition_model(restore->options.state);
    enum nilai_status status =
        fits(restore, image->part) ? need_chunk(restore, image->part) : NILAI_FULL;
    if (status == NILAI_OK)
        status = nilai_floors_imaged(nilai_partition_floors(restore->options.state), image->part,
                                     image->turn);
    if (status != NILAI_OK)
        return status;
    empty_chunk(restore, image->part);
    restore->chunk_turns[image->part] = image->turn;
    while ((status = nilai_image_next_customer(image, model, &customer)) == NILAI_OK) {
        status = load_customer(restore, &customer);
        if (status != NILAI_OK)
            return status;
    }
    return status == NILAI_MISSING ? NILAI_OK : status;
}

static enum nilai_status load_erasures(struct nilai_restore *restore, struct nilai_image *image)
{
    struct nilai_image_erasure erasure;
    enum nilai_status status;
    while ((status = nilai_image_next_erasure(image, &erasure)) == NILAI_OK
           && !NILAI_MUTATION(erasures_are_not_loaded)) {
        status = nilai_partition_load_erasure(restore->options.state, erasure.hash, erasure.ts_ms,
                                              erasure.clock_ms);
        if (status != NILAI_OK)
            return status;
    }
    if (!image->more)
        nilai_floors_imaged_erasures(nilai_partition_floors(restore->options.state), image->part,
                                     image->turn);
    return status == NILAI_MISSING ? NILAI_OK : status;
}

static enum nilai_status image_error(enum nilai_status status, struct nilai_error *error)
{
    switch (status) {
    case NILAI_OK: return NILAI_OK;
    case NILAI_NO_MEMORY: return no_memory(error);
    case NILAI_FULL:
        return nilai_error_set(error, status,
                               "the state does not fit: raise state.memory_max, or add a process");
    case NILAI_CONFIG:
        return nilai_error_set(error, status,
                               "an image of records that another version of this "
                               "program lays out otherwise");
    default: return damaged(error, "an image that cannot be read");
    }
}

/* An image belongs to the commit that was closed last before it; one at the head of the log, whose
 * commit was cut off, is not needed. */
static enum nilai_status take_image(struct nilai_restore *restore,
                                    const struct nilai_journal_head *head, struct nilai_wire body,
                                    struct nilai_error *error)
{
    struct nilai_image image;
    bool customers = head->kind == NILAI_JOURNAL_CUSTOMERS;
    size_t size = (size_t)(body.end - body.at);
    if (!restore->result.found || head->writer != restore->result.writer)
        return NILAI_OK;
    enum nilai_status status = customers ? nilai_image_open_customers(&image, body)
                                         : nilai_image_open_erasures(&image, body);
    if (status != NILAI_OK)
        return image_error(status, error);
    if (is_cut(restore, head->writer, image.turn))
        return NILAI_OK;
    if (image.turn != restore->result.turn || restore->open.count > 0)
        return damaged(error, "an image of another turn than its commit's");
    restore->result.image_bytes += size;
    return image_error(customers ? load_chunk(restore, &image) : load_erasures(restore, &image),
                       error);
}

/* ---- the log ---- */

enum nilai_status nilai_restore_take(struct nilai_restore *restore, const void *data, size_t size,
                                     struct nilai_error *error)
{
    struct nilai_journal_head head;
    struct nilai_wire body;
    enum nilai_status status = nilai_journal_open(data, size, &head, &body, error);
    if (status != NILAI_OK)
        return status;
    if (head.inputs != restore->options.inputs)
        return nilai_error_set(
            error, NILAI_CONFIG,
            "it was written for another `group`, other `input.topics` or another "
            "`time.day_offset`");
    if (head.kind == NILAI_JOURNAL_PART)
        return take_part(restore, head.writer, body, error);
    return take_image(restore, &head, body, error);
}

static int compare_erasures(const void *a, const void *b)
{
    const struct erasure *one = a, *other = b;
    if (one->hash.high != other->hash.high)
        return one->hash.high < other->hash.high ? -1 : 1;
    if (one->hash.low != other->hash.low)
        return one->hash.low < other->hash.low ? -1 : 1;
    return (one->turn > other->turn) - (one->turn < other->turn);
}

static bool same_hash(struct nilai_hash_wide a, struct nilai_hash_wide b)
{
    return a.low == b.low && a.high == b.high;
}

/* Sorts, and leaves the last erasure of each customer. */
static void sort_erasures(struct nilai_restore *restore)
{
    struct erasure *list = restore->erasures;
    size_t kept = 0, count = restore->erasure_count;
    if (count > 0)
        qsort(list, count, sizeof *list, compare_erasures);
    for (size_t index = 0; index < count; index++) {
        if (index + 1 == count || !same_hash(list[index].hash, list[index + 1].hash))
            list[kept++] = list[index];
    }
    restore->erasure_count = kept;
}

/* Where the partition was after turn `floor`, which lies in or before the first segment. */
static enum nilai_status find_start(struct nilai_restore *restore, struct nilai_error *error)
{
    struct nilai_restored *result = &restore->result;
    result->start = result->end;
    if (result->floor == 0) {
        for (uint32_t topic = 0; topic < restore->options.topic_count; topic++)
            result->start.offsets[topic] = -1;
        result->start.clock_ms = -1;
    }
    if (result->floor == result->turn || (result->floor == 0 && result->turn == 1))
        return NILAI_OK;
    uint64_t first = result->floor == 0 ? 2 : result->floor + 1;
    if (restore->segments.count == 0 || restore->segments.list[0].first > first)
        return damaged(error, "turns are missing at the head of the log");
    if (result->floor == 0)
        return NILAI_OK;
    const struct segment *segment = &restore->segments.list[0];
    struct nilai_part_reader reader = {.body = nilai_wire_of(segment->items, segment->size),
                                       .head.topic_count = restore->options.topic_count,
                                       .point = segment->before};
    struct nilai_part_item item;
    for (uint64_t turn = segment->first; turn < first; turn += item.kind == NILAI_ITEM_TURN) {
        if (nilai_part_next(&reader, &item) != NILAI_OK || item.kind == NILAI_ITEM_MORE
            || item.kind == NILAI_ITEM_CLOSE)
            return damaged(error, "turns are missing at the head of the log");
    }
    result->start = reader.point;
    return NILAI_OK;
}

enum nilai_status nilai_restore_finish(struct nilai_restore *restore, struct nilai_error *error)
{
    struct nilai_restored *result = &restore->result;
    uint64_t committed = restore->options.committed;
    drop_open(restore);
    if (result->found && committed != 0 && !descends(restore, result->writer, committed)
        && find_writer(restore->writers, restore->writer_count, committed) != NULL)
        return cut_branch(restore, error);
    result->found = restore->closed;
    sort_erasures(restore);
    drop_up_to(&restore->segments, result->floor);
    if (result->found) {
        enum nilai_status status = find_start(restore, error);
        if (status != NILAI_OK)
            return status;
        result->turns = result->turn - (result->floor > 0 ? result->floor : 1);
        restore->point = result->floor > 0 ? result->start : result->base;
    }
    restore->chilled = restore->differs;
    nilai_partition_loaded(restore->options.state, result->found ? result->start.clock_ms : -1);
    return NILAI_OK;
}

const struct nilai_restored *nilai_restore_result(const struct nilai_restore *restore)
{
    return &restore->result;
}

/* ---- applying again ---- */

static struct nilai_again again_of(struct nilai_restore *restore, const uint64_t *still)
{
    return (struct nilai_again){.restore = restore, .still = still, .frozen = restore->frozen};
}

static void begin_turn(struct nilai_restore *restore, uint64_t number)
{
    restore->number = number;
    restore->mark_count = 0;
    restore->changed_count = 0;
    restore->stamp++;
}

static enum nilai_status tell_base(struct nilai_restore *restore, struct nilai_restored_turn *turn)
{
    restore->base_told = true;
    begin_turn(restore, 1);
    *turn = (struct nilai_restored_turn){.number = 1,
                                         .from = restore->result.start,
                                         .to = restore->result.base,
                                         .again = again_of(restore, NULL)};
    return NILAI_OK;
}

/* The next item of the segments; MORE and CLOSE lead to the next segment. */
static enum nilai_status next_item(struct nilai_restore *restore, struct nilai_part_item *item)
{
    for (;;) {
        if (!restore->reading) {
            if (restore->next_segment == restore->segments.count)
                return NILAI_MISSING;
            const struct segment *segment = &restore->segments.list[restore->next_segment++];
            restore->reader =
                (struct nilai_part_reader){.body = nilai_wire_of(segment->items, segment->size),
                                           .head.topic_count = restore->options.topic_count,
                                           .point = segment->before};
            restore->frozen = segment->settings != restore->options.settings;
            restore->number = segment->first - 1; /* the last that ended */
            restore->reading = true;
        }
        enum nilai_status status = nilai_part_next(&restore->reader, item);
        if (status != NILAI_OK)
            return status;
        if (item->kind != NILAI_ITEM_MORE && item->kind != NILAI_ITEM_CLOSE)
            return NILAI_OK;
        restore->reading = false;
    }
}

static enum nilai_status add_mark(struct nilai_restore *restore, const struct nilai_part_item *item)
{
    if (!MAKE_ROOM(restore->marks, restore->mark_room, restore->mark_count))
        return NILAI_NO_MEMORY;
    restore->marks[restore->mark_count++] = (struct mark){
        .customer = item->customer,
        .erased = item->kind == NILAI_ITEM_ERASED,
        .seq = item->seq,
        .standing = item->standing,
    };
    return NILAI_OK;
}

enum nilai_status nilai_restore_next(struct nilai_restore *restore,
                                     struct nilai_restored_turn *turn)
{
    struct nilai_part_item item;
    enum nilai_status status;
    if (!restore->result.found)
        return NILAI_MISSING;
    if (restore->result.floor == 0 && !restore->base_told)
        return tell_base(restore, turn);
    begin_turn(restore, restore->number);
    while ((status = next_item(restore, &item)) == NILAI_OK) {
        if (restore->number + 1 <= restore->result.floor + NILAI_MUTATION(first_turn_is_left_out)) {
            restore->number += item.kind == NILAI_ITEM_TURN;
            continue;
        }
        if (item.kind == NILAI_ITEM_TURN)
            break;
        status = add_mark(restore, &item);
        if (status != NILAI_OK)
            return status;
    }
    if (status != NILAI_OK)
        return status;
    restore->number++;
    if (restore->chilled && !restore->frozen)
        nilai_partition_thaw(restore->options.state, restore, restore->number);
    restore->chilled = restore->frozen;
    memcpy(restore->still, item.still, sizeof item.still);
    *turn = (struct nilai_restored_turn){.number = restore->number,
                                         .from = restore->point,
                                         .to = item.point,
                                         .again = again_of(restore, restore->still)};
    restore->point = item.point;
    return NILAI_OK;
}

static const struct erasure *find_erasure(const struct nilai_restore *restore,
                                          struct nilai_text customer)
{
    size_t low = 0, high = restore->erasure_count;
    if (high == 0)
        return NULL;
    struct nilai_hash_wide hash = nilai_hash_wide(customer.data, customer.size);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct nilai_hash_wide at = restore->erasures[middle].hash;
        if (same_hash(at, hash))
            return &restore->erasures[middle];
        if (at.high < hash.high || (at.high == hash.high && at.low < hash.low))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Of such a customer nothing matters before the erasure, not even what the timer brings. */
static bool is_erased_later(const struct nilai_restore *restore, struct nilai_text customer)
{
    const struct erasure *erasure = find_erasure(restore, customer);
    return erasure != NULL && erasure->turn > restore->number;
}

enum nilai_status nilai_restore_effects(struct nilai_restore *restore,
                                        const struct nilai_effects *effects)
{
    const struct nilai_table *table = nilai_partition_table(restore->options.state);
    for (uint32_t index = 0; index < effects->count && restore->number > 1; index++) {
        const struct nilai_effect *effect = &effects->list[index];
        struct nilai_text id = {effect->customer, effect->customer_size};
        uint32_t number;
        if (effect->erased
            || nilai_table_find(table, nilai_table_hash(table, id), id, &number) != NILAI_OK
            || is_erased_later(restore, id))
            continue;
        if (!MAKE_ROOM(restore->changed, restore->changed_room, restore->changed_count))
            return NILAI_NO_MEMORY;
        restore->changed[restore->changed_count++] = number;
    }
    return NILAI_OK;
}

static bool same_standing(struct nilai_standing a, struct nilai_standing b)
{
    return a.band == b.band && a.segment == b.segment && a.tier == b.tier
           && a.unprofitable == b.unprofitable;
}

static bool need_stamps(struct nilai_restore *restore)
{
    uint32_t numbers = nilai_table_numbers(nilai_partition_table(restore->options.state));
    if (numbers <= restore->stamp_room)
        return true;
    uint32_t room = numbers + numbers / 2;
    uint32_t *stamps = reallocarray(restore->stamps, room, sizeof *stamps);
    if (stamps == NULL)
        return false;
    memset(stamps + restore->stamp_room, 0, (room - restore->stamp_room) * sizeof *stamps);
    restore->stamps = stamps;
    restore->stamp_room = room;
    return true;
}

/* The last mark of a customer in this turn says how it stood after it. */
static void adopt(struct nilai_restore *restore, const struct mark *mark)
{
    struct nilai_partition *state = restore->options.state;
    const struct nilai_table *table = nilai_partition_table(state);
    uint32_t number;
    if (is_erased_later(restore, mark->customer))
        return;
    if (nilai_table_find(table, nilai_table_hash(table, mark->customer), mark->customer, &number)
            != NILAI_OK
        || restore->stamps[number] == restore->stamp)
        return;
    if (is_held(restore, number)
        && restore->number <= restore->chunk_turns[number / NILAI_CHUNK_CUSTOMERS])
        return;
    restore->stamps[number] = restore->stamp;
    if (mark->erased)
        return;
    const struct nilai_customer *customer = nilai_table_customer(table, number);
    if (customer->seq == mark->seq && same_standing(customer->standing, mark->standing))
        return;
    restore->differences += !restore->frozen;
    if (!NILAI_MUTATION(marks_are_not_adopted))
        nilai_partition_adopt(state, number, mark->seq, mark->standing);
}

enum nilai_status nilai_restore_settle(struct nilai_restore *restore)
{
    const struct nilai_table *table = nilai_partition_table(restore->options.state);
    if (!need_stamps(restore))
        return NILAI_NO_MEMORY;
    for (size_t index = restore->mark_count; index > 0; index--)
        adopt(restore, &restore->marks[index - 1]);
    /* And nobody changed who has no mark. */
    for (size_t index = 0; index < restore->changed_count; index++) {
        uint32_t number = restore->changed[index];
        if (nilai_table_is_live(table, number) && restore->stamps[number] != restore->stamp) {
            restore->stamps[number] = restore->stamp;
            restore->differences++;
        }
    }
    return NILAI_OK;
}

void nilai_restore_end(struct nilai_restore *restore)
{
    if (restore->chilled)
        nilai_partition_thaw(restore->options.state, restore, UINT64_MAX);
    restore->chilled = false;
}

uint64_t nilai_restore_differences(const struct nilai_restore *restore)
{
    return restore->differences;
}

/* ---- what partition.c asks ---- */

bool nilai_restore_holds(const struct nilai_restore *restore, uint64_t turn, uint32_t number)
{
    return is_held(restore, number) && turn <= restore->chunk_turns[number / NILAI_CHUNK_CUSTOMERS];
}

bool nilai_restore_skips(const struct nilai_restore *restore, uint64_t turn, bool known,
                         uint32_t number, struct nilai_text customer)
{
    if (known && nilai_restore_holds(restore, turn, number)
        && !NILAI_MUTATION(held_turns_are_applied_again))
        return true;
    const struct erasure *erasure = find_erasure(restore, customer);
    return erasure != NULL && turn < erasure->turn;
}

void nilai_restore_forget(struct nilai_restore *restore, uint32_t number)
{
    size_t kept = 0;
    if (is_held(restore, number))
        restore->held[number / 64] &= ~(UINT64_C(1) << number % 64);
    /* Somebody else may get the number in the same turn. */
    for (size_t index = 0; index < restore->changed_count; index++) {
        if (restore->changed[index] != number)
            restore->changed[kept++] = restore->changed[index];
    }
    restore->changed_count = kept;
}
