/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver, with the real librte_vhost, against front-ends made of the
 * fuzzer's bytes: steps are connections, messages with descriptors of all
 * kinds, changes of what was passed before, bursts of the ports, and what a
 * guest has in its rings; and an application stops ports and starts them.
 *
 * librte_vhost handles messages in a thread of its own. Each step that goes by
 * what they have done waits until they are handled, so that an input does the
 * same each time; and each wait has a limit.
 *
 * When all connections are gone, everything is as it was before; another
 * port's front-end is answered all the time.
 */

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_log.h>
#include <rte_mbuf.h>

#include "fail.h"
#include "fuzzer.h"
#include "input.h"
#include "messages/files.h"
#include "messages/ports.h"
#include "messages/process.h"
#include "messages/vmm.h"
#include "rig/eal.h"

#define MAX_STEPS 64

/* A message holds librte_vhost's thread, which is all ports', for this long at most; or for ever. */
#define LIMIT_MS 5000
#define HANG_MS 20000
/* Looks, not a time: what stops the program for a while stops all of its threads. */
#define MAX_TRIES 10000

/* Lines for a connection and for a message of it; and of bursts in all. */
#define LINES_PER_STEP 16
#define LINES_OF_BURSTS 64

#define NB_SLOTS 3
#define NB_RINGS (2 * PORTS_QUEUES)

#define USER_BASE UINT64_C(0x7000000000)
#define HIGH_GPA UINT64_C(0x1000000)
#define LOG_LEN ((HIGH_GPA + FILE_HIGH_LEN - 1) / 4096 / 8 + 1)

/* Rings lie at the beginning of low memory, buffers behind them. */
#define RING_SPACE UINT64_C(0x4000)
#define RING_SIZE 256
#define RING_AVAIL UINT64_C(0x1000)
#define RING_USED UINT64_C(0x2000)
#define BUFFERS UINT64_C(0x20000)

#define F_PROTOCOL (UINT64_C(1) << 30)
#define F_LOG_ALL (UINT64_C(1) << VHOST_F_LOG_ALL)
#define F_PACKED (UINT64_C(1) << VIRTIO_F_RING_PACKED)

struct region {
	uint64_t gpa;
	uint64_t len;
	uint64_t user;
	uint64_t offset;
};

static struct {
	int sock;
	uint64_t features; /* as it said them last */
} slots[NB_SLOTS];

static int bystander;
static unsigned int now; /* the slot in use */
static bool unsettled;   /* messages may be under way */
static unsigned long nb_connected;
static unsigned int nb_steps;
static struct process_holds at_first; /* what the process holds between inputs */
static uint16_t shown[NB_RINGS];      /* available indices, or places in packed rings */

static void
put(struct vmm_message *message, const void *data, size_t len)
{
	memcpy(message->payload + message->len, data, len);
	message->len += (uint32_t)len;
}

static struct vmm_message
begin(uint32_t request)
{
	return (struct vmm_message){ .request = request, .flags = VMM_VERSION };
}

/*
 * Whether librte_vhost ends the connection before it asks anybody, and never
 * closes the descriptors that came with the message: of a virtqueue beyond all,
 * or of none, for which it takes what it finds.
 */
static bool
is_lost(const struct vmm_message *message)
{
	uint32_t index = 0;
	uint16_t nb_queues;

	switch (message->request) {
	case VMM_SET_VRING_NUM:
	case VMM_SET_VRING_ADDR:
	case VMM_SET_VRING_BASE:
	case VMM_GET_VRING_BASE:
	case VMM_SET_VRING_ENABLE:
		memcpy(&index, message->payload, sizeof(index));
		return index >= 0x100 || message->len < 8;
	case VMM_SET_INFLIGHT_FD:
		memcpy(&nb_queues, message->payload + 16, sizeof(nb_queues));
		return nb_queues - 1U >= 0x100 || message->len < 20;
	}
	return false;
}

static void
send_now(struct vmm_message *message)
{
	if (slots[now].sock < 0)
		return;
	if (is_lost(message))
		message->nb_fds = 0;
	vmm_send(slots[now].sock, message);
	unsettled = true;
}

static void
send_u64(uint32_t request, uint64_t value)
{
	struct vmm_message message = begin(request);

	if (request == VMM_SET_FEATURES)
		slots[now].features = value;
	put(&message, &value, sizeof(value));
	send_now(&message);
}

static void
send_state(uint32_t request, uint32_t ring, uint32_t value)
{
	struct vhost_vring_state state = { .index = ring, .num = value };
	struct vmm_message message = begin(request);

	put(&message, &state, sizeof(state));
	send_now(&message);
}

static void
send_fd(uint32_t request, uint32_t ring, int fd)
{
	struct vmm_message message = begin(request);
	uint64_t value = ring | (fd < 0 ? VMM_NO_FD : 0);

	put(&message, &value, sizeof(value));
	if (fd >= 0)
		message.fds[message.nb_fds++] = fd;
	send_now(&message);
}

static void
send_addr(const struct vhost_vring_addr *addr)
{
	struct vmm_message message = begin(VMM_SET_VRING_ADDR);

	put(&message, addr, sizeof(*addr));
	send_now(&message);
}

static struct vhost_vring_addr
ring_addr(uint32_t ring)
{
	uint64_t base = USER_BASE + ring % NB_RINGS * RING_SPACE;

	return (struct vhost_vring_addr){
		.index = ring,
		.flags = slots[now].features & F_LOG_ALL ? 1U << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = base,
		.avail_user_addr = base + RING_AVAIL,
		.used_user_addr = base + RING_USED,
		.log_guest_addr = base + RING_USED - USER_BASE,
	};
}

static struct vmm_message
memory_table(const struct region *regions, const uint8_t *files, unsigned int n)
{
	struct vmm_message message = begin(VMM_SET_MEM_TABLE);
	uint32_t head[2] = { n };
	unsigned int i;

	put(&message, head, sizeof(head));
	put(&message, regions, n * sizeof(regions[0]));
	for (i = 0; i < n; i++)
		message.fds[message.nb_fds++] = files_fd(files[i]);
	return message;
}

static const struct region usual_regions[] = {
	{ .gpa = 0, .len = FILE_LOW_LEN, .user = USER_BASE },
	{ .gpa = HIGH_GPA, .len = FILE_HIGH_LEN, .user = USER_BASE + HIGH_GPA },
};

static void
send_memory(void)
{
	static const uint8_t files[] = { FILE_LOW, FILE_HIGH };
	struct vmm_message message = memory_table(usual_regions, files, 2);

	send_now(&message);
}

static void
send_log(uint8_t file, uint64_t len, uint64_t offset)
{
	struct vmm_message message = begin(VMM_SET_LOG_BASE);
	uint64_t payload[2] = { len, offset };

	put(&message, payload, sizeof(payload));
	message.fds[message.nb_fds++] = files_fd(file);
	send_now(&message);
}

static void
start_ring(uint32_t ring)
{
	struct vhost_vring_addr addr = ring_addr(ring);
	bool packed = slots[now].features & F_PACKED;

	shown[ring] = packed ? 0x8000 : 0;
	send_state(VMM_SET_VRING_NUM, ring, RING_SIZE);
	send_state(VMM_SET_VRING_BASE, ring, shown[ring]);
	send_addr(&addr);
	send_fd(VMM_SET_VRING_CALL, ring, files_fd(FILE_CALL));
	send_fd(VMM_SET_VRING_KICK, ring, files_fd(FILE_KICK));
	send_state(VMM_SET_VRING_ENABLE, ring, 1);
}

/* As a good front-end starts a device. */
static void
start(uint64_t features, uint32_t nb_rings)
{
	struct vmm_message owner = begin(VMM_SET_OWNER);
	uint32_t i;

	send_now(&owner);
	/* MQ, LOG_SHMFD, RARP, REPLY_ACK, MTU, STATUS */
	send_u64(VMM_SET_PROTOCOL_FEATURES,
			1U << 0 | 1U << 1 | 1U << 2 | 1U << 3 | 1U << 4 | 1U << 16);
	send_u64(VMM_SET_FEATURES, features | F_PROTOCOL);
	send_memory();
	for (i = 0; i < nb_rings; i++)
		start_ring(i);
}

/*
 * Wait until all that was sent is handled: all is read, and then two questions
 * of the other port, since the thread may be at the last message still.
 */
static void
ask_bystander(void)
{
	long took = vmm_ask(bystander, HANG_MS);

	FUZZ_CHECK(took >= 0, "another port's front-end gets no answer, or a wrong one, in %d ms",
			HANG_MS);
	FUZZ_CHECK(took <= LIMIT_MS, "another port's front-end is answered after %ld ms", took);
}

static bool
all_is_read(void)
{
	bool all = true;
	int i;

	for (i = 0; i < NB_SLOTS; i++)
		all &= slots[i].sock < 0 || vmm_is_read(slots[i].sock);
	return all;
}

/*
 * librte_vhost accepts one connection to a socket each time it looks: those that have
 * come and gone in the meantime are still ahead of it.
 */
static void
settle(void)
{
	unsigned int tries;
	int i;

	if (!unsettled)
		return;
	for (tries = 0; process_accepted() < nb_connected; tries++) {
		FUZZ_CHECK(tries < MAX_TRIES, "connections are not accepted");
		ask_bystander();
	}
	for (tries = 0; !all_is_read(); tries++) {
		FUZZ_CHECK(tries < MAX_TRIES, "messages are not read");
		ask_bystander();
	}
	ask_bystander();
	ask_bystander();
	ask_bystander();
	for (i = 0; i < NB_SLOTS; i++)
		if (slots[i].sock >= 0)
			vmm_drain(slots[i].sock);
	unsettled = false;
}

static void
connect_to(enum ports_index port)
{
	slots[now].sock = vmm_connect(ports_path(port));
	nb_connected += slots[now].sock >= 0;
	unsettled = true;
}

static void
hang_up(unsigned int slot)
{
	if (slots[slot].sock >= 0)
		close(slots[slot].sock);
	slots[slot].sock = -1;
	slots[slot].features = 0;
	unsettled = true;
}

static uint64_t
take_value(struct input *in)
{
	static const uint64_t values[] = {
		0,
		1,
		RING_SIZE,
		FILE_LOW_LEN,
		FILE_HIGH_LEN,
		LOG_LEN,
		FILE_SPARSE_LEN,
		HIGH_GPA,
		USER_BASE,
		USER_BASE + HIGH_GPA,
		BUFFERS,
		0x1000,
		0x8000,
		UINT64_MAX,
		UINT64_C(1) << 63,
		FILE_HUGE_LEN,
	};
	uint8_t choice = input_u8(in);

	if (choice < sizeof(values) / sizeof(values[0]))
		return values[choice];
	if (choice < 64)
		return values[choice % 16] + input_u8(in) - 128U;
	if (choice < 160)
		return choice - 64U;
	return choice < 224 ? input_u16(in) : input_u64(in);
}

static uint64_t
take_features(struct input *in)
{
	static const uint8_t bits[16] = {
		VIRTIO_F_RING_PACKED,
		VHOST_F_LOG_ALL,
		VIRTIO_NET_F_MRG_RXBUF,
		VIRTIO_F_VERSION_1,
		VIRTIO_RING_F_EVENT_IDX,
		VIRTIO_RING_F_INDIRECT_DESC,
		VIRTIO_F_IN_ORDER,
		VIRTIO_NET_F_MQ,
		VIRTIO_NET_F_CSUM,
		VIRTIO_NET_F_GUEST_CSUM,
		VIRTIO_NET_F_HOST_TSO4,
		VIRTIO_NET_F_GUEST_TSO4,
		VIRTIO_NET_F_MTU,
		VIRTIO_F_ACCESS_PLATFORM,
		VIRTIO_NET_F_CTRL_VQ,
		VIRTIO_NET_F_GUEST_ANNOUNCE,
	};
	uint16_t choice = input_u16(in);
	uint64_t features = 0;
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (choice >> i & 1)
			features |= UINT64_C(1) << bits[i];
	return features;
}

static void
take_fds(struct input *in, struct vmm_message *message)
{
	uint8_t n = input_u8(in) % (VMM_MAX_FDS + 1);

	for (message->nb_fds = 0; message->nb_fds < n; message->nb_fds++)
		message->fds[message->nb_fds] = files_fd(input_u8(in));
}

/* A message whose fields are of the right kind. */
static void
step_message(struct input *in)
{
	static const uint8_t numbers[] = {
		VMM_SET_FEATURES,
		VMM_SET_PROTOCOL_FEATURES,
		VMM_SEND_RARP,
		VMM_NET_SET_MTU,
		VMM_SET_STATUS,
		VMM_SET_VRING_KICK,
		VMM_SET_VRING_CALL,
		VMM_SET_VRING_ERR,
		VMM_SET_LOG_FD,
		VMM_SET_SLAVE_REQ_FD,
	};
	static const uint8_t states[] = {
		VMM_SET_VRING_NUM,
		VMM_SET_VRING_BASE,
		VMM_GET_VRING_BASE,
		VMM_SET_VRING_ENABLE,
		VMM_SET_VRING_ENDIAN,
	};
	static const uint8_t empty[] = {
		VMM_SET_OWNER,
		VMM_RESET_OWNER,
		VMM_GET_FEATURES,
		VMM_GET_PROTOCOL_FEATURES,
		VMM_GET_QUEUE_NUM,
		VMM_GET_STATUS,
		VMM_RESET_DEVICE,
		VMM_GET_MAX_MEM_SLOTS,
		VMM_GET_CONFIG,
		VMM_GPU_SET_SOCKET,
	};
	uint8_t choice = input_u8(in), which = input_u8(in);
	struct vmm_message message;
	struct vhost_vring_addr addr;
	uint64_t words[5];
	unsigned int i;

	switch (choice % 8) {
	case 0:
	case 1:
		message = begin(numbers[which % sizeof(numbers)]);
		words[0] = message.request == VMM_SET_FEATURES ? take_features(in) | F_PROTOCOL :
								 take_value(in);
		if (message.request == VMM_SET_FEATURES)
			slots[now].features = words[0];
		put(&message, words, sizeof(words[0]));
		break;
	case 2:
	case 3:
		message = begin(states[which % sizeof(states)]);
		words[0] = which / sizeof(states) % 8 | take_value(in) << 32;
		put(&message, words, sizeof(words[0]));
		break;
	case 4:
		message = begin(VMM_SET_VRING_ADDR);
		addr = ring_addr(which);
		addr.flags ^= input_u8(in) & 1;
		if (choice & 8)
			addr.desc_user_addr = take_value(in);
		if (choice & 16)
			addr.avail_user_addr = take_value(in);
		if (choice & 32)
			addr.used_user_addr = take_value(in);
		if (choice & 64)
			addr.log_guest_addr = take_value(in);
		put(&message, &addr, sizeof(addr));
		break;
	case 5:
		message = begin(which % 2 == 0 ? VMM_ADD_MEM_REG : VMM_REM_MEM_REG);
		words[0] = 0;
		for (i = 1; i < 5; i++)
			words[i] = take_value(in);
		put(&message, words, sizeof(words));
		break;
	case 6:
		message = begin(which % 2 == 0 ? VMM_GET_INFLIGHT_FD : VMM_SET_INFLIGHT_FD);
		words[0] = take_value(in);
		words[1] = take_value(in);
		words[2] = input_u16(in) | (uint64_t)input_u16(in) << 16;
		put(&message, words, 24);
		break;
	default:
		message = begin(empty[which % sizeof(empty)]);
	}
	if (choice & 0x80)
		message.flags |= VMM_NEED_REPLY;
	if (message.request != VMM_GET_FEATURES)
		take_fds(in, &message);
	send_now(&message);
}

/* Any message. */
static void
step_raw_message(struct input *in)
{
	struct vmm_message message = begin(input_u8(in));
	uint8_t n = input_u8(in);

	if (message.request == 0xff)
		message.request = input_u32(in);
	message.flags = input_u8(in);
	if (n & 0x80)
		n = input_u8(in);
	message.len = n;
	input_bytes(in, message.payload, n);
	if (message.flags & 0x80)
		message.len = input_u32(in);
	message.flags &= 0x7f;
	take_fds(in, &message);
	send_now(&message);
}

/* Its beginning; the front-end dies in the middle of it. */
static void
step_part(struct input *in)
{
	struct vmm_message message = begin(input_u8(in) % 42);

	message.len = input_u8(in);
	take_fds(in, &message);
	if (slots[now].sock < 0)
		return;
	vmm_send_part(slots[now].sock, &message, input_u8(in) % (message.len + 12));
	hang_up(now);
}

/* A memory table. */
static void
step_memory(struct input *in)
{
	uint8_t n = input_u8(in), files[8], i;
	struct vmm_message message;
	struct region regions[8];

	for (i = 0; i < n % 9; i++) {
		uint8_t choice = input_u8(in);

		regions[i] = usual_regions[choice & 1];
		files[i] = choice & 1 ? FILE_HIGH : FILE_LOW;
		if (choice & 2)
			files[i] = input_u8(in);
		if (choice & 4)
			regions[i].gpa = take_value(in);
		if (choice & 8)
			regions[i].len = take_value(in);
		if (choice & 16)
			regions[i].user = take_value(in);
		if (choice & 32)
			regions[i].offset = take_value(in);
	}
	message = memory_table(regions, files, n % 9);
	if (n & 0x80)
		message.flags |= VMM_NEED_REPLY;
	if (n & 0x40)
		take_fds(in, &message);
	if (n & 0x20)
		message.payload[0] = input_u8(in);
	send_now(&message);
}

static void
step_log(struct input *in)
{
	uint8_t choice = input_u8(in);
	uint64_t len = LOG_LEN, offset = 0;

	if (choice & 2)
		len = take_value(in);
	if (choice & 4)
		offset = take_value(in);
	send_log(choice & 8 ? input_u8(in) : choice & 1 ? FILE_LOG_OPEN : FILE_LOG, len, offset);
}

static uint16_t
step_packed(uint16_t position)
{
	uint16_t index = (position & 0x7fff) + 1;

	return index == RING_SIZE ? (position & 0x8000) ^ 0x8000 :
				    (uint16_t)(index | (position & 0x8000));
}

static void
write_low(uint64_t at, const void *data, size_t len)
{
	files_write(FILE_LOW, at, data, len);
}

/* The guest fills a ring, with buffers that are good or not. */
static void
step_ring(struct input *in)
{
	uint8_t choice = input_u8(in), n = input_u8(in);
	uint32_t ring = choice % NB_RINGS, len;
	bool packed = slots[now].features & F_PACKED;
	uint64_t base = ring * RING_SPACE, gpa;
	uint16_t flags = ring % 2 == 0 ? VRING_DESC_F_WRITE : 0;

	len = choice & 4 ? (uint32_t)take_value(in) : 1600;
	gpa = choice & 8 ? take_value(in) : BUFFERS;
	if (choice & 16)
		flags ^= input_u8(in) & 7;
	for (; n != 0; n--) {
		uint16_t slot = (packed ? shown[ring] & 0x7fff : shown[ring]) % RING_SIZE;
		struct vring_desc desc = { .addr = gpa + slot % 64 * 1600U,
			.len = len,
			.flags = flags,
			.next = choice & 32 ? slot : (uint16_t)(slot + 1) };
		struct vring_packed_desc as_packed = { .addr = desc.addr,
			.len = len,
			.id = slot,
			.flags = flags |
					(shown[ring] & 0x8000 ? 1 << VRING_PACKED_DESC_F_AVAIL :
								1 << VRING_PACKED_DESC_F_USED) };

		write_low(base + slot * 16U, packed ? (void *)&as_packed : (void *)&desc, 16);
		if (!packed)
			write_low(base + RING_AVAIL + 4 + slot * 2U, &slot, 2);
		shown[ring] = packed ? step_packed(shown[ring]) : (uint16_t)(shown[ring] + 1);
	}
	if (choice & 64)
		shown[ring] = input_u16(in);
	if (!packed)
		write_low(base + RING_AVAIL + 2, &shown[ring], 2);
}

static void
step_bytes(struct input *in)
{
	uint64_t at = take_value(in);
	uint8_t bytes[16];

	input_bytes(in, bytes, sizeof(bytes));
	write_low(at % FILE_LOW_LEN, bytes, sizeof(bytes));
}

static void
step(struct input *in)
{
	uint8_t choice;

	nb_steps++;
	switch (input_u8(in) % 18) {
	case 0:
		now = input_u8(in) % NB_SLOTS;
		break;
	case 1:
		hang_up(now);
		/* fall through */
	case 2:
		if (slots[now].sock < 0)
			connect_to(input_u8(in) & 1 ? PORT_SECOND : PORT_VICTIM);
		break;
	case 3:
		start(take_features(in), input_u8(in) % (NB_RINGS + 1));
		break;
	case 4:
	case 5:
	case 6:
		step_message(in);
		break;
	case 7:
		step_raw_message(in);
		break;
	case 8:
		step_part(in);
		break;
	case 9:
		step_memory(in);
		break;
	case 10:
		step_log(in);
		break;
	case 11:
		start_ring(input_u8(in) % NB_RINGS);
		break;
	case 12:
		send_state(VMM_GET_VRING_BASE, input_u8(in) % NB_RINGS, 0);
		break;
	case 13:
		step_ring(in);
		break;
	case 14:
		step_bytes(in);
		break;
	case 15:
		settle();
		choice = input_u8(in);
		ports_poll(choice & 1, choice >> 1 & 1, choice >> 2);
		break;
	case 16:
		settle();
		choice = input_u8(in);
		ports_control(choice & 1, choice >> 1);
		break;
	case 17:
		settle();
		choice = input_u8(in);
		files_change(choice, input_u8(in) % NB_FILES_CHANGES, take_value(in));
		break;
	}
}

/* What a port holds for a connection is given back soon after its end. */
static void
check_holds(const struct process_holds *before)
{
	struct process_holds after;
	unsigned int tries;

	for (tries = 0; tries < MAX_TRIES; tries++) {
		ask_bystander();
		after = process_holds();
		if (after.descriptors == before->descriptors &&
				after.mappings == before->mappings &&
				after.huge_pages == before->huge_pages)
			return;
		/* Another thread gives it back. */
		if (tries > 100)
			usleep(1000);
	}
	process_explain();
	FUZZ_FAIL("%ld descriptors, %ld mappings and %ld kB of huge pages are left of a connection",
			after.descriptors - before->descriptors, after.mappings - before->mappings,
			after.huge_pages - before->huge_pages);
}

static void
run(struct input *in)
{
	uint64_t lines = process_log_lines();
	int i;

	now = 0;
	nb_steps = 0;
	memset(shown, 0, sizeof(shown));
	connect_to(PORT_VICTIM);
	while (!input_ends(in) && nb_steps < MAX_STEPS)
		step(in);
	settle();
	for (i = 0; i < PORTS_QUEUES; i++) {
		ports_poll(PORT_VICTIM, (uint16_t)i, 8);
		ports_poll(PORT_SECOND, (uint16_t)i, 8);
	}
	for (i = 0; i < NB_SLOTS; i++)
		hang_up(i);
	settle();
	check_holds(&at_first);
	ports_reset();
	files_reset();
	lines = process_log_lines() - lines;
	FUZZ_CHECK(lines <= LINES_OF_BURSTS + nb_steps * LINES_PER_STEP,
			"%lu log lines for %u steps", (unsigned long)lines, nb_steps);
}

/* The good front-end stays. */
static void
start_bystander(void)
{
	connect_to(PORT_BYSTANDER);
	FUZZ_CHECK(slots[0].sock >= 0, "nobody listens");
	bystander = slots[0].sock;
	start(F_LOG_ALL | UINT64_C(1) << VIRTIO_F_VERSION_1, 2);
	ask_bystander();
	vmm_drain(bystander);
	slots[0].sock = -1;
	slots[0].features = 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	(void)argc;
	(void)argv;
	eal_start_with("fuzz_messages", "1024");
	atexit(eal_stop);
	process_init();
	/* librte_vhost says a lot. */
	rte_log_set_level_pattern("lib.vhost*",
			getenv("FUZZ_LOG") != NULL ? RTE_LOG_INFO : RTE_LOG_ERR);
	files_init();
	ports_init();
	for (i = 0; i < NB_SLOTS; i++)
		slots[i].sock = -1;
	start_bystander();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .at = data, .end = data + size };
	static bool begun;

	/* Not before: libFuzzer may open a file of its own. */
	if (!begun)
		at_first = process_holds();
	begun = true;
	run(&in);
	return 0;
}
