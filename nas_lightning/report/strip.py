"""Kendall tau of every run, one row a setting, beside what counting parameters gives and what the table allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from nas_lightning.report.figure import Columns, Figure, Panel
from nas_lightning.report.look import BLUE, GOLD, INK, ROW, finite, number
from nas_lightning.report.study import Condition, Setting, value_of
from nas_lightning.report.tables import baseline_tau

_BOXED = 5  # runs from which the middle half is a bar


def strip(conditions: Sequence[Condition]) -> Figure:
    """One panel a condition of several settings; conditions of a single one share a panel."""
    panels = []
    for condition in (c for c in conditions if len(c.settings) > 1):
        rows = [(setting.name, setting) for setting in condition.settings]
        panels += _panel(condition.label, rows, beside(condition.beside))
    lone = [(c.label, c.settings[0]) for c in conditions if len(c.settings) == 1]
    if len(lone) == 1:
        panels += _panel(lone[0][0], [(lone[0][1].name, lone[0][1])], beside(lone[0][1]))
    elif lone:
        rows = [(f"{label}: {setting.name}", setting) for label, setting in lone]
        panels += _panel("Conditions of one setting", rows, {})
    return Figure(
        "tau-per-setting",
        "Kendall tau per setting",
        "A point is one run (seed); the bar spans the middle half from 5 runs on, the tick is the median. The golden "
        "band is the parameter count's tau with its 95 % interval on the same architectures: a setting inside it ranks "
        "no better than counting parameters. Dashed: the noise ceiling.",
        panels,
        columns=2,
    )


def beside(setting: Setting) -> dict[str, float]:
    """Means over a setting's runs: the parameter count's tau, low and high end of its interval; the noise ceiling."""
    found: dict[str, list[float]] = {name: [] for name in ("tau", "low", "high", "ceiling")}
    for run in setting.runs:
        interval = ((run.ranked.get("baselines") or {}).get("parameters") or {}).get("kendall_tau_interval") or {}
        values = (baseline_tau(run), value_of(interval, "low"), value_of(interval, "high"))
        ceiling = value_of((run.ranked.get("ceiling") or {}).get("noise") or {}, "tau")
        for name, value in zip(found, (*values, ceiling), strict=True):
            if not math.isnan(value):
                found[name].append(value)
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def _panel(title: str, rows: Sequence[tuple[str, Setting]], levels: dict[str, float]) -> list[Panel]:
    points: dict[str, list[Any]] = {"setting": [], "tau": [], "run": []}
    boxes: dict[str, list[Any]] = {"setting": [], "median": [], "low": [], "high": []}
    for name, setting in rows:
        taus = setting.values("kendall_tau")
        known = taus[~np.isnan(taus)]
        for run, tau in zip(setting.runs, taus.tolist(), strict=True):
            if not math.isnan(tau):
                points["setting"].append(name)
                points["tau"] += finite([tau], 4)
                points["run"].append(f"seed {run.seed}: {number(tau)}")
        if len(known):
            low, middle, high = np.percentile(known, [25, 50, 75])
            boxes["setting"].append(name)
            boxes["median"] += finite([middle], 4)
            boxes["low"] += finite([low if len(known) >= _BOXED else middle], 4)
            boxes["high"] += finite([high if len(known) >= _BOXED else middle], 4)
    if not points["tau"]:
        return []
    said = [f"parameter count {number(levels['tau'])}"] if "tau" in levels else []
    said += [f"noise ceiling {number(levels['ceiling'])}"] if "ceiling" in levels else []
    marks: Columns = {key: finite([levels.get(key, math.nan)], 4) for key in ("tau", "low", "high", "ceiling")}
    note = "; ".join(said).capitalize()
    return [Panel(title, _strip(), {"rows": points, "boxes": boxes, "levels": marks}, note=note + "." if note else "")]


@cache
def _strip() -> Any:
    import altair as alt

    y = alt.Y("setting:N", sort=None, title=None)
    levels = alt.Chart(alt.NamedData("levels"))
    band = levels.mark_rect(color="#e8c468", opacity=0.35).encode(x="low:Q", x2="high:Q")
    count = levels.mark_rule(color=GOLD, strokeWidth=1.3).encode(x="tau:Q")
    ceiling = levels.mark_rule(color=GOLD, strokeWidth=1.3, strokeDash=[5, 4]).encode(x="ceiling:Q")
    boxes = alt.Chart(alt.NamedData("boxes")).encode(y=y)
    middle = boxes.mark_bar(color=BLUE, opacity=0.25, size=9).encode(
        x=alt.X("low:Q", title="Kendall tau", scale=alt.Scale(zero=False)), x2="high:Q"
    )
    median = boxes.mark_tick(color=INK, thickness=2, size=12).encode(x="median:Q")
    runs = (
        alt.Chart(alt.NamedData("rows"))
        .mark_circle(color=BLUE, size=26, opacity=0.75)
        .encode(x="tau:Q", y=y, tooltip=["setting:N", "run:N"])
    )
    return (band + count + ceiling + middle + median + runs).properties(width=312, height=alt.Step(ROW))
