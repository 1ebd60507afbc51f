# SPDX-License-Identifier: MIT
"""What the servers of devices do when there is nothing to do."""

import os
import time

from . import witness

SETTLE = 1.0  # seconds that a server has to fall asleep
WINDOW = 10.0


def _runs(pids):
    """(nanoseconds on a processor, how often it was given one), of all threads of these processes."""
    nanoseconds = times = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            fields = witness.read_text(f"/proc/{pid}/task/{thread}/schedstat").split()
            nanoseconds += int(fields[0])
            times += int(fields[2])
    return nanoseconds, times


def measure(servers):
    """A sample for each device that has servers, all over the same ten seconds. servers: {device: its processes}."""
    time.sleep(SETTLE)
    before = {device: _runs(pids) for device, pids in servers.items()}
    time.sleep(WINDOW)
    for device, (nanoseconds, _times) in before.items():
        if nanoseconds == 0:  # it has run, to get where it is
            raise RuntimeError(f"this kernel does not count what {device} does (CONFIG_SCHED_INFO)")
    samples = []
    for device, pids in servers.items():
        nanoseconds, times = _runs(pids)
        samples.append(
            {
                "kind": "idle",
                "device": device,
                "seconds": WINDOW,
                "cpu_ns": nanoseconds - before[device][0],
                "wakeups": times - before[device][1],
            }
        )
    return samples
