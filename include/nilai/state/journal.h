/*
 * journal.h - the records of a state partition's log, as bytes.
 *
 * The input is the log: Kafka keeps every event, and a partition is a pure function of its turns.
 * So the journal does not hold every update of state, but
 *
 *   turns     which events were applied together (ranges of offsets), the clock after them, the
 *             wall time that was used, and which events were ignored;
 *   marks     what was published: the customer, the `seq`, the new standing;
 *   images    chunks of the table as they were after a named turn (image.h).
 *
 * Turns and marks come in parts, of which the last of a commit is closed by the floor: turns at
 * or before it are not needed any more. A part that nothing closes was never committed.
 *
 * Turn 1 is the base: everything that was there before the journal began, which may be nothing.
 * The numbers of turns ascend by one. Each record names its writer, a random number chosen when a
 * partition is opened, and each part that of its parent, whose last turn the writer went on from:
 * what somebody writes after another has followed him is told apart so.
 *
 * Reading is of bytes that may be anything: everything is bounded and checked. Pure; any thread.
 */
#ifndef NILAI_STATE_JOURNAL_H
#define NILAI_STATE_JOURNAL_H

#include "nilai/state/partition.h"
#include "nilai/state/wire.h"

enum {
    NILAI_JOURNAL_FORMAT = 1,
    NILAI_JOURNAL_TOPICS_MAX = 16,
    NILAI_JOURNAL_SIZE_MAX = 960 * 1024, /* of a record; a broker takes 1 MiB with what it adds */
};

/* A part that has grown beyond is sent. (The simulator makes do with less, to see many of them.) */
#ifndef NILAI_JOURNAL_PART_SIZE
#define NILAI_JOURNAL_PART_SIZE (256 * 1024)
#endif

enum nilai_journal_kind { NILAI_JOURNAL_PART = 1, NILAI_JOURNAL_CUSTOMERS, NILAI_JOURNAL_ERASURES };

/* What every record begins with. */
struct nilai_journal_head {
    enum nilai_journal_kind kind;
    uint64_t inputs; /* hash of the group and its input topics: whose journal this is */
    uint64_t writer;
};

/* Begins a record in an emptied buffer, and ends it with its checksum. */
void nilai_journal_begin(struct nilai_buffer *buffer, const struct nilai_journal_head *head);
void nilai_journal_end(struct nilai_buffer *buffer);

/* Checks a record's frame. NILAI_INVALID: it is not one of ours, or damaged; NILAI_CONFIG: of a
 * newer format. The error says so, and not where. `body`: what is between. */
NILAI_MUST_CHECK enum nilai_status nilai_journal_open(const void *data, size_t size,
                                                      struct nilai_journal_head *head,
                                                      struct nilai_wire *body,
                                                      struct nilai_error *error);

/* Where a partition is between two turns. Offsets: the next to be read, -1: unknown. */
struct nilai_point {
    int64_t offsets[NILAI_JOURNAL_TOPICS_MAX];
    int64_t clock_ms; /* -1: nothing was applied yet */
    int64_t wall_ms;  /* the wall time by which the turn that leads here judged its events */
};

/* What a part says before its items. */
struct nilai_part_head {
    uint64_t parent;
    uint64_t settings; /* hash of all that results depend on */
    uint64_t first;    /* number of the first turn that ends in this part or after it */
    uint32_t index;    /* of the part within its commit */
    uint32_t topic_count;
    struct nilai_point before; /* after turn first - 1 */
};

enum nilai_part_item_kind {
    NILAI_ITEM_CLOSE, /* the commit is complete */
    NILAI_ITEM_TURN,  /* a turn ends; the marks before belong to it */
    NILAI_ITEM_MARK,
    NILAI_ITEM_ERASED,
    NILAI_ITEM_MORE, /* the part ends, its commit goes on */
};

struct nilai_part_item {
    enum nilai_part_item_kind kind;
    /* CLOSE */
    uint64_t floor;
    struct nilai_point base; /* after turn 1 */
    /* TURN */
    struct nilai_point point;
    uint64_t still[NILAI_TURN_EVENTS_MAX / 64]; /* as nilai_partition_still */
    /* MARK, ERASED: borrowed from the record */
    struct nilai_text customer;
    uint32_t seq;
    struct nilai_standing standing;
};

/* Turns and marks on their way into parts. The caller sends a part that is full before it adds
 * another mark; ends of turns still fit. */
struct nilai_part_writer {
    struct nilai_journal_head head;
    struct nilai_part_head part; /* of the next part to be begun */
    struct nilai_buffer buffer;
    struct nilai_point reached;
    uint64_t turn;  /* the last that ended */
    uint64_t marks; /* added since */
    bool open;      /* the buffer holds a part that was begun */
};

/* `part`: as the first part is to begin (index 0). */
void nilai_part_writer_init(struct nilai_part_writer *writer, const struct nilai_journal_head *head,
                            const struct nilai_part_head *part);
void nilai_part_writer_fini(struct nilai_part_writer *writer);

/* Whether the part has grown so far that it must be sent (nilai_part_send) before another mark. */
bool nilai_part_is_full(const struct nilai_part_writer *writer);
void nilai_part_add_mark(struct nilai_part_writer *writer, const struct nilai_effect *effect);
/* The turn after the last. Offsets and bits as in the item. */
void nilai_part_add_turn(struct nilai_part_writer *writer, const struct nilai_point *point,
                         const uint64_t *still);
/* Ends the part: its record is in `buffer` until nilai_part_sent. */
void nilai_part_send(struct nilai_part_writer *writer);
/* Ends the commit's last part, likewise. */
void nilai_part_close(struct nilai_part_writer *writer, uint64_t floor,
                      const struct nilai_point *base);
void nilai_part_sent(struct nilai_part_writer *writer);

/* Reads the head of a part, then its items up to CLOSE or MORE. NILAI_INVALID: damaged. */
struct nilai_part_reader {
    struct nilai_wire body;
    struct nilai_part_head head;
    struct nilai_point point; /* as of the last item TURN */
};
NILAI_MUST_CHECK enum nilai_status nilai_part_open(struct nilai_part_reader *reader,
                                                   struct nilai_wire body);
NILAI_MUST_CHECK enum nilai_status nilai_part_next(struct nilai_part_reader *reader,
                                                   struct nilai_part_item *item);

#endif
