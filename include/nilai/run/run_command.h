/*
 * run_command.h - `nilai run`: the service until it is told to stop.
 */
#ifndef NILAI_RUN_RUN_COMMAND_H
#define NILAI_RUN_RUN_COMMAND_H

int nilai_run_main(int argc, char **argv);

#endif
