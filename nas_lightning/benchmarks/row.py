"""`Row`: one architecture's line of a benchmark table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nas_lightning.benchmarks.benchmark import Benchmark


class Row:
    """One row of a table: ``row.accuracy``, ``row["params"]``, ``row.as_dict()``; values are read when asked for."""

    __slots__ = ("_benchmark", "_metric", "index")

    def __init__(self, benchmark: Benchmark, index: int, metric: str | None = None, epochs: int | None = None) -> None:
        self._benchmark, self.index, self._metric = benchmark, index, (metric, epochs)

    @property
    def architecture(self) -> Any:
        """As stored in the table: isomorphic to what was asked for."""
        return self._benchmark.encoding.architecture(self.index)

    @property
    def accuracy(self) -> float:
        """The metric that the row was asked by, else the table's default one: a fraction in [0, 1] or NaN."""
        return float(self._benchmark.metric_values(*self._metric)[self.index])

    def __getitem__(self, name: str) -> Any:
        values = self._benchmark.values(name)[self.index]
        return values if isinstance(values, np.ndarray) else values.item()

    def as_dict(self) -> dict[str, Any]:
        """Every column of the chosen data set, arrays as lists."""
        out = {"architecture": str(self.architecture)}
        for name in self._benchmark.columns:
            value = self[name]
            out[name] = value.tolist() if isinstance(value, np.ndarray) else value
        return out

    def __repr__(self) -> str:
        return f"Row({self.index}, {self.architecture}, accuracy={self.accuracy:.4f})"
