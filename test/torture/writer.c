/* SPDX-License-Identifier: BSD-3-Clause */

/* The queues: what they write is marked and, by migrations, to be found. */

#include <sched.h>
#include <unistd.h>

#include "torture.h"

#define MAX_PACKETS 16 /* of a burst */

/* One packet's place. */
struct packet {
	unsigned int region;
	uint64_t offset, len; /* multiples of 8 */
};

static void
draw_packet(struct writer *writer, struct packet *packet)
{
	bool wide = writer->torture->mistake == MARK_BEFORE_WRITE;
	uint64_t r = draw(&writer->random), begin, len;

	packet->region = r % writer->torture->nb_regions;
	begin = packet->region == 0 ? FIRST_PACKET_PAGE * PAGE : 0;
	len = layout[packet->region].nb * PAGE;
	packet->offset = (begin + (r >> 8) % (len - begin)) / 8 * 8;
	r = draw(&writer->random);
	/* Many small ones, some large. */
	packet->len = (60 + (r >> 8) % (wide ? 65536 : r & 1 ? 100 : 9000)) / 8 * 8;
	if (packet->len > len - packet->offset)
		packet->len = len - packet->offset;
}

static void
write_packet(struct writer *writer, const struct packet *packet)
{
	uint64_t *at = writer->torture->source +
			(layout[packet->region].ram * PAGE + packet->offset) / 8;
	uint64_t i;

	for (i = 0; i < packet->len / 8; i++)
		__atomic_store_n(&at[i], ++writer->value, __ATOMIC_RELAXED);
}

static void
mark_packet(struct writer *writer, const struct packet *packet)
{
	dirtylog_mark(&writer->marker, writer->torture->bitmaps[packet->region], packet->offset,
			packet->len);
}

/* The marks of all packets, as a run: before they are written. */
static void
mark_run(struct writer *writer, const struct packet *packets, unsigned int nb)
{
	struct dirtylog_run run = dirtylog_run_begin(&writer->marker);
	unsigned int i;
	uint8_t *host;

	for (i = 0; i < nb; i++) {
		const struct packet *packet = &packets[i];
		const struct dirtylog_region region = {
			.gpa = layout[packet->region].first * PAGE,
			.len = layout[packet->region].nb * PAGE,
			.host = (uint8_t *)writer->torture->source +
					layout[packet->region].ram * PAGE,
			.bitmap = writer->torture->bitmaps[packet->region],
		};
		uint64_t gpa = region.gpa + packet->offset;

		if (!dirtylog_run_mark(&run, gpa, packet->len, packet->len, &host))
			host = dirtylog_run_move(&writer->marker, &run, &region, gpa,
					(uint32_t)packet->len);
		require(host == region.host + packet->offset, "where a packet goes");
	}
	dirtylog_run_end(&writer->marker, &run, nb);
}

/* Entries of the ring, up to its end and on from the first. */
static void
write_entries(struct writer *writer, unsigned int nb)
{
	const uint64_t nb_entries = RING_PAGES * PAGE / 8 - 1;
	uint64_t *entries = writer->torture->source + RING_PAGE(writer) * PAGE / 8 + 1;
	uint64_t first = writer->entry % nb_entries, straight, i;

	/* Some entries that are left as they are: more pages are written sooner. */
	writer->entry += nb + draw(&writer->random) % 300;
	for (i = 0; i < nb; i++)
		__atomic_store_n(&entries[(first + i) % nb_entries], ++writer->value,
				__ATOMIC_RELAXED);
	straight = RTE_MIN((uint64_t)nb, nb_entries - first);
	if (!writer->marker.logging || nb == 0)
		return;
	dirtylog_mark_ring(&writer->marker, 8 + first * 8, straight * 8);
	if (straight != nb)
		dirtylog_mark_ring(&writer->marker, 8, (nb - straight) * 8);
}

/* A burst as a driver's. False: the queue is closed. */
static bool
burst(struct writer *writer)
{
	struct dirtylog_marker *marker = &writer->marker;
	struct packet packets[MAX_PACKETS];
	unsigned int i, nb;
	uint64_t *index = writer->torture->source + RING_PAGE(writer) * PAGE / 8;
	bool stop_wrongly = __atomic_load_n(&writer->stop_wrongly, __ATOMIC_ACQUIRE);

	if (stop_wrongly && __atomic_load_n(&writer->stopped_wrongly, __ATOMIC_RELAXED))
		return false;
	if (!dirtylog_burst_begin(marker))
		return false;
	nb = draw(&writer->random) % (MAX_PACKETS + 1);
	if (nb == 0 && !stop_wrongly) {
		dirtylog_burst_end(marker); /* an idle one */
		return true;
	}
	for (i = 0; i < nb; i++)
		draw_packet(writer, &packets[i]);
	if (writer->torture->mistake == MARK_BEFORE_WRITE) {
		for (i = 0; i < nb; i++)
			mark_packet(writer, &packets[i]);
		dirtylog_flush(marker);
		/* Time for the harvester to come, however slow the machine is. */
		usleep(draw(&writer->random) % 200);
		for (i = 0; i < nb; i++)
			write_packet(writer, &packets[i]);
	} else {
		bool as_run = draw(&writer->random) % 2 == 0;

		if (as_run)
			mark_run(writer, packets, nb);
		for (i = 0; i < nb; i++) {
			write_packet(writer, &packets[i]);
			if (!as_run)
				mark_packet(writer, &packets[i]);
		}
		write_entries(writer, nb);
		if (stop_wrongly)
			marker->nb_marks = marker->ring.nb_marks = 0;
		dirtylog_flush(marker);
	}
	/* The guest's side of promise 1: it may look from here on. */
	__atomic_store_n(index, ++writer->value, __ATOMIC_RELEASE);
	dirtylog_mark_index(marker, 0);
	if (stop_wrongly) {
		marker->index_pending = false;
		marker->ring_bitmap = NULL;
		__atomic_store_n(&writer->stopped_wrongly, true, __ATOMIC_RELEASE);
	}
	dirtylog_burst_end(marker);
	writer->bursts++;
	writer->packets += nb;
	return true;
}

void *
write_packets(void *arg)
{
	struct writer *writer = arg;

	while (!__atomic_load_n(&writer->torture->quit, __ATOMIC_ACQUIRE)) {
		if (!burst(writer))
			sched_yield();
		else if (draw(&writer->random) % 4 == 0)
			usleep(draw(&writer->random) % 200);
	}
	return NULL;
}
