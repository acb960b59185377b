#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What one writer wrote. */
struct chapter {
    uint64_t writer, parent, first;
    struct nilai_point before; /* its first turn */
    struct sim_turn *turns;
    size_t count, closed, room; /* closed: of commits that are complete */
    uint64_t floor, held_floor; /* as in sim_history, were this the writer that is committed */
    uint32_t next_index;        /* of a part within its commit */
    bool held;
};

struct book {
    struct chapter *chapters;
    size_t count, room;
    uint64_t committed; /* the turn of the committed position */
};

static void *grown(void *list, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return list;
    *room = 2 * *room + 8;
    list = reallocarray(list, *room, size);
    SIM_CHECK(list != NULL);
    return list;
}

static struct chapter *find_chapter(const struct book *book, uint64_t writer)
{
    for (size_t index = 0; index < book->count; index++) {
        if (book->chapters[index].writer == writer)
            return &book->chapters[index];
    }
    return NULL;
}

static struct chapter *need_chapter(struct book *book, uint64_t writer,
                                    const struct nilai_part_head *part)
{
    struct chapter *known = find_chapter(book, writer);
    if (known != NULL)
        return known;
    book->chapters = grown(book->chapters, &book->room, book->count, sizeof *book->chapters);
    book->chapters[book->count] = (struct chapter){
        .writer = writer, .parent = part->parent, .first = part->first, .before = part->before};
    return &book->chapters[book->count++];
}

/* --- Reading ----------------------------------------------------------------------------- */

static struct sim_turn *last_turn(struct chapter *chapter)
{
    return &chapter->turns[chapter->count];
}

static void open_turn(struct chapter *chapter)
{
    chapter->turns = grown(chapter->turns, &chapter->room, chapter->count + 1,
                           sizeof *chapter->turns);
    *last_turn(chapter) = (struct sim_turn){.writer = chapter->writer};
}

static void forget_from(struct chapter *chapter, size_t from)
{
    for (size_t index = from; index <= chapter->count && chapter->turns != NULL; index++)
        free(chapter->turns[index].marks);
    chapter->count = from;
    open_turn(chapter);
}

static void add_mark(struct chapter *chapter, const struct nilai_part_item *item)
{
    struct sim_turn *turn = last_turn(chapter);
    turn->marks = reallocarray(turn->marks, turn->mark_count + 1, sizeof *turn->marks);
    SIM_CHECK(turn->marks != NULL);
    turn->marks[turn->mark_count]
        = (struct sim_mark){item->customer, item->kind == NILAI_ITEM_ERASED, item->seq,
                            item->standing, turn->mark_count};
    turn->mark_count++;
}

static void end_turn(struct chapter *chapter, const struct nilai_part_item *item, int64_t offset)
{
    struct sim_turn *turn = last_turn(chapter);
    turn->number = chapter->first + chapter->count;
    turn->point = item->point;
    turn->offset = offset;
    chapter->count++;
    open_turn(chapter);
}

static void close_commit(struct chapter *chapter, uint64_t floor, uint64_t committed)
{
    uint64_t last = chapter->first + chapter->count - 1;
    SIM_CHECK(floor <= last && floor >= chapter->floor);
    chapter->floor = floor;
    chapter->closed = chapter->count;
    chapter->next_index = 0;
    if (!chapter->held && last >= committed) {
        chapter->held = true;
        chapter->held_floor = floor;
    }
}

static void read_items(struct chapter *chapter, struct nilai_part_reader *reader, int64_t offset,
                       uint64_t committed)
{
    struct nilai_part_item item;
    do {
        SIM_CHECK(nilai_part_next(reader, &item) == NILAI_OK);
        if (item.kind == NILAI_ITEM_TURN)
            end_turn(chapter, &item, offset);
        else if (item.kind == NILAI_ITEM_MARK || item.kind == NILAI_ITEM_ERASED)
            add_mark(chapter, &item);
    } while (item.kind != NILAI_ITEM_CLOSE && item.kind != NILAI_ITEM_MORE);
    if (item.kind == NILAI_ITEM_MORE)
        chapter->next_index++;
    else
        close_commit(chapter, item.floor, committed);
}

static void read_part(struct book *book, uint64_t writer, struct nilai_wire body, int64_t offset)
{
    struct nilai_part_reader reader;
    SIM_CHECK(nilai_part_open(&reader, body) == NILAI_OK);
    struct chapter *chapter = need_chapter(book, writer, &reader.head);
    SIM_CHECK(chapter->parent == reader.head.parent);
    if (reader.head.index == 0) /* what came before it of its commit is void */
        forget_from(chapter, chapter->closed);
    else
        SIM_CHECK(reader.head.index == chapter->next_index);
    chapter->next_index = reader.head.index;
    SIM_CHECK(reader.head.first == chapter->first + chapter->count);
    read_items(chapter, &reader, offset, book->committed);
}

static void read_book(struct book *book, struct sim_log *log)
{
    for (int64_t offset = 0; offset < log->count; offset++) {
        const struct sim_record *record = &log->records[offset];
        struct nilai_journal_head head;
        struct nilai_wire body;
        struct nilai_error error;
        if (record->state != SIM_COMMITTED)
            continue;
        SIM_CHECK(nilai_journal_open(record->message.value, record->message.value_size, &head,
                                     &body, &error)
                  == NILAI_OK);
        if (head.kind == NILAI_JOURNAL_PART)
            read_part(book, head.writer, body, offset);
    }
}

/* --- The chain of writers ------------------------------------------------------------------ */

/* Moves the turns of a chapter up to `last` before those that are there already. */
static void prepend(struct sim_history *history, struct chapter *chapter, uint64_t last)
{
    size_t count = (size_t)(last - chapter->first + 1);
    SIM_CHECK(count <= chapter->closed);
    history->turns
        = reallocarray(history->turns, history->count + count + 1, sizeof *history->turns);
    SIM_CHECK(history->turns != NULL);
    memmove(history->turns + count, history->turns, history->count * sizeof *history->turns);
    memcpy(history->turns, chapter->turns, count * sizeof *history->turns);
    memset(chapter->turns, 0, count * sizeof *history->turns);
    history->count += count;
}

static void follow(struct sim_history *history, const struct book *book, uint64_t writer)
{
    struct chapter *chapter = find_chapter(book, writer);
    SIM_CHECK(chapter != NULL);
    uint64_t last = chapter->first + chapter->closed - 1;
    history->floor = chapter->floor;
    history->held_floor = chapter->held_floor;
    for (;;) {
        if (last >= chapter->first)
            prepend(history, chapter, last);
        history->base = chapter->before;
        last = chapter->first - 1;
        if (last < 2)
            return;
        uint64_t parent = chapter->parent;
        chapter = find_chapter(book, parent);
        if (chapter == NULL)
            sim_fail("the journal has turn %" PRIu64 " of a writer who followed nobody", last + 1);
        SIM_CHECK(chapter->first <= last + 1 && last < chapter->first + chapter->closed);
    }
}

void sim_history_read(struct sim_history *history, struct sim_broker *broker, int32_t partition)
{
    struct book book = {.committed = broker->group.committed[partition].turn};
    uint64_t writer = broker->group.committed[partition].writer, all = 0;
    *history = (struct sim_history){0};
    read_book(&book, &broker->outputs[NILAI_OUTPUT_STATE][partition]);
    if (writer != 0)
        follow(history, &book, writer);
    for (size_t index = 0; index < book.count; index++) {
        struct chapter *chapter = &book.chapters[index];
        all += chapter->closed;
        forget_from(chapter, 0);
        free(chapter->turns);
    }
    history->strangers = all - history->count;
    free(book.chapters);
}

void sim_history_free(struct sim_history *history)
{
    for (size_t index = 0; index < history->count; index++)
        free(history->turns[index].marks);
    free(history->turns);
    *history = (struct sim_history){0};
}

const struct nilai_point *sim_history_point(const struct sim_history *history, uint64_t turn)
{
    SIM_CHECK(turn >= 1 && turn <= history->count + 1);
    return turn == 1 ? &history->base : &history->turns[turn - 2].point;
}
