/* SPDX-License-Identifier: BSD-3-Clause */

#include <getopt.h>

#include "torture.h"

#define NB_PLACEMENTS 3
const char *const placement_names[NB_PLACEMENTS] = {
	[DIRTYLOG_PLACEMENT_AUTO] = "auto",
	[DIRTYLOG_PLACEMENT_DIRECT] = "direct",
	[DIRTYLOG_PLACEMENT_STAGED] = "staged",
};

static void
usage(const char *program, int status)
{
	fprintf(status == 0 ? stdout : stderr,
			"usage: %s [--seconds N] [--seed N] [--threads 1..%d]"
			" [--placement staged|direct|auto] [--log normal|huge]"
			" [--mistake drop-swap|no-flush-at-stop|mark-before-write]\n",
			program, MAX_WRITERS);
	exit(status);
}

void
parse_options(struct torture *torture, int argc, char **argv)
{
	static const struct option options[] = { { "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 't' },
		{ "mistake", required_argument, NULL, 'm' },
		{ "placement", required_argument, NULL, 'p' },
		{ "log", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	unsigned int i;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			torture->seconds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			torture->seed = strtoull(optarg, NULL, 10);
			break;
		case 't':
			torture->nb_writers = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			for (i = 0; i < NB_MISTAKES; i++)
				if (strcmp(optarg, mistake_names[i]) == 0)
					break;
			if (i == NB_MISTAKES)
				usage(argv[0], 2);
			torture->mistake = (enum mistake)i;
			break;
		case 'p':
			for (i = 0; i < NB_PLACEMENTS; i++)
				if (strcmp(optarg, placement_names[i]) == 0)
					break;
			if (i == NB_PLACEMENTS)
				usage(argv[0], 2);
			torture->options.placement = (enum dirtylog_placement)i;
			break;
		case 'l':
			if (strcmp(optarg, "huge") != 0 && strcmp(optarg, "normal") != 0)
				usage(argv[0], 2);
			torture->huge_logs = strcmp(optarg, "huge") == 0;
			break;
		default:
			usage(argv[0], option == 'h' ? 0 : 2);
		}
	}
	if (optind != argc || torture->seconds == 0 || torture->nb_writers == 0 ||
			torture->nb_writers > MAX_WRITERS || torture->seed == 0)
		usage(argv[0], 2);
}
