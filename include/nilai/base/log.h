/*
 * log.h - messages to standard error, as text or as JSON lines.
 *
 * Log once, where something is decided about it. No customer data, no event content.
 * Any thread may call; a line is written whole, in one write, cut at NILAI_LOG_SIZE_MAX.
 *
 *   text  2026-01-31T12:00:00.000Z info partitions assigned: 4
 *   json  {"time":"2026-01-31T12:00:00.000Z","level":"info","message":"partitions assigned: 4"}
 *
 * Control characters in a message become spaces: what a broker or a file says can neither
 * forge a second line nor drive the terminal.
 */
#ifndef NILAI_BASE_LOG_H
#define NILAI_BASE_LOG_H

#include "nilai/base/base.h"

enum { NILAI_LOG_SIZE_MAX = 2048, NILAI_LOG_STATUS_SIZE = 160 };

enum nilai_log_level { NILAI_LOG_DEBUG, NILAI_LOG_INFO, NILAI_LOG_WARNING, NILAI_LOG_ERROR };
enum nilai_log_format { NILAI_LOG_TEXT, NILAI_LOG_JSON };

/* Call before other threads start. Default: info, text. */
void nilai_log_configure(enum nilai_log_level level, enum nilai_log_format format);
/* Leaves a status line on a terminal intact: it is erased first and drawn again after. */
void nilai_log(enum nilai_log_level level, const char *format, ...) NILAI_PRINTF(2, 3);

/* Shows `text` (cut to NILAI_LOG_STATUS_SIZE - 1 bytes) as the last line of the terminal,
 * below all messages; "" takes it away. Only for a standard error that is a terminal:
 * see run/progress.h, which asks. */
void nilai_log_status(const char *text);

/* Formats one line, newline included, as nilai_log would write it at `now_ms`; returns its
 * size. For tests and for those who forward. */
size_t nilai_log_format_line(enum nilai_log_format form, enum nilai_log_level level, int64_t now_ms,
                             const char *message, char line[static NILAI_LOG_SIZE_MAX]);

#endif
