#include "nilai/run/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_FIRST = 1024 * 1024 };

struct nilai_event_file {
    int descriptor;
    enum nilai_format format;
    bool begun; /* the start of the file was looked at */
    bool ended; /* nothing more to read */
    char *buffer;
    size_t capacity, from, to; /* what is buffered and not yet handed out */
    size_t searched;           /* bytes after `from` known to hold no end of a line */
    int64_t number;
    uint64_t bytes_read, bytes_total;
    char name[256];
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

enum nilai_status nilai_event_file_open(const char *path, enum nilai_format format,
                                        struct nilai_event_file **file, struct nilai_error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int descriptor = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return nilai_error_set(error, NILAI_FAILED, "%s: %s", path, strerror(errno));

    struct stat status;
    bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    struct nilai_event_file *opened = malloc(sizeof *opened);
    char *buffer = malloc(BUFFER_FIRST);
    if (opened == NULL || buffer == NULL) {
        free(opened);
        free(buffer);
        if (!is_stdin)
            close(descriptor);
        return nilai_error_set(error, NILAI_NO_MEMORY, "%s: out of memory", path);
    }
    *opened = (struct nilai_event_file){
        .descriptor = descriptor,
        .format = format,
        .buffer = buffer,
        .capacity = BUFFER_FIRST,
        .bytes_total = regular ? (uint64_t)status.st_size : 0,
    };
    strncpy(opened->name, is_stdin ? "standard input" : path, sizeof opened->name - 1);
    *file = opened;
    return NILAI_OK;
}

void nilai_event_file_close(struct nilai_event_file *file)
{
    if (file == NULL)
        return;
    if (file->descriptor != STDIN_FILENO)
        close(file->descriptor);
    free(file->buffer);
    free(file);
}

/* Makes room behind what is buffered: moves it to the front, then doubles. */
static enum nilai_status make_room(struct nilai_event_file *file, struct nilai_error *error)
{
    if (file->from > 0) {
        memmove(file->buffer, file->buffer + file->from, file->to - file->from);
        file->to -= file->from;
        file->from = 0;
    }
    if (file->to < file->capacity)
        return NILAI_OK;
    if (file->capacity >= NILAI_EVENT_FILE_RECORD_MAX)
        return nilai_error_set(error, NILAI_FAILED, "%s: record %lld is longer than %d bytes",
                               file->name, (long long)file->number, NILAI_EVENT_FILE_RECORD_MAX);
    char *grown = realloc(file->buffer, file->capacity * 2);
    if (grown == NULL)
        return nilai_error_set(error, NILAI_NO_MEMORY, "%s: out of memory", file->name);
    file->buffer = grown;
    file->capacity *= 2;
    return NILAI_OK;
}

static enum nilai_status read_more(struct nilai_event_file *file, struct nilai_error *error)
{
    enum nilai_status status = make_room(file, error);
    if (status != NILAI_OK)
        return status;
    ssize_t size;
    do
        size = read(file->descriptor, file->buffer + file->to, file->capacity - file->to);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return nilai_error_set(error, NILAI_FAILED, "%s: %s", file->name, strerror(errno));
    file->ended = size == 0;
    file->to += (size_t)size;
    file->bytes_read += (uint64_t)size;
    return NILAI_OK;
}

/* Some editors and shells begin a text with this; it says UTF-8 and belongs to no line. */
static bool begins_with_mark(const struct nilai_event_file *file)
{
    return file->to - file->from >= 3 && memcmp(file->buffer + file->from, "\xef\xbb\xbf", 3) == 0;
}

/* Looks at the first three bytes; MessagePack could begin so, but then not with a map. */
static enum nilai_status skip_mark(struct nilai_event_file *file, struct nilai_error *error)
{
    while (file->to - file->from < 3 && !file->ended) {
        enum nilai_status status = read_more(file, error);
        if (status != NILAI_OK)
            return status;
    }
    if (begins_with_mark(file)) {
        file->from += 3;
        file->format = NILAI_FORMAT_JSON;
    }
    file->begun = true;
    return NILAI_OK;
}

/* JSON begins with an ASCII character, a MessagePack map, array or the like does not. */
static enum nilai_status detect(struct nilai_event_file *file, struct nilai_error *error)
{
    size_t at = file->from;
    for (;;) {
        while (at < file->to && (is_blank(file->buffer[at]) || file->buffer[at] == '\n'))
            at++;
        if (at < file->to || file->ended)
            break;
        size_t distance = at - file->from;
        enum nilai_status status = read_more(file, error);
        if (status != NILAI_OK)
            return status;
        at = file->from + distance;
    }
    bool is_msgpack = at < file->to && (unsigned char)file->buffer[at] >= 0x80;
    file->format = is_msgpack ? NILAI_FORMAT_MSGPACK : NILAI_FORMAT_JSON;
    return NILAI_OK;
}

static void hand_out(struct nilai_event_file *file, size_t size, size_t skip,
                     struct nilai_record *record)
{
    *record = (struct nilai_record){file->buffer + file->from, size, file->number++};
    file->from += size + skip;
    file->searched = 0;
}

static enum nilai_status next_line(struct nilai_event_file *file, struct nilai_record *record,
                                   struct nilai_error *error)
{
    for (;;) {
        char *start = file->buffer + file->from;
        size_t held = file->to - file->from;
        char *end = memchr(start + file->searched, '\n', held - file->searched);
        if (end != NULL) {
            hand_out(file, (size_t)(end - start), 1, record);
            return NILAI_OK;
        }
        if (file->ended) {
            if (held == 0)
                return NILAI_MISSING;
            hand_out(file, held, 0, record);
            return NILAI_OK;
        }
        file->searched = held;
        enum nilai_status status = read_more(file, error);
        if (status != NILAI_OK)
            return status;
    }
}

static bool is_blank_line(const struct nilai_record *record)
{
    for (size_t i = 0; i < record->size; i++)
        if (!is_blank(record->data[i]))
            return false;
    return true;
}

static enum nilai_status next_value(struct nilai_event_file *file, struct nilai_record *record,
                                    struct nilai_error *error)
{
    for (;;) {
        size_t span, held = file->to - file->from;
        enum nilai_status status = NILAI_AGAIN;
        if (held > 0)
            status = nilai_msgpack_span(file->buffer + file->from, held, &span);
        if (status == NILAI_OK) {
            hand_out(file, span, 0, record);
            return NILAI_OK;
        }
        if (file->ended && held == 0)
            return NILAI_MISSING;
        if (status == NILAI_INVALID || file->ended) {
            uint64_t position = file->bytes_read - held;
            hand_out(file, held, 0, record);
            return nilai_error_set(error, NILAI_INVALID, "%s: the value at byte %llu is %s",
                                   file->name, (unsigned long long)position,
                                   status == NILAI_INVALID ? "not MessagePack" : "cut off");
        }
        status = read_more(file, error);
        if (status != NILAI_OK)
            return status;
    }
}

enum nilai_status nilai_event_file_next(struct nilai_event_file *file, struct nilai_record *record,
                                        struct nilai_error *error)
{
    if (!file->begun && file->format != NILAI_FORMAT_MSGPACK) {
        enum nilai_status status = skip_mark(file, error);
        if (status != NILAI_OK)
            return status;
    }
    if (file->format == NILAI_FORMAT_AUTO) {
        enum nilai_status status = detect(file, error);
        if (status != NILAI_OK)
            return status;
    }
    if (file->format == NILAI_FORMAT_MSGPACK)
        return next_value(file, record, error);
    enum nilai_status status;
    do
        status = next_line(file, record, error);
    while (status == NILAI_OK && is_blank_line(record));
    return status;
}

enum nilai_format nilai_event_file_format(const struct nilai_event_file *file)
{
    return file->format;
}

uint64_t nilai_event_file_position(const struct nilai_event_file *file)
{
    return file->bytes_read - (file->to - file->from);
}

uint64_t nilai_event_file_size(const struct nilai_event_file *file)
{
    return file->bytes_total;
}
