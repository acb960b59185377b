/*
 * replay.h - `nilai replay`: events of a file in, changes out; the reference of the service.
 *
 * One partition, the clock of the file. Output does not depend on the size of a turn.
 */
#ifndef NILAI_RUN_REPLAY_H
#define NILAI_RUN_REPLAY_H

/* Returns the exit code. */
int nilai_replay_main(int argc, char **argv);

#endif
