/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "report.h"

typedef void (*report_writer)(FILE *f, const struct options *o, const struct results *r);

static int
write_file(const char *dir, const char *name, report_writer writer, const struct options *o,
		const struct results *r)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] != '\0' ? "/" : "", name);
	f = fopen(path, "w");
	if (f == NULL) {
		warn("%s", path);
		return -errno;
	}
	writer(f, o, r);
	if (fclose(f) != 0) {
		warn("%s", path);
		return -errno;
	}
	return 0;
}

int
report(const struct options *o, const struct results *r)
{
	bool json_on_stdout = o->json != NULL && strcmp(o->json, "-") == 0;
	int ret = 0;

	if (json_on_stdout)
		report_json(stdout, o, r);
	else
		report_table(stdout, o, r);
	if (o->json != NULL && !json_on_stdout)
		ret = write_file("", o->json, report_json, o, r);
	if (ret < 0 || o->report_dir == NULL)
		return ret;
	if (mkdir(o->report_dir, 0777) != 0 && errno != EEXIST) {
		warn("%s", o->report_dir);
		return -errno;
	}
	ret = write_file(o->report_dir, "result.txt", report_table, o, r);
	if (ret == 0)
		ret = write_file(o->report_dir, "result.json", report_json, o, r);
	if (ret == 0)
		ret = report_pictures(o->report_dir, o, r);
	return ret;
}
