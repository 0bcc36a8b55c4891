"""Progressive searches: architectures grow step by step, and a ranker says which of them are worth growing.

A level holds everything one step larger than what was kept of the level before (`Space.grown`): NAS-Bench-201 grows by
edges, NAS-Bench-101 by vertices, DARTS by nodes, any other space by genes. Of a level some are measured, those are
kept, and the ranker learns from all that was measured at any level. At the last level it goes on, round by round.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.predictors.encodings import Encoder, EncodingError, default_encoding
from nas_lightning.predictors.ranker import RankerError, make_ranker
from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space

BEAM = 16
"""Where nothing says how many trials there will be."""
POOL = 1_000
"""How many architectures of a level are looked at, drawn where there are more; ten beams at least."""


class ProgressiveSearch(Algorithm):
    """The common part; a subclass says which classes of a level are kept.

    Classes of isomorphic architectures are measured once, whatever the level they appear at. A class that the objective
    cannot measure (one that a table lacks) may be kept by its prediction alone. When the last level is used up before
    the budget is, everything starts again from the smallest with twice the beam, so that with enough budget the whole
    space is measured.

    ranker, encoding: as `nas_lightning.search.predictor_search.PredictorSearch`. beam: classes kept a level; None
    shares a budget of evaluations evenly over the levels.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        ranker: str = "gaussian_process",
        encoding: Sequence[str] = (),
        beam: int | None = None,
    ):
        super().__init__(space, rng, fidelities)
        if beam is not None and beam < 1:
            raise SearchError(f"beam={beam}: at least one architecture of a level has to be kept")
        try:
            self.minimum = make_ranker(ranker, 0).minimum
        except RankerError as error:
            raise SearchError(str(error)) from None
        self.ranker, self.encoding, self.beam = ranker, tuple(encoding), beam or BEAM
        self._shares_budget = beam is None
        self._told: dict[str, tuple[Any, Measurement]] = {}  # by class
        self._asked: set[str] = set()
        self._queue: list[tuple[str, Any]] = []
        self._pending = 0
        self._keys: dict[Any, str] = {}
        self._larger: dict[Any, list[Any]] = {}
        self._level: dict[str, list[Any]] = {}  # class -> its architectures of this level
        self._kept: list[str] | None = None  # classes of the level; None before it is decided
        self._was_cut = False
        self._finished = False
        self.level_sizes: list[int] = []  # classes of every level since the last start
        self.restarts = 0

    def fit_budget(self, budget: Budget) -> None:
        """Share a budget of evaluations over the levels."""
        if self._shares_budget and budget.unit == "evaluations":
            steps, here = 1, self.space.smallest()
            while here and (larger := self._grown(here[0])):
                steps, here = steps + 1, larger
            self.beam = max(2, round(budget.amount / steps))

    # --- what a subclass decides ------------------------------------------------------------------------------------

    @abstractmethod
    def keep(self, classes: list[str], n: int, is_last: bool) -> list[str]:
        """Which classes of the level are kept, the best first, n at most of them not measured yet; see `first`."""

    def first(self, classes: Sequence[str], n: int) -> list[str]:
        """The first classes up to the n-th that was not measured yet: those measured at an earlier level cost nothing
        and would crowd the others out, as cells with an edge that leads nowhere do."""
        kept: list[str] = []
        for key in classes:
            if n == 0:
                break
            kept.append(key)
            n -= key not in self._asked
        return kept

    # --- levels -----------------------------------------------------------------------------------------------------

    def _key(self, arch: Any) -> str:
        if arch not in self._keys:
            self._keys[arch] = self.space.key(arch)
        return self._keys[arch]

    def _grown(self, arch: Any) -> list[Any]:
        if arch not in self._larger:
            self._larger[arch] = self.space.grown(arch)
        return self._larger[arch]

    def _open(self, archs: Sequence[Any]) -> None:
        """Make these architectures the level, or `POOL` of them where there are more."""
        distinct, most = list(dict.fromkeys(archs)), max(POOL, 10 * self.beam)
        if len(distinct) > most:
            self._was_cut = True
            distinct = [distinct[i] for i in sorted(self.rng.choice(len(distinct), most, replace=False).tolist())]
        self._level = {}
        for arch in distinct:
            self._level.setdefault(self._key(arch), []).append(arch)
        self._kept = None
        self.level_sizes.append(len(self._level))

    def _measurable(self, key: str) -> Any | None:
        """An architecture of the class that was not measured and can be; None where there is none."""
        if key in self._asked:
            return None
        archs = self._level[key]
        holds = getattr(self.space, "holds", None)
        if holds is None:
            return archs[0]
        return next((arch for arch in (*archs, *self.space.members(archs[0])) if holds(arch)), None)

    def _advance(self) -> None:
        """Fill the queue with what is measured next, growing as far as nothing is; or find that nothing is left."""
        if not self._level:
            self._open(self.space.smallest())
        while not self._finished:
            larger = [arch for key in self._kept or () for mother in self._level[key] for arch in self._grown(mother)]
            if self._kept is None:
                is_last = not any(self._grown(arch) for archs in self._level.values() for arch in archs)
                self._kept = self.keep(list(self._level), self.beam, is_last)
                self._was_cut |= len(self._kept) < len(self._level)
                self._enqueue(self._kept)
            elif larger:
                self._open(larger)
            elif rest := [key for key in self._level if self._measurable(key) is not None]:
                self._enqueue(self.keep(rest, self.beam, True))
            elif self._was_cut:
                self.beam, self._was_cut, self.level_sizes = 2 * self.beam, False, []
                self.restarts += 1
                self._open(self.space.smallest())
            else:
                self._finished = True
                self.notes.append(f"all {len(self._asked)} classes were measured before the budget was spent")
            if self._queue:
                return

    def _enqueue(self, classes: Sequence[str]) -> None:
        found = [(key, arch) for key in classes if (arch := self._measurable(key)) is not None]
        self._queue = found[::-1]

    # --- predictions ------------------------------------------------------------------------------------------------

    def predicted(self, classes: list[str], told: np.ndarray) -> np.ndarray | None:
        """What the ranker says of classes of the level, float64 [n], higher is better.

        Args:
            classes: of the level.
            told: what was learned of the measured classes, in the order of measuring.

        Returns: None before there is enough to learn from. Measured classes are predicted like all others.
        """
        if len(told) < self.minimum or (told == told[0]).all() or np.isfinite(told).sum() < 2:
            return None
        measured = [arch for arch, _ in self._told.values()]
        archs = [*measured, *(self._level[key][0] for key in classes)]
        if not self.encoding:
            self.encoding = default_encoding(self.space, archs[0])
        try:
            if not hasattr(self, "_encoder"):
                self._encoder = Encoder(self.space, self.encoding)
            features = self._encoder(archs)
        except EncodingError as error:
            raise SearchError(str(error)) from None
        model = make_ranker(self.ranker, len(told)).fit(features[: len(told)], told)
        return model.predict(features[len(told) :])[0]

    def values(self) -> np.ndarray:
        """Of the measured classes, float64 [n]."""
        return np.array([measurement.value for _, measurement in self._told.values()])

    # --- ask and tell -----------------------------------------------------------------------------------------------

    def ask(self) -> Trial | None:
        if not self._queue:
            if self._pending or self._finished:
                return None
            self._advance()
            if not self._queue:
                return None
        key, arch = self._queue.pop()
        self._asked.add(key)
        self._pending += 1
        return Trial(arch, self.fidelities.full)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._pending -= 1
        self._told[self._key(trial.architecture)] = (trial.architecture, measurement)
