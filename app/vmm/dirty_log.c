/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dirty_log.h"

int
dirty_log_create(struct dirty_log *log, uint64_t pages, enum dirty_log_size how, bool hugepages,
		uint64_t offset)
{
	uint64_t page = hugepages ? 2u << 20 : 4096;
	int ret;

	*log = (struct dirty_log){ .fd = -1, .offset = offset };
	log->size = how == LOG_SIZE_QEMU ? (pages + 63) / 64 * 8 : (pages + 7) / 8;
	log->mapped = (log->size + page - 1) / page * page;
	log->fd = memfd_create("vhost-log",
			MFD_CLOEXEC | MFD_ALLOW_SEALING | (hugepages ? MFD_HUGETLB : 0u));
	if (log->fd < 0 || ftruncate(log->fd, (off_t)(offset + log->mapped)) != 0)
		goto failed;
	log->map = mmap(NULL, log->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			log->fd, (off_t)offset);
	if (log->map == MAP_FAILED) {
		log->map = NULL;
		goto failed;
	}
	if (fcntl(log->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		goto failed;
	return 0;

failed:
	ret = -errno;
	warn("a dirty log of %llu bytes%s", (unsigned long long)log->size,
			hugepages ? " in huge pages" : "");
	dirty_log_destroy(log);
	return ret;
}

void
dirty_log_destroy(struct dirty_log *log)
{
	if (log->map != NULL)
		munmap(log->map, log->mapped);
	if (log->fd >= 0)
		close(log->fd);
	*log = (struct dirty_log){ .fd = -1 };
}
