"""Charts of this room in the project's look; every analysis ends in pictures and in a page like the report's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

import altair as alt

from nas_lightning.analysis.output import number
from nas_lightning.report.cells import cell, head
from nas_lightning.report.figure import Figure, Panel, write_pictures
from nas_lightning.report.look import CONFIG, SERIES, wrapped
from nas_lightning.report.page import page
from nas_lightning.runs.files import write_atomically


def styled(chart: Any, title: str) -> Any:
    """The chart with the project's look and a title, in lines that stay above the plot."""
    return chart.properties(title=wrapped(title, 72)).configure(**CONFIG)


def colour(field: str, names: Sequence[str], title: str | None = None) -> Any:
    """One fixed colour a name, in the order given, so that panels agree."""
    scale = alt.Scale(domain=list(names), range=[SERIES[i % len(SERIES)] for i in range(len(names))])
    columns = 2 if max(map(len, names)) > 24 else 3
    legend = alt.Legend(title=title, orient="bottom", columns=columns, labelLimit=0)
    return alt.Color(f"{field}:N", scale=scale, legend=legend)


def logarithmic(values: Sequence[float], ticks: Sequence[float] | None = None) -> dict[str, Any]:
    """Scale and axis of a logarithmic channel that reaches as far as its values: whole decades leave half a plot empty.

    Args:
        values: all that is drawn; those that are not positive and finite do not count.
        ticks: where lines and labels stand. Default: 1, 2 and 5 times the powers of ten; 1 and 3 times over more than
            two decades; the powers alone over more than four.

    Returns:
        `scale` and `axis` of `altair.X` or `altair.Y`.
    """
    known = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    low, high = (math.log10(value) for value in (min(known), max(known)))
    margin = max(0.04 * (high - low), 0.02)
    low, high = low - margin, high + margin
    if ticks is None:
        steps = (1, 2, 5) if high - low <= 2 else (1, 3) if high - low <= 4 else (1,)
        powers = range(math.floor(low), math.ceil(high) + 1)
        marks = [float(f"{step}e{power}") for power in powers for step in steps]
        ticks = [mark for mark in marks if low <= math.log10(mark) <= high]
    return {
        "scale": alt.Scale(type="log", domain=[10**low, 10**high], nice=False),
        "axis": alt.Axis(values=list(ticks), format="~g"),
    }


class _WithoutData:
    """A chart as the report's panels hold it: its specification, which reads its data by name. Altair's own would add
    an empty table."""

    def __init__(self, specification: dict[str, Any]) -> None:
        self.specification = specification

    def to_dict(self, validate: bool = False) -> dict[str, Any]:
        return self.specification


def panel(chart: Any) -> Panel:
    """A chart with its own data as a panel of the report.

    Args:
        chart: of Altair, with a title and `alt.Data(values=…)`.

    Returns:
        The panel; a number that is none is missing in its data.
    """
    specification = chart.to_dict()
    tables = specification.pop("datasets", {})
    specification = _named(specification, tables)
    columns = {
        name: {key: [_plain(row.get(key)) for row in rows] for key in dict.fromkeys(chain.from_iterable(rows))}
        for name, rows in tables.items()
    }
    return Panel("", _WithoutData(specification), columns)  # type: ignore[arg-type]  # all that a panel asks of a chart


def _named(specification: Any, tables: dict[str, Any]) -> Any:
    """The specification with the rows that stand in it moved to `tables`, where Altair has not done so."""
    if isinstance(specification, list):
        return [_named(part, tables) for part in specification]
    if not isinstance(specification, dict):
        return specification
    found = {}
    for key, value in specification.items():
        if key == "data" and set(value) == {"values"}:
            tables[name := f"rows{len(tables)}"] = value["values"]
            found[key] = {"name": name}
        else:
            found[key] = _named(value, tables)
    return found


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def save(
    chart: Any,
    folder: Path,
    name: str,
    *,
    rows: Sequence[Mapping[str, Any]],
    heading: str,
    further: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Write ``name.svg``, ``name.png``, ``name.pdf``, and ``name.html``: the chart and its tables, which sort.

    Args:
        chart: of Altair, with a title.
        folder: is made where it is not there.
        name: of the files.
        rows: records with the same keys, the table beside the chart; the first key names a row.
        heading: of the page.
        further: other tables of the page, below the chart, by their headings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(name, "Figure", "", [panel(chart)])
    write_pictures(folder, [figure])
    drawn = f'<figure id="figure-{escape(name)}"></figure>'
    sections = [("table", "Table", _table(rows)), (name, "Figure", drawn)]
    sections += [(f"table-{i}", title, _table(more)) for i, (title, more) in enumerate((further or {}).items(), 2)]
    text = page(heading, "", sections, [figure])
    write_atomically(folder / f"{name}.html", text.encode())


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0])
    lines = []
    for row in rows:
        cells = [
            cell(escape(number(value)), math.nan if value is None else float(value))
            if value is None or _is_number(value)
            else cell(escape(str(value)), css="text")
            for value in row.values()
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    headings = head([key.replace("_", " ") for key in names], 1)
    return f'<div class="scroll"><table class="sortable">{headings}<tbody>{"".join(lines)}</tbody></table></div>'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
