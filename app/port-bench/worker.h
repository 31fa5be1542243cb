/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions on other lcores, while the caller sleeps: its CPU is the guest's. */
#ifndef WORKER_H
#define WORKER_H

#include <rte_launch.h>

int worker_start(unsigned int lcore, lcore_function_t *function, void *arg);
/* What the function returned; ends the program if it does not come back in time. */
int worker_wait(unsigned int lcore);
int worker_run(unsigned int lcore, lcore_function_t *function, void *arg);

void sleep_us(unsigned int us);

#endif
