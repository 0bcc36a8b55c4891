"""What a command of this room leaves behind: a table in the terminal and as CSV, all numbers as JSON, a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from nas_lightning.runs.files import to_json, write_atomically

console = Console()


def show(text: str) -> None:
    """A line in the terminal, as it is."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def number(value: Any) -> str:
    """Four significant digits; – where there is none."""
    if value is None or value != value:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], transposed: bool = False) -> None:
    """A table of records with the same keys; `transposed` puts records side by side, for few records of many keys."""
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    names = list(rows[0])
    if transposed:
        table.add_column(names[0])
        for row in rows:
            table.add_column(str(row[names[0]]), justify="right")
        for name in names[1:]:
            table.add_row(name.replace("_", " "), *(number(row[name]) for row in rows))
    else:
        for i, name in enumerate(names):
            first = i == 0
            least = (
                min(30, max(len(str(row[name])) for row in rows)) if first else None
            )  # names stay on a narrow terminal
            table.add_column(
                name.replace("_", " "), justify="left" if first else "right", no_wrap=not first, min_width=least
            )
        for row in rows:
            table.add_row(*(number(value) for value in row.values()))
    console.print(table)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Records as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def write_record(path: Path, record: Any) -> None:
    """Plain JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_json(record))
