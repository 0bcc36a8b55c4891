"""Brackets of successive halving, the part that successive halving, Hyperband and BOHB share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, Trial
from nas_lightning.spaces.base import Space


def halving_sizes(configurations: int, eta: float, n_rungs: int) -> tuple[int, ...]:
    """How many configurations each rung holds: ``floor(n eta^-i)``, at least one.

    >>> halving_sizes(81, 3, 5)
    (81, 27, 9, 3, 1)
    """
    return tuple(max(1, int(configurations * eta**-i + 1e-9)) for i in range(n_rungs))


class Entry(NamedTuple):
    """What a rung was told of one architecture; entries in ascending order are the best first, then by slot."""

    loss: float  # minus the value
    slot: int
    architecture: Any


class Bracket:
    """One run of successive halving: all trials of a rung are told before the best go on to the next.

    sizes, rungs: configurations and fidelity of each rung, ascending in fidelity. Trials are tagged (bracket, rung,
    slot). `promote` is given a rung's entries, best first (equal values in the order of their slots), and a number of
    places, and returns the architectures that go on.
    """

    def __init__(
        self,
        number: int,
        sizes: Sequence[int],
        rungs: Sequence[int],
        promote: Callable[[Sequence[Entry], int], list[Any]],
    ):
        self.number, self.sizes, self.rungs, self._promote = number, tuple(sizes), tuple(rungs), promote
        self.rung, self._asked = 0, 0
        self._entrants: list[Any] = []  # architectures that were promoted into this rung
        self._told: list[Entry] = []

    @property
    def is_done(self) -> bool:
        return self.rung == len(self.rungs)

    def ask(self, draw: Callable[[], Any]) -> Trial | None:
        """`draw` supplies the architectures of the first rung."""
        if self.is_done or self._asked == self.sizes[self.rung]:
            return None
        slot = self._asked
        architecture = draw() if self.rung == 0 else self._entrants[slot]
        self._asked += 1
        paid = self.rungs[self.rung - 1] if self.rung else 0
        return Trial(architecture, self.rungs[self.rung], paid, (self.number, self.rung, slot))

    def tell(self, trial: Trial, value: float) -> None:
        self._told.append(Entry(-value, trial.tag[2], trial.architecture))
        if len(self._told) < self.sizes[self.rung]:
            return
        self._told.sort(key=lambda entry: entry[:2])
        self.rung += 1
        if not self.is_done:
            self._entrants = self._promote(self._told, self.sizes[self.rung])
        self._told, self._asked = [], 0


class BracketSearch(Algorithm):
    """One bracket after the other until the budget ends."""

    needs_fidelities = True

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities):
        super().__init__(space, rng, fidelities)
        self.brackets = 0
        self._bracket: Bracket | None = None

    @abstractmethod
    def plan_bracket(self, number: int) -> tuple[Sequence[int], Sequence[int]]:
        """Sizes and rungs of the bracket that comes as the `number`-th, counted from 0."""

    def draw(self) -> Any:
        """An architecture for the first rung of a bracket."""
        return self.space.sample(self.rng)

    def promote(self, entries: Sequence[Entry], places: int) -> list[Any]:
        """The architectures of a rung that go on to the next, from its entries, best first."""
        return [entry.architecture for entry in entries[:places]]

    def ask(self) -> Trial | None:
        if self._bracket is None or self._bracket.is_done:
            self._bracket = Bracket(self.brackets, *self.plan_bracket(self.brackets), self.promote)
            self.brackets += 1
        return self._bracket.ask(self.draw)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        assert self._bracket is not None
        self._bracket.tell(trial, measurement.value)
