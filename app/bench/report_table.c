/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include "report.h"

static const char *const way_names[N_WAYS] = { "receives", "sends" };

static void
print_title(FILE *f, const struct options *o, const struct results *r)
{
	fprintf(f,
			"%s: %s ring of %u%s%s%s, %u queue pair%s, %u buffers of %u bytes per ring, %s%s; "
			"%" PRIu64 " MiB of RAM%s, %u region%s",
			o->label, o->packed ? "packed" : "split", o->ring_size,
			o->mergeable ? ", mergeable" : "", o->in_order ? ", in order" : "",
			o->tables ? ", indirect tables" : "", o->queue_pairs,
			o->queue_pairs > 1 ? "s" : "", o->buffers, o->buffer_size,
			o->order == ORDER_RANDOM ? "random" : "sequential",
			o->spread ? ", spread" : "", r->ram_mib,
			o->hugepages ? " in huge pages" : "", o->regions,
			o->regions > 1 ? "s" : "");
	if (o->direction != DIRECTION_RX && o->size == IMIX)
		fprintf(f, "; sends IMIX");
	else if (o->direction != DIRECTION_RX)
		fprintf(f, "; sends %u bytes", o->size);
	fprintf(f, "\n\n");
}

static void
print_phase(FILE *f, const struct results *r, enum phase phase, int way)
{
	const struct phase_result *p = &r->phase[phase];
	const struct gap_histogram *g = &p->gaps[way];
	double base = phase_mpps(r, PHASE_BASELINE, way), rate = phase_mpps(r, phase, way);

	if (p->seconds < 0.001 || (p->packets[way] == 0 && base == 0))
		return;
	fprintf(f, "%-10s %-9s %8.2f %8.3f %8.1f", phase_name(phase), way_names[way], p->seconds,
			rate,
			p->packets[way] > 0 ? (double)p->bytes[way] / (double)p->packets[way] : 0);
	if (base > 0)
		fprintf(f, " %8.1f%%", 100 * rate / base);
	else
		fprintf(f, " %9s", "-");
	fprintf(f, " %8.1f %8.1f %8.1f %9.1f", (double)gap_quantile(g, 0.5) * 1e-3,
			(double)gap_quantile(g, 0.99) * 1e-3, (double)gap_quantile(g, 0.999) * 1e-3,
			(double)g->max * 1e-3);
	fprintf(f, " %6.1f%% %6.1f%% %6.1f%%\n", 100 * p->busy,
			p->works[way] > 0 ? 100 * (double)p->starved[way] / (double)p->works[way] :
					    0,
			100 * p->away);
}

static void
print_rates(FILE *f, const struct results *r)
{
	static const enum phase shown[] = {
		PHASE_BASELINE,
		PHASE_FULL_COPY,
		PHASE_ROUNDS,
		PHASE_CANCELLED,
	};
	unsigned int i;
	int way;

	fprintf(f, "%-10s %-9s %8s %8s %8s %9s %8s %8s %8s %9s %7s %7s %7s\n", "phase", "the guest",
			"seconds", "Mpps", "bytes", "of base", "gap p50", "p99", "p99.9", "max us",
			"busy", "waited", "away");
	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		for (way = 0; way < N_WAYS; way++)
			print_phase(f, r, shown[i], way);
	fprintf(f,
			"\n"
			"gap: time between two returns of buffers by the back-end. busy: share of its time in which the\n"
			"guest had work. waited: share of polls that found the ring used up, so that the back-end had to\n"
			"wait for the guest. away: share of time in which the guest's thread did not run.\n\n");
}

static void
print_migration(FILE *f, const struct options *o, const struct results *r)
{
	uint64_t log_pages = 0, copied = 0;
	unsigned int i;

	for (i = 0; i < r->n_rounds; i++) {
		log_pages += r->rounds[i].log_pages;
		copied += r->rounds[i].copied_pages;
	}
	fprintf(f,
			"migration: %u rounds%s, %.2f s, downtime %.2f ms; %" PRIu64
			" marks harvested, "
			"%" PRIu64 " pages copied\n",
			r->live_rounds,
			o->converge_pages == NO_CONVERGE ? "" :
					r->converged     ? " (converged)" :
							   " (NOT converged)",
			r->total_s, r->downtime_ms, log_pages, copied);
	fprintf(f,
			"SET_LOG_BASE: %" PRIu64 " sent, reply of %u bytes after %" PRIu64
			" us (median), "
			"%" PRIu64 " us (p99)\n",
			r->log_base_us.total, r->log_reply_bytes,
			gap_quantile(&r->log_base_us, 0.5), gap_quantile(&r->log_base_us, 0.99));
	if (o->last_ring)
		fprintf(f, "last ring: the back-end returned %.0f buffers after the guest had stopped\n",
				r->last_ring_packets);
}

static void
print_memory(FILE *f, const struct results *r)
{
	unsigned int i;

	fprintf(f, "memory: %" PRIu64 " pages compared, %" PRIu64 " differ", r->pages_compared,
			r->differing);
	if (r->differing > 0)
		fprintf(f, " (buffers %" PRIu64 ", rings %" PRIu64 ", other %" PRIu64 ")",
				r->differing_buffers, r->differing_rings, r->differing_other);
	fprintf(f, "\n");
	for (i = 0; i < r->n_differences; i++)
		fprintf(f, "  differs: guest address 0x%" PRIx64 ", %s\n", r->differences[i].gpa,
				r->differences[i].what);
	if (r->differing > r->n_differences)
		fprintf(f, "  ... and %" PRIu64 " more\n", r->differing - r->n_differences);
	fprintf(f,
			"marks: %" PRIu64 " missing, %" PRIu64 " late, %" PRIu64
			" in a log after its end, "
			"%" PRIu64 " after the stop of the rings, %" PRIu64
			" of pages that are no RAM\n",
			r->marks_missing, r->marks_late, r->marks_in_old_log, r->marks_after_stop,
			r->stray_pages);
	if (r->dropped_pages > 0)
		fprintf(f, "--drop-marks-test ignored %" PRIu64 " harvested pages\n",
				r->dropped_pages);
	fprintf(f, "%s\n", results_pages_lost(r) ? "PAGES LOST" : "no page lost");
}

void
report_table(FILE *f, const struct options *o, const struct results *r)
{
	print_title(f, o, r);
	print_rates(f, r);
	if (!r->migrated)
		return;
	print_migration(f, o, r);
	print_memory(f, r);
}
