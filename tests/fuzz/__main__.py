"""``python -m tests.fuzz``: every reader on changed files, and a table of what came of it.

python -m tests.fuzz                       # all, seed 0; some minutes
python -m tests.fuzz --only pickle --seed 7 --scale 5
python -m tests.fuzz --only pickle --case 1234 --keep /tmp/case     # one case, its file kept, in this process
"""

import argparse
import os
import sys
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tests.fuzz.every import READERS
from tests.fuzz.sandbox import READ, REFUSED, run


def case_of(reader, seed, folder):
    """A function that makes and reads one case."""

    def do(case):
        rng = np.random.default_rng([seed, zlib.crc32(reader.name.encode()), case])
        reader.read(reader.make(rng, folder))

    return do


def _set_cache(folder):
    os.environ.pop("NAS_LIGHTNING_CACHE", None)
    if folder is not None:
        os.environ["NAS_LIGHTNING_CACHE"] = folder


def fuzz(reader, count, seed=0):
    """The outcome of `count` cases."""
    cache = os.environ.get("NAS_LIGHTNING_CACHE")
    with tempfile.TemporaryDirectory(prefix="nl-") as folder, ExitStack() as after:
        after.callback(_set_cache, cache)  # the cases have caches of their own
        for seed_of_one in range(10):  # what all cases start from is made once, before the fork
            reader.make(np.random.default_rng(seed_of_one), Path(folder))
        return run(case_of(reader, seed, Path(folder).resolve()), count, folder)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="readers whose names hold this text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of cases")
    parser.add_argument("--case", type=int, help="one case alone, with its traceback")
    parser.add_argument("--keep", help="folder for the file of --case")
    given = parser.parse_args()
    chosen = [reader for reader in READERS if given.only in reader.name]
    if given.case is not None:
        folder = Path(given.keep or tempfile.mkdtemp(prefix="nl-")).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        case_of(chosen[0], given.seed, folder)(given.case)
        return 0
    print("| reader | cases | read | one sentence | wrong | peak memory |\n|---|---|---|---|---|---|")
    total, wrong = np.zeros(4, int), []
    for reader in chosen:
        outcome = fuzz(reader, max(1, round(reader.share * given.scale)), given.seed)
        row = [outcome.cases, outcome.counts[READ], outcome.counts[REFUSED], outcome.counts["wrong"]]
        total += row
        print(f"| {reader.name} | {' | '.join(map(str, row))} | {outcome.peak_mb:.0f} MB |", flush=True)
        wrong += [(reader.name, case, said) for case, said in outcome.wrong]
    print(f"| **all** | {' | '.join(map(str, total))} | |")
    for name, case, said in wrong:
        print(f"{name}, case {case}: {said}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
