/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In this file: the table of options, with what each may be; how values are parsed
 * and checked, alone and together; and what the options mean for guest and
 * front-end.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "phase.h"

#define PLUG_SIZE (16u << 20) /* the memory that --log-swap qemu plugs and unplugs */
#define CH_CUT (3u * 32768)   /* memory of three bytes of the log: makes its size odd */

/* clang-format off */
static const char usage[] =
"dirtylog-bench: VMM and guest of a vhost-user-net back-end; measures its packet rate\n"
"while the guest migrates, and checks that no page of guest memory is lost.\n"
"\n"
"usage: dirtylog-bench --socket PATH [option ...]\n"
"\n"
"socket\n"
"  --socket PATH          the back-end's socket\n"
"  --server               listen on it; default: connect to it\n"
"  --timeout SEC          limit of every wait for the back-end (5)\n"
"device\n"
"  --ring split|packed    (split)\n"
"  --mergeable            negotiate mergeable receive buffers\n"
"  --in-order             negotiate in-order use of buffers\n"
"  --tables               each buffer by an indirect table: its header, and the rest, as Linux sends\n"
"  --ring-size N          (256)\n"
"  --queue-pairs N        (1)\n"
"  --direction rx|tx|both as the guest sees it (rx)\n"
"  --size N|imix          bytes of a packet that the guest sends (64);\n"
"                         what it receives, the back-end decides\n"
"guest memory\n"
"  --buffers N            buffers per virtqueue (the ring size)\n"
"  --buffer-size N        (2048)\n"
"  --order sequential|random  order in which buffers are used (sequential)\n"
"  --spread               buffers at random places of all RAM; default: side by side\n"
"  --ram MIB              (as much as the buffers need, at least 16)\n"
"  --regions N            memory regions, 1 to 8 (1)\n"
"  --hole MIB             gap of guest addresses between regions (1024)\n"
"  --one-memfd            all regions in one file, at offsets\n"
"  --hugepages            RAM in 2 MiB pages\n"
"migration\n"
"  --no-migrate           the baseline only\n"
"  --warmup SEC           (0.2), and until each buffer was used once, for 3 seconds at most\n"
"  --baseline SEC         packet rate without logging (0.5), before each migration\n"
"  --time SEC             rounds of the migration after the first full copy (1), rounded up to\n"
"                         whole intervals\n"
"  --interval MS[,MS...]  time from harvest to harvest (100); with --cancel, migrations take turns\n"
"  --log-swap never|same|qemu|ch  (never) same: a new log every --swap-interval;\n"
"                         qemu: memory plugged and unplugged, log resized in QEMU's order;\n"
"                         ch: Cloud Hypervisor's way, a new log of odd size each round\n"
"  --swap-interval MS     (20)\n"
"  --log-hugepages        the log in 2 MiB pages\n"
"  --log-offset BYTES     offset of the log in its file (0)\n"
"  --log-reply any|empty|16   payload demanded in the reply to SET_LOG_BASE (any)\n"
"  --cancel N             cancel N times and begin again (0)\n"
"  --converge PAGES       rounds without pause until so few pages are dirty\n"
"  --max-rounds N         with --converge: no more rounds than these (30)\n"
"  --bandwidth MIB        copy at most so many MiB per second (no limit)\n"
"check of memory\n"
"  --poison               overwrite each received buffer: sees every lost mark; slows the guest\n"
"  --no-last-ring         leave out the last ring, filled between the guest's stop and the rings'\n"
"  --drop-marks-test      ignore one harvested page per round: pages must differ then\n"
"machine\n"
"  --cpus LIST            CPUs of the guest, one thread each (one thread, not pinned)\n"
"  --mover-cpu N          CPU of a thread that harvests and copies (none: the first guest CPU does it\n"
"                         between polls). A guest's own CPU: the kernel shares it between both, and\n"
"                         the back-end waits for the guest while pages are copied\n"
"output\n"
"  --label NAME           name of the back-end in the output\n"
"  --json FILE            '-': standard output, instead of the table\n"
"  --report DIR           table, JSON and pictures (needs gnuplot)\n"
"  --quiet                no progress line\n"
"\n"
"exit status: 0 every page arrived; 1 pages differ or marks are missing;\n"
"2 wrong usage; 3 the back-end misbehaved; 4 this machine lacks something;\n"
"5 the back-end does not offer what the options need\n";
/* clang-format on */

enum kind { FLAG, OFF, NUMBER, SECONDS, WORD, TEXT, SIZE, CPUS, INTERVALS, HELP };

static const char *const rings[] = { "split", "packed", NULL };
static const char *const directions[] = { "rx", "tx", "both", NULL };
static const char *const orders[] = { "sequential", "random", NULL };
static const char *const swaps[] = { "never", "same", "qemu", "ch", NULL };
static const char *const replies[] = { "any", "empty", "16", NULL };

/* How an option is read, and which field it sets. */
struct rule {
	const char *name;
	enum kind kind;
	size_t field;
	unsigned long min, max;
	const char *const *words;
};

#define FIELD(f) offsetof(struct options, f)

static const struct rule rules[] = {
	{ "socket", TEXT, FIELD(socket), 0, 0, NULL },
	{ "server", FLAG, FIELD(server), 0, 0, NULL },
	{ "timeout", SECONDS, FIELD(timeout_ms), 0, 0, NULL },
	{ "ring", WORD, FIELD(packed), 0, 0, rings },
	{ "mergeable", FLAG, FIELD(mergeable), 0, 0, NULL },
	{ "in-order", FLAG, FIELD(in_order), 0, 0, NULL },
	{ "tables", FLAG, FIELD(tables), 0, 0, NULL },
	{ "ring-size", NUMBER, FIELD(ring_size), 2, 32768, NULL },
	{ "queue-pairs", NUMBER, FIELD(queue_pairs), 1, 128, NULL },
	{ "direction", WORD, FIELD(direction), 0, 0, directions },
	{ "size", SIZE, FIELD(size), 60, 16384, NULL },
	{ "buffers", NUMBER, FIELD(buffers), 2, 1ul << 24, NULL },
	{ "buffer-size", NUMBER, FIELD(buffer_size), 256, 65536, NULL },
	{ "order", WORD, FIELD(order), 0, 0, orders },
	{ "spread", FLAG, FIELD(spread), 0, 0, NULL },
	{ "ram", NUMBER, FIELD(ram_mib), 2, 1ul << 20, NULL },
	{ "regions", NUMBER, FIELD(regions), 1, 8, NULL },
	{ "hole", NUMBER, FIELD(hole_mib), 0, 1ul << 20, NULL },
	{ "one-memfd", FLAG, FIELD(one_memfd), 0, 0, NULL },
	{ "hugepages", FLAG, FIELD(hugepages), 0, 0, NULL },
	{ "no-migrate", OFF, FIELD(migrate), 0, 0, NULL },
	{ "warmup", SECONDS, FIELD(warmup_ms), 0, 0, NULL },
	{ "baseline", SECONDS, FIELD(baseline_ms), 0, 0, NULL },
	{ "time", SECONDS, FIELD(time_ms), 0, 0, NULL },
	{ "interval", INTERVALS, 0, 1, 3600000, NULL },
	{ "log-swap", WORD, FIELD(log_swap), 0, 0, swaps },
	{ "swap-interval", NUMBER, FIELD(swap_ms), 1, 3600000, NULL },
	{ "log-hugepages", FLAG, FIELD(log_hugepages), 0, 0, NULL },
	{ "log-offset", NUMBER, FIELD(log_offset), 0, 1ul << 30, NULL },
	{ "log-reply", WORD, FIELD(log_reply), 0, 0, replies },
	{ "cancel", NUMBER, FIELD(cancels), 0, 1000, NULL },
	{ "converge", NUMBER, FIELD(converge_pages), 0, 1ul << 30, NULL },
	{ "max-rounds", NUMBER, FIELD(max_rounds), 1, 100000, NULL },
	{ "bandwidth", NUMBER, FIELD(bandwidth_mib), 1, 1ul << 20, NULL },
	{ "poison", FLAG, FIELD(poison), 0, 0, NULL },
	{ "no-last-ring", OFF, FIELD(last_ring), 0, 0, NULL },
	{ "drop-marks-test", FLAG, FIELD(drop_marks), 0, 0, NULL },
	{ "cpus", CPUS, 0, 0, 0, NULL },
	{ "mover-cpu", NUMBER, FIELD(mover_cpu), 0, 4095, NULL },
	{ "label", TEXT, FIELD(label), 0, 0, NULL },
	{ "json", TEXT, FIELD(json), 0, 0, NULL },
	{ "report", TEXT, FIELD(report_dir), 0, 0, NULL },
	{ "quiet", FLAG, FIELD(quiet), 0, 0, NULL },
	{ "help", HELP, 0, 0, 0, NULL },
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

static int
parse_number(const char *name, const char *text, unsigned long min, unsigned long max,
		unsigned int *value)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v < min || v > max) {
		warnx("--%s: '%s' is not a number from %lu to %lu", name, text, min, max);
		return -EINVAL;
	}
	*value = (unsigned int)v;
	return 0;
}

/* Seconds, with a fraction, as milliseconds. */
static int
parse_seconds(const char *name, const char *text, unsigned int *ms)
{
	double v;
	char *end;

	v = strtod(text, &end);
	if (end == text || *end != '\0' || !(v >= 0 && v <= 86400)) {
		warnx("--%s: '%s' is not a number of seconds from 0 to 86400", name, text);
		return -EINVAL;
	}
	*ms = (unsigned int)(v * 1000 + 0.5);
	return 0;
}

/* The index of text among the words. */
static int
parse_word(const char *name, const char *text, const char *const *words, unsigned int *value)
{
	unsigned int i;

	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(text, words[i]) == 0) {
			*value = i;
			return 0;
		}
	}
	warnx("--%s: '%s' is none of:", name, text);
	for (i = 0; words[i] != NULL; i++)
		fprintf(stderr, "  %s\n", words[i]);
	return -EINVAL;
}

static int
parse_cpus(const char *text, struct options *o)
{
	const char *p = text;
	char *end;
	long a, b;

	o->n_cpus = 0;
	do {
		a = b = strtol(p, &end, 10);
		if (end == p)
			break;
		p = end;
		if (*p == '-') {
			b = strtol(p + 1, &end, 10);
			if (end == p + 1)
				break;
			p = end;
		}
		if (a < 0 || b < a || b > 4095)
			break;
		for (; a <= b; a++) {
			if (o->n_cpus == MAX_CPUS) {
				warnx("--cpus: more than %d", MAX_CPUS);
				return -EINVAL;
			}
			o->cpus[o->n_cpus++] = (unsigned int)a;
		}
		if (*p == '\0')
			return 0;
	} while (*p++ == ',');
	warnx("--cpus: '%s' is not a list such as 0,2-3", text);
	return -EINVAL;
}

static int
parse_intervals(const struct rule *r, const char *text, struct options *o)
{
	char one[16];
	size_t len;
	int ret;

	o->n_intervals = 0;
	for (;; text += len + 1) {
		len = strcspn(text, ",");
		if (o->n_intervals == MAX_INTERVALS) {
			warnx("--%s: more than %d", r->name, MAX_INTERVALS);
			return -EINVAL;
		}
		snprintf(one, sizeof(one), "%.*s", (int)len, text);
		ret = parse_number(r->name, one, r->min, r->max, &o->intervals[o->n_intervals++]);
		if (ret < 0 || text[len] == '\0')
			return ret;
	}
}

static int
apply(struct options *o, const struct rule *r, const char *arg)
{
	void *field = (char *)o + r->field;

	switch (r->kind) {
	case FLAG:
	case OFF:
		*(bool *)field = r->kind == FLAG;
		return 0;
	case TEXT:
		*(const char **)field = arg;
		return 0;
	case NUMBER:
		return parse_number(r->name, arg, r->min, r->max, field);
	case SIZE:
		*(unsigned int *)field = IMIX;
		return strcmp(arg, "imix") == 0 ? 0 :
						  parse_number(r->name, arg, r->min, r->max, field);
	case SECONDS:
		return parse_seconds(r->name, arg, field);
	case WORD:
		return parse_word(r->name, arg, r->words, field);
	case CPUS:
		return parse_cpus(arg, o);
	case INTERVALS:
		return parse_intervals(r, arg, o);
	case HELP:
		break;
	}
	fputs(usage, stdout);
	return 1;
}

/* What the options mean together. */
static int
check_together(struct options *o)
{
	if (o->socket == NULL) {
		warnx("--socket is missing; --help lists all options");
		return -EINVAL;
	}
	if (!o->packed && (o->ring_size & (o->ring_size - 1)) != 0) {
		warnx("--ring-size: a split ring's size is a power of two");
		return -EINVAL;
	}
	if (o->buffers == 0)
		o->buffers = o->ring_size;
	if (o->buffers < o->ring_size) {
		warnx("--buffers: fewer than the ring's %u descriptors", o->ring_size);
		return -EINVAL;
	}
	if (o->direction != DIRECTION_RX && o->size + 12 > o->buffer_size) {
		warnx("--size: packet and header do not fit a buffer of %u bytes", o->buffer_size);
		return -EINVAL;
	}
	if (o->size == IMIX && o->buffer_size < 1518 + 12) {
		warnx("--size imix: packets of 1518 bytes do not fit a buffer of %u bytes",
				o->buffer_size);
		return -EINVAL;
	}
	if (o->log_swap == SWAP_QEMU && o->regions == 8) {
		warnx("--log-swap qemu plugs one more region: at most 7 --regions");
		return -EINVAL;
	}
	if (o->drop_marks && !o->last_ring) {
		warnx("--drop-marks-test needs the last ring: only there each mark is the only one of its page");
		return -EINVAL;
	}
	if (o->log_offset % 4096 != 0 || (o->log_hugepages && o->log_offset % (2u << 20) != 0)) {
		warnx("--log-offset: not a multiple of the log's page size");
		return -EINVAL;
	}
	return 0;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	struct option long_options[N_RULES + 1];
	unsigned int i;
	int c, ret;

	*o = (struct options){
		.timeout_ms = 5000,
		.ring_size = 256,
		.queue_pairs = 1,
		.size = 64,
		.buffer_size = 2048,
		.regions = 1,
		.hole_mib = 1024,
		.migrate = true,
		.warmup_ms = 200,
		.baseline_ms = 500,
		.time_ms = 1000,
		.n_intervals = 1,
		.intervals = { 100 },
		.swap_ms = 20,
		.converge_pages = NO_CONVERGE,
		.max_rounds = 30,
		.last_ring = true,
		.mover_cpu = NO_CPU,
		.label = "back-end",
	};
	memset(long_options, 0, sizeof(long_options));
	for (i = 0; i < N_RULES; i++) {
		bool alone = rules[i].kind == FLAG || rules[i].kind == OFF || rules[i].kind == HELP;

		long_options[i].name = rules[i].name;
		long_options[i].has_arg = alone ? no_argument : required_argument;
		long_options[i].val = (int)i;
	}
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == '?')
			return -EINVAL;
		ret = apply(o, &rules[c], optarg);
		if (ret != 0)
			return ret;
	}
	if (optind != argc) {
		warnx("'%s' is no option", argv[optind]);
		return -EINVAL;
	}
	return check_together(o);
}

void
options_guest(const struct options *o, struct guest_config *c)
{
	*c = (struct guest_config) {
		.queue_pairs = o->queue_pairs,
		.direction = (enum direction)o->direction,
		.ring = {
			.packed = o->packed, .in_order = o->in_order, .mergeable = o->mergeable,
			.indirect = o->tables, .tables = o->tables, .size = o->ring_size, .n_stats = N_PHASES,
		},
		.buffers = {
			.n = o->buffers, .size = o->buffer_size, .packet_size = o->size,
			.order = (enum buffer_order)o->order, .spread = o->spread,
		},
		.ram = {
			.mib = o->ram_mib, .regions = o->regions, .hole_mib = o->hole_mib,
			.one_file = o->one_memfd, .hugepages = o->hugepages,
			.destination = o->migrate,
			.cut = o->migrate && o->log_swap == SWAP_CH ? CH_CUT : 0,
			.plug = o->migrate && o->log_swap == SWAP_QEMU ? PLUG_SIZE : 0,
		},
	};
}

void
options_frontend(const struct options *o, struct frontend_config *c)
{
	*c = (struct frontend_config){
		.socket = o->socket,
		.server = o->server,
		.timeout_ms = o->timeout_ms,
		.migrates = o->migrate,
		.log_reply = (enum log_reply)o->log_reply,
	};
}
