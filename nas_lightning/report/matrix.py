"""Which settings each run had: one row a combination, one column a factor, the best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import INK, ROW, cut, number
from nas_lightning.report.study import Condition
from nas_lightning.report.tables import mean_std


def matrix(conditions: Sequence[Condition]) -> Figure:
    """One panel for every condition of at least two settings of which one changes several factors."""
    panels = []
    for condition in conditions:
        factors = sorted({factor for s in condition.settings for factor in s.changes})
        if len(condition.settings) < 2 or max(len(s.changes) for s in condition.settings) < 2:
            continue
        taus = {id(s): mean_std(s.values("kendall_tau"))[0] for s in condition.settings}
        ordered = sorted(condition.settings, key=lambda s: (math.isnan(taus[id(s)]), -taus[id(s)], s.name))
        columns: dict[str, list[Any]] = {name: [] for name in ("row", "factor", "text", "kind", "said")}
        for setting in ordered:
            rank = ordered.index(setting)
            cells = [
                (
                    f.replace("_", " "),
                    cut(setting.changes.get(f, "·"), 16),
                    "changed" if f in setting.changes else "own",
                )
                for f in factors
            ]
            cells.append(("tau", number(taus[id(setting)]), "tau"))
            for factor, text, kind in cells:
                for column, value in zip(columns.values(), (rank, factor, text, kind, setting.name), strict=True):
                    column.append(value)
        panels.append(Panel(condition.label, _chart(), {"rows": columns}))
    return Figure(
        "settings",
        "Which settings each run had",
        "One row a setting, the best tau first (mean over seeds); a dot is the plan's own value.",
        panels,
        columns=1,
    )


@cache
def _chart() -> Any:
    import altair as alt

    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("factor:N", sort=None, title=None,
                axis=alt.Axis(orient="top", labelAngle=-30, domain=False, ticks=False, labelLimit=140)),
        y=alt.Y("row:O", axis=None),
        tooltip=[alt.Tooltip("said:N", title="setting"), "factor:N", alt.Tooltip("text:N", title="value")],
    )  # fmt: skip
    tones = alt.Scale(domain=["changed", "own", "tau"], range=["#cfe0f1", "#fafbfc", "#f3ead0"])
    fill = base.mark_rect(stroke="#ffffff").encode(color=alt.Color("kind:N", scale=tones, legend=None))
    text = base.mark_text(fontSize=10.5, limit=92, color=INK).encode(text="text:N")
    return (fill + text).properties(width=alt.Step(98), height=alt.Step(ROW + 3))
