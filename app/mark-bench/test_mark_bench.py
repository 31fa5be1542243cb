#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause

"""A tiny run of dirtylog-mark-bench: its table and its JSON are complete."""

import json
import os
import subprocess
import sys
import tempfile

METHODS = {"dirtylog", "mark-only", "byte-or", "lock+byte-or", "cache-32", "plain-or", "plain-store"}


def run(program, *args):
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=100)


def check_results(report):
    scenes = {(r["threads"], r["log"], r["pages"]) for r in report["results"]}
    assert scenes == {(t, l, p) for t in (1, 2) for l in ("steady", "harvested")
                      for p in ("ring", "random-64K", "random-1M")}, scenes
    for result in report["results"]:
        costs = result["cycles_per_mark"]
        assert set(costs) == METHODS, costs.keys()
        for name, cost in costs.items():
            assert 0 < cost["min"] <= cost["p25"] <= cost["median"] <= cost["p75"], (name, cost)


def check_targets(report):
    medians = {(r["threads"], r["log"], r["pages"]):
               {name: cost["median"] for name, cost in r["cycles_per_mark"].items()}
               for r in report["results"]}
    assert [len(t["scenes"]) for t in report["targets"]] == [12, 4, 12, 12]
    for target in report["targets"]:
        floor = target["against"] in ("plain-store", "plain-or")
        for scene in target["scenes"]:
            costs = medians[scene["threads"], scene["log"], scene["pages"]]
            ratio = costs[target["against"]] / costs["dirtylog"]
            if floor:
                ratio = 1 / ratio
            # Both were rounded to three places; near the bound either is right.
            assert abs(scene["ratio"] / ratio - 1) < 0.01, (target["target"], scene, ratio)
            if abs(ratio / target["bound"] - 1) > 0.01:
                met = ratio <= target["bound"] if floor else ratio >= target["bound"]
                assert scene["met"] == met, (target["target"], scene)


def check_bad_input(program):
    for args in (["--rounds", "0"], ["--rounds", "x"], ["--marks", "33"], ["--marks", "-1"],
                 ["--marks", "99999999999999999999"], ["--nonsense"], ["surplus"],
                 ["--rounds", "1", "--marks", "32", "--json", "/nonexistent/x.json"]):
        result = run(program, *args)
        assert result.returncode == 1 and result.stderr, (args, result)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "marks.json")
        result = run(program, "--rounds", "5", "--marks", "1024", "--json", path)
        assert result.returncode == 0, result.stderr
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    assert report["program"] == "dirtylog-mark-bench"
    assert report["rounds"] == 5 and report["marks_per_slice"] == 1024 and report["burst"] == 32
    assert report["tsc_hz"] > 1e6
    check_results(report)
    check_targets(report)
    for name in METHODS | {"lock + byte OR", "searched cache", "plain store"}:
        assert name in result.stdout, name
    check_bad_input(program)
    print("12 scenes, %d methods, JSON complete" % len(METHODS))


main()
