"""Weak labels: cheap scores of many architectures that a search starts from, such as those of a super-net.

A file of them is what ``train.py`` leaves as ranking.parquet, or any Parquet file with a column ``architecture`` and
one or more columns of numbers, higher is better. Its truth columns are never looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.predictors.encodings import rank_gauss
from nas_lightning.search.trial import SearchError
from nas_lightning.spaces.base import ArchitectureError, Space


def is_truth(column: str) -> bool:
    """Whether a column of a ranking.parquet holds what a search has to find out by itself."""
    return column.startswith(("standalone", "truth", "test_", "validation_"))


@dataclass(frozen=True)
class WeakLabels:
    """Scores of n architectures.

    architectures: distinct up to isomorphism. scores: name -> float64 [n], NaN where unknown.
    """

    architectures: Sequence[Any]
    scores: Mapping[str, np.ndarray]

    def features(self) -> np.ndarray:
        """A column of normal quantiles a score, float64 [n, scores]."""
        return np.stack([rank_gauss(column) for column in self.scores.values()], axis=1)

    def vote(self) -> np.ndarray:
        """Mean rank over the scores, float64 [n], higher is better."""
        return self.features().mean(axis=1)


class WeakLabelSource(ABC):
    """Where the weak labels of a search come from."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What the labels depend on, as plain JSON: part of the run's hash."""

    @abstractmethod
    def labels(self, space: Space[Any], wanted: Callable[[], list[Any]], folder: Path) -> WeakLabels:
        """Labels of architectures of `space`.

        Args:
            space: what is searched.
            wanted: returns the ones that the algorithm would like, where the source can score any.
            folder: the run folder, where something slow keeps what it has.

        Raises SearchError where there are none.
        """


class WeakLabelFile(WeakLabelSource):
    """A Parquet file.

    columns: which scores; empty takes all numbers but the truth.
    """

    def __init__(self, path: Path | str, columns: Sequence[str] = ()):
        self.path, self.columns = Path(path), tuple(columns)
        if not self.path.is_file():
            raise SearchError(f"weak_labels={self.path} is no file: give the ranking.parquet of an evaluated super-net")

    def identity(self) -> dict[str, Any]:
        return {"sha256": sha256(self.path.read_bytes()).hexdigest(), "columns": list(self.columns)}

    def labels(self, space: Space[Any], wanted: Callable[[], list[Any]], folder: Path) -> WeakLabels:
        return read_weak_labels(self.path, space, self.columns)


def read_weak_labels(path: Path, space: Space[Any], columns: Sequence[str] = ()) -> WeakLabels:
    """The scores of a Parquet file, one row an isomorphism class: the first that it holds.

    Raises SearchError for another kind of file, another space, missing columns and a file without a single score.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        _ = table.column_names  # which may be no UTF-8 text
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise SearchError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    if "architecture" not in table.column_names:
        raise SearchError(f"{path} has no column named architecture: give a ranking.parquet")
    numbers = [
        field.name
        for field in table.schema
        if (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)) and not is_truth(field.name)
    ]
    if missing := [name for name in columns if name not in table.column_names]:
        raise SearchError(f"{path} has no column {missing[0]}: its scores are {', '.join(numbers) or 'none'}")
    if told := [name for name in columns if is_truth(name)]:
        raise SearchError(f"{told[0]} of {path} is the truth that the search is after: choose a score")
    numbers = list(columns) or numbers
    architectures, rows, seen = [], [], set()
    try:
        texts = table["architecture"].to_pylist()
    except UnicodeError:
        raise SearchError(f"{path} holds architectures that are no UTF-8 text: give a ranking.parquet") from None
    for row, text in enumerate(texts):
        try:
            arch = space.parse(text)
        except ArchitectureError:
            continue
        key = space.key(arch)
        holds = getattr(space, "holds", None)
        if key not in seen and (holds is None or holds(arch)):
            seen.add(key)
            architectures.append(arch)
            rows.append(row)
    if not architectures:
        raise SearchError(
            f"{path} covers none of the candidates: none of its {table.num_rows} architectures belongs to the searched "
            f"part of {space.name}"
        )
    scores = {name: np.asarray(table[name].to_numpy(), np.float64)[rows] for name in numbers}
    known = {name: column for name, column in scores.items() if not np.isnan(column).all()}
    if not known:
        raise SearchError(f"{path} holds no score that is a number: evaluate a super-net, or name its columns")
    return WeakLabels(architectures, known)
