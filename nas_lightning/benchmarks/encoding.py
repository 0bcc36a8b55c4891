"""How a table stores its architectures, and how a row is found from any isomorphic form.

NAS-Bench-201: raw codes, and a table of 15,625 rows' places. NAS-Bench-101: packed cells, and the packed canonical
codes in ascending order beside their rows, for binary search in the mapped file. DARTS: strings and keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.table_file import numpy_array, single
from nas_lightning.spaces import NB101Architecture, Space
from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.nasbench201 import canonical_codes, from_code


class Encoding(Protocol):
    """Rows to architectures and back."""

    def architecture(self, row: int) -> Any:
        """The architecture of a row, as stored."""

    def row(self, arch: Any) -> int:
        """Row of an architecture: its own, else that of an isomorphic one, else -1."""

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        """`row` of each, int64 [n]."""

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Rows of encoded architectures, int64 [n]; -1 where absent."""


def encode(space: Space[Any], archs: Sequence[Any]) -> dict[str, Any]:
    """The columns that hold the architectures."""
    columns: dict[str, Any] = {}
    if space.name == "nasbench201":
        columns["code"] = np.array([arch.code for arch in archs], np.int16)
    elif space.name == "nasbench101":
        n = np.array([arch.n_vertices for arch in archs], np.uint8)
        bits = np.array([arch.adj_bits for arch in archs], np.uint32)
        operations = np.array([arch.operations + (-1,) * (7 - arch.n_vertices) for arch in archs], np.int8)
        columns |= encode_nasbench101(n, bits, operations.reshape(-1, 5))
    else:
        columns["architecture"] = [str(arch) for arch in archs]
        columns["key"] = [space.key(arch) for arch in archs]
    if len(archs) <= 20_000 and "architecture" not in columns:
        columns["architecture"] = [str(arch) for arch in archs]  # for readers that know no codes
    return columns


def encode_nasbench101(n: np.ndarray, bits: np.ndarray, operations: np.ndarray) -> dict[str, Any]:
    """Columns of NAS-Bench-101 cells given as arrays: n [N], adj_bits [N], operations int8 [N, 5] with -1 absent."""
    pruned = [graph.prune(int(v), int(b)) for v, b in zip(n, bits, strict=True)] if len(n) <= 20_000 else None
    if pruned is None or all(p is not None and p[0] == v for p, v in zip(pruned, n, strict=True)):
        codes = graph.canonical_codes(n, bits, operations)
    else:
        codes = np.zeros(len(n), np.int64)
        for i, entry in enumerate(pruned):
            size, edges, kept = entry  # type: ignore[misc]
            cell = graph.canonical(size, edges, tuple(int(operations[i, v - 1]) for v in kept[1:-1]))
            codes[i] = graph.pack(np.array([size]), np.array([cell[0]]), np.array([cell[1] + (-1,) * (7 - size)]))[0]
    order = np.argsort(codes, kind="stable")
    places = 3 ** np.arange(4, -1, -1)
    return {
        "n_vertices": n.astype(np.uint8),
        "adj_bits": bits.astype(np.uint32),
        "operations": (np.maximum(operations, 0).astype(np.int64) @ places).astype(np.uint8),
        "lookup_code": codes[order].astype(np.uint32),
        "lookup_row": order.astype(np.int32),
    }


def open_encoding(space: Space[Any], table: pa.Table) -> Encoding:
    """The encoding of an opened table."""
    if space.name == "nasbench201":
        return NB201Encoding(numpy_array(single(table, "code")))
    if space.name == "nasbench101":
        return NB101Encoding(
            *(
                numpy_array(single(table, name))
                for name in ("n_vertices", "adj_bits", "operations", "lookup_code", "lookup_row")
            )
        )
    return KeyEncoding(space, table)


class NB201Encoding:
    """Codes are raw codes in range(15625)."""

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = codes
        self._row = np.full(15625, -1, np.int64)
        self._row[codes[::-1].astype(np.int64)] = np.arange(len(codes) - 1, -1, -1)  # the first of duplicates

    @cached_property
    def _class_row(self) -> np.ndarray:
        """First row of every raw code's class."""
        rows = np.full(15625, -1, np.int64)
        rows[canonical_codes()[self.codes[::-1].astype(np.int64)]] = np.arange(len(self.codes) - 1, -1, -1)
        return rows[canonical_codes()]

    def architecture(self, row: int) -> Any:
        return from_code(int(self.codes[row]))

    def row(self, arch: Any) -> int:
        row = int(self._row[arch.code])
        return row if row >= 0 else int(self._class_row[arch.code])

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        return self.find(np.fromiter((arch.code for arch in archs), np.int64, len(archs)))

    def find(self, codes: np.ndarray) -> np.ndarray:
        rows = self._row[codes]
        missing = rows < 0
        if missing.any():
            rows[missing] = self._class_row[np.asarray(codes)[missing]]
        return rows


class NB101Encoding:
    """Codes are `nasbench101_graph.pack` of canonical cells."""

    def __init__(
        self, n: np.ndarray, bits: np.ndarray, operations: np.ndarray, sorted_codes: np.ndarray, sorted_rows: np.ndarray
    ) -> None:
        self.n, self.bits, self.operations = n, bits, operations
        self._codes, self._rows = sorted_codes, sorted_rows

    def architecture(self, row: int) -> NB101Architecture:
        n = int(self.n[row])
        digits = graph.operations_from_code(int(self.operations[row]), 7)
        return NB101Architecture(n, int(self.bits[row]), digits[: n - 2])

    def row(self, arch: NB101Architecture) -> int:
        row = self._row_of(arch.n_vertices, arch.adj_bits, arch.operations)  # most callers hold canonical cells
        if row >= 0:
            return row
        arch = arch.pruned()
        return self._row_of(arch.n_vertices, *graph.canonical(arch.n_vertices, arch.adj_bits, arch.operations))

    def _row_of(self, n: int, bits: int, operations: tuple[int, ...]) -> int:
        code = 0
        for op in operations:
            code = 3 * code + op
        packed = np.uint32((n << 21 | bits) * 243 + code * 3 ** (7 - n))  # the column's type, or the column is copied
        place = self._codes.searchsorted(packed)
        return int(self._rows[place]) if place < len(self._codes) and self._codes[place] == packed else -1

    def rows(self, archs: Sequence[NB101Architecture]) -> np.ndarray:
        return np.fromiter(map(self.row, archs), np.int64, len(archs))

    def find(self, codes: np.ndarray) -> np.ndarray:
        if not len(self._codes):
            return np.full(len(codes), -1, np.int64)
        codes = np.asarray(codes).astype(np.uint32)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[place] == codes, self._rows[place], -1).astype(np.int64)


class KeyEncoding:
    """Codes are key strings."""

    def __init__(self, space: Space[Any], table: pa.Table) -> None:
        self._space, self._table = space, table

    @cached_property
    def keys(self) -> list[str]:
        return self._table.column("key").to_pylist()

    @cached_property
    def _place(self) -> dict[str, int]:
        return {key: row for row, key in reversed(list(enumerate(self.keys)))}

    def architecture(self, row: int) -> Any:
        return self._space.parse(self._table.column("architecture")[row].as_py())

    def row(self, arch: Any) -> int:
        return self._place.get(self._space.key(arch), -1)

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        return np.fromiter(map(self.row, archs), np.int64, len(archs))

    def find(self, codes: np.ndarray) -> np.ndarray:
        return np.array([self._place.get(str(code), -1) for code in codes], np.int64)
