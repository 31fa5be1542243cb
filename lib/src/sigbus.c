/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: the handler, which finds out what happened (on x86-64 on the stack,
 * if the EAL's has passed it on without saying), has it survived or passes it on;
 * and how ours gets in front of handlers that came later.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <rte_common.h>

#include "diag.h"
#include "sigbus.h"

/* How often ours can be put in front of others' that came later. */
#define NB_LINKS 4

/* In si_errno: the first link has passed it on; the bit to the left, the second one. */
#define PASSED_ON 0x10000

/*
 * Each handler of somebody else that ours is put in front of is remembered in a
 * link, and ours has an address of its own for each. So who came later and
 * passes on to us gets to the one that was there before him, not to himself.
 */
struct link {
	struct sigaction previous; /* constant once it is installed */
	bool spent;                /* wanted one signal only, and had it */
};

static struct link links[NB_LINKS];
static unsigned int nb_links;

static dirtylog_sigbus_survive_t *survive;

/* ---- in the handler: nothing takes a lock, allocates, or changes errno for good ---- */

struct event {
	siginfo_t *info; /* NULL: not known */
	void *context;
};

/* Whether 8 bytes can be read. A system call says so that copies them before anything else. */
static bool
readable(const void *at)
{
	return syscall(SYS_rt_sigprocmask, -1, at, NULL, (size_t)8) == 0 || errno != EFAULT;
}

#ifdef __x86_64__
/* Who passes a signal on has a frame on the stack: so far up the kernel's is looked for. */
#define MAX_NESTING 16384

/* What the kernel pushes for a handler, its return address at first. */
struct kernel_frame {
	void *restorer;
	uint8_t context[offsetof(ucontext_t, uc_sigmask) + 8];
	siginfo_t info;
};

/* What the kernel knows of a handler. */
struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/* The C library's, the same for all handlers. */
static void *restorer;

static void
learn_restorer(void)
{
	struct kernel_action action = { .restorer = NULL };

	if (syscall(SYS_rt_sigaction, SIGBUS, NULL, &action, sizeof(action.mask)) == 0)
		__atomic_store_n(&restorer, action.restorer, __ATOMIC_RELAXED);
}

/* Look it up on the stack, from a handler's return address on: arguments may be none. */
static __attribute__((no_sanitize("address"))) bool
find_event(uintptr_t stack, struct event *event)
{
	const void *wanted = __atomic_load_n(&restorer, __ATOMIC_RELAXED);
	uintptr_t begin = stack - sizeof(void *), at;

	/* The kernel aligns what it pushes as if it were a call. */
	for (at = begin; at < begin + MAX_NESTING; at += 16) {
		struct kernel_frame *frame = (struct kernel_frame *)at;

		if (at % 4096 < 16 && !readable(frame))
			return false;
		if (frame->restorer == wanted && wanted != NULL && readable(&frame->info) &&
				frame->info.si_signo == SIGBUS) {
			event->info = &frame->info;
			event->context = frame->context;
			return true;
		}
	}
	return false;
}
#else
static void
learn_restorer(void)
{
}

static bool
find_event(uintptr_t stack __rte_unused, struct event *event __rte_unused)
{
	return false;
}
#endif

static struct event
identify(uintptr_t stack, siginfo_t *info, void *context)
{
	struct event event = { .info = NULL, .context = NULL };

	if (find_event(stack, &event))
		return event;
	/* Not where the kernel puts it on x86: as it came, if it looks like one. */
	if ((uintptr_t)info % __alignof__(*info) == 0 && readable(info) &&
			info->si_signo == SIGBUS) {
		event.info = info;
		event.context = context;
	}
	return event;
}

/* What would have been without us, where nobody else wants it. */
static void
act_by_default(const struct sigaction *previous, const siginfo_t *info)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	bool sent = info != NULL && info->si_code <= 0;

	if (previous->sa_handler == SIG_IGN) {
		if (sent)
			return;
		action.sa_handler = SIG_IGN;
	}
	/* A fault comes again, with nobody in its way. */
	sigaction(SIGBUS, &action, NULL);
	if (sent)
		raise(SIGBUS);
}

static void
call(const struct sigaction *previous, const struct event *event)
{
	siginfo_t nothing = { .si_signo = SIGBUS, .si_code = SI_KERNEL };
	ucontext_t nowhere;
	sigset_t bus, mask;

	/* As the kernel would have, which has blocked SIGBUS itself for us. */
	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &previous->sa_mask, &mask);
	if ((previous->sa_flags & SA_NODEFER) != 0 && sigismember(&previous->sa_mask, SIGBUS) == 0)
		pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
	if ((previous->sa_flags & SA_SIGINFO) == 0) {
		previous->sa_handler(SIGBUS);
	} else if (event->info != NULL) {
		previous->sa_sigaction(SIGBUS, event->info, event->context);
	} else {
		memset(&nowhere, 0, sizeof(nowhere));
		previous->sa_sigaction(SIGBUS, &nothing, &nowhere);
	}
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void
pass_on(struct link *link, const struct event *event)
{
	const struct sigaction *previous = &link->previous;
	/* The kernel sets si_errno to 0 for each signal, and nobody reads it: ours to take notes. */
	int mark = PASSED_ON << (link - links);

	if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN ||
			/* It has come round: somebody passes on to us that we pass on to. */
			(event->info != NULL && (event->info->si_errno & mark) != 0) ||
			((previous->sa_flags & SA_RESETHAND) != 0 &&
					__atomic_exchange_n(&link->spent, true,
							__ATOMIC_RELAXED))) {
		act_by_default(previous, event->info);
		return;
	}
	if (event->info != NULL)
		event->info->si_errno |= mark;
	call(previous, event);
	if (event->info != NULL)
		event->info->si_errno &= ~mark;
}

/* `stack`: the stack pointer before the handler was called. */
static void
on_sigbus(struct link *link, siginfo_t *info, void *context, uintptr_t stack)
{
	int saved_errno = errno;
	struct event event = identify(stack, info, context);

	/* Not one that was sent: it has no address. Nor one that other memory does not cure. */
	if (event.info == NULL ||
			(event.info->si_code != BUS_ADRERR &&
					event.info->si_code != BUS_MCEERR_AR) ||
			!survive((uintptr_t)event.info->si_addr,
					event.info->si_code == BUS_MCEERR_AR))
		pass_on(link, &event);
	errno = saved_errno;
}

#define LINK_HANDLER(n) \
	static void on_sigbus_##n(int signal __rte_unused, siginfo_t *info, void *context) \
	{ \
		on_sigbus(&links[n], info, context, (uintptr_t)__builtin_dwarf_cfa()); \
	}
LINK_HANDLER(0)
LINK_HANDLER(1)
LINK_HANDLER(2)
LINK_HANDLER(3)

static void (*const handlers[NB_LINKS])(int signal, siginfo_t *info, void *context) = {
	on_sigbus_0,
	on_sigbus_1,
	on_sigbus_2,
	on_sigbus_3,
};

/* ---- being the first one ---- */

static bool
same_handler(const struct sigaction *one, const struct sigaction *other)
{
	return one->sa_handler == other->sa_handler && one->sa_flags == other->sa_flags;
}

static bool
is_ours(const struct sigaction *action)
{
	unsigned int i;

	for (i = 0; i < NB_LINKS; i++)
		if (action->sa_sigaction == handlers[i])
			return true;
	return false;
}

/* The link that passes on to a handler, or NB_LINKS: there were too many. */
static unsigned int
link_to(const struct sigaction *previous)
{
	unsigned int i;

	for (i = 0; i < nb_links; i++) {
		if (!same_handler(&links[i].previous, previous))
			continue;
		__atomic_store_n(&links[i].spent, false, __ATOMIC_RELAXED);
		return i;
	}
	if (nb_links < NB_LINKS) {
		links[i].previous = *previous;
		nb_links++;
	}
	return i;
}

void
dirtylog_sigbus_come_first(dirtylog_sigbus_survive_t *asked)
{
	static bool warned;
	struct sigaction found, replaced;
	unsigned int tries;

	survive = asked;
	/* Others change it too, and no lock of ours keeps them from it. */
	for (tries = 0; tries < 10; tries++) {
		struct sigaction action = { .sa_flags = SA_SIGINFO };
		unsigned int i;

		if (sigaction(SIGBUS, NULL, &found) < 0 || is_ours(&found))
			return;
		i = link_to(&found);
		if (i == NB_LINKS)
			break;
		/*
		 * No flag that nobody asked for: on Arm the EAL passes everything on
		 * to a handler whose flags are SA_SIGINFO and nothing else.
		 */
		action.sa_flags |= found.sa_flags & (SA_ONSTACK | SA_RESTART);
		action.sa_sigaction = handlers[i];
		sigemptyset(&action.sa_mask);
		if (sigaction(SIGBUS, &action, &replaced) < 0)
			return;
		learn_restorer();
		if (same_handler(&replaced, &found))
			return;
		sigaction(SIGBUS, &replaced, NULL);
	}
	if (!warned)
		DIRTYLOG_DIAG(WARNING,
				"SIGBUS has had too many other handlers: a front-end that"
				" truncates its memory or its log may end this process");
	warned = true;
}
