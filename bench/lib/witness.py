# SPDX-License-Identifier: MIT
"""Threads that look at the system while something runs, and what they saw."""

import os
import threading
import time

PROCESSORS = os.cpu_count() or 1


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def busy_seconds():
    """How long all processors together have done anything since boot: for users, the kernel and interrupts."""
    user, nice, system, _idle, _iowait, irq, softirq = map(int, read_text("/proc/stat").split(maxsplit=8)[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def counts_idle():
    """Does this kernel know that it is idle? Some take a processor that polls when idle (idle=poll) for a busy one."""
    before = busy_seconds()
    time.sleep(1)
    return busy_seconds() - before < 0.5


def speed():
    """Seconds for a fixed piece of work: how fast this machine is just now. The best of three."""

    def once():
        start = time.perf_counter()
        total = 0
        for i in range(30000):
            total += i * i
        return time.perf_counter() - start

    return min(once() for _ in range(3))


class Watcher:
    """Calls look() every `interval` seconds in a thread of its own, from `with` to its end; keeps what it returned."""

    def __init__(self, interval, look):
        self.seen = []
        self._interval = interval
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._over.wait(self._interval):
            try:
                self.seen.append(self._look())
            except OSError:  # what it looked at has ended
                pass

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def busy_and_children(parent):
    """A function for a Watcher: (time, busy seconds, the children of that process)."""

    def look():
        children = read_text(f"/proc/{parent}/task/{parent}/children").split()
        return time.monotonic(), busy_seconds(), frozenset(map(int, children))

    return look


def busy_share(seen, children, settle):
    """How many processors were busy, on average, while all these children ran; None if that was too short to say.

    The first `settle` seconds do not count."""
    rows = [(at, busy) for at, busy, running in seen if children <= running]
    rows = [row for row in rows if row[0] >= rows[0][0] + settle]
    if len(rows) < 3:
        return None
    return (rows[-1][1] - rows[0][1]) / (rows[-1][0] - rows[0][0])


def vmstat():
    """The counters of /proc/vmstat."""
    return {name: int(value) for name, value in (line.split() for line in read_text("/proc/vmstat").splitlines())}


def free_memory():
    """Bytes of RAM that nothing is in, not even cache."""
    fields = dict(line.split(":") for line in read_text("/proc/meminfo").splitlines())
    return int(fields["MemFree"].split()[0]) << 10


def pressure(group):
    """Seconds in which some, and in which all tasks of a cgroup waited for memory."""
    totals = {}
    for line in read_text(f"{group}/memory.pressure").splitlines():
        kind, *fields = line.split()
        totals[kind] = int(fields[-1].split("=")[1]) / 1e6
    return totals.get("some", 0.0), totals.get("full", 0.0)


def felt(command):
    """A function for a Watcher: how many seconds a command takes that has nothing to do with the load."""

    def look():
        start = time.monotonic()
        os.waitpid(os.posix_spawn(command, [command], {}), 0)
        return time.monotonic() - start

    return look
