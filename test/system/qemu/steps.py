# SPDX-License-Identifier: BSD-3-Clause
"""The steps that scenarios are made of."""

from migration import check

RESUME_SECONDS = 20


def start_source(lab, topology, relayed=True, steal_log=False, **wiring):
    """A guest with running traffic. `wiring` goes to the Lab's backend()."""
    backend = lab.backend("a", topology, **wiring)
    relays = lab.relays("a", backend, steal_log) if relayed else []
    source = lab.vm("a", topology, "relay" if relayed else "vhost")
    backend.echo()
    source.run()
    source.wait_for_traffic(boots=1)
    return source, backend, relays


def add_target(lab, name, topology, relayed=True, **wiring):
    backend = lab.backend(name, topology, **wiring)
    relays = lab.relays(name, backend) if relayed else []
    return lab.vm(name, topology, "relay" if relayed else "vhost", incoming=True), backend, relays


def go_there(lab, topology, relayed=True):
    source, backend, relays = start_source(lab, topology, relayed)
    return migrate(lab, source, backend, relays, "b", topology)


def migrate(lab, source, backend, relays, name, topology, meanwhile=None):
    """Migrate to a new VM `name`, resume there, end everything in good order.

    meanwhile  called with the Migration once it runs; it may replace the back-end.
    """
    target, target_backend, _ = add_target(lab, name, topology, bool(relays))
    migration = lab.migration(source, backend, name, target)
    verdict = run_migration(lab, migration, relays, meanwhile)
    source.stop()
    migration.backend.quit()
    resume(target, target_backend)
    target.stop()
    target_backend.quit()
    return verdict


def run_migration(lab, migration, relays, meanwhile=None):
    """One migration until the source has stopped, and the comparison of the two VMs."""
    migration.start()
    if meanwhile:
        meanwhile(migration)
    migration.run_rounds()
    migration.finish(relays)
    verdict = migration.verdict()
    lab.verdicts.append(verdict)
    migration.source.check_content()
    check(verdict, migration.writes_little)
    return verdict


def resume(target, backend):
    backend.echo()
    target.run()
    target.wait_for_traffic(RESUME_SECONDS)
    target.check_content()
