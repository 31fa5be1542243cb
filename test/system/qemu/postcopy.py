# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of postcopy: the guest's pages follow it."""

from errors import TestError
from migration import SLOW, check
from steps import RESUME_SECONDS, add_target, resume, start_source
from vm import Topology

# Memory that a back-end locks is there before anybody could wait for it.
BACKEND = {"devargs": ",postcopy-support=1", "lock_memory": False}
# A file of some 16 MiB in the guest's memory, in which no page is like another.
MAKE_BALLAST = "for i in 1 2 3 4 5 6 7 8; do cat /bin/busybox; echo; done >/ballast"
CHECKSUM = "md5sum </ballast"
SUM_SECONDS = 40


def postcopy(lab):
    """the last pages follow the guest, which waits for all of them, and all RAM is compared"""
    topology = Topology(postcopy=True)
    source, backend, relays = start_source(lab, topology, **BACKEND)
    target, target_backend, _ = add_target(lab, "b", topology, **BACKEND)
    migration = lab.migration(source, backend, "b", target)
    migration.allow_postcopy()
    migration.start()
    migration.run_rounds()
    migration.finish(relays, postcopy_bandwidth=0)
    verdict = migration.verdict()
    lab.verdicts.append(verdict)
    check(verdict)
    source.stop()
    backend.quit()
    resume(target, target_backend)
    target.stop()
    target_backend.quit()
    return verdict.text()


def postcopy_running(lab):
    """the guest runs before most of its pages have come; the back-end waits for pages, too"""
    topology = Topology(postcopy=True)
    source, backend, _ = start_source(lab, topology, relayed=False, **BACKEND)
    before = source.ask(f"{MAKE_BALLAST}; {CHECKSUM}", SUM_SECONDS)
    target, target_backend, _ = add_target(lab, "b", topology, relayed=False, **BACKEND)
    migration = lab.migration(source, backend, "b", target)
    migration.allow_postcopy()
    target_backend.echo()
    target.run()        # as soon as it can
    migration.start()
    migration.finish(postcopy_bandwidth=SLOW)
    source.wait_for_status("postmigrate", 10)
    target.wait_for_traffic(RESUME_SECONDS)
    target.check_content()
    faults = target.shared_faults()
    if not faults:
        raise TestError("the back-end waited for no page")
    after = target.ask(CHECKSUM, SUM_SECONDS)
    if after != before:
        raise TestError(f"a file in the guest's memory had the checksum {before}, "
                        f"now it has {after}")
    target_backend.quit()
    return f"the back-end waited for {faults} pages; a file in its guest's memory is unchanged"


POSTCOPY = {each.__name__.replace("_", "-"): each for each in (postcopy, postcopy_running)}
