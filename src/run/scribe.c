#include "nilai/run/scribe.h"

#include <stdlib.h>
#include <string.h>

#include "nilai/base/mutation.h"
#include "nilai/io/record.h"
#include "nilai/state/image.h"
#include "nilai/state/round.h"

enum {
    IMAGES_PER_COMMIT = 64, /* of a lane; the rest is owed */
};

struct nilai_scribe {
    struct nilai_scribe_options options;
    struct nilai_part_writer parts;
    struct nilai_round round;
    struct nilai_buffer image, scratch;
    bool is_quiet; /* the last turn moved only the clock, and is not written yet */
    struct nilai_point quiet;
    bool sending;    /* a part ended, and has not been put yet */
    bool closed;     /* the commit at hand has its last part */
    bool imaging;    /* `image` holds an image that has not been put yet */
    uint32_t images; /* of the commit at hand */
    bool more;     /* the bucket of erasures imaged last needs another record, in the same commit */
    uint64_t told; /* erasures of it that were put */
    bool asked;    /* the log, where it ends */
    uint64_t round_turn;            /* before the round */
    struct nilai_point round_point; /* after that */
    int64_t trim;                   /* -1; else what a complete round has made superfluous */
    struct nilai_point trim_point;  /* where that round began */
    bool trim_told;                 /* the floor that says so is in the commit at hand */
    struct nilai_point needed;      /* after the floor that a commit holds */
    uint64_t bytes;
};

struct nilai_scribe *nilai_scribe_create(const struct nilai_scribe_options *options)
{
    struct nilai_scribe *scribe = calloc(1, sizeof *scribe);
    if (scribe == NULL)
        return NULL;
    scribe->options = *options;
    scribe->trim = -1;
    scribe->needed = options->needed;
    const struct nilai_journal_head head = {
        .kind = NILAI_JOURNAL_PART, .inputs = options->inputs, .writer = options->writer};
    const struct nilai_part_head part = {.parent = options->parent,
                                         .settings = options->settings,
                                         .first = options->turn + 1,
                                         .topic_count = options->topic_count,
                                         .before = options->reached};
    nilai_part_writer_init(&scribe->parts, &head, &part);
    nilai_round_init(&scribe->round, options->image_ratio, options->round_max_ms);
    nilai_buffer_init(&scribe->image, NILAI_JOURNAL_SIZE_MAX);
    nilai_buffer_init(&scribe->scratch, NILAI_IMAGE_SCRATCH);
    /* What no image holds is waiting for a round. */
    if (nilai_table_numbers(nilai_partition_table(options->state)) > 0
        && options->floor < options->turn)
        nilai_round_owe(&scribe->round, 0);
    return scribe;
}

void nilai_scribe_destroy(struct nilai_scribe *scribe)
{
    if (scribe == NULL)
        return;
    nilai_part_writer_fini(&scribe->parts);
    nilai_buffer_fini(&scribe->image);
    nilai_buffer_fini(&scribe->scratch);
    free(scribe);
}

uint64_t nilai_scribe_last_turn(const struct nilai_scribe *scribe)
{
    return scribe->parts.turn + scribe->is_quiet;
}

uint64_t nilai_scribe_next_turn(const struct nilai_scribe *scribe)
{
    return nilai_scribe_last_turn(scribe) + 1;
}

static enum nilai_status put(struct nilai_scribe *scribe, struct nilai_sink *sink,
                             const struct nilai_buffer *record)
{
    if (record->status != NILAI_OK)
        return NILAI_NO_MEMORY;
    enum nilai_status status =
        nilai_sink_put(sink, &(struct nilai_output){.topic = NILAI_OUTPUT_STATE,
                                                    .partition = scribe->options.partition,
                                                    .value = record->data,
                                                    .value_size = record->size});
    if (status == NILAI_OK)
        scribe->bytes += record->size;
    return status;
}

/* ---- turns and marks ---- */

static void write_quiet(struct nilai_scribe *scribe)
{
    static const uint64_t still[NILAI_TURN_EVENTS_MAX / 64];
    if (scribe->is_quiet)
        nilai_part_add_turn(&scribe->parts, &scribe->quiet, still);
    scribe->is_quiet = false;
}

static enum nilai_status send_part(struct nilai_scribe *scribe, struct nilai_sink *sink)
{
    enum nilai_status status = put(scribe, sink, &scribe->parts.buffer);
    if (status != NILAI_OK)
        return status;
    nilai_part_sent(&scribe->parts);
    scribe->sending = false;
    return NILAI_OK;
}

enum nilai_status nilai_scribe_make_room(struct nilai_scribe *scribe, struct nilai_sink *sink)
{
    NILAI_ASSERT(!scribe->closed);
    if (!scribe->sending && nilai_part_is_full(&scribe->parts)) {
        nilai_part_send(&scribe->parts);
        scribe->sending = true;
    }
    return scribe->sending ? send_part(scribe, sink) : NILAI_OK;
}

void nilai_scribe_mark(struct nilai_scribe *scribe, const struct nilai_effect *effect)
{
    NILAI_ASSERT(!scribe->sending && !scribe->closed);
    write_quiet(scribe);
    nilai_part_add_mark(&scribe->parts, effect);
}

void nilai_scribe_turn(struct nilai_scribe *scribe, const struct nilai_point *point,
                       uint64_t input_bytes)
{
    NILAI_ASSERT(!scribe->sending && !scribe->closed);
    const struct nilai_point *before = &scribe->parts.reached;
    bool moved = memcmp(point->offsets, before->offsets, sizeof point->offsets) != 0;
    bool marked = scribe->parts.marks > 0;
    if (!moved && !marked) {
        scribe->quiet = *point;
        scribe->is_quiet = true;
        return;
    }
    write_quiet(scribe);
    nilai_part_add_turn(&scribe->parts, point, nilai_partition_still(scribe->options.state));
    nilai_round_owe(&scribe->round, input_bytes);
}

void nilai_scribe_move(struct nilai_scribe *scribe, uint32_t topic, int64_t offset)
{
    static const uint64_t still[NILAI_TURN_EVENTS_MAX / 64];
    NILAI_ASSERT(!scribe->sending && !scribe->closed);
    write_quiet(scribe);
    struct nilai_point point = scribe->parts.reached;
    NILAI_ASSERT(offset >= point.offsets[topic]);
    point.offsets[topic] = offset;
    nilai_part_add_turn(&scribe->parts, &point, still);
}

/* ---- rounds ---- */

/* Not between a commit's last part and its images: the log may end there already, and images whose
 * commit has gone with what is before the mark are not read. */
static void attend_round(struct nilai_scribe *scribe, int64_t now_ms)
{
    struct nilai_state_log *log = scribe->options.log;
    if (scribe->closed || !nilai_round_wants_mark(&scribe->round))
        return;
    if (!scribe->asked) {
        log->ops->mark(log, scribe->options.partition);
        scribe->asked = true;
    }
    int64_t mark = log->ops->marked(log, scribe->options.partition);
    if (mark < 0)
        return;
    scribe->asked = false;
    scribe->round_turn = nilai_scribe_last_turn(scribe);
    scribe->round_point = scribe->parts.reached;
    nilai_round_begin(&scribe->round, mark, now_ms);
}

bool nilai_scribe_is_due(struct nilai_scribe *scribe, int64_t now_ms)
{
    const struct nilai_floors *floors = nilai_partition_floors(scribe->options.state);
    attend_round(scribe, now_ms);
    return scribe->trim >= 0 || nilai_round_is_due(&scribe->round, floors, now_ms);
}

/* ---- commits ---- */

static void close_part(struct nilai_scribe *scribe)
{
    uint64_t floor = nilai_floors_lowest(nilai_partition_floors(scribe->options.state));
    if (NILAI_MUTATION(floor_is_the_last_turn))
        floor = scribe->parts.turn;
    write_quiet(scribe);
    /* Floors of chunks that nobody wrote about since may lie after what has ended. */
    nilai_part_close(&scribe->parts, floor < scribe->parts.turn ? floor : scribe->parts.turn,
                     &scribe->options.base);
    scribe->closed = scribe->sending = true;
    /* The images of a round are put after the floor of their own commit. Who restores believes the
     * floor: nothing goes before one was written that knows of them. */
    scribe->trim_told = scribe->trim >= 0;
}

static enum nilai_status make_image(struct nilai_scribe *scribe)
{
    const struct nilai_scribe_options *options = &scribe->options;
    struct nilai_floors *floors = nilai_partition_floors(options->state);
    struct nilai_round_image image = nilai_round_image(&scribe->round, floors);
    uint64_t turn = scribe->parts.turn;
    scribe->imaging = true;
    if (image.customers) {
        nilai_image_write_customers(options->state, image.part, turn, options->inputs,
                                    options->writer, &scribe->image);
        return nilai_floors_imaged(floors, image.part, turn);
    }
    scribe->more =
        nilai_image_write_erasures(options->state, image.part, scribe->told, turn, options->inputs,
                                   options->writer, &scribe->scratch, &scribe->image);
    if (!scribe->more)
        nilai_floors_imaged_erasures(floors, image.part, turn);
    return NILAI_OK;
}

static enum nilai_status put_image(struct nilai_scribe *scribe, struct nilai_sink *sink)
{
    struct nilai_floors *floors = nilai_partition_floors(scribe->options.state);
    enum nilai_status status = scribe->imaging ? NILAI_OK : make_image(scribe);
    if (status == NILAI_OK)
        status = put(scribe, sink, &scribe->image);
    if (status != NILAI_OK)
        return status;
    scribe->imaging = false;
    scribe->images++;
    scribe->told = scribe->more ? scribe->told + NILAI_IMAGE_ERASURES : 0;
    if (scribe->more)
        return NILAI_OK;
    int64_t mark = scribe->round.mark;
    if (nilai_round_wrote(&scribe->round, floors, scribe->image.size)) {
        NILAI_ASSERT(nilai_floors_lowest(floors) >= scribe->round_turn);
        scribe->trim = mark + 8 * NILAI_MUTATION(trim_goes_too_far);
        scribe->trim_point = scribe->round_point;
    }
    return NILAI_OK;
}

enum nilai_status nilai_scribe_put_part(struct nilai_scribe *scribe, struct nilai_sink *sink)
{
    if (!scribe->closed) {
        enum nilai_status status = nilai_scribe_make_room(scribe, sink);
        if (status != NILAI_OK)
            return status;
        close_part(scribe);
    }
    return scribe->sending ? send_part(scribe, sink) : NILAI_OK;
}

enum nilai_status nilai_scribe_put_commit(struct nilai_scribe *scribe, struct nilai_sink *sink,
                                          int64_t now_ms)
{
    const struct nilai_floors *floors = nilai_partition_floors(scribe->options.state);
    enum nilai_status status = nilai_scribe_put_part(scribe, sink);
    while (status == NILAI_OK
           && (scribe->imaging || scribe->more
               || (scribe->images < IMAGES_PER_COMMIT && scribe->trim < 0
                   && nilai_round_is_due(&scribe->round, floors, now_ms))))
        status = put_image(scribe, sink);
    if (status == NILAI_OK) {
        scribe->closed = false;
        scribe->images = 0;
    }
    return status;
}

void nilai_scribe_commit_held(struct nilai_scribe *scribe)
{
    struct nilai_state_log *log = scribe->options.log;
    if (!scribe->trim_told && !(NILAI_MUTATION(trim_before_the_floor_is_told) && scribe->trim >= 0))
        return;
    log->ops->trim(log, scribe->options.partition, scribe->trim);
    scribe->needed = scribe->trim_point;
    scribe->trim = -1;
    scribe->trim_told = false;
}

const struct nilai_point *nilai_scribe_needed(const struct nilai_scribe *scribe)
{
    return &scribe->needed;
}

uint64_t nilai_scribe_take_bytes(struct nilai_scribe *scribe)
{
    uint64_t bytes = scribe->bytes;
    scribe->bytes = 0;
    return bytes;
}
