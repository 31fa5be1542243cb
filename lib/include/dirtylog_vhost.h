/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * librte_vhost's messages, translated into calls of a dirtylog.
 *
 * A vhost back-end that is built on librte_vhost's control plane with a
 * datapath of its own attaches the log state to each connection and gets live
 * migration: regions, log, LOG_ALL and stop follow the messages.
 *
 *     before the first socket   dirtylog_vhost_init()
 *     new_connection(vid)       dirtylog_vhost_attach(vid, ...)
 *     a queue becomes ready     dirtylog_open(dl, marker, gpa, len)
 *     a queue is stopped        dirtylog_close(dl, marker)
 *     destroy_connection(vid)   dirtylog_vhost_detach(...)
 *
 * The messages of librte_vhost are handled by one event thread for all
 * sockets, with the library's queue locks held. A callback must not wait for
 * anything that a burst does not finish by itself.
 *
 * While a connection is attached librte_vhost has no log of its own, so what it
 * offers to mark with does nothing, and does not say so: rte_vhost_log_write()
 * and rte_vhost_log_used_vring(). Neither are pages marked that
 * rte_vhost_enqueue_burst(), rte_vhost_dequeue_burst() and
 * rte_vhost_enable_guest_notification() write. Use a marker, or
 * dirtylog_mark_gpa().
 */

#ifndef DIRTYLOG_VHOST_H
#define DIRTYLOG_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_vhost.h>

#include "dirtylog.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Each virtqueue of the device: a value for `vring` in the callbacks. */
#define DIRTYLOG_ALL_VRINGS UINT32_MAX

/** A message of the front-end's that the log has nothing to do with. */
struct dirtylog_vhost_msg {
	uint32_t request; /**< its number in the vhost-user specification */
	uint32_t flags;   /**< version, and whether an acknowledgement is asked for */
	uint32_t size;    /**< bytes of the payload; the user sets it to those of a reply's */
	uint32_t room;    /**< bytes that a reply's payload may have */
	void *payload;    /**< aligned to 4 bytes; a reply is written over it */
	/**
	 * The library closes the descriptors that came with it, if the user
	 * answers or refuses it. False with a release of DPDK in which it cannot
	 * find them: a message that may carry descriptors is librte_vhost's then,
	 * or they stay open.
	 */
	bool closes_fds;
};

/** What the user does when a message changes what its bursts rely on. */
struct dirtylog_vhost_ops {
	/**
	 * Stop using a virtqueue (or all): its memory, its addresses or its
	 * index are about to change. The user closes the queue's marker and,
	 * where it has one of its own, hands the ring index back with
	 * rte_vhost_set_vring_base(). Called before librte_vhost handles
	 * the message.
	 */
	void (*quiesce)(void *ctx, uint32_t vring);
	/**
	 * The change is done: read the ring (rte_vhost_get_vhost_vring()) anew;
	 * what was quiesced may be opened again. `memory` is the memory table
	 * in force, or NULL if there is none, and may be used until the next
	 * quiesce() of all virtqueues. After GET_VRING_BASE there is no such
	 * call: the virtqueue becomes ready again first.
	 */
	void (*resume)(void *ctx, uint32_t vring, const struct dirtylog_memory *memory);
	/**
	 * Optional. The call descriptor of a virtqueue is being changed: true
	 * before librte_vhost reports the virtqueue as not ready because of it,
	 * false when the new one can be read.
	 */
	void (*call_fd)(void *ctx, uint32_t vring, bool changing);
	/**
	 * Optional. The front-end has taken memory of its guest away that was in
	 * use (dirtylog_memory_lost()). All virtqueues were quiesced just now,
	 * and none can be opened before there is other memory. Called once, with
	 * the next message; the library has closed the queues before, when it
	 * noticed.
	 */
	void (*memory_lost)(void *ctx);
	/**
	 * Optional. A guest has arrived that cannot announce itself (SEND_RARP):
	 * send a RARP packet on its behalf. `mac` is its address, the first byte
	 * lowest.
	 */
	void (*send_rarp)(void *ctx, uint64_t mac);
	/**
	 * Optional. A message for which there is no other callback, and
	 * SET_VRING_CALL, for which call_fd() comes next; before librte_vhost
	 * handles it. For what librte_vhost does not know, such as a block
	 * device's GET_CONFIG: a connection has one pair of handlers only, so the
	 * user has none of its own.
	 *
	 * Returns what a pre_msg_handle may: RTE_VHOST_MSG_RESULT_NOT_HANDLED if
	 * librte_vhost is to go on with it, _REPLY to answer with the payload and
	 * the size that are left in `msg`, _OK or _ERR if it is done or refused.
	 */
	enum rte_vhost_msg_result (*message)(void *ctx, struct dirtylog_vhost_msg *msg);
	/**
	 * Optional. Extern message handlers of somebody else's, who would have
	 * registered them (rte_vhost_extern_callback_register()) if the connection had
	 * room for more than one pair: `msg` is librte_vhost's own, and the results are
	 * what it acts on. Called after this library's, of a message that is left to
	 * librte_vhost so far.
	 */
	enum rte_vhost_msg_result (*pre_msg_handle)(void *ctx, void *msg);
	/** See pre_msg_handle(). */
	enum rte_vhost_msg_result (*post_msg_handle)(void *ctx, void *msg);
};

/** One connection's translation. */
struct dirtylog_vhost;

/**
 * Look how the DPDK that runs passes descriptors of messages on, if it is newer
 * than those that the library knows: librte_vhost gets a message on a socket that
 * is made for that, and has a vid and its event thread meanwhile. Else nothing
 * happens.
 *
 * Before rte_vhost_driver_start() of the first socket, after the EAL's start, by
 * any thread but librte_vhost's. Waits for librte_vhost: milliseconds, and never
 * longer than five seconds. Where it is not called, or finds nothing, connections
 * are served with less: see `closes_fds`. Later calls do nothing.
 */
void dirtylog_vhost_init(void);

/**
 * Follow the messages of a connection.
 *
 * From new_connection(), so that every message is seen. Registers the
 * connection's extern message handlers (rte_vhost_extern_callback_register()):
 * the user registers none of its own.
 *
 * @param vid
 *   librte_vhost's device id
 * @param dl
 *   the log state, fresh; the user's, must outlive the connection
 * @param ops
 *   callbacks; must outlive the connection
 * @param ctx
 *   passed to the callbacks
 * @param[out] vhost
 *   ends with dirtylog_vhost_detach()
 * @return 0, -ENOMEM, or -EIO: librte_vhost does not know the vid
 */
int dirtylog_vhost_attach(int vid, struct dirtylog *dl, const struct dirtylog_vhost_ops *ops,
		void *ctx, struct dirtylog_vhost **vhost);

/**
 * Who a connection belongs to, for librte_vhost's own callbacks, which get a
 * vid and no context. Any thread; that it stays is the caller's affair.
 *
 * @return `ctx` of dirtylog_vhost_attach(), or NULL: no such connection is
 *   attached
 */
void *dirtylog_vhost_ctx(int vid);

/**
 * Whether a log line about what a front-end does may be written: there are 40 in
 * ten seconds for a vid, the library's own among them. A front-end can cause any
 * number, by messages or by connecting again and again, and the library says when
 * it leaves further ones out.
 *
 * Any thread. The line is counted by this call.
 */
bool dirtylog_vhost_may_log(int vid);

/** A number above every vid. */
#define DIRTYLOG_MAX_VIDS 1024

/**
 * Read the counters of the device that a connection is attached to.
 *
 * Any thread, at any time. DPDK's telemetry shows the same:
 * `/dirtylog/list` lists vids and sockets, `/dirtylog/info,VID` the counters,
 * `/dirtylog/queue,VID,INDEX` those of one queue.
 *
 * @return 0, or -ENODEV: no such connection is attached
 */
int dirtylog_vhost_get_stats(int vid, struct dirtylog_stats *stats);

/** As dirtylog_vhost_get_stats(), for one queue: see dirtylog_get_queue_stats(). */
int dirtylog_vhost_get_queue_stats(int vid, uint32_t index, struct dirtylog_marker_stats *stats);

/** Stop following. From destroy_connection(). NULL is allowed. */
void dirtylog_vhost_detach(struct dirtylog_vhost *vhost);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_VHOST_H */
