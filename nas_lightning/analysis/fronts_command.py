"""``python -m nas_lightning.analysis fronts``: multi-objective searches on a table, judged by its true front."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from nas_lightning.analysis.arguments import at_least
from nas_lightning.analysis.figure import colour, logarithmic, save, styled
from nas_lightning.analysis.hyperparameters_command import named
from nas_lightning.analysis.output import label, print_rows, write_record, write_rows
from nas_lightning.benchmarks import Benchmark
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.objective import Objective
from nas_lightning.search.pareto import indicators, pareto_front

HELP = "hypervolume and distance of found fronts, normalised by the table's true front"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", default="nasbench201", help="table by name or path")
    parser.add_argument("--dataset", help="data set (default: the table's first)")
    parser.add_argument("--measures", nargs="+", default=["params"], help="columns to minimise beside the error")
    parser.add_argument("--measures-from", help="another table that holds them (nasbench201_hw: latencies)")
    parser.add_argument("--algorithms", nargs="+", default=["nsga2", "random_search"], metavar="NAME[:SETTING=VALUE…]")
    parser.add_argument("--evaluations", type=at_least(1), default=200)
    parser.add_argument("--seeds", type=at_least(1), default=30)


def found_points(objective: Objective, algorithm: str, measures: Sequence[str], seed: int, budget: int) -> np.ndarray:
    """The truth of what one search takes for its front, float64 [n, 1 + m], minus accuracy first."""
    name, settings = named(algorithm)
    if name == "nsga2":
        settings["minimise"] = list(measures)
    proposer = make_algorithm(
        name, objective.space, objective.fidelities.only_full(), seed=seed, settings=settings, single_fidelity=True
    )
    records = Search(proposer, objective, Budget("evaluations", budget)).run()
    sizes = np.array([[r.measurement.measures[measure] for measure in measures] for r in records])
    guide = np.column_stack([[-r.measurement.value for r in records], sizes])
    front = pareto_front(guide)
    truth = objective.truth([records[i].trial.architecture for i in front])
    return np.column_stack([-truth, sizes[front]])


def run(arguments: argparse.Namespace, out: Path) -> None:
    table = Benchmark.open(arguments.benchmark, dataset=arguments.dataset)
    settings = {"name": arguments.benchmark, "dataset": table.dataset, "root": None}
    measures = tuple(arguments.measures)
    objective = benchmark_objective(
        settings, table.space, "evaluations", measures, fidelity="none", measures_from=arguments.measures_from
    )
    points = objective.true_points(measures)
    true = points[pareto_front(points)]
    whole = indicators(true, true)
    rows: list[dict[str, Any]] = [
        {"front": f"true, {len(true)} points", "hypervolume": whole.hypervolume, "share": 1.0, "distance": 0.0}
    ]
    rows[0] |= {"share_error": None, "distance_error": None}
    shown: list[dict[str, Any]] = [
        {"front": "true", "error": 100 * float(1 + p[0]), "measure": float(p[1])} for p in true
    ]
    for algorithm in arguments.algorithms:
        runs = [
            found_points(objective, algorithm, measures, seed=seed, budget=arguments.evaluations)
            for seed in range(arguments.seeds)
        ]
        judged = np.array([[i.hypervolume, i.share, i.distance] for i in (indicators(run, true) for run in runs)])
        mean = judged.mean(axis=0).tolist()
        error = (judged.std(axis=0, ddof=1) / np.sqrt(len(judged))).tolist() if len(judged) > 1 else [None] * 3
        row = {"front": algorithm, "hypervolume": mean[0], "share": mean[1], "distance": mean[2]}
        rows.append(row | {"share_error": error[1], "distance_error": error[2]})
        shown += [{"front": algorithm, "error": 100 * float(1 + p[0]), "measure": float(p[1])} for p in runs[0]]
    title = f"{label(table)}: error and {', '.join(measures)}, {arguments.evaluations} evaluations"
    print_rows(f"{title}, mean of {arguments.seeds} seeds", rows)
    write_rows(out / "fronts.csv", rows)
    write_record(out / "fronts.json", {"title": title, "seeds": arguments.seeds, "rows": rows})
    names = ["true", *arguments.algorithms]
    chart = (
        alt.Chart(alt.Data(values=shown))
        .mark_line(point=True, interpolate="step-after")
        .encode(
            x=alt.X("measure:Q", title=measures[0], scale=alt.Scale(zero=False)),
            y=alt.Y("error:Q", title="stand-alone error (%)", **logarithmic([row["error"] for row in shown])),
            color=colour("front", names),
        )
        .properties(width=520, height=320)
    )
    save(styled(chart, f"{title}\nThe fronts of seed 0"), out, "fronts", rows=rows, heading=title)
