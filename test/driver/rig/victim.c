/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig/victim.h"

static struct frontend *
connect_to(const struct port_rig *port)
{
	struct frontend *frontend = calloc(1, sizeof(*frontend));

	assert_non_null(frontend);
	frontend_create(frontend, VICTIM_FEATURES, VICTIM_RING_SIZE, 2, 0);
	assert_true(frontend_connect(frontend, port->path));
	return frontend;
}

struct frontend *
victim_connect(struct victim *victim)
{
	return connect_to(&victim->port);
}

struct frontend *
victim_start(struct victim *victim)
{
	struct frontend *frontend = victim_connect(victim);

	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_true(victim_exchange(victim, frontend, 5));
	return frontend;
}

void
victim_disconnect(struct frontend *frontend)
{
	frontend_destroy(frontend);
	free(frontend);
}

bool
victim_exchange(struct victim *victim, struct frontend *frontend, unsigned int n)
{
	return port_exchange(&victim->port, frontend, 0, victim->turn++, n);
}

void
victim_is_well(struct victim *victim)
{
	struct frontend *frontend = victim_start(victim);

	assert_true(victim_exchange(victim, frontend, 40));
	victim_disconnect(frontend);
	assert_true(port_wait_link(&victim->port, false));
	assert_true(port_exchange(&victim->bystander, victim->neighbour, 0, victim->turn++, 40));
	assert_true(port_wait_link(&victim->bystander, true));
}

int
victim_setup(void **state)
{
	struct victim *victim = calloc(1, sizeof(*victim));

	assert_non_null(victim);
	port_create(&victim->port, 0, 1, "");
	port_create(&victim->bystander, 1, 1, "");
	victim->neighbour = connect_to(&victim->bystander);
	assert_int_equal(frontend_start(victim->neighbour), ANSWER_OK);
	*state = victim;
	return 0;
}

int
victim_teardown(void **state)
{
	struct victim *victim = *state;

	victim_disconnect(victim->neighbour);
	port_destroy(&victim->port);
	port_destroy(&victim->bystander);
	free(victim);
	return 0;
}

int
file_of(uint64_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}
