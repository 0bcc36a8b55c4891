"""Landscapes side by side: autocorrelation, basins, persistence; and the correlogram of scores beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

from nas_lightning.analysis.figure import colour, logarithmic, styled
from nas_lightning.analysis.landscape import Footprint
from nas_lightning.analysis.sampled import EstimatedFootprint
from nas_lightning.analysis.scores import Correlogram

_SIZE = {"width": 300, "height": 210}


def landscape_chart(footprints: Mapping[str, Footprint | EstimatedFootprint]) -> Any:
    """Three panels: how fast a random walk forgets, how large basins are, and what early epochs promise."""
    names = list(footprints)
    walks = [
        {"landscape": name, "steps": i + 1, "rho": float(rho)}
        for name, one in footprints.items()
        for i, rho in enumerate(one.autocorrelation)
    ]
    basins: list[dict[str, Any]] = [
        {"landscape": name, "rank": i + 1, "share": 100 * share, "optimum": "best" if row == one.best_row else "local"}
        for name, one in footprints.items()
        for i, (row, share) in enumerate(list(one.basin_shares.items())[:50])
    ]
    kept = [
        {"landscape": name, "percent": i + 1, "kept": 100 * float(value), "side": side}
        for name, one in footprints.items()
        for side, curve in (("best", one.positive), ("worst", one.negative))
        for i, value in enumerate(curve)
    ]
    shade = colour("landscape", names)
    panels = [
        alt.Chart(alt.Data(values=walks))
        .mark_line(point=True)
        .encode(
            x=alt.X("steps:Q", title="steps of a random walk", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("rho:Q", title="autocorrelation of the fitness"),
            color=shade,
        )
        .properties(title="Ruggedness", **_SIZE),
        alt.Chart(alt.Data(values=basins))
        .mark_line(point={"size": 40, "filled": True})
        .encode(
            x=alt.X("rank:Q", title="local optima by size of their basin", **logarithmic([b["rank"] for b in basins])),
            y=alt.Y("share:Q", title="share of all starts (%)", **logarithmic([b["share"] for b in basins])),
            color=shade,
            tooltip=["landscape:N", "rank:Q", "share:Q", "optimum:N"],
        )
        .properties(title="Basins of best-improvement ascent", **_SIZE),
    ]
    if kept:
        panels.append(
            alt.Chart(alt.Data(values=kept))
            .mark_line()
            .encode(
                x=alt.X("percent:Q", title="best or worst N % at the fewest epochs"),
                y=alt.Y("kept:Q", title="still there at all others (%)"),
                color=shade,
                strokeDash=alt.StrokeDash("side:N", legend=alt.Legend(title=None, orient="bottom")),
            )
            .properties(title="Persistence", **_SIZE)
        )
    return styled(alt.hconcat(*panels), "Fitness landscapes")


def score_chart(result: Correlogram) -> Any:
    """Rank correlation of pairs by distance, the truth and every score, with 95 % intervals."""
    rows = [
        {"score": name, "distance": i + 1, "rho": float(rho[i]), "low": float(low), "high": float(high)}
        for name, rho in result.rho.items()
        for i, (low, high) in enumerate(result.interval[name])
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("distance:O", title="genes that differ", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("score:N", sort=list(result.rho)),
        color=colour("score", list(result.rho)),
    )
    bars = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title="rank correlation of pairs"), y2="high:Q")
    points = base.mark_point(filled=True, size=50).encode(y="rho:Q")
    chart = (bars + points).properties(width=520, height=280)
    return styled(chart, "How alike architectures are: a score's landscape beside the truth's")
