/*
 * demo_screen.h - a terminal that is drawn upon, and left as it was found.
 *
 * Between enter and leave the terminal shows another page without a cursor and hands over keys
 * one by one, and what is written to standard error waits in memory: it comes out after
 * leaving, where it can be read. A crash leaves the screen, too.
 *
 * There is one screen a process. Thread: one.
 */
#ifndef NILAI_RUN_DEMO_SCREEN_H
#define NILAI_RUN_DEMO_SCREEN_H

#include "nilai/run/demo_view.h"

/* Whether standard output is a terminal that understands cursor movements. */
bool nilai_demo_screen_is_there(void);
/* Whether the locale says that the terminal shows UTF-8; whether colours are welcome. */
bool nilai_demo_screen_has_unicode(void);
bool nilai_demo_screen_has_colour(void);

void nilai_demo_screen_enter(void);
/* May be called when not entered. */
void nilai_demo_screen_leave(void);

void nilai_demo_screen_size(uint32_t *columns, uint32_t *rows);
void nilai_demo_screen_draw(const struct nilai_demo_lines *lines);
/* The next key that was pressed, or 0. Never waits. */
int nilai_demo_screen_key(void);
/* What to wait on for a key; -1: standard input is not a terminal. */
int nilai_demo_screen_input(void);

#endif
