"""Whether B is slower than A: the same measurements of two builds, in turn, by their ratios to the
floor, which is measured beside each. What disturbs the machine disturbs floor and program alike.

Both builds get this tree's bench/, so that old commits are measured as new ones are.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from kxbench.lab import CAPTURE, ROOT, Lab, last_json, median

TARGETS = ("bench_ingest", "bench_json", "bench_sqlite")
TOLERATED = 0.10  # a smaller loss is not told apart from noise


def build(lab, source, directory, definitions=""):
    """A release build of a tree."""
    lab.progress.line(f"building {directory.name}")
    log = directory.with_suffix(".log")
    commands = (
        ["cmake", "-S", source, "-B", directory, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
         "-DKX_TESTS=OFF", f"-DCMAKE_CXX_FLAGS={definitions}"],
        ["cmake", "--build", directory, "-j1", "--target", *TARGETS],
    )
    with open(log, "w") as out:
        for command in commands:
            done = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            try:
                while done.poll() is None:
                    lab.progress.tick(f"building {directory.name}")
                    time.sleep(0.2)
            finally:
                if done.poll() is None:
                    done.kill()
                    done.wait()
            if done.returncode != 0:
                raise RuntimeError(f"{directory.name} does not build:\n{log.read_text()[-2000:]}")
    return directory


def checkout(commit, place):
    """The tree of a commit, with the bench of this one."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        sys.exit(f"kismet-bench: {commit} is neither a build directory nor a commit")
    place.mkdir()
    subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)
    shutil.rmtree(place / "bench", ignore_errors=True)
    shutil.copytree(ROOT / "bench", place / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    return place


def resolve(lab, word, name, work):
    if (pathlib.Path(word) / "CMakeCache.txt").exists():
        return pathlib.Path(word).resolve()
    return build(lab, checkout(word, work / f"tree-{name}"), work / f"build-{name}")


def ingest(lab):
    found = last_json(lab.run("socket to ring", "bench_ingest", CAPTURE, 3, 100_000))
    return median([f / o for f, o in zip(found["floor"]["cpu_ns"], found["ours"]["cpu_ns"])])


def parser(lab):
    text = lab.run("the parser", "bench_json", CAPTURE, 9)
    ours, floor = (float(re.search(rf"^{w}\s.*median ([\d.]+)", text, re.M)[1]) for w in ("ours", "floor"))
    return floor / ours


def sqlite(lab):
    text = lab.run("SQLite", "bench_sqlite", lab.folder(), 2)
    return median([float(s) / float(b) for b, s in re.findall(r"^bare (\d+)\s+sink (\d+) ", text, re.M)])


MEASURES = (
    ("socket to ring / simdjson", ingest),
    ("parser / simdjson", parser),
    ("SQLite sink / bare upserts", sqlite),
)


def judge(a, b):
    """Slower: the medians differ by more than is tolerated, and more than the runs of A among
    themselves (half of them lie that near to its median)."""
    change = median(b) / median(a) - 1
    noise = median([abs(x / median(a) - 1) for x in a])
    return change, change < -max(TOLERATED, 2 * noise)


def run(given):
    wanted = 1 if given.slow else 2
    if len(given.operands) != wanted:
        sys.exit("usage: kismet-bench compare A B, or compare A --slow")
    with Lab(given.build) as lab, tempfile.TemporaryDirectory(prefix="kx-compare-") as name:
        work = pathlib.Path(name)
        first = resolve(lab, given.operands[0], "a", work)
        if given.slow:
            source = re.search(r"CMAKE_HOME_DIRECTORY:INTERNAL=(.*)", (first / "CMakeCache.txt").read_text())[1]
            second = build(lab, source, work / "build-slow", "-DKX_BENCH_SLOW_NS=5000")
        else:
            second = resolve(lab, given.operands[1], "b", work)
        ratios = {title: ([], []) for title, _ in MEASURES}
        for turn in range(given.rounds):
            lab.progress.line(f"round {turn + 1} of {given.rounds}")
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                lab.build = (first, second)[which]
                for title, measure in MEASURES:
                    ratios[title][which].append(measure(lab))
    slower = False
    print(f"{'measure':30} {'A':>7} {'B':>7} {'change':>8}  spread of A, of B")
    for title, (a, b) in ratios.items():
        change, bad = judge(a, b)
        slower = slower or bad
        spread = f"{min(a):.3f} to {max(a):.3f}, {min(b):.3f} to {max(b):.3f}"
        word = "SLOWER" if bad else "ok"
        print(f"{title:30} {median(a):7.3f} {median(b):7.3f} {change:+8.1%}  {spread}  {word}")
    print("B is slower than A" if slower else "B is as fast as A, as far as this can tell")
    return 1 if slower else 0
