/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * dirtylog-mark-bench: what one mark costs with libdirtylog, and what it costs in the
 * ways of other vhost back-ends.
 */

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "report.h"

#define MAX_ROUNDS 100000u
#define MAX_MARKS (1u << 24)
#define NB_SCENES (NB_PATTERNS * 2 * MAX_THREADS)

static void
usage(FILE *stream)
{
	fprintf(stream,
			"usage: dirtylog-mark-bench [--rounds N] [--marks N] [--json FILE]\n"
			"  --rounds N   turns of each method in each scene (default 201)\n"
			"  --marks N    marks per turn and thread, a multiple of %u; where the log is\n"
			"               harvested, it is so once per turn (default 8192: about 1 ms of a\n"
			"               queue with 8 million packets per second)\n"
			"  --json FILE  write the results there too\n",
			BURST);
}

/* A number in [1, max] and nothing else. */
static bool
parse_number(const char *name, const char *text, uint32_t max, uint32_t *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == 0 ||
			value > max) {
		fprintf(stderr, "--%s: '%s' is no number from 1 to %u\n", name, text, max);
		return false;
	}
	*number = (uint32_t)value;
	return true;
}

/* Against the kernel's clock, for 50 ms. */
static double
tsc_hz(void)
{
	struct timespec start, now;
	uint64_t tsc;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC_RAW, &start);
	tsc = rte_rdtsc();
	do {
		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		seconds = (double)(now.tv_sec - start.tv_sec) +
				(double)(now.tv_nsec - start.tv_nsec) / 1e9;
	} while (seconds < 0.05);
	return (double)(rte_rdtsc() - tsc) / seconds;
}

static uint32_t
count_cpus(void)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return 1;
	return (uint32_t)CPU_COUNT(&allowed);
}

static int
write_json(const struct report *report, const char *path)
{
	FILE *file = fopen(path, "w");
	bool failed;

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	report_json(report, file);
	failed = ferror(file) != 0;
	if (fclose(file) != 0 || failed) {
		fprintf(stderr, "%s: cannot write\n", path);
		return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "marks", required_argument, NULL, 'm' },
		{ "json", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct settings settings = { .rounds = 201, .marks = 8192 };
	struct result results[NB_SCENES];
	struct report report = { .settings = &settings, .results = results };
	const char *json = NULL;
	uint32_t i;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'r':
			if (!parse_number("rounds", optarg, MAX_ROUNDS, &settings.rounds))
				return EXIT_FAILURE;
			break;
		case 'm':
			if (!parse_number("marks", optarg, MAX_MARKS, &settings.marks))
				return EXIT_FAILURE;
			break;
		case 'j':
			json = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind != argc || settings.marks % BURST != 0) {
		usage(stderr);
		return EXIT_FAILURE;
	}

	report.tsc_hz = tsc_hz();
	report.nb_cpus = count_cpus();
	if (report.nb_cpus < MAX_THREADS)
		fprintf(stderr, "warning: %u processor: %u threads share it, their figures say little\n",
				report.nb_cpus, MAX_THREADS);
	for (i = 0; i < NB_SCENES; i++) {
		const struct scene scene = {
			.pattern = (enum pattern)(i % NB_PATTERNS),
			.harvested = i / NB_PATTERNS % 2 != 0,
			.nb_threads = i / NB_PATTERNS / 2 + 1,
		};

		if (measure(&scene, &settings, &results[i]) != 0)
			return EXIT_FAILURE;
		report.nb_results = i + 1;
	}
	report_table(&report, stdout);
	if (json != NULL && write_json(&report, json) != 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
