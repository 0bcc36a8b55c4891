"""Is it the optimization gap that harms a ranking, or its spread? Over the runs of finished studies.

    python -m perf.gap results/cifar10_screening.tar.xz results/isolated_digits.tar.xz

The gap of an architecture is its stand-alone accuracy minus the accuracy with inherited weights. For every study
and space: Spearman's rho, over runs, between Kendall's tau of the accuracy and

    mean      of the gap over architectures;
    spread    its standard deviation;
    disorder  standard deviation of the inherited accuracy about its best non-decreasing function of the stand-alone
              accuracy (isotonic regression), over its own standard deviation: the part of the spread that no monotone
              gap explains

with 95 % bootstrap intervals over runs (2,000 resamples, seed 0). Runs whose accuracies are all equal are left out, and
counted.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression

from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.runs.archive import unpacked
from nas_lightning.runs.reading import find_runs

MEASURES = ("mean", "spread", "disorder")
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("studies", nargs="+", type=Path, help="folders of runs, or archives of them")
    given = parser.parse_args()
    print(
        f"{'study, space':44s} runs  {'tau':>14s}  {'mean gap, points':>17s}  "
        + "  ".join(f"{m:>22s}" for m in MEASURES)
    )
    with unpacked(given.studies) as folders:
        for study, folder in zip(given.studies, folders, strict=True):
            show(study.name.partition(".")[0], folder)


def show(name: str, folder: Path) -> None:
    """One line for every space of the runs below `folder`."""
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    left_out = 0
    for run in find_runs([folder]):
        file = run.path / "ranking.parquet"
        if run.status != "complete" or "accuracy" not in run.result.get("metrics", {}) or not file.is_file():
            continue
        table = pq.read_table(file, columns=["supernet_accuracy", "standalone_accuracy"])
        inherited, truth = (column.to_numpy().astype(float) for column in table.columns)
        known = np.isfinite(inherited) & np.isfinite(truth)
        if known.sum() < 10 or np.ptp(inherited[known]) == 0:
            left_out += 1
            continue
        rows[run.result["space"]].append(measures(inherited[known], truth[known]))
    for space, found in rows.items():
        if len(found) < 8:
            print(f"{name + ', ' + space:44s} {len(found):4d}  too few runs for a correlation")
            continue
        tau, *gaps = np.array(found).T
        text = "  ".join(f"{interval(tau, gap):>22s}" for gap in gaps)
        means = f"{100 * gaps[0].min():.1f} to {100 * gaps[0].max():.1f}"
        print(f"{name + ', ' + space:44s} {len(tau):4d}  {tau.min():5.2f} to {tau.max():5.2f}  {means:>17s}  {text}")
    if left_out:
        print(f"{name}: {left_out} runs left out (equal accuracies, or fewer than 10 architectures with a truth)")


def measures(inherited: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float]:
    """Tau, mean and standard deviation of the gap, disorder of a run, by accuracies in [0, 1] of equal shape."""
    gap = truth - inherited
    fitted = IsotonicRegression().fit_transform(truth, inherited)
    disorder = np.std(inherited - fitted) / np.std(inherited)
    return kendall_tau(inherited, truth), float(gap.mean()), float(gap.std(ddof=1)), float(disorder)


def interval(tau: np.ndarray, gap: np.ndarray) -> str:
    generator = np.random.default_rng(0)
    draws = generator.integers(len(tau), size=(RESAMPLES, len(tau)))
    low, high = np.nanpercentile([spearmanr(tau[d], gap[d])[0] for d in draws], [2.5, 97.5])
    return f"{spearmanr(tau, gap)[0]:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
