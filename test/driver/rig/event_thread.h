/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * librte_vhost's event thread does not notice a new listening socket, up to DPDK 24.07,
 * before its poll(2) ends after a second: so long a test's first front-end waits. A
 * message on a socket that is there already ends the poll at once.
 */

#ifndef EVENT_THREAD_H
#define EVENT_THREAD_H

/* Register a socket in the folder for such messages, and connect to it. */
void event_thread_start(const char *folder);

/* Have it look at its sockets now; nothing if it was not started. */
void event_thread_wake(void);

void event_thread_stop(void);

#endif /* EVENT_THREAD_H */
