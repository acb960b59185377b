/*
 * brokers.c - librdkafka's emulated brokers as a process of their own.
 *
 *     bench_brokers PARTITIONS TOPIC...
 *
 * Prints where it listens, and goes on until standard input ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nilai/io/mock_cluster.h"

int main(int argc, char **argv)
{
    struct nilai_mock_cluster *cluster;
    struct nilai_error error;
    int partitions = argc > 2 ? atoi(argv[1]) : 0;
    char byte;
    if (partitions < 1 || partitions > NILAI_MOCK_PARTITIONS_MAX) {
        fputs("usage: bench_brokers PARTITIONS TOPIC...\n", stderr);
        return NILAI_EXIT_USAGE;
    }
    if (nilai_mock_cluster_create((const char *const *)argv + 2, (size_t)argc - 2, partitions,
                                  &cluster, &error)
        != NILAI_OK) {
        fprintf(stderr, "bench_brokers: %s\n", error.text);
        return NILAI_EXIT_UNAVAILABLE;
    }
    puts(nilai_mock_cluster_servers(cluster));
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    nilai_mock_cluster_destroy(cluster);
    return NILAI_EXIT_OK;
}
