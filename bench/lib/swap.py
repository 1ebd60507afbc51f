# SPDX-License-Identifier: MIT
"""Swap workloads, each in a memory cgroup smaller than what it uses; what it swaps goes to the device under test."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib

from . import witness

CGROUPS = "/sys/fs/cgroup"
TIMELINE = 0.1  # seconds between looks
FELT_EVERY = 0.5
FELT_COMMAND = "/bin/true"
COUNTERS = ("pswpout", "pswpin", "pgmajfault", "pgscan_direct", "oom_kill")  # of /proc/vmstat
PROGRAMS = os.environ.get("VRAMSWAP_BIN") or os.path.join(os.path.dirname(__file__), "../../build/bin")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stdout.decode(errors='replace').strip()}")


# --- the workloads: a command, how much RAM it may have, and what its output, or what it left, says ---


def random_work(plan, threads=1):
    """Its time is that of its stages: how long a program takes to start is not the device's doing."""
    command = [f"{PROGRAMS}/swap_load", str(plan.work_mib), str(threads), str(plan.seed)]

    def judge(output):
        stages = json.loads(output)
        if any(stage["wrong"] for stage in stages.values()):
            raise RuntimeError("swap_load: wrong pages")
        return {"stages": stages, "seconds": sum(stage["seconds"] for stage in stages.values())}

    return command, plan.ram_mib, judge


def random_jobs(plan):
    """With a thread for each processor: nothing is left for a server but what they do not take."""
    return random_work(plan, witness.PROCESSORS)


def stress_ng(plan):
    """Each of two workers has more than both may keep in RAM, so neither can do its work without swap while the other
    waits. It fills its memory, flips bits in eight passes and reads it all once more: 32 operations a MiB and pass."""
    ram = max(8, plan.ram_mib // 5)
    each = ram * 130 // 100
    command = ["stress-ng", "--vm", "2", "--vm-bytes", f"{2 * each}M", "--vm-method", "flip", "--verify"]
    command += ["--vm-madvise", "normal", "--vm-ops", str(2 * (9 * each + 1) * 32), "--timeout", "0"]

    def judge(output):
        if "successful run completed" not in output or "fail:" in output:
            raise RuntimeError("stress-ng: " + output.strip().splitlines()[-1])
        return {}

    return command, ram, judge


@functools.lru_cache
def _random_lines(mib):
    """A folder with a file of random lines, and the checksum of the same in order. It lives as long as the bench."""
    folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
    digits = os.urandom(31 * (mib << 20) // 63).hex()
    lines = [digits[at : at + 62] for at in range(0, len(digits), 62)]
    with open(f"{folder.name}/lines", "w", encoding="ascii") as file:
        file.writelines(line + "\n" for line in lines)
    checksum = 0
    for line in sorted(lines):
        checksum = zlib.crc32(f"{line}\n".encode(), checksum)
    return folder, checksum


def sort(plan):
    """Sorts lines in memory; with its pointers, sort needs half as much again. Half of what others have: its accesses
    are spread so widely that each takes several faults."""
    folder, checksum = _random_lines(plan.work_mib // 3)
    command = ["sort", f"--buffer-size={plan.work_mib}M", f"{folder.name}/lines"]

    def judge(output):
        if zlib.crc32(output.encode()) != checksum:
            raise RuntimeError("sort: wrong lines")
        return {}

    return command, plan.ram_mib // 2, judge


WORKLOADS = {"random": random_work, "random-jobs": random_jobs, "stress-ng": stress_ng, "sort": sort}


# --- running them ---


class Cgroup:
    """A memory cgroup for one workload."""

    def __init__(self, ram_mib):
        self.path = tempfile.mkdtemp(prefix="vramswap-bench-", dir=CGROUPS)
        write(f"{self.path}/memory.max", ram_mib << 20)
        if os.path.exists(f"{self.path}/memory.zswap.max"):
            write(f"{self.path}/memory.zswap.max", 0)

    def enter(self):
        write(f"{self.path}/cgroup.procs", os.getpid())

    def remove(self):
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


class Swap:
    """The device is swap as long as this lives, and swap goes to it before any other."""

    def __init__(self, path, page_cluster):
        self.path = path
        self.cluster = witness.read_text("/proc/sys/vm/page-cluster").strip()
        run("mkswap", path)
        run("swapon", "--discard", "--priority", "32767", path)
        write("/proc/sys/vm/page-cluster", page_cluster)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        write("/proc/sys/vm/page-cluster", self.cluster)
        run("swapoff", self.path)


def _timeline(group):
    start = time.monotonic()

    def look():
        counters = witness.vmstat()
        some, full = witness.pressure(group.path)
        return [time.monotonic() - start, counters["pswpout"], counters["pswpin"], some, full]

    return look


def _drop_caches(command):
    os.sync()
    write("/proc/sys/vm/drop_caches", 3)
    # What the workload itself is made of comes back from disk before it is timed.
    for program in (command[0], FELT_COMMAND):
        subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _run_watched(command, group):
    """Runs the command in the group; (its output, seconds, the timeline, seconds of each unrelated command)."""
    with witness.Watcher(TIMELINE, _timeline(group)) as timeline:
        with witness.Watcher(FELT_EVERY, witness.felt(FELT_COMMAND)) as felt:
            start = time.monotonic()
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                preexec_fn=group.enter,
                env=os.environ | {"LC_ALL": "C"},
            )
            seconds = time.monotonic() - start
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: status {done.returncode}: {output.strip()[-200:]}")
    return output, seconds, timeline.seen, felt.seen


def touch_memory():
    """Writes to most memory that is free or was cache, uncounted. What programs left behind, above all what code was in
    it, costs an emulated processor seconds when that is written to: else whoever is first would pay for it."""
    os.sync()
    write("/proc/sys/vm/drop_caches", 3)
    free = witness.free_memory() * 7 // 8
    # In a process of its own, which may be killed if memory is short.
    run(sys.executable, "-c", f"import mmap; mmap.mmap(-1, {free}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)")
    return []


def measure(path, workload, plan, page_cluster):
    """A sample of one workload on one device."""
    command, ram_mib, judge = WORKLOADS[workload](plan)
    group = Cgroup(ram_mib)
    try:
        with Swap(path, page_cluster):
            _drop_caches(command)
            before = witness.vmstat()
            output, seconds, timeline, felt = _run_watched(command, group)
            after = witness.vmstat()
            some, full = witness.pressure(group.path)
    finally:
        group.remove()
    sample = {"workload": workload, "page_cluster": page_cluster, "seconds": seconds, "elapsed": seconds, "felt": felt}
    sample |= {"psi_some": some, "psi_full": full}
    sample["vmstat"] = {name: after[name] - before[name] for name in COUNTERS}
    sample["timeline"] = [
        [at, out - before["pswpout"], back - before["pswpin"], *waits] for at, out, back, *waits in timeline
    ]
    return sample | judge(output)


def felt_alone(times):
    """How long the unrelated command takes without any load."""
    look = witness.felt(FELT_COMMAND)
    look()
    return [look() for _ in range(times)]
