"""NAS-Bench-201's own protocol for searches that learn: ``python perf/search_guided.py --seeds 500``.

As `search_published` (validation accuracy after 12 epochs guides, an evaluation costs the simulated time of these 12
epochs, 12,000 seconds, the 200-epoch test accuracy of the best by the guide is reported), on the three data sets. On
CIFAR-100 and ImageNet16-120 the table has no times: the budget is the number of evaluations that 12,000 seconds pay
for on CIFAR-10, 109. `ceiling` is the test accuracy of the best by the guide among all classes, where a search that
never errs would end; on the other two data sets its neighbours are better. Prints as it goes, every 50 seeds.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.outcome import top_k

ALGORITHMS = ("predictor_guided", "npenas", "acenas", "local_search:accept=first", "regularized_evolution", "optuna")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--seconds", type=float, default=12000)
    parser.add_argument("--evaluations", type=int, default=109)
    parser.add_argument("algorithms", nargs="*", default=list(ALGORITHMS), help="name, or name:setting=value,…")
    options = parser.parse_args()
    settings = {
        "name": "nasbench201",
        "root": os.environ.get("NAS_LIGHTNING_DATA", "data"),
        "dataset": options.dataset,
    }
    unit = "seconds" if options.dataset == "cifar10" else "evaluations"
    budget = Budget(unit, options.seconds if unit == "seconds" else options.evaluations)
    objective = benchmark_objective(settings, "nasbench201", unit, ("params",), fidelity="none", epochs=12)
    classes = list(objective.space.enumerate())
    guide = np.array([objective._values[objective.row(arch), 0] for arch in classes])
    truth = 100 * objective.truth(classes)
    print(
        f"{options.dataset}, {budget.amount:g} {unit}: best test accuracy {truth.max():.3f}, ceiling "
        f"{truth[guide.argmax()]:.3f}; mean ± sample standard deviation, percent"
    )
    for given in options.algorithms:
        name, _, text = given.partition(":")
        own = dict(pair.split("=") for pair in text.split(",")) if text else {}
        found, count, started = [], 0, time.perf_counter()
        for seed in range(options.seeds):
            algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, own, single_fidelity=True)
            algorithm.fit_budget(budget)
            records = Search(algorithm, objective, budget).run()
            found.append(top_k(records, objective, 1)[0].trial.architecture)
            count += len(records)
            if (seed + 1) % 50 == 0 or seed + 1 == options.seeds:
                test = 100 * objective.truth(found)
                each = (time.perf_counter() - started) / count * 1e3
                print(
                    f"{given:28s} {len(test):4d} seeds  test {test.mean():.3f} ± {test.std(ddof=1):.3f}  at the "
                    f"optimum {np.mean(test > truth.max() - 1e-6):.2f}  {count / len(test):.1f} evaluations a seed, "
                    f"{each:.2f} ms each",
                    flush=True,
                )


if __name__ == "__main__":
    main()
