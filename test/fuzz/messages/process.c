/* SPDX-License-Identifier: BSD-3-Clause */

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_log.h>

#include "fail.h"
#include "messages/process.h"

static uint64_t log_lines;
static long mappings;
static unsigned long accepted;
static bool have_huge_pages;

/*
 * In place of the C library's, also for DPDK's libraries. A mapping over another
 * one ends that one.
 */
void *
mmap(void *addr, size_t len, int protection, int flags, int fd, off_t offset)
{
	void *ret = (void *)syscall(SYS_mmap, addr, len, protection, flags, fd, offset);

	if (ret != MAP_FAILED && !(flags & MAP_FIXED))
		__atomic_fetch_add(&mappings, 1, __ATOMIC_RELAXED);
	return ret;
}

int
munmap(void *addr, size_t len)
{
	int ret = (int)syscall(SYS_munmap, addr, len);

	if (ret == 0)
		__atomic_fetch_sub(&mappings, 1, __ATOMIC_RELAXED);
	return ret;
}

void *
mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	void *ret, *to = NULL;
	va_list args;

	va_start(args, flags);
	if (flags & MREMAP_FIXED)
		to = va_arg(args, void *);
	va_end(args);
	ret = (void *)syscall(SYS_mremap, addr, old_len, new_len, flags, to);
	/* Of no length: a second mapping of the same pages. */
	if (ret != MAP_FAILED && old_len == 0)
		__atomic_fetch_add(&mappings, 1, __ATOMIC_RELAXED);
	/* Over another one, which ends. */
	if (ret != MAP_FAILED && old_len != 0 && (flags & MREMAP_FIXED))
		__atomic_fetch_sub(&mappings, 1, __ATOMIC_RELAXED);
	return ret;
}

/* The same: on librte_vhost's thread, and nobody else here listens. */
int
accept(int sock, __SOCKADDR_ARG addr, socklen_t *len)
{
	int fd = (int)syscall(SYS_accept, sock, addr.__sockaddr__, len);

	if (fd >= 0)
		__atomic_fetch_add(&accepted, 1, __ATOMIC_RELAXED);
	return fd;
}

/* The end of what was logged, round and round. */
#define TEXT_LEN 8192
static struct {
	char text[TEXT_LEN];
	size_t end;
} last;

static void
keep(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		last.text[last.end++ % TEXT_LEN] = text[i];
}

/* One line at a time comes here. */
static ssize_t
take_lines(void *cookie, const char *text, size_t len)
{
	size_t i;

	(void)cookie;
	if (getenv("FUZZ_LOG") != NULL)
		fwrite(text, 1, len, stderr);
	keep(text, len);
	/* Those of librte_vhost are not ours to count. */
	if (len >= 6 && memcmp(text, "VHOST_", 6) == 0)
		return (ssize_t)len;
	for (i = 0; i < len; i++)
		if (text[i] == '\n')
			__atomic_fetch_add(&log_lines, 1, __ATOMIC_RELAXED);
	return (ssize_t)len;
}

void
process_explain(void)
{
	size_t i = last.end > TEXT_LEN ? last.end - TEXT_LEN : 0;
	char path[32], kind[256];
	int fd;

	fputs("what was logged last:\n", stderr);
	for (; i < last.end; i++)
		fputc(last.text[i % TEXT_LEN], stderr);
	fputs("descriptors:\n", stderr);
	for (fd = 0; fd < 1024; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, kind, sizeof(kind) - 1);
		if (len > 0)
			fprintf(stderr, "%d %.*s\n", fd, (int)len, kind);
	}
}

/* A line of /proc/self/status; -1: it has none such. */
static long
status_line(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long value = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name), NULL, 10);
	if (file != NULL)
		fclose(file);
	return value;
}

static long
count_descriptors(void)
{
	const struct dirent *entry;
	struct stat st;
	long n = 0;
	DIR *folder;

	/* Linux 6.2 and later say it at once. */
	if (stat("/proc/self/fd", &st) == 0 && st.st_size != 0)
		return st.st_size;
	folder = opendir("/proc/self/fd");
	FUZZ_CHECK(folder != NULL, "no /proc");
	while ((entry = readdir(folder)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n - 1; /* the folder's own */
}

void
process_init(void)
{
	static const cookie_io_functions_t functions = { .write = take_lines };
	FILE *stream = fopencookie(NULL, "w", functions);

	FUZZ_CHECK(stream != NULL, "no stream");
	setvbuf(stream, NULL, _IOLBF, 4096);
	rte_openlog_stream(stream);
	have_huge_pages = access("/sys/kernel/mm/hugepages", F_OK) == 0 &&
			status_line("HugetlbPages:") >= 0;
}

struct process_holds
process_holds(void)
{
	return (struct process_holds){
		.descriptors = count_descriptors(),
		.mappings = __atomic_load_n(&mappings, __ATOMIC_RELAXED),
		.huge_pages = have_huge_pages ? status_line("HugetlbPages:") : 0,
	};
}

unsigned long
process_accepted(void)
{
	return __atomic_load_n(&accepted, __ATOMIC_RELAXED);
}

uint64_t
process_log_lines(void)
{
	return __atomic_load_n(&log_lines, __ATOMIC_RELAXED);
}
