/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Interrupts to guests, sent without ever waiting for who holds the other end.
 *
 * A call descriptor is an eventfd that the front-end shares with us, and with it
 * O_NONBLOCK and the counter. A front-end that fills the counter and clears the
 * flag would have a write(2) wait, inside of a burst, for as long as it likes;
 * and a control thread that waits for the burst, and with it every port. There
 * is no write to an eventfd with a flag of its own. But the kernel itself signals
 * one when an asynchronous request is done, which only saturates the counter:
 * so a call is a read of nothing, whose completion signals the descriptor.
 */

#ifndef VNET_CALL_H
#define VNET_CALL_H

#include <stdbool.h>

/*
 * Take or drop what this process calls with: one queue of the kernel's for all
 * ports, since there are few per host. Control threads. Returns 0 or a negative
 * errno: vnet_call() then clears the flag before each write, which a front-end
 * that sets it again in that very moment can defeat.
 */
int vnet_call_init(void);
void vnet_call_fini(void);

/*
 * Signal a call descriptor. Any thread, any number of them at a time. Returns
 * whether it was signalled: what is no eventfd is not.
 */
bool vnet_call(int fd);

#endif /* VNET_CALL_H */
