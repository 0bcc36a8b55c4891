"""Searches that learn a ranker from what they have measured, and let it choose what to measure next.

A round: fit the ranker to everything told, predict the candidates, measure the chosen ones, tell them all. Candidates
are isomorphism classes, each proposed once at most. Before enough has been told for the ranker, and where all that
was told is equal, a round is drawn at random.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from nas_lightning.predictors.encodings import Encoder, EncodingError, default_encoding
from nas_lightning.predictors.ranker import RankerError, make_ranker
from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.search.weak_labels import WeakLabels
from nas_lightning.spaces.base import Space

WHOLE_SPACE = 10_000
"""Up to so many isomorphism classes all of them are candidates."""


class PredictorSearch(Algorithm):
    """The common part; a subclass says how a round is chosen.

    ranker, ranker_settings: see `nas_lightning.predictors.rankers`. encoding: names of
    `nas_lightning.predictors.encodings`; empty takes path counts where the space names its paths, else one-hot genes.
    initial: measured before the ranker has its say. batch: measured a round. pool: candidates drawn where the space
    is too large to list, before the first round and by mutation of the best in every round. deviation: whether the
    ranker has to know how sure it is.
    """

    takes_weak_labels = True
    preferred_encoding: ClassVar[str] = "path_counts"

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        ranker: str,
        encoding: Sequence[str],
        initial: int,
        batch: int,
        pool: int,
        deviation: bool,
    ):
        super().__init__(space, rng, fidelities)
        if initial < 2 or batch < 1 or pool < 2:
            raise SearchError(f"{type(self).__name__} needs initial >= 2, batch >= 1 and pool >= 2")
        try:
            self.minimum = make_ranker(ranker, 0, deviation=deviation).minimum
        except RankerError as error:
            raise SearchError(str(error)) from None
        if initial < self.minimum:
            raise SearchError(
                f"{ranker} learns from {self.minimum} labels or more and algorithm.initial={initial} measures fewer "
                "before it is asked: raise it"
            )
        self.ranker, self.initial, self.batch, self.pool, self.deviation = ranker, initial, batch, pool, deviation
        self.encoding = tuple(encoding)
        self._weak: WeakLabels | None = None
        self._candidates: list[Any] | None = None
        self._keys: list[str] = []
        self._place: dict[str, int] = {}
        self._features: np.ndarray | None = None  # of the candidates, where all of them are known beforehand
        self._weak_features: np.ndarray | None = None  # of the candidates
        self._asked: set[str] = set()
        self._told: list[tuple[str, Any, float]] = []  # key, architecture, value
        self._queue: list[Any] = []
        self._pending = 0
        self.rounds = 0

    # --- candidates -------------------------------------------------------------------------------------------------

    def take_weak_labels(self, labels: WeakLabels) -> None:
        """Search among the labelled architectures, their scores standing beside the encoding."""
        self._weak = labels

    def wanted_weak_labels(self) -> list[Any]:
        """The architectures that a source which can score anything should score: the candidates."""
        self._prepare()
        return list(self._candidates or ())

    def _prepare(self) -> None:
        if self._candidates is not None and (self._weak is None or self._weak_features is not None):
            return
        if self._weak is not None:
            self._candidates = list(self._weak.architectures)
            self._weak_features = self._weak.features()
        elif is_listable(self.space):
            self._candidates = list(self.space.enumerate())
        else:
            self._candidates, self._keys, self._place = [], [], {}
            self._grow(lambda: self.space.sample_unique(self.rng), self.pool)
        if not self.can_grow:
            self._keys = [self.space.key(arch) for arch in self._candidates]
            self._place = {key: i for i, key in enumerate(self._keys)}
        if not self.encoding:
            self.encoding = default_encoding(self.space, self._candidates[0], self.preferred_encoding)
        try:
            self._encoder = Encoder(self.space, self.encoding)
            self._encoder.features(self._candidates[0])
            self._features = None
            if not self.can_grow:
                self._features = encoded_space(self._encoder, self._candidates, self._weak is None)
        except EncodingError as error:
            raise SearchError(str(error)) from None

    def _grow(self, draw: Callable[[], Any], n: int) -> None:
        """Add up to n new classes to the candidates; a space that has run dry adds fewer."""
        assert self._candidates is not None
        left = (self.space.unique_size or sys.maxsize) - len(self._place)
        for _ in range(5 * n):
            if n == 0 or left == 0:
                break
            arch = draw()
            key = self.space.key(arch)
            if key not in self._place:
                self._place[key] = len(self._candidates)
                self._candidates.append(arch)
                self._keys.append(key)
                n, left = n - 1, left - 1

    @property
    def can_grow(self) -> bool:
        """Whether candidates beyond those at hand exist: drawn and mutated ones, which no weak label covers."""
        return self._weak is None and not is_listable(self.space)

    def mutate_the_best(self, parents: int, n: int) -> None:
        """Add n mutants of the best told architectures to the candidates."""
        best = sorted(self._told, key=lambda entry: -entry[2])[:parents]
        if best and self.can_grow:
            self._grow(lambda: self.space.mutate(best[int(self.rng.integers(len(best)))][1], self.rng), n)

    def open_candidates(self) -> np.ndarray:
        """Places of the candidates that were not asked yet, int64 [open]."""
        return np.array([i for i, key in enumerate(self._keys) if key not in self._asked], np.int64)

    # --- what a subclass decides ------------------------------------------------------------------------------------

    @abstractmethod
    def choose(self, mean: np.ndarray, deviation: np.ndarray, n: int) -> list[int]:
        """Which n of the open candidates to measure, by their predictions; places among them."""

    def first_round(self, places: np.ndarray) -> list[int]:
        """Places of the candidates that are measured before anything is known."""
        return self.random_places(places, self.initial)

    def random_places(self, places: np.ndarray, n: int) -> list[int]:
        """n of the places, drawn without replacement."""
        return self.rng.choice(places, size=min(n, len(places)), replace=False).tolist()

    # --- ask and tell -----------------------------------------------------------------------------------------------

    def ask(self) -> Trial | None:
        if not self._queue:
            if self._pending:
                return None
            self._prepare()
            if self.rounds == 0:
                chosen = self.first_round(self.open_candidates())
            else:
                chosen = self.next_round()
            assert self._candidates is not None
            self._queue = [self._candidates[i] for i in reversed(chosen)]
            if not self._queue:
                note = f"all {len(self._asked)} candidates were measured before the budget was spent"
                if note not in self.notes:
                    self.notes.append(note)
                return None
            self.rounds += 1
        arch = self._queue.pop()
        self._asked.add(self.space.key(arch))
        self._pending += 1
        return Trial(arch, self.fidelities.full)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._pending -= 1
        self._told.append((self.space.key(trial.architecture), trial.architecture, measurement.value))

    def learn(self, trial: Trial, measurement: Measurement) -> None:
        """A given architecture is a label, if it is among the candidates or can join them."""
        self._prepare()
        if self.can_grow:
            self._grow(lambda: trial.architecture, 1)
        key = self.space.key(trial.architecture)
        if key in self._place and key not in self._asked:
            self._asked.add(key)
            self._told.append((key, trial.architecture, measurement.value))

    def next_round(self) -> list[int]:
        """Places of the candidates that are measured next."""
        values = np.array([value for _, _, value in self._told])
        places = self.open_candidates()
        if not len(places) or len(values) < self.minimum or (values == values[0]).all():
            return self.random_places(places, self.batch)
        mean, deviation = self.predict(values, places)
        return [int(places[i]) for i in self.choose(mean, deviation, min(self.batch, len(places)))]

    def predict(self, values: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions of the candidates at `places`, from all that was told."""
        told = [self._place[key] for key, _, _ in self._told]
        both = np.concatenate([np.array(told, np.int64), places])
        if self._features is None:
            assert self._candidates is not None
            features = self._encoder([self._candidates[i] for i in both.tolist()])
        else:
            features = self._features[both]
        if self._weak_features is not None:
            features = np.concatenate([features, self._weak_features[both]], axis=1)
        model = make_ranker(self.ranker, len(told), deviation=self.deviation)
        model.fit(features[: len(told)], values)
        self.best_prediction = float(model.predict(features[: len(told)])[0].max())
        return model.predict(features[len(told) :])


def is_listable(space: Space[Any]) -> bool:
    """Whether all classes of the space are candidates at once."""
    size = space.unique_size or getattr(getattr(space, "whole", None), "unique_size", None)
    return size is not None and size <= WHOLE_SPACE and type(space).enumerate is not Space.enumerate


def encoded_space(encoder: Encoder, candidates: Sequence[Any], is_whole: bool) -> np.ndarray:
    """Features of all candidates; those of a whole packaged space are kept for the next search of this process."""
    space = encoder.space
    if is_whole and getattr(space, "whole", None) is None and space.unique_size == len(candidates):
        return _encoded_whole(type(space), encoder.names)
    return encoder(candidates)


@lru_cache(maxsize=4)
def _encoded_whole(cls: type[Space[Any]], names: tuple[str, ...]) -> np.ndarray:
    space = cls()
    features = Encoder(space, names)(list(space.enumerate()))
    features.flags.writeable = False
    return features


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Of a normal prediction over `best`, float64 [n] (Jones et al., "Efficient Global Optimization", 1998, eq. 15)."""
    from scipy.stats import norm

    spread = np.maximum(deviation, 1e-12)
    gain = (mean - best) / spread
    return spread * (gain * norm.cdf(gain) + norm.pdf(gain))


def best_first(scores: np.ndarray, n: int) -> list[int]:
    """Places of the n highest scores; of equal ones the first."""
    return np.argsort(-scores, kind="stable")[:n].tolist()
