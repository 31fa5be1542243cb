#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Verify the protocol models with spin.

Each model names its variants and what is expected of each:

    @variant MACRO[+MACRO...]  holds       every state explored, no property violated,
                                           every statement reached
    @variant MACRO[+MACRO...]  PROPERTY    spin finds a violation of that property

and below "Stands for" the functions and files that it models, which must exist.

Exit status: 0, 1 (not as expected), 77 (spin or a C compiler is not installed).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

FOLDER = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(FOLDER))
MODELS = ("mark_harvest", "log_swap", "burst_control", "staged_drain", "packed_publish",
          "predecessor", "kept_view")
JOBS = 2               # times the memory limit: below 2 GiB
MEMORY_MIB = 1000      # of one verification
SECONDS = 60           # for one command
TRAIL_LINES = 200      # of an unexpected counterexample's end
SKIPPED = 77           # exit status, to meson


class Failed(Exception):
    pass


def source(model):
    return os.path.join(FOLDER, model + ".pml")


def variants(model):
    with open(source(model), encoding="utf-8") as file:
        found = re.findall(r"^ \* @variant +(\S+) +(\w+)$", file.read(), re.MULTILINE)
    expectations = {expected for _, expected in found}
    if "holds" not in expectations or len(expectations) < 2:
        sys.exit(f"{source(model)}: no right or no broken variant")
    return found


def sources():
    """Path and text of what the models stand for."""
    for part in ("lib", "drivers"):
        for folder, _, names in os.walk(os.path.join(TOP, part)):
            for name in names:
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        yield path, file.read()


def strangers(model, code):
    """Functions and files that a model says it stands for, and that are not in the code."""
    with open(source(model), encoding="utf-8") as file:
        said = re.search(r"^ \* Stands for$(.*?)^ \*$", file.read(), re.MULTILINE | re.DOTALL)
    if not said:
        sys.exit(f"{source(model)}: what does it stand for?")
    return [name + "()" for name in re.findall(r"(\w+)\(\)", said[1])
            if not any(re.search(rf"^{name}\(", text, re.MULTILINE) for _, text in code)] + \
           [name for name in re.findall(r"[\w/]+\.[ch]\b", said[1])
            if not any(path.endswith("/" + name) for path, _ in code)]


def call(command, folder):
    """The exit status and output of a command, which may take SECONDS."""
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
                              timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} took longer than {SECONDS} s") from None
    return done.returncode, done.stdout


def macros(variant):
    return ["-D" + macro for macro in variant.split("+")]


def build(model, variant, compiler, folder):
    """Make the verifier of a variant. Breadth first: no depth limit, shortest counterexample."""
    for command in (["spin", "-a", *macros(variant), source(model)],
                    [compiler, "-O1", "-w", "-DSAFETY", "-DBFS", f"-DMEMLIM={MEMORY_MIB}",
                     "-o", "pan", "pan.c"]):
        status, output = call(command, folder)
        if status != 0:
            raise Failed(f"{command[0]} failed:\n{output}")


def verdict(output):
    """What the verifier found: 'holds', the name of a violated property, or what went wrong."""
    violated = re.search(r"^pan:\d+: (.*?) \(at depth \d+\)$", output, re.MULTILINE)
    if violated:
        return violated[1].removeprefix("assertion violated ")
    if not re.search(r"^State-vector .* errors: 0$", output, re.MULTILINE):
        return "no result"
    if "Full statespace search for:" not in output or "not completed" in output:
        return "not exhaustive"
    # A statement that no state reaches was not verified: the model is too small.
    dead = [line for line in re.findall(r'^\t\S+:\d+, state \d+, ".*"$', output, re.MULTILINE)
            if '"-end-"' not in line]
    return f"holds, but {len(dead)} statements are never reached" if dead else "holds"


def verify(model, variant, expected, compiler):
    """One row of the table, and what explains a failure."""
    row = {"model": model, "variant": variant, "expected": expected, "states": 0, "why": ""}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dirtylog-model-") as folder:
        try:
            build(model, variant, compiler, folder)
            _, output = call(["./pan"], folder)
            row["found"] = verdict(output)
            states = re.search(r"^ *(\S+) states, stored$", output, re.MULTILINE)
            row["states"] = int(float(states[1])) if states else 0
            if row["found"] != expected:
                row["why"] = output
                if os.path.exists(os.path.join(folder, model + ".pml.trail")):
                    _, trail = call(["spin", "-k", model + ".pml.trail", "-p", "-g",
                                     *macros(variant), source(model)], folder)
                    row["why"] += "\n".join(trail.splitlines()[-TRAIL_LINES:])
        except Failed as reason:
            row["found"] = "failed"
            row["why"] = str(reason)
    row["seconds"] = time.monotonic() - begin
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS) + " (all)")
    models = parser.parse_args().models or MODELS
    if not set(models) <= set(MODELS):
        parser.error("models are " + ", ".join(MODELS))

    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not shutil.which("spin") or not compiler:
        print("SKIP: spin and a C compiler are needed, and not installed: see devtools/setup")
        return SKIPPED

    code = list(sources())
    failures = [{"model": model, "variant": "Stands for", "expected": "what exists",
                 "found": ", ".join(missing), "why": ""}
                for model in models if (missing := strangers(model, code))]
    passed = 0
    layout = "{:15} {:33} {:22} {:22} {:>9} {:>8}"
    print(layout.format("model", "variant", "expected", "found", "states", "seconds"), flush=True)
    with ThreadPoolExecutor(JOBS) as pool:
        rows = [pool.submit(verify, model, variant, expected, compiler)
                for model in models for variant, expected in variants(model)]
        for future in rows:
            row = future.result()
            print(layout.format(row["model"], row["variant"], row["expected"], row["found"],
                                row["states"], f"{row['seconds']:.1f}"), flush=True)
            if row["found"] == row["expected"]:
                passed += 1
            else:
                failures.append(row)
    for row in failures:
        print(f"\n{row['model']} {row['variant']}: expected {row['expected']},"
              f" found {row['found']}\n{row['why']}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
