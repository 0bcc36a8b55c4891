"""How the first run (`uv run train.py`) ranks, on the half of its table that choices looked at and on the other half.

    uv run train.py -m 'seed=range(5)' study=first        # and whatever else is compared
    uv run python -m perf.first_run 'runs/first/*'        # tau of every column of ranking.parquet

The settings of a first recipe are chosen on the first half of its table's rows; docs/RESULTS.md says how often the
other half was looked at meanwhile. Free baselines depend on no seed; those that are fitted or initialised carry their
own seeds in the run.
"""

from __future__ import annotations

import json
import sys
from glob import glob
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from nas_lightning.benchmarks import Benchmark
from nas_lightning.ranking.correlation import kendall_tau

NO_PREDICTOR = ("standalone_accuracy", "optimization_gap")


def taus(ranking: Path, table: Benchmark) -> dict[str, tuple[float, float]]:
    """Kendall's tau of every numeric column of a run's ranking.parquet with the table: (first half, other half)."""
    rows = pq.read_table(ranking)
    truth = dict(zip(map(str, table.architectures()), table.accuracies(table.architectures()), strict=True))
    place = {name: index for index, name in enumerate(truth)}
    names = rows["architecture"].to_pylist()
    measured = np.array([truth[name] for name in names])
    fresh = np.array([place[name] >= len(truth) // 2 for name in names])
    found: dict[str, tuple[float, float]] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if str(column.type) in ("double", "int64") and name not in NO_PREDICTOR:
            values = np.asarray(column.to_pylist(), np.float64)
            known = np.isfinite(values)  # what a fitted baseline was fitted on has no score
            looked_at, others = known & ~fresh, known & fresh
            found[name] = (
                kendall_tau(values[looked_at], measured[looked_at]),
                kendall_tau(values[others], measured[others]),
            )
    return found


def main(patterns: list[str]) -> None:
    """Print one line a predictor."""
    rankings = [path for p in patterns for folder in sorted(glob(p)) for path in Path(folder).glob("ranking.parquet")]
    if not rankings:
        raise SystemExit(f"no ranking.parquet in {' '.join(patterns)}; give the folders of finished runs")
    names = {json.loads((path.parent / "result.json").read_text())["benchmark"]["name"] for path in rankings}
    if len(names) > 1:
        raise SystemExit(f"these runs are ranked against several tables, {', '.join(sorted(names))}; give those of one")
    table = Benchmark.open(names.pop())
    runs = [taus(path, table) for path in rankings]
    print(f"{len(runs)} runs; tau on the half that was looked at, and on the other: mean ± s.d. over runs")
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        (a, b), (sa, sb) = values.mean(0), values.std(0, ddof=1 if len(runs) > 1 else 0)
        each = ", ".join(f"{v:.3f}" for v in values[:, 1])
        print(f"{name:<34} {a:.3f} ± {sa:.3f}    {b:.3f} ± {sb:.3f}    ({each})")


if __name__ == "__main__":
    main(sys.argv[1:])
