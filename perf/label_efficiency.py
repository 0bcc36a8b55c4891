"""Best cell after k trainings with and without weak labels: ``python perf/label_efficiency.py --weak ranking.parquet``.

NAS-Bench-201, CIFAR-10: the 200-epoch validation accuracy guides, the 200-epoch test accuracy of the best by it is
reported after k = 5, 10, 20, 50, 100 evaluations, mean ± sample standard deviation over seeds. With --weak every row
searches among the architectures of that file, with and without its scores; without it, among all 6,466 classes. With
--free the scores are those of predictors that need no training (``parameters logsynflow``), of networks at C = 8,
N = 1 and 16 x 16, of all classes: the file is made where it is missing. Needs the table (folder in NAS_LIGHTNING_DATA).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nas_lightning.plan import Plan
from nas_lightning.predictors.base import Context, checked_scores, make_predictor
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.subspaces import ListedSpace
from nas_lightning.search.weak_labels import read_weak_labels

COUNTS = (5, 10, 20, 50, 100)
ROWS = ("random_search", "regularized_evolution", "predictor_guided:initial=5", "acenas", "weak vote")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--weak", type=Path)
    parser.add_argument("--free", nargs="*", default=(), help="predictors without training, written to --weak")
    parser.add_argument("--columns", nargs="*", default=())
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    options = parser.parse_args()
    root = os.environ.get("NAS_LIGHTNING_DATA", "data")
    settings = {"name": "nasbench201", "root": root, "dataset": "cifar10"}
    objective = benchmark_objective(settings, "nasbench201", "evaluations", fidelity="none")
    whole, labels = objective.space, None
    if options.free and options.weak is None:
        parser.error("--free needs --weak, the file that it writes")
    if options.free and not options.weak.exists():
        write_free(whole, options.free, options.weak)
    if options.weak:
        labels = read_weak_labels(options.weak, whole, options.columns)
        objective.space = ListedSpace(whole, labels.architectures)
        found = 100 * objective.truth(labels.architectures)
        print(f"{len(labels.architectures)} architectures, best {found.max():.3f}; scores: {', '.join(labels.scores)}")
    for given in options.rows:
        name, _, text = given.partition(":")
        own = {k: int(v) if v.isdigit() else v for k, v in (p.split("=") for p in text.split(",") if p)}
        if name == "weak vote":
            if labels is not None:
                order = np.argsort(-labels.vote(), kind="stable")
                trained = [labels.architectures[i] for i in order[: max(COUNTS)].tolist()]
                print(f"{given:44s} " + best_after(objective, [trained]), flush=True)
            continue
        for weak in (None, labels) if labels is not None else (None,):
            started, runs = time.perf_counter(), []
            for seed in range(options.seeds):
                algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, own)
                if weak is not None and not algorithm.takes_weak_labels:
                    break
                algorithm.fit_budget(Budget("evaluations", max(COUNTS)))
                if weak is not None:
                    algorithm.take_weak_labels(weak)
                records = Search(algorithm, objective, Budget("evaluations", max(COUNTS))).run()
                runs.append([record.trial.architecture for record in records])
            if runs:
                label = given + (" + weak labels" if weak is not None else "")
                spent = time.perf_counter() - started
                print(f"{label:44s} {best_after(objective, runs)}  ({spent:.0f} s, {len(runs)} seeds)", flush=True)


def write_free(space, names, path: Path) -> None:
    """Scores of all classes by predictors that need no training; dead cells, at −inf, get less than any other."""
    mapping = Plan().edited({"mapping.channels": 8, "mapping.layers": 1}).mapping
    architectures = list(space.enumerate())
    columns: dict[str, object] = {"architecture": [str(arch) for arch in architectures]}
    for name in names:
        started = time.process_time()
        context = Context(space, architectures, mapping, num_outputs=10, image_size=16)
        scores = checked_scores(make_predictor(name), context)
        finite = scores[np.isfinite(scores)]
        columns[name] = np.where(np.isfinite(scores), scores, finite.min() - 1)
        print(f"{name}: {len(scores)} scores in {time.process_time() - started:.0f} s of processor time", flush=True)
    pq.write_table(pa.table(columns), path)


def best_after(objective, runs) -> str:
    """Test accuracy of the best by validation after k trainings, percent, for every k of COUNTS."""
    cells = []
    for k in COUNTS:
        best = [max(run[:k], key=lambda arch: objective._values[objective.row(arch), 0]) for run in runs]
        test = 100 * objective.truth(best)
        spread = f" ± {test.std(ddof=1):.2f}" if len(test) > 1 else ""
        cells.append(f"{k}: {test.mean():.2f}{spread}")
    return "  ".join(cells)


if __name__ == "__main__":
    main()
