"""``python -m nas_lightning.analysis hyperparameters``: search algorithms on one table, by their regret."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from nas_lightning.analysis.arguments import at_least
from nas_lightning.analysis.figure import colour, logarithmic, save, styled
from nas_lightning.analysis.output import label, print_rows, write_record, write_rows
from nas_lightning.benchmarks import Benchmark
from nas_lightning.errors import UserError
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.objective import Objective
from nas_lightning.search.outcome import incumbents

HELP = "regret of search algorithms on one table over seeds, beside the exact regret of random draws"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", default="fcnet_hpolib", help="table by name or path")
    parser.add_argument("--dataset", help="task (default: the table's first)")
    parser.add_argument(
        "--algorithms",
        nargs="+",
        default=["random_search", "regularized_evolution", "local_search", "bohb", "dehb"],
        metavar="NAME[:SETTING=VALUE…]",
    )
    parser.add_argument("--budgets", nargs="+", type=at_least(1), default=[50, 100, 200], help="in full evaluations")
    parser.add_argument("--seeds", type=at_least(1), default=50)
    parser.add_argument("--value", help="metric that guides (default: a validation metric where there is one)")
    parser.add_argument("--truth", help="metric that is reported (default: the table's default metric)")
    parser.add_argument("--fidelity", default="auto", choices=("auto", "epochs", "seeds", "none"))


def exact_random_regret(values: np.ndarray, draws: int, replace: bool = True) -> float:
    """Expected gap between the best of a table and the best of so many uniform draws, exactly.

    ``E[max] = Σ v_(i) (F(i) − F(i − 1))`` over the ascending values, F(i) the chance that all draws are among the i
    lowest: (i / n)^k with replacement, C(i, k) / C(n, k) without.
    """
    ordered = np.sort(values)
    n = len(ordered)
    if replace:
        below = (np.arange(n + 1) / n) ** draws
    else:
        i = np.arange(n + 1, dtype=np.float64)
        below = np.prod([np.maximum(i - j, 0) / (n - j) for j in range(draws)], axis=0)
    return float(ordered[-1] - ordered @ np.diff(below))


def named(text: str) -> tuple[str, dict[str, Any]]:
    """``bohb:min_bandwidth=0.3:eta=3`` as a name and its settings; a dot leads into a setting that holds others
    (``curve_extrapolation:inner_settings.population=10``). Raises UserError for anything else."""
    name, *rest = text.split(":")
    settings: dict[str, Any] = {}
    for part in rest:
        key, middle, value = part.partition("=")
        if not middle or not value:
            raise UserError(f"{text} is no algorithm with settings; write name:setting=value")
        *above, key = key.split(".")
        place = settings
        for level in above:
            place = place.setdefault(level, {})
        try:
            place[key] = int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            place[key] = value
    return name, settings


def regrets(
    objective: Objective, algorithm: str, seeds: Sequence[int], budgets: Sequence[int]
) -> tuple[np.ndarray, float]:
    """Regret of the incumbent's truth after each budget, float64 [seeds, budgets], and seconds an evaluation.

    An algorithm that needs fidelities runs at the full one alone where the objective has no other.
    """
    name, settings = named(algorithm)
    table = objective.all_truths()
    assert table is not None
    best, out, evaluations, spent = float(np.nanmax(table)), np.empty((len(seeds), len(budgets))), 0, 0.0
    for i, seed in enumerate(seeds):
        proposer = make_algorithm(
            name,
            objective.space,
            objective.fidelities,
            seed=seed,
            settings=settings,
            single_fidelity=objective.fidelities.is_single,
        )
        start = time.process_time()
        records = Search(proposer, objective, Budget("evaluations", max(budgets))).run()
        spent += time.process_time() - start
        evaluations += len(records)
        path = incumbents(records)
        truth = objective.truth([record.trial.architecture for record in records])
        paid = np.array([record.spent for record in records])
        for j, budget in enumerate(budgets):
            last = int(np.searchsorted(paid, budget * (1 + 1e-9), side="right")) - 1
            out[i, j] = best - truth[path[last]] if last >= 0 else np.nan
    return out, spent / max(evaluations, 1)


def run(arguments: argparse.Namespace, out: Path) -> None:
    table = Benchmark.open(arguments.benchmark, dataset=arguments.dataset)
    settings = {"name": arguments.benchmark, "dataset": table.dataset, "root": None}
    objective = benchmark_objective(
        settings,
        table.space,
        "evaluations",
        value=arguments.value,
        truth=arguments.truth,
        fidelity=arguments.fidelity,
    )
    budgets, seeds = sorted(set(arguments.budgets)), range(arguments.seeds)
    truths = objective.all_truths()
    assert truths is not None
    truths = truths[np.isfinite(truths)]
    exact = {budget: exact_random_regret(truths, budget) for budget in budgets}
    rows: list[dict[str, Any]] = [_row("random draws, exact", exact, {}, None)]
    for algorithm in arguments.algorithms:
        found, seconds = regrets(objective, algorithm, seeds, budgets)
        mean = {budget: float(np.mean(found[:, j])) for j, budget in enumerate(budgets)}
        error = {budget: float(np.std(found[:, j], ddof=1) / np.sqrt(len(found))) for j, budget in enumerate(budgets)}
        rows.append(_row(algorithm, mean, error, 1e6 * seconds))
    title = f"{label(table)}: regret of the incumbent, mean of {len(seeds)} seeds ± standard error"
    print_rows(title, [_shown(row, budgets) for row in rows])
    write_rows(out / "hyperparameters.csv", rows)
    fidelities = {"unit": objective.fidelities.unit, "levels": list(objective.fidelities.levels)}
    record = {"table": table.name, "dataset": table.dataset, "best": float(truths.max()), "seeds": len(seeds)}
    write_record(out / "hyperparameters.json", record | {"fidelities": fidelities, "rows": rows})
    save(regret_chart(rows, budgets, title), out, "hyperparameters", rows=rows, heading=title)


def _row(
    name: str, mean: Mapping[int, float], error: Mapping[int, float], microseconds: float | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"algorithm": name}
    for budget, value in mean.items():
        row |= {f"regret_{budget}": value, f"error_{budget}": error.get(budget)}
    return row | {"us_per_evaluation": microseconds}


def _shown(row: Mapping[str, Any], budgets: Sequence[int]) -> dict[str, Any]:
    """A row as the terminal shows it: mean ± standard error in one cell."""
    shown: dict[str, Any] = {"algorithm": row["algorithm"]}
    for budget in budgets:
        error = row[f"error_{budget}"]
        shown[str(budget)] = f"{row[f'regret_{budget}']:.4g}" + ("" if error is None else f" ± {error:.2g}")
    return shown | {"µs": row["us_per_evaluation"]}


def regret_chart(rows: Sequence[Mapping[str, Any]], budgets: Sequence[int], title: str) -> Any:
    """Mean regret by budget on logarithmic axes, one line an algorithm, with standard errors."""
    points = [
        {
            "algorithm": row["algorithm"],
            "budget": budget,
            "regret": row[f"regret_{budget}"],
            "low": max(row[f"regret_{budget}"] - (row[f"error_{budget}"] or 0), row[f"regret_{budget}"] / 10),
            "high": row[f"regret_{budget}"] + (row[f"error_{budget}"] or 0),
        }
        for row in rows
        for budget in budgets
        if row[f"regret_{budget}"] is not None and row[f"regret_{budget}"] > 0
    ]
    reached = [point[key] for point in points for key in ("low", "high")]
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("budget:Q", title="full evaluations", **logarithmic(budgets, budgets)),
        color=colour("algorithm", [row["algorithm"] for row in rows]),
    )
    lines = base.mark_line(point=True).encode(
        y=alt.Y("regret:Q", title="regret", **logarithmic(reached)),
        tooltip=["algorithm:N", "budget:Q", "regret:Q"],
    )
    return styled((lines + base.mark_rule().encode(y="low:Q", y2="high:Q")).properties(width=520, height=320), title)
