"""TransNAS-Bench-101's tables (Duan et al., arXiv 2105.11871) in the Parquet layout that was collected from NASLib.

Columns arch (digits) and ``<task>_val`` of seven tasks: percents for the three classifications, scores elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.spaces import get_space

TASKS = ("class_scene", "class_object", "jigsaw", "room_layout", "segmentsemantic", "normal", "autoencoder")
_UNITS = {"room_layout": "negative loss", "segmentsemantic": "pixel accuracy", "normal": "SSIM", "autoencoder": "SSIM"}


def _read(table: pa.Table, space_name: str) -> tuple[dict[str, Any], list[Column]]:
    space, columns = get_space(space_name), []
    for task in TASKS:
        values = table[f"{task}_val"].to_numpy().astype(np.float64)
        unit = _UNITS.get(task)
        if unit is None or unit == "pixel accuracy":
            note = "given in percent, divided by 100" + (f"; {unit}" if unit else "")
            columns.append(Column(values / 100, "validation_accuracy", task, seeds="1", note=note))
        else:
            columns.append(Column(values, "validation_score", task, seeds="1", unit=unit))
    return encode(space, [space.parse(text) for text in table["arch"].to_pylist()]), columns


def level(table: pa.Table) -> str:
    """Which of the two tables it is: digits of stacks are 1 to 4, those of cells 0 to 3, six each."""
    texts = table["arch"].to_pylist()
    stacks = any(len(str(text)) != 6 or "4" in str(text) for text in texts)
    return "transnasbench101_macro" if stacks else "transnasbench101_micro"


def micro(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    """4,096 cells."""
    return _read(table, "transnasbench101_micro")


def macro(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    """3,256 stacks."""
    return _read(table, "transnasbench101_macro")
