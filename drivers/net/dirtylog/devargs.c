/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bus_vdev_driver.h>
#include <rte_kvargs.h>

#include "devargs.h"
#include "datapath/diag.h"

/* A second is more than any downtime that one would accept. */
#define MAX_DRAIN_US 1000000
#define MAX_MEMORY_MIB 268435456 /* 256 TiB */

/* One argument; `take` gets this with the port. */
struct argument {
	const char *name;
	const char *values; /* as the help names them */
	int (*take)(struct eth_dirtylog_port *port, const struct argument *argument,
			const char *value);
	size_t field; /* of struct eth_dirtylog_port, where `take` wants to know */
};

static int
refuse(const struct argument *argument, const char *value, const char *why)
{
	VNET_DIAG(ERR, "%s=%s: %s", argument->name, value, why);
	return -EINVAL;
}

/* A decimal number from `min` to `max`, or -1. */
static long
parse_number(const char *value, long min, long max)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	return errno != 0 || end == value || *end != '\0' || number < min || number > max ?
			-1 :
			number;
}

/* A number from 1 to `max`, or -1 after saying so. */
static long
take_number(const struct argument *argument, const char *value, long max)
{
	long number = parse_number(value, 1, max);
	char why[64];

	if (number < 0) {
		snprintf(why, sizeof(why), "must be a number from 1 to %ld", max);
		refuse(argument, value, why);
	}
	return number;
}

static int
take_iface(struct eth_dirtylog_port *port, const struct argument *argument, const char *value)
{
	if (*value == '\0' || strlen(value) >= sizeof(port->iface))
		return refuse(argument, value, "must be a path of 1 to 107 characters");
	strcpy(port->iface, value);
	return 0;
}

static int
take_queues(struct eth_dirtylog_port *port, const struct argument *argument, const char *value)
{
	long number = take_number(argument, value, VNET_MAX_QUEUE_PAIRS);

	if (number < 0)
		return -EINVAL;
	port->nb_queue_pairs = (uint16_t)number;
	return 0;
}

static int
take_switch(struct eth_dirtylog_port *port, const struct argument *argument, const char *value)
{
	bool *field = RTE_PTR_ADD(port, argument->field);
	long number = parse_number(value, 0, 1);

	if (number < 0)
		return refuse(argument, value, "must be 0 or 1");
	*field = number == 1;
	return 0;
}

const char *const eth_dirtylog_placement_names[] = {
	[DIRTYLOG_PLACEMENT_AUTO] = "auto",
	[DIRTYLOG_PLACEMENT_DIRECT] = "direct",
	[DIRTYLOG_PLACEMENT_STAGED] = "staged",
};

static int
take_placement(struct eth_dirtylog_port *port, const struct argument *argument, const char *value)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(eth_dirtylog_placement_names); i++) {
		if (strcmp(value, eth_dirtylog_placement_names[i]) == 0) {
			port->log_options.placement = i;
			return 0;
		}
	}
	return refuse(argument, value, "must be auto, direct or staged");
}

static int
take_drain(struct eth_dirtylog_port *port, const struct argument *argument, const char *value)
{
	long number = take_number(argument, value, MAX_DRAIN_US);

	if (number < 0)
		return -EINVAL;
	port->log_options.drain_us = (uint32_t)number;
	return 0;
}

/* In MiB. */
static int
take_max_memory(struct eth_dirtylog_port *port, const struct argument *argument, const char *value)
{
	long number = take_number(argument, value, MAX_MEMORY_MIB);

	if (number < 0)
		return -EINVAL;
	port->log_options.max_memory = (uint64_t)number << 20;
	return 0;
}

/* doc/devargs.md says what they mean. */
#define ARGUMENTS(A) \
	A("iface", "<path>", take_iface, iface) \
	A("queues", "<1-128>", take_queues, nb_queue_pairs) \
	A("client", "<0|1>", take_switch, client) \
	A("iommu-support", "<0|1>", take_switch, iommu) \
	A("postcopy-support", "<0|1>", take_switch, postcopy) \
	A("tso", "<0|1>", take_switch, tso) \
	A("linear-buffer", "<0|1>", take_switch, linear_buffers) \
	A("ext-buffer", "<0|1>", take_switch, ext_buffers) \
	A("legacy-ol-flags", "<0|1>", take_switch, legacy_ol_flags) \
	A("log-placement", "<auto|direct|staged>", take_placement, log_options) \
	A("log-drain-us", "<1-1000000>", take_drain, log_options) \
	A("max-memory", "<1-268435456>", take_max_memory, log_options)

#define AS_ROW(name, values, take, field) \
	{ name, values, take, offsetof(struct eth_dirtylog_port, field) },
#define AS_HELP(name, values, take, field) name "=" values " "

static const struct argument arguments[] = { ARGUMENTS(AS_ROW) };

RTE_PMD_REGISTER_PARAM_STRING(net_dirtylog, ARGUMENTS(AS_HELP));

static void
log_usage(const char *name, const char *args)
{
	char known[512];
	size_t at = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(arguments) && at < sizeof(known); i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, " %s=%s", arguments[i].name,
				arguments[i].values);
	VNET_DIAG(ERR, "%s: bad arguments '%s'; known are:%s", name, args, known);
}

static int
take_pair(struct eth_dirtylog_port *port, const struct rte_kvargs_pair *pair)
{
	const struct argument *argument = arguments;

	while (strcmp(argument->name, pair->key) != 0)
		argument++; /* rte_kvargs_parse() lets known ones pass only */
	return argument->take(port, argument, pair->value == NULL ? "" : pair->value);
}

int
eth_dirtylog_devargs_parse(struct eth_dirtylog_port *port, const char *name, const char *args)
{
	const char *known[RTE_DIM(arguments) + 1] = { NULL };
	struct rte_kvargs *list;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < RTE_DIM(arguments); i++)
		known[i] = arguments[i].name;
	list = rte_kvargs_parse(args, known);
	if (list == NULL) {
		log_usage(name, args);
		return -EINVAL;
	}
	port->nb_queue_pairs = 1;
	/* Of two values one would be ignored: which one is not for us to guess. */
	for (i = 0; ret == 0 && i < RTE_DIM(arguments); i++) {
		if (rte_kvargs_count(list, known[i]) > 1) {
			VNET_DIAG(ERR, "%s: %s is given more than once", name, known[i]);
			ret = -EINVAL;
		}
	}
	if (ret == 0 && rte_kvargs_count(list, "iface") == 0) {
		VNET_DIAG(ERR, "%s: the argument iface=<path> is needed", name);
		ret = -EINVAL;
	}
	for (i = 0; ret == 0 && i < list->count; i++)
		ret = take_pair(port, &list->pairs[i]);
	rte_kvargs_free(list);
	return ret;
}
