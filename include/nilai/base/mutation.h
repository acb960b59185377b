/*
 * mutation.h - mistakes that are made on purpose, in one build of the tests.
 *
 * A rule that nothing would miss is not tested. Where the code obeys one on which durability
 * depends, it asks `NILAI_MUTATION(name)` whether to break it; the simulator (tests/sim) breaks
 * one after the other and must notice each. Everywhere else this is `false`, and costs nothing.
 */
#ifndef NILAI_BASE_MUTATION_H
#define NILAI_BASE_MUTATION_H

#include <stdbool.h>

#ifdef NILAI_MUTATIONS
/* Defined by who chooses. */
bool nilai_mutation_is(const char *name);
#define NILAI_MUTATION(name) nilai_mutation_is(#name)
#else
#define NILAI_MUTATION(name) false
#endif

#endif
