/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The functions of librte_vhost that the door stands in front of: as a list, and
 * as a table of pointers. There are two such tables, librte_vhost's own functions
 * and the door's. All others of librte_vhost are called as ever.
 *
 * No header of DPDK is needed here: what stands before the door must not need
 * DPDK (stub.c). door.c sees to it that the types are librte_vhost's.
 */

#ifndef DIRTYLOG_VHOST_API_H
#define DIRTYLOG_VHOST_API_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct rte_mbuf;
struct rte_mempool;
struct rte_vdpa_device;
struct rte_vhost_device_ops;
struct rte_vhost_power_monitor_cond;
struct rte_vhost_stat;
struct rte_vhost_user_extern_ops;

/* X(result, what there is of it if the function is missing, name, parameters, arguments) */
#define VHOST_API(X) \
	X(int, -1, driver_register, (const char *path, uint64_t flags), (path, flags)) \
	X(int, -1, driver_unregister, (const char *path), (path)) \
	X(int, -1, driver_start, (const char *path), (path)) \
	X(int, -1, driver_callback_register, \
			(const char *path, struct rte_vhost_device_ops const *const ops), \
			(path, ops)) \
	X(int, -1, driver_set_features, (const char *path, uint64_t features), (path, features)) \
	X(int, -1, driver_attach_vdpa_device, (const char *path, struct rte_vdpa_device *device), \
			(path, device)) \
	X(uint16_t, 0, enqueue_burst, \
			(int vid, uint16_t queue, struct rte_mbuf **pkts, uint16_t count), \
			(vid, queue, pkts, count)) \
	X(uint16_t, 0, dequeue_burst, \
			(int vid, uint16_t queue, struct rte_mempool *pool, \
					struct rte_mbuf **pkts, uint16_t count), \
			(vid, queue, pool, pkts, count)) \
	X(uint32_t, 0, rx_queue_count, (int vid, uint16_t queue), (vid, queue)) \
	X(uint16_t, 0, avail_entries, (int vid, uint16_t queue), (vid, queue)) \
	X(int, -1, enable_guest_notification, (int vid, uint16_t queue, int enable), \
			(vid, queue, enable)) \
	X(int, -1, get_monitor_addr, \
			(int vid, uint16_t queue, struct rte_vhost_power_monitor_cond *cond), \
			(vid, queue, cond)) \
	X(int, -1, vring_stats_get, \
			(int vid, uint16_t queue, struct rte_vhost_stat *stats, unsigned int n), \
			(vid, queue, stats, n)) \
	X(int, -1, vring_stats_reset, (int vid, uint16_t queue), (vid, queue)) \
	X(int, -1, get_vring_base, \
			(int vid, uint16_t queue, uint16_t *last_avail, uint16_t *last_used), \
			(vid, queue, last_avail, last_used)) \
	X(int, -1, extern_callback_register, \
			(int vid, struct rte_vhost_user_extern_ops const *const ops, void *ctx), \
			(vid, ops, ctx)) \
	X(void, , log_write, (int vid, uint64_t addr, uint64_t len), (vid, addr, len)) \
	X(void, , log_used_vring, (int vid, uint16_t vring, uint64_t offset, uint64_t len), \
			(vid, vring, offset, len))

struct vhost_api {
#define VHOST_API_MEMBER(type, none, name, parameters, arguments) type(*name) parameters;
	VHOST_API(VHOST_API_MEMBER)
#undef VHOST_API_MEMBER
	/*
	 * Not librte_vhost's. The next driver_register() of this path is not the
	 * door's: who calls it has a datapath of its own.
	 */
	void (*leave)(const char *path);
};

/*
 * Open the door: a function of the file with the datapath. The number in its name
 * is that of this table's layout.
 *
 * `stock` are librte_vhost's own functions; both tables stay. Returns NULL, and in
 * `why` a text: it does not fit the DPDK that runs.
 */
const struct vhost_api *dirtylog_vhost_door_1(const struct vhost_api *stock, const char **why);

#define DIRTYLOG_VHOST_DOOR "dirtylog_vhost_door_1"

/* The operator's switch, a variable of the environment: socket.c knows its other values. */
#define DIRTYLOG_VHOST_SWITCH "DIRTYLOG_VHOST"
#define DIRTYLOG_VHOST_IS_OFF \
	"switched off (" DIRTYLOG_VHOST_SWITCH "=off): librte_vhost's own datapath"

/* Whether no socket is the door's. */
static inline bool
dirtylog_vhost_is_off(void)
{
	const char *wanted = getenv(DIRTYLOG_VHOST_SWITCH);

	return wanted != NULL && strcmp(wanted, "off") == 0;
}

#endif /* DIRTYLOG_VHOST_API_H */
