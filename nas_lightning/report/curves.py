"""Curves of several series: their names stand at their ends; many series become small multiples, the rest grey."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import GOLD, GREY, HEIGHT, INK, SERIES, cut, finite, readings, span, spread
from nas_lightning.report.strip import beside
from nas_lightning.report.study import BASELINE, Condition

FEW = 6
"""Series that one plot names and colours; of more, one plot each factor, all others grey behind them. A plot of more
has the reference's band alone, or nothing could be told from another."""
_LABEL = 14  # pixels between the names at the curves' ends
_WIDTH = 300


@dataclass(frozen=True)
class Line:
    """A curve with its band. `group` says which curves share a small multiple; `reference` is black, in all of them."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    group: str = ""
    reference: bool = False


@dataclass(frozen=True)
class Axes:
    """Titles and kinds of two axes. `levels` are dashed lines: what a curve has to rise above."""

    x: str
    y: str
    step: bool = False
    log_x: bool = False
    log_y: bool = False
    whole_x: bool = False


def line_panels(lines: Sequence[Line], axes: Axes, title: str, level: tuple[float, str] | None = None) -> list[Panel]:
    """One panel for few lines, else one for each `Line.group`, with the other lines grey."""
    if not lines:
        return []
    note = "" if level is None else f"Dashed: {level[1]}."
    if len(lines) <= FEW:
        return [_panel(lines, [], axes, title=title, level=level, group="", note=note)]
    groups = dict.fromkeys(line.group for line in lines if not line.reference)
    found = []
    for group in groups:
        reference = [line for line in lines if line.reference]
        own = [line for line in lines if line.group == group and not line.reference]
        parts = [own[at : at + len(SERIES)] for at in range(0, len(own), len(SERIES))]
        for number, part in enumerate(parts, start=1):
            chosen = reference + part
            rest = [line for line in lines if line not in chosen]
            heading = (group or ", ".join(line.name for line in part)).replace("_", " ")
            heading += f", {number} of {len(parts)}" if group and len(parts) > 1 else ""
            found.append(_panel(chosen, rest, axes, title=heading, level=level, group=title, note=note))
    return found


def _panel(
    lines: Sequence[Line],
    rest: Sequence[Line],
    axes: Axes,
    title: str,
    level: tuple[float, str] | None,
    group: str,
    note: str,
) -> Panel:
    def table(chosen: Sequence[Line]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {name: [] for name in ("series", "x", "y", "low", "high")}
        for line in chosen:
            columns["series"] += [line.name] * len(line.x)
            for name in ("x", "y", "low", "high"):
                columns[name] += finite(getattr(line, name), 4)
        return columns

    every = [*lines, *rest]
    ys = [v for line in every for part in (line.low, line.high) for v in part] + ([level[0]] if level else [])
    low, high = _span(ys, axes.log_y)
    xs = _span([v for line in every for v in line.x], axes.log_x, 0.0)
    colours = _colours(lines)
    ends: dict[str, list[Any]] = {
        "series": [cut(line.name, 30) for line in lines],
        "name": [line.name for line in lines],
        "x": finite([line.x[-1] for line in lines], 4),
        "y": _placed([line.y[-1] for line in lines], low, high, axes.log_y),
        "colour": [colours[line.name] for line in lines],
    }
    data = {
        "rows": table(lines), "rest": table(rest), "ends": ends,
        "levels": {"y": finite([level[0]], 4) if level else []},
    }  # fmt: skip
    banded = tuple(line.name for line in lines if len(lines) <= FEW or line.reference)
    chart = _chart(axes, (low, high), xs, colours=tuple(colours.items()), banded=banded)
    return Panel(title, chart, data, group, note=note)


def _colours(lines: Sequence[Line]) -> dict[str, str]:
    tones = iter(SERIES)
    return {line.name: INK if line.reference else next(tones, GREY) for line in lines}


def _span(values: Sequence[float], log: bool, pad: float = 0.05) -> tuple[float, float]:
    if not log:
        low, high = span(values, pad)
        return low, high
    low, high = span([math.log10(v) for v in values if v > 0], pad)
    return 10**low, 10**high


def _placed(ends: Sequence[float], low: float, high: float, log: bool) -> list[float | None]:
    """Heights at which the names of curves that end at `ends` do not overlap, in the units of the axis."""
    measure = (lambda v: math.log10(max(v, low))) if log else float
    bottom, top = measure(low), measure(high)
    moved = spread([measure(v) for v in ends], _LABEL / HEIGHT * (top - bottom))
    return finite([10**v if log else v for v in moved], 5)


@cache
def _chart(
    axes: Axes,
    ys: tuple[float, float],
    xs: tuple[float, float],
    colours: tuple[tuple[str, str], ...],
    banded: tuple[str, ...],
) -> Any:
    import altair as alt

    names, tones = [name for name, _ in colours], [tone for _, tone in colours]
    x_scale = alt.Scale(type="log" if axes.log_x else "linear", domain=list(xs), nice=False)
    whole: Any = {"format": "d", "tickMinStep": 1} if axes.whole_x else {}
    x_axis = alt.Axis(tickCount=6, **whole)
    x = alt.X("x:Q", title=axes.x, scale=x_scale, axis=x_axis)
    # A domain that is given has its zero or not; Vega warns of "zero" beside a logarithm.
    y_scale = alt.Scale(type="log" if axes.log_y else "linear", domain=list(ys), nice=False)
    y = alt.Y("y:Q", title=axes.y, scale=y_scale, axis=alt.Axis(tickCount=6))
    how: Any = {"interpolate": "step-after"} if axes.step else {}
    colour = alt.Color("series:N", scale=alt.Scale(domain=names, range=tones), legend=None)
    shown = readings(x=axes.x, y=axes.y, low="from", high="to")
    tooltip = [alt.Tooltip("series:N", title="setting"), *shown]
    grey = alt.Chart(alt.NamedData("rest")).mark_line(color=GREY, strokeWidth=1, opacity=0.6, clip=True, **how).encode(
        x=x, y=y, detail="series:N", tooltip=tooltip)  # fmt: skip
    level = alt.Chart(alt.NamedData("levels")).mark_rule(color=GOLD, strokeDash=[5, 4], strokeWidth=1.3).encode(y="y:Q")
    base = alt.Chart(alt.NamedData("rows"))
    edge = alt.Y("low:Q", scale=y_scale)
    of_few = base.transform_filter(alt.FieldOneOfPredicate("series", list(banded)))
    band = of_few.mark_area(opacity=0.13, clip=True, **how).encode(x=x, y=edge, y2="high:Q", color=colour)
    line = base.mark_line(strokeWidth=2, clip=True, point=False, **how).encode(x=x, y=y, color=colour)
    under = base.mark_circle(opacity=0.0001, size=90, clip=True).encode(x=x, y=y, color=colour, tooltip=tooltip)
    ends = alt.Chart(alt.NamedData("ends")).mark_text(align="left", dx=6, fontSize=10.5).encode(
        x=x, y=y, text="series:N", color=alt.Color("colour:N", scale=None), tooltip=alt.Tooltip("name:N"))  # fmt: skip
    return (grey + level + band + line + under + ends).properties(width=_WIDTH, height=HEIGHT)


def quality_over_epochs(conditions: Sequence[Condition]) -> list[Figure]:
    """The quality with shared weights at the evaluated epochs, one figure a quality, in the unit of its readers."""
    found = []
    for quality in dict.fromkeys(condition.quality for condition in conditions):
        of_it = [condition for condition in conditions if condition.quality == quality]
        name, label = f"supernet_{quality.name}", f"Super-net {quality.label}"
        found.append(over_epochs(of_it, name, label, show=np.vectorize(quality.show, otypes=[np.float64])))
    return found


def over_epochs(
    conditions: Sequence[Condition], name: str, label: str, show: Callable[[np.ndarray], np.ndarray] | None = None
) -> Figure:
    """A measure at the evaluated epochs: median over seeds, with the range between the lowest and highest seed.

    Args:
        conditions: one panel each, or several of many settings.
        name: of the column ``rank/<name>`` of metrics.csv.
        label: the axis' title, its unit in brackets.
        show: from the column's numbers [epochs] to those that are drawn; as they are by default.
    """
    panels: list[Panel] = []
    for condition in conditions:
        lines = []
        for setting in condition.settings:
            curves = []
            for run in setting.runs:
                column, epoch = run.epochs.get(f"rank/{name}"), run.epochs.get("epoch")
                if column is not None and epoch is not None:
                    known = np.isfinite(column) & np.isfinite(epoch)
                    values = column[known] if show is None else show(column[known])
                    curves.append(dict(zip(epoch[known].tolist(), values.tolist(), strict=True)))
            lone = setting.setting if len(setting.changes) == 1 and len(condition.settings) > FEW else setting.name
            line = over_seeds([c for c in curves if len(c) > 1], lone, setting.factor, setting.factor == BASELINE)
            lines += [line] if line else []
        free = beside(condition.beside).get("tau")
        level = (free, f"parameter count {free:.3f}") if free is not None and name == "kendall_tau" else None
        panels += line_panels(_distinct(lines), Axes("Epoch", label, whole_x=True), condition.label, level)
    return Figure(
        "epochs-" + name.replace("_", "-"),
        f"{label.split(' (')[0]} against epochs",
        "Median over seeds, the band spans all seeds; the number of seeds in brackets. Of many settings, each plot "
        f"shows one factor's, with the baseline in black and all others in grey; above {FEW} the baseline alone has "
        "its band.",
        panels,
    )


def _distinct(lines: Sequence[Line]) -> list[Line]:
    """Names that one plot may show together, told apart by their factor where a setting's alone is not enough."""
    from collections import Counter
    from dataclasses import replace

    counts = Counter(line.name for line in lines)
    return [replace(line, name=f"{line.group}: {line.name}") if counts[line.name] > 1 else line for line in lines]


def over_seeds(curves: Sequence[dict[float, float]], name: str, group: str, reference: bool) -> Line | None:
    """Median, lowest and highest at the positions that every curve has."""
    if not curves:
        return None
    common = sorted(set.intersection(*(set(c) for c in curves)))
    values = np.array([[c[x] for x in common] for c in curves])
    if not common:
        return None
    low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
    return Line(
        f"{name} ({len(curves)})",
        common,
        np.median(values, axis=0).tolist(),
        low=low,
        high=high,
        group=group,
        reference=reference,
    )
