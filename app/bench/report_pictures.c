/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pictures by gnuplot: its script and data stay in the folder, so that a picture
 * can be drawn again in another way.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define GNUPLOT_LIMIT_MS 60000

extern char **environ;

static const char *const way_titles[N_WAYS] = { "the guest receives", "the guest sends" };
static const char *const way_colours[N_WAYS] = { "#1f5fa8", "#c8641e" };

/* Phases that last long enough to be seen, with the colour of their background. */
static const struct {
	enum phase phase;
	const char *colour;
} bands[] = {
	{ PHASE_BASELINE, "#e8f3e8" },
	{ PHASE_FULL_COPY, "#f7dfc8" },
	{ PHASE_ROUNDS, "#fdf3d8" },
	{ PHASE_CANCELLED, "#ececec" },
	{ PHASE_STOP, "#f3d0d0" },
};

static FILE *
create(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL)
		warn("%s", path);
	return f;
}

static bool
moves(const struct results *r, int way)
{
	enum phase phase;

	for (phase = 0; phase < N_PHASES; phase++)
		if (r->phase[phase].packets[way] > 0)
			return true;
	return false;
}

static int
write_rates(const char *dir, const struct results *r)
{
	FILE *f = create(dir, "rate.dat");
	const struct sample *a = r->samples, *b;
	unsigned int i;
	double dt;

	if (f == NULL)
		return -errno;
	fprintf(f, "# seconds, Mpps that the guest receives, Mpps that it sends\n");
	for (i = 1; i < r->n_samples; i++) {
		b = &r->samples[i];
		dt = b->t - a->t;
		/* Samples at the borders of phases lie close to others. */
		if (dt < 0.005)
			continue;
		fprintf(f, "%.6f %.6f %.6f\n", (a->t + b->t) / 2,
				(double)(b->packets[WAY_RX] - a->packets[WAY_RX]) / dt * 1e-6,
				(double)(b->packets[WAY_TX] - a->packets[WAY_TX]) / dt * 1e-6);
		a = b;
	}
	return fclose(f);
}

static int
write_rounds(const char *dir, const struct results *r)
{
	FILE *f = create(dir, "rounds.dat");
	unsigned int i;

	if (f == NULL)
		return -errno;
	fprintf(f, "# round, pages marked by the back-end, pages written by the guest, pages copied\n");
	for (i = 0; i < r->n_rounds; i++)
		fprintf(f, "%u %llu %llu %llu\n", i, (unsigned long long)r->rounds[i].log_pages,
				(unsigned long long)r->rounds[i].guest_pages,
				(unsigned long long)r->rounds[i].copied_pages);
	return fclose(f);
}

/* One block per curve: time, share of gaps that last longer. */
static int
write_gaps(const char *dir, const struct results *r)
{
	static const enum phase shown[] = { PHASE_BASELINE, PHASE_FULL_COPY, PHASE_ROUNDS };
	FILE *f = create(dir, "gaps.dat");
	unsigned int i, c;
	uint64_t sum;
	int way;

	if (f == NULL)
		return -errno;
	fprintf(f, "# microseconds, share of all gaps that last longer\n");
	for (way = 0; way < N_WAYS; way++) {
		for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
			const struct gap_histogram *g = &r->phase[shown[i]].gaps[way];

			if (g->total == 0)
				continue;
			fprintf(f, "\"%s, %s\"\n", phase_name(shown[i]), way_titles[way]);
			for (c = 0, sum = 0; c + 1 < GAP_CLASSES; c++) {
				sum += g->count[c];
				if (g->count[c] > 0 && sum < g->total)
					fprintf(f, "%.4f %.3e\n",
							(double)gap_class_value(c + 1) * 1e-3,
							(double)(g->total - sum) /
									(double)g->total);
			}
			fprintf(f, "%.4f %.3e\n\n\n", (double)g->max * 1e-3,
					0.5 / (double)g->total);
		}
	}
	return fclose(f);
}

/* A coloured band for each stretch of samples in one phase. */
static void
plot_bands(FILE *f, const struct results *r)
{
	unsigned int i, first, b, object = 1, labels[N_PHASES] = { 0 };

	for (i = 1, first = 0; i <= r->n_samples; i++) {
		enum phase phase = r->samples[first].phase;

		if (i < r->n_samples && r->samples[i].phase == phase)
			continue;
		for (b = 0; b < sizeof(bands) / sizeof(bands[0]); b++) {
			double from = r->samples[first].t;
			double to = i < r->n_samples ? r->samples[i].t : r->samples[i - 1].t;

			if (bands[b].phase != phase || to <= from)
				continue;
			fprintf(f,
					"set object %u rectangle from first %.6f, graph 0 to first %.6f, graph 1 "
					"fillcolor rgb '%s' fillstyle solid noborder behind\n",
					object++, from, to, bands[b].colour);
			/* The name once; in a short phase it stands upright. */
			if (labels[phase]++ == 0)
				fprintf(f, "set label '%s' at first %.6f, graph 0.97 %s tc rgb '#505050' font ',10'\n",
						phase_name(phase), (from + to) / 2,
						to - from > r->samples[r->n_samples - 1].t / 8 ?
								"center" :
								"rotate by 90 right");
		}
		first = i;
	}
}

/* The mean of each baseline and of each migration's rounds, as a line with its value. */
static void
plot_means(FILE *f, const struct results *r)
{
	double all = r->samples[r->n_samples - 1].t, mean;
	unsigned int i, arrow = 1;
	int way;

	for (i = 0; i < r->n_slices; i++) {
		const struct slice *s = &r->slices[i];

		if ((s->phase != PHASE_BASELINE && s->phase != PHASE_ROUNDS) ||
				s->seconds < all / 50)
			continue;
		for (way = 0; way < N_WAYS; way++) {
			mean = (double)s->packets[way] / s->seconds * 1e-6;
			if (s->packets[way] == 0)
				continue;
			fprintf(f,
					"set arrow %u from first %.6f, first %.6f to first %.6f, first %.6f nohead front "
					"lw 2 dt 2 lc rgb '#202020'\n",
					arrow++, s->t, mean, s->t + s->seconds, mean);
			if (s->seconds > all / 12)
				fprintf(f,
						"set label 'mean %.2f' at first %.6f, first %.6f center offset 0, -1.2 front "
						"tc rgb '#202020' font ',10'\n",
						mean, s->t + s->seconds / 2, mean);
		}
	}
}

static void
plot_rate(FILE *f, const struct options *o, const struct results *r, const char *format)
{
	const char *comma = "";
	int way;

	fprintf(f,
			"reset\nset output 'rate.%s'\nset title '%s: packet rate before and while its guest migrates' "
			"noenhanced\n",
			format, o->label);
	plot_bands(f, r);
	plot_means(f, r);
	fprintf(f,
			"set xlabel 'seconds'\nset ylabel 'million packets per second'\nset yrange [0:*]\n"
			"set xrange [0:%.3f]\nset grid ytics lc rgb '#d0d0d0'\nset key tmargin right horizontal\n"
			"set offsets 0, 0, graph 0.12, 0\nplot ",
			r->samples[r->n_samples - 1].t);
	for (way = 0; way < N_WAYS; way++) {
		if (!moves(r, way))
			continue;
		fprintf(f, "%s'rate.dat' using 1:%d with lines lw %d lc rgb '%s' title '%s'", comma,
				way + 2, way == WAY_RX ? 4 : 2, way_colours[way], way_titles[way]);
		comma = ", ";
	}
	fprintf(f, "\n");
}

static void
plot_rounds(FILE *f, const struct options *o, const struct results *r, const char *format)
{
	fprintf(f,
			"reset\nset output 'dirty.%s'\nset title '%s: dirty pages per round of the migration' noenhanced\n"
			"set xlabel 'round (0: the first copy of all memory; the last ones: stop)'\n"
			"set ylabel 'pages of 4 KiB (logarithmic)'\nset logscale y\nset yrange [0.8:*]\nset grid ytics lc rgb '#d0d0d0'\n"
			"set key tmargin right horizontal\nset style fill solid noborder\nset boxwidth 0.8\n"
			"set xrange [-0.7:%u - 0.3]\n"
			"plot 'rounds.dat' using 1:2 with boxes lc rgb '#1f5fa8' title 'marked by the back-end', "
			"'' using 1:4 with linespoints lw 2 pt 7 ps 0.6 lc rgb '#c8641e' title 'copied', "
			"'' using 1:3 with linespoints lw 2 pt 5 ps 0.5 lc rgb '#3a8a3a' title 'written by the guest'\n",
			format, o->label, r->n_rounds);
}

static void
plot_gaps(FILE *f, const struct options *o, const struct results *r, const char *format)
{
	static const enum phase shown[] = { PHASE_BASELINE, PHASE_FULL_COPY, PHASE_ROUNDS };
	static const char *const colours[] = { "#3a8a3a", "#c8641e", "#1f5fa8" };
	unsigned int i, block = 0;
	const char *comma = "";
	int way;

	fprintf(f,
			"reset\nset output 'gaps.%s'\nset title '%s: does any phase stall the back-end?' noenhanced\n"
			"set xlabel 'time between two returns of buffers, microseconds'\n"
			"set ylabel 'share of these times that are longer'\nset logscale xy\nset format y '10^{%%L}'\n"
			"set grid lc rgb '#d0d0d0'\nset key top right\nplot ",
			format, o->label);
	for (way = 0; way < N_WAYS; way++) {
		for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
			if (r->phase[shown[i]].gaps[way].total == 0)
				continue;
			fprintf(f, "%s'gaps.dat' index %u using 1:2 with steps lw 2 dt %d lc rgb '%s' title '%s, %s'",
					comma, block++, way + 1, colours[i], phase_name(shown[i]),
					way_titles[way]);
			comma = ", ";
		}
	}
	fprintf(f, "\n");
}

static int
write_script(const char *dir, const struct options *o, const struct results *r)
{
	static const char *const terminals[][2] = {
		{ "svg", "svg size 900,500 dynamic font 'sans-serif,13' background rgb 'white'" },
		{ "png", "pngcairo size 900,500 font 'sans,11' background rgb 'white'" },
	};
	FILE *f = create(dir, "plot.gp");
	unsigned int i;

	if (f == NULL)
		return -errno;
	for (i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++) {
		fprintf(f, "set terminal %s\n", terminals[i][1]);
		plot_rate(f, o, r, terminals[i][0]);
		plot_gaps(f, o, r, terminals[i][0]);
		if (r->migrated)
			plot_rounds(f, o, r, terminals[i][0]);
	}
	return fclose(f);
}

/* Runs gnuplot in the folder. */
static int
run_gnuplot(const char *dir)
{
	char program[] = "gnuplot", script[] = "plot.gp";
	char *const argv[] = { program, script, NULL };
	const struct timespec pause = { .tv_nsec = 10000000 };
	posix_spawn_file_actions_t actions;
	int ret, status = -1, waited = 0;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addchdir_np(&actions, dir);
	ret = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret != 0) {
		warnx("gnuplot: %s; data and script for the pictures are in %s", strerror(ret),
				dir);
		return 0;
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		nanosleep(&pause, NULL);
		waited += 10;
		if (waited == GNUPLOT_LIMIT_MS)
			kill(pid, SIGKILL);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		warnx("gnuplot failed on %s/plot.gp", dir);
		return -EIO;
	}
	return 0;
}

int
report_pictures(const char *dir, const struct options *o, const struct results *r)
{
	if (r->n_samples == 0)
		return 0;
	if (write_rates(dir, r) != 0 || write_rounds(dir, r) != 0 || write_gaps(dir, r) != 0 ||
			write_script(dir, o, r) != 0) {
		warnx("%s: the data of the pictures could not be written", dir);
		return -EIO;
	}
	return run_gnuplot(dir);
}
