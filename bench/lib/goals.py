# SPDX-License-Identifier: MIT
"""What vramswap has to reach, as ratios within one run; every peer with whatever suits it best."""

from dataclasses import dataclass, replace

from . import stats

OURS = "vramswap:host"
LIMIT = "brd"  # hardly anything that moves bytes is quicker
UNITS = {
    stats.iops: "IOPS",
    stats.typical_iops: "IOPS by the median request",
    stats.bandwidth: "bytes/s",
    stats.seconds: "time",
}


@dataclass(frozen=True)
class Goal:
    """Our figure divided by a peer's shall be at least (or at most) so much."""

    load: str
    peer: str  # a device, or a kind of device: then the best of its variants
    factor: float
    measure: callable = stats.iops
    at_least: bool = True

    @property
    def text(self):
        return f"{self.load}, {UNITS[self.measure]} against {self.peer}"


def _lone(peer, factor):
    return [Goal(f"{way}-4k-d1", peer, factor) for way in ("randread", "randwrite")]


GOALS = [
    *_lone("brd", 0.75),
    *_lone("ublk:null", 2),
    *_lone("nbd", 15),
    Goal("randread-4k-d32", "ublk:null", 1.5),
    Goal("randread-4k-d32", "brd", 1.2),
    Goal("randread-4k-d32", "nbd", 8),
    Goal("read-128k-d4", "ublk:loop", 2, stats.bandwidth),
    Goal("write-128k-d4", "ublk:loop", 2, stats.bandwidth),
    Goal("random", "brd", 1.1, stats.seconds, at_least=False),
    Goal("random", "zram", 0.75, stats.seconds, at_least=False),
    Goal("random", "ublk:loop", 0.4, stats.seconds, at_least=False),
    Goal("random", "nbd", 0.15, stats.seconds, at_least=False),
]

# What is eased is asked by bench/quick of code, on whatever machine there is. Each disturbance of a processor makes one
# request slow, and two processors have a hand in ours, one in brd's; so lone requests are judged by the one in the middle,
# and all of them together are asked for a third of what the goal asks.
GUARDS = [replace(goal, measure=stats.typical_iops) if goal.load.endswith("-d1") else goal for goal in GOALS]
GUARDS += _lone(LIMIT, 0.25)


@dataclass(frozen=True)
class Verdict:
    """How a goal was met; peer is the variant that was compared with, ratio None if something was not measured. bound
    is the same ratio of LIMIT's, None where that is the peer."""

    goal: Goal
    peer: object
    ratio: object
    bound: object
    limit: float

    @property
    def met(self):
        if self.ratio is None:
            return None
        return self.ratio.median >= self.limit if self.goal.at_least else self.ratio.median <= self.limit


def _eased(goal, ease):
    return goal.factor / ease if goal.at_least else goal.factor * ease


def _limit(goal, bound, ease):
    """What is asked for. When eased, no more against a peer than against LIMIT: several goals LIMIT itself does not
    reach, and a machine's state may bring LIMIT and a peer nearer to each other."""
    same = [one for one in GUARDS if (one.load, one.measure) == (goal.load, goal.measure)]
    own = next((one for one in same if one.peer == LIMIT), None)
    if ease == 1 or bound is None or own is None:
        return _eased(goal, ease)
    if goal.at_least:
        return min(_eased(goal, ease), _eased(own, ease) * bound.median)
    return max(_eased(goal, ease), _eased(own, ease) * bound.median)


def judge(samples, ease=1.0):
    """A verdict on each goal, or, if eased, on each of GUARDS; ease 2 asks for half of each, or for what half of the goal
    against LIMIT amounts to."""
    verdicts = []
    for goal in GOALS if ease == 1 else GUARDS:
        ours = samples.best(OURS, goal.load, goal.measure, goal.at_least)
        peer = samples.best(goal.peer, goal.load, goal.measure, goal.at_least)
        ratio = samples.ratio(ours, peer, goal.measure) if ours and peer else None
        known = peer and goal.peer != LIMIT
        bound = samples.ratio(stats.Key(LIMIT, "", goal.load), peer, goal.measure) if known else None
        verdicts.append(Verdict(goal, peer, ratio, bound, _limit(goal, bound, ease)))
    return verdicts
