# SPDX-License-Identifier: MIT
"""The plots of bench/gpu: a report in, files out. Run with the path of bench/gpu/plot."""

import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import unittest


def load(path):
    loader = importlib.machinery.SourceFileLoader("gpu_plot", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_plot", loader))
    loader.exec_module(module)
    return module


def row(engine, operation, depth, spin=100000):
    return {
        "engine": engine,
        "what": "lone" if depth == 1 else "random",
        "op": operation,
        "length": 4096,
        "queues": 1,
        "depth": depth,
        "spin_us": spin,
        "bytes_per_second": 1e9 * depth,
        "p50_ns": 1000,
        "p99_ns": 2000,
        "p999_ns": 3000,
    }


def report(fake):
    engines = ("cuda auto", "cuda engine", "host")
    loads = [row(engine, way, depth) for engine in engines for way in ("read", "write") for depth in (1, 32)]
    loads += [row("cuda auto", "read", 1, spin=100)]
    return {
        "fake": fake,
        "raw": [{"what": "pinned 64 MiB, host to GPU", "bytes_per_second": 2e10}],
        "crossover": [
            {"path": "engine", "read_ns": [5000, 6000, 0, 0, 0, 0, 0], "write_ns": [5000, 7000, 9000, 0, 0, 0, 0]},
            {"path": "kernel", "read_ns": [0] * 7, "write_ns": [0] * 7},
        ],
        "loads": loads,
    }


class Plots(unittest.TestCase):
    def test_what_there_is_is_drawn(self):
        plot = load(sys.argv[1])
        with tempfile.TemporaryDirectory() as folder:
            drawn = plot.draw(report(fake=False), f"{folder}/x")
            self.assertEqual(len(drawn), 3)
            for path, _ in drawn:
                with open(path, encoding="utf-8") as file:
                    self.assertNotIn("FAKE", file.read())

    def test_a_fake_gpu_is_called_one_in_each(self):
        plot = load(sys.argv[1])
        with tempfile.TemporaryDirectory() as folder:
            for path, _ in plot.draw(report(fake=True), f"{folder}/x"):
                with open(path, encoding="utf-8") as file:
                    self.assertIn("FAKE GPU", file.read())

    def test_a_report_of_a_part_has_no_plots(self):
        plot = load(sys.argv[1])
        self.assertEqual(plot.draw({"fake": True, "raw": [], "crossover": [], "loads": []}, "/nowhere/x"), [])


if __name__ == "__main__":
    if not importlib.util.find_spec("matplotlib"):
        print("no matplotlib here")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
