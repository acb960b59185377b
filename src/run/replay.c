#include "nilai/run/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nilai/base/clock.h"
#include "nilai/event/encode.h"
#include "nilai/run/config.h"
#include "nilai/run/event_file.h"
#include "nilai/run/message.h"
#include "nilai/run/options.h"
#include "nilai/run/progress.h"

enum { TURN_DEFAULT = 1000, TURN_MAX = 100000, OUT_BUFFER = 1024 * 1024, MESSAGE_ENTRIES = 3 };

/* An event with its texts, which outlive the record it was decoded from. */
struct held {
    struct nilai_event event;
    char texts[NILAI_EVENT_TEXTS_SIZE];
};

struct replay {
    struct nilai_config config;
    struct nilai_options options;
    int64_t until_ms, now_ms; /* -1: not given */
    uint64_t turn_size;

    struct nilai_event_file *file;
    struct nilai_decoder *decoder;
    struct nilai_partition *partition;
    struct nilai_encoder *encoder;
    FILE *dead_letters;
    struct nilai_effects effects;
    struct held *held; /* of the turn being gathered */
    const struct nilai_event **events;
    size_t event_count;

    uint64_t records, bad[NILAI_REJECT_CLASSES], bad_total;
    struct nilai_progress progress;
    bool failed;
};

static const struct nilai_option replay_options[] = {
    {"until", "TS", "move the clock there at the end; without it, it stays at the last event"},
    {"now", "TS", "the wall clock, against which too late a ts is bad; without it none is"},
    {"dead-letter", "FILE", "write bad events there, as JSON lines"},
    {"strict", NULL, "stop at the first bad event, with exit code 65"},
    {"turn-size", "N",
     "events worked off together, 1 to 100000, default 1000; no customer sees a difference"},
};

static const struct nilai_command replay_command = {
    .name = "replay",
    .operands = "[FILE|-]",
    .operands_max = 1,
    .configures = true,
    .summary = "events of a file in, changes out as JSON lines",
    .description =
        "Reads events as JSON lines or as MessagePack values one after the other (the first byte of\n"
        "the file tells), from FILE or standard input, and writes each change that the service\n"
        "would publish: {\"topic\":...,\"key\":...,\"value\":{...}}. A TS is ms since 1970,\n"
        "2026-01-31 or 2026-01-31T12:00:00Z.",
    .options = replay_options,
    .option_count = NILAI_ARRAY_LEN(replay_options),
};

/* ---- output ---- */

static int fail(struct replay *replay, int exit_code, const char *text)
{
    nilai_progress_finish(&replay->progress);
    fprintf(stderr, "nilai replay: %s\n", text);
    replay->failed = true;
    return exit_code;
}

static int fail_to_write(struct replay *replay, const char *what)
{
    char text[128];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    return fail(replay, NILAI_EXIT_IO, text);
}

static bool write_line(FILE *out, struct nilai_encoder *encoder)
{
    const char *data;
    size_t size;
    if (nilai_encode_end(encoder, &data, &size) != NILAI_OK)
        return false;
    return fwrite(data, 1, size, out) == size && putc_unlocked('\n', out) != EOF;
}

static bool write_change(struct replay *replay, const struct nilai_effect *effect)
{
    const struct nilai_config *config = &replay->config;
    const char *topic =
        effect->change.is_band ? config->churn_risk_topic : config->value_segment_topic;
    nilai_encode_begin(replay->encoder);
    nilai_encode_open_map(replay->encoder, NULL, MESSAGE_ENTRIES);
    nilai_encode_text(replay->encoder, "topic", topic, strlen(topic));
    nilai_encode_text(replay->encoder, "key", effect->customer, effect->customer_size);
    nilai_message_encode_change(replay->encoder, "value", &config->model, effect, NULL);
    nilai_encode_close_map(replay->encoder);
    return write_line(stdout, replay->encoder);
}

static bool write_dead_letter(struct replay *replay, const struct nilai_record *record,
                              const struct nilai_reject *reject)
{
    const char *class = nilai_reject_names[reject->class];
    nilai_encode_begin(replay->encoder);
    nilai_encode_open_map(replay->encoder, NULL, 4);
    nilai_encode_int(replay->encoder, "line", record->number);
    nilai_encode_text(replay->encoder, "class", class, strlen(class));
    nilai_encode_text(replay->encoder, "message", reject->message, strlen(reject->message));
    nilai_encode_text(replay->encoder, "value", record->data, record->size);
    nilai_encode_close_map(replay->encoder);
    return write_line(replay->dead_letters, replay->encoder);
}

/* ---- a turn ---- */

static int run_turn(struct replay *replay, int64_t clock_ms)
{
    const struct nilai_turn turn = {
        .events = replay->events, .count = replay->event_count, .clock_ms = clock_ms};
    bool done = false;
    nilai_partition_begin(replay->partition, &turn);
    while (!done) {
        enum nilai_status status = nilai_partition_step(replay->partition, &replay->effects, &done);
        if (status == NILAI_FULL)
            return fail(replay, NILAI_EXIT_CONFIG,
                        "state.memory_max is reached; set it higher to replay this many customers");
        if (status != NILAI_OK)
            return fail(replay, NILAI_EXIT_IO, "out of memory");
        for (uint32_t i = 0; i < replay->effects.count; i++)
            if (!write_change(replay, &replay->effects.list[i]))
                return fail_to_write(replay, "standard output");
    }
    replay->event_count = 0;
    return NILAI_EXIT_OK;
}

static void hold(struct replay *replay, const struct nilai_event *event, int64_t number)
{
    struct held *held = &replay->held[replay->event_count];
    held->event = *event;
    held->event.origin = (struct nilai_origin){.topic = -1, .partition = 0, .offset = number};
    nilai_event_keep_texts(&held->event, (struct nilai_text){0}, held->texts);
    replay->events[replay->event_count++] = &held->event;
}

/* ---- the file ---- */

static int take_bad(struct replay *replay, const struct nilai_record *record,
                    const struct nilai_reject *reject)
{
    replay->bad[reject->class]++;
    replay->bad_total++;
    if (replay->dead_letters != NULL && !write_dead_letter(replay, record, reject))
        return fail_to_write(replay, "the dead-letter file");
    if (!nilai_options_has(&replay->options, "strict"))
        return NILAI_EXIT_OK;
    char text[256];
    snprintf(text, sizeof text, "event %" PRId64 " (from 0) is bad: %s: %s", record->number,
             nilai_reject_names[reject->class], reject->message);
    return fail(replay, NILAI_EXIT_DATA, text);
}

static int take_record(struct replay *replay, const struct nilai_record *record)
{
    struct nilai_event event;
    struct nilai_reject reject;
    replay->records++;
    if (!nilai_decode(replay->decoder, record->data, record->size, &event, &reject))
        return take_bad(replay, record, &reject);
    if (replay->now_ms >= 0
        && !nilai_decode_check_time(replay->decoder, &event, replay->now_ms, &reject))
        return take_bad(replay, record, &reject);
    hold(replay, &event, record->number);
    return replay->event_count == replay->turn_size ? run_turn(replay, -1) : NILAI_EXIT_OK;
}

/* The rest of a MessagePack file that cannot be cut into values any more: one bad event. */
static int take_rest(struct replay *replay, const struct nilai_record *record,
                     const struct nilai_error *error)
{
    struct nilai_reject reject = {.class = NILAI_REJECT_MALFORMED};
    snprintf(reject.message, sizeof reject.message,
             "not MessagePack, or cut off; the rest of the "
             "file cannot be read");
    nilai_progress_finish(&replay->progress);
    fprintf(stderr, "nilai replay: %s; nothing after it was read\n", error->text);
    replay->records++;
    return take_bad(replay, record, &reject);
}

static void show_progress(struct replay *replay)
{
    uint64_t done =
        replay->progress.total > 0 ? nilai_event_file_position(replay->file) : replay->records;
    nilai_progress_update(&replay->progress, done, nilai_clock_monotonic_ns());
}

/* The decoder is made when the first record has told the format. */
static int make_decoder(struct replay *replay)
{
    struct nilai_decode_rules rules = nilai_config_decode_rules(&replay->config);
    rules.format = nilai_event_file_format(replay->file);
    replay->decoder = nilai_decoder_create(&rules);
    return replay->decoder != NULL ? NILAI_EXIT_OK : fail(replay, NILAI_EXIT_IO, "out of memory");
}

static int read_all(struct replay *replay)
{
    struct nilai_record record;
    struct nilai_error error;
    enum nilai_status status;
    while ((status = nilai_event_file_next(replay->file, &record, &error)) == NILAI_OK) {
        int exit_code = replay->decoder == NULL ? make_decoder(replay) : NILAI_EXIT_OK;
        if (exit_code == NILAI_EXIT_OK)
            exit_code = take_record(replay, &record);
        if (exit_code != NILAI_EXIT_OK)
            return exit_code;
        if (replay->records % 1024 == 0)
            show_progress(replay);
    }
    if (status == NILAI_INVALID)
        return take_rest(replay, &record, &error);
    return status == NILAI_MISSING ? NILAI_EXIT_OK : fail(replay, NILAI_EXIT_IO, error.text);
}

/* ---- the whole ---- */

static void print_summary(const struct replay *replay)
{
    struct nilai_partition_counts counts;
    struct nilai_table_stats stats;
    nilai_partition_read_counts(replay->partition, &counts);
    nilai_table_stats(nilai_partition_table(replay->partition), &stats);
    fprintf(stderr,
            "nilai replay: %" PRIu64 " events, %" PRIu64 " customers, %" PRIu64
            " changes of band, %" PRIu64 " of value; %" PRIu64 " of them by the timer; %" PRIu64
            " late, %" PRIu64 " duplicate, %" PRIu64 " after erasure, %" PRIu64 " bad\n",
            replay->records, stats.customers, counts.changes_band, counts.changes_value,
            counts.changes_by_timer, counts.late, counts.duplicates, counts.erased_ignored,
            replay->bad_total);
    for (int class = 0; class < NILAI_REJECT_CLASSES; class++)
        if (replay->bad[class] > 0)
            fprintf(stderr, "  %-18s %" PRIu64 "\n", nilai_reject_names[class], replay->bad[class]);
}

static int replay_file(struct replay *replay)
{
    int exit_code = read_all(replay);
    if (exit_code == NILAI_EXIT_OK || exit_code == NILAI_EXIT_DATA) {
        int last = run_turn(replay, exit_code == NILAI_EXIT_OK ? replay->until_ms : -1);
        exit_code = last != NILAI_EXIT_OK ? last : exit_code;
    }
    if (replay->failed)
        return exit_code;
    if (fflush(stdout) != 0)
        return fail_to_write(replay, "standard output");
    if (replay->dead_letters != NULL && fflush(replay->dead_letters) != 0)
        return fail_to_write(replay, "the dead-letter file");
    return exit_code;
}

static int open_files(struct replay *replay)
{
    struct nilai_error error;
    const char *path = replay->options.operand_count > 0 ? replay->options.operands[0] : "-";
    const char *dead_letter = nilai_options_text(&replay->options, "dead-letter");
    if (nilai_event_file_open(path, NILAI_FORMAT_AUTO, &replay->file, &error) != NILAI_OK)
        return fail(replay, NILAI_EXIT_IO, error.text);
    if (dead_letter == NULL)
        return NILAI_EXIT_OK;
    replay->dead_letters = fopen(dead_letter, "w");
    if (replay->dead_letters != NULL)
        return NILAI_EXIT_OK;
    snprintf(error.text, sizeof error.text, "%s: %s", dead_letter, strerror(errno));
    return fail(replay, NILAI_EXIT_IO, error.text);
}

static int allocate(struct replay *replay)
{
    const struct nilai_partition_options options = {
        .model = &replay->config.model,
        .limits = {.memory_max_bytes = replay->config.memory_max_bytes},
        .erase_remember_ms = replay->config.erase_remember_ms,
    };
    replay->partition = nilai_partition_create(&options);
    replay->encoder = nilai_encoder_create(NILAI_FORMAT_JSON);
    replay->held = malloc(replay->turn_size * sizeof *replay->held);
    replay->events = malloc(replay->turn_size * sizeof *replay->events);
    if (replay->partition == NULL || replay->encoder == NULL || replay->held == NULL
        || replay->events == NULL)
        return fail(replay, NILAI_EXIT_IO, "out of memory");
    return NILAI_EXIT_OK;
}

static void release(struct replay *replay)
{
    nilai_event_file_close(replay->file);
    nilai_decoder_destroy(replay->decoder);
    nilai_partition_destroy(replay->partition);
    nilai_encoder_destroy(replay->encoder);
    if (replay->dead_letters != NULL)
        fclose(replay->dead_letters);
    free(replay->held);
    free(replay->events);
}

static int configure(struct replay *replay)
{
    struct nilai_options *options = &replay->options;
    if (nilai_options_time(options, "until", &replay->until_ms) != NILAI_OK
        || nilai_options_time(options, "now", &replay->now_ms) != NILAI_OK
        || nilai_options_count(options, "turn-size", 1, TURN_MAX, &replay->turn_size) != NILAI_OK
        || nilai_options_configure(options, &replay->config) != NILAI_OK)
        return nilai_options_fail(options);
    return NILAI_EXIT_OK;
}

static int run(struct replay *replay)
{
    int exit_code = configure(replay);
    if (exit_code == NILAI_EXIT_OK)
        exit_code = open_files(replay);
    if (exit_code == NILAI_EXIT_OK)
        exit_code = allocate(replay);
    if (exit_code != NILAI_EXIT_OK)
        return exit_code;

    uint64_t size = nilai_event_file_size(replay->file);
    nilai_progress_init(&replay->progress, "replay", size > 0 ? "bytes" : "events", size,
                        nilai_clock_monotonic_ns());
    exit_code = replay_file(replay);
    nilai_progress_finish(&replay->progress);
    if (!replay->failed)
        print_summary(replay);
    return exit_code;
}

int nilai_replay_main(int argc, char **argv)
{
    int exit_code;
    struct replay *replay = calloc(1, sizeof *replay);
    NILAI_ASSERT(replay != NULL);
    replay->until_ms = replay->now_ms = -1;
    replay->turn_size = TURN_DEFAULT;
    if (nilai_options_parse(&replay->options, &replay_command, argc, argv, &exit_code)) {
        setvbuf(stdout, NULL, _IOFBF, OUT_BUFFER);
        exit_code = run(replay);
        release(replay);
    }
    free(replay);
    return exit_code;
}
