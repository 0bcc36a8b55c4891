"""NAS-Bench-201's own protocol for searches that learn: ``python perf/search_guided.py --seeds 500``.

As `search_published` (validation accuracy after 12 epochs guides, an evaluation costs the simulated time of these 12
epochs, 12,000 seconds, the 200-epoch test accuracy of the best by the guide is reported), on the three data sets. On
CIFAR-100 and ImageNet16-120 the table has no times: the budget is the number of evaluations that 12,000 seconds pay
for on CIFAR-10, 109. `ceiling` is the test accuracy of the best by the guide among all classes, where a search that
never errs would end; on the other two data sets its neighbours are better. Prints as it goes, every 50 seeds.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from pathlib import Path

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
    parser.add_argument("--out", type=Path, default=Path("search_guided.csv"), help="a line a seed; goes on from it")
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
    done = read(options.out)
    for given in options.algorithms:
        name, _, text = given.partition(":")
        own = dict(pair.split("=") for pair in text.split(",")) if text else {}
        rows = []
        for seed in range(options.seeds):
            key = (options.dataset, f"{budget.amount:g} {unit}", given, seed)
            if key not in done:
                started = time.process_time()
                algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, own, single_fidelity=True)
                algorithm.fit_budget(budget)
                records = Search(algorithm, objective, budget).run()
                found = objective.truth([top_k(records, objective, 1)[0].trial.architecture])
                done[key] = (100 * float(found[0]), len(records), time.process_time() - started)
                append(options.out, key, done[key])
            rows.append(done[key])
            if (seed + 1) % 50 == 0 or seed + 1 == options.seeds:
                test, evaluations, seconds = np.array(rows).T
                print(
                    f"{given:28s} {len(test):4d} seeds  test {test.mean():.3f} ± {test.std(ddof=min(1, seed)):.3f}  at "
                    f"the optimum {np.mean(test > truth.max() - 1e-6):.2f}  {evaluations.mean():.1f} evaluations "
                    f"a seed, {seconds.sum() / evaluations.sum() * 1e3:.2f} ms of processor time each",
                    flush=True,
                )


def append(path: Path, key: tuple[str, str, str, int], row: tuple[float, int, float]) -> None:
    """One line: what was run, then test accuracy in percent, evaluations, processor seconds."""
    with path.open("a", newline="") as file:
        csv.writer(file).writerow([*key, *row])


def read(path: Path) -> dict[tuple[str, str, str, int], tuple[float, int, float]]:
    """The seeds that `path` holds, by data set, budget, algorithm and seed; a line cut short by a kill is left out."""
    if not path.exists():
        return {}
    text = path.read_text()
    path.write_text(text[: text.rfind("\n") + 1])
    lines = csv.reader(text[: text.rfind("\n") + 1].splitlines())
    return {(a, b, c, int(seed)): (float(test), int(count), float(took)) for a, b, c, seed, test, count, took in lines}


if __name__ == "__main__":
    main()
