# SPDX-License-Identifier: MIT
"""The report of a run as Markdown. What an emulated machine measured appears only as ratios."""

import re

from . import goals, plan, stats

BASE = "brd"
ORDER = {device.name: number for number, device in enumerate(plan.DEVICES)}


def in_order(keys):
    return sorted(keys, key=lambda key: (ORDER.get(key.device, 99), key.tuning))


def table(head, rows):
    """Lines of a Markdown table; figures stand to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def section(title, head, rows):
    """A heading and a table; nothing if there is nothing to show."""
    return [f"## {title}", "", *table(head, rows)] if rows else []


# --- how a figure is written on a real machine ---


def kilo(value):
    return f"{value / 1e3:.1f}k" if value < 1e5 else f"{value / 1e3:.0f}k"


def micro(value):
    return f"{value / 1e3:.1f} µs" if value < 1e5 else f"{value / 1e3:.0f} µs"


def mega(value):
    return f"{value / 1e6:.0f} MB/s"


def second(value):
    return f"{value:.1f} s"


def milli(value):
    return f"{value * 1e3:.1f} ms"


def percent(value):
    return f"{value * 100:.0f} %"


class Report:
    """Of one run."""

    def __init__(self, result):
        self.result = result
        self.emulated = result["machine"]["emulated"]
        self.samples = stats.Samples(result["samples"])

    # --- cells ---

    def cell(self, key, measure, unit):
        """A ratio to brd under the same load if the machine is emulated, else the figure itself; ~ for noisy."""
        if self.emulated:
            figure = self.samples.ratio(key, stats.Key(BASE, "", key.load), measure)
            unit = "{:.2f}".format
        else:
            figure = self.samples.figure(key, measure)
        return self.marked(figure, unit)

    def plain_cell(self, key, measure, unit):
        """A figure that is a ratio by itself."""
        return self.marked(self.samples.figure(key, measure), unit)

    @staticmethod
    def marked(figure, unit):
        if figure is None:
            return "–"
        return unit(figure.median) + (" ~" if figure.noisy else "")

    def rows(self, loads, cells):
        """A row for each device and tuning that was measured under any of the loads. cells: a function of the row's
        keys, one for each load."""
        found = {(key.device, key.tuning): key for load in loads for key in self.samples.keys(load)}
        rows = []
        for key in in_order(found.values()):
            own = [stats.Key(key.device, key.tuning, load) for load in loads]
            label = f"**{key.label}**" if key.device.startswith("vramswap") else key.label
            rows.append([label, *cells(own)])
        return rows

    # --- parts ---

    def head(self):
        machine, how = self.result["machine"], self.result["plan"]
        rounds = max((sample.get("round", 0) for sample in self.result["samples"]), default=0)
        lines = ["# Bench", ""]
        if self.emulated:
            lines += [
                "**The machine is emulated: only ratios count.** Where the text says nothing else, a figure is the ratio "
                "to brd's under the same load, in the same round.",
                "",
            ]
        lines += [
            f"- Linux {machine['kernel']}, {machine['processors']} processors ({machine['processor']}), "
            f"{machine['memory_mib']} MiB, {machine['date']}",
            f"- {rounds} round(s) in changing order, {how['seconds']} s for each point; medians of the rounds. "
            "What no goal names is measured once or twice only, unless it was asked for. "
            f"Devices of {how['size_mib']} MiB; the workload random has {how['work_mib']} MiB and may keep "
            f"{how['ram_mib']} in RAM",
            f"- ~ is noisy: the rounds differ by more than {percent(stats.NOISY_SPREAD)} of their median, there is only "
            f"one of them, or the machine's speed was off by more than {percent(stats.NOISY_SPEED)} at one of them",
        ]
        if not machine["counts_idle"]:
            lines.append("- CPU per I/O was not measured: this kernel takes an idle processor for a busy one")
        if machine["note"]:
            lines.append(f"- {machine['note']}")
        if self.result.get("left_out", []):
            lines.append(f"- **There was no time for: {'; '.join(self.result['left_out'])}**")
        lines += [f"- {name} is missing: {why}" for name, why in self.result["missing"].items()]
        lines += [f"- **{name} failed, and was measured no more: {why}**" for name, why in self.result["failed"].items()]
        return lines + [""]

    def goals(self):
        rows = []
        for verdict in goals.judge(self.samples):
            relation = "≥" if verdict.goal.at_least else "≤"
            peer = f" ({verdict.peer.label})" if verdict.peer and verdict.peer.label != verdict.goal.peer else ""
            met = {True: "yes", False: "no", None: "not measured"}[verdict.met]
            ratio = self.marked(verdict.ratio, "{:.2f}×".format)
            bound = self.marked(verdict.bound, "{:.2f}×".format)
            rows.append([verdict.goal.text + peer, f"{relation} {verdict.goal.factor}×", ratio, met, bound])
        return section("Goals", ["ratio", "goal", "measured", "met", f"{goals.LIMIT}'s"], rows)

    def small(self, pattern, title):
        depths = [1, 4, 32, 128]
        loads = [f"{pattern}-4k-d{depth}" for depth in depths]
        rows = self.rows(loads, lambda keys: [self.cell(key, stats.iops, kilo) for key in keys])
        return section(f"{title}, IOPS", ["4 KiB", *(f"depth {depth}" for depth in depths)], rows)

    def latencies(self, load, title):
        measures = [stats.mean, stats.latency(0.5), stats.latency(0.99), stats.latency(0.999)]

        def cells(keys):
            return [*(self.cell(keys[0], measure, micro) for measure in measures), self.cell(keys[0], stats.cpu, micro)]

        head = ["latency", "mean", "p50", "p99", "p99.9", "CPU per I/O, all parties"]
        return section(f"{title}: latency and CPU", head, self.rows([load], cells))

    def sequential(self):
        loads = [f"{way}-{block}-d4" for block in ("128k", "1m") for way in ("read", "write")]
        rows = self.rows(loads, lambda keys: [self.cell(key, stats.bandwidth, mega) for key in keys])
        head = ["depth 4", "read 128 KiB", "write 128 KiB", "read 1 MiB", "write 1 MiB"]
        return section("Sequential, bytes/s", head, rows)

    def jobs(self):
        loads = {key.load for key in self.samples.keys() if re.search(r"-j\d+$", key.load)}
        loads = sorted(loads, key=lambda load: int(load.split("-j")[1]))
        rows = self.rows(loads, lambda keys: [self.cell(key, stats.iops, kilo) for key in keys])
        return section("Several jobs, IOPS", ["fio", *loads], rows)

    def swap(self, workload, title):
        def cells(keys):
            key = keys[0]
            return [
                self.cell(key, stats.seconds, second),
                *(self.cell(key, stats.fault(share), micro) for share in (0.5, 0.99, 0.999)),
                *(self.plain_cell(key, stats.pressure(kind), percent) for kind in ("psi_some", "psi_full")),
                self.swapped(key, "pswpout"),
                self.swapped(key, "pswpin"),
                self.felt(key),
            ]

        head = ["swap", "time", "fault p50", "p99", "p99.9", "PSI some", "full", "MiB out", "MiB in", "felt"]
        return section(title, head, self.rows([workload], cells))

    def swapped(self, key, counter):
        """Memory swapped, MiB."""
        return self.plain_cell(key, lambda sample: sample["vmstat"][counter] / 256, "{:.0f}".format)

    def felt(self, key):
        """The unrelated command's time, as a multiple of what it takes without load."""
        alone = stats.figure(self.result["felt_alone"])
        figure = self.samples.figure(key, stats.felt)
        if not figure or not alone:
            return "–"
        return f"{figure.median / alone.median:.1f}×" + (" ~" if figure.noisy else "")

    def idle(self):
        samples = [sample for sample in self.result["samples"] if sample["kind"] == "idle"]
        if not samples:
            return []
        samples.sort(key=lambda sample: ORDER.get(sample["device"], 99))
        rows = [[sample["device"], self.share_of_time(sample), str(sample["wakeups"])] for sample in samples]
        seconds = f"{samples[0]['seconds']:.0f} s"
        return section(f"The servers at rest, over {seconds}", ["server of", "CPU", "times it ran"], rows)

    @staticmethod
    def share_of_time(sample):
        """How much of one processor it took."""
        return "0" if not sample["cpu_ns"] else f"{sample['cpu_ns'] / sample['seconds'] / 1e7:.4f} %"

    def markdown(self, plots):
        """The whole report. plots: names of image files and what they show."""
        lines = [
            *self.head(),
            *self.goals(),
            *(line for file, title in plots for line in (f"![{title}]({file})", "")),
            *self.small("randread", "Random read"),
            *self.small("randwrite", "Random write"),
            *self.small("randrw", "Random, half read, half write"),
            *self.latencies("randread-4k-d1", "Random read, 4 KiB, depth 1"),
            *self.latencies("randwrite-4k-d1", "Random write, 4 KiB, depth 1"),
            *self.latencies("randread-4k-d32", "Random read, 4 KiB, depth 32"),
            *self.sequential(),
            *self.jobs(),
            *self.swap("random", "Swap: fill, read at random, rewrite at random, read in sequence"),
            *self.swap("random-jobs", "Swap: the same, with a thread for each processor"),
            *self.swap("stress-ng", "Swap: stress-ng flips every bit and verifies"),
            *self.swap("sort", "Swap: sort"),
            *self.idle(),
        ]
        return "\n".join(lines).rstrip() + "\n"
