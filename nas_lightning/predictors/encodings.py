"""Architectures as feature vectors, for rankers that learn from a few true accuracies.

White, Neiswanger, Nolen, Savani, "A Study on Encodings for Neural Architecture Search", NeurIPS 2020 (arXiv
2007.04965).

- ``one_hot``: the genome, a column a gene and choice;
- ``adjacency``: the genome as it is (edges as 0/1, operations as integers);
- ``paths``: whether a path of these operations leads from the input to the output (BANANAS, arXiv 1910.11858);
- ``path_counts``: how many such paths there are once identity operations are left out of them and paths through a zero
  operation dropped. Isomorphic cells have equal counts;
- ``operations``: how often each operation occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.spaces.base import Space

Features = Mapping[Hashable, float]
"""Column -> value of one architecture; a column that is absent is zero."""


class EncodingError(UserError):
    """An encoding that does not exist, or that a space does not have."""


def _dense(values: Sequence[float] | np.ndarray) -> Features:
    return {i: float(value) for i, value in enumerate(values) if value}


def _paths(space: Space[Any], arch: Any) -> Features:
    return dict.fromkeys((path for path in space.paths(arch) if space.zero_operation not in path), 1.0)


def _path_counts(space: Space[Any], arch: Any) -> Features:
    shortened = (
        tuple(op for op in path if op != space.identity_operation)
        for path in space.paths(arch)
        if space.zero_operation not in path
    )
    return dict(Counter(shortened))


ENCODINGS: dict[str, Callable[[Space[Any], Any], Features]] = {
    "one_hot": lambda space, arch: _dense(space.one_hot(arch)),
    "adjacency": lambda space, arch: _dense(space.encode(arch)),
    "paths": _paths,
    "path_counts": _path_counts,
    "operations": lambda space, arch: _dense(space.operation_counts(arch)),
}


def default_encoding(space: Space[Any], example: Any, preferred: str = "path_counts") -> tuple[str, ...]:
    """`preferred`, an encoding by paths, where the space names its paths, else ``one_hot``.

    Args:
        space: whose architectures they are.
        example: an architecture, by which it is tried.
        preferred: name of an encoding by paths.

    Returns:
        Names of encodings, one of them.
    """
    try:
        space.paths(example)
    except NotImplementedError:
        return ("one_hot",)
    return (preferred,)


class Encoder:
    """Feature vectors of the architectures of one space.

    Args:
        space: the search space.
        names: of `ENCODINGS`; their columns stand side by side.

    Raises:
        EncodingError: an unknown name.
    """

    def __init__(self, space: Space[Any], names: Sequence[str]):
        if unknown := [name for name in names if name not in ENCODINGS]:
            raise EncodingError(
                f"encoding {unknown[0]!r} is unknown: {did_you_mean(unknown[0], ENCODINGS)}"
                f"choose from {', '.join(ENCODINGS)}"
            )
        if not names:
            raise EncodingError(f"an encoding needs at least one of {', '.join(ENCODINGS)}")
        self.space, self.names = space, tuple(names)
        self._known: dict[Any, dict[Hashable, float]] = {}

    def features(self, arch: Any) -> Mapping[Hashable, float]:
        """Column -> value, without zeros.

        Args:
            arch: an architecture of it.

        Returns:
            Numbers by column.

        Raises:
            EncodingError: the space has no such encoding of `arch`.
        """
        found = self._known.get(arch)
        if found is None:
            try:
                found = {
                    (name, column): value
                    for name in self.names
                    for column, value in ENCODINGS[name](self.space, arch).items()
                }
            except (NotImplementedError, ValueError) as error:
                raise EncodingError(str(error)) from None
            self._known[arch] = found
        return found

    def __call__(self, archs: Sequence[Any]) -> np.ndarray:
        """Features of n architectures, float64 [n, d]: a column for everything that occurs in any of them.

        Encode architectures that are to be compared in one call, so that their columns agree.
        """
        rows = [self.features(arch) for arch in archs]
        columns: dict[Hashable, int] = {}
        for row in rows:
            for column in row:
                columns.setdefault(column, len(columns))
        out = np.zeros((len(rows), max(1, len(columns))))
        for i, row in enumerate(rows):
            for column, value in row.items():
                out[i, columns[column]] = value
        return out


def rank_gauss(values: np.ndarray) -> np.ndarray:
    """Scores of any scale as normal quantiles of their mean ranks, float64 [n]; minus infinity ranks last, NaN is 0.

    Args:
        values: [n].

    Returns:
        float64 [n].
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    values = np.asarray(values, np.float64)
    out = np.zeros(len(values))
    known = ~np.isnan(values)
    if known.any():
        out[known] = ndtri((rankdata(values[known]) - 0.5) / known.sum())
    return out
