/*
 * log.h - messages to standard error, as text or as JSON lines.
 *
 * Log once, where something is decided about it. No customer data, no event content.
 * Any thread may call; a line is written whole.
 */
#ifndef NILAI_BASE_LOG_H
#define NILAI_BASE_LOG_H

#include "nilai/base/base.h"

enum nilai_log_level { NILAI_LOG_DEBUG, NILAI_LOG_INFO, NILAI_LOG_WARNING, NILAI_LOG_ERROR };
enum nilai_log_format { NILAI_LOG_TEXT, NILAI_LOG_JSON };

/* Call before other threads start. Default: info, text. */
void nilai_log_configure(enum nilai_log_level level, enum nilai_log_format format);
/* Leaves a progress line on a terminal intact: it is erased before a message (see progress). */
void nilai_log(enum nilai_log_level level, const char *format, ...) NILAI_PRINTF(2, 3);

#endif
