/*
 * convert_command.h - `nilai encode` and `nilai decode`: JSON lines to MessagePack and back.
 *
 * A filter: everything well formed converts, whether or not it is an event. The first line or
 * value that does not ends the work with exit code 65; what came before has been written.
 */
#ifndef NILAI_RUN_CONVERT_COMMAND_H
#define NILAI_RUN_CONVERT_COMMAND_H

/* argv[0] is the command's name; return the exit code. */
int nilai_encode_main(int argc, char **argv);
int nilai_decode_main(int argc, char **argv);

#endif
