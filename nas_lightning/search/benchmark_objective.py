"""A stand-alone performance table as the objective: what guides, what is reported, what an evaluation costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.locate import content_of
from nas_lightning.errors import did_you_mean
from nas_lightning.search.objective import check_cost_unit
from nas_lightning.search.subspaces import ListedSpace
from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces import get_space

FIDELITIES = ("auto", "epochs", "seeds", "none")


def open_table(settings: Mapping[str, Any], space: str) -> Benchmark | None:
    """The table of a ``benchmark`` section; None for benchmark=none. Raises BenchmarkError (see `Benchmark.open`)."""
    if settings["name"] is None:
        return None
    return Benchmark.open(settings["name"], space=space, dataset=settings["dataset"], root=settings["root"])


@dataclass(frozen=True)
class _Guide:
    """What a search is told: values float [rows, levels], and what they are."""

    values: np.ndarray
    levels: tuple[int, ...]
    unit: str  # of the levels: epochs or seeds
    truth_seeds: tuple[int, ...] | None = None  # runs that did not guide, where guide and truth are one metric


def benchmark_objective(
    settings: Mapping[str, Any],
    space: str,
    cost_unit: str,
    measures: Sequence[str] = (),
    *,
    value: str | None = None,
    truth: str | None = None,
    fidelity: str = "auto",
    epochs: int | None = None,
    measures_from: str | None = None,
) -> TableObjective:
    """The objective of ``objective=benchmark``.

    value: the metric that guides, by default validation accuracy where the table has it, else its default metric.
    truth: the metric that is reported, at the longest training, by default the table's default metric. Where it is the
    guide itself and the table keeps single runs, half of the runs guide and the others are reported.
    fidelity: ``epochs`` (training budgets), ``seeds`` (how many runs are averaged), ``none``, or ``auto``: epochs where
    the table has several, else seeds where it keeps four or more, else none.
    epochs: the longest training that an evaluation may use; null takes the table's longest.
    measures: columns that every evaluation returns beside the value, of the table or of `measures_from`, another table
    of the same space (latencies).

    Rows without a number in any of these are left out. A table that does not cover its space is searched by a
    `ListedSpace`. Raises SearchError and BenchmarkError for what the table does not have.
    """
    if fidelity not in FIDELITIES:
        raise SearchError(
            f"objective.fidelity={fidelity} is unknown: {did_you_mean(fidelity, FIDELITIES)}choose one of "
            f"{', '.join(FIDELITIES)}"
        )
    table = open_table(settings, space)
    if table is None:
        raise SearchError("objective=benchmark needs a table: choose benchmark=embedded, or another one")
    known = {metric for metric, _ in table.metrics}
    guides = [metric for metric in ("validation_accuracy", "validation_score") if metric in known]
    value = value or (guides[0] if guides else table.default_metric)
    truth = truth or table.default_metric
    guide = _guide(table, value, truth, fidelity=fidelity, epochs=epochs)
    reported = _reported(table, truth, guide)
    costs = _costs(table, guide, value, epochs=epochs, unit=cost_unit)
    columns = _measured(table, measures, settings, measures_from)
    complete = np.isfinite(reported) & np.isfinite(guide.values).all(axis=1)
    for column in (*columns.values(), *([] if costs is None else costs.T)):
        complete &= np.isfinite(column)
    if not complete.any():
        needed = ", ".join([value, truth, *measures, "a cost"])
        raise SearchError(f"no row of {table.path.name} has all of {needed}")
    whole = get_space(space)
    covers = complete.all() and len(table) in (whole.size, whole.unique_size)
    searched = whole if covers else ListedSpace(whole, _distinct(table, complete))

    def find(architecture: Any) -> int:
        row = table.row(architecture)
        if row < 0:
            raise SearchError(f"{table.path.name} has no measurement of {architecture}")
        return row

    objective = TableObjective(
        searched,
        find,
        guide.values,
        truth=np.where(complete, reported, np.nan),
        fidelities=Fidelities(
            guide.unit, guide.levels, continuous=guide.levels == tuple(range(1, len(guide.levels) + 1))
        ),
        costs=costs,
        cost_unit=cost_unit,
        measures=columns,
        requested=measures,
        identity={
            "table_sha256": table.sha256,
            "dataset": table.dataset,
            "value": value,
            "truth": truth,
            "fidelity": guide.unit,
            "levels": list(guide.levels),
            "truth_seeds": None if guide.truth_seeds is None else list(guide.truth_seeds),
            "rows": int(complete.sum()),
            "measures": list(measures),
            "measures_from": _content_or_name(measures_from, settings["root"]),
        },
        truth_name=_truth_name(guide, value, truth),
    )
    objective.dataset, objective.quality = table.dataset or "", table.quality_of(truth)
    objective.benchmark = {"name": str(settings["name"]), "sha256": table.sha256}
    return objective


def _truth_name(guide: _Guide, value: str, truth: str) -> str:
    if guide.truth_seeds is not None:
        return f"{truth} of the table, of runs that did not guide"
    return f"{truth} of the table" + (", which also guided" if value == truth else "")


def _content_or_name(table: str | None, root: str | None) -> str | dict[str, str] | None:
    """What of another table a search depends on: its bytes; of the package's own its name, which says what they are."""
    content = None if table is None else content_of(table, root)
    return table if content is None else {"sha256": content}


def _measured(
    table: Benchmark, names: Sequence[str], settings: Mapping[str, Any], measures_from: str | None
) -> dict[str, np.ndarray]:
    """Columns by name, float64 [rows], NaN where the second table lacks a row's architecture."""
    if measures_from is None:
        return {name: np.asarray(table.values(name), np.float64) for name in names}
    second = Benchmark.open(measures_from, space=table.space, dataset=table.dataset, root=settings["root"])
    own = set(table.columns)
    architectures = table.architectures()
    return {
        name: np.asarray(table.values(name) if name in own else second.values(name, architectures), np.float64)
        for name in names
    }


def _distinct(table: Benchmark, complete: np.ndarray) -> list[Any]:
    """Architectures of the complete rows, one a row that a look-up finds (a table may hold a class twice)."""
    architectures = table.architectures()
    rows = table.rows(list(architectures))
    return [architectures[i] for i in np.flatnonzero(complete).tolist() if rows[i] == i]


def _guide(table: Benchmark, value: str, truth: str, fidelity: str, epochs: int | None) -> _Guide:
    budgets = tuple(e for e in table.epochs(value) if epochs is None or e <= epochs)
    if epochs is not None and epochs not in budgets:
        has = ", ".join(map(str, table.epochs(value))) or "none"
        raise SearchError(f"{table.path.name} has no {value} at {epochs} epochs: it has {has}")
    longest = budgets[-1] if budgets else None
    runs = None
    if fidelity == "seeds" or (fidelity == "auto" and len(budgets) < 2):
        runs = _complete_runs(table, value, longest)
    if fidelity == "epochs" or (fidelity == "auto" and len(budgets) > 1):
        if not budgets:
            raise SearchError(f"{table.path.name} has no {value} by epochs: choose objective.fidelity=seeds or none")
        return _Guide(np.stack([table.metric_values(value, e) for e in budgets], axis=1), budgets, "epochs")
    if fidelity == "seeds" or (runs is not None and runs.shape[1] >= 4):
        if runs is None or runs.shape[1] < 2:
            raise SearchError(f"{table.path.name} keeps no single runs of {value}: choose objective.fidelity=none")
        # One metric for both: a value must not be reported by the very runs that it was chosen by.
        n = runs.shape[1] // 2 if value == truth else runs.shape[1]
        means = runs[:, :n].cumsum(axis=1) / np.arange(1, n + 1)
        held = tuple(range(n, runs.shape[1])) if value == truth else None
        return _Guide(means, tuple(range(1, n + 1)), "seeds", held)
    return _Guide(table.metric_values(value, longest)[:, None], (longest or 1,), "epochs" if longest else "trainings")


def _complete_runs(table: Benchmark, metric: str, epochs: int | None) -> np.ndarray | None:
    """The runs that every row has, float64 [rows, runs]; None where none are kept."""
    runs = table.seed_accuracies(table.architectures(), metric, epochs)
    return None if runs is None else runs[:, np.isfinite(runs).all(axis=0)]


def _reported(table: Benchmark, truth: str, guide: _Guide) -> np.ndarray:
    if guide.truth_seeds is None:
        return table.metric_values(truth)
    runs = _complete_runs(table, truth, max(table.epochs(truth), default=None))
    assert runs is not None  # they guided
    return runs[:, list(guide.truth_seeds)].mean(axis=1)


def _costs(table: Benchmark, guide: _Guide, value: str, epochs: int | None, unit: str) -> np.ndarray | None:
    """Cost of every row at every level, float64 [rows, levels]; None where it is the share of the full fidelity."""
    recipe = table.metadata.get("plan", {}).get("protocol", {})
    trained = epochs or max(table.epochs(value), default=recipe.get("epochs"))
    supported = ["evaluations", *([] if trained is None else ["epochs"]), *(["seconds"] if _has_times(table) else [])]
    check_cost_unit(unit, supported, "benchmark")
    levels = np.asarray(guide.levels, np.float64)
    if unit == "evaluations":
        return None
    repeats = levels if guide.unit == "seeds" else np.ones(len(levels))
    budgets = [trained] * len(levels) if guide.unit == "seeds" else list(guide.levels)
    if unit == "epochs":
        return np.broadcast_to(repeats * np.asarray(budgets, np.float64), guide.values.shape)
    architectures = table.architectures()
    times = {budget: table.training_time(architectures, budget) for budget in set(budgets)}
    return np.stack([times[budget] * n for budget, n in zip(budgets, repeats, strict=True)], axis=1)


def _has_times(table: Benchmark) -> bool:
    return any(meaning["quantity"].startswith("train_seconds") for meaning in table.columns.values())
