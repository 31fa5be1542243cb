# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel tells of memory, and of threads that were ready but did not run."""
import collections
import glob


def read_file(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return None


def meminfo(key):
    for line in (read_file('/proc/meminfo') or '').splitlines():
        if line.startswith(key + ':'):
            return int(line.split()[1])
    return 0


def family(pid):
    """A process and its descendants."""
    children = collections.defaultdict(list)
    for path in glob.glob('/proc/[0-9]*/stat'):
        text = read_file(path)
        if text:
            # The name may have anything in it.
            children[int(text.rpartition(')')[2].split()[1])].append(int(path.split('/')[2]))
    result = [pid]
    for each in result:
        result += children[each]
    return result


def delays(pid):
    """Per thread of a process and of its descendants: seconds run, seconds it was ready but did not run."""
    result = {}
    for path in (path for each in family(pid) for path in glob.glob(f'/proc/{each}/task/*/schedstat')):
        text = read_file(path)
        if text:
            run, wait = text.split()[:2]
            result[path.split('/')[4]] = (int(run) * 1e-9, int(wait) * 1e-9)
    return result


def cpu_times(cpus):
    """Per CPU: ticks at work, for whomever, and ticks in all."""
    result = {}
    for line in (read_file('/proc/stat') or '').splitlines():
        name, *ticks = line.split()
        if name.startswith('cpu') and name[3:].isdigit() and int(name[3:]) in cpus:
            ticks = [int(n) for n in ticks[:8]]
            result[int(name[3:])] = sum(ticks) - sum(ticks[3:5]), sum(ticks)
    return result


def worst_delay(before, after):
    """Of the threads that ran most of the time: the largest share of time they were kept waiting."""
    worst = 0.0
    for task, (run, wait) in after.items():
        run0, wait0 = before.get(task, (0.0, 0.0))
        run, wait = run - run0, wait - wait0
        if run + wait > 0.5:
            worst = max(worst, wait / (run + wait))
    return worst
