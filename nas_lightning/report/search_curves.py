"""The figures of searches: regret against the budget spent, and Pareto fronts with their hypervolumes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nas_lightning.report.curves import Axes, Line, line_panels
from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import HEIGHT, SHORT_NUMBERS, WIDTH, finite, readings
from nas_lightning.report.study import value_of
from nas_lightning.runs.quality import ACCURACY, Quality
from nas_lightning.runs.reading import COMPLETE, Run
from nas_lightning.runs.result import Found, Front, algorithm_name

_POINTS = 120
"""Points of one curve that the page holds, equally spaced in the logarithm of the budget."""


def searches_of(runs: Sequence[Run]) -> list[Run]:
    """The complete searches that left evaluations."""
    return [r for r in runs if r.status == COMPLETE and r.kind == "search" and len(r.search.get("evaluation", ()))]


def algorithm_of(run: Run) -> str:
    """Its name, in words."""
    return str(algorithm_name(run.searched) or "search").replace("_", " ")


def search_curves(runs: Sequence[Run]) -> Figure:
    """What the incumbent still lacks against the budget spent: one line an algorithm, one panel a problem.

    Where the stand-alone truth of all incumbents is known, their regret: the best quality of the table, or (without
    one) of all these searches, minus theirs, on a logarithmic axis: in points of an accuracy, nats of a perplexity,
    else in the quality's own unit. Else the incumbent's objective.
    """
    panels: list[Panel] = []
    for (space, dataset, objective, unit, _), algorithms in sorted(_problems(runs).items()):
        every = [run for group in algorithms.values() for run in group]
        known = all(not np.isnan(run.search.get("incumbent_truth", np.array([np.nan]))).any() for run in every)
        title = f"{space} on {dataset}" + (f", {objective}" if objective else "")
        x = f"Budget spent ({unit})"
        if not known:
            lines = [_held(g, "incumbent_objective", name, None) for name, g in sorted(algorithms.items())]
            panels += line_panels([v for v in lines if v], Axes(x, "Objective of the incumbent", True, True), title)
            continue
        (best, source), quality = _best(every), every[0].quality
        regret = _Regret(best, quality.factor, _smallest(every, best, quality))
        lines = [_held(g, "incumbent_truth", name, regret) for name, g in sorted(algorithms.items())]
        label = f"Regret of the incumbent ({quality.points})" if quality.points else "Regret of the incumbent"
        axes = Axes(x, label, True, log_x=True, log_y=True)
        shown = quality.text(best) if quality == ACCURACY else f"{quality.title} {quality.text(best)}"
        note = f"{title}: best {shown}, {source}"
        panels += line_panels([v for v in lines if v], axes, note)
    return Figure(
        "search",
        "Search: what the best so far lacks",
        "Median over seeds and interquartile range, on logarithmic axes; the number of seeds in brackets. Regret: the "
        "best stand-alone quality that is known minus that of the incumbent; none is drawn at 0.01 points, of other "
        "units at a thousandth of the largest. A curve ends with its shortest seed.",
        panels,
        columns=2,
    )


def _problems(runs: Sequence[Run]) -> dict[tuple[str, ...], dict[str, list[Run]]]:
    groups: dict[tuple[str, ...], dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in searches_of(runs):
        objective = run.searched.get("objective") or {}
        unit = str((run.searched.get("cost") or {}).get("unit", "evaluations"))
        name, own = str(objective.get("name", "")), run.quality.name
        where = (str(run.result["space"]), str(run.result["dataset"]), name, unit, own)
        groups[where][algorithm_of(run)].append(run)
    return groups


def _best(runs: Sequence[Run]) -> tuple[float, str]:
    """The highest quality that is known, and where from."""
    tables = [value_of(run.searched.get("benchmark") or {}, "best") for run in runs]
    if tables and not any(map(math.isnan, tables)):
        return max(tables), "of the table"
    return max(float(np.nanmax(run.search["incumbent_truth"])) for run in runs), "of all these searches"


def _smallest(runs: Sequence[Run], best: float, quality: Quality) -> float:
    """What stands for no regret on a logarithmic axis: 0.01 points of an accuracy, else 1/1000 of the largest."""
    if quality.scale == "percent":
        return 0.01
    largest = max(quality.factor * (best - float(np.nanmin(run.search["incumbent_truth"]))) for run in runs)
    return largest / 1000 if largest > 0 else 0.01


@dataclass(frozen=True)
class _Regret:
    """How a truth becomes what it lacks: ``factor * (best - truth)``, at least `least`."""

    best: float
    factor: float
    least: float

    def of(self, truth: np.ndarray) -> np.ndarray:
        return np.maximum(self.factor * (self.best - truth), self.least)


def _curve(run: Run, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Budget spent (evaluations where it was not recorded) and the incumbent's value, in ascending order."""
    x = run.search.get("spent", run.search["evaluation"])
    y = run.search.get(column, np.full(len(x), np.nan))
    keep = np.isfinite(x) & np.isfinite(y) & (x > 0)
    order = np.argsort(x[keep], kind="stable")
    return x[keep][order], y[keep][order]


def _held(runs: Sequence[Run], column: str, name: str, regret: _Regret | None) -> Line | None:
    """Median and quartiles of step curves: each holds its value until its next point."""
    curves = [curve for run in runs if len((curve := _curve(run, column))[0])]
    if not curves:
        return None
    start, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.unique(np.concatenate([x for x, _ in curves]))
    grid = grid[(grid >= start) & (grid <= end)]
    if not len(grid):
        return None
    if len(grid) > _POINTS:
        wished = np.geomspace(grid[0], grid[-1], _POINTS)
        grid = grid[np.unique(np.clip(np.searchsorted(grid, wished), 0, len(grid) - 1))]
    held = np.array([y[np.searchsorted(x, grid, side="right") - 1] for x, y in curves])
    if regret is not None:
        held = regret.of(held)
    low, middle, high = np.percentile(held, [25, 50, 75], axis=0)
    label = f"{name} ({len(curves)})"
    return Line(label, grid.tolist(), middle.tolist(), low=low.tolist(), high=high.tolist(), group=name)


def fronts(runs: Sequence[Run]) -> Figure:
    """The Pareto fronts that multi-objective searches found: objective against the first measure, one panel a problem.

    The corner that their hypervolumes are measured to stands in words: drawn to scale, it would flatten the fronts.
    """
    found: dict[tuple[str, str, str], dict[str, list[Any]]] = {}
    volumes: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    corners: dict[tuple[str, str, str], str] = {}
    for run in searches_of(runs):
        pareto = (run.searched.get("metrics") or Found()).get("pareto") or Front()
        measures = pareto.get("measures") or []
        if not measures:
            continue
        measure, corner = str(measures[0]), pareto.get("reference") or {}
        points = [
            (value_of(p, measure), value_of(p, "objective"), str(p.get("architecture")))
            for p in pareto.get("front") or []
        ]
        points = sorted(p for p in points if math.isfinite(p[0]) and math.isfinite(p[1]))
        if not points:
            continue
        problem = (str(run.result["space"]), str(run.result["dataset"]), measure)
        series = f"{algorithm_of(run)}, seed {run.seed}"
        columns = found.setdefault(problem, {name: [] for name in ("x", "y", "name", "series")})
        for x, y, name in points:
            for column, value in zip(columns.values(), (*finite([x, y], 6), name, series), strict=True):
                column.append(value)
        at = ", ".join(f"{name} {_grouped(value_of(corner, name))}" for name in (*map(str, measures), "objective"))
        corners[problem] = f"{at}; from the {corner.get('from', 'search')}"
        volumes[problem].append(f"{series} {_grouped(value_of(pareto, 'hypervolume'))}")
    panels = []
    for problem, columns in sorted(found.items()):
        space, dataset, measure = problem
        log = min(columns["x"]) > 0 and max(columns["x"]) / min(columns["x"]) > 20
        note = f"Hypervolume to the corner ({corners[problem]}): {'; '.join(volumes[problem][:8])}."
        title = f"{space} on {dataset}: objective against {measure}"
        panels.append(Panel(title, _front(measure, log), {"rows": columns}, note=note))
    return Figure(
        "fronts",
        "Search: Pareto fronts",
        "Architectures that no other of the same search beats in both: up and to the left is better.",
        panels,
        columns=2,
    )


def _grouped(value: float) -> str:
    """Large numbers in groups of three digits, small ones with four significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@cache
def _front(measure: str, log: bool) -> Any:
    import altair as alt

    scale = alt.Scale(type="log", padding=12) if log else alt.Scale(zero=False, padding=12)
    x = alt.X("x:Q", title=measure, scale=scale, axis=alt.Axis(labelExpr=SHORT_NUMBERS, tickCount=5))
    y = alt.Y("y:Q", title="Objective", scale=alt.Scale(zero=False, padding=10))
    colour = alt.Color("series:N", title=None, legend=alt.Legend(orient="bottom", columns=2, symbolLimit=12))
    base = alt.Chart(alt.NamedData("rows")).encode(x=x, y=y, color=colour)
    line = base.mark_line(interpolate="step-after", opacity=0.5)
    shown = [alt.Tooltip("name:N", title="architecture"), "series:N", *readings(5, x=measure, y="objective")]
    points = base.mark_circle(size=46, opacity=0.9).encode(tooltip=shown)
    return (line + points).properties(width=WIDTH, height=HEIGHT)
