"""A study of 674 made-up runs, as large as the one of docs/ISOLATED.md, and how large its page is.

python -m tests.helpers.large_study FOLDER            # writes the runs, makes the page, prints its bytes
"""

import argparse
import json
from pathlib import Path

from nas_lightning.report.__main__ import main as report
from tests.helpers.run_folders import DEFAULTS, write_run

RUNS = 674
SPACES, SEEDS = ("nasbench201", "nasbench101", "darts_nds"), 5
FIELDS = ("mapping.channels", "protocol.batch_size", "protocol.learning_rate", "protocol.weight_decay")


def settings():
    """(factor, setting, field, value) without end: no two runs of a space and seed are one condition."""
    number = 0
    while True:
        field = FIELDS[number % len(FIELDS)]
        factor, part = field.split(".")[1], 100 + number // len(FIELDS)  # beyond the defaults
        yield factor, f"v{number}", field, part / 10_000 if factor in ("learning_rate", "weight_decay") else part
        number += 1


def write_large_study(root, runs=RUNS, n=60):
    """`runs` runs of three spaces and five seeds below `root`: the unchanged plan, then one setting after another."""
    written, changes = 0, settings()
    change = None
    while written < runs:
        for space in SPACES:
            for seed in range(SEEDS):
                if written < runs:
                    _write(root, space, seed, n=n, change=change)
                    written += 1
        change = next(changes)
    return root


def _write(root, space, seed, n, change):
    if change is None:
        return write_run(root, space, seed, n=n, ablation={"factor": "baseline", "setting": "baseline"})
    factor, setting, field, value = change
    plan = json.loads(json.dumps(DEFAULTS))
    part, name = field.split(".")
    before, plan[part][name] = plan[part].get(name), value
    return write_run(
        root,
        space,
        seed,
        n=n,
        plan=plan,
        ablation={"factor": factor, "setting": setting},
        heuristics={factor: {field: value}},
        changed={field: [before, value]},
    )


def page_size(root, out):
    """Bytes of the page of all runs below `root`."""
    assert report([str(root), "--out", str(out), "--replicates", "100", "--formats", "none"]) == 0
    return (Path(out) / "index.html").stat().st_size


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.helpers.large_study", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--architectures", type=int, default=60, help="ranked by every run")
    given = parser.parse_args()
    write_large_study(given.folder / "runs", given.runs, given.architectures)
    print(f"{page_size(given.folder / 'runs', given.folder / 'report'):,} bytes")


if __name__ == "__main__":
    main()
