"""Between a table's file and its space: which columns hold the architectures, and how they are read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.table_file import numpy_array, single
from nas_lightning.spaces import Space
from nas_lightning.spaces.encoding import Encoding

READABLE = 20_000
"""Tables of at most so many rows hold the architectures as strings, too, for readers that know no codes."""


def encode(space: Space[Any], archs: Sequence[Any]) -> dict[str, Any]:
    """The columns that hold the architectures."""
    columns = space.table_columns(archs)
    if len(archs) <= READABLE and "architecture" not in columns:
        columns["architecture"] = [str(arch) for arch in archs]
    return columns


def open_encoding(space: Space[Any], table: pa.Table) -> Encoding:
    """How rows and architectures of an opened table are matched."""
    return space.open_encoding(TableColumns(table))


class TableColumns:
    """`nas_lightning.spaces.encoding.Columns` of an Arrow table."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def array(self, name: str) -> np.ndarray:
        return numpy_array(single(self._table, name))

    def text(self, name: str, row: int) -> str:
        try:
            found: str = self._table.column(name)[row].as_py()
        except UnicodeError:
            raise BenchmarkError(f"row {row} of column {name} is no UTF-8 text; convert the table again") from None
        return found

    def texts(self, name: str) -> list[str]:
        try:
            found: list[str] = self._table.column(name).to_pylist()
        except UnicodeError:
            raise BenchmarkError(f"column {name} is no UTF-8 text; convert the table again") from None
        return found

    def is_text(self, name: str) -> bool:
        return name in self._table.column_names and pa.types.is_string(self._table.schema.field(name).type)
