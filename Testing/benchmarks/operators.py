"""The operators beside their peers: one table with ratios and memory, one process a measurement.

    python Testing/benchmarks/operators.py --peers ENV/bin/python [--json FILE] [--growth PICTURE]

ENV is an environment of its own with torch, nanodrr, diffdrr and nibabel (torch first, and pinned); without --peers
only the peers that need nothing but torch are measured. Times of one thread are CPU times, which on a quiet machine
equal the time that passes and on a busy one still compare.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))


@dataclass(frozen=True)
class Task:
    """One line of the table: our work, the peer beside it, and what the ratio and the memory shall reach."""

    operator: str
    sizes: tuple[int, ...]
    peer: str
    ratio: float | None = None
    memory: float | None = None
    native: float | None = None

    @property
    def name(self) -> str:
        if self.peer == "machine":
            return f"the machine's limit: {self.operator}"
        if self.operator == "splat":
            return f"splat {self.sizes[0]:,} points into 160^3"
        return f"project {self.sizes[0]}^3 -> {self.sizes[0]}^2, {self.sizes[1]} samples"


TASKS = (
    Task("project", (128, 200), "nanodrr", 16, 30, 12),
    Task("project", (128, 200), "diffdrr"),
    Task("project", (256, 400), "nanodrr", 20, 60, 92),
    Task("splat", (10_000,), "divroc"),
    Task("splat", (100_000,), "divroc", 10, None, 12),
    Task("splat", (1_000_000,), "divroc", 7, None, 105),
    Task("splat", (1_000_000,), "index_add"),
)


IN_PAIRS = (
    Task("arithmetic", (64,), "machine"),
    Task("reading", (64,), "machine"),
    *(Task(task.operator, task.sizes, "ours") for task in (TASKS[0], TASKS[2], TASKS[4], TASKS[5])),
)


@dataclass(frozen=True)
class Line:
    """What was measured for a task: of forward with gradients, and of forward alone, ms, CPU ms and MB."""

    task: str
    peer: str
    ours: dict
    theirs: dict | None
    goal: float | None
    memory_goal: float | None
    native_ms: float | None

    @property
    def ratio(self) -> float | None:
        return self.theirs["both"]["cpu_ms"] / self.ours["both"]["cpu_ms"] if self.theirs else None

    @property
    def verdict(self) -> str:
        if self.ratio is None or self.goal is None:
            return ""
        fits = self.memory_goal is None or self.ours["both"]["mb"] <= self.memory_goal
        return "reached" if self.ratio >= self.goal and fits else "missed"


def run(python: str, implementation: str, task: Task, arguments, threads: int = 1) -> dict | None:
    """The figures of one process, or None where the implementation is not installed."""
    command = [python, str(HERE / "operator_work.py"), implementation, task.operator, *map(str, task.sizes)]
    command += ["--threads", str(threads), "--repeats", str(arguments.repeats)]
    wait_for_quiet(arguments.quiet)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{implementation} did not run: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def wait_for_quiet(seconds: float) -> None:
    """Waits up to so many seconds until the processes of others use less than a fifth of a core."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and _others(1.0) > 0.2:
        pass


def _others(seconds: float) -> float:
    """Cores in use during a pause of so many seconds; zero on systems that do not tell."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0
    busy = [0.0, 0.0]
    for moment in range(2):
        ticks = [int(n) for n in stat.read_text().splitlines()[0].split()[1:9]]
        busy[moment] = (sum(ticks[:3]) + sum(ticks[5:7])) / os.sysconf("SC_CLK_TCK")
        if moment == 0:
            time.sleep(seconds)
    return (busy[1] - busy[0]) / seconds


def measured(arguments) -> list[Line]:
    ours: dict[tuple, dict] = {}
    lines = []
    for task in TASKS:
        key = (task.operator, task.sizes)
        if key not in ours:
            ours[key] = run(sys.executable, "ours", task, arguments)
        python = sys.executable if task.operator == "splat" else arguments.peers
        theirs = run(python, task.peer, task, arguments) if python else None
        lines.append(Line(task.name, task.peer, ours[key], theirs, task.ratio, task.memory, task.native))
        print_line(lines[-1])
    return lines


def print_line(line: Line) -> None:
    forward, both = line.ours["forward"], line.ours["both"]
    text = f"{line.task:42} ours {both['cpu_ms']:7.1f} ms (forward {forward['cpu_ms']:6.1f}), {both['mb']:6.1f} MB"
    if line.theirs:
        text += f" | {line.peer} {line.theirs['both']['cpu_ms']:7.0f} ms, {line.theirs['both']['mb']:6.0f} MB"
        text += f" | {line.ratio:5.1f}x"
        text += f" (goal {line.goal:.0f}x: {line.verdict})" if line.goal else ""
    if line.native_ms:
        text += f" | {both['cpu_ms'] / line.native_ms:.2f} of native"
    print(text, flush=True)


def threads_gain(arguments) -> dict[str, float]:
    """How much faster two threads are than one, and what this machine gives at most."""
    gains = {}
    for task in IN_PAIRS:
        one, two = (run(sys.executable, task.peer, task, arguments, threads) for threads in (1, 2))
        gains[task.name] = one["both"]["ms"] / two["both"]["ms"]
        print(f"{task.name:42} two threads {two['both']['ms']:7.1f} ms: {gains[task.name]:.2f} times one", flush=True)
    return gains


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="the python of the peers' environment")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--growth", type=Path, help="picture of time against rays, samples, voxels and points")
    parser.add_argument("--repeats", type=int, default=15, help="of which the median counts (default: 15)")
    parser.add_argument("--quiet", type=float, default=60, help="seconds to wait for a quiet machine (default: 60)")
    arguments = parser.parse_args()
    os.environ.setdefault("BENCHMARK_CACHE", tempfile.mkdtemp(prefix="diffreg-benchmark-"))
    lines, gains = measured(arguments), threads_gain(arguments)
    if arguments.json:
        records = [{**asdict(line), "ratio": line.ratio, "verdict": line.verdict} for line in lines]
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        arguments.json.write_text(json.dumps({"machine": machine, "table": records, "two_threads": gains}, indent=1))
    if arguments.growth:
        from Testing.benchmarks.operator_growth import draw

        draw(arguments.growth)


if __name__ == "__main__":
    main()
