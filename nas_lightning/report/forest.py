"""What each setting changes: a forest plot a condition, and a map of settings × conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import INK, ROW, VERDICTS, finite, number, signed
from nas_lightning.report.study import Condition, Setting, natural


def _verdict(setting: Setting) -> str:
    return next((name for name in VERDICTS if setting.verdict.startswith(name)), "not decided")


def forest(conditions: Sequence[Condition]) -> Figure:
    """Δ tau of every setting against the baseline, with its interval; one panel a condition that has a baseline."""
    panels = []
    for condition in conditions:
        compared = [(s, s.difference) for s in condition.settings if s.difference is not None]
        if not compared:
            continue
        rows: dict[str, list[Any]] = {
            "setting": [s.name for s, _ in compared],
            "estimate": finite((d.estimate for _, d in compared), 4),
            "low": finite((d.low for _, d in compared), 4),
            "high": finite((d.high for _, d in compared), 4),
            "verdict": [_verdict(s) for s, _ in compared],
            "said": [f"{signed(d.estimate)} ({number(d.low)} to {number(d.high)})" for _, d in compared],
            "seeds": [d.n_seeds for _, d in compared],
        }
        panels.append(Panel(condition.label, _forest(), {"rows": rows, "zero": {"x": [0]}}))
    return Figure(
        "forest",
        "What each setting changes",
        "Δ Kendall tau against the baseline, the unchanged plan, at the same seeds; the line is its 95 % interval. "
        "Green helps and red hurts after Holm's correction; blue: no difference at this n; grey: too few seeds.",
        panels,
        columns=2,
    )


@cache
def _forest() -> Any:
    import altair as alt

    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y("setting:N", sort=None, title=None),
        color=alt.Color("verdict:N", title=None, scale=_verdicts(), legend=None),
        tooltip=[alt.Tooltip("setting:N"), alt.Tooltip("said:N", title="Δ tau"), "verdict:N", "seeds:Q"],
    )
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color="#7b8794").encode(x="x:Q")
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="Δ Kendall tau"), x2="high:Q"
    )  # fmt: skip
    points = base.mark_point(filled=True, size=58, opacity=1).encode(x="estimate:Q")
    return (zero + lines + points).properties(width=312, height=alt.Step(ROW))


def _verdicts() -> Any:
    import altair as alt

    return alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values()))


def heatmap(conditions: Sequence[Condition]) -> Figure:
    """Δ tau by setting and condition: which changes help everywhere. Empty with fewer than two compared conditions."""
    compared = [c for c in conditions if any(s.difference is not None for s in c.settings)]
    columns: dict[str, list[Any]] = {name: [] for name in ("setting", "condition", "value", "text", "bold", "said")}
    names = {c.label: _short(c, compared) for c in compared}
    order = sorted({s.name for c in compared for s in c.settings if s.difference is not None}, key=natural)
    reach = 0.0
    for name in order if len(compared) > 1 else ():
        for condition in compared:
            setting = next((s for s in condition.settings if s.name == name and s.difference is not None), None)
            if setting is None or setting.difference is None or math.isnan(setting.difference.estimate):
                continue
            d = setting.difference
            reach = max(reach, abs(d.estimate))
            mark = {"helps": " ▲", "hurts": " ▼"}.get(_verdict(setting), "")
            values = (
                name,
                names[condition.label],
                finite([d.estimate], 4)[0],
                signed(d.estimate, 2) + mark,
                bool(mark),
            )
            said = f"{signed(d.estimate)} ({number(d.low)} to {number(d.high)}), {setting.verdict}"
            for column, value in zip(columns.values(), (*values, said), strict=True):
                column.append(value)
    panels = []
    if columns["setting"]:
        panels.append(Panel("Δ Kendall tau against the baseline", _heatmap(_limit(reach)), {"rows": columns}))
    return Figure(
        "heatmap",
        "Settings across conditions",
        "Δ Kendall tau of each setting where it was run. ▲ helps, ▼ hurts (Holm); the colours end at the largest "
        "change, or at 0.3.",
        panels,
    )


def _limit(reach: float) -> float:
    return round(min(max(reach, 0.02), 0.3), 3)


def _short(condition: Condition, all_of_them: Sequence[Condition]) -> str:
    """The space alone, where that names the condition."""
    return condition.space if [c.space for c in all_of_them].count(condition.space) == 1 else condition.label


@cache
def _heatmap(limit: float) -> Any:
    import altair as alt

    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X(
            "condition:N",
            sort=None,
            title=None,
            axis=alt.Axis(orient="top", labelAngle=-25, domain=False, ticks=False),
        ),
        y=alt.Y("setting:N", sort=None, title=None),
        tooltip=["setting:N", "condition:N", alt.Tooltip("said:N", title="Δ tau")],
    )  # fmt: skip
    scale = alt.Scale(domain=[-limit, 0, limit], range=["#c4432b", "#f7f7f5", "#2f8f46"], clamp=True, interpolate="rgb")
    fill = base.mark_rect(stroke="white").encode(color=alt.Color("value:Q", scale=scale, title="Δ tau", legend=None))
    strong = f"abs(datum.value) > {0.7 * limit}"
    text = base.mark_text(fontSize=10.5).encode(
        text="text:N", color=alt.condition(strong, alt.value("white"), alt.value(INK))
    )
    return (fill + text).properties(width=alt.Step(74), height=alt.Step(ROW + 1))
