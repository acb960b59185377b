/*
 * demo.h - the command `nilai demo`: a broker, a business and the engine in one process.
 *
 * The parts, each a file of its own:
 *
 *     demo_plan    which synthetic customers there are, from what was asked for
 *     demo_feed    sends their events: the history at once, then so many days a second
 *     demo_tally   hears of every published change
 *     demo_view    turns numbers and changes into lines of text
 *     demo_screen  puts lines onto a terminal, and the terminal back as it was
 *
 * demo.c puts them between an embedded broker (io/mock_cluster.h) and the service
 * (server.h), which is the same as that of `nilai run`.
 */
#ifndef NILAI_RUN_DEMO_H
#define NILAI_RUN_DEMO_H

/* Returns the exit code. */
int nilai_demo_main(int argc, char **argv);

#endif
