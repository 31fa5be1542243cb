/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What each message means for the dirtylog and its user. In this file, from top
 * to bottom:
 *
 *     the log, and whether there is logging    SET_LOG_BASE, SET_FEATURES
 *     the user stops, and goes on              with one virtqueue or all
 *     the memory table                         looked at before librte_vhost maps
 *                                              it, taken over after that
 *     what else the user is told               call descriptors, other messages
 *     the handlers                             what is done for which message
 *     connections                              by vid: attached, detached, asked
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag.h"
#include "dirtylog_pvt.h"
#include "dirtylog_vhost.h"
#include "shm.h"
#include "truncation_guard.h"
#include "vhost_msg.h"

#define MAX_VRINGS 256 /* what librte_vhost has room for */

struct dirtylog_vhost {
	int vid;
	struct dirtylog *dl;
	const struct dirtylog_vhost_ops *ops;
	void *ctx;
	size_t fds_at;          /* where the descriptors lie in a message; 0: not known */
	bool memory_lost;       /* and the user knows it */
	int64_t call_changing;  /* the virtqueue that call_fd(true) was called for, or -1 */
	bool has_table;         /* librte_vhost does: it follows a NULL when it is asked without */
	bool memory_left;       /* what the library has a table of may be unmapped by now */
	bool may_map;           /* librte_vhost may have memory of some table mapped */
	int64_t quiesced;       /* the virtqueue(s) that resume() is owed for, or -1 */
	bool reset[MAX_VRINGS]; /* by RESET_OWNER, and not started or enabled since */
	/* The ring addresses in force; index is the message's. */
	struct vhost_vring_addr addrs[MAX_VRINGS];
};

/*
 * The handlers get a vid and no context. Written when a connection comes and
 * goes, which librte_vhost keeps apart from the connection's messages; the
 * lock is for those who come from elsewhere.
 */
static struct dirtylog_vhost *connections[DIRTYLOG_MAX_VIDS];

/* By vid, so that a front-end that connects again begins where it was: it gets the same one. */
static struct dirtylog_diag_limit diag_limits[DIRTYLOG_MAX_VIDS];
static pthread_mutex_t connections_lock = PTHREAD_MUTEX_INITIALIZER;

static struct dirtylog_vhost *
vhost_of(int vid)
{
	if (vid < 0 || vid >= DIRTYLOG_MAX_VIDS)
		return NULL;
	return __atomic_load_n(&connections[vid], __ATOMIC_ACQUIRE);
}

/* NULL where this DPDK's place for them is not known. */
static struct librte_msg_fds *
message_fds(const struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	return vhost->fds_at == 0 ? NULL : (struct librte_msg_fds *)((char *)msg + vhost->fds_at);
}

/* Those of a message that librte_vhost has not taken: it leaves a -1 where it has. */
static void
close_fds(struct librte_msg *msg, size_t fds_at)
{
	struct librte_msg_fds *fds = (struct librte_msg_fds *)((char *)msg + fds_at);
	int i;

	if (fds_at == 0)
		return;
	for (i = 0; i < fds->nb_fds; i++) {
		if (fds->fds[i] >= 0)
			close(fds->fds[i]);
		fds->fds[i] = -1;
	}
	fds->nb_fds = 0;
}

/* ---- the log, and whether there is logging ---- */

static enum rte_vhost_msg_result
take_log(struct dirtylog_vhost *vhost, int fd, uint64_t offset, uint64_t size)
{
	struct dirtylog_shm *shm;
	int ret = dirtylog_shm_map(fd, offset, size, &shm);

	if (ret < 0) {
		DIRTYLOG_DIAG(ERR,
				"vid %d: SET_LOG_BASE: a log of %" PRIu64
				" bytes at offset %" PRIu64 " cannot be mapped (%s): refused",
				vhost->vid, size, offset,
				ret == -EINVAL ? "empty, or offset no multiple of 4096" :
						ret == -ERANGE  ? "the file is shorter" :
						ret == -ENOTSUP ? "the file is not in memory" :
								  strerror(-ret));
		dirtylog_count_refused_log(vhost->dl);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	ret = dirtylog_set_log(vhost->dl, shm);
	dirtylog_shm_unref(shm);
	if (ret < 0) {
		DIRTYLOG_DIAG(ERR, "vid %d: SET_LOG_BASE failed: %s", vhost->vid,
				ret == -ERANGE ? "log too small" : strerror(-ret));
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	return RTE_VHOST_MSG_RESULT_OK;
}

/*
 * The message is librte_vhost's, which can close its descriptor. What it may not take
 * is made an offset that it refuses, and no acknowledgement, as below.
 */
static enum rte_vhost_msg_result
leave_log_base(struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	if (msg->payload.log.offset != 0) {
		DIRTYLOG_DIAG(ERR,
				"vid %d: SET_LOG_BASE: with this DPDK the log must be at offset 0,"
				" not %" PRIu64 ": refused",
				vhost->vid, msg->payload.log.offset);
		dirtylog_count_refused_log(vhost->dl);
		msg->payload.log.offset = UINT64_MAX;
		msg->flags &= ~VHOST_MSG_NEED_REPLY;
	} else if (dirtylog_suspend_log(vhost->dl) < 0) {
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/*
 * Before the library's reply: by then no mark may go to the old log. Where the
 * descriptor can be found the message is answered here; else the bursts stage
 * their marks until the library has mapped the log, see log_base_mapped().
 */
static enum rte_vhost_msg_result
log_base(struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	struct librte_msg_fds *fds = message_fds(vhost, msg);
	enum rte_vhost_msg_result result;

	if (fds == NULL)
		return leave_log_base(vhost, msg);
	if (msg->size != sizeof(msg->payload.log) || fds->nb_fds != 1) {
		DIRTYLOG_DIAG(ERR,
				"vid %d: SET_LOG_BASE with %u bytes and %d descriptors,"
				" not %zu and 1: refused",
				vhost->vid, msg->size, fds->nb_fds, sizeof(msg->payload.log));
		dirtylog_count_refused_log(vhost->dl);
		result = RTE_VHOST_MSG_RESULT_ERR;
	} else {
		result = take_log(vhost, fds->fds[0], msg->payload.log.offset,
				msg->payload.log.size);
	}
	/* The payload goes back as it came: 16 bytes, which Cloud Hypervisor awaits. */
	if (result == RTE_VHOST_MSG_RESULT_OK)
		return RTE_VHOST_MSG_RESULT_REPLY;
	/*
	 * No acknowledgement: it has 8 bytes, and a front-end that waits for the 16
	 * of a reply waits for ever. librte_vhost closes the connection instead.
	 */
	msg->flags &= ~VHOST_MSG_NEED_REPLY;
	return result;
}

/* The library has mapped the log and replied; adopt its pages. */
static enum rte_vhost_msg_result
log_base_mapped(struct dirtylog_vhost *vhost)
{
	struct dirtylog_shm *shm;
	uint64_t base, size;
	int ret;

	if (rte_vhost_get_log_base(vhost->vid, &base, &size) < 0)
		return RTE_VHOST_MSG_RESULT_ERR;
	ret = dirtylog_shm_duplicate((void *)(uintptr_t)base, size, &shm);
	if (ret == 0) {
		ret = dirtylog_set_log(vhost->dl, shm);
		dirtylog_shm_unref(shm);
	}
	if (ret < 0) {
		DIRTYLOG_DIAG(ERR, "vid %d: the log of %" PRIu64 " bytes cannot be used: %s",
				vhost->vid, size, strerror(-ret));
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result
set_features(struct dirtylog_vhost *vhost, const struct librte_msg *msg)
{
	bool on = (msg->payload.u64 >> VHOST_F_LOG_ALL) & 1;
	int ret = dirtylog_set_logging(vhost->dl, on);

	if (ret < 0) {
		DIRTYLOG_DIAG(ERR, "vid %d: SET_FEATURES: logging cannot be turned on: %s",
				vhost->vid, strerror(-ret));
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	dirtylog_follow_predecessor(vhost->dl);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* ---- the user stops, and goes on ---- */

/* Whether a SET_VRING_ADDR changes more than the F_LOG flag. */
static bool
addr_changed(const struct dirtylog_vhost *vhost, const struct vhost_vring_addr *addr)
{
	const struct vhost_vring_addr *now = &vhost->addrs[addr->index % MAX_VRINGS];

	return now->desc_user_addr != addr->desc_user_addr ||
			now->used_user_addr != addr->used_user_addr ||
			now->avail_user_addr != addr->avail_user_addr ||
			now->log_guest_addr != addr->log_guest_addr;
}

/* Stop a virtqueue, or all, until the message that comes is over. */
static void
quiesce(struct dirtylog_vhost *vhost, uint32_t vring)
{
	vhost->ops->quiesce(vhost->ctx, vring);
	vhost->quiesced = vring;
}

static void
resume(struct dirtylog_vhost *vhost, uint32_t vring)
{
	const struct dirtylog_memory *memory =
			vhost->memory_left ? NULL : dirtylog_memory(vhost->dl);
	uint32_t i;

	vhost->quiesced = -1;
	if (memchr(vhost->reset, true, sizeof(vhost->reset)) == NULL) {
		vhost->ops->resume(vhost->ctx, vring, memory);
		return;
	}
	for (i = 0; i < MAX_VRINGS; i++)
		if ((vring == i || vring == DIRTYLOG_ALL_VRINGS) && !vhost->reset[i])
			vhost->ops->resume(vhost->ctx, i, memory);
}

/*
 * All virtqueues stop until the front-end starts or enables them: what the
 * specification allows, beside doing nothing. It is not left to librte_vhost, which
 * forgets then what it has of the EAL's memory for each: 12 KB of it or more are lost
 * with each such message.
 */
static enum rte_vhost_msg_result
reset_owner(struct dirtylog_vhost *vhost)
{
	vhost->ops->quiesce(vhost->ctx, DIRTYLOG_ALL_VRINGS);
	memset(vhost->reset, true, sizeof(vhost->reset));
	return RTE_VHOST_MSG_RESULT_OK;
}

/* The front-end has started or enabled a virtqueue. */
static void
end_reset(struct dirtylog_vhost *vhost, uint32_t vring)
{
	if (vring >= MAX_VRINGS || !vhost->reset[vring])
		return;
	vhost->reset[vring] = false;
	/* librte_vhost may have reported it as ready in between. */
	vhost->ops->quiesce(vhost->ctx, vring);
	resume(vhost, vring);
}

/* ---- the memory table ---- */

/*
 * What librte_vhost would refuse too, but after everything has stopped for it: a
 * table of more than 8 regions, or without a descriptor for each.
 */
static bool
table_is_sound(const struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	struct librte_msg_fds *fds = message_fds(vhost, msg);
	uint32_t nb_regions = msg->payload.memory.nb_regions;

	if (fds == NULL || msg->request != VHOST_USER_SET_MEM_TABLE ||
			msg->size < sizeof(nb_regions) ||
			(nb_regions <= VHOST_MSG_MAX_FDS && (uint32_t)fds->nb_fds == nb_regions))
		return true;
	DIRTYLOG_DIAG(ERR,
			"vid %d: SET_MEM_TABLE with %u regions and %d descriptors, not one each"
			" and at most %d: refused",
			vhost->vid, nb_regions, fds->nb_fds, VHOST_MSG_MAX_FDS);
	return false;
}

/*
 * Whether a device may have so much memory. Asked before it is mapped, since a
 * process that locks its memory gets each page of it at once.
 */
static bool
sizes_allowed(const struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	bool added = msg->request == VHOST_USER_ADD_MEM_REG;
	const struct dirtylog_memory *now = added ? dirtylog_memory(vhost->dl) : NULL;
	struct dirtylog_region regions[DIRTYLOG_MAX_REGIONS + VHOST_MSG_MAX_FDS];
	uint32_t nb_new = added ? 1 : msg->payload.memory.nb_regions;
	uint32_t i, nb_regions = 0;

	if (nb_new > VHOST_MSG_MAX_FDS ||
			msg->size < 2 * sizeof(uint32_t) +
							nb_new * sizeof(msg->payload.memory.regions[0]))
		return true; /* librte_vhost refuses it */
	for (i = 0; now != NULL && i < now->nb_regions; i++)
		regions[nb_regions++] = now->regions[i];
	for (i = 0; i < nb_new; i++)
		regions[nb_regions++] = (struct dirtylog_region){
			.gpa = msg->payload.memory.regions[i].gpa,
			.len = msg->payload.memory.regions[i].size,
		};
	return dirtylog_check_regions(vhost->dl, regions, nb_regions) == 0;
}

/* Whether a region lies in its file: beyond the end librte_vhost would meet a SIGBUS. */
static bool
fits_file(const struct stat *st, uint64_t size, uint64_t offset)
{
	return !S_ISREG(st->st_mode) ||
			(size <= (uint64_t)st->st_size && offset <= (uint64_t)st->st_size - size);
}

/*
 * Whether librte_vhost, which maps a file from its beginning and in whole blocks,
 * will be able to. If it is not, it refuses the message and keeps that region's
 * descriptor for ever: one more each time.
 */
static bool
can_be_mapped(int fd, const struct stat *st, uint64_t size, uint64_t offset)
{
	uint64_t len = RTE_ALIGN_CEIL(offset + size, (uint64_t)st->st_blksize);
	void *addr;

	if (size == 0 || offset + size < size || len == 0)
		return false;
	addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return false;
	munmap(addr, len);
	return true;
}

/* Whether each region of a message is one that librte_vhost can do with. */
static bool
regions_are_sound(const struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	struct librte_msg_fds *fds = message_fds(vhost, msg);
	struct stat st;
	int i;

	for (i = 0; fds != NULL && i < fds->nb_fds && i < VHOST_MSG_MAX_FDS; i++) {
		uint64_t size = msg->payload.memory.regions[i].size;
		uint64_t offset = msg->payload.memory.regions[i].offset;
		const char *what = NULL;

		if (fstat(fds->fds[i], &st) < 0)
			what = "has no file";
		else if (!fits_file(&st, size, offset))
			what = "is longer than its file";
		else if (!can_be_mapped(fds->fds[i], &st, size, offset))
			what = "cannot be mapped";
		if (what == NULL)
			continue;
		DIRTYLOG_DIAG(ERR, "vid %d: region %d of guest memory %s: refused", vhost->vid, i,
				what);
		return false;
	}
	return true;
}

/*
 * Whether a region that is mapped lies in its file, for a DPDK whose place for
 * descriptors is not known: nobody may look there then.
 */
static bool
is_backed(const struct rte_vhost_mem_region *region)
{
	uint64_t offset = region->host_user_addr - (uint64_t)(uintptr_t)region->mmap_addr;
	struct stat st;

	return fstat(region->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
			offset + region->size <= (uint64_t)st.st_size;
}

/* What librte_vhost has mapped. Returns 0, -ERANGE (beyond its file), or of the call below. */
static int
take_regions(struct dirtylog_vhost *vhost, const struct rte_vhost_memory *mem)
{
	struct dirtylog_region regions[DIRTYLOG_MAX_REGIONS];
	uint32_t i;

	for (i = 0; i < mem->nregions && i < DIRTYLOG_MAX_REGIONS; i++) {
		if (!is_backed(&mem->regions[i]))
			return -ERANGE;
		regions[i] = (struct dirtylog_region){
			.gpa = mem->regions[i].guest_phys_addr,
			.len = mem->regions[i].size,
			.host = (uint8_t *)(uintptr_t)mem->regions[i].host_user_addr,
		};
	}
	return dirtylog_set_regions(vhost->dl, regions, mem->nregions);
}

/*
 * The memory table that librte_vhost has now, which need not be another one. Not
 * "handled": librte_vhost has done that, or does not know the message, and has to
 * refuse it and close its descriptors.
 */
static enum rte_vhost_msg_result
set_regions(struct dirtylog_vhost *vhost)
{
	struct rte_vhost_memory *mem;
	int ret;

	if (!vhost->has_table)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (rte_vhost_get_mem_table(vhost->vid, &mem) < 0) {
		DIRTYLOG_DIAG(ERR, "vid %d: no memory table", vhost->vid);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	ret = take_regions(vhost, mem);
	free(mem);
	vhost->quiesced = -1;
	if (ret < 0) {
		DIRTYLOG_DIAG(ERR, "vid %d: memory table refused: %s", vhost->vid,
				ret == -ERANGE ? "a region is longer than its file" :
						 strerror(-ret));
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	vhost->memory_left = false;
	vhost->memory_lost &= dirtylog_memory_lost(vhost->dl);
	resume(vhost, DIRTYLOG_ALL_VRINGS);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/*
 * All virtqueues stop, and what librte_vhost has mapped of the guest's memory
 * may go. False: it may not.
 */
static bool
leave_memory(struct dirtylog_vhost *vhost)
{
	quiesce(vhost, DIRTYLOG_ALL_VRINGS);
	vhost->memory_left = true;
	return dirtylog_forget_memory(vhost->dl) == 0;
}

/* Tell the user, once, if the front-end has taken memory of its guest away. */
static void
look_at_memory(struct dirtylog_vhost *vhost)
{
	bool lost = dirtylog_memory_lost(vhost->dl);

	/* Somebody else may want SIGBUS since the last message. */
	dirtylog_truncation_guard_check();
	if (lost && !vhost->memory_lost) {
		vhost->ops->quiesce(vhost->ctx, DIRTYLOG_ALL_VRINGS);
		if (vhost->ops->memory_lost != NULL)
			vhost->ops->memory_lost(vhost->ctx);
	}
	vhost->memory_lost = lost;
}

/* ---- what else the user is told ---- */

/* A call descriptor begins to change, or (-1) the last change is over. */
static void
change_call(struct dirtylog_vhost *vhost, int64_t vring)
{
	if (vhost->ops->call_fd == NULL)
		return;
	if (vhost->call_changing >= 0)
		vhost->ops->call_fd(vhost->ctx, (uint32_t)vhost->call_changing, false);
	vhost->call_changing = vring;
	if (vring >= 0)
		vhost->ops->call_fd(vhost->ctx, (uint32_t)vring, true);
}

/* If the message before was refused, there was no after_message() that ended it. */
static void
end_refused(struct dirtylog_vhost *vhost)
{
	change_call(vhost, -1);
	if (vhost->quiesced == DIRTYLOG_ALL_VRINGS)
		set_regions(vhost);
	else if (vhost->quiesced >= 0)
		resume(vhost, (uint32_t)vhost->quiesced);
}

/* What the log has nothing to do with is the user's. */
static enum rte_vhost_msg_result
pass_message(struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	struct dirtylog_vhost_msg passed = {
		.request = msg->request,
		.flags = msg->flags,
		.size = msg->size,
		.room = sizeof(msg->payload.bytes),
		.payload = msg->payload.bytes,
		.closes_fds = message_fds(vhost, msg) != NULL,
	};
	enum rte_vhost_msg_result result;

	if (msg->request == VHOST_USER_SEND_RARP && vhost->ops->send_rarp != NULL) {
		/* librte_vhost notes it too, for a datapath that is not in use. */
		if (msg->size == sizeof(msg->payload.u64))
			vhost->ops->send_rarp(vhost->ctx, msg->payload.u64);
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	}
	if (vhost->ops->message == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	result = vhost->ops->message(vhost->ctx, &passed);
	if (result == RTE_VHOST_MSG_RESULT_REPLY)
		msg->size = RTE_MIN(passed.size, passed.room);
	return result;
}

/* ---- the handlers ---- */

static enum rte_vhost_msg_result
follow_before(struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	enum rte_vhost_msg_result result;
	struct vhost_vring_addr addr;

	switch (msg->request) {
	case VHOST_USER_SET_LOG_BASE:
		return log_base(vhost, msg);
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_ADD_MEM_REG:
		if (!table_is_sound(vhost, msg) || !sizes_allowed(vhost, msg) ||
				!regions_are_sound(vhost, msg))
			return RTE_VHOST_MSG_RESULT_ERR;
		/* fall through */
	case VHOST_USER_REM_MEM_REG:
		if (!leave_memory(vhost))
			return RTE_VHOST_MSG_RESULT_ERR;
		/* If it is refused, the one before may be gone too. */
		vhost->has_table &= msg->request != VHOST_USER_SET_MEM_TABLE;
		vhost->may_map |= msg->request == VHOST_USER_SET_MEM_TABLE;
		break;
	case VHOST_USER_RESET_OWNER:
		return reset_owner(vhost);
	case VHOST_USER_SET_VRING_ADDR:
		addr = msg->payload.addr;
		if (addr_changed(vhost, &addr))
			quiesce(vhost, addr.index);
		break;
	case VHOST_USER_GET_VRING_BASE:
		vhost->ops->quiesce(vhost->ctx, msg->payload.state.index);
		break;
	case VHOST_USER_SET_VRING_CALL:
		/* Of a virtqueue that the user does not have, perhaps. */
		result = pass_message(vhost, msg);
		if (result != RTE_VHOST_MSG_RESULT_NOT_HANDLED)
			return result;
		change_call(vhost, (int64_t)(msg->payload.u64 & VHOST_VRING_INDEX_MASK));
		break;
	case VHOST_USER_SET_FEATURES:
		break; /* see after_message() */
	default:
		return pass_message(vhost, msg);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/*
 * Whether librte_vhost might look into memory that nobody guards: a table was
 * refused, and it may have that one mapped, or what is left of the one before.
 * Front-ends may ask, stop their rings, and send another table.
 */
static bool
is_blind(const struct dirtylog_vhost *vhost, const struct librte_msg *msg)
{
	if (!vhost->memory_left || !vhost->may_map)
		return false;
	switch (msg->request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_RESET_OWNER:
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
		return false;
	}
	DIRTYLOG_DIAG(ERR, "vid %d: request %u after a memory table that was refused: refused",
			vhost->vid, msg->request);
	return true;
}

static enum rte_vhost_msg_result
before_message(int vid, void *msg)
{
	struct dirtylog_vhost *vhost = vhost_of(vid);
	enum rte_vhost_msg_result result;

	/* Another front-end has taken over, and this one still talks to librte_vhost. */
	if (vhost == NULL) {
		close_fds(msg, dirtylog_message_fds_at());
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	dirtylog_diag_set_limit(&diag_limits[vid]);
	end_refused(vhost);
	look_at_memory(vhost);
	result = is_blind(vhost, msg) ? RTE_VHOST_MSG_RESULT_ERR : follow_before(vhost, msg);
	/* librte_vhost leaves those of a message that is answered or refused here to us. */
	if (result != RTE_VHOST_MSG_RESULT_NOT_HANDLED)
		close_fds(msg, vhost->fds_at);
	/*
	 * Those that cannot be found stay open. Not acknowledged, the refusal ends the
	 * connection, which so leaves those of one message.
	 */
	if (result == RTE_VHOST_MSG_RESULT_ERR && vhost->fds_at == 0)
		((struct librte_msg *)msg)->flags &= ~VHOST_MSG_NEED_REPLY;
	if (result == RTE_VHOST_MSG_RESULT_NOT_HANDLED && vhost->ops->pre_msg_handle != NULL)
		result = vhost->ops->pre_msg_handle(vhost->ctx, msg);
	dirtylog_diag_set_limit(NULL);
	return result;
}

static enum rte_vhost_msg_result
follow_after(struct dirtylog_vhost *vhost, struct librte_msg *msg)
{
	struct vhost_vring_addr addr;

	switch (msg->request) {
	case VHOST_USER_SET_LOG_BASE:
		if (message_fds(vhost, msg) == NULL)
			return log_base_mapped(vhost);
		break;
	case VHOST_USER_SET_MEM_TABLE:
		vhost->has_table = true;
		/* fall through */
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		return set_regions(vhost);
	case VHOST_USER_SET_VRING_ADDR:
		addr = msg->payload.addr;
		if (!addr_changed(vhost, &addr))
			break;
		vhost->addrs[addr.index % MAX_VRINGS] = addr;
		resume(vhost, addr.index);
		break;
	case VHOST_USER_GET_VRING_BASE:
		if (dirtylog_stopped(vhost->dl) && dirtylog_suspend_log(vhost->dl) < 0)
			DIRTYLOG_DIAG(WARNING, "vid %d: no memory to stage marks in", vhost->vid);
		break;
	case VHOST_USER_SET_VRING_CALL:
		change_call(vhost, -1);
		break;
	case VHOST_USER_SET_VRING_KICK:
		end_reset(vhost, msg->payload.u64 & VHOST_VRING_INDEX_MASK);
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		if (msg->payload.state.num != 0)
			end_reset(vhost, msg->payload.state.index);
		break;
	/* Not before: librte_vhost may refuse them, and the old ones stay in force. */
	case VHOST_USER_SET_FEATURES:
		return set_features(vhost, msg);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* Called if librte_vhost, or the handler above, has not failed. */
static enum rte_vhost_msg_result
after_message(int vid, void *msg)
{
	struct dirtylog_vhost *vhost = vhost_of(vid);
	enum rte_vhost_msg_result result;

	if (vhost == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	dirtylog_diag_set_limit(&diag_limits[vid]);
	result = follow_after(vhost, msg);
	dirtylog_diag_set_limit(NULL);
	/* Of a message that it does not know, librte_vhost closes them only if nobody answers. */
	if (result == RTE_VHOST_MSG_RESULT_ERR)
		close_fds(msg, vhost->fds_at);
	else if (result == RTE_VHOST_MSG_RESULT_NOT_HANDLED && vhost->ops->post_msg_handle != NULL)
		result = vhost->ops->post_msg_handle(vhost->ctx, msg);
	return result;
}

/* ---- connections ---- */

int
dirtylog_vhost_attach(int vid, struct dirtylog *dl, const struct dirtylog_vhost_ops *ops, void *ctx,
		struct dirtylog_vhost **out)
{
	static const struct rte_vhost_user_extern_ops handlers = {
		.pre_msg_handle = before_message,
		.post_msg_handle = after_message,
	};
	struct dirtylog_vhost *vhost;

	if (vid < 0 || vid >= DIRTYLOG_MAX_VIDS)
		return -EIO;
	vhost = calloc(1, sizeof(*vhost));
	if (vhost == NULL)
		return -ENOMEM;
	vhost->vid = vid;
	vhost->dl = dl;
	vhost->ops = ops;
	vhost->ctx = ctx;
	vhost->fds_at = dirtylog_message_fds_at();
	vhost->call_changing = -1;
	vhost->quiesced = -1;
	pthread_mutex_lock(&connections_lock);
	__atomic_store_n(&connections[vid], vhost, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&connections_lock);
	if (rte_vhost_extern_callback_register(vid, &handlers, NULL) < 0) {
		dirtylog_vhost_detach(vhost);
		return -EIO;
	}
	*out = vhost;
	return 0;
}

void
dirtylog_vhost_detach(struct dirtylog_vhost *vhost)
{
	if (vhost == NULL)
		return;
	pthread_mutex_lock(&connections_lock);
	/* The vid may be another connection's by now: librte_vhost uses it again. */
	if (connections[vhost->vid] == vhost) {
		__atomic_store_n(&connections[vhost->vid], NULL, __ATOMIC_RELEASE);
		/* librte_vhost unmaps it next. */
		dirtylog_forget_memory(vhost->dl);
	}
	pthread_mutex_unlock(&connections_lock);
	free(vhost);
}

void *
dirtylog_vhost_ctx(int vid)
{
	struct dirtylog_vhost *vhost;
	void *ctx;

	pthread_mutex_lock(&connections_lock);
	vhost = vhost_of(vid);
	ctx = vhost == NULL ? NULL : vhost->ctx;
	pthread_mutex_unlock(&connections_lock);
	return ctx;
}

bool
dirtylog_vhost_may_log(int vid)
{
	return vid < 0 || vid >= DIRTYLOG_MAX_VIDS || dirtylog_diag_take(&diag_limits[vid]);
}

int
dirtylog_vhost_get_queue_stats(int vid, uint32_t index, struct dirtylog_marker_stats *stats)
{
	struct dirtylog_vhost *vhost;
	int ret = -ENODEV;

	pthread_mutex_lock(&connections_lock);
	vhost = vhost_of(vid);
	if (vhost != NULL)
		ret = dirtylog_get_queue_stats(vhost->dl, index, stats);
	pthread_mutex_unlock(&connections_lock);
	return ret;
}

int
dirtylog_vhost_get_stats(int vid, struct dirtylog_stats *stats)
{
	struct dirtylog_vhost *vhost;

	pthread_mutex_lock(&connections_lock);
	vhost = vhost_of(vid);
	if (vhost != NULL)
		dirtylog_get_stats(vhost->dl, stats);
	pthread_mutex_unlock(&connections_lock);
	return vhost == NULL ? -ENODEV : 0;
}
