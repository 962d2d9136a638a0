"""quick and full: every target, one after the other."""

import os
import pathlib
import sys
import time
import traceback

from kxbench import report, targets
from kxbench.lab import ROOT, Lab, versions
from kxbench.result import Result


def steps(lab, size, wanted):
    """(ids, function) in an order in which later ones may use what earlier ones started."""
    shared = {}
    three = []

    def with_three(function):
        def run():
            if not three:
                three.append(targets.Three(lab, shared))
            return function(lab, size, three[0])

        return run

    every = [
        ("R1", lambda: targets.r1(lab, size)),
        ("R7", lambda: targets.r7(lab, size)),
        ("R6", lambda: targets.r6(lab, size)),
        ("R5", lambda: targets.r5(lab, size)),
        ("R8", lambda: targets.r8(lab, size)),
        ("R2 R3 R4", lambda: targets.r234(lab, size, shared)),
        ("R9", lambda: targets.r9(lab, size, shared)),
        ("R9", with_three(targets.latency_of_each)),
        ("R10", with_three(targets.r10)),
        ("R11", with_three(targets.r11)),
    ]
    return [(ids, run) for ids, run in every if not wanted or set(ids.split()) & wanted]


def measure(lab, size, wanted):
    results = []
    for ids, run in steps(lab, size, wanted):
        load = os.getloadavg()[0]
        try:
            found = run()
        except (RuntimeError, AssertionError, OSError) as error:
            traceback.print_exc(file=sys.stderr)
            found = [Result(i, "", "", missing=f"failed: {str(error)[:200]}") for i in ids.split()]
        for result in found:
            result.load = load
        results += found
    order = {name: i for i, name in enumerate("R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R11a R11b".split())}
    return sorted(results, key=lambda r: (order[r.id], not r.judged))


def run(given):
    size = targets.Size(given.mode == "full")
    wanted = set(given.only.upper().split(",")) if given.only else set()
    begun = time.time()
    about = {
        **versions(),
        "command": f"scripts/bench {given.mode}" + (f" --only {given.only}" if given.only else ""),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(begun)),
        "load_before": os.getloadavg()[0],
    }
    with Lab(given.build) as lab:
        results = measure(lab, size, wanted)
    about["seconds"] = round(time.time() - begun)
    about["load_after"] = os.getloadavg()[0]
    text = report.table(about, [r.row() for r in results])
    print(text)
    out = given.out or (ROOT / "bench" / "results" / "full" if size.full else pathlib.Path(given.build) / "bench-quick")
    report.write(pathlib.Path(out), about, [r.row() for r in results], text)
    missed = [r.id for r in results if r.verdict() == "MISSED" or r.missing.startswith("failed")]
    return 1 if missed else 0
