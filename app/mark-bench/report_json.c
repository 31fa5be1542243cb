/* SPDX-License-Identifier: BSD-3-Clause */

#include "report.h"
#include "targets.h"

static void
print_scene(const struct scene *scene, FILE *stream)
{
	fprintf(stream, "\"threads\": %u, \"log\": \"%s\", \"pages\": \"%s\"", scene->nb_threads,
			scene->harvested ? "harvested" : "steady", pattern_names[scene->pattern]);
}

static void
print_result(const struct result *result, FILE *stream)
{
	uint32_t m;

	fprintf(stream, "    {");
	print_scene(&result->scene, stream);
	fprintf(stream, ", \"cycles_per_mark\": {");
	for (m = 0; m < NB_METHODS; m++) {
		const struct cost *cost = &result->costs[m];

		fprintf(stream,
				"%s\n      \"%s\": {\"median\": %.3f, \"min\": %.3f, "
				"\"p25\": %.3f, \"p75\": %.3f}",
				m == 0 ? "" : ",", methods[m].name, cost->median, cost->min,
				cost->p25, cost->p75);
	}
	fprintf(stream, "}}");
}

static void
print_target(const struct report *report, const struct target *target, FILE *stream)
{
	const char *comma = "";
	uint32_t i;

	fprintf(stream, "    {\"target\": \"%s\", \"against\": \"%s\", \"bound\": %.1f, \"scenes\": [",
			target->what, methods[target->against].name, target->times);
	for (i = 0; i < report->nb_results; i++) {
		const struct result *result = &report->results[i];

		if (!target_applies(target, &result->scene))
			continue;
		fprintf(stream, "%s\n      {", comma);
		print_scene(&result->scene, stream);
		fprintf(stream, ", \"ratio\": %.3f, \"met\": %s}", target_ratio(target, result),
				target_met(target, result) ? "true" : "false");
		comma = ",";
	}
	fprintf(stream, "]}");
}

void
report_json(const struct report *report, FILE *stream)
{
	uint32_t i;

	fprintf(stream,
			"{\n  \"program\": \"dirtylog-mark-bench\",\n  \"tsc_hz\": %.0f,\n"
			"  \"cpus\": %u,\n  \"burst\": %u,\n  \"rounds\": %u,\n"
			"  \"marks_per_slice\": %u,\n  \"results\": [\n",
			report->tsc_hz, report->nb_cpus, BURST, report->settings->rounds,
			report->settings->marks);
	for (i = 0; i < report->nb_results; i++) {
		print_result(&report->results[i], stream);
		fprintf(stream, i + 1 < report->nb_results ? ",\n" : "\n");
	}
	fprintf(stream, "  ],\n  \"targets\": [\n");
	for (i = 0; i < NB_TARGETS; i++) {
		print_target(report, &targets[i], stream);
		fprintf(stream, i + 1 < NB_TARGETS ? ",\n" : "\n");
	}
	fprintf(stream, "  ]\n}\n");
}
