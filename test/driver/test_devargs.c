/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Device arguments: those that mean nothing are refused, and what follows from
 * the others for what a port offers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_vhost.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

/* Device arguments that mean nothing: no port, and a line that says why. */
static void
bad_arguments_are_refused(void **state)
{
	char long_path[200] = "iface=/tmp/";
	const struct {
		const char *args, *words;
	} cases[] = {
		{ "", "iface" },
		{ "queues=1", "iface" },
		{ "iface=", "iface" },
		{ "iface=/tmp/a,iface=/tmp/b", "iface" },
		{ "iface=/tmp/a,queues=0", "queues=0" },
		{ "iface=/tmp/a,queues=129", "queues=129" },
		{ "iface=/tmp/a,queues=-1", "queues=-1" },
		{ "iface=/tmp/a,queues=2x", "queues=2x" },
		{ "iface=/tmp/a,queues=", "queues" },
		{ "iface=/tmp/a,client=2", "client=2" },
		{ "iface=/tmp/a,client=yes", "client=yes" },
		{ "iface=/tmp/a,client=", "client=" },
		{ "iface=/tmp/a,client=1,client=1", "client is given more than once" },
		{ "iface=/tmp/a,iommu-support=2", "iommu-support=2" },
		{ "iface=/tmp/a,postcopy-support=yes", "postcopy-support=yes" },
		{ "iface=/tmp/a,tso=2", "tso=2" },
		{ "iface=/tmp/a,linear-buffer=2", "linear-buffer=2" },
		{ "iface=/tmp/a,ext-buffer=-1", "ext-buffer=-1" },
		{ "iface=/tmp/a,legacy-ol-flags=x", "legacy-ol-flags=x" },
		{ "iface=/tmp/a,log-placement=remote", "log-placement=remote" },
		{ "iface=/tmp/a,log-drain-us=0", "log-drain-us=0" },
		{ "iface=/tmp/a,log-drain-us=1000001", "log-drain-us=1000001" },
		{ "iface=/tmp/a,max-memory=0", "max-memory=0" },
		{ "iface=/tmp/a,max-memory=268435457", "max-memory=268435457" },
		{ "iface=/tmp/a,bogus=1", "bad arguments" },
		{ "iface=/tmp/a,bogus=1", "legacy-ol-flags=<0|1>" },
		{ long_path, "107" },
	};
	uint16_t ports = rte_eth_dev_count_avail();
	unsigned int i;

	(void)state;
	memset(long_path + strlen(long_path), 'x', 108 - strlen("/tmp/"));
	for (i = 0; i < RTE_DIM(cases); i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *stream = open_memstream(&text, &len);

		rte_openlog_stream(stream);
		assert_true(rte_vdev_init("net_dirtylog9", cases[i].args) < 0);
		rte_openlog_stream(stderr);
		fclose(stream);
		if (strstr(text, "net_dirtylog") == NULL || strstr(text, cases[i].words) == NULL)
			fail_msg("'%s' gives: %s", cases[i].args, text);
		free(text);
		assert_int_equal(rte_eth_dev_count_avail(), ports);
	}
}

/* The rest of a net_vhost command line is good here too. */
static void
arguments_of_net_vhost(void **state)
{
	struct port_rig port;
	static struct frontend frontend;

	(void)state;
	connect_port(&port, &frontend, MODERN, 1,
			",client=0,iommu-support=0,"
			"postcopy-support=0,tso=1,linear-buffer=1,ext-buffer=1,legacy-ol-flags=1");
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	disconnect_port(&port, &frontend);
}

/* The front-end's guest has 6 MiB. */
static void
memory_has_a_limit(void **state)
{
	static struct frontend frontend;
	struct port_rig port;

	(void)state;
	connect_port(&port, &frontend, MODERN, 1, ",max-memory=6");
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	disconnect_port(&port, &frontend);

	port_create(&port, 0, 1, ",max-memory=5");
	frontend_create(&frontend, MODERN, 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_hello(&frontend), ANSWER_OK);
	assert_int_equal(frontend_set_memory(&frontend), ANSWER_REFUSED);
	port_xstat_is(port.id, "log_refused_regions", 1);
	frontend_disconnect(&frontend);
	frontend_destroy(&frontend);
	port_destroy(&port);
}

static uint64_t
protocol_features(struct frontend *frontend)
{
	uint64_t features = 0;

	assert_true(frontend_send(frontend, REQ_GET_PROTOCOL_FEATURES, false, NULL, 0, NULL, 0));
	assert_int_equal(frontend_reply(frontend, REQ_GET_PROTOCOL_FEATURES, &features,
					 sizeof(features)),
			sizeof(features));
	return features;
}

static void
postcopy_is_offered_if_wanted(void **state)
{
	static const char *const arguments[] = { "", ",postcopy-support=0", ",postcopy-support=1" };
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(arguments); i++) {
		struct port_rig port;
		static struct frontend frontend;

		connect_port(&port, &frontend, MODERN, 1, arguments[i]);
		assert_int_equal(protocol_features(&frontend) >> VHOST_USER_PROTOCOL_F_PAGEFAULT &
						1,
				i == 2);
		disconnect_port(&port, &frontend);
	}
}

/* What the datapath cannot do is not offered, nor what the device's arguments rule out. */
static void
offers_what_it_can(void **state)
{
	const uint64_t never = 1ULL << VIRTIO_F_ACCESS_PLATFORM;
	const uint64_t long_ones = 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 |
			1ULL << VIRTIO_NET_F_HOST_UFO | 1ULL << VIRTIO_NET_F_HOST_ECN |
			1ULL << VIRTIO_NET_F_GSO;
	const uint64_t always = 1ULL << VIRTIO_RING_F_INDIRECT_DESC | FRONTEND_F_LOG_ALL |
			1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
			1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 |
			1ULL << VIRTIO_NET_F_GUEST_UFO | 1ULL << VIRTIO_NET_F_GUEST_ECN |
			1ULL << VIRTIO_NET_F_MTU | 1ULL << VIRTIO_F_RING_PACKED |
			1ULL << VIRTIO_F_IN_ORDER | FRONTEND_F_PROTOCOL | FRONTEND_F_MQ | MODERN |
			FRONTEND_F_EVENT_IDX;
	static const struct {
		const char *args;
		bool long_ones;
	} cases[] = {
		{ "", false },
		{ ",tso=0", false },
		{ ",tso=1", true },
		{ ",tso=1,linear-buffer=1", false },
		{ ",tso=1,ext-buffer=1", true },
		{ ",tso=1,linear-buffer=1,ext-buffer=1", true },
		{ ",tso=1,legacy-ol-flags=1", true },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		static struct frontend frontend; /* too large for the stack */
		struct port_rig port;

		port_create(&port, 0, 1, cases[i].args);
		frontend_create(&frontend, MODERN, 256, 2, 0);
		assert_true(frontend_connect(&frontend, port.path));
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_int_equal(frontend.offered & never, 0);
		assert_int_equal(frontend.offered & always, always);
		assert_int_equal(frontend.offered & long_ones, cases[i].long_ones ? long_ones : 0);
		frontend_destroy(&frontend);
		port_destroy(&port);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(arguments_of_net_vhost),
		cmocka_unit_test(memory_has_a_limit),
		cmocka_unit_test(postcopy_is_offered_if_wanted),
		cmocka_unit_test(offers_what_it_can),
	};
	const struct program program = {
		.name = "devargs",
		.split = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
