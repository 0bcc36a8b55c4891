"""Breaks the code on purpose, one small fault at a time, and counts the faults that no test sees.

    python -m tests.mutation --sample 20 --out mutation.jsonl          # all rooms, at most 20 faults a module
    python -m tests.mutation nas_lightning.training.schedule           # every fault of one module
    python -m tests.mutation --summary --out mutation.jsonl            # the counts so far, and what survived

One process imports the libraries once and forks a child per fault; the child imports this project's modules with the
fault in one of them and runs the fast tests of `TESTS` until one fails. A pass that is interrupted goes on where it
was. Survivors that compute the same as the original are named in equivalent.tsv, with the reason.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.suites import MODULES, suite_of

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.tsv")
LIBRARIES = (
    "numpy", "scipy.stats", "scipy.optimize", "pyarrow", "pyarrow.parquet", "yaml", "sklearn.linear_model",
    "sklearn.datasets", "hypothesis", "pytest", "hydra", "omegaconf", "rich", "torch", "torchmetrics",
    "pytorch_lightning", "torch._dynamo",
)  # fmt: skip
CPU_LIMIT = 10
"""A fault may take so many times the processor time of the tests without one: it hangs otherwise."""


class Planted(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module with other source."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        self.mutant, self.path = mutant, path

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.mutant.module:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)  # type: ignore[arg-type]

    def get_filename(self, fullname: str) -> str:
        return self.path

    def get_data(self, path: str) -> bytes:
        return self.mutant.source.encode()

    def path_stats(self, path: str) -> Any:
        raise OSError  # never read from, nor written to, the cache of compiled modules


def source_of(module: str) -> Path:
    """The file of a dotted module name."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def attempt(tests: tuple[str, ...], mutant: Mutant | None, seconds: int) -> tuple[str, float]:
    """(outcome, processor seconds) of the tests in a child: passed, failed, or hung."""
    child = os.fork()
    if not child:
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            if mutant is not None:
                sys.meta_path.insert(0, Planted(mutant, str(source_of(mutant.module))))
            import pytest

            options = ["-o", "addopts=", "--import-mode=importlib", "-q", "-x", "-p", "no:cacheprovider"]
            code = int(pytest.main([*options, "-m", "not command and not slow", *tests]))
        finally:
            os._exit(code)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, status = os.waitpid(child, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if os.WIFSIGNALED(status):
        return ("hung" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "failed"), spent
    return ("passed" if os.WEXITSTATUS(status) == 0 else "failed"), spent


def equivalent() -> dict[str, str]:
    """Key of a fault that changes nothing -> why."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    return dict(line.split("\t") for line in lines if line and not line.startswith("#"))


def read(out: Path) -> dict[str, dict[str, Any]]:
    """What earlier passes found, by key."""
    return {r["key"]: r for r in map(json.loads, out.read_text().splitlines())} if out.exists() else {}


def summary(records: dict[str, dict[str, Any]]) -> None:
    """Counts per room, then every survivor that is not known to be equivalent."""
    same, counts = equivalent(), {}
    for record in records.values():
        room = ".".join(record["module"].split(".")[: -1 if record["module"].startswith("callbacks") else 2])
        outcome = "equivalent" if record["key"] in same else "survived" if record["outcome"] == "passed" else "killed"
        counts.setdefault(room, Counter())[outcome] += 1
    print(f"| {'room':30} | mutants | killed | survived | equivalent |\n|---|---|---|---|---|")
    for room in [*sorted(counts), "all"]:
        c = counts[room] if room != "all" else sum(counts.values(), Counter())
        print(f"| {room:30} | {c.total()} | {c['killed']} | {c['survived']} | {c['equivalent']} |")
    for record in records.values():
        if record["outcome"] == "passed" and record["key"] not in same:
            print(record["text"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="dotted names, * allowed; all of the map where none is given")
    parser.add_argument("--sample", type=int, help="at most so many faults a module, drawn with --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("mutation.jsonl"))
    parser.add_argument("--again", action="store_true", help="try survivors of earlier passes again")
    parser.add_argument("--summary", action="store_true", help="print the counts and start nothing")
    options = parser.parse_args()
    records = read(options.out)
    if options.summary:
        summary(records)
        return
    os.chdir(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in LIBRARIES:
        importlib.import_module(name)
    known_same = equivalent()
    for module in MODULES:
        if options.modules and not any(fnmatch(module, wanted) for wanted in options.modules):
            continue
        drawn = mutants(module, source_of(module).read_text())
        if options.sample is not None and len(drawn) > options.sample:
            drawn = random.Random(f"{options.seed} {module}").sample(drawn, options.sample)
        todo = [m for m in drawn if m.key not in records or (options.again and records[m.key]["outcome"] == "passed")]
        todo = [m for m in todo if m.key not in known_same or m.key not in records]
        if not todo:
            continue
        tests = suite_of(module)
        outcome, seconds = attempt(tests, None, 3600)
        if outcome != "passed":
            sys.exit(f"the tests of {module} fail without a fault: {' '.join(tests)}")
        print(f"{module}: {len(todo)} faults, {seconds:.1f} s of tests", flush=True)
        for mutant in todo:
            started = time.time()
            outcome, spent = attempt(tests, mutant, round(CPU_LIMIT * seconds) + 20)
            record = {"key": mutant.key, "module": module, "outcome": outcome, "text": str(mutant)}
            records[mutant.key] = record
            with options.out.open("a") as file:
                file.write(json.dumps(record) + "\n")
            mark = "SURVIVED" if outcome == "passed" else outcome
            print(f"  {mark:8} {spent:5.1f} s cpu {time.time() - started:5.1f} s  {mutant}", flush=True)
    summary(records)


if __name__ == "__main__":
    main()
