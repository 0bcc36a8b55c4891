"""What the framework costs per evaluation on a table: ``python perf/search_overhead.py``.

A table over all 15,625 NAS-Bench-201 cells with invented values, so that no file is needed and the look-up takes next
to nothing. The figures include everything: proposal, look-up, budget, bookkeeping, and the journal where it says so.
Targets: 50 µs for random search, 100 µs for regularised evolution, 500 seeds of the latter within 60 s on one core.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.journal import Journal
from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities
from nas_lightning.spaces import get_space


def invented_table(cost_unit: str) -> TableObjective:
    """Values and costs drawn once; 110 evaluations spend 12,000 seconds, as in the published protocol."""
    rng = np.random.default_rng(0)
    values, costs = rng.random((15625, 1)), rng.uniform(60, 158, (15625, 1))
    return TableObjective(
        get_space("nasbench201"),
        lambda arch: arch.code,
        values,
        values[:, 0],
        Fidelities("epochs", (12,)),
        costs=costs if cost_unit == "seconds" else None,
        cost_unit=cost_unit,
    )


def per_evaluation(name: str, n: int, journal: bool, repeats: int) -> float:
    """Microseconds per evaluation, the median of `repeats` searches of n evaluations."""
    times = []
    for seed in range(repeats):
        objective = invented_table("evaluations")
        with tempfile.TemporaryDirectory() as folder:
            book = Journal(Path(folder) / "journal.jsonl", "perf") if journal else None
            algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, single_fidelity=True)
            started = time.perf_counter()
            Search(algorithm, objective, Budget("evaluations", n), journal=book).run()
            if book is not None:
                book.close()
            times.append((time.perf_counter() - started) / n * 1e6)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=500)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, one process")
    for name in ("random_search", "regularized_evolution", "local_search", "reinforce", "bohb"):
        n = options.evaluations if name != "bohb" else options.evaluations // 10  # its density grows with the history
        plain, kept = (per_evaluation(name, n, journal, options.repeats) for journal in (False, True))
        print(f"{name:24s} {plain:8.1f} µs per evaluation, {kept:8.1f} µs with the journal   ({n} evaluations)")
    objective, count = invented_table("seconds"), 0
    started = time.perf_counter()
    for seed in range(options.seeds):
        algorithm = make_algorithm("regularized_evolution", objective.space, objective.fidelities, seed)
        count += len(Search(algorithm, objective, Budget("seconds", 12000)).run())
    wall = time.perf_counter() - started
    searches = f"{options.seeds} seeds of regularized_evolution, 12,000 simulated seconds each"
    print(f"{searches}: {wall:.1f} s, {count} evaluations")


if __name__ == "__main__":
    main()
