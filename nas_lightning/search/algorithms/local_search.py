"""Local search with restarts.

White, Nolen, Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021 (arXiv 2005.02960),
algorithm 1; Den Ottelander et al., "Local Search is a Remarkably Strong Baseline for NAS", arXiv 2004.08996.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class LocalSearch(Algorithm):
    """Climb from a random architecture to better neighbours; at a local optimum start anew.

    accept: "first" moves to the first better neighbour, in random order (Den Ottelander et al.); "best" evaluates all
    neighbours and moves to the best (White et al.), and is behind on all three data sets of NAS-Bench-201. An
    architecture that was evaluated in an earlier climb is not evaluated again.
    """

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities, *, accept: str = "first"):
        super().__init__(space, rng, fidelities)
        if accept not in ("best", "first"):
            raise SearchError(f"local_search accepts the 'best' or the 'first' better neighbour, not {accept!r}")
        self.accept: Literal["best", "first"] = accept  # type: ignore[assignment]
        self._known: dict[Any, float] = {}
        self._here: Any = None
        self._best: tuple[float, Any] | None = None  # best neighbour so far
        self._queue: list[Any] = []
        self._pending = 0

    def ask(self) -> Trial | None:
        if not self._queue and self._pending:
            return None
        if not self._queue:  # the first climb, or the end of one: `tell` has queued every neighbour there was
            self._here = None
            self._queue = [self.space.sample(self.rng)]
        self._pending += 1
        return Trial(self._queue.pop(), self.fidelities.full)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._pending -= 1
        self._known[trial.architecture] = measurement.value
        if self._here is None:
            self._move(trial.architecture)
        else:
            self._consider(trial.architecture, measurement.value)
        # Neighbours that are known from earlier need no evaluation, so one answer may end several steps of the climb.
        while (
            self._best is not None
            and self._best[0] > self._known[self._here]
            and (self.accept == "first" or (not self._queue and not self._pending))
        ):
            self._move(self._best[1])

    def _consider(self, architecture: Any, value: float) -> None:
        if self._best is None or value > self._best[0]:
            self._best = (value, architecture)

    def _move(self, architecture: Any) -> None:
        self._here, self._best = architecture, None
        neighbours = self.space.neighbours(architecture)
        for neighbour in neighbours:
            if neighbour in self._known:
                self._consider(neighbour, self._known[neighbour])
        fresh = [neighbour for neighbour in neighbours if neighbour not in self._known]
        self._queue = [fresh[i] for i in self.rng.permutation(len(fresh)).tolist()]

    def learn(self, trial: Trial, measurement: Measurement) -> None:
        """The first climb starts at the best of the given architectures."""
        self._known[trial.architecture] = measurement.value
        self._move(max(self._known, key=lambda arch: self._known[arch]))
