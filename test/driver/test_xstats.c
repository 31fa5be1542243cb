/* SPDX-License-Identifier: BSD-3-Clause */

/* What an application asks a port to watch it: extended statistics, and the dump. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include <cmocka.h>

#include "datapath/count.h"
#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

/* The bins as net_vhost cuts them, of the lengths that port_rig.c gives. */
static unsigned int
bin_of(uint32_t len)
{
	static const uint32_t last[] = { 63, 64, 127, 255, 511, 1023, 1518 };
	unsigned int bin = 0;

	while (bin < RTE_DIM(last) && len > last[bin])
		bin++;
	return bin;
}

static void
xstats_count(void **state)
{
	static const char *const bins[] = { "undersize", "size_64", "size_65_127", "size_128_255",
		"size_256_511", "size_512_1023", "size_1024_1518", "size_1519_max" };
	struct port_rig port;
	static struct frontend frontend;
	uint64_t wanted[8] = { 0 }, bytes = 0;
	char name[64];
	uint32_t i;

	(void)state;
	connect_port(&port, &frontend, MODERN | FRONTEND_F_MQ, 2, "");
	for (i = 0; i < 3000; i++) {
		wanted[bin_of(60 + i * 37 % 1400)]++;
		bytes += 60 + i * 37 % 1400;
	}
	assert_true(port_to_guest(&port, &frontend, 0, 0, 3000));
	assert_true(port_from_guest(&port, &frontend, 1, 0, 3000));
	port_xstat_is(port.id, "rx_good_packets", 3000);
	port_xstat_is(port.id, "tx_q0_packets", 3000);
	port_xstat_is(port.id, "tx_q0_good_packets", 3000);
	port_xstat_is(port.id, "rx_q1_good_packets", 3000);
	port_xstat_is(port.id, "rx_q1_good_bytes", bytes);
	port_xstat_is(port.id, "tx_q1_good_packets", 0);
	for (i = 0; i < RTE_DIM(bins); i++) {
		snprintf(name, sizeof(name), "tx_q0_%s_packets", bins[i]);
		port_xstat_is(port.id, name, wanted[i]);
		snprintf(name, sizeof(name), "rx_q1_%s_packets", bins[i]);
		port_xstat_is(port.id, name, wanted[i]);
	}
	/* The front-end has asked for an interrupt per burst, and a burst was a packet. */
	port_xstat_is(port.id, "tx_q0_guest_notifications", 3000);
	port_xstat_is(port.id, "log_on", 0);
	port_xstat_is(port.id, "tx_q0_log_marks", 0);

	assert_int_equal(rte_eth_xstats_reset(port.id), 0);
	port_xstat_is(port.id, "tx_q0_good_packets", 0);
	port_xstat_is(port.id, "rx_q1_size_65_127_packets", 0);
	port_xstat_is(port.id, "rx_good_packets", 0);
	assert_true(port_to_guest(&port, &frontend, 0, 0, 1));
	port_xstat_is(port.id, "tx_q0_good_packets", 1);
	port_xstat_is(port.id, "tx_q0_undersize_packets", 1);
	disconnect_port(&port, &frontend);
}

/* Every length, also those that the port rig does not send. */
static void
lengths_have_their_bins(void **state)
{
	uint32_t len;

	(void)state;
	for (len = 0; len < 70000; len++)
		assert_int_equal(vnet_size_bin(len), bin_of(len));
	assert_int_equal(vnet_size_bin(UINT32_MAX), 7);
}

static void
xstats_tell_groups(void **state)
{
	static const uint8_t destinations[][6] = {
		{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		{ 0x01, 0, 0x5e, 1, 2, 3 },
		{ 0x33, 0x33, 0, 0, 0, 1 },
		{ 0x02, 0, 0, 0, 0, 1 },
	};
	struct port_rig port;
	static struct frontend frontend;
	unsigned int i;

	(void)state;
	connect_port(&port, &frontend, MODERN, 1, "");
	/* Buffers for them; and no packet before that is of a group by chance. */
	assert_true(port_to_guest(&port, &frontend, 0, 0, 1));
	assert_int_equal(rte_eth_stats_reset(port.id), 0);
	for (i = 0; i < RTE_DIM(destinations); i++) {
		struct rte_mbuf *pkt = packet_mbuf(port.pool, 1, 60, 0, false);

		memcpy(rte_pktmbuf_mtod(pkt, void *), destinations[i], 6);
		assert_true(port_send(&port, &frontend, 0, pkt));
	}
	port_xstat_is(port.id, "tx_q0_broadcast_packets", 1);
	port_xstat_is(port.id, "tx_q0_multicast_packets", 2);
	disconnect_port(&port, &frontend);
}

static void
xstats_of_the_log(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	struct frontend_log log;
	unsigned int i;

	(void)state;
	connect_port(&port, &frontend, MODERN, 1, "");
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_set_log(&frontend, log.fd, log.len, 0), ANSWER_OK);
	frontend.features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(&frontend, frontend.features), ANSWER_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_set_addr(&frontend, i), ANSWER_OK);
	assert_true(port_to_guest(&port, &frontend, 0, 0, 100));
	port_xstat_is(port.id, "log_on", 1);
	port_xstat_is(port.id, "log_swaps", 2);
	assert_true(port_xstat(port.id, "tx_q0_log_marks") > 100);
	assert_true(port_xstat(port.id, "tx_q0_log_words_tested") > 0);
	assert_true(port_xstat(port.id, "tx_q0_log_words_written") > 0);
	/* Each dirty page was dirtied once, there was no harvest. */
	assert_int_equal(port_xstat(port.id, "log_pages_dirtied"), frontend_log_count(&log));
	assert_int_equal(port_xstat(port.id, "tx_q0_log_pages_dirtied"), frontend_log_count(&log));
	assert_int_equal(rte_eth_xstats_reset(port.id), 0);
	port_xstat_is(port.id, "log_pages_dirtied", 0);
	port_xstat_is(port.id, "tx_q0_log_pages_dirtied", 0);
	port_xstat_is(port.id, "log_swaps", 0);
	port_xstat_is(port.id, "log_on", 1);
	disconnect_port(&port, &frontend);
	frontend_log_destroy(&log);
}

/* What a guest does wrong is counted under its name. */
static void
xstats_of_faults(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	struct rte_mbuf *pkt;

	(void)state;
	connect_port(&port, &frontend, MODERN, 1, "");
	ring_add(&frontend.rings[1], 5000);
	ring_publish(&frontend.rings[1]);
	assert_int_equal(rte_eth_rx_burst(port.id, 0, &pkt, 1), 0);
	port_xstat_is(port.id, "fault_head", 1);
	port_xstat_is(port.id, "rx_q0_guest_faults", 1);
	port_xstat_is(port.id, "tx_q0_guest_faults", 0);
	port_xstat_is(port.id, "fault_loop", 0);
	disconnect_port(&port, &frontend);
}

static void
dump_has(uint16_t port, const char *words)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	assert_int_equal(rte_eth_dev_priv_dump(port, stream), 0);
	fclose(stream);
	if (strstr(text, words) == NULL)
		fail_msg("the dump lacks '%s': %s", words, text);
	free(text);
}

static void
dump_describes(void **state)
{
	struct port_rig port;
	static struct frontend frontend;

	(void)state;
	connect_port(&port, &frontend, MODERN, 1, ",log-placement=staged,tso=1");
	dump_has(port.id, port.path);
	dump_has(port.id, "log placement staged");
	dump_has(port.id, "tso on");
	dump_has(port.id, "front-end connected");
	dump_has(port.id, "2 regions");
	dump_has(port.id, "virtqueue 1 (rx_q0): open, size 256");
	dump_has(port.id, "logging off");
	frontend_disconnect(&frontend);
	assert_true(port_wait_link(&port, false));
	dump_has(port.id, "virtqueue 0 (tx_q0): closed, not ready");
	frontend_destroy(&frontend);
	port_destroy(&port);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_have_their_bins),
		cmocka_unit_test(xstats_count),
		cmocka_unit_test(xstats_tell_groups),
		cmocka_unit_test(xstats_of_the_log),
		cmocka_unit_test(xstats_of_faults),
		cmocka_unit_test(dump_describes),
	};
	const struct program program = {
		.name = "xstats",
		.split = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
