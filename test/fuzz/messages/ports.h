/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Ethdev ports of the driver in this process: the thread that calls polls them.
 * All that the fuzzer knows of the driver is its devargs and ethdev's interface.
 */

#ifndef FUZZ_PORTS_H
#define FUZZ_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define PORTS_QUEUES 2

enum ports_index {
	PORT_VICTIM,    /* what is fuzzed */
	PORT_SECOND,    /* so is this, with external buffers and staged marks */
	PORT_BYSTANDER, /* whose front-end does nothing wrong */
	NB_PORTS
};

void ports_init(void);

const char *ports_path(enum ports_index port);

/* Receive and send up to `n` packets; returns how many came or went. */
unsigned int ports_poll(enum ports_index port, uint16_t queue, uint16_t n);

/* What an application does with a port. `what` is any number. */
void ports_control(enum ports_index port, uint8_t what);

/* Started, as in the beginning; all mbufs are back. */
void ports_reset(void);

#endif /* FUZZ_PORTS_H */
