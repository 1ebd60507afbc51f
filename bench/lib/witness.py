# SPDX-License-Identifier: MIT
"""Threads that look at the system while something runs, and what they saw."""

import os
import threading
import time

PROCESSORS = os.cpu_count() or 1


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def idle_seconds():
    """How long all processors together have been idle since boot."""
    return float(read_text("/proc/uptime").split()[1])


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
    """A function for a Watcher: (time, idle seconds, the children of that process)."""

    def look():
        children = read_text(f"/proc/{parent}/task/{parent}/children").split()
        return time.monotonic(), idle_seconds(), frozenset(map(int, children))

    return look


def busy_share(seen, children, settle, processors=PROCESSORS):
    """How many processors were busy, on average, while all these children ran; None if that was too short to say.

    The first `settle` seconds do not count."""
    rows = [(at, idle) for at, idle, running in seen if children <= running]
    rows = [row for row in rows if row[0] >= rows[0][0] + settle]
    if len(rows) < 3:
        return None
    elapsed = rows[-1][0] - rows[0][0]
    return max(0.0, processors - (rows[-1][1] - rows[0][1]) / elapsed)


def vmstat():
    """The counters of /proc/vmstat."""
    return {name: int(value) for name, value in (line.split() for line in read_text("/proc/vmstat").splitlines())}


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
