"""How well operation counts rank, fitted to the ranks of 50 trained architectures: mean ± s.d. of 10 draws.

    python -m perf.operation_counts nasbench201 digits_nasbench201 random200_seed0

The arguments are a space, a table (a name, or the path of a file) and a set of architectures as
``evaluation.architectures`` names it. Printed are Kendall's tau, s-KdT at 0.1 %, tau inside the true top 10 %, the mean
accuracy of the top K, and P > R, as a run prints them for a super-net.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.plan import Mapping
from nas_lightning.predictors.base import Context, make_predictor
from nas_lightning.predictors.baselines import baselines_of
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.ranking.selection import probability_beats_random
from nas_lightning.spaces import get_space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("space")
    parser.add_argument("table")
    parser.add_argument("architectures")
    parser.add_argument("--dataset", help="of a table that holds several")
    given = parser.parse_args()
    space = get_space(given.space)
    table = Benchmark.open(
        given.table, space=given.space, dataset=given.dataset, root=os.environ.get("NAS_LIGHTNING_DATA", "data")
    )
    archs = architecture_set(given.architectures, space, table)
    truth, all_truths = table.accuracies(archs), table.accuracies(table.architectures())
    context = Context(space, archs, Mapping(), table=table)
    (baseline,) = baselines_of([make_predictor("linear_operation_counts")], context)
    rows = []
    for scores in baseline.draws:
        known = ~np.isnan(scores) & ~np.isnan(truth)
        found, real = scores[known], truth[known]
        top = np.argsort(-found, kind="stable")[: space.top_k]
        best = np.argsort(-real)[: max(2, len(real) // 10)]
        beats = probability_beats_random(float(real[top].max()), all_truths, space.top_k).probability
        rows.append(
            (
                kendall_tau(found, real),
                kendall_tau(found, np.round(real, 3)),
                kendall_tau(found[best], real[best]),
                100 * real[top].mean(),
                beats,
            )
        )
    names = ("tau", "s-KdT", "tau inside the true top 10 %", f"top-{space.top_k} accuracy", "P > R")
    print(f"{len(archs)} architectures, {len(rows)} draws; {baseline.note}")
    for name, values in zip(names, np.array(rows).T, strict=True):
        print(f"  {name} {values.mean():.3f} ± {values.std(ddof=1):.3f}")


if __name__ == "__main__":
    main()
