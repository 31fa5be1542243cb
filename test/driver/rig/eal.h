/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The EAL for a test program: no root, no huge pages, no devices, no files left.
 * That of app/port-bench, whose header has the same name, measures.
 */

#ifndef EAL_H
#define EAL_H

/* Start it, once per program; ends the program with a message if it fails. */
void eal_start(const char *program);

/* With so many megabytes, in digits, where that is not enough. */
void eal_start_with(const char *program, const char *megabytes);

void eal_stop(void);

#endif /* EAL_H */
