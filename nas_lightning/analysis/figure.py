"""Charts of this room: one look, and every figure as an interactive page, a vector and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's palette: told apart by readers who do not see red or green."""


def styled(chart: Any, title: str) -> Any:
    """The chart with this room's look and a title."""
    return (
        chart.properties(title=title)
        .configure_view(stroke=None)
        .configure_axis(grid=True, gridColor="#eeeeee", labelFontSize=11, titleFontSize=11, titleFontWeight="normal")
        .configure_title(fontSize=13, anchor="start")
        .configure_legend(labelFontSize=11, titleFontSize=11, labelLimit=320)
    )


def colour(field: str, names: Sequence[str], title: str | None = None) -> Any:
    """One fixed colour a name, in the order given, so that panels agree."""
    scale = alt.Scale(domain=list(names), range=[COLOURS[i % len(COLOURS)] for i in range(len(names))])
    return alt.Color(f"{field}:N", scale=scale, legend=alt.Legend(title=title, orient="bottom", columns=2))


def save(chart: Any, folder: Path, name: str) -> list[Path]:
    """Write ``name.html``, ``name.svg`` and ``name.png`` into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in ("html", "svg", "png")]
    chart.save(paths[0], inline=True)
    chart.save(paths[1])
    chart.save(paths[2], scale_factor=2)
    return paths
