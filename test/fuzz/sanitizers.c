/* SPDX-License-Identifier: BSD-3-Clause */

/* What the sanitizers ask a fuzzer. */

const char *__asan_default_options(void);

/* What the EAL keeps is no leak of an input. */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
