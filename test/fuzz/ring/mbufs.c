/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include "fail.h"
#include "ring/mbufs.h"

/* Behind each buffer; nobody may touch it. */
#define RED_ZONE 64U

struct stack {
	bool ready; /* the mbufs are initialised */
	unsigned int n, size;
	void *objects[];
};

static uint32_t allowed = UINT32_MAX;

static int
alloc_stack(struct rte_mempool *pool)
{
	struct stack *stack = calloc(1, sizeof(*stack) + pool->size * sizeof(void *));

	if (stack == NULL)
		return -ENOMEM;
	stack->size = pool->size;
	pool->pool_data = stack;
	return 0;
}

static void
free_stack(struct rte_mempool *pool)
{
	free(pool->pool_data);
}

static int
put(struct rte_mempool *pool, void *const *objects, unsigned int n)
{
	struct stack *stack = pool->pool_data;
	unsigned int i;

	for (i = 0; i < n; i++) {
		FUZZ_CHECK(stack->n < stack->size, "an mbuf is freed twice");
		stack->objects[stack->n++] = objects[i];
		if (stack->ready)
			ASAN_POISON_MEMORY_REGION(objects[i], pool->elt_size);
	}
	if (allowed != UINT32_MAX)
		allowed += n;
	return 0;
}

static int
get(struct rte_mempool *pool, void **objects, unsigned int n)
{
	struct stack *stack = pool->pool_data;
	unsigned int i;

	if (stack->n < n || allowed < n)
		return -ENOBUFS;
	for (i = 0; i < n; i++) {
		objects[i] = stack->objects[--stack->n];
		ASAN_UNPOISON_MEMORY_REGION(objects[i], pool->elt_size - RED_ZONE);
	}
	if (allowed != UINT32_MAX)
		allowed -= n;
	return 0;
}

static unsigned int
count(const struct rte_mempool *pool)
{
	return ((const struct stack *)pool->pool_data)->n;
}

static const struct rte_mempool_ops ops = {
	.name = "fuzz",
	.alloc = alloc_stack,
	.free = free_stack,
	.enqueue = put,
	.dequeue = get,
	.get_count = count,
};
RTE_MEMPOOL_REGISTER_OPS(ops)

static void
shorten(struct rte_mempool *pool, void *opaque, void *object, unsigned int index)
{
	struct rte_mbuf *mbuf = object;

	(void)opaque;
	(void)index;
	mbuf->buf_len -= RED_ZONE;
	ASAN_POISON_MEMORY_REGION(object, pool->elt_size);
}

struct rte_mempool *
mbufs_create(const char *name, unsigned int n, uint16_t room)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create_by_ops(name, n, 0, 0,
			(uint16_t)(RTE_PKTMBUF_HEADROOM + room + RED_ZONE), SOCKET_ID_ANY, "fuzz");
	struct rte_pktmbuf_pool_private *private;

	FUZZ_CHECK(pool != NULL, "no pool of mbufs");
	private = rte_mempool_get_priv(pool);
	private->mbuf_data_room_size -= RED_ZONE;
	rte_mempool_obj_iter(pool, shorten, NULL);
	((struct stack *)pool->pool_data)->ready = true;
	return pool;
}

void
mbufs_allow(uint32_t n)
{
	allowed = n;
}

void
mbufs_check(struct rte_mempool *pool)
{
	FUZZ_CHECK(count(pool) == pool->size, "%u mbufs of pool %s are lost",
			pool->size - count(pool), pool->name);
}

void
mbufs_hide_rest(struct rte_mbuf *seg)
{
	uint8_t *data = rte_pktmbuf_mtod(seg, uint8_t *);
	uint8_t *end = (uint8_t *)seg->buf_addr + seg->buf_len;
	/* rte_memcpy() reads whole lines of 16 bytes, and takes what it wants of them. */
	uint8_t *behind = RTE_PTR_ALIGN_CEIL(data + seg->data_len, 16);

	ASAN_POISON_MEMORY_REGION(seg->buf_addr,
			(size_t)((uint8_t *)RTE_PTR_ALIGN_FLOOR(data, 16) -
					(uint8_t *)seg->buf_addr));
	if (behind < end)
		ASAN_POISON_MEMORY_REGION(behind, (size_t)(end - behind));
}
