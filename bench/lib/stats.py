# SPDX-License-Identifier: MIT
"""Medians, spreads, percentiles and ratios over the samples of a run."""

from dataclasses import dataclass
import statistics

NOISY_SPREAD = 0.3  # between the lowest and the highest round, in parts of the median
NOISY_SPEED = 0.2  # how far the machine's speed may have been from its median when a sample was taken


@dataclass(frozen=True)
class Figure:
    """The median of several rounds, and how far to trust it."""

    median: float
    low: float
    high: float
    rounds: int
    noisy: bool

    @property
    def spread(self):
        return (self.high - self.low) / self.median if self.median else 0.0


def figure(values, disturbed=False):
    """Of the rounds' values; None if there are none. One round alone is always noisy: nothing vouches for it."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    median, low, high = statistics.median(values), min(values), max(values)
    noisy = disturbed or len(values) < 2 or high - low > NOISY_SPREAD * abs(median)
    return Figure(median, low, high, len(values), noisy)


def percentile(bins, share):
    """The value below which that share of a histogram {value: count} lies; None if it is empty."""
    total = sum(bins.values())
    if not total:
        return None
    left = share * total
    for value in sorted(bins, key=int):
        left -= bins[value]
        if left <= 0:
            return int(value)
    return max(map(int, bins))


def merged(histograms):
    """All histograms as one."""
    result = {}
    for bins in histograms:
        for value, count in bins.items():
            result[value] = result.get(value, 0) + count
    return result


@dataclass(frozen=True)
class Key:
    """What is measured anew in each round: the same device, tuned in the same way, under the same load."""

    device: str
    tuning: str  # what is not as bench/plan has it for all: a scheduler, readahead; "" if nothing is
    load: str  # a point's or a workload's name

    @property
    def label(self):
        return f"{self.device}, {self.tuning}" if self.tuning else self.device


def key_of(sample):
    if sample["kind"] == "fio":
        return Key(sample["device"], "" if sample["scheduler"] == "none" else sample["scheduler"], sample["point"])
    cluster = sample["page_cluster"]
    return Key(sample["device"], f"readahead {1 << cluster}" if cluster else "", sample["workload"])


class Samples:
    """The samples of a run, by key and round."""

    def __init__(self, samples):
        self._by_key = {}
        speeds = [sample["speed"] for sample in samples if "speed" in sample]
        self._usual = statistics.median(speeds) if speeds else 1.0
        for sample in samples:
            if sample["kind"] != "idle":
                self._by_key.setdefault(key_of(sample), {})[sample["round"]] = sample

    def keys(self, load=None):
        return [key for key in self._by_key if load in (None, key.load)]

    def rounds(self, key):
        """{round: sample}"""
        return self._by_key.get(key, {})

    def _disturbed(self, sample):
        return abs(sample["speed"] / self._usual - 1) > NOISY_SPEED

    def figure(self, key, measure):
        """measure: a function of a sample, to a number or None."""
        rounds = self.rounds(key).values()
        return figure([measure(sample) for sample in rounds], any(map(self._disturbed, rounds)))

    def ratio(self, key, base, measure):
        """The median of the rounds' ratios: both were measured within the same minutes. None without common rounds."""
        ours, theirs = self.rounds(key), self.rounds(base)
        pairs = [(ours[number], theirs[number]) for number in ours if number in theirs]
        values = [(measure(one), measure(other)) for one, other in pairs]
        ratios = [a / b for a, b in values if a is not None and b]
        return figure(ratios, any(self._disturbed(sample) for pair in pairs for sample in pair))

    def bins(self, key, histogram):
        """The histograms of all rounds as one."""
        return merged(histogram(sample) for sample in self.rounds(key).values())

    def best(self, family, load, measure, highest):
        """Of the keys of a device, or of all variants of a kind of device ("nbd"), that with the best median."""
        keys = [key for key in self.keys(load) if family in (key.device, key.device.split(":")[0])]
        figures = [(self.figure(key, measure), key) for key in keys]
        figures = [(found.median, key) for found, key in figures if found]
        if not figures:
            return None
        return (max if highest else min)(figures, key=lambda pair: pair[0])[1]


# --- measures of a sample ---


def iops(sample):
    return sample.get("iops")


def typical_iops(sample):
    """What iops were if each request took as long as the one in the middle, of requests that come one after the other:
    without those that a disturbance made slow."""
    if not sample.get("iops") or not sample.get("bins"):
        return None
    between = 1e9 / sample["iops"] - sample["mean_ns"]  # from an answer to the next request
    return 1e9 / (between + percentile(sample["bins"], 0.5))


def bandwidth(sample):
    return sample.get("bytes_per_second")


def cpu(sample):
    return sample.get("cpu_ns")


def mean(sample):
    return sample.get("mean_ns")


def latency(share):
    """That percentile of a round's latencies."""
    return lambda sample: percentile(sample["bins"], share)


def seconds(sample):
    return sample.get("seconds")


def pressure(kind):
    """The share of a workload's time in which some ("psi_some") or all tasks ("psi_full") waited for memory."""
    return lambda sample: sample[kind] / sample["elapsed"]


def faults(sample):
    """The latencies of a workload's major faults, as a histogram."""
    return merged(stage["faults"] for stage in sample.get("stages", {}).values())


def fault(share):
    return lambda sample: percentile(faults(sample), share)


def felt(sample):
    """How long the unrelated command took, in the middle of its times."""
    return statistics.median(sample["felt"]) if sample.get("felt") else None
