/*
 * machine.h - what this process may use of the machine it runs on.
 *
 * Limits that a container sets count as the machine's own.
 */
#ifndef NILAI_BASE_MACHINE_H
#define NILAI_BASE_MACHINE_H

#include "nilai/base/base.h"

/* Processors that this process may run on, at least 1. */
uint32_t nilai_machine_cores(void);
/* Physical memory, or the control group's limit if that is lower. */
uint64_t nilai_machine_memory_bytes(void);
/* The host name, cut to fit and terminated; empty if the system knows none. */
void nilai_machine_name(char *name, size_t size);

#endif
