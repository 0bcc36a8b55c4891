"""Kendall tau of every setting against one number of its runs: passes, seconds, the gap to stand-alone training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import (
    BLUE,
    GOLD,
    HEIGHT,
    INK,
    SHORT_NUMBERS,
    WIDTH,
    cut,
    finite,
    number,
    readings,
    span,
    spread,
)
from nas_lightning.report.strip import beside
from nas_lightning.report.study import Condition, Setting, measure, one_quality, value_of
from nas_lightning.runs.reading import Run

_NAMED = 9
"""Settings that a plot names all; of more, it names the baseline and those that nothing cheaper beats."""
_LABEL = 13


def tau_against(
    conditions: Sequence[Condition],
    key: str,
    title: str,
    axis: str | Callable[[Condition], str],
    of: Callable[[Run], float],
    note: str,
) -> Figure:
    """One point a setting (means over its runs; lines: ± one standard deviation), one panel a condition.

    Args:
        conditions: those of a single setting are left out.
        key: the figure's identifier.
        title: above all panels.
        axis: the title of the horizontal axis, its unit in brackets; of each condition, where it is not the same.
        of: the number of a run, NaN where it is not known.
        note: what the figure is for.
    """
    panels = []
    for condition in conditions:
        if len(condition.settings) > 1 and (
            panel := _panel(condition, axis if isinstance(axis, str) else axis(condition), of)
        ):
            panels.append(panel)
    note += (
        " A point is a setting, the mean of its runs; lines: ± their standard deviation. Named are the baseline and "
    )
    note += "the settings that none to their left outranks, or all where they are few; the others say theirs under the "
    return Figure(key, title, note + "mouse. Dashed: the parameter count's tau.", panels)


def against_cost(conditions: Sequence[Condition]) -> list[Figure]:
    """Tau against passes, wall seconds, and the optimization gap."""

    def cost(run: Run) -> float:
        return value_of(run.trained.get("cost") or {}, "passes")

    def gap(run: Run) -> float:
        return run.quality.factor * value_of(run.own_record, "optimization_gap")

    def spread_of_gap(run: Run) -> float:
        return run.quality.factor * value_of(run.own_record, "optimization_gap_std")

    def in_points(label: str) -> Callable[[Condition], str]:
        return lambda condition: label + (f" ({unit})" if (unit := condition.quality.points) else "")

    quality = one_quality(condition.quality for condition in conditions)
    return [
        tau_against(
            conditions,
            "gap-tau",
            "Optimization gap against Kendall tau",
            axis=in_points("Optimization gap"),
            of=gap,
            note=f"How far {quality.title if quality else 'the quality'} with shared weights lies from stand-alone "
            "training: whether better trained super-nets rank better.",
        ),
        tau_against(
            conditions,
            "gap-spread",
            "Spread of the optimization gap against Kendall tau",
            axis=in_points("Standard deviation of the gap over architectures"),
            of=spread_of_gap,
            note="A gap that is the same for all architectures ranks perfectly: whether it is its spread that matters.",
        ),
        tau_against(
            conditions,
            "cost-passes",
            "Kendall tau against passes",
            axis="Training passes (batches through one path)",
            of=cost,
            note="FairNAS makes several passes a step: compare by passes as well as by epochs.",
        ),
        tau_against(
            conditions,
            "cost-seconds",
            "Kendall tau against seconds",
            axis="Wall seconds of the run",
            of=lambda run: run.seconds,
            note="Seconds compare runs of one machine.",
        ),
    ]


def _panel(condition: Condition, axis: str, of: Callable[[Run], float]) -> Panel | None:
    names = ("setting", "x", "y", "x_low", "x_high", "y_low", "y_high", "runs", "baseline")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    points: list[tuple[Setting, float, float]] = []
    for setting in condition.settings:
        pairs = np.array([(of(run), measure(run, "kendall_tau")) for run in setting.runs]).reshape(-1, 2)
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if not len(pairs):
            continue
        (x, y), half = pairs.mean(axis=0), pairs.std(axis=0, ddof=1) if len(pairs) > 1 else np.zeros(2)
        points.append((setting, float(x), float(y)))
        values = (
            setting.name,
            x,
            y,
            x - half[0],
            x + half[0],
            y - half[1],
            y + half[1],
            len(pairs),
            not setting.changes,
        )
        for name, value in zip(names, values, strict=True):
            columns[name] += finite([value], 5) if isinstance(value, float) else [value]
    if len(points) < 2:
        return None
    xs = [x for _, x, _ in points]
    log = min(xs) > 0 and max(xs) / min(xs) > 20
    front, best = set(), -math.inf
    for setting, _, y in sorted(points, key=lambda p: (p[1], -p[2])):
        if y > best:
            front.add(id(setting))
            best = y
    named = [p for p in points if len(points) <= _NAMED or id(p[0]) in front or not p[0].changes]
    level = beside(condition.beside).get("tau")
    ys = [v for name in ("y_low", "y_high") for v in columns[name]] + ([level] if level is not None else [])
    domain = span(ys)
    heights = spread([y for _, _, y in named], _LABEL / HEIGHT * (domain[1] - domain[0]))
    labels: dict[str, list[Any]] = {
        "name": [cut(s.name, 32) for s, _, _ in named],
        "x": finite([x for _, x, _ in named], 5),
        "y": finite(heights, 5),
        "side": [int(x > (min(xs) * max(xs)) ** 0.5 if log else x > (min(xs) + max(xs)) / 2) for _, x, _ in named],
        "front": [int(id(s) in front) for s, _, _ in named],
    }
    data = {"rows": columns, "labels": labels, "levels": {"y": finite([level], 4) if level is not None else []}}
    note = f"Dashed: parameter count {number(level)}." if level is not None else ""
    return Panel(condition.label, _chart(axis, log, tuple(domain), len(points) > _NAMED), data, note=note)


@cache
def _chart(axis: str, log: bool, ys: tuple[float, float], many: bool) -> Any:
    import altair as alt

    faint = 0.1 if many else 0.3
    x_scale = alt.Scale(type="log", nice=False, padding=14) if log else alt.Scale(zero=False, nice=False, padding=14)
    y_scale = alt.Scale(domain=list(ys), nice=False, zero=False)
    x = alt.X("x:Q", title=axis, scale=x_scale, axis=alt.Axis(labelExpr=SHORT_NUMBERS, tickCount=5))
    y = alt.Y("y:Q", title="Kendall tau", scale=y_scale)
    base = alt.Chart(alt.NamedData("rows"))
    tone = alt.condition("datum.baseline", alt.value(INK), alt.value(BLUE))
    wide = base.mark_rule(opacity=faint).encode(x=alt.X("x_low:Q", scale=x_scale), x2="x_high:Q", y=y, color=tone)
    high = base.mark_rule(opacity=faint).encode(x=x, y=alt.Y("y_low:Q", scale=y_scale), y2="y_high:Q", color=tone)
    points = base.mark_circle(size=48, opacity=0.5 if many else 0.85).encode(
        x=x, y=y, color=tone,
        tooltip=["setting:N", *readings(x=axis, y="Kendall tau", runs="runs")],
    )  # fmt: skip
    level = alt.Chart(alt.NamedData("levels")).mark_rule(color=GOLD, strokeDash=[5, 4], strokeWidth=1.3).encode(y="y:Q")
    labels = alt.Chart(alt.NamedData("labels")).encode(x=x, y=y, text="name:N")
    side = "datum.side == 1 ? {} : {}"
    place: Any = {"align": alt.expr(side.format("'right'", "'left'")), "dx": alt.expr(side.format(-7, 7))}
    around = labels.mark_text(fontSize=10.5, stroke="white", strokeWidth=4, opacity=0.85, **place)
    named = labels.mark_text(fontSize=10.5, **place)
    return (level + wide + high + points + around + named).properties(width=WIDTH, height=HEIGHT)
