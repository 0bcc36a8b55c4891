"""The figure of searches: the best so far against the budget spent, one line an algorithm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.runs.reading import COMPLETE, Run


def search_curves(runs: Sequence[Run]) -> dict[str, Any]:
    """Best so far against the budget spent: median and interquartile range over seeds, one line an algorithm."""
    groups: dict[tuple[str, ...], dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.status == COMPLETE and run.kind == "search" and len(run.search.get("evaluation", ())):
            objective = run.result.get("objective") or {}
            unit = str((run.result.get("cost") or {}).get("unit", "evaluations"))
            where = (run.result["space"], run.result["dataset"], str(objective.get("name", "")), unit)
            groups[where][_algorithm(run)].append(run)
    panels = []
    for (space, dataset, objective_name, unit), algorithms in sorted(groups.items()):
        every = [run for group in algorithms.values() for run in group]
        # One measure a panel: the truth only if every run knows it, else what was searched by.
        known = all(not np.isnan(run.search.get("incumbent_truth", np.array([np.nan]))).any() for run in every)
        column, scale = ("incumbent_truth", 100) if known else ("incumbent_objective", 1)
        label = "Stand-alone accuracy of the incumbent (%)" if known else "Objective of the incumbent"
        series = []
        for algorithm, members in sorted(algorithms.items()):
            line = _held_line([_curve(run, column) for run in members], algorithm, scale)
            if line:
                series.append(line)
        if series:
            title = f"{space} on {dataset}" + (f", objective {objective_name}" if objective_name else "")
            panels.append({"title": title, "x": f"Budget spent ({unit})", "y": label, "series": series, "step": True})
    return {
        "id": "search",
        "kind": "lines",
        "title": "Search: best so far",
        "note": "Median over seeds and interquartile range; the number of seeds in brackets. A curve ends with its "
        "shortest seed.",
        "panels": panels,
    }


def _algorithm(run: Run) -> str:
    given = run.result.get("algorithm")
    name = given.get("name") if isinstance(given, dict) else given
    return str(name or "search")


def _curve(run: Run, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Budget spent (evaluations where it was not recorded) and the incumbent's value, in ascending order."""
    x = run.search.get("spent", run.search["evaluation"])
    y = run.search.get(column, np.full(len(x), np.nan))
    keep = ~(np.isnan(x) | np.isnan(y))
    order = np.argsort(x[keep], kind="stable")
    return x[keep][order], y[keep][order]


def _held_line(curves: Sequence[tuple[np.ndarray, np.ndarray]], label: str, scale: float) -> dict[str, Any] | None:
    """Median and quartiles of step curves: each holds its value until its next point."""
    curves = [curve for curve in curves if len(curve[0])]
    if not curves:
        return None
    start, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.unique(np.concatenate([x for x, _ in curves]))
    grid = grid[(grid >= start) & (grid <= end)]
    if not len(grid):
        return None
    if len(grid) > 400:
        grid = grid[np.unique(np.linspace(0, len(grid) - 1, 400).astype(int))]
    held = np.array([y[np.searchsorted(x, grid, side="right") - 1] for x, y in curves]) * scale
    low, middle, high = np.percentile(held, [25, 50, 75], axis=0)
    return {
        "label": f"{label} ({len(curves)})",
        "x": grid.tolist(),
        "y": middle.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }
