/*
 * bench.h - what the benches share: the machine they ran on, checked answers, medians.
 */
#ifndef NILAI_BENCH_H
#define NILAI_BENCH_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "nilai/base/clock.h"

/* A bench that got a wrong answer prints no number. */
static inline void bench_must(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "wrong answer: %s\n", what);
    exit(NILAI_EXIT_BUG);
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values of some rounds and prints the median and the first and last decile, which
 * with few rounds are the least and the most; returns the median. */
static inline double bench_report(const char *what, double *values, size_t rounds, const char *unit)
{
    qsort(values, rounds, sizeof *values, bench_by_value);
    double median = values[rounds / 2];
    printf("  %-46s %9.1f %s  (%.1f to %.1f)\n", what, median, unit, values[rounds / 10],
           values[rounds - 1 - rounds / 10]);
    fflush(stdout);
    return median;
}

static inline void bench_print_machine(void)
{
    char line[256], model[256] = "unknown processor";
    struct utsname system;
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info != NULL && fgets(line, sizeof line, info) != NULL)
        if (sscanf(line, "model name : %255[^\n]", model) == 1)
            break;
    if (info != NULL)
        fclose(info);
    uname(&system);
    printf("%s, %s %s, %s; CPU time of the thread, medians (first to last decile)\n", model,
           system.sysname, system.release, __VERSION__);
}

/* Whether the only argument is --quick: little data, to check the bench itself. */
static inline bool bench_is_quick(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--quick") == 0)
        return true;
    if (argc > 1) {
        fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
        exit(NILAI_EXIT_USAGE);
    }
    return false;
}

/* splitmix64. */
static inline uint64_t bench_random(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
