/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LD_PRELOAD for QEMU's TCG: flush every CPU's TLB after a dirty sync.
 *
 * When QEMU clears the dirty bitmap of a RAM block it does not reset the TLBs
 * of emulated CPUs (7.2: of no block, 10.0: of no block but the first). Their
 * later stores then go unnoticed and pages arrive stale, whatever the NIC.
 * KVM is not concerned. Without this remedy a migration test under TCG could
 * not tell QEMU's losses from those of the back-end under test.
 *
 * memory_global_after_dirty_log_sync() is called after each sync and, under
 * TCG, does nothing but wait for every CPU to end its translation block. It is
 * defined in the executable, so interposition cannot reach it: a jump is
 * written over its first bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct CPUState;
typedef union {
	int host_int;
	unsigned long host_ulong;
	void *host_ptr;
	uint64_t target_ptr;
} run_on_cpu_data;

typedef void (*work_fn)(struct CPUState *cpu, run_on_cpu_data data);

/* QEMU's own functions, exported by its executable */
static struct CPUState *(*get_cpu)(int index);
static void (*run_on)(struct CPUState *cpu, work_fn work, run_on_cpu_data data);
static void (*flush)(struct CPUState *cpu);

static void
flush_one(struct CPUState *cpu, run_on_cpu_data data)
{
	(void)data;
	flush(cpu);
}

static void
flush_all(void)
{
	const run_on_cpu_data none = { 0 };
	struct CPUState *cpu;

	/* run_on_cpu waits until the work is done: as the original waited */
	for (int i = 0; (cpu = get_cpu(i)) != NULL; i++)
		run_on(cpu, flush_one, none);
}

static void *
find(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

__attribute__((constructor)) static void
patch(void)
{
	/* jmp *0(%rip), followed by the address */
	uint8_t jump[14] = { 0xff, 0x25, 0, 0, 0, 0 };
	uint8_t *target = find("memory_global_after_dirty_log_sync");
	void (*replacement)(void) = flush_all;
	void *get_cpu_sym = find("qemu_get_cpu");
	void *run_on_sym = find("run_on_cpu");
	void *flush_sym = find("tlb_flush");
	size_t page = sysconf(_SC_PAGESIZE);
	uint8_t *first;
	size_t len;

	/* a shell or env in front of QEMU: nothing to do */
	if (!target || !get_cpu_sym || !run_on_sym || !flush_sym)
		return;
	memcpy(&get_cpu, &get_cpu_sym, sizeof(get_cpu));
	memcpy(&run_on, &run_on_sym, sizeof(run_on));
	memcpy(&flush, &flush_sym, sizeof(flush));

	memcpy(jump + 6, &replacement, sizeof(replacement));
	first = (uint8_t *)((uintptr_t)target & ~(page - 1));
	len = target + sizeof(jump) - first;
	if (mprotect(first, len, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
		perror("tlbflush: mprotect");
		exit(1);
	}
	memcpy(target, jump, sizeof(jump));
	mprotect(first, len, PROT_READ | PROT_EXEC);
	/* the harness looks for this line */
	fprintf(stderr, "tlbflush: active\n");
}
