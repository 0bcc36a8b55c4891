"""What a search maximises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.runs.quality import ACCURACY, Quality
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class Objective(ABC):
    """Evaluates architectures of one space at one or several fidelities, at a cost in the unit of the budget.

    `evaluate` must be a function of (architecture, fidelity) for a given objective: an evaluation that was lost when
    a process died is then repeated with the same result, whoever repeats it.
    """

    name: str
    space: Space
    fidelities: Fidelities
    cost_unit: str
    dataset: str = ""
    quality: Quality = ACCURACY  # of the stand-alone truth
    is_lookup: bool = False  # evaluations cost nothing here and now, so that baselines may repeat whole searches
    failed_words: str = "they have no finite value"  # what a failed evaluation is, in a message
    batch: int = 1  # how many trials one call of `evaluate` likes to get

    @property
    def value_name(self) -> str:
        """What the value is called, in words: ``validation accuracy after training``."""
        return f"value of objective={self.name}"

    @abstractmethod
    def evaluate(self, trials: Sequence[Trial]) -> list[Measurement]:
        """One Measurement a trial, in order."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What the values depend on, as plain JSON: file hashes, metric names, split sizes. Part of the run's hash."""

    def open_folder(self, folder: Path) -> None:  # noqa: B027 (most objectives write nothing)
        """Called once with the run folder before the first evaluation."""

    def close_folder(self) -> None:  # noqa: B027
        """Called once after the result is written."""

    def planned_cost(self, trial: Trial) -> float | None:
        """The cost where it is known before the evaluation; None where only the evaluation tells (seconds)."""
        share = (trial.fidelity - trial.resumed_from) / self.fidelities.full
        return share if self.cost_unit == "evaluations" else None

    def truth(self, architectures: Sequence[Any]) -> np.ndarray:
        """Stand-alone quality (an accuracy is a fraction), float64 [n]; NaN where nobody knows it. May train them."""
        return np.full(len(architectures), np.nan)

    def cheap_truth(self, architectures: Sequence[Any]) -> np.ndarray:
        """As `truth`, but only what can be looked up without training, float64 [n]."""
        return self.truth(architectures)

    def all_truths(self) -> np.ndarray | None:
        """Stand-alone qualities of the table that results are ranked in, float64 [table]; None without a table."""
        return None

    def reference_measures(self, names: Sequence[str]) -> dict[str, float]:
        """For each measure a value that no architecture exceeds: the corner of the hypervolume. Empty where unknown."""
        return {}

    def true_points(self, names: Sequence[str]) -> np.ndarray | None:
        """Minus truth and these measures of every row of the table, float64 [n, 1 + m]; None without a table."""
        return None

    def worst_value(self) -> float:
        """A value that no architecture falls below: the other corner of the hypervolume."""
        return 0.0

    def benchmark_record(self) -> dict[str, str] | None:
        """Name and SHA-256 of the stand-alone table that is used; None without one."""
        return None

    def truth_name(self) -> str:
        """What the stand-alone truth is, in words."""
        return "no table and no training asked for"


def check_cost_unit(unit: str, supported: Sequence[str], objective: str) -> None:
    """Raises SearchError where the objective cannot count in the budget's unit."""
    if unit not in supported:
        units = ", ".join(supported)
        raise SearchError(f"the {objective} objective cannot count {unit} here: choose budget.unit from {units}")
