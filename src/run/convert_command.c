#include "nilai/run/convert_command.h"

#include "nilai/base/clock.h"
#include "nilai/event/convert.h"
#include "nilai/run/event_file.h"
#include "nilai/run/options.h"
#include "nilai/run/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum nilai_status convert_fn(struct nilai_converter *converter, const void *bytes,
                                     size_t size, const char **result, size_t *result_size,
                                     struct nilai_error *error);

/* One direction. */
struct direction {
    struct nilai_command command;
    enum nilai_format from;
    const char *item; /* what errors count: lines or values, from 1 */
    const char *end;  /* written behind each */
    convert_fn *convert;
};

static const struct direction encode = {
    .command = {.name = "encode",
                .operands = "[FILE|-]",
                .operands_max = 1,
                .summary = "JSON lines in, MessagePack out",
                .description =
                    "Numbers keep their kind: 1 is an integer, 1.0 a binary64. Order and\n"
                    "repetition of keys are kept. Empty lines are skipped."},
    .from = NILAI_FORMAT_JSON,
    .item = "line",
    .end = "",
    .convert = nilai_convert_json_to_msgpack,
};

static const struct direction decode = {
    .command = {.name = "decode",
                .operands = "[FILE|-]",
                .operands_max = 1,
                .summary = "MessagePack values in, JSON lines out",
                .description =
                    "Timestamps become integer milliseconds. What JSON cannot say (NaN,\n"
                    "infinity, binary, other extensions) is an error."},
    .from = NILAI_FORMAT_MSGPACK,
    .item = "value",
    .end = "\n",
    .convert = nilai_convert_msgpack_to_json,
};

/* The work in hand. */
struct work {
    const struct direction *direction;
    const char *path;
    struct nilai_event_file *file;
    struct nilai_converter *converter;
    struct nilai_progress progress;
    struct nilai_error error;
};

static int fail(const struct work *work, int exit_code, const char *text)
{
    fprintf(stderr, "nilai %s: %s\n", work->direction->command.name, text);
    return exit_code;
}

static int fail_at(struct work *work, const struct nilai_record *record)
{
    char text[sizeof work->error.text + 64];
    snprintf(text, sizeof text, "%s %" PRId64 ": %s", work->direction->item, record->number + 1,
             work->error.text);
    return fail(work, NILAI_EXIT_DATA, text);
}

/* Nothing is left for the end of the process to say about it. */
static int fail_to_write(const struct work *work)
{
    char text[128];
    snprintf(text, sizeof text, "standard output: %s", strerror(errno));
    return fail(work, NILAI_EXIT_IO, text);
}

static bool write_out(const char *bytes, size_t size, const char *end)
{
    return fwrite(bytes, 1, size, stdout) == size && fputs(end, stdout) >= 0;
}

static int convert_record(struct work *work, const struct nilai_record *record)
{
    const char *result;
    size_t size;
    enum nilai_status status = work->direction->convert(work->converter, record->data, record->size,
                                                        &result, &size, &work->error);
    if (status == NILAI_NO_MEMORY)
        return fail(work, NILAI_EXIT_IO, "out of memory");
    if (status != NILAI_OK)
        return fail_at(work, record);
    if (!write_out(result, size, work->direction->end))
        return fail_to_write(work);
    return NILAI_EXIT_OK;
}

static int convert_all(struct work *work)
{
    for (;;) {
        struct nilai_record record;
        enum nilai_status status = nilai_event_file_next(work->file, &record, &work->error);
        if (status == NILAI_MISSING)
            return NILAI_EXIT_OK;
        if (status == NILAI_INVALID)
            return fail_at(work, &record);
        if (status != NILAI_OK)
            return fail(work, NILAI_EXIT_IO, work->error.text);
        int exit_code = convert_record(work, &record);
        if (exit_code != NILAI_EXIT_OK)
            return exit_code;
        nilai_progress_update(&work->progress, nilai_event_file_position(work->file),
                              nilai_clock_monotonic_ns());
    }
}

static int convert_file(struct work *work)
{
    if (nilai_event_file_open(work->path, work->direction->from, &work->file, &work->error)
        != NILAI_OK)
        return fail(work, NILAI_EXIT_IO, work->error.text);
    work->converter = nilai_converter_create();
    int exit_code = NILAI_EXIT_IO;
    if (work->converter != NULL) {
        nilai_progress_init(&work->progress, work->direction->command.name, "bytes",
                            nilai_event_file_size(work->file), nilai_clock_monotonic_ns());
        exit_code = convert_all(work);
        nilai_progress_finish(&work->progress);
        nilai_converter_destroy(work->converter);
    } else {
        fail(work, exit_code, "out of memory");
    }
    nilai_event_file_close(work->file);
    return exit_code;
}

static int convert(const struct direction *direction, int argc, char **argv)
{
    struct nilai_options options;
    int exit_code;
    if (!nilai_options_parse(&options, &direction->command, argc, argv, &exit_code))
        return exit_code;
    struct work work = {
        .direction = direction,
        .path = options.operand_count > 0 ? options.operands[0] : "-",
    };
    return convert_file(&work);
}

int nilai_encode_main(int argc, char **argv)
{
    return convert(&encode, argc, argv);
}

int nilai_decode_main(int argc, char **argv)
{
    return convert(&decode, argc, argv);
}
