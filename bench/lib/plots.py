# SPDX-License-Identifier: MIT
"""The pictures of a run, as SVG."""

import matplotlib

matplotlib.use("Agg")
# pylint: disable=wrong-import-position
import matplotlib.pyplot as plt

from . import stats, text

matplotlib.rcParams.update(
    {
        "svg.hashsalt": "vramswap",  # the same run makes the same file
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "legend.frameon": False,
    }
)

COLORS = {
    "brd": "#222222",
    "null_blk": "#999999",
    "zram:lz4": "#2ca02c",
    "zram:zstd": "#98c64d",
    "nbd:1": "#1f77b4",
    "nbd:4": "#7ab8e0",
    "ublk:null": "#c49c94",
    "ublk:loop": "#8c564b",
    "file": "#9467bd",
    "nvme": "#e377c2",
    "vramswap:host": "#d62728",
    "vramswap:cuda": "#ff7f0e",
}


def style(device):
    ours = device.startswith("vramswap")
    return {"color": COLORS.get(device, "#bbbbbb"), "linewidth": 2.4 if ours else 1.3, "zorder": 3 if ours else 2}


def untuned(samples, load):
    return [key for key in text.in_order(samples.keys(load)) if not key.tuning]


def figure(columns, rows=1, height=3.6):
    return plt.subplots(rows, columns, figsize=(4.6 * columns, height * rows), layout="constrained", squeeze=False)


def save(picture, prefix, name):
    path = f"{prefix}-{name}.svg"
    picture.savefig(path, metadata={"Date": None})
    plt.close(picture)
    return path


def tail(bins):
    """A histogram's distribution: values, and the share that lies at or above each."""
    total, above, values, shares = sum(bins.values()), sum(bins.values()), [], []
    for value in sorted(bins, key=int):
        values.append(int(value))
        shares.append(above / total)
        above -= bins[value]
    return values, shares


def distributions(report, prefix, name, panels, histogram):
    """Distributions of latencies, in microseconds, or as multiples of brd's median on an emulated machine."""
    panels = [(load, title) for load, title in panels if report.samples.keys(load)]
    if not panels:
        return None
    picture, axes = figure(len(panels))
    for axis, (load, title) in zip(axes[0], panels):
        base = report.samples.bins(stats.Key(text.BASE, "", load), histogram)
        unit = (stats.percentile(base, 0.5) or 1000) if report.emulated else 1000
        for key in untuned(report.samples, load):
            bins = report.samples.bins(key, histogram)
            if bins:
                values, shares = tail(bins)
                axis.plot([value / unit for value in values], shares, label=key.device, **style(key.device))
        axis.set(title=title, xscale="log")
        axis.set(xlabel="latency, in multiples of brd's median" if report.emulated else "latency, µs")
        axis.xaxis.set_major_formatter("{x:g}")
        # Percentiles evenly by their nines: what matters is at the top.
        axis.set(yscale="log", ylim=(1.0, 5e-4), ylabel="share of requests that were quicker")
        axis.set_yticks([0.5, 0.1, 0.01, 0.001], ["50 %", "90 %", "99 %", "99.9 %"])
        axis.set_yticks([], minor=True)
    axes[0][-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return save(picture, prefix, name)


def over_depth(report, prefix):
    depths = [1, 4, 32, 128]
    patterns = [("randread", "random read"), ("randwrite", "random write"), ("randrw", "half read, half write")]
    patterns = [one for one in patterns if report.samples.keys(f"{one[0]}-4k-d4")]
    if not patterns:
        return None
    picture, axes = figure(len(patterns))
    for axis, (pattern, title) in zip(axes[0], patterns):
        base = report.samples.figure(stats.Key(text.BASE, "", f"{pattern}-4k-d1"), stats.iops)
        unit = (base.median if base else 1) if report.emulated else 1000
        for key in untuned(report.samples, f"{pattern}-4k-d4"):
            keys = [stats.Key(key.device, "", f"{pattern}-4k-d{depth}") for depth in depths]
            figures = [(depth, report.samples.figure(one, stats.iops)) for depth, one in zip(depths, keys)]
            figures = [(depth, found) for depth, found in figures if found]
            where = [depth for depth, _ in figures]
            low, middle, high = (
                [getattr(found, name) / unit for _, found in figures] for name in ("low", "median", "high")
            )
            look = style(key.device)
            axis.plot(where, middle, marker="o", markersize=3, label=key.device, **look)
            axis.fill_between(where, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axis.set(title=f"{title}, 4 KiB", xscale="log", xlabel="depth", yscale="log")
        axis.set(ylabel="IOPS, in multiples of brd's at depth 1" if report.emulated else "thousand IOPS")
        axis.set_xticks(depths, depths)
        axis.set_xticks([], minor=True)
        axis.yaxis.set_major_formatter("{x:g}")
    axes[0][-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return save(picture, prefix, "iops")


def middle_round(report, key):
    """The round whose time is the median."""
    rounds = sorted(report.samples.rounds(key).values(), key=stats.seconds)
    return rounds[len(rounds) // 2]


def rates(timeline, column):
    """What a counter of a timeline grew by each second: (times, rates)."""
    times = [row[0] for row in timeline]
    pairs = list(zip(timeline, timeline[1:]))
    return times[1:], [(b[column] - a[column]) / (b[0] - a[0]) for a, b in pairs]


def swap_timeline(report, prefix):
    """For each device: the pages swapped so far, and the share of time in which all tasks waited for memory."""
    keys = untuned(report.samples, "random")
    if not keys:
        return None
    columns = 3
    picture, axes = figure(columns, -(-len(keys) // columns), 2.4)
    base = report.samples.figure(stats.Key(text.BASE, "", "random"), stats.seconds)
    unit = base.median if report.emulated and base else 1
    pages = report.result["plan"]["work_mib"] << 8
    for number, (axis, key) in enumerate(zip(axes.flat, keys)):
        sample = middle_round(report, key)
        timeline = [[0, 0, 0, 0, 0], *sample["timeline"]]
        times, full = rates(timeline, 4)
        shares = [min(share, 1) for share in full]
        axis.fill_between([at / unit for at in times], shares, step="pre", color="#f2b8b5", linewidth=0)
        axis.set(ylim=(0, 1))
        axis.set_title(f"{key.device}: {sample['seconds'] / unit:.1f}" + ("× brd" if report.emulated else " s"))
        moved = axis.twinx()
        for column, label, color in ((1, "out", "#1f77b4"), (2, "in", "#2ca02c")):
            counted = [row[column] / pages for row in timeline]
            moved.plot([row[0] / unit for row in timeline], counted, color=color, label=f"pages {label}")
        moved.set(ylim=(0, None))
        moved.grid(False)
        if number % columns == columns - 1 or key == keys[-1]:
            moved.set_ylabel("pages moved, in multiples\nof the workload's")
        if number == 0:
            moved.legend(loc="upper left", fontsize=8)
    for axis in list(axes.flat)[len(keys) :]:
        axis.set_visible(False)
    picture.supxlabel("time, in multiples of brd's" if report.emulated else "time, s")
    picture.supylabel("PSI full")
    return save(picture, prefix, "swap")


def draw(report, prefix):
    """All pictures that the run has the samples for: (file, title)."""
    panels = [("randread-4k-d1", "random read, 4 KiB, depth 1"), ("randread-4k-d32", "random read, 4 KiB, depth 32")]
    workload = [("random", "major faults of the swap workload")]
    pictures = [
        (distributions(report, prefix, "latency", panels, lambda sample: sample["bins"]), "Latency of random reads"),
        (over_depth(report, prefix), "IOPS over depth"),
        (distributions(report, prefix, "faults", workload, stats.faults), "Major faults"),
        (swap_timeline(report, prefix), "Swap over time"),
    ]
    return [(path, title) for path, title in pictures if path]
