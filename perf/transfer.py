"""Does what is known of CIFAR-10 help on another task? ``python -m perf.transfer --seeds 20``

NAS-Bench-201's cells on NinaPro (NAS-Bench-360: 52 channels of muscle signals, 18 gestures, 200 epochs, one seed),
whose accuracy both guides and is reported. Kendall's tau of every cheap score with it over all 6,466 classes; then
the best accuracy after k trainings, mean ± sample standard deviation over seeds, of searches without labels, with
free labels (parameters, zero-cost proxies on CIFAR-10's images), and with CIFAR-10's own accuracies as weak labels.
Needs the tables (folder in NAS_LIGHTNING_DATA).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from nas_lightning.benchmarks import Benchmark
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.objective import Objective
from nas_lightning.search.weak_labels import WeakLabels

COUNTS = (5, 10, 20, 50)
PROXIES = ("synflow", "nwot", "zen", "jacov", "grad_norm", "snip")
WITHOUT = ("random_search", "regularized_evolution", "local_search:accept=first", "predictor_guided:initial=5")


def labels(objective: Objective, root: str) -> dict[str, WeakLabels]:
    """What may be known before anything is trained on the task, by name; scores of all classes of the space."""
    archs = list(objective.space.enumerate())
    index = [objective.space.index(arch) for arch in archs]
    source = Benchmark.open("nasbench201", root=root, dataset="cifar10")
    published = pq.read_table(Path(root) / "nasbench201_zerocost.parquet")
    place = {int(i): row for row, i in enumerate(published["index"].to_pylist())}
    rows = [place[i] for i in index]
    zero = {name: published[f"c10_naslib_{name}"].to_numpy().astype(np.float64)[rows] for name in PROXIES}
    finite = {name: np.where(np.isfinite(v), v, np.nanmin(v[np.isfinite(v)]) - 1) for name, v in zero.items()}
    params = {"parameters": np.asarray(objective.space.costs(archs)[0], np.float64)}
    cifar = {"CIFAR-10 accuracy": np.asarray(source.accuracies(archs), np.float64)}
    return {
        "parameters": WeakLabels(archs, params),
        "six zero-cost proxies": WeakLabels(archs, finite),
        "CIFAR-10 accuracy": WeakLabels(archs, cifar),
    }


def best_after(objective: Objective, runs: list[list[object]]) -> str:
    """The best accuracy after k trainings, percent, for every k of COUNTS."""
    cells = []
    for k in COUNTS:
        best = np.array([100 * np.nanmax(objective.truth(run[:k])) for run in runs])
        cells.append(f"{best.mean():.2f}" + (f" ± {best.std(ddof=1):.2f}" if len(best) > 1 else ""))
    return " | ".join(cells)


def searched(objective: Objective, given: str, seeds: int, weak: WeakLabels | None = None) -> str:
    """One row: an algorithm over several seeds."""
    name, _, text = given.partition(":")
    own = {k: int(v) if v.isdigit() else v for k, v in (p.split("=") for p in text.split(",") if p)}
    runs = []
    for seed in range(seeds):
        algorithm, budget = (
            make_algorithm(name, objective.space, objective.fidelities, seed, own),
            Budget("evaluations", max(COUNTS)),
        )
        algorithm.fit_budget(budget)
        if weak is not None:
            algorithm.take_weak_labels(weak)
        runs.append([record.trial.architecture for record in Search(algorithm, objective, budget).run()])
    return best_after(objective, runs)


def taus(objective: Objective, known: Mapping[str, WeakLabels]) -> None:
    """Kendall's tau of every score with the task's accuracy, over all classes."""
    for weak in known.values():
        truth = objective.truth(weak.architectures)
        for name, score in weak.scores.items():
            print(f"| {name} | {kendall_tau(score, truth):.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--dataset", default="ninapro", help="ninapro or darcy_flow")
    options = parser.parse_args()
    root = os.environ.get("NAS_LIGHTNING_DATA", "data")
    settings = {"name": "nasbench360_nb201", "root": root, "dataset": options.dataset}
    objective = benchmark_objective(settings, "nasbench201", "evaluations", fidelity="none")
    known = labels(objective, root)
    everything = objective.truth(known["parameters"].architectures)
    print(f"{options.dataset}: {len(everything)} classes, best {100 * np.nanmax(everything):.2f}")
    taus(objective, known)
    print(f"| {options.seeds} seeds | " + " | ".join(map(str, COUNTS)) + " |")
    for given in WITHOUT:
        print(f"| {given} | {searched(objective, given, options.seeds)} |", flush=True)
    for name, weak in known.items():
        order = np.argsort(-weak.vote(), kind="stable")[: max(COUNTS)].tolist()
        print(
            f"| the first by {name} | {best_after(objective, [[weak.architectures[i] for i in order]])} |", flush=True
        )
        print(f"| {WITHOUT[-1]} + {name} | {searched(objective, WITHOUT[-1], options.seeds, weak)} |", flush=True)


if __name__ == "__main__":
    main()
