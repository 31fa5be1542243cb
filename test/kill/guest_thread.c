/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "guest_thread.h"
#include "packets.h"

/* Notes a packet; skipped: so many before it were taken without a look. */
static void
note_packet(struct guest_thread *t, const uint8_t *p, uint32_t len, unsigned int skipped)
{
	uint32_t writer, number;
	unsigned int i;

	t->checked++;
	if (!host_packet_read(p, len, &writer, &number)) {
		t->damaged++;
		return;
	}
	for (i = 0; i < t->n_writers && t->writers[i] != writer; i++)
		;
	if (i == t->n_writers) {
		if (i < MAX_WRITERS)
			t->writers[t->n_writers++] = writer;
	} else if (i + 1 < t->n_writers) {
		t->late++; /* what a dead one had written may be shown by the next */
		return;
	} else if (number != t->last_number + 1 + skipped) {
		t->lost++;
	}
	t->last_number = number;
}

static bool
is_used(uint64_t rest, bool wrap)
{
	return ((rest >> 48 & PACKED_F_AVAIL) != 0) == wrap &&
			((rest >> 48 & PACKED_F_USED) != 0) == wrap;
}

/* The n-th used entry that no poll has taken yet: its id and length. */
static bool
peek_used(const struct guest_queue *q, unsigned int n, uint32_t *id, uint32_t *len)
{
	unsigned int at = q->used_idx + n;
	bool wrap = q->used_wrap;
	uint64_t rest;

	if (!q->packed) {
		if (n >= (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->used_idx))
			return false;
		*id = q->used->ring[at & (q->size - 1u)].id;
		*len = q->used->ring[at & (q->size - 1u)].len;
		return true;
	}
	if (at >= q->size) {
		at -= q->size;
		wrap = !wrap;
	}
	rest = __atomic_load_n(&q->ring[at].rest, __ATOMIC_ACQUIRE);
	*id = (uint32_t)(rest >> 32) & 0xffff;
	*len = (uint32_t)rest;
	return is_used(rest, wrap);
}

/* Looks at what the next poll will take, or at most of it; how many packets. */
static unsigned int
check_packets(struct guest_thread *t, const struct guest_queue *q, unsigned int skipped)
{
	unsigned int n;
	uint64_t buffer;
	uint32_t id, len;

	for (n = 0; n < q->size && n < POLL_BATCH && peek_used(q, n, &id, &len); n++) {
		/* What makes no sense is the poll's to say. */
		if (id >= q->size || q->slot[id] == 0)
			break;
		if (len == 0) {
			t->empty++;
			continue;
		}
		if (len <= NET_HEADER_LEN || len > q->buf_len)
			break;
		buffer = q->slot[id];
		note_packet(t,
				q->ram->source + guest_ram_offset(q->ram, BUFFER_GPA(buffer)) +
						NET_HEADER_LEN,
				len - NET_HEADER_LEN, skipped);
		skipped = 0;
	}
	return n;
}

static void *
thread_main(void *arg)
{
	struct guest_thread *t = arg;
	struct guest_queue *rx = &t->guest->queues[0], *tx = &t->guest->queues[1];
	unsigned int looked, taken, skipped = 0;
	int wanted;

	for (;;) {
		wanted = __atomic_load_n(&t->wanted, __ATOMIC_ACQUIRE);
		__atomic_store_n(&t->seen, wanted, __ATOMIC_RELEASE);
		if (wanted == GUEST_ENDS)
			return NULL;
		if (wanted == GUEST_RUNS) {
			looked = check_packets(t, rx, skipped);
			taken = guest_queue_poll(rx, 0);
			/* More may have come between the look and the poll. */
			skipped = looked > 0 ? taken - looked : skipped + taken;
			guest_queue_poll(tx, 0);
		}
		sched_yield(); /* the back-end may have no other CPU */
	}
}

int
guest_thread_start(struct guest_thread *t, struct guest *guest)
{
	int ret;

	*t = (struct guest_thread){ .guest = guest, .wanted = GUEST_PARKED };
	ret = pthread_create(&t->thread, NULL, thread_main, t);
	if (ret != 0) {
		warnx("thread: %s", strerror(ret));
		return -ret;
	}
	t->started = true;
	return 0;
}

void
guest_thread_set(struct guest_thread *t, int wanted)
{
	__atomic_store_n(&t->wanted, wanted, __ATOMIC_RELEASE);
	while (__atomic_load_n(&t->seen, __ATOMIC_ACQUIRE) != wanted)
		sched_yield();
}

void
guest_thread_end(struct guest_thread *t)
{
	if (!t->started)
		return;
	guest_thread_set(t, GUEST_ENDS);
	pthread_join(t->thread, NULL);
	t->started = false;
}
