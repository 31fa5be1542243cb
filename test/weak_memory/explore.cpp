/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Explores a model: see weak.h. Its accesses come here as the calls that compilers make
 * for ThreadSanitizer, whose own library is not linked; relacy answers them.
 *
 *   weak_memory [--history] MODEL [VARIANT]   all variants of a model, or one
 *   weak_memory --list
 *
 * A search is exhaustive: each interleaving of the explored accesses, or each with no
 * more switches than the variant says, and each value that a load may find. Of a variant
 * with a bound, RANDOM executions without one are tried too.
 *
 * In what relacy's memory differs from C++11's:
 *   - weaker: an operation that is sequentially consistent is acquire and release; only
 *     such fences have an order of their own.
 *   - stronger: a load finds a store that was executed before it, and stores to a place
 *     are in the order in which they were executed. So load buffering is not seen.
 *   - stronger: a load finds one of the last three values.
 *   - stronger: a fence that is sequentially consistent also synchronises with the
 *     one before it. A race that nothing else prevents is not seen.
 * membarrier(2) is such a fence of every thread, all at one moment, between any two of a thread's
 * accesses.
 */

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#define RL_DO_ASSERT 1
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef free
#undef calloc
#undef realloc

#include "models.h"
#include "weak.h"

namespace
{

const rl::iteration_t LIMIT = 1500000; // executions of one search: more is a model too large
const rl::iteration_t RANDOM = 30000;  // where the search has a bound
const rl::iteration_t LEARNING = 3000; // to learn what is shared
const size_t ARENA = 64 << 10;
const size_t UNIT = 2; // bytes that races are told apart by
const unsigned int MAX_CELLS = 64;

const char NOT_EXHAUSTIVE[] = "not exhaustive: the model is too large";
const char NOT_LEARNT[] = "a place is shared that was not known to be";

struct Value {
	uint64_t v;
	Value() : v(0)
	{
	}
	Value(uint64_t value) : v(value)
	{
	}
	bool operator==(const Value &other) const
	{
		return v == other.v;
	}
	Value operator|(const Value &other) const
	{
		return v | other.v;
	}
	Value operator&(const Value &other) const
	{
		return v & other.v;
	}
	Value operator^(const Value &other) const
	{
		return v ^ other.v;
	}
	Value operator+(const Value &other) const
	{
		return v + other.v;
	}
	Value operator-(const Value &other) const
	{
		return v - other.v;
	}
};

std::ostream &
operator<<(std::ostream &out, const Value &value)
{
	return out << "0x" << std::hex << value.v << std::dec;
}

typedef rl::generic_atomic<Value, false> Cell;

struct Kinds {
	rl::timestamp_t plain_read[WEAK_MAX_THREADS], plain_write[WEAK_MAX_THREADS];
	rl::timestamp_t atomic_read[WEAK_MAX_THREADS], atomic_write[WEAK_MAX_THREADS];
};

// What is known of UNIT bytes, in this execution.
struct Unit {
	rl::iteration_t execution;
	Cell *cell;
	bool freed;
	Kinds when;
};

// Threads that make atomic operations in a place. What one alone uses is not explored.
struct Sharing {
	bool learning;
	bool learnt; // something that was not known
	unsigned int threads[ARENA / UNIT];
	size_t len[ARENA / UNIT]; // of the place
	std::vector<size_t> places;
};

alignas(64) char arena[ARENA];
size_t arena_used;
Unit units[ARENA / UNIT];
Sharing sharing;
alignas(Cell) char cells[MAX_CELLS][sizeof(Cell)];
unsigned int nb_cells;
rl::iteration_t execution;
rl::iteration_t limit;
bool running; // a thread of the model, not what comes before or after
bool broken_ran;

const weak_model *model;
const weak_variant *variant;

/* ---- names of functions ---- */

// Where functions begin in this program, with their names.
std::map<uintptr_t, std::string> functions;

// Those of some callers: within an execution relacy has new() for itself, and nothing here may grow.
struct Known {
	void *caller;
	const char *name;
};
Known known[4096];

extern "C" char __executable_start;

void
read_functions()
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat) != 0)
		abort();
	char *file = (char *)mmap(nullptr, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		abort();
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + elf->e_shoff);
	uintptr_t base = elf->e_type == ET_DYN ? (uintptr_t)&__executable_start : 0;
	for (unsigned int i = 0; i < elf->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		const Elf64_Sym *symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
		const char *strings = file + sections[sections[i].sh_link].sh_offset;
		for (size_t j = 0; j < sections[i].sh_size / sizeof(symbols[0]); j++)
			if (ELF64_ST_TYPE(symbols[j].st_info) == STT_FUNC) {
				std::string name = strings + symbols[j].st_name;
				functions[base + symbols[j].st_value] = name.substr(0,
						name.find('.'));
			}
	}
	munmap(file, (size_t)stat.st_size);
}

const char *
function_of(void *address)
{
	Known &entry = known[(uintptr_t)address % (sizeof(known) / sizeof(known[0]))];
	if (address == nullptr)
		return "free";
	if (entry.caller != address) {
		auto next = functions.upper_bound((uintptr_t)address);
		entry.caller = address;
		entry.name = next == functions.begin() ? "?" : (--next)->second.c_str();
	}
	return entry.name;
}

bool
breaks(weak_break how, void *caller)
{
	if (variant->broken != how || strcmp(function_of(caller), variant->function) != 0)
		return false;
	broken_ran = true;
	return true;
}

/* ---- accesses ---- */

bool
shared(const volatile void *addr)
{
	return (const volatile char *)addr >= arena && (const volatile char *)addr < arena + ARENA;
}

Unit &
unit_of(const volatile void *addr)
{
	Unit &unit = units[(size_t)((const volatile char *)addr - arena) / UNIT];
	if (unit.execution != execution) {
		memset((void *)&unit, 0, sizeof(unit));
		unit.execution = execution;
	}
	return unit;
}

// Nothing is one while it is learnt what is shared: nothing is synchronised then.
void
fault(const char *what)
{
	if (sharing.learning)
		return;
	rl::ctx().fail_test(what, rl::test_result_user_assert_failed, rl::debug_info());
}

// Whether an access of another thread is not ordered before this one.
bool
races(const rl::timestamp_t *when)
{
	const rl::thread_info_base &me = *rl::ctx().threadx_;
	for (unsigned int i = 0; i < model->nb_threads; i++)
		if ((int)i != me.index_ && when[i] > me.acq_rel_order_[i])
			return true;
	return false;
}

rl::timestamp_t
now()
{
	return ++rl::ctx().threadx_->own_acq_rel_order_;
}

void
say(const char *what, void *caller, const volatile void *addr)
{
	rl::context &c = rl::ctx();
	char text[64];
	if (c.collecting_history()) {
		snprintf(text, sizeof(text), "%s at 0x%zx", what,
				(size_t)((const volatile char *)addr - arena));
		c.exec_log_msg(rl::debug_info(function_of(caller)), text);
	}
}

void
plain(const volatile void *addr, size_t len, bool write, void *caller)
{
	if (!running || !shared(addr))
		return;
	say(write ? "plain write" : "plain read", caller, addr);
	if (write && caller != nullptr && unit_of(addr).cell != nullptr)
		fault("a plain write where atomic operations are");
	int me = rl::ctx().threadx_->index_;
	for (size_t i = 0; i < len; i += UNIT) {
		Unit &unit = unit_of((const volatile char *)addr + i);
		Kinds &when = unit.when;
		if (unit.freed)
			fault("memory that was freed is used");
		if (races(when.plain_write) || races(when.atomic_write) ||
				(write && (races(when.plain_read) || races(when.atomic_read))))
			fault("two accesses race, one of them plain");
		(write ? when.plain_write : when.plain_read)[me] = now();
	}
}

// Whether an atomic operation is explored: another thread makes some there too.
bool
explored(const volatile void *addr, size_t len, bool write)
{
	if (!running || !shared(addr))
		return false;
	int me = rl::ctx().threadx_->index_;
	size_t at = (size_t)((const volatile char *)addr - arena) / UNIT;
	unsigned int &threads = sharing.threads[at];
	Unit &unit = unit_of(addr);
	if (unit.freed)
		fault("memory that was freed is used");
	if (races(unit.when.plain_write) || (write && races(unit.when.plain_read)))
		fault("two accesses race, one of them plain");
	if ((threads | 1u << me) != threads) {
		threads |= 1u << me;
		sharing.len[at] = len;
		sharing.learnt = true;
	}
	if (sharing.learning)
		rl::ctx().sched();
	else if (sharing.learnt)
		fault(NOT_LEARNT);
	return !sharing.learning && (threads & (threads - 1)) != 0;
}

// After it: other threads may have run before.
void
done(const volatile void *addr, bool write)
{
	Unit &unit = unit_of(addr);
	int me = rl::ctx().threadx_->index_;
	if (unit.freed)
		fault("memory that was freed is used");
	unit.when.atomic_read[me] = rl::ctx().threadx_->own_acq_rel_order_;
	if (write)
		unit.when.atomic_write[me] = rl::ctx().threadx_->own_acq_rel_order_;
}

Cell &
cell_of(const volatile void *addr)
{
	return *unit_of(addr).cell;
}

// The values that atomic places have when the threads begin.
void
make_cells()
{
	for (size_t place : sharing.places) {
		uint64_t value = 0;
		memcpy(&value, arena + place * UNIT, sharing.len[place]);
		Cell *cell = new (cells[nb_cells++]) Cell();
		cell->store(value, rl::mo_relaxed, rl::debug_info("before"));
		unit_of(arena + place * UNIT).cell = cell;
	}
}

rl::memory_order
order(int mo)
{
	switch (mo) {
	case __ATOMIC_RELAXED:
		return rl::mo_relaxed;
	case __ATOMIC_CONSUME:
	case __ATOMIC_ACQUIRE:
		return rl::mo_acquire;
	case __ATOMIC_RELEASE:
		return rl::mo_release;
	case __ATOMIC_ACQ_REL:
		return rl::mo_acq_rel;
	default:
		return rl::mo_seq_cst;
	}
}

template <typename T>
T
load(const volatile T *addr, int mo, void *caller)
{
	if (!explored(addr, sizeof(T), false))
		return *addr;
	rl::memory_order how = breaks(WEAK_LOAD, caller) ? rl::mo_relaxed : order(mo);
	T value = (T)cell_of(addr).load(how, rl::debug_info(function_of(caller))).v;
	done(addr, false);
	return value;
}

template <typename T>
void
store(volatile T *addr, T value, int mo, void *caller)
{
	if (explored(addr, sizeof(T), true)) {
		rl::memory_order how = breaks(WEAK_STORE, caller) ? rl::mo_relaxed : order(mo);
		cell_of(addr).store(value, how, rl::debug_info(function_of(caller)));
		done(addr, true);
	}
	*addr = value;
}

template <rl::rmw_type_e type, typename T>
T
modify(volatile T *addr, T operand, int mo, void *caller)
{
	rl::rmw_type_t<type> how;
	if (!explored(addr, sizeof(T), true)) {
		T old = *addr;
		*addr = (T)rl::perform_rmw(how, Value(old), Value(operand)).v;
		return old;
	}
	if (breaks(WEAK_RMW, caller)) {
		T old = load(addr, mo, caller);
		store(addr, (T)rl::perform_rmw(how, Value(old), Value(operand)).v, mo, caller);
		return old;
	}
	rl::memory_order by = breaks(WEAK_STORE, caller) ? rl::mo_relaxed : order(mo);
	T old = (T)cell_of(addr).rmw(how, Value(operand), by, rl::debug_info(function_of(caller)))
				.v;
	*addr = (T)rl::perform_rmw(how, Value(old), Value(operand)).v;
	done(addr, true);
	return old;
}

/* ---- relacy's test ---- */

template <int N> struct Suite : rl::test_suite<Suite<N>, N> {
	void before()
	{
		execution++;
		nb_cells = 0;
		memset(arena, 0, arena_used);
		arena_used = 0;
		model->prepare();
		make_cells();
		if (limit == 0 || --limit == 0)
			fault(NOT_EXHAUSTIVE);
		running = true;
	}

	void thread(unsigned int index)
	{
		model->threads[index]();
	}

	void after()
	{
		running = false;
		if (model->check != nullptr)
			model->check();
		for (unsigned int i = 0; i < nb_cells; i++)
			reinterpret_cast<Cell *>(cells[i])->~Cell();
	}
};

template <int N>
void
fence_all()
{
	typedef rl::aligned<rl::thread_info<N>> Slot;
	rl::context &c = rl::ctx();
	Slot *me = static_cast<Slot *>(static_cast<rl::thread_info<N> *>(c.threadx_));
	for (int i = 0; i < N; i++)
		me[i - me->index_].atomic_thread_fence_seq_cst(c.seq_cst_fence_order_);
}

enum Search { FULL, BOUNDED, RANDOMLY };

struct Outcome {
	bool found; // a fault
	bool sound; // else relacy ended the search for a reason of its own
	std::string what;
	rl::iteration_t executions;
};

template <int N>
Outcome
search(Search how, unsigned int switches, rl::iteration_t most)
{
	rl::test_params params;
	rl::ostringstream text, end;
	// Also of the searches that are not random: loads go back as far as relacy can.
	params.search_type = rl::sched_random;
	params.iteration_count = most;
	params.context_bound = switches;
	params.output_stream = &text;
	params.progress_stream = &text;
	running = false;
	limit = how == RANDOMLY ? ~(rl::iteration_t)0 : most;
	Outcome outcome;
	for (int again = 0; again < 2; again++) {
		rl::test_result_e result = how == FULL ?
				rl::run_test<Suite<N>, rl::full_search_scheduler<N>>(params, end,
						again != 0) :
				how == BOUNDED ?
				rl::run_test<Suite<N>, rl::context_bound_scheduler<N>>(params, end,
						again != 0) :
				rl::run_test<Suite<N>, rl::random_scheduler<N>>(params, end,
						again != 0);
		running = false;
		outcome.found = result != rl::test_result_success;
		outcome.sound = !outcome.found || result == rl::test_result_user_assert_failed;
		outcome.executions = params.stop_iteration;
		if (!outcome.found)
			return outcome;
		// The same execution once more, told step by step.
		if (again == 0) {
			params.initial_state = end.str();
			params.collect_history = true;
			text.str("");
		}
	}
	outcome.what = text.str().c_str();
	return outcome;
}

Outcome
search(Search how, rl::iteration_t most)
{
	switch (model->nb_threads) {
	case 2:
		return search<2>(how, variant->switches, most);
	case 3:
		return search<3>(how, variant->switches, most);
	default:
		abort();
	}
}

/* ---- the table ---- */

struct Row {
	const char *how;
	Outcome outcome;
};

// Learn which places are shared, or which more are.
Row
learn()
{
	sharing.learnt = false;
	sharing.learning = true;
	sharing.places.clear();
	Row row = { "random", search(RANDOMLY, LEARNING) };
	sharing.learning = false;
	sharing.learnt = false;
	for (size_t i = 0; i < ARENA / UNIT; i++)
		if ((sharing.threads[i] & (sharing.threads[i] - 1)) != 0)
			sharing.places.push_back(i);
	if (sharing.places.size() > MAX_CELLS)
		abort();
	return row;
}

std::vector<Row>
explore()
{
	std::vector<Row> rows;
	broken_ran = false;
	memset(sharing.threads, 0, sizeof(sharing.threads));
	do {
		rows.assign(1, learn());
		if (rows.back().outcome.found)
			return rows;
		rows.back() = { variant->switches == 0 ? "all" : "bounded",
			search(variant->switches == 0 ? FULL : BOUNDED, LIMIT) };
		if (variant->switches != 0 && !rows.back().outcome.found)
			rows.push_back({ "random", search(RANDOMLY, RANDOM) });
	} while (rows.back().outcome.what.find(NOT_LEARNT) != std::string::npos);
	return rows;
}

bool
passes(bool history)
{
	std::vector<Row> rows = explore();
	bool found = rows.back().outcome.found;
	const std::string &what = rows.back().outcome.what;
	bool ran = variant->broken == WEAK_NOTHING || broken_ran;
	bool exhausted = what.find(NOT_EXHAUSTIVE) == std::string::npos;
	bool good = found != variant->holds && rows.back().outcome.sound && ran && exhausted;
	for (const Row &row : rows) {
		std::string verdict = row.outcome.found ?
				row.outcome.what.substr(0, row.outcome.what.find('\n')) :
				"holds";
		size_t text = verdict.find('(');
		if (text != std::string::npos)
			verdict = verdict.substr(text + 1, verdict.rfind(')') - text - 1);
		char bound[32] = "";
		if (strcmp(row.how, "bounded") == 0)
			snprintf(bound, sizeof(bound), " %u", variant->switches);
		printf("%-16s %-44s %10llu %s%-*s %s\n", model->name, variant->name,
				(unsigned long long)row.outcome.executions, row.how,
				(int)(9 - strlen(row.how)), bound, verdict.c_str());
	}
	if (!ran)
		printf("%s(): nothing there was broken\n", variant->function);
	if (!good)
		printf("FAILED: this variant %s\n",
				variant->holds ? "must hold" : "has a fault, which was not found");
	if (found && (history || !good))
		printf("%s\n", what.c_str());
	fflush(stdout);
	return good;
}

} // namespace

/* ---- what models call ---- */

extern "C" {

int
weak_choice(void)
{
	return variant->choice;
}

unsigned int
weak_any(unsigned int n)
{
	return rl::rand(n);
}

void *
weak_alloc(size_t len)
{
	char *addr = arena + arena_used;
	arena_used += (len + 63) / 64 * 64;
	if (arena_used > ARENA)
		abort();
	return addr;
}

void
weak_free(void *addr, size_t len)
{
	plain(addr, len, true, nullptr);
	for (size_t i = 0; i < len; i += UNIT)
		unit_of((char *)addr + i).freed = true;
}

void
weak_require(bool holds, const char *what)
{
	if (!holds)
		fault(what);
}

void
weak_pause(void)
{
	if (running)
		rl::ctx().yield(1, rl::debug_info("wait"));
}

void
weak_membarrier(void)
{
	if (breaks(WEAK_FENCE, (void *)weak_membarrier))
		return;
	if (model->nb_threads == 2)
		fence_all<2>();
	else
		fence_all<3>();
}

/* ---- what the compiler calls ---- */

#define CALLER __builtin_return_address(0)

void
__tsan_init(void)
{
}
void
__tsan_func_entry(void *)
{
}
void
__tsan_func_exit(void)
{
}

#define PLAIN(size) \
	void __tsan_read##size(void *addr) \
	{ \
		plain(addr, size, false, CALLER); \
	} \
	void __tsan_write##size(void *addr) \
	{ \
		plain(addr, size, true, CALLER); \
	} \
	void __tsan_unaligned_read##size(void *addr) \
	{ \
		plain(addr, size, false, CALLER); \
	} \
	void __tsan_unaligned_write##size(void *addr) \
	{ \
		plain(addr, size, true, CALLER); \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void
__tsan_read_range(void *addr, size_t len)
{
	plain(addr, len, false, CALLER);
}
void
__tsan_write_range(void *addr, size_t len)
{
	plain(addr, len, true, CALLER);
}

void *
__tsan_memset(void *addr, int value, size_t len)
{
	plain(addr, len, true, CALLER);
	return memset(addr, value, len);
}

void *
__tsan_memcpy(void *to, const void *from, size_t len)
{
	plain(from, len, false, CALLER);
	plain(to, len, true, CALLER);
	return memcpy(to, from, len);
}

#define ATOMIC(bits) \
	typedef uint##bits##_t u##bits; \
	u##bits __tsan_atomic##bits##_load(const volatile u##bits *addr, int mo) \
	{ \
		return load(addr, mo, CALLER); \
	} \
	void __tsan_atomic##bits##_store(volatile u##bits *addr, u##bits value, int mo) \
	{ \
		store(addr, value, mo, CALLER); \
	} \
	MODIFY(bits, exchange, swap) \
	MODIFY(bits, fetch_add, add) \
	MODIFY(bits, fetch_sub, sub) \
	MODIFY(bits, fetch_and, and) \
	MODIFY(bits, fetch_or, or)
#define MODIFY(bits, name, type) \
	u##bits __tsan_atomic##bits##_##name(volatile u##bits *addr, u##bits operand, int mo) \
	{ \
		return modify<rl::rmw_type_##type>(addr, operand, mo, CALLER); \
	}
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void
__tsan_atomic_thread_fence(int mo)
{
	if (running && !breaks(WEAK_FENCE, CALLER))
		rl::atomic_thread_fence(order(mo), rl::debug_info(function_of(CALLER)));
}

void
__tsan_atomic_signal_fence(int)
{
}

} // extern "C"

int
main(int argc, char **argv)
{
	bool history = argc > 1 && strcmp(argv[1], "--history") == 0;
	argc -= history;
	argv += history;
	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		for (const weak_model *const *each = weak_models; *each != nullptr; each++)
			printf("%s\n", (*each)->name);
		return 0;
	}
	unsigned int run = 0, failed = 0;
	read_functions();
	for (const weak_model *const *each = weak_models; *each != nullptr; each++) {
		model = *each;
		if (argc > 1 && strcmp(argv[1], model->name) != 0)
			continue;
		for (variant = model->variants; variant->name != nullptr; variant++) {
			if (argc > 2 && strcmp(argv[2], variant->name) != 0)
				continue;
			run++;
			failed += !passes(history);
		}
	}
	if (run == 0) {
		fprintf(stderr, "no such model or variant: see --list\n");
		return 2;
	}
	printf("%u passed, %u failed\n", run - failed, failed);
	return failed != 0;
}
