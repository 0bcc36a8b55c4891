"""NAS-Bench-201's own table of search algorithms, repeated: ``python perf/search_published.py --seeds 500``.

Protocol of the benchmark's paper (Dong, Yang, arXiv 2001.00326, table 5), CIFAR-10: the validation accuracy after 12
epochs guides, an evaluation costs the simulated time of these 12 epochs, 12,000 seconds are spent, and the 200-epoch
accuracies of the best by the guide are reported. One seed is the same search as ``search.py algorithm=… seed=…
benchmark=nasbench201 data=cifar10 objective.fidelity=none objective.epochs=12 single_fidelity=true budget.unit=seconds
budget.amount=12000``. Needs the table (folder in NAS_LIGHTNING_DATA); takes seconds per algorithm.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.search.algorithm import make_algorithm, packaged_algorithms
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.outcome import top_k

PUBLISHED = {  # validation, test: mean and standard deviation over 500 runs
    "random_search": (90.93, 0.36, 93.70, 0.36),
    "regularized_evolution": (91.19, 0.31, 93.92, 0.30),
    "reinforce": (91.09, 0.37, 93.85, 0.37),
    "bohb": (90.82, 0.53, 93.61, 0.52),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=12000)
    parser.add_argument(
        "algorithms",
        help="names, with settings as local_search:accept=best",
        nargs="*",
        default=[*PUBLISHED, "local_search", "hyperband"],
    )
    options = parser.parse_args()
    settings = {"name": "nasbench201", "root": os.environ.get("NAS_LIGHTNING_DATA", "data"), "dataset": "cifar10"}
    objective = benchmark_objective(settings, "nasbench201", "seconds", fidelity="none", epochs=12)
    table = Benchmark.open(settings["name"], dataset=settings["dataset"], root=settings["root"])
    test: dict[str, np.ndarray] = {}
    print(f"{options.seeds} seeds, {options.seconds:g} simulated seconds; mean ± sample standard deviation, percent")
    for given in options.algorithms:
        name, _, text = given.partition(":")
        own = dict(pair.split("=") for pair in text.split(",") if pair)
        assert name in packaged_algorithms()
        found, count, started = [], 0, time.perf_counter()
        for seed in range(options.seeds):
            algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, own, single_fidelity=True)
            records = Search(algorithm, objective, Budget("seconds", options.seconds)).run()
            found.append(top_k(records, objective, 1)[0].trial.architecture)
            count += len(records)
        wall = time.perf_counter() - started
        validation = 100 * table.accuracies(found, "validation_accuracy", 200)
        test[given] = 100 * objective.truth(found)
        line = f"{given:26s} validation {validation.mean():.2f} ± {validation.std(ddof=1):.2f}  "
        line += f"test {test[given].mean():.2f} ± {test[given].std(ddof=1):.2f}"
        if given in PUBLISHED:
            mean, std = PUBLISHED[name][2:]
            line += f"  published {mean:.2f} ± {std:.2f}, off by {abs(test[given].mean() - mean) / std:.2f} of its s.d."
        print(f"{line}  ({count / options.seeds:.1f} evaluations a seed, {wall:.1f} s)", flush=True)
    if {"random_search", "regularized_evolution"} <= set(test):
        from scipy.stats import mannwhitneyu, ttest_ind

        better, baseline = test["regularized_evolution"], test["random_search"]
        t = ttest_ind(better, baseline, equal_var=False, alternative="greater")
        u = mannwhitneyu(better, baseline, alternative="greater")
        print(
            f"regularized_evolution against random_search: {better.mean() - baseline.mean():+.3f} points, Welch's t = "
            f"{t.statistic:.2f} (one-sided p = {t.pvalue:.1e}), Mann-Whitney p = {u.pvalue:.1e}"
        )


if __name__ == "__main__":
    main()
