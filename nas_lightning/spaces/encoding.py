"""How a table stores the architectures of a space, and how a row is found from any isomorphic form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from nas_lightning.spaces.errors import SpaceError


class Columns(Protocol):
    """An opened table's columns, by name."""

    def array(self, name: str) -> np.ndarray:
        """A column of numbers, [rows] or [rows, k], without a copy where the file is mapped.

        Args:
            name: of a column.

        Returns:
            Numbers, one row or one vector a row.
        """

    def text(self, name: str, row: int) -> str:
        """One entry of a column of strings.

        Args:
            name: of a column.
            row: number of a row, from 0.

        Returns:
            A string.
        """

    def texts(self, name: str) -> list[str]:
        """A whole column of strings.

        Args:
            name: of a column.

        Returns:
            One string a row.
        """

    def is_text(self, name: str) -> bool:
        """Whether there is such a column, and it holds strings.

        Args:
            name: of a column.

        Returns:
            False for numbers, too.
        """


class Encoding(Protocol):
    """Rows to architectures and back."""

    def architecture(self, row: int) -> Any:
        """The architecture of a row, as stored.

        Args:
            row: number of a row, from 0.

        Returns:
            An architecture of the space.
        """

    def row(self, arch: Any) -> int:
        """Row of an architecture: its own, else that of an isomorphic one, else -1.

        Args:
            arch: an architecture.

        Returns:
            A row from 0, or −1.
        """

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        """`row` of each, int64 [n].

        Args:
            archs: n architectures.

        Returns:
            int64 [n].
        """

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Rows of encoded architectures, int64 [n]; -1 where absent.

        Args:
            codes: of the space's encoding, [n].

        Returns:
            int64 [n].
        """


def codes_below(array: np.ndarray, limit: int, name: str) -> np.ndarray:
    """The array, where it is a list of whole numbers in range(limit).

    Args:
        array: as it was read.
        limit: one more than the largest code.
        name: of the column, for the message.

    Returns:
        The same array.

    Raises:
        SpaceError: it is no such list.
    """
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise SpaceError(f"its column {name} is no list of whole numbers")
    if len(array) and (array.min() < 0 or array.max() >= limit):
        raise SpaceError(f"its column {name} goes from {array.min()} to {array.max()}, beyond 0 to {limit - 1}")
    return array


class KeyEncoding(Encoding):
    """Columns ``architecture`` and ``key`` of strings; codes are key strings."""

    def __init__(self, space: Any, columns: Columns) -> None:
        self._space, self._columns = space, columns
        for name in ("architecture", "key"):
            if not columns.is_text(name):
                raise SpaceError(f"it has no column {name} of strings")

    @cached_property
    def keys(self) -> list[str]:
        """Keys of all rows, as strings."""
        return self._columns.texts("key")

    @cached_property
    def _place(self) -> dict[str, int]:
        return {key: row for row, key in reversed(list(enumerate(self.keys)))}

    def architecture(self, row: int) -> Any:
        return self._space.parse(self._columns.text("architecture", row))

    def row(self, arch: Any) -> int:
        return self._place.get(self._space.key(arch), -1)

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        return np.fromiter(map(self.row, archs), np.int64, len(archs))

    def find(self, codes: np.ndarray) -> np.ndarray:
        return np.array([self._place.get(str(code), -1) for code in codes], np.int64)
