/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include "report.h"

static const char *const way_names[N_WAYS] = { "rx", "tx" };

static void
print_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static const char *
boolean(bool b)
{
	return b ? "true" : "false";
}

static void
print_options(FILE *f, const struct options *o, const struct results *r)
{
	static const char *const directions[] = { "rx", "tx", "both" };
	static const char *const swaps[] = { "never", "same", "qemu", "ch" };

	fprintf(f, "  \"label\": ");
	print_string(f, o->label);
	fprintf(f,
			",\n  \"options\": {\"ring\": \"%s\", \"mergeable\": %s, \"in_order\": %s, \"tables\": %s, "
			"\"ring_size\": %u, \"queue_pairs\": %u, \"direction\": \"%s\", \"size\": ",
			o->packed ? "packed" : "split", boolean(o->mergeable), boolean(o->in_order),
			boolean(o->tables), o->ring_size, o->queue_pairs, directions[o->direction]);
	if (o->size == IMIX)
		fprintf(f, "\"imix\"");
	else
		fprintf(f, "%u", o->size);
	fprintf(f,
			",\n    \"buffers\": %u, \"buffer_size\": %u, \"order\": \"%s\", \"spread\": %s, "
			"\"ram_mib\": %" PRIu64
			", \"regions\": %u, \"hugepages\": %s,\n    \"interval_ms\": %u, "
			"\"log_swap\": \"%s\", \"log_hugepages\": %s, \"cancels\": %u, \"bandwidth_mib\": %u, "
			"\"poison\": %s, \"last_ring\": %s},\n",
			o->buffers, o->buffer_size,
			o->order == ORDER_RANDOM ? "random" : "sequential", boolean(o->spread),
			r->ram_mib, o->regions, boolean(o->hugepages), o->intervals[0],
			swaps[o->log_swap], boolean(o->log_hugepages), o->cancels, o->bandwidth_mib,
			boolean(o->poison), boolean(o->last_ring));
	fprintf(f, "  \"features\": \"0x%" PRIx64 "\", \"protocol_features\": \"0x%" PRIx64 "\",\n",
			r->features, r->protocol_features);
}

static void
print_way(FILE *f, const struct results *r, enum phase phase, int way)
{
	const struct phase_result *p = &r->phase[phase];
	const struct gap_histogram *g = &p->gaps[way];

	fprintf(f,
			"\"%s\": {\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
			", \"mpps\": %.6f, "
			"\"gap_us\": {\"p50\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f}, "
			"\"back_end_waited\": %.5f}",
			way_names[way], p->packets[way], p->bytes[way], phase_mpps(r, phase, way),
			(double)gap_quantile(g, 0.5) * 1e-3, (double)gap_quantile(g, 0.99) * 1e-3,
			(double)gap_quantile(g, 0.999) * 1e-3, (double)g->max * 1e-3,
			p->works[way] > 0 ? (double)p->starved[way] / (double)p->works[way] : 0);
}

static void
print_phases(FILE *f, const struct results *r)
{
	enum phase phase;
	int way;

	fprintf(f, "  \"phases\": {");
	for (phase = 0; phase < N_PHASES; phase++) {
		const struct phase_result *p = &r->phase[phase];

		fprintf(f,
				"%s\n    \"%s\": {\"seconds\": %.6f, \"guest_busy\": %.5f, \"guest_away\": %.5f, "
				"\"guest_away_max_us\": %.1f",
				phase == 0 ? "" : ",", phase_name(phase), p->seconds, p->busy,
				p->away, p->away_max_us);
		for (way = 0; way < N_WAYS; way++) {
			fprintf(f, ",\n      ");
			print_way(f, r, phase, way);
		}
		fprintf(f, "}");
	}
	fprintf(f, "\n  },\n");
}

/* What is left of the baseline's packet rate while the guest migrates. */
static void
print_kept(FILE *f, const struct results *r)
{
	double base;
	int way;

	fprintf(f, "  \"kept\": {");
	for (way = 0; way < N_WAYS; way++) {
		base = phase_mpps(r, PHASE_BASELINE, way);
		if (base > 0 && r->migrated)
			fprintf(f, "%s\"%s\": %.5f", way == WAY_RX ? "" : ", ", way_names[way],
					phase_mpps(r, PHASE_ROUNDS, way) / base);
		else
			fprintf(f, "%s\"%s\": null", way == WAY_RX ? "" : ", ", way_names[way]);
	}
	fprintf(f, "},\n");
}

static void
print_slices(FILE *f, const struct results *r)
{
	unsigned int i;

	fprintf(f, "  \"slices\": [");
	for (i = 0; i < r->n_slices; i++) {
		const struct slice *s = &r->slices[i];

		fprintf(f,
				"%s\n    {\"phase\": \"%s\", \"attempt\": %u, \"interval_ms\": %u, \"t\": %.6f, "
				"\"seconds\": %.6f, \"rx_packets\": %" PRIu64
				", \"tx_packets\": %" PRIu64 ", \"guest_away\": %.5f}",
				i == 0 ? "" : ",", phase_name(s->phase), s->attempt, s->interval_ms,
				s->t, s->seconds, s->packets[WAY_RX], s->packets[WAY_TX], s->away);
	}
	fprintf(f, "\n  ],\n");
}

static void
print_rounds(FILE *f, const struct results *r)
{
	unsigned int i;

	fprintf(f, "  \"rounds\": [");
	for (i = 0; i < r->n_rounds; i++) {
		const struct round_result *x = &r->rounds[i];

		fprintf(f,
				"%s\n    {\"attempt\": %u, \"t\": %.6f, \"seconds\": %.6f, \"log_pages\": %" PRIu64
				", \"guest_pages\": %" PRIu64 ", \"copied_pages\": %" PRIu64
				", \"stray_pages\": %" PRIu64 ", \"rx_packets\": %" PRIu64
				", \"tx_packets\": %" PRIu64
				", \"swap_ms\": %.3f, \"sweep_ms\": %.3f, \"copy_ms\": %.3f}",
				i == 0 ? "" : ",", x->attempt, x->t, x->seconds, x->log_pages,
				x->guest_pages, x->copied_pages, x->stray_pages, x->packets[WAY_RX],
				x->packets[WAY_TX], x->swap_ms, x->sweep_ms, x->copy_ms);
	}
	fprintf(f, "\n  ],\n");
}

static void
print_memory(FILE *f, const struct results *r)
{
	unsigned int i;

	fprintf(f,
			"  \"memory\": {\"pages_compared\": %" PRIu64 ", \"differing\": %" PRIu64
			", \"differing_buffers\": %" PRIu64 ", \"differing_rings\": %" PRIu64
			", \"differing_other\": %" PRIu64 ",\n    \"marks_missing\": %" PRIu64
			", \"marks_late\": %" PRIu64 ", \"marks_in_old_log\": %" PRIu64
			", \"marks_after_stop\": %" PRIu64 ", \"stray_pages\": %" PRIu64
			", \"dropped_pages\": %" PRIu64 ",\n    \"differences\": [",
			r->pages_compared, r->differing, r->differing_buffers, r->differing_rings,
			r->differing_other, r->marks_missing, r->marks_late, r->marks_in_old_log,
			r->marks_after_stop, r->stray_pages, r->dropped_pages);
	for (i = 0; i < r->n_differences; i++)
		fprintf(f, "%s{\"gpa\": \"0x%" PRIx64 "\", \"what\": \"%s\"}", i == 0 ? "" : ", ",
				r->differences[i].gpa, r->differences[i].what);
	fprintf(f, "]},\n");
}

void
report_json(FILE *f, const struct options *o, const struct results *r)
{
	fprintf(f, "{\n");
	print_options(f, o, r);
	print_phases(f, r);
	print_kept(f, r);
	print_slices(f, r);
	print_rounds(f, r);
	fprintf(f,
			"  \"migration\": {\"completed\": %s, \"converged\": %s, \"rounds\": %u, "
			"\"total_s\": %.6f, \"downtime_ms\": %.4f, \"last_ring_buffers\": %.0f,\n"
			"    \"set_log_base\": {\"sent\": %" PRIu64
			", \"reply_bytes\": %u, \"us_p50\": %" PRIu64 ", \"us_p99\": %" PRIu64
			", \"us_max\": %" PRIu64 "}},\n",
			boolean(r->migrated), boolean(r->converged), r->live_rounds, r->total_s,
			r->downtime_ms, r->last_ring_packets, r->log_base_us.total,
			r->log_reply_bytes, gap_quantile(&r->log_base_us, 0.5),
			gap_quantile(&r->log_base_us, 0.99), r->log_base_us.max);
	print_memory(f, r);
	fprintf(f, "  \"lost\": %s\n}\n", boolean(results_pages_lost(r)));
}
