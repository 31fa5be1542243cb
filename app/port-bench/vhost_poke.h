/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost library waits for all its sockets in one poll(), for up to a second, and
 * does not end it when a socket is added: the first connection to it then waits as
 * long. A connection to a socket that has always been there ends it.
 */
#ifndef VHOST_POKE_H
#define VHOST_POKE_H

/* The socket in this folder, once per process. */
int vhost_poke_create(const char *folder);
/* After a socket was added. */
void vhost_poke(void);
void vhost_poke_destroy(void);

#endif
