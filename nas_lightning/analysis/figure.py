"""Charts of this room in the project's look; every figure as an interactive page, a vector and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from nas_lightning.report.look import CONFIG, SERIES


def styled(chart: Any, title: str) -> Any:
    """The chart with the project's look and a title."""
    return chart.properties(title=title).configure(**CONFIG)


def colour(field: str, names: Sequence[str], title: str | None = None) -> Any:
    """One fixed colour a name, in the order given, so that panels agree."""
    scale = alt.Scale(domain=list(names), range=[SERIES[i % len(SERIES)] for i in range(len(names))])
    return alt.Color(f"{field}:N", scale=scale, legend=alt.Legend(title=title, orient="bottom", columns=2))


def save(chart: Any, folder: Path, name: str) -> list[Path]:
    """Write ``name.html``, ``name.svg`` and ``name.png`` into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in ("html", "svg", "png")]
    chart.save(paths[0], inline=True)
    chart.save(paths[1])
    chart.save(paths[2], scale_factor=2)
    return paths
