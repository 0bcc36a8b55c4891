"""The vocabulary of a search: what is asked for, what comes back, and at which fidelities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

from nas_lightning.errors import UserError

NO_MEASURES: Mapping[str, float] = MappingProxyType({})


class SearchError(UserError):
    """Wrong input to a search: the message says in one sentence what is wrong and what to do."""


class Trial(NamedTuple):
    """One architecture to evaluate at one fidelity. Trials are numbered by the order in which they are asked."""

    architecture: Any
    fidelity: int  # in the objective's fidelity unit (epochs, images, repeats)
    resumed_from: int = 0  # fidelity already paid for by an earlier trial of the same architecture
    tag: tuple[int, ...] = ()  # the algorithm's own bookkeeping (bracket, rung, slot)


class Measurement(NamedTuple):
    """What an objective says about a trial."""

    value: float  # higher is better; minus infinity where the evaluation failed
    cost: float  # in the unit of the budget
    measures: Mapping[str, float] = NO_MEASURES  # lower is better: params, macs, latency_ms …


@dataclass(frozen=True)
class Fidelities:
    """The fidelities at which an objective can evaluate, ascending; the last one is the full evaluation.

    Raises SearchError where the levels are not ascending positive integers.
    """

    unit: str
    levels: tuple[int, ...]
    continuous: bool = False  # every integer between the first and the last level can be evaluated too

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.levels))
        if not self.levels or self.levels[0] < 1 or not rising:
            raise SearchError(f"fidelity levels must be ascending positive integers, got {list(self.levels)}")

    @property
    def full(self) -> int:
        return self.levels[-1]

    @property
    def is_single(self) -> bool:
        return len(self.levels) == 1

    def only_full(self) -> Fidelities:
        """The same objective, evaluated in full only."""
        return Fidelities(self.unit, self.levels[-1:])

    def rungs(self, eta: float) -> tuple[int, ...]:
        """Levels about a factor `eta` apart, from the full fidelity downwards, returned ascending.

        There are floor(log(full / lowest) / log(eta)) + 1 of them, as in Hyperband's paper, rounded to whole levels.
        Where only certain levels exist, each rung is the highest level that is at most 1/eta of the one above it.
        """
        if eta <= 1:
            raise SearchError(f"eta must be greater than 1, got {eta}")
        rungs = [self.full]
        exact = float(self.full)
        while True:
            if self.continuous:
                exact /= eta
                level = round(exact)
                if exact < self.levels[0] * (1 - 1e-9) or level >= rungs[-1]:
                    break
            else:
                lower = [level for level in self.levels if level * eta <= rungs[-1] * (1 + 1e-9)]
                if not lower:
                    break
                level = lower[-1]
            rungs.append(level)
        return tuple(reversed(rungs))
