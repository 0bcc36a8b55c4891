"""Run the speed benchmarks: python -m perf [--only step …] [--threads 1 2] [--json new.json] [--compare old.json].

Prints a table, saves all numbers as JSON, and compares with an earlier file. Ratios come from paired, interleaved runs
in one process (`perf/measure.py`), which keeps its freed memory for both sides (`nas_lightning.training.memory`).
Parts: step, relaxed, tried, overhead, evaluation, data, start, memory, roofline. `--quick` checks that everything runs;
its numbers mean little. docs/PERFORMANCE.md has the figures and what follows from them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from nas_lightning.training.memory import keep_freed_memory
from perf import evaluation, machine, overhead, relaxed, step, tried

PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "step": step.measure,
    "relaxed": relaxed.measure,
    "tried": tried.measure,
    "overhead": overhead.measure,
    "evaluation": evaluation.measure,
    "data": machine.data,
    "roofline": machine.roofline,
    "start": machine.start,
    "memory": machine.memory,
}
ONCE = {"start", "memory", "overhead", "data", "tried"}
"""Parts whose result does not depend on this process's threads: measured with the first thread count only."""

TARGETS = {
    "step.1.NAS-Bench-201, C=16, N=5, batch 64.ratio": "≤ 1.05",
    "step.1.NAS-Bench-101, C=64, N=3, batch 16.ratio": "≤ 1.10",
    "step.1.DARTS-NDS, C=36, 12 cells, batch 16.ratio": "≤ 1.10",
    "overhead.1.overhead_ms": "≤ 1",
    "evaluation.1.C=8, N=1, batches of 250, batch.ratio": "≤ 1.05",
    "evaluation.1.C=8, N=1, batches of 250, recalibrate.ratio": "≤ 1.05",
    "evaluation.1.C=16, N=5, batches of 250, batch.ratio": "≤ 1.05",
    "evaluation.1.C=16, N=5, batches of 250, recalibrate.ratio": "≤ 1.05",
    "data.1.share": "≤ 0.03",
    "start.1.train.py --help.wall_s": "≤ 3",
    "start.1.import of package, spaces, tables.wall_s": "≤ 1.5",
    "memory.1.embedded job.wall_s": "≤ 180",
}


def flat(tree: Any, name: str = "") -> Iterator[tuple[str, float, str]]:
    """(dotted name, value, spread) of every number; a spread's median stands for it."""
    if isinstance(tree, dict) and "median" in tree:
        yield name, tree["median"], f"{tree['q25']:.4g} … {tree['q75']:.4g} (n={tree['n']})"
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, float(tree), ""


def environment() -> dict[str, Any]:
    """What the numbers belong to."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def table(results: dict[str, Any], before: dict[str, float]) -> None:
    """One line a number: value, spread, target, the value in the file to compare with."""
    for name, value, spread in flat(results):
        line = f"{name:<82} {value:>10.4g}"
        if name in TARGETS:
            line += f"  target {TARGETS[name]}"
        if spread:
            line += f"  [{spread}]"
        if name in before:
            line += f"  before {before[name]:.4g}"
        print(line)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to measure")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="thread counts to measure with")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--compare", type=Path, help="earlier file to print beside")
    parser.add_argument("--quick", action="store_true", help="few repetitions: does everything run?")
    args = parser.parse_args(arguments)
    before: dict[str, float] = {}
    if args.compare:
        try:
            before = {name: value for name, value, _ in flat(json.loads(args.compare.read_text())["results"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"--compare {args.compare} is no result file of this benchmark ({error!r}).", file=sys.stderr)
            return 2
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    keep_freed_memory()
    results: dict[str, Any] = {}
    for part in args.only:
        for threads in args.threads[:1] if part in ONCE else args.threads:
            torch.set_num_threads(threads)
            started = time.perf_counter()
            results.setdefault(part, {})[str(threads)] = PARTS[part](args.quick)
            print(f"{part}, {threads} threads: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            if args.json:  # after every part, so that an interruption loses one
                args.json.parent.mkdir(parents=True, exist_ok=True)
                content = {"environment": environment(), "quick": args.quick, "results": results}
                args.json.write_text(json.dumps(content, indent=1))
    table(results, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
