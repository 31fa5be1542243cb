/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An application of librte_vhost's API, as others write it: it registers a socket. The
 * log says whose datapath the packets take.
 *
 *     vhost_application EAL-ARGUMENT... -- SOCKET [echo]
 *
 * It ends at once, or (echo) when a guest has come and gone, to which it has sent back
 * whatever came.
 */

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include <rte_vhost.h>

#define BURST 32
#define LIMIT_S 60

enum { TO_GUEST, FROM_GUEST };

/* A burst of packets holds the lock, so that the device stays meanwhile. */
static struct {
	rte_spinlock_t lock;
	int vid; /* -1: there is no guest */
	bool gone;
} guest = { .lock = RTE_SPINLOCK_INITIALIZER, .vid = -1 };

static int
new_device(int vid)
{
	rte_spinlock_lock(&guest.lock);
	guest.vid = vid;
	rte_spinlock_unlock(&guest.lock);
	return 0;
}

static void
destroy_device(int vid)
{
	rte_spinlock_lock(&guest.lock);
	if (guest.vid == vid)
		guest.vid = -1;
	rte_spinlock_unlock(&guest.lock);
}

/* Not before: its VMM may still have questions. */
static void
destroy_connection(int vid)
{
	(void)vid;
	rte_spinlock_lock(&guest.lock);
	guest.gone = true;
	rte_spinlock_unlock(&guest.lock);
}

static const struct rte_vhost_device_ops ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.destroy_connection = destroy_connection,
};

/* Returns how many packets have gone back. */
static unsigned int
echo_burst(struct rte_mempool *pool)
{
	struct rte_mbuf *pkts[BURST];
	unsigned int sent;
	uint16_t n;

	n = rte_vhost_dequeue_burst(guest.vid, FROM_GUEST, pool, pkts, BURST);
	sent = rte_vhost_enqueue_burst(guest.vid, TO_GUEST, pkts, n);
	/* They stay the application's. */
	rte_pktmbuf_free_bulk(pkts, n);
	return sent;
}

/* Until the guest is gone; whether packets came. */
static bool
echo(void)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create("pool", 4095, 0, 0,
			RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());
	time_t end = time(NULL) + LIMIT_S;
	uint64_t packets = 0;
	bool gone = false;

	if (pool == NULL)
		return false;
	while (!gone && time(NULL) < end) {
		rte_spinlock_lock(&guest.lock);
		if (guest.vid >= 0)
			packets += echo_burst(pool);
		gone = guest.gone;
		rte_spinlock_unlock(&guest.lock);
	}
	printf("sent back %" PRIu64 " packets\n", packets);
	return gone && packets > 0 && rte_mempool_in_use_count(pool) == 0;
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), ret = 1;
	struct rte_mbuf *none[1];
	const char *path;

	if (used < 0 || used + 1 >= argc)
		return 1;
	path = argv[used + 1];
	if (rte_vhost_driver_register(path, 0) < 0) {
		fprintf(stderr, "%s: not registered\n", path);
		return 1;
	}
	if (rte_vhost_driver_callback_register(path, &ops) < 0 || rte_vhost_driver_start(path) < 0)
		fprintf(stderr, "%s: not started\n", path);
	else if (rte_vhost_enqueue_burst(0, 0, none, 0) != 0)
		fprintf(stderr, "%s: packets to nobody\n", path);
	else if (used + 2 < argc && !echo())
		fprintf(stderr, "%s: no packets, or a guest that stays\n", path);
	else
		ret = 0;
	rte_vhost_driver_unregister(path);
	rte_eal_cleanup();
	return ret;
}
