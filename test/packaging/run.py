#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is installed, as others use it: applications are built with the pkg-config files, and run.

  run.py --build FOLDER [CASE...]     FOLDER has a build of this project; --list names the cases

vhost_application registers a socket through librte_vhost's API: the log says whose
datapath its packets take, and the benchmark's guest migrates on it. port_application starts a port that --vdev names.
What this machine cannot do is a skip and says why; if nothing else is left, the exit
status is 77.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
LINK_S = 120        # a static DPDK takes 10 s
BUILD_S = 170       # the project as a part of another one
RUN_S = 30
SKIPPED = 77
PACKAGES = ('librte_net_dirtylog', 'dirtylog_vhost_wrap', 'dirtylog_vhost')

OURS = "packets take dirtylog's datapath"
OFF = "switched off (DIRTYLOG_VHOST=off): librte_vhost's own datapath"
EXCEPTED = "packets take librte_vhost's own datapath, because the operator has excepted it"


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def run(command, limit, **options):
    """What it said; it must succeed."""
    try:
        done = subprocess.run(command, timeout=limit, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    except subprocess.TimeoutExpired as late:
        raise Failure(f'{command[0]} is not done after {limit} s') from late
    if done.returncode != 0:
        said = '\n'.join(done.stdout.splitlines()[-15:])
        raise Failure(f'{pathlib.Path(command[0]).name} ended with {done.returncode}:\n{said}')
    return done.stdout


class Lab:
    """The project, installed in a folder of its own, and what is built with it."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ('DIRTYLOG_VHOST', 'DIRTYLOG_VHOST_DATAPATH', 'LD_PRELOAD')}
        self.libdir = None

    def install(self):
        run(['meson', 'install', '-C', self.options.build, '--no-rebuild', '--destdir', self.folder], LINK_S)
        for file in self.folder.rglob('*.pc'):
            # It has been moved.
            text = file.read_text()
            prefix = self.folder / re.search('^prefix=/*(.*)', text, re.M)[1]
            file.write_text(re.sub('^prefix=.*', f'prefix={prefix}', text, flags=re.M))
            path = [str(file.parent), self.options.pkg_config_path, os.environ.get('PKG_CONFIG_PATH')]
            self.environment['PKG_CONFIG_PATH'] = ':'.join(filter(None, path))
            self.libdir = file.parents[1]
        missing = [name for name in PACKAGES if not (self.libdir / f'pkgconfig/{name}.pc').exists()]
        if missing == ['librte_net_dirtylog']:
            raise Skip("the driver is not built, for want of DPDK's driver headers")
        if missing:
            raise Failure(f'not installed: {missing}')

    def pkg_config(self, *args):
        return shlex.split(run(['pkg-config', *args], RUN_S, env=self.environment))

    def build(self, source, *packages, static=False, more=()):
        """An application with these packages, before DPDK."""
        program = self.folder / '-'.join([source, *packages, 'static' if static else 'shared'])
        if static and not pathlib.Path(*self.pkg_config('--variable=libdir', 'libdpdk'), 'librte_eal.a').exists():
            raise Skip('DPDK is installed without its static libraries')
        command = [*shlex.split(self.options.cc), '-O1', '-Wall', '-Wextra', '-Werror',
                   str(HERE / f'{source}.c'), '-o', str(program),
                   *self.pkg_config('--cflags', *packages, 'libdpdk'),
                   *self.pkg_config(*['--static'] * static, '--libs', *packages, 'libdpdk'), *more]
        try:
            run(command, LINK_S, env=self.environment)
        except Failure as failure:
            # A library that DPDK's own pkg-config file names
            lacking = re.search(r'(?:cannot find|unable to find library) -l([\w-]+)', str(failure))
            if static and lacking and 'dirtylog' not in lacking[1]:
                raise Skip(f'the static DPDK cannot be linked here: there is no lib{lacking[1]}') from failure
            raise
        loaded = re.findall(r'librte_\w+', run(['ldd', str(program)], RUN_S))
        if static and loaded:
            raise Failure(f'{program.name} loads {loaded}')
        return program

    @staticmethod
    def eal(program, *args):
        cpus = ','.join(map(str, sorted(os.sched_getaffinity(0))))
        return [str(program), '--no-huge', '-m', '64', '--no-pci', '--no-telemetry', '--no-shconf',
                '--lcores', f'0@({cpus})', '--file-prefix', f'dirtylog-packaging-{os.getpid()}', *args]

    def run_eal(self, program, *args, **environment):
        return run(self.eal(program, *args), RUN_S, env={**self.environment, **environment})

    def migrate(self, program, ring, **environment):
        """vhost_application sends back what the benchmark's guest sends, which migrates: the status of the latter."""
        path = self.folder / 'vhost.sock'
        path.unlink(missing_ok=True)
        with open(self.folder / 'echo.log', 'w+', encoding='utf-8') as log, subprocess.Popen(
                self.eal(program, '--', str(path), 'echo'), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env={**self.environment, **environment}) as echo:
            try:
                deadline = time.monotonic() + RUN_S
                while not path.exists():
                    if time.monotonic() > deadline or echo.poll() is not None:
                        raise Failure('vhost_application makes no socket')
                    time.sleep(0.1)
                guest = subprocess.run(
                    [pathlib.Path(self.options.build) / 'app/bench/dirtylog-bench', '--socket', path, '--quiet',
                     '--timeout', '20', '--mergeable', '--direction', 'both', '--ring', ring,
                     '--log-swap', 'qemu'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    timeout=LINK_S, check=False)
                status = echo.wait(RUN_S)
            finally:
                echo.kill()
            log.seek(0)
            if status != 0 or 'sent back' not in (said := log.read()):
                raise Failure(f'vhost_application ended with {status}: {said[-1000:]}')
        return guest.returncode, guest.stdout.decode(errors='replace')

    def check_migrations(self, program, **environment):
        """No page is lost, in either kind of ring; without the door one is."""
        for ring in ('split', 'packed'):
            status, said = self.migrate(program, ring, **environment)
            if status != 0:
                raise Failure(f'the guest, {ring} rings: {said}')
        if self.migrate(program, 'packed', **{**environment, 'DIRTYLOG_VHOST': 'off'})[0] == 0:
            raise Failure("librte_vhost's own datapath loses no page of packed rings: nothing is proved")

    def see(self, program, expected, *unexpected, **environment):
        """vhost_application; what its log has, and has not."""
        said = self.run_eal(program, '--', str(self.folder / 'vhost.sock'), **environment)
        compare(said, expected, unexpected)

    def run_port(self, program, driver_name='net_dirtylog'):
        """port_application; what it said."""
        said = self.run_eal(program, '--vdev', f'{driver_name}0,iface={self.folder}/port.sock')
        compare(said, f'started a port of {driver_name}\n')
        return said


def compare(said, expected, unexpected=()):
    if expected is not None and expected not in said:
        raise Failure(f'not said: {expected!r}; but:\n{said}')
    for text in unexpected:
        if text in said:
            raise Failure(f'said: {text!r}:\n{said}')


# ---- the cases

def wrap(lab):
    """librte_vhost's API by --wrap, DPDK static; the operator switches it off, and excepts a socket"""
    program = lab.build('vhost_application', 'dirtylog_vhost_wrap', static=True)
    lab.see(program, OURS)
    lab.see(program, OFF, OURS, DIRTYLOG_VHOST='off')
    lab.see(program, EXCEPTED, OURS, DIRTYLOG_VHOST='unless=/nowhere/*,*/vhost.sock')
    lab.check_migrations(program)


def link_order(lab):
    """librte_vhost's API by the order of libraries, DPDK shared"""
    program = lab.build('vhost_application', 'dirtylog_vhost')
    path = {'LD_LIBRARY_PATH': ':'.join(filter(None, [str(lab.libdir), os.environ.get('LD_LIBRARY_PATH')]))}
    lab.see(program, OURS, **path)
    lab.see(program, OFF, OURS, DIRTYLOG_VHOST='off', **path)
    lab.check_migrations(program, **path)


def preload(lab):
    """librte_vhost's API preloaded, DPDK shared, the program as it is"""
    program = lab.build('vhost_application')
    library = {'LD_PRELOAD': str(lab.libdir / 'libdirtylog_vhost.so')}
    lab.see(program, None, OURS)
    lab.see(program, OURS, **library)
    lab.see(program, OFF, OURS, DIRTYLOG_VHOST='off', **library)


def driver(lab):
    """net_dirtylog linked in, DPDK static"""
    lab.run_port(lab.build('port_application', 'librte_net_dirtylog', static=True))


def driver_shared(lab):
    """net_dirtylog linked in, DPDK shared"""
    lab.run_port(lab.build('port_application', 'librte_net_dirtylog', more=['-lrte_bus_vdev']))


def both(lab):
    """net_dirtylog and the door by --wrap in one program, DPDK static: net_vhost's port takes the door"""
    program = lab.build('port_application', 'dirtylog_vhost_wrap', 'librte_net_dirtylog', static=True)
    compare(lab.run_port(program), None, [OURS])
    compare(lab.run_port(program, 'net_vhost'), OURS)


def ovs_switch(lab):
    """dirtylog-ovs chooses the daemon of Open vSwitch, and says why if it does not; alternatives of a folder"""
    daemon = pathlib.Path('/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk')
    if not daemon.exists() or not shutil.which('update-alternatives'):
        raise Skip('openvswitch-switch-dpdk is not installed')
    switch, = lab.folder.rglob('dirtylog-ovs')
    wrapper, = lab.folder.rglob('dirtylog/ovs-vswitchd')
    script = lab.folder / 'switch'
    # It has been moved.
    script.write_text(re.sub('^STUB=.*', f'STUB={lab.libdir}/libdirtylog_vhost.so', switch.read_text(), flags=re.M))
    tools = lab.folder / 'tools'
    tools.mkdir()
    (tools / 'update-alternatives').write_text(
        f'#!/bin/sh\nexec {shutil.which("update-alternatives")} --root {lab.folder} "$@"\n')
    (tools / 'update-alternatives').chmod(0o755)
    environment = {**lab.environment, 'PATH': f'{tools}:{os.environ["PATH"]}'}
    for folder in ('usr/sbin', 'etc/alternatives', 'var/lib/dpkg/alternatives', 'var/log', daemon.parent.relative_to('/')):
        (lab.folder / folder).mkdir(parents=True, exist_ok=True)
    plain = '/usr/sbin/plain'
    for path in (plain, str(daemon)):
        (lab.folder / path[1:]).touch()

    def alternatives(*args):
        return run([tools / 'update-alternatives', *args], RUN_S)

    def chosen():
        return re.search('^Value: (.*)', alternatives('--query', 'ovs-vswitchd'), re.M)[1]

    def refuses(*words):
        done = subprocess.run(['sh', script, 'on'], env=environment, text=True, timeout=RUN_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0 or any(word not in done.stdout for word in words):
            raise Failure(f'not refused with {words}: {done.returncode}, {done.stdout}')

    alternatives('--install', '/usr/sbin/ovs-vswitchd', 'ovs-vswitchd', plain, '100')
    alternatives('--install', '/usr/sbin/ovs-vswitchd', 'ovs-vswitchd', str(daemon), '50')
    refuses(plain, 'no DPDK')
    alternatives('--set', 'ovs-vswitchd', str(daemon))
    datapath, = lab.libdir.glob('dirtylog-datapath-*.so')
    other = datapath.rename(lab.libdir / 'dirtylog-datapath-00.11.so')
    refuses(daemon.name, re.search(r'datapath-(.*)\.so', datapath.name)[1])
    other.rename(datapath)
    for _ in range(2):
        run(['sh', script, 'on'], RUN_S, env=environment)
        if chosen() != f'/{wrapper.relative_to(lab.folder)}':
            raise Failure(f'on, and chosen is {chosen()}')
    compare(run(['sh', script, 'status'], RUN_S, env=environment), f'chosen: {chosen()}\n')
    said = run([wrapper, '-c', 'echo $LD_PRELOAD'], RUN_S,
               env={**lab.environment, 'DIRTYLOG_OVS_VSWITCHD': '/bin/sh'})
    compare(said, '/libdirtylog_vhost.so\n')
    run(['sh', script, 'off'], RUN_S, env=environment)
    if chosen() != str(daemon):
        raise Failure(f'off, and chosen is {chosen()}')


def names(lab):
    """the static libraries show no names but those for others; --wrap is said of each function"""
    def of(archive, kinds):
        said = run(['nm', str(lab.libdir / archive)], RUN_S)
        return set(re.findall(rf' [{kinds}] (\w+)$', said, re.M))

    archive = 'libdirtylog_vhost_wrap.a'
    wrapped = {word.removeprefix('-Wl,--wrap=') for word in lab.pkg_config('--libs', 'dirtylog_vhost_wrap')
               if word.startswith('-Wl,--wrap=')}
    for what, found, expected in (
            ('calls', {name for name in of(archive, 'U') if name.startswith('__real_')},
             {f'__real_{name}' for name in wrapped}),
            ('names', of(archive, 'TDBRC'), {f'__wrap_{name}' for name in wrapped} |
             {'dirtylog_vhost_copies_1', 'dirtylog_vhost_leave'}),
            ('names', of('librte_net_dirtylog.a', 'TDBRC'),
             {'dirtylog_eth_get_queue_event', 'dirtylog_eth_get_vid'})):
        if not expected or found != expected:
            raise Failure(f'{what}: {sorted(found ^ expected)} are in one of both: archive, and what it should have')


def subproject(lab):
    """the project as a subproject of another one's meson"""
    source = lab.folder / 'application'
    (source / 'subprojects').mkdir(parents=True)
    (source / 'subprojects/dirtylog').symlink_to(PROJECT)
    for file in (HERE / 'subproject/meson.build', *HERE.glob('*.c')):
        (source / file.name).write_text(file.read_text())
    environment = {**os.environ, 'CC': lab.options.cc}
    run(['meson', 'setup', '--buildtype=plain', f'-Dpkg_config_path={lab.options.pkg_config_path}',
         f'-Ddirtylog:driver_headers={lab.options.driver_headers}', source / 'build', source],
        RUN_S, env=environment)
    run(['ninja', '-C', source / 'build', 'port_application', 'vhost_application'], BUILD_S, env=environment)
    lab.run_port(source / 'build/port_application')
    lab.see(source / 'build/vhost_application', OURS)


def other_machines(lab):
    """meson refuses machines of 32 bits, and big-endian ones"""
    for name, compiler, endian, sentence in (
            ('big', 'cc', 'big', 'is for little-endian machines, and this one is not'),
            ('small', "cc', '-m32", 'little', 'is for 64-bit machines, and this one is not')):
        machine = lab.folder / f'{name}.txt'
        machine.write_text(
            f"[binaries]\nc = ['{compiler}']\nar = 'ar'\npkgconfig = 'pkg-config'\n"
            "[properties]\nskip_sanity_check = true\n[host_machine]\nsystem = 'linux'\n"
            f"cpu_family = 'x86'\ncpu = 'i686'\nendian = '{endian}'\n")
        done = subprocess.run(['meson', 'setup', '--cross-file', machine, lab.folder / name, PROJECT],
                              stdout=subprocess.PIPE, text=True, timeout=RUN_S, check=False)
        if done.returncode == 0:
            raise Failure(f'meson takes a machine that is {name}')
        compare(done.stdout, sentence)


CASES = {function.__name__.replace('_', '-'): function
         for function in (names, ovs_switch, wrap, link_order, preload, driver, driver_shared, both, subproject,
                          other_machines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cases', nargs='*', metavar='CASE')
    parser.add_argument('--build', metavar='FOLDER', default=PROJECT / 'build')
    parser.add_argument('--cc', metavar='COMMAND', default='cc')
    parser.add_argument('--pkg-config-path', metavar='PATH', default='')
    parser.add_argument('--driver-headers', metavar='FOLDER', default='.dpdk-driver-headers')
    parser.add_argument('--list', action='store_true')
    options = parser.parse_args()
    if set(options.cases) - set(CASES):
        parser.error('no such case; see --list')
    if options.list:
        for name, case in CASES.items():
            print(f'{name:15}{case.__doc__}')
        return 0

    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix='dirtylog-packaging-') as folder:
        lab = Lab(options, pathlib.Path(folder))
        for name in options.cases or CASES:
            try:
                if lab.libdir is None:
                    lab.install()
                CASES[name](lab)
            except Skip as reason:
                skipped += 1
                print(f'skipped  {name}: {reason}')
            except Failure as failure:
                failed += 1
                print(f'FAILED   {name}: {failure}')
            else:
                passed += 1
                print(f'ok       {name}: {CASES[name].__doc__}')
            sys.stdout.flush()
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else SKIPPED if skipped and not passed else 0


if __name__ == '__main__':
    sys.exit(main())
