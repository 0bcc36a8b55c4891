"""The objective that looks its values up: arrays of a stand-alone performance table, with simulated cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nas_lightning.errors import did_you_mean
from nas_lightning.search.objective import Objective
from nas_lightning.search.trial import NO_MEASURES, Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class TableObjective(Objective):
    """Values, costs and truth of n architectures.

    find: row of an architecture; called once an architecture.
    values: float [n, levels], what the search is told at each fidelity level, higher is better.
    costs: float [n, levels], what an evaluation up to that level costs, in `cost_unit`; None takes the share of the
    full fidelity, the meaning of an evaluation as a unit. A trial that resumes pays the difference.
    truth: float [n], the stand-alone accuracy that is reported, a fraction.
    measures: name to float [n], lower is better; `requested` names those that every evaluation returns.
    """

    name = "benchmark"
    is_lookup = True

    def __init__(
        self,
        space: Space,
        find: Callable[[Any], int],
        values: np.ndarray,
        truth: np.ndarray,
        fidelities: Fidelities,
        *,
        costs: np.ndarray | None = None,
        cost_unit: str = "evaluations",
        measures: Mapping[str, np.ndarray] | None = None,
        requested: Sequence[str] = (),
        identity: Mapping[str, Any] | None = None,
        truth_name: str = "table",
    ):
        values = np.asarray(values, np.float64)
        if values.shape != (len(truth), len(fidelities.levels)):
            raise SearchError(
                f"values of shape {values.shape} do not fit {len(truth)} rows and {len(fidelities.levels)} levels"
            )
        if costs is None:
            shares = np.asarray(fidelities.levels, np.float64) / fidelities.full
            costs = np.broadcast_to(shares, values.shape)
        self.space, self.fidelities, self.cost_unit = space, fidelities, cost_unit
        self._find, self._rows = find, dict[Any, int]()
        self._values, self._costs, self._truth = values, np.asarray(costs, np.float64), np.asarray(truth, np.float64)
        self._column = {level: i for i, level in enumerate(fidelities.levels)}
        self._measures = {name: np.asarray(column, np.float64) for name, column in (measures or {}).items()}
        if missing := [name for name in requested if name not in self._measures]:
            names = ", ".join(self._measures) or "none, it has none"
            raise SearchError(
                f"this table has no {missing[0]!r}: {did_you_mean(missing[0], self._measures)}choose from {names}"
            )
        self._requested = [(name, self._measures[name]) for name in requested]
        self.benchmark: dict[str, str] | None = None  # name and SHA-256 of the table behind the arrays
        self._identity, self._truth_name = dict(identity or {}), truth_name

    def row(self, architecture: Any) -> int:
        row = self._rows.get(architecture)
        if row is None:
            row = self._rows[architecture] = self._find(architecture)
        return row

    def evaluate(self, trials: Sequence[Trial]) -> list[Measurement]:
        return [self._evaluate(trial) for trial in trials]

    def _evaluate(self, trial: Trial) -> Measurement:
        row, column = self.row(trial.architecture), self._column[trial.fidelity]
        cost = self._costs[row, column]
        if trial.resumed_from:
            cost -= self._costs[row, self._column[trial.resumed_from]]
        measures = {name: float(values[row]) for name, values in self._requested} if self._requested else NO_MEASURES
        return Measurement(float(self._values[row, column]), float(cost), measures)

    def planned_cost(self, trial: Trial) -> float | None:
        if self.cost_unit == "seconds":
            return None
        row = self.row(trial.architecture)
        cost = self._costs[row, self._column[trial.fidelity]]
        return float(cost - self._costs[row, self._column[trial.resumed_from]] if trial.resumed_from else cost)

    @property
    def value_name(self) -> str:
        return str(self._identity.get("value", super().value_name)).replace("_", " ")

    def truth(self, architectures: Sequence[Any]) -> np.ndarray:
        return self._truth[[self.row(architecture) for architecture in architectures]]

    def all_truths(self) -> np.ndarray:
        return self._truth

    def reference_measures(self, names: Sequence[str]) -> dict[str, float]:
        return {name: float(np.nanmax(self._measures[name])) for name in names}

    def true_points(self, names: Sequence[str]) -> np.ndarray:
        points = np.stack([-self._truth, *(self._measures[name] for name in names)], axis=1)
        return points[np.isfinite(points).all(axis=1)]

    def worst_value(self) -> float:
        return float(np.nanmin(self._values))

    def identity(self) -> dict[str, Any]:
        return self._identity

    def benchmark_record(self) -> dict[str, str] | None:
        return self.benchmark

    def truth_name(self) -> str:
        return self._truth_name
