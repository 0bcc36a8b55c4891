"""How a table stores NAS-Bench-201's cells: raw codes, found through a list of 15,625 places."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nas_lightning.spaces.encoding import Encoding, codes_below
from nas_lightning.spaces.nasbench201 import canonical_codes, from_code


class NB201Encoding(Encoding):
    """Codes are raw codes in range(15625)."""

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = codes_below(codes, 15625, "code")
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
