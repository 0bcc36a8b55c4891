"""What a command of this room leaves behind: a table in the terminal and as CSV, all numbers as JSON, a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from nas_lightning.benchmarks import Benchmark
from nas_lightning.runs.files import to_json, write_atomically

_NARROWEST, _WIDEST = 8, 10_000
"""Characters: to which a name is folded on a narrow terminal; longer than any line of a table."""

console = Console()


def show(text: str) -> None:
    """A line in the terminal, as it is."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def label(table: Benchmark) -> str:
    """A table and its data set as titles name them: ``nasbench201 cifar10``."""
    return f"{table.name.removesuffix('.parquet').removesuffix('.arrow')} {table.dataset or ''}".rstrip()


def number(value: Any) -> str:
    """Four significant digits; – where there is none."""
    if value is None or value != value:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], transposed: bool = False) -> None:
    """A table of records with the same keys, in the terminal; no number is ever cut off.

    In a file or a pipe a line is as long as it needs to be. On a narrow terminal names are folded to no less
    than `_NARROWEST` characters, and what is wider still goes on in the next line.

    Args:
        title: a line above the table.
        rows: records with the same keys; nothing is printed where there are none.
        transposed: records side by side, for few records of many keys.
    """
    if not rows:
        return
    table = Table(box=SIMPLE_HEAD)
    names = list(rows[0])
    if transposed:
        table.add_column(names[0], overflow="fold")
        for row in rows:
            table.add_column(str(row[names[0]]), justify="right", overflow="fold")
        for name in names[1:]:
            table.add_row(name.replace("_", " "), *(number(row[name]) for row in rows))
    else:
        for i, name in enumerate(names):
            words = all(isinstance(row[name], str) for row in rows) and not any("±" in row[name] for row in rows)
            table.add_column(
                name.replace("_", " "), justify="left" if words else "right", no_wrap=i > 0, overflow="fold"
            )
        for row in rows:
            table.add_row(*(number(value) for value in row.values()))
    needed = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    if console.is_terminal and transposed:
        needed = min(needed, 20 + 12 * len(rows))  # a number has ten characters at most
    elif console.is_terminal:
        longest = max(len(str(row[names[0]])) for row in rows)
        needed -= max(0, longest - _NARROWEST)
    console.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)
    # A console of its own, since no argument of `print` goes beyond the width of the console.
    wide = Console(file=console.file, width=max(console.width, needed), force_terminal=console.is_terminal)
    wide.print(table)


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
