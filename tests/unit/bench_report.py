# SPDX-License-Identifier: MIT
"""The bench's statistics, and its report of a run that never was."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../bench"))
from lib import goals, plan, rest, stats, text, witness  # noqa: E402  pylint: disable=wrong-import-position

DEVICES = {
    "brd": 1.0,
    "zram:lz4": 0.7,
    "nbd:1": 0.05,
    "nbd:4": 0.06,
    "ublk:null": 0.3,
    "ublk:loop": 0.2,
    "vramswap:host": 0.9,
}


def fio_sample(number, device, point, speed=1.0, wobble=1.0):
    rate = 60000 * DEVICES[device] * wobble
    return {
        "kind": "fio",
        "round": number,
        "device": device,
        "scheduler": "none",
        "speed": speed,
        "point": point.name,
        "iops": rate,
        "bytes_per_second": rate * 4096,
        "mean_ns": 1e9 / rate,
        "cpu_ns": 1.1e9 / rate,
        "bins": {str(int(1e9 / rate)): 95, str(int(4e9 / rate)): 5},
    }


def swap_sample(number, device, cluster, workload="random"):
    seconds = 1 / DEVICES[device] + cluster
    return {
        "kind": "swap",
        "round": number,
        "device": device,
        "scheduler": "none",
        "speed": 1.0,
        "workload": workload,
        "page_cluster": cluster,
        "seconds": seconds,
        "elapsed": seconds,
        "psi_some": seconds / 2,
        "psi_full": seconds / 4,
        "felt": [0.02, 0.03],
        "stages": {"read": {"seconds": 1, "verified": 9, "wrong": 0, "faults": {"20000": 9, "90000": 1}}},
        "vmstat": {"pswpout": 8192, "pswpin": 4096, "pgmajfault": 10, "oom_kill": 0},
        "timeline": [[0.1, 100, 0, 0.05, 0.02], [0.2, 4096, 2048, 0.1, 0.05]],
    }


def canned(emulated=True):
    """A run of three rounds."""
    samples = []
    for number in (1, 2, 3):
        for device in DEVICES:
            samples += [fio_sample(number, device, point) for point in plan.points(2)]
            if device != "ublk:null":
                samples += [swap_sample(number, device, cluster) for cluster in (0, 3)]
                samples += [swap_sample(number, device, 0, workload) for workload in plan.WORKLOADS[1:]]
    samples.append({"kind": "idle", "device": "vramswap:host", "seconds": 10, "cpu_ns": 0, "wakeups": 0})
    return {
        "machine": {
            "kernel": "7.2",
            "processors": 2,
            "processor": "QEMU",
            "emulated": emulated,
            "memory_mib": 4096,
            "command_line": "idle=poll",
            "date": "2000-01-01",
            "note": "canned",
            "counts_idle": True,
        },
        "plan": {"rounds": 3, "seconds": 0.5, "size_mib": 192, "work_mib": 64, "ram_mib": 36},
        "missing": {"file": "no disk"},
        "failed": {"nbd:1": "its server ended"},
        "left_out": [],
        "felt_alone": [0.01],
        "samples": samples,
    }


class Statistics(unittest.TestCase):
    def test_median_and_spread_of_rounds(self):
        found = stats.figure([3, 1, 2, None])
        self.assertEqual((found.median, found.low, found.high, found.rounds), (2, 1, 3, 3))
        self.assertEqual(found.spread, 1)
        self.assertIsNone(stats.figure([None]))

    def test_noisy_is_what_spreads_or_was_disturbed_or_stands_alone(self):
        self.assertFalse(stats.figure([100, 110, 120]).noisy)
        self.assertTrue(stats.figure([100, 110, 150]).noisy)
        self.assertTrue(stats.figure([100, 110, 120], disturbed=True).noisy)
        self.assertTrue(stats.figure([100]).noisy)

    def test_percentiles_of_a_histogram(self):
        bins = {"100": 98, "2000": 1, "30": 1}
        self.assertEqual(stats.percentile(bins, 0.5), 100)
        self.assertEqual(stats.percentile(bins, 0.99), 100)
        self.assertEqual(stats.percentile(bins, 0.999), 2000)
        self.assertIsNone(stats.percentile({}, 0.5))

    def test_histograms_add_up(self):
        self.assertEqual(stats.merged([{"1": 2}, {"1": 1, "5": 4}]), {"1": 3, "5": 4})

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        point = plan.points(2)[0]
        # The machine is half as fast in one round, for both: the medians' ratio would be wrong, the rounds' is not.
        samples = [fio_sample(number, "brd", point, wobble=slow) for number, slow in ((1, 1), (2, 0.5), (3, 0.5))]
        samples += [fio_sample(number, "nbd:1", point, wobble=slow) for number, slow in ((1, 1), (2, 0.5))]
        found = stats.Samples(samples)
        ratio = found.ratio(stats.Key("nbd:1", "", point.name), stats.Key("brd", "", point.name), stats.iops)
        self.assertAlmostEqual(ratio.median, 0.05)
        self.assertEqual(ratio.rounds, 2)
        self.assertFalse(ratio.noisy)

    def test_a_slow_machine_makes_a_figure_noisy(self):
        point = plan.points(2)[0]
        found = stats.Samples([fio_sample(number, "brd", point, speed) for number, speed in ((1, 1), (2, 1), (3, 1.5))])
        self.assertTrue(found.figure(stats.Key("brd", "", point.name), stats.iops).noisy)

    def test_a_kind_of_device_is_judged_by_its_best(self):
        found = stats.Samples(canned()["samples"])
        self.assertEqual(found.best("nbd", "randread-4k-d1", stats.iops, True).device, "nbd:4")
        self.assertEqual(found.best("nbd:1", "randread-4k-d1", stats.iops, True).device, "nbd:1")
        self.assertEqual(found.best("zram", "random", stats.seconds, False).tuning, "")
        self.assertIsNone(found.best("file", "random", stats.seconds, False))

    def test_processors_that_were_busy(self):
        seen = [(at / 10, 5 + at / 10 * (1.5 if at < 8 else 0), frozenset({7} if at < 8 else {8})) for at in range(12)]
        self.assertAlmostEqual(witness.busy_share(seen, frozenset({7}), 0.1), 1.5)
        self.assertIsNone(witness.busy_share(seen, frozenset({9}), 0.1))


class Goals(unittest.TestCase):
    def verdicts(self, ease=1.0):
        return {verdict.goal.text: verdict for verdict in goals.judge(stats.Samples(canned()["samples"]), ease)}

    def test_met_missed_and_eased(self):
        self.assertTrue(self.verdicts()["randread-4k-d1, IOPS against brd"].met)
        self.assertFalse(self.verdicts()["randread-4k-d32, IOPS against brd"].met)
        self.assertTrue(self.verdicts(2)["randread-4k-d32, IOPS against brd"].met)
        self.assertFalse(self.verdicts()["random, time against zram"].met)
        self.assertTrue(self.verdicts(2)["random, time against zram"].met)

    def test_brd_stands_beside_each_ratio_but_its_own(self):
        verdicts = self.verdicts()
        self.assertIsNone(verdicts["randread-4k-d1, IOPS against brd"].bound)
        self.assertAlmostEqual(verdicts["randread-4k-d1, IOPS against nbd"].bound.median, 1 / 0.06)

    def test_no_eased_goal_asks_for_more_than_brd_does(self):
        times = {"brd": 2, "vramswap:host": 4.3, "zram:lz4": 1}
        samples = [swap_sample(1, name, 0) | {"seconds": time} for name, time in times.items()]
        verdicts = {verdict.goal.text: verdict for verdict in goals.judge(stats.Samples(samples), 2)}
        self.assertAlmostEqual(verdicts["random, time against zram"].limit, 2.2 * 2)
        self.assertTrue(verdicts["random, time against zram"].met)
        self.assertAlmostEqual(verdicts["random, time against brd"].limit, 2.2)

    def test_against_a_slow_peer_half_of_the_goal_is_enough(self):
        verdict = self.verdicts(2)["randread-4k-d1, IOPS by the median request against ublk:null"]
        self.assertEqual(verdict.limit, 1)
        self.assertAlmostEqual(self.verdicts(2)["randread-4k-d1, IOPS by the median request against nbd"].limit, 0.375 / 0.06, 2)

    def test_lone_requests_that_were_disturbed_are_the_machines(self):
        def met(slow):
            """Is half of the goal met, if so many of 100 requests take thirty times as long?"""
            usual = fio_sample(1, "brd", plan.points(2)[0])
            at = int(usual["mean_ns"])
            mean = at * (1 + 0.29 * slow)
            bins = {str(at): 100 - slow, str(30 * at): slow}
            ours = usual | {"device": "vramswap:host", "iops": 1e9 / mean, "mean_ns": mean, "bins": bins}
            verdicts = goals.judge(stats.Samples([usual, ours]), 2)
            return [one.met for one in verdicts if one.goal.load == usual["point"] and one.goal.peer == "brd"]

        # Of those by the median request, and of all together.
        self.assertEqual([met(slow) for slow in (0, 20, 49, 60)], [[True, True], [True, True], [True, False], [False, False]])

    def test_what_was_not_measured_is_not_met(self):
        self.assertEqual({verdict.met for verdict in goals.judge(stats.Samples([]))}, {None})


class Quick(unittest.TestCase):
    """bench/report --quick, as bench/quick calls it."""

    @staticmethod
    def judge(*results):
        """(exit status, {goal: ok, skip or FAIL})"""
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, f"{number}.json") for number in range(len(results))]
            for path, result in zip(paths, results):
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(result, file)
            script = os.path.join(os.path.dirname(__file__), "../../bench/report")
            done = subprocess.run([script, "--quick", *paths], capture_output=True, check=False, text=True)
        lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
        return done.returncode, {re.sub(r": ([0-9]|not |\S+ is missing).*", "", said): word for word, _, said in lines}

    @staticmethod
    def run_where(device, factor):
        """A run in which that device's rates are so many times what they usually are."""
        samples = [
            sample | {"iops": sample["iops"] * factor, "bytes_per_second": sample["bytes_per_second"] * factor}
            if sample["device"] == device and sample["kind"] == "fio"
            else sample
            for sample in canned()["samples"]
        ]
        return canned() | {"samples": samples}

    def test_all_is_well(self):
        status, words = self.judge(canned())
        self.assertEqual((status, set(words.values()), len(words)), (0, {"ok"}, len(goals.GUARDS) + 1))

    def test_what_is_missed_must_be_missed_each_time(self):
        slow = self.run_where("vramswap:host", 0.1)
        goal = "randread-4k-d1, IOPS by the median request against brd"
        self.assertEqual(self.judge(slow)[0], 1)
        self.assertEqual(self.judge(slow)[1][goal], "FAIL")
        self.assertEqual(self.judge(slow, slow)[0], 1)
        status, words = self.judge(slow, canned())
        self.assertEqual((status, words[goal]), (0, "ok"))

    def test_what_a_later_try_does_not_measure_stays_as_it_was(self):
        slow = self.run_where("vramswap:host", 0.1)
        lone = [sample for sample in canned()["samples"] if sample.get("point") == "randread-4k-d1" or sample["kind"] == "idle"]
        status, words = self.judge(slow, canned() | {"samples": lone})
        self.assertEqual((status, words["randread-4k-d1, IOPS by the median request against brd"]), (1, "ok"))
        self.assertEqual(words["randread-4k-d32, IOPS against brd"], "FAIL")
        self.assertEqual(words["random, time against brd"], "ok")
        without = [sample for sample in canned()["samples"] if sample["device"] != "brd"]
        missing = {name: "no memory" for name in DEVICES if name != "vramswap:host"}
        nothing = [sample for sample in without if sample["device"] == "vramswap:host"]
        status, words = self.judge(slow, canned() | {"samples": nothing, "missing": missing})
        self.assertEqual((status, words["randread-4k-d1, IOPS by the median request against brd"]), (1, "FAIL"))
        status, words = self.judge(canned() | {"samples": nothing, "missing": missing}, slow)
        self.assertEqual((status, words["randread-4k-d1, IOPS by the median request against brd"]), (1, "FAIL"))

    def test_a_peer_that_could_not_be_had_is_skipped_but_not_ourselves(self):
        without = [sample for sample in canned()["samples"] if sample["device"] != "ublk:null"]
        status, words = self.judge(canned() | {"samples": without, "missing": {"ublk:null": "no sources"}})
        self.assertEqual((status, words["randread-4k-d1, IOPS by the median request against ublk:null"]), (0, "skip"))
        self.assertEqual(self.judge(canned() | {"samples": without, "missing": {}})[0], 1)
        without = [sample for sample in canned()["samples"] if sample["device"] != "vramswap:host"]
        self.assertEqual(self.judge(canned() | {"samples": without, "missing": {"vramswap:host": "?"}})[0], 2)

    def test_a_helper_that_does_not_rest_fails_at_once(self):
        restless = {"kind": "idle", "device": "vramswap:host", "seconds": 10, "cpu_ns": 9, "wakeups": 1}
        status, words = self.judge(canned() | {"samples": [*canned()["samples"][:-1], restless]})
        self.assertEqual((status, words["at rest for 10 s it ran 1 times"]), (2, "FAIL"))


class Plan(unittest.TestCase):
    def test_quick_measures_what_every_goal_needs(self):
        quick = plan.quick()
        loads = {point.name for point in quick.points} | set(quick.workloads)
        for goal in goals.GOALS:
            self.assertIn(goal.load, loads)
            self.assertTrue(any(goal.peer in (name, name.split(":")[0]) for name in quick.devices), goal.text)

    def test_what_goals_name_comes_first_and_in_all_rounds(self):
        usual = plan.Plan(points=plan.points(2), workloads=list(plan.WORKLOADS))
        passes = usual.passes()
        named = {goal.load for goal in goals.GOALS}
        for number, one in enumerate(passes[:5], 1):
            self.assertEqual((one.name, one.round, one.workloads), (f"round {number}", number, ("random",)))
            self.assertEqual({point.name for point in one.points}, set(plan.MAIN_POINTS))
            self.assertLessEqual(named, set(plan.MAIN_POINTS) | {plan.MAIN_WORKLOAD})
        self.assertEqual([one.round for one in passes[5:]], [1, 2, 1, 1, 1])
        self.assertEqual({point for one in passes for point in one.points}, set(usual.points))
        self.assertEqual({load for one in passes for load in one.workloads}, set(plan.WORKLOADS))

    def test_what_was_asked_for_is_in_all_rounds(self):
        asked = plan.Plan(rounds=3, points=plan.points(2), workloads=["sort"], all_rounds=True)
        for one in asked.passes():
            self.assertEqual(one.loads, (tuple(asked.points), ("sort",)))

    def test_a_slow_device_is_swap_once(self):
        usual, disk, ours = plan.Plan(), plan.Device("file", slow=True), plan.Device("vramswap:host")
        for one, workload, number in ((disk, "random", 1), (ours, "sort", 1), (ours, "random", 5)):
            self.assertTrue(usual.swaps(one, workload, number))
        for one, workload, number in ((disk, "sort", 1), (disk, "random", 2)):
            self.assertFalse(usual.swaps(one, workload, number))
        self.assertTrue(plan.Plan(all_rounds=True).swaps(disk, "sort", 5))
        self.assertFalse(usual.swaps(plan.Device("null_blk", holds_data=False), "random", 1))

    def test_jobs_go_up_to_the_processors(self):
        self.assertEqual({point.jobs for point in plan.points(6)}, {1, 2, 4})


class Report(unittest.TestCase):
    def test_an_emulated_machine_is_reported_in_ratios_only(self):
        words = text.Report(canned()).markdown([])
        self.assertIn("only ratios count", words)
        self.assertIn("| **vramswap:host** | 0.90 |", words)
        for unit in ("µs", "MB/s", "k |", " s |"):
            self.assertNotIn(unit, words)

    def test_a_real_machine_is_reported_in_figures(self):
        words = text.Report(canned(emulated=False)).markdown([("a.svg", "A")])
        self.assertIn("| **vramswap:host** | 54.0k |", words)
        self.assertIn("![A](a.svg)", words)
        self.assertIn("file is missing: no disk", words)
        self.assertIn("nbd:1 failed, and was measured no more: its server ended", words)

    def test_what_there_was_no_time_for_is_told(self):
        self.assertNotIn("no time", text.Report(canned()).markdown([]))
        cut = canned() | {"left_out": ["round 4", "sort"]}
        self.assertIn("- **There was no time for: round 4; sort**", text.Report(cut).markdown([]))

    def test_a_run_of_nothing_has_a_report(self):
        self.assertIn("not measured", text.Report(canned() | {"samples": []}).markdown([]))


class Rest(unittest.TestCase):
    def test_a_process_that_sleeps_does_not_run(self):
        rest.SETTLE = rest.WINDOW = 0.2
        pid = os.posix_spawn("/bin/sleep", ["sleep", "5"], {})
        try:
            sample = rest.measure({"x": [pid]})[0]
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.assertEqual((sample["cpu_ns"], sample["wakeups"]), (0, 0))


class Plots(unittest.TestCase):
    def test_plots_are_drawn(self):
        from lib import plots  # pylint: disable=import-outside-toplevel: only this test needs matplotlib

        with tempfile.TemporaryDirectory() as folder:
            drawn = plots.draw(text.Report(canned()), f"{folder}/x")
            self.assertEqual(len(drawn), 4)
            for path, _ in drawn:
                self.assertGreater(os.path.getsize(path), 1000)


if __name__ == "__main__":
    if "Plots" in sys.argv and not importlib.util.find_spec("matplotlib"):
        print("no matplotlib here")
        sys.exit(77)
    unittest.main()
