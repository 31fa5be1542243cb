/* SPDX-License-Identifier: BSD-3-Clause */

#include "report.h"
#include "targets.h"

static void
print_scene(const struct scene *scene, FILE *stream)
{
	fprintf(stream, "%u %-7s %-9s %-10s", scene->nb_threads,
			scene->nb_threads == 1 ? "thread" : "threads",
			scene->harvested ? "harvested" : "steady", pattern_names[scene->pattern]);
}

static void
print_costs(const struct report *report, FILE *stream)
{
	uint32_t i, m;

	fprintf(stream, "%-30s", "");
	for (m = 0; m < NB_METHODS; m++)
		fprintf(stream, " %13s", methods[m].name);
	fprintf(stream, "\n");
	for (i = 0; i < report->nb_results; i++) {
		const struct result *result = &report->results[i];

		print_scene(&result->scene, stream);
		for (m = 0; m < NB_METHODS; m++)
			fprintf(stream, " %7.2f ±%4.1f", result->costs[m].median,
					(result->costs[m].p75 - result->costs[m].p25) / 2);
		fprintf(stream, "\n%30s", "fastest slice");
		for (m = 0; m < NB_METHODS; m++)
			fprintf(stream, " %7.2f      ", result->costs[m].min);
		fprintf(stream, "\n");
	}
}

static void
print_target(const struct report *report, const struct target *target, FILE *stream)
{
	uint32_t i, met = 0, of = 0;

	for (i = 0; i < report->nb_results; i++) {
		if (!target_applies(target, &report->results[i].scene))
			continue;
		of++;
		met += target_met(target, &report->results[i]);
	}
	fprintf(stream, "\n%s: %s (%u of %u)\n", target->what,
			met == of                ? "MET" :
					met == 0 ? "NOT MET" :
						   "MET IN PART",
			met, of);
	for (i = 0; i < report->nb_results; i++) {
		const struct result *result = &report->results[i];

		if (!target_applies(target, &result->scene))
			continue;
		fprintf(stream, "  ");
		print_scene(&result->scene, stream);
		fprintf(stream, " %7.2f times %s\n", target_ratio(target, result),
				target_met(target, result) ? "met" : "not met");
	}
}

void
report_table(const struct report *report, FILE *stream)
{
	uint32_t i;

	fprintf(stream,
			"Cycles of the timestamp counter (%.0f MHz) per mark: median of %u rounds, "
			"± half the distance of the quartiles.\n",
			report->tsc_hz / 1e6, report->settings->rounds);
	fprintf(stream,
			"Bursts of %u marks, %u marks per slice and thread; \"harvested\": all bits "
			"are cleared before each slice.\n\n",
			BURST, report->settings->marks);
	for (i = 0; i < NB_METHODS; i++)
		fprintf(stream, "  %-13s %s\n", methods[i].name, methods[i].what);
	fprintf(stream, "\n");
	print_costs(report, stream);
	for (i = 0; i < NB_TARGETS; i++)
		print_target(report, &targets[i], stream);
}
