"""How a table stores NAS-Bench-101's cells: packed, with the packed canonical codes in ascending order beside their
rows, for binary search in the mapped file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.encoding import Encoding, codes_below
from nas_lightning.spaces.errors import SpaceError
from nas_lightning.spaces.nasbench101 import NB101Architecture


def encode_nasbench101(n: np.ndarray, bits: np.ndarray, operations: np.ndarray) -> dict[str, Any]:
    """Columns of NAS-Bench-101 cells given as arrays: n [N], adj_bits [N], operations int8 [N, 5] with -1 absent.

    Args:
        n: vertices, [N].
        bits: `adj_bits`, [N].
        operations: int8 [N, 5]; −1 where a vertex is absent.

    Returns:
        Arrays by the column's name.

    Raises:
        SpaceError: a column holds what no cell has.
    """
    codes_below(n, 8, "n_vertices"), codes_below(bits, 2**21, "adj_bits")
    if len(n) and (n.min() < 2 or operations.min() < -1 or operations.max() > 2):
        raise SpaceError("it holds cells of fewer than 2 vertices, or operations beyond -1 to 2")
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


class NB101Encoding(Encoding):
    """Codes are `nasbench101_graph.pack` of canonical cells."""

    def __init__(
        self, n: np.ndarray, bits: np.ndarray, operations: np.ndarray, sorted_codes: np.ndarray, sorted_rows: np.ndarray
    ) -> None:
        rows = len(n)
        self.n, self.bits = codes_below(n, 8, "n_vertices"), codes_below(bits, 2**21, "adj_bits")
        self.operations = codes_below(operations, 3**5, "operations")
        codes_below(sorted_codes, 2**32, "lookup_code"), codes_below(sorted_rows, max(1, rows), "lookup_row")
        if rows and n.min() < 2:
            raise SpaceError("its column n_vertices holds cells without an input and an output")
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
