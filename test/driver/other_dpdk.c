/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded, it makes a DPDK that nobody knows of the one that runs: its release is
 * none that there is, and what it passes to extern message handlers looks otherwise.
 * DIRTYLOG_TEST_FDS_AT says where the descriptors lie then: bytes from the beginning
 * of a message, "here" (where they are), or "nowhere" (behind their number, which no
 * release has done). What lies in between could be taken for descriptors.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_vhost.h>

#include "other_dpdk.h"

#define MAX_AT 2048
#define MAX_VIDS 1024

struct fds {
	int fds[8];
	int nb;
};

typedef enum rte_vhost_msg_result handler(int vid, void *msg);

static struct rte_vhost_user_extern_ops real_ops[MAX_VIDS];

const char *
rte_version(void)
{
	return "DPDK 99.11.0";
}

/* 0: nowhere */
static size_t
shown_at(void)
{
	const char *text = getenv("DIRTYLOG_TEST_FDS_AT");

	if (text == NULL || strcmp(text, "here") == 0)
		return OTHER_DPDK_REAL_AT;
	return strtoul(text, NULL, 10) % MAX_AT;
}

/* Swap the order of descriptors and number. */
static void
hide(uint8_t *to, const struct fds *fds)
{
	memcpy(to, &fds->nb, sizeof(fds->nb));
	memcpy(to + sizeof(fds->nb), fds->fds, sizeof(fds->fds));
}

static void
unhide(struct fds *fds, const uint8_t *from)
{
	memcpy(&fds->nb, from, sizeof(fds->nb));
	memcpy(fds->fds, from + sizeof(fds->nb), sizeof(fds->fds));
}

static enum rte_vhost_msg_result
show(handler *handle, int vid, uint8_t *msg)
{
	uint8_t shown[MAX_AT + sizeof(struct fds)] = { 0 };
	const struct fds trap = { .fds = { 2, 1, -1, -1, -1, -1, -1, -1 }, .nb = 2 };
	size_t at = shown_at();
	enum rte_vhost_msg_result ret;
	struct fds fds;

	if (handle == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	memcpy(&fds, msg + OTHER_DPDK_REAL_AT, sizeof(fds));
	memcpy(shown, msg, OTHER_DPDK_REAL_AT);
	memcpy(shown + OTHER_DPDK_REAL_AT, &trap, sizeof(trap));
	if (at == 0)
		hide(shown + OTHER_DPDK_REAL_AT, &fds);
	else
		memcpy(shown + at, &fds, sizeof(fds));
	ret = handle(vid, shown);
	if (at == 0)
		unhide(&fds, shown + OTHER_DPDK_REAL_AT);
	else
		memcpy(&fds, shown + at, sizeof(fds));
	memcpy(msg, shown, OTHER_DPDK_REAL_AT);
	memcpy(msg + OTHER_DPDK_REAL_AT, &fds, sizeof(fds));
	return ret;
}

static enum rte_vhost_msg_result
before_message(int vid, void *msg)
{
	return show(real_ops[vid].pre_msg_handle, vid, msg);
}

static enum rte_vhost_msg_result
after_message(int vid, void *msg)
{
	return show(real_ops[vid].post_msg_handle, vid, msg);
}

int
rte_vhost_extern_callback_register(int vid, struct rte_vhost_user_extern_ops const *const ops,
		void *ctx)
{
	static const struct rte_vhost_user_extern_ops shown_ops = {
		.pre_msg_handle = before_message,
		.post_msg_handle = after_message,
	};
	int (*next)(int, struct rte_vhost_user_extern_ops const *, void *);

	if (vid < 0 || vid >= MAX_VIDS)
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "rte_vhost_extern_callback_register");
	real_ops[vid] = *ops;
	return next(vid, &shown_ops, ctx);
}
