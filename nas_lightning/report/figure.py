"""A figure of the report: panels, each one Altair chart over named columns. Page and pictures draw the same one.

A panel's chart reads its data by name (``altair.NamedData("rows")``); the columns lie beside it. Panels with the same
specification, such as the scatters of 600 runs, share it, and columns that several panels read are stored once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_lightning.report.look import CONFIG, wrapped
from nas_lightning.runs.files import write_atomically

if TYPE_CHECKING:
    import altair as alt

Columns = Mapping[str, Sequence[Any]]
"""A table: columns of equal length by name; numbers, texts, None where a value is missing."""
FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True, eq=False)
class Panel:
    """One chart with its data.

    Args:
        title: What is shown, in one line; the page and the pictures break it.
        chart: Reads its data by the names in `data`.
        data: Named tables.
        group: Heading above panels that belong together, such as the condition.
        choice: Its entry in the list, where the figure shows one panel of a group at a time.
        note: A sentence beneath it.
    """

    title: str
    chart: alt.TopLevelMixin
    data: Mapping[str, Columns]
    group: str = ""
    choice: str = ""
    note: str = ""

    def specification(self) -> dict[str, Any]:
        """The Vega-Lite specification without data."""
        spec: dict[str, Any] = self.chart.to_dict(validate=False)
        assert "datasets" not in spec, "a chart of the report reads all its data by name"
        return {key: value for key, value in spec.items() if key not in ("$schema", "config")}

    def whole(self) -> dict[str, Any]:
        """The Vega-Lite specification with title, look and data: what any Vega-Lite tool draws."""
        title = {"text": wrapped(self.title)} | ({"subtitle": wrapped(self.note, 74)} if self.note else {})
        datasets = {name: rows(columns) for name, columns in self.data.items()}
        return {"config": CONFIG, "title": title, **self.specification(), "datasets": datasets}

    def altair(self) -> alt.TopLevelMixin:
        """The chart with its data, to show in a notebook or to go on with."""
        import altair as alt

        return alt.Chart.from_dict(self.whole())


@dataclass(frozen=True, eq=False)
class Figure:
    """Panels under one heading.

    Args:
        id: File name of its pictures.
        title: Heading.
        note: How to read it.
        panels: In their order.
        choose: Whether one panel of each group is shown at a time, to choose from; pictures show the first of each.
        columns: Panels in a row of the pictures.
    """

    id: str
    title: str
    note: str
    panels: Sequence[Panel] = field(default_factory=list)
    choose: bool = False
    columns: int = 3

    def pictured(self) -> list[Panel]:
        """The panels that the pictures show."""
        if not self.choose:
            return list(self.panels)
        first: dict[str, Panel] = {}
        for panel in self.panels:
            first.setdefault(panel.group, panel)
        return list(first.values())


def rows(columns: Columns) -> list[dict[str, Any]]:
    """A table as Vega-Lite reads it.

    >>> rows({"x": [1, 2], "name": ["a", "b"]})
    [{'x': 1, 'name': 'a'}, {'x': 2, 'name': 'b'}]
    """
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def picture(figure: Figure) -> dict[str, Any]:
    """One specification of all pictured panels side by side, each under its group and title."""
    parts: list[dict[str, Any]] = []
    datasets: dict[str, Any] = {}
    for i, panel in enumerate(figure.pictured()):
        whole = panel.whole()
        datasets.update({f"{i}.{name}": table for name, table in whole.pop("datasets").items()})
        del whole["config"]
        if panel.group:
            whole["title"]["text"] = [*wrapped(panel.group), *whole["title"]["text"]]
        parts.append(_renamed(whole, f"{i}."))
    if len(parts) == 1:
        return {"config": CONFIG, **parts[0], "datasets": datasets}
    return {"config": CONFIG, "concat": parts, "columns": figure.columns, "datasets": datasets,
            "resolve": {"scale": {"color": "independent"}}}  # fmt: skip


def _renamed(spec: Any, prefix: str) -> Any:
    """The same with every data set called by `prefix` + its name."""
    if isinstance(spec, list):
        return [_renamed(part, prefix) for part in spec]
    if not isinstance(spec, dict):
        return spec
    found = {key: _renamed(value, prefix) for key, value in spec.items()}
    data = spec.get("data")
    if isinstance(data, dict) and set(data) == {"name"}:
        found["data"] = {"name": prefix + data["name"]}
    return found


_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def encoded(spec: Mapping[str, Any], suffix: str, svg: str = "") -> bytes:
    """A specification as PNG (two pixels a point), SVG (text stays text) or PDF; from `svg`, where it is drawn."""
    import vl_convert

    svg = svg or drawn(spec)
    if suffix == "png":
        return bytes(vl_convert.svg_to_png(svg, scale=2))
    if suffix == "pdf":
        return bytes(vl_convert.svg_to_pdf(svg))
    return svg.encode()


def drawn(spec: Mapping[str, Any]) -> str:
    """A specification as the text of an SVG."""
    import vl_convert

    return _NO_XML.sub("\ufffd", vl_convert.vegalite_to_svg(dict(spec)))


def write_pictures(folder: Path, figures: Sequence[Figure], formats: Sequence[str] = FORMATS) -> None:
    """``<id>.png``, ``<id>.svg`` and ``<id>.pdf`` of every figure, or those of `formats`; what an earlier report left
    in other formats goes. Raises OSError."""
    for figure in figures:
        for other in set(FORMATS) - set(formats):
            (folder / f"{figure.id}.{other}").unlink(missing_ok=True)
        if not formats:
            continue
        spec = picture(figure)
        svg = drawn(spec)
        for suffix in formats:
            write_atomically(folder / f"{figure.id}.{suffix}", encoded(spec, suffix, svg))
