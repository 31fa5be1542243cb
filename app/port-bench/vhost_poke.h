/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost library waits for all its sockets in one poll(), for up to a second, and
 * does not end it when a socket is added: the first connection to it then waits as
 * long. A connection to a socket that has always been there ends it.
 */
#ifndef DOORBELL_H
#define DOORBELL_H

/* The socket in this folder, once per process. */
int doorbell_create(const char *folder);
void doorbell_ring(void);
void doorbell_destroy(void);

#endif
