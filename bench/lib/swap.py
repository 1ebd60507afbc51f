# SPDX-License-Identifier: MIT
"""Swap workloads, each in a memory cgroup smaller than what it uses; what it swaps goes to the device under test."""

import json
import os
import subprocess
import tempfile
import time

from . import witness

CGROUPS = "/sys/fs/cgroup"
TIMELINE = 0.1  # seconds between looks
FELT_EVERY = 0.5
FELT_COMMAND = "/bin/true"
PROGRAMS = os.environ.get("VRAMSWAP_BIN") or os.path.join(os.path.dirname(__file__), "../../build/bin")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stdout.decode(errors='replace').strip()}")


# --- the workloads: a command, what must hold of its output, and what else there is to say about it ---


def random_work(plan, _folder):
    command = [f"{PROGRAMS}/swap_load", str(plan.work_mib), str(witness.PROCESSORS), str(plan.seed)]

    def judge(output):
        stages = json.loads(output)
        if any(stage["wrong"] for stage in stages.values()):
            raise RuntimeError("swap_load: wrong pages")
        return {"stages": stages}

    return command, judge


def stress_ng(plan, _folder):
    # Each of two workers fills its half, flips bits in eight passes and reads it all once more: 32 operations a MiB.
    each = plan.work_mib // 2
    command = ["stress-ng", "--vm", "2", "--vm-bytes", f"{2 * each}M", "--vm-method", "flip", "--verify"]
    command += ["--vm-ops", str(2 * (9 * each + 1) * 32), "--timeout", "0"]

    def judge(output):
        if "successful run completed" not in output or "fail:" in output:
            raise RuntimeError("stress-ng: " + output.strip().splitlines()[-1])
        return {}

    return command, judge


def sort(plan, folder):
    """Sorts random lines in memory; sort's buffer holds all of them, and has twice as much for its pointers."""
    lines, result = f"{folder}/lines", f"{folder}/sorted"
    with open(lines, "wb") as file:
        for _ in range(plan.work_mib // 2):
            file.write(b"\n".join(os.urandom(31).hex().encode() for _ in range((1 << 20) // 63)) + b"\n")
    command = ["env", "LC_ALL=C", "sort", f"--buffer-size={2 * plan.work_mib}M", "-o", result, lines]

    def judge(_output):
        with open(lines, "rb") as before, open(result, "rb") as after:
            if sorted(before) != after.readlines():
                raise RuntimeError("sort: wrong lines")
        return {}

    return command, judge


WORKLOADS = {"random": random_work, "stress-ng": stress_ng, "sort": sort}


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
        write("/proc/sys/vm/page-cluster", page_cluster)
        run("mkswap", path)
        run("swapon", "--discard", "--priority", "32767", path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run("swapoff", self.path)
        write("/proc/sys/vm/page-cluster", self.cluster)


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
            )
            seconds = time.monotonic() - start
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: status {done.returncode}: {output.strip()[-200:]}")
    return output, seconds, timeline.seen, felt.seen


def measure(path, workload, plan, page_cluster):
    """A sample of one workload on one device."""
    with tempfile.TemporaryDirectory() as folder:
        command, judge = WORKLOADS[workload](plan, folder)
        group = Cgroup(plan.ram_mib)
        try:
            with Swap(path, page_cluster):
                _drop_caches(command)
                before = witness.vmstat()
                output, seconds, timeline, felt = _run_watched(command, group)
                after = witness.vmstat()
                some, full = witness.pressure(group.path)
            sample = judge(output)
        finally:
            group.remove()
    sample.update(workload=workload, page_cluster=page_cluster, seconds=seconds, felt=felt)
    sample.update(psi_some=some, psi_full=full)
    sample["vmstat"] = {
        name: after[name] - before[name] for name in ("pswpout", "pswpin", "pgmajfault", "pgscan_direct", "oom_kill")
    }
    for row in timeline:
        row[1] -= before["pswpout"]
        row[2] -= before["pswpin"]
    sample["timeline"] = timeline
    return sample


def felt_alone(times):
    """How long the unrelated command takes without any load."""
    look = witness.felt(FELT_COMMAND)
    look()
    return [look() for _ in range(times)]
