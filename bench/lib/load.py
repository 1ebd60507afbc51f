# SPDX-License-Identifier: MIT
"""fio: loads on a block device, and the bytes verified."""

import json
import os
import subprocess
import time

from . import witness

SAMPLING = 0.1  # seconds


def _common(path, plan):
    return [
        "[global]",
        f"filename={path}",
        "direct=1",
        "thread=0",
        f"size={plan.size_mib}m",
        "norandommap",
        "group_reporting",
        "lat_percentiles=1",
        "clat_percentiles=0",
    ]


def _section(point, plan):
    engine = "psync" if point.depth == 1 else plan.engine
    return [
        f"[{point.name}]",
        "stonewall",
        f"rw={point.pattern}",
        f"bs={point.block}",
        f"ioengine={engine}",
        f"iodepth={point.depth}",
        f"numjobs={point.jobs}",
        "time_based",
        f"ramp_time={int(plan.warm_up * 1000)}ms",
        f"runtime={int(plan.seconds * 1000)}ms",
    ]


def _fio(text, watched):
    """Runs fio on a job file; returns its report, and what was seen meanwhile."""
    command = ["fio", "--eta=never", "--output-format=json+", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as fio:
        look = witness.busy_and_children(fio.pid) if watched else time.monotonic
        with witness.Watcher(SAMPLING, look) as watcher:
            output, errors = fio.communicate(text.encode())
    if fio.returncode != 0:
        raise RuntimeError("fio: " + (errors.decode().strip().splitlines() or ["it failed"])[-1])
    report = output.decode()
    return json.loads(report[report.index("{") :]), watcher.seen


def _merged_bins(job):
    bins = {}
    for way in ("read", "write"):
        for ns, count in job[way]["lat_ns"].get("bins", {}).items():
            bins[ns] = bins.get(ns, 0) + count
    return bins


def _sample(point, job, busy):
    total = sum(job[way]["total_ios"] for way in ("read", "write"))
    iops = sum(job[way]["iops"] for way in ("read", "write"))
    latency = sum(job[way]["lat_ns"]["mean"] * job[way]["total_ios"] for way in ("read", "write"))
    return {
        "point": point.name,
        "iops": iops,
        "bytes_per_second": sum(job[way]["bw_bytes"] for way in ("read", "write")),
        "mean_ns": latency / total if total else None,
        "cpu_ns": busy / iops * 1e9 if busy is not None and iops else None,
        "bins": _merged_bins(job),
    }


def measure(path, points, plan):
    """A sample for each point; all in one fio, one after the other."""
    lines = _common(path, plan)
    for point in points:
        lines += _section(point, plan)
    report, seen = _fio("\n".join(lines) + "\n", True)
    jobs = {job["jobname"]: job for job in report["jobs"]}
    children = sorted(frozenset().union(*(running for _, _, running in seen)))
    samples = []
    for point in points:
        # fio starts a point's processes when those of the one before have ended, so they are the next in order.
        own, children = frozenset(children[: point.jobs]), children[point.jobs :]
        busy = witness.busy_share(seen, own, plan.warm_up) if len(own) == point.jobs else None
        samples.append(_sample(point, jobs[point.name], busy))
    return samples


def fill(path, plan):
    """Writes all of a device once, so that no read finds a hole."""
    _fio("\n".join(_common(path, plan) + ["[fill]", "rw=write", "bs=1m", "ioengine=psync"]) + "\n", False)


def verify(path, plan):
    """Writes blocks at random and reads each back; raises RuntimeError if a byte is wrong."""
    lines = _common(path, plan) + [
        "[verify]",
        f"io_size={min(plan.size_mib, 8)}m",
        "rw=randwrite",
        "bs=4k",
        f"ioengine={plan.engine}",
        "iodepth=8",
        "verify=crc32c",
        "verify_fatal=1",
        "do_verify=1",
        "verify_state_save=0",
    ]
    lines.remove("norandommap")
    _fio("\n".join(lines) + "\n", False)


def scheduler_file(path):
    """The file that says a block device's scheduler; None for a path that is no block device, or has none."""
    file = f"/sys/class/block/{os.path.basename(path)}/queue/scheduler"
    return file if os.path.exists(file) else None


def schedulers(path):
    """(all that it knows, the one in use) of a device."""
    file = scheduler_file(path)
    words = witness.read_text(file).split() if file else []
    return [word.strip("[]") for word in words], next((word[1:-1] for word in words if word[0] == "["), "none")


def set_scheduler(path, name):
    file = scheduler_file(path)
    if file and name in schedulers(path)[0]:
        with open(file, "w", encoding="ascii") as scheduler:
            scheduler.write(name)
