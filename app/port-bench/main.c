/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirtylog-port-bench: bursts of vhost ports, timed in the process that makes them.
 * It is back-end, VMM and guest at once.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cycles.h"
#include "eal.h"
#include "scratch.h"
#include "vhost_poke.h"

#define MIN_HUGE_PAGES 400 /* of 2 MiB, for the EAL and the largest guests */
#define DEFAULT_SECONDS 35u
#define DEFAULT_BURSTS 512u /* whole rounds of the rings */

static const struct {
	const char *name;
	int (*run)(struct port_bench *b);
} modes[] = {
	{ "small", mode_small },
	{ "idle", mode_idle },
	{ "events", mode_events },
	{ "queues", mode_queues },
	{ "memcpy", mode_memcpy },
	{ "count", mode_count },
};
#define TIMED_MODES ((1u << (RTE_DIM(modes) - 1)) - 1) /* the last times nothing */

/* clang-format off */
static const char usage[] =
"usage: dirtylog-port-bench [options]\n"
"Times the bursts of ports of net_vhost and net_dirtylog, in turns, in one process that\n"
"is also their VMM and guest. Prints raw turns as JSON; app/compare/port_bench.py makes\n"
"tables of them.\n"
"  --mode LIST      of small,idle,events,queues,memcpy (all these) and count:\n"
"                     small   rates in bursts of 1, 2, 3, 4 and 32 packets\n"
"                     idle    time of a poll that finds nothing\n"
"                     events  delays of bursts while logging begins, changes its log, ends\n"
"                     queues  two queues on two cores against one\n"
"                     memcpy  large packets, beside only copying them\n"
"                     count   a number of bursts and no times: instructions.py in the\n"
"                             program's source folder has valgrind count their instructions\n"
"  --seconds N      per mode, roughly (35)\n"
"  --bursts N       per cell of mode count (512)\n"
"  --port NAME      mode count: net_vhost or net_dirtylog only\n"
"  --cells PATTERN  mode count: of RING/DIRECTION/SIZE/BURST/LOG/BUFFERS, such as\n"
"                   'packed/rx/64/*/on/random' (*)\n"
"  --quick          fewer settings\n"
"  --json FILE      where results go (-, which is standard output)\n"
"  --cpus A,B       A: guest and all control threads, B: bursts (0,1, if they may be used)\n"
"  --driver PATH    librte_net_dirtylog.so (that of the build which this program is of)\n"
"  --no-huge        no huge pages, even where there are enough free ones\n"
"  --help\n";
/* clang-format on */

static int
parse_modes(const char *text, unsigned int *chosen)
{
	char *copy = strdup(text), *rest = copy, *word;
	unsigned int i;
	int ret = 0;

	*chosen = 0;
	while (ret == 0 && (word = strsep(&rest, ",")) != NULL) {
		for (i = 0; i < RTE_DIM(modes) && strcmp(word, modes[i].name) != 0; i++)
			;
		if (i == RTE_DIM(modes)) {
			warnx("--mode: '%s' is none of them", word);
			ret = -EINVAL;
		} else {
			*chosen |= 1u << i;
		}
	}
	free(copy);
	return ret;
}

static int
parse_number(const char *text, unsigned long min, unsigned long max, const char **rest,
		unsigned int *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno != 0 || n < min || n > max)
		return -EINVAL;
	*rest = end;
	*value = (unsigned int)n;
	return 0;
}

static int
parse_cpus(const char *text, unsigned int *cpus)
{
	const char *rest;

	if (parse_number(text, 0, CPU_SETSIZE - 1, &rest, &cpus[0]) == 0 && *rest == ',' &&
			parse_number(rest + 1, 0, CPU_SETSIZE - 1, &rest, &cpus[1]) == 0 &&
			*rest == '\0')
		return 0;
	warnx("--cpus: '%s' is not two numbers", text);
	return -EINVAL;
}

static int
parse_port(const char *text, const char **port)
{
	unsigned int i;

	for (i = 0; i < NB_DRIVERS; i++) {
		if (strcmp(text, driver_names[i]) == 0) {
			*port = driver_names[i];
			return 0;
		}
	}
	warnx("--port: '%s' is neither %s nor %s", text, driver_names[0], driver_names[1]);
	return -EINVAL;
}

/* The first two that this process may use, or one twice. */
static void
choose_cpus(unsigned int *cpus)
{
	unsigned int cpu, n = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	if (n == 1)
		cpus[1] = cpus[0];
}

static bool
enough_huge_pages(void)
{
	unsigned long free_pages = 0, kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "HugePages_Free: %lu", &free_pages);
		sscanf(line, "Hugepagesize: %lu kB", &kib);
	}
	if (f != NULL)
		fclose(f);
	return kib == 2048 && free_pages >= MIN_HUGE_PAGES;
}

/* 0: run; 1: --help was printed; -EINVAL: what is wrong was printed. */
static int
parse(struct settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "seconds", required_argument, NULL, 's' },
		{ "bursts", required_argument, NULL, 'b' },
		{ "port", required_argument, NULL, 'p' },
		{ "cells", required_argument, NULL, 'C' },
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "driver", required_argument, NULL, 'd' },
		{ "no-huge", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *rest;
	int c, ret = 0;

	*s = (struct settings){
		.modes = TIMED_MODES,
		.seconds = DEFAULT_SECONDS,
		.json = "-",
		.hugepages = enough_huge_pages(),
		.bursts = DEFAULT_BURSTS,
		.cells = "*",
	};
	choose_cpus(s->cpus);
	while (ret == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			ret = parse_modes(optarg, &s->modes);
			break;
		case 's':
			if (parse_number(optarg, 1, 3600, &rest, &s->seconds) < 0 ||
					*rest != '\0') {
				warnx("--seconds: '%s' is no number from 1 to 3600", optarg);
				ret = -EINVAL;
			}
			break;
		case 'b':
			if (parse_number(optarg, 1, 1000000, &rest, &s->bursts) < 0 ||
					*rest != '\0') {
				warnx("--bursts: '%s' is no number from 1 to 1000000", optarg);
				ret = -EINVAL;
			}
			break;
		case 'p':
			ret = parse_port(optarg, &s->port);
			break;
		case 'C':
			s->cells = optarg;
			break;
		case 'q':
			s->quick = true;
			break;
		case 'j':
			s->json = optarg;
			break;
		case 'c':
			ret = parse_cpus(optarg, s->cpus);
			break;
		case 'd':
			s->driver = optarg;
			break;
		case 'n':
			s->hugepages = false;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (ret == 0 && optind != argc) {
		warnx("'%s' is no option", argv[optind]);
		ret = -EINVAL;
	}
	return ret;
}

static int
run_modes(struct port_bench *b)
{
	const struct settings *s = &b->settings;
	unsigned int i;
	int ret = 0;

	fprintf(b->out,
			"{\n  \"program\": \"dirtylog-port-bench\", \"drivers\": [\"%s\", \"%s\"],\n"
			"  \"cpus\": {\"guest\": %u, \"bursts\": %u}, \"hugepages\": %s, \"tsc_hz\": %.0f,\n",
			driver_names[0], driver_names[1], s->cpus[0], s->cpus[1],
			json_bool(s->hugepages), b->hz);
	for (i = 0; ret == 0 && i < RTE_DIM(modes); i++) {
		if ((s->modes & 1u << i) == 0)
			continue;
		ret = modes[i].run(b);
		if (ret < 0)
			warnx("mode %s failed: %s", modes[i].name, strerror(-ret));
	}
	fprintf(b->out, "  \"complete\": %s\n}\n", json_bool(ret == 0));
	return ret;
}

static int
open_output(struct port_bench *b)
{
	const char *name = b->settings.json;

	b->out = strcmp(name, "-") == 0 ? stdout : fopen(name, "w");
	if (b->out == NULL) {
		warn("%s", name);
		return -errno;
	}
	return scratch_make(b);
}

int
main(int argc, char **argv)
{
	static struct port_bench b;
	int ret;

	ret = parse(&b.settings, argc, argv);
	if (ret != 0)
		return ret > 0 ? EXIT_SUCCESS : 2;
	if (b.settings.cpus[0] == b.settings.cpus[1])
		warnx("one CPU only: guest and bursts take it from each other, the figures mean little");
	if (!b.settings.hugepages)
		warnx("no huge pages (%d of 2 MiB free ones are needed): figures are lower than with them",
				MIN_HUGE_PAGES);
	b.hz = (double)cycles_per_second();
	b.cycles_per_ms = (uint64_t)(b.hz / 1000);
	if (open_output(&b) < 0)
		return EXIT_FAILURE;
	ret = eal_start(&b, argv[0]);
	if (ret == 0)
		ret = vhost_poke_create(b.folder);
	if (ret == 0)
		ret = run_modes(&b);
	if (fflush(b.out) != 0 || ferror(b.out) != 0) {
		warn("%s", b.settings.json);
		ret = -EIO;
	}
	vhost_poke_destroy();
	eal_stop();
	scratch_remove();
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
