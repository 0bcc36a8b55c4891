"""Breaks the code on purpose, one small fault at a time, and counts the faults that no test sees.

    python -m tests.mutation --sample 20 --out mutation.jsonl          # all rooms, at most 20 faults a module
    python -m tests.mutation nas_lightning.training.schedule           # every fault of one module
    python -m tests.mutation --summary --out mutation.jsonl            # the counts so far, and what survived

One process imports the libraries once and forks one for the modules that share a suite (suites.py). That one imports
and collects the tests, sees once which lines each of them runs, and forks a child per fault; the child puts the faulty
function in place and runs the tests that run it until one fails: first those that run the faulty line, the quickest of
them first. A fault outside functions is imported anew by its child. A pass that is interrupted goes on where it was.
Survivors that compute the same as the original are named in equivalent.tsv, with the reason.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.planting import ROOT, run, source_of
from tests.mutation.suites import MODULES, options_of, suite_of

EQUIVALENT = Path(__file__).with_name("equivalent.tsv")
LIBRARIES = (
    "numpy", "scipy.stats", "scipy.optimize", "pyarrow", "pyarrow.parquet", "yaml", "sklearn.linear_model",
    "sklearn.datasets", "hypothesis", "pytest", "hydra", "omegaconf", "rich", "torch", "torchmetrics",
    "pytorch_lightning", "torch._dynamo",
)  # fmt: skip


def equivalent() -> dict[str, str]:
    """Key of a fault that changes nothing -> why."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    return {key: why for key, _, why in (line.split("\t") for line in lines if not line.startswith("#"))}


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
    parser.add_argument("--again", action="store_true", help="plant survivors of earlier passes again, no others")
    parser.add_argument("--tests", nargs="*", help="run these, slow ones too, in place of those that suites.py names")
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
    suites: dict[tuple[tuple[str, ...], ...], list[Mutant]] = {}
    for module in MODULES:
        if options.modules and not any(fnmatch(module, wanted) for wanted in options.modules):
            continue
        drawn = mutants(module, source_of(module).read_text())
        if options.again:
            drawn = [m for m in drawn if records.get(m.key, {}).get("outcome") == "passed"]
        elif options.sample is not None and len(drawn) > options.sample:
            drawn = random.Random(f"{options.seed} {module}").sample(drawn, options.sample)
        for m in drawn:
            if m.key in known_same and m.key not in records:  # planted once, and read since
                record = {"key": m.key, "module": module, "outcome": "passed", "text": str(m), "by": ""}
                with options.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
        todo = [m for m in drawn if m.key not in known_same and (m.key not in records or options.again)]
        if todo:
            tests = (suite_of(module), options_of(module)) if options.tests is None else (tuple(options.tests), ())
            suites.setdefault(tests, []).extend(todo)
    for tests, todo in suites.items():
        print(f"{len(todo)} faults of {' '.join(dict.fromkeys(m.module for m in todo))}", flush=True)
        session = os.fork()
        if not session:
            os._exit(run(todo, options.out, *tests))
        if os.waitpid(session, 0)[1]:
            sys.exit(f"the tests fail without a fault: {' '.join(tests[0])}")
        records = read(options.out)
    summary(records)


if __name__ == "__main__":
    main()
