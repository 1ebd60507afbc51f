# SPDX-License-Identifier: MIT
"""What is measured: devices, points of load, workloads, and how long each."""

from dataclasses import dataclass, field
import os


@dataclass(frozen=True)
class Device:
    """A file of bench/devices and its variant. A device that moves no bytes can be no swap, and verifies nothing."""

    name: str
    holds_data: bool = True
    iron: bool = False  # only on a real machine
    slow: bool = False  # is swap for the main workload only, and in the first round


DEVICES = [
    Device("brd"),
    Device("null_blk", holds_data=False),
    Device("zram:lz4"),
    Device("zram:zstd"),
    Device("nbd:1"),
    Device("nbd:4"),
    Device("ublk:null", holds_data=False),
    Device("ublk:loop"),
    Device("file", slow=True),
    Device("nvme", iron=True),
    Device("vramswap:host"),
    Device("vramswap:cuda", iron=True),
]


@dataclass(frozen=True)
class Point:
    """One load for fio. Points of a group run in one go on a device, before the next device gets its turn."""

    group: str
    pattern: str  # fio's rw
    block: str
    depth: int
    jobs: int = 1

    @property
    def name(self):
        jobs = f"-j{self.jobs}" if self.jobs > 1 else ""
        return f"{self.pattern}-{self.block}-d{self.depth}{jobs}"


def points(processors):
    """All points; those with several jobs up to the number of processors."""
    result = [Point("lone", pattern, "4k", 1) for pattern in ("randread", "randwrite", "randrw")]
    for pattern in ("randread", "randwrite", "randrw"):
        result += [Point("deep", pattern, "4k", depth) for depth in (4, 32, 128)]
    for block in ("128k", "1m"):
        result += [Point("sequential", pattern, block, 4) for pattern in ("read", "write")]
    jobs = 2
    while jobs <= processors:
        result += [Point("jobs", "randread", "4k", depth, jobs) for depth in (1, 32)]
        jobs *= 2
    return result


# What goals name: measured in all rounds, and with a device's own scheduler too, if that is not "none".
MAIN_POINTS = ("randread-4k-d1", "randwrite-4k-d1", "randread-4k-d32", "read-128k-d4", "write-128k-d4")

WORKLOADS = ("random", "random-jobs", "stress-ng", "sort")
MAIN_WORKLOAD = "random"
OTHER_POINTS_ROUNDS = 2  # how often the other points are measured


@dataclass(frozen=True)
class Pass:
    """One go through some loads on all devices, in an order of its own. Figures of the same round are compared."""

    name: str
    round: int
    points: tuple = ()
    workloads: tuple = ()

    @property
    def groups(self):
        """The points by group, in order."""
        result = {}
        for point in self.points:
            result.setdefault(point.group, []).append(point)
        return result

    @property
    def loads(self):
        """What passes that take equally long have in common."""
        return self.points, self.workloads


@dataclass
class Plan:
    """One run of the bench."""

    rounds: int = 5
    minutes: float = 50
    seconds: float = 0.5  # each point
    warm_up: float = 0.1  # before each point
    size_mib: int = 192  # each device
    work_mib: int = 48  # what a swap workload has ...
    ram_mib: int = 27  # ... and may keep in RAM: 5/9, as in the figures that led to this project's design
    # fio's, from depth 2 on; psync below, which is most like a page fault. Not io_uring: its task work may count as a
    # pending signal, and those interrupt the sends of nbd (was_interrupted in drivers/block/nbd.c), a peer.
    engine: str = "libaio"
    page_cluster: list = field(default_factory=lambda: [0, 3])  # readahead of "random", for those that have it
    devices: list = field(default_factory=list)
    points: list = field(default_factory=list)
    workloads: list = field(default_factory=list)
    schedulers: bool = True  # also the devices' own
    idle: bool = True
    touch_memory: bool = True  # before swap is measured, for emulated processors
    all_rounds: bool = False  # nothing is in some of them only
    seed: int = 1

    def passes(self):
        """All that is to be done, in order: first what goals name, so that the rest is what there may be no time for."""
        rounds = range(1, self.rounds + 1)
        if self.all_rounds:
            return [Pass(f"round {number}", number, tuple(self.points), tuple(self.workloads)) for number in rounds]
        main = tuple(point for point in self.points if point.name in MAIN_POINTS)
        others = tuple(point for point in self.points if point.name not in MAIN_POINTS)
        named = tuple(name for name in self.workloads if name == MAIN_WORKLOAD)
        result = [Pass(f"round {number}", number, main, named) for number in rounds]
        if others:
            result += [Pass(f"other points, round {number}", number, others) for number in rounds[:OTHER_POINTS_ROUNDS]]
        return result + [Pass(name, 1, workloads=(name,)) for name in self.workloads if name != MAIN_WORKLOAD]

    def swaps(self, device, workload, number):
        """Is the device swap for that workload in that round?"""
        slow = device.slow and not self.all_rounds
        return device.holds_data and not (slow and (workload != MAIN_WORKLOAD or number > 1))


def all_points():
    return points(os.cpu_count() or 1)


def quick():
    """What bench/quick needs to look at half of each goal: three minutes in an emulated guest."""
    names = set(MAIN_POINTS)
    return Plan(
        rounds=2,
        seconds=0.4,
        page_cluster=[0],
        schedulers=False,
        devices=["brd", "zram:lz4", "nbd:1", "ublk:null", "ublk:loop", "vramswap:host"],
        points=[point for point in all_points() if point.name in names],
        workloads=[MAIN_WORKLOAD],
    )
