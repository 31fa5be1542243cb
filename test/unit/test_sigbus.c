/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that the truncation guard shares SIGBUS with others, whoever came
 * first: a signal that is not for it does what it did before, with what the
 * other handler is to be told and the signals that it wants blocked; who takes
 * the signal away has it for a moment only; nothing goes round. With the EAL's
 * own handler in either order. All of it concerns the whole process: each in a
 * child.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_program.h"

#define ALLOW_EXPERIMENTAL_API
#include <rte_dev.h>
#include <rte_eal.h>

#include "shm.h"
#include "truncation_guard.h"

enum before { DEFAULT, IGNORED, PLAIN, WITH_INFO };

static sigjmp_buf back;
static volatile sig_atomic_t caught;
static void *volatile caught_at;

static void
earlier_handler(int signal)
{
	caught = signal;
	siglongjmp(back, 1);
}

static void
earlier_handler_with_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught_at = info->si_addr;
	earlier_handler(signal);
}

static void
install(enum before before)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	if (before == IGNORED)
		action.sa_handler = SIG_IGN;
	if (before == PLAIN)
		action.sa_handler = earlier_handler;
	if (before == WITH_INFO) {
		action.sa_sigaction = earlier_handler_with_info;
		action.sa_flags = SA_SIGINFO;
	}
	sigaction(SIGBUS, &action, NULL);
}

/* A log, mapped and guarded. */
struct log {
	int fd;
	struct dirtylog_shm *shm;
};

static struct log
open_log(void)
{
	struct log log = { .fd = memfd_create("log", MFD_CLOEXEC) };

	if (ftruncate(log.fd, 4096) < 0 || dirtylog_shm_map(log.fd, 0, 4096, &log.shm) < 0)
		_exit(20);
	return log;
}

/* Its owner truncates it; true: a mark in it was survived. */
static bool
survives(struct log log)
{
	bool good;

	if (ftruncate(log.fd, 0) < 0)
		_exit(21);
	*(volatile uint8_t *)log.shm->addr = 1;
	good = dirtylog_shm_truncated(log.shm);
	dirtylog_shm_unref(log.shm);
	close(log.fd);
	return good;
}

static bool
guard_works(void)
{
	return survives(open_log());
}

/* Memory of nobody's log that faults. */
static uint8_t *
faulting_memory(void)
{
	int fd = memfd_create("else", MFD_CLOEXEC);
	uint8_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	return at;
}

/* A signal that is not for the guard comes, a fault or a sent one; true: the handler of before got it. */
static bool
is_passed_on(enum before before, bool fault)
{
	uint8_t *at = faulting_memory();

	caught = 0;
	caught_at = NULL;
	if (sigsetjmp(back, 1) == 0) {
		if (fault)
			*(volatile uint8_t *)at = 1;
		else
			raise(SIGBUS);
		return before == IGNORED && !fault;
	}
	return caught == SIGBUS && (before != WITH_INFO || !fault || caught_at == at);
}

/* Runs a scenario in a child; the status of its end. */
static int
end_of(int (*scenario)(enum before before, bool fault), enum before before, bool fault)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(30);
		install(before);
		_exit(scenario(before, fault));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
dies_of_sigbus(int (*scenario)(enum before before, bool fault), enum before before, bool fault)
{
	int status = end_of(scenario, before, fault);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void
goes_on(int (*scenario)(enum before before, bool fault), enum before before, bool fault)
{
	int status = end_of(scenario, before, fault);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- one that was there before ---- */

static int
one_before(enum before before, bool fault)
{
	struct sigaction now;

	if (!guard_works())
		return 1;
	/* No flag of ours: the EAL compares them. */
	sigaction(SIGBUS, NULL, &now);
	if ((now.sa_flags & (SA_NODEFER | SA_ONSTACK | SA_RESTART | SA_RESETHAND)) != 0)
		return 2;
	if (!is_passed_on(before, fault))
		return 3;
	/* The process goes on; so does the guard. */
	if (!guard_works())
		return 4;
	return is_passed_on(before, fault) ? 0 : 5;
}

static void
other_sigbus(void **state)
{
	(void)state;
	goes_on(one_before, PLAIN, true);
	goes_on(one_before, PLAIN, false);
	goes_on(one_before, WITH_INFO, true);
	goes_on(one_before, WITH_INFO, false);
	goes_on(one_before, IGNORED, false);
	/* A fault that is ignored would be repeated for ever: the kernel kills. */
	dies_of_sigbus(one_before, IGNORED, true);
	dies_of_sigbus(one_before, DEFAULT, true);
	dies_of_sigbus(one_before, DEFAULT, false);
}

static int
nothing_mapped(enum before before, bool fault)
{
	struct dirtylog_shm *shm;
	struct sigaction now;

	(void)before;
	(void)fault;
	if (dirtylog_shm_alloc(4096, false, &shm) < 0)
		return 1;
	dirtylog_truncation_guard_check();
	sigaction(SIGBUS, NULL, &now);
	return now.sa_handler == earlier_handler ? 0 : 2;
}

static void
no_guard_no_handler(void **state)
{
	(void)state;
	goes_on(nothing_mapped, PLAIN, false);
}

/* What the kernel would have blocked for the earlier handler. */
static volatile sig_atomic_t bus_was_blocked, usr1_was_blocked, nb_calls;

static void
look_at_the_mask(int signal)
{
	sigset_t mask;

	(void)signal;
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	bus_was_blocked = sigismember(&mask, SIGBUS);
	usr1_was_blocked = sigismember(&mask, SIGUSR1);
	nb_calls++;
}

static int
what_it_asked_for(enum before before, bool nodefer)
{
	struct sigaction action = { .sa_handler = look_at_the_mask }, now;
	sigset_t mask;

	(void)before;
	sigaddset(&action.sa_mask, SIGUSR1);
	action.sa_flags = SA_ONSTACK | SA_RESTART | (nodefer ? SA_NODEFER : 0);
	sigaction(SIGBUS, &action, NULL);
	if (!guard_works())
		return 1;
	sigaction(SIGBUS, NULL, &now);
	if ((now.sa_flags & SA_ONSTACK) == 0 || (now.sa_flags & SA_RESTART) == 0)
		return 2;
	raise(SIGBUS);
	if (nb_calls != 1 || usr1_was_blocked != 1 || bus_was_blocked != !nodefer)
		return 3;
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	return !sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGBUS) && guard_works() ? 0 : 4;
}

/* Dies of the second one. */
static int
one_signal_only(enum before before, bool fault)
{
	struct sigaction action = { .sa_handler = look_at_the_mask, .sa_flags = SA_RESETHAND };

	(void)before;
	(void)fault;
	sigaction(SIGBUS, &action, NULL);
	if (!guard_works())
		return 1;
	raise(SIGBUS);
	if (nb_calls != 1 || !guard_works())
		return 2;
	raise(SIGBUS);
	return 3;
}

static void
flags_of_the_one_before(void **state)
{
	(void)state;
	goes_on(what_it_asked_for, DEFAULT, false);
	goes_on(what_it_asked_for, DEFAULT, true);
	dies_of_sigbus(one_signal_only, DEFAULT, false);
}

/* Somebody sends one with an address in it. */
static int
sent_with_an_address(enum before before, bool fault)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = SI_QUEUE };
	struct log log = open_log();

	(void)before;
	(void)fault;
	*(volatile uint8_t *)log.shm->addr = 7;
	info.si_addr = log.shm->addr;
	caught = 0;
	if (sigsetjmp(back, 1) == 0) {
		syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info);
		return 1;
	}
	if (caught != SIGBUS || dirtylog_shm_truncated(log.shm))
		return 2;
	return *(volatile uint8_t *)log.shm->addr == 7 && survives(log) ? 0 : 3;
}

static void
a_sent_one_has_no_address(void **state)
{
	(void)state;
	goes_on(sent_with_an_address, PLAIN, false);
}

/* ---- others that come later ---- */

/* Takes the signal and does not pass it on. */
static int
taken_away(enum before before, bool fault)
{
	struct log log = open_log(), other = open_log();

	install(before);
	dirtylog_truncation_guard_check();
	if (!survives(log) || !is_passed_on(before, fault))
		return 1;
	/* Again, and now a new log comes: that is enough. */
	install(before == PLAIN ? WITH_INFO : PLAIN);
	if (!guard_works() || !survives(other))
		return 2;
	return is_passed_on(before == PLAIN ? WITH_INFO : PLAIN, fault) && guard_works() ? 0 : 3;
}

/* Installs a handler for a moment, as the EAL's heap does; a log comes in it. */
static int
for_a_moment(enum before before, bool guarded)
{
	struct sigaction of_the_heap = { .sa_handler = earlier_handler }, old;
	struct log first = { .fd = -1 }, log;

	(void)before;
	if (guarded)
		first = open_log();
	sigaction(SIGBUS, &of_the_heap, &old);
	log = open_log();
	/* Its own faults are its own still. */
	if (!is_passed_on(PLAIN, true))
		return 1;
	sigaction(SIGBUS, &old, NULL);
	/* If there was no handler before, it has put that in force again: at the next message ours is. */
	if (!guarded)
		dirtylog_truncation_guard_check();
	return survives(log) && (!guarded || survives(first)) && guard_works() ? 0 : 2;
}

static void
who_takes_it_away(void **state)
{
	(void)state;
	goes_on(taken_away, PLAIN, true);
	goes_on(taken_away, PLAIN, false);
	goes_on(taken_away, WITH_INFO, true);
	goes_on(for_a_moment, DEFAULT, false);
	goes_on(for_a_moment, DEFAULT, true);
}

/* One that installs itself again, in front of ours, and passes on to what it found. */
static struct sigaction found;

static void
passes_on(int signal, siginfo_t *info, void *context)
{
	nb_calls++;
	if (found.sa_flags & SA_SIGINFO)
		found.sa_sigaction(signal, info, context);
	else
		sigaction(SIGBUS, &found, NULL);
}

static int
comes_round(enum before before, bool fault)
{
	struct sigaction action = { .sa_sigaction = passes_on, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, &found);
	if (!guard_works())
		return 1;
	sigaction(SIGBUS, &action, &found);
	/* In front of it again, and it is in front of us. */
	if (!guard_works())
		return 2;
	return is_passed_on(before, fault) ? 3 : 4;
}

static void
it_does_not_go_round(void **state)
{
	(void)state;
	dies_of_sigbus(comes_round, DEFAULT, true);
	dies_of_sigbus(comes_round, DEFAULT, false);
}

/* Ever new ones: at some time it is enough, but nobody is harmed. */
static int
too_many(enum before before, bool fault)
{
	static const int flags[] = { 0, SA_RESTART, SA_NODEFER, SA_ONSTACK, SA_NOCLDSTOP,
		SA_RESTART | SA_NODEFER, SA_RESTART | SA_ONSTACK, SA_NODEFER | SA_ONSTACK };
	struct sigaction action = { .sa_handler = earlier_handler };
	unsigned int i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		action.sa_flags = flags[i];
		sigaction(SIGBUS, &action, NULL);
		dirtylog_shm_unref(open_log().shm);
	}
	return is_passed_on(before, fault) ? 0 : 1;
}

static void
too_many_others(void **state)
{
	(void)state;
	goes_on(too_many, PLAIN, true);
}

/* ---- the EAL's handler for devices that are pulled out ---- */

static bool
eal(bool enable)
{
	static char *const options[] = { "test", "--no-huge", "--no-pci", "-m", "64",
		"--no-telemetry", "--no-shconf", "-l", "0", "--log-level=lib.eal:critical" };
	static bool running;
	char *args[sizeof(options) / sizeof(options[0])];

	memcpy(args, options, sizeof(args));
	if (!running && rte_eal_init(sizeof(args) / sizeof(args[0]), args) < 0)
		return false;
	running = true;
	return (enable ? rte_dev_hotplug_handle_enable() : rte_dev_hotplug_handle_disable()) == 0;
}

static int
eal_before(enum before before, bool fault)
{
	if (!eal(true) || !guard_works())
		return 4;
	if (!is_passed_on(before, fault))
		return 5;
	if (!guard_works() || !eal(false) || !guard_works() || !eal(true) || !guard_works())
		return 6;
	return is_passed_on(before, fault) ? 0 : 7;
}

/* It calls ours, but does not say what happened. */
static int
eal_after(enum before before, bool fault)
{
	struct log first = open_log(), second = open_log();

	if (!eal(true) || !survives(first))
		return 4;
	if (before != DEFAULT && !is_passed_on(before, fault))
		return 5;
	/* Now ours is in front of it, and behind it too. */
	if (!guard_works() || !survives(second))
		return 6;
	return is_passed_on(before, fault) && guard_works() ? 0 : 7;
}

static int
eal_on_and_off(enum before before, bool fault)
{
	struct log first = open_log(), second;
	unsigned int i;

	for (i = 0; i < 10; i++) {
		if (!eal(true))
			return 4;
		second = open_log();
		if (!eal(false) || !survives(second) || !eal(true) || !guard_works() || !eal(false))
			return 5;
	}
	return survives(first) && is_passed_on(before, fault) && guard_works() ? 0 : 6;
}

static void
beside_the_eal(void **state)
{
	int status;

	(void)state;
	goes_on(eal_before, PLAIN, true);
	goes_on(eal_before, PLAIN, false);
	/* Where nobody else was it ends the process itself, as it would without us. */
	status = end_of(eal_before, DEFAULT, true);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);

	goes_on(eal_after, PLAIN, true);
	goes_on(eal_after, PLAIN, false);
	goes_on(eal_after, WITH_INFO, true);
	goes_on(eal_after, WITH_INFO, false);
	dies_of_sigbus(eal_after, DEFAULT, true);
	dies_of_sigbus(eal_after, DEFAULT, false);

	goes_on(eal_on_and_off, PLAIN, true);
	goes_on(eal_on_and_off, WITH_INFO, true);
	dies_of_sigbus(eal_on_and_off, DEFAULT, true);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_sigbus),
		cmocka_unit_test(no_guard_no_handler),
		cmocka_unit_test(flags_of_the_one_before),
		cmocka_unit_test(a_sent_one_has_no_address),
		cmocka_unit_test(who_takes_it_away),
		cmocka_unit_test(it_does_not_go_round),
		cmocka_unit_test(too_many_others),
		cmocka_unit_test(beside_the_eal),
	};

	return run_test_program(argc, argv, "sigbus", tests, NULL, NULL);
}
