/*
 * check.h - `nilai check`: validate a configuration and print the effective one.
 */
#ifndef NILAI_RUN_CHECK_H
#define NILAI_RUN_CHECK_H

/* argv[0] is the command's name; returns the exit code. */
int nilai_check_main(int argc, char **argv);

#endif
