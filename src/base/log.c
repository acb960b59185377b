#include "nilai/base/log.h"

#include "nilai/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
    [NILAI_LOG_DEBUG] = "debug",
    [NILAI_LOG_INFO] = "info",
    [NILAI_LOG_WARNING] = "warning",
    [NILAI_LOG_ERROR] = "error",
};

static enum nilai_log_level least_level = NILAI_LOG_INFO;
static enum nilai_log_format line_format = NILAI_LOG_TEXT;

/* The lock keeps a message and the redrawing of the status line together. It is taken per
 * message, never per event, and nothing but one write happens under it. */
static pthread_mutex_t status_lock = PTHREAD_MUTEX_INITIALIZER;
static char status[NILAI_LOG_STATUS_SIZE];

void nilai_log_configure(enum nilai_log_level level, enum nilai_log_format format)
{
    NILAI_ASSERT((size_t)level < NILAI_ARRAY_LEN(level_names));
    least_level = level;
    line_format = format;
}

/* Bytes of the well-formed UTF-8 character at `text`, 0 if there is none. */
static size_t character_size(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    size_t size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80) /* stops at the terminator, too */
            return 0;
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xed && text[1] > 0x9f;
    bool beyond = text[0] == 0xf4 && text[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : size;
}

/* Appends `message` to `line` while it fits below `limit`, one whole character at a time;
 * bytes that are no character become '?'. */
static size_t append_message(char *line, size_t used, size_t limit, const char *message, bool json)
{
    const unsigned char *next = (const unsigned char *)message;
    while (*next != '\0') {
        size_t size = character_size(next);
        bool control = *next < 0x20 || *next == 0x7f;
        bool escaped = json && (*next == '"' || *next == '\\');
        if (used + size + 1 >= limit)
            break;
        if (escaped)
            line[used++] = '\\';
        if (size == 0 || control)
            line[used++] = control ? ' ' : '?';
        else
            memcpy(line + used, next, size), used += size;
        next += size == 0 ? 1 : size;
    }
    return used;
}

size_t nilai_log_format_line(enum nilai_log_format form, enum nilai_log_level level, int64_t now_ms,
                             const char *message, char line[static NILAI_LOG_SIZE_MAX])
{
    char time[NILAI_CLOCK_TEXT_SIZE];
    nilai_clock_format(now_ms, time);

    bool json = form == NILAI_LOG_JSON;
    const char *tail = json ? "\"}\n" : "\n";
    size_t tail_size = strlen(tail);
    int head_size = json ? snprintf(line, NILAI_LOG_SIZE_MAX,
                                    "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"", time,
                                    level_names[level])
                         : snprintf(line, NILAI_LOG_SIZE_MAX, "%s %s ", time, level_names[level]);
    size_t used = (size_t)head_size;
    used = append_message(line, used, NILAI_LOG_SIZE_MAX - tail_size, message, json);
    memcpy(line + used, tail, tail_size);
    NILAI_ASSERT(used + tail_size <= NILAI_LOG_SIZE_MAX);
    return used + tail_size;
}

/* Standard error that cannot be written to has nobody left to tell. */
static void write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        size -= (size_t)written;
    }
}

#define ERASE_LINE "\r\033[K"

void nilai_log(enum nilai_log_level level, const char *format, ...)
{
    NILAI_ASSERT((size_t)level < NILAI_ARRAY_LEN(level_names));
    if (level < least_level)
        return;

    char message[NILAI_LOG_SIZE_MAX], line[NILAI_LOG_SIZE_MAX];
    char block[sizeof line + sizeof status + sizeof ERASE_LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t size = nilai_log_format_line(line_format, level, nilai_clock_wall_ms(), message, line);

    pthread_mutex_lock(&status_lock);
    if (status[0] == '\0') {
        write_all(line, size);
    } else {
        int block_size =
            snprintf(block, sizeof block, ERASE_LINE "%.*s%s", (int)size, line, status);
        write_all(block, (size_t)block_size);
    }
    pthread_mutex_unlock(&status_lock);
}

void nilai_log_status(const char *text)
{
    char block[sizeof status + sizeof ERASE_LINE];
    pthread_mutex_lock(&status_lock);
    bool shown = status[0] != '\0';
    snprintf(status, sizeof status, "%s", text);
    if (shown || status[0] != '\0') {
        int size = snprintf(block, sizeof block, ERASE_LINE "%s", status);
        write_all(block, (size_t)size);
    }
    pthread_mutex_unlock(&status_lock);
}
