"""What learned distributions went through: the architecture they stand for, and the weights of the operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from nas_lightning.report.curves import FEW, Axes, Line, line_panels, over_seeds
from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import SERIES, finite, readings
from nas_lightning.report.study import Condition
from nas_lightning.runs.reading import Run

_EDGE = 128
"""Pixels of one edge's small plot."""
_ROW = 3
"""Edges in a row."""


def derived_architectures(conditions: Sequence[Condition]) -> Figure:
    """Skip connections, stand-alone quality and entropy of the derived architecture after every epoch.

    Args:
        conditions: those without a run of a learned distribution have no panel.
    """
    panels: list[Panel] = []
    for condition in conditions:
        quality = condition.quality
        unit = f" ({quality.unit})" if quality.unit else ""
        wanted: list[tuple[str, str, Callable[[float], float]]] = [
            ("skips", "Skip connections of the derived architecture", float),
            ("accuracy", f"Its stand-alone {quality.title}{unit}", quality.show),
            ("entropy", "Entropy of the distribution (nats an edge)", float),
        ]
        for key, label, show in wanted:
            axes = Axes("Epoch", label, whole_x=True)
            panels += line_panels(_lines(condition, key, show), axes, f"{condition.label}: {label.lower()}")
    return Figure(
        "derived",
        "Derived architectures over epochs",
        "What a learned distribution stood for after every epoch: median over seeds, the band spans all seeds; the "
        "number of seeds in brackets. A cell of skip connections alone is the collapse that is known of DARTS.",
        panels,
    )


def _lines(condition: Condition, key: str, show: Callable[[float], float]) -> list[Line]:
    found = []
    for setting in condition.settings:
        curves = []
        for run in setting.runs:
            values = {row["epoch"]: row.get(key) for row in epochs_of(run)}
            curves.append({epoch: show(value) for epoch, value in values.items() if isinstance(value, int | float)})
        name = setting.setting if len(setting.changes) == 1 and len(condition.settings) > FEW else setting.name
        line = over_seeds([curve for curve in curves if curve], name, setting.name, reference=False)
        found += [line] if line else []
    return found


def epochs_of(run: Run) -> list[dict[str, Any]]:
    """The rows of a run's derived architectures, one an epoch; none where nothing was learned."""
    derived = cast("dict[str, Any]", run.trained).get("derived") or {}
    rows = derived["epochs"] if isinstance(derived.get("epochs"), list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("epoch"), int)]


def operation_weights(conditions: Sequence[Condition]) -> Figure:
    """The weight of every operation on every edge after every epoch: one panel a run, a small plot an edge."""
    panels = []
    for condition in conditions:
        for setting in condition.settings:
            for run in setting.runs:
                table = run.operation_weights
                if table:
                    title = f"{setting.name}, seed {run.seed}"
                    panels.append(_panel(table, title, condition.label))
    return Figure(
        "operation-weights",
        "Weights of the operations over epochs",
        "What the learned distribution gave every operation of every edge. One run of each condition is shown; choose "
        "another above its plot.",
        panels,
        choose=True,
    )


def _panel(table: dict[str, list[Any]], title: str, group: str) -> Panel:
    kinds = dict.fromkeys(table["cell"])
    cells = table["cell"] if len(kinds) > 1 else [""] * len(table["cell"])
    edges = [f"{cell} {i} → {j}".strip() for cell, i, j in zip(cells, table["source"], table["target"], strict=True)]
    rows = {
        "edge": edges,
        "operation": table["operation"],
        "x": table["epoch"],
        "y": finite(table["weight"], 4),
    }
    chart = _chart(tuple(dict.fromkeys(edges)), tuple(dict.fromkeys(table["operation"])))
    return Panel(title, chart, {"rows": rows}, group, choice=title)


@cache
def _chart(edges: tuple[str, ...], operations: tuple[str, ...]) -> Any:
    import altair as alt

    colour = alt.Color(
        "operation:N",
        title=None,
        scale=alt.Scale(domain=list(operations), range=list(SERIES[: len(operations)])),
        legend=alt.Legend(orient="top", columns=3, symbolOpacity=1, symbolType="stroke"),
    )
    base = alt.Chart().encode(
        x=alt.X("x:Q", title="Epoch", axis=alt.Axis(format="d", tickCount=3, tickMinStep=1)),
        y=alt.Y("y:Q", title="Weight", axis=alt.Axis(tickCount=3)),
        color=colour,
    )
    shown = [alt.Tooltip("operation:N"), *readings(x="epoch", y="weight")]
    lines = base.mark_line(strokeWidth=1.6) + base.mark_circle(opacity=0.0001, size=60).encode(tooltip=shown)
    return lines.properties(width=_EDGE, height=_EDGE * 0.7).facet(
        facet=alt.Facet("edge:N", title=None, sort=list(edges)), columns=_ROW, data=alt.NamedData("rows")
    )
