"""What every learned ranker offers: features and a few true accuracies in, an order of everything else out.

A ranker is one class in one file of `nas_lightning.predictors.rankers`, or any class by its dotted path. Settings are
the keyword-only arguments of its constructor.
"""

from __future__ import annotations

import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.spaces.dotted_path import found_at

PACKAGE = "nas_lightning.predictors.rankers"


class RankerError(UserError):
    """Labels that nothing can be learned from, or a ranker that does not exist: one sentence with the mend."""


class Ranker(ABC):
    """Learns an order of architectures from features and labels, higher is better.

    `minimum` labels at least; a ranker with `has_deviation` knows how sure it is. Draws come from `seed` alone, so that
    equal labels give equal predictions.
    """

    minimum: ClassVar[int] = 2
    has_deviation: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0):
        self.seed = seed

    def fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Ranker:
        """Learn from labelled architectures.

        Args:
            features: float64 [n, d].
            labels: accuracies or any other score, float64 [n]; minus infinity for an evaluation that failed.
            weights: float64 [n]; None weighs all the same.

        Returns:
            Itself.

        Raises:
            RankerError: fewer labels than `minimum`, NaN among them, all of them equal, or features that do not fit.
        """
        labels = np.asarray(labels, np.float64)
        features = np.asarray(features, np.float64)
        name = type(self).__name__
        if len(features) != len(labels):
            raise RankerError(
                f"{name} got {len(features)} rows of features and {len(labels)} labels: give one label a row"
            )
        if missing := int(np.isnan(labels).sum()):
            raise RankerError(f"{missing} of {len(labels)} labels are NaN: leave out what was not measured")
        if len(labels) < self.minimum:
            raise RankerError(
                f"{name} learns from {self.minimum} labels or more and got {len(labels)}: measure more architectures "
                "first, or choose another ranker"
            )
        if (labels == labels[0]).all():
            raise RankerError(f"all {len(labels)} labels equal {labels[0]:g}, which orders nothing: measure others")
        self._fit(features, labels, np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64))
        return self

    @abstractmethod
    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Learn; the input is checked. Labels may hold minus infinity: see `emphasise_top` and `ranks`."""

    @abstractmethod
    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and their standard deviations on the ranker's own scale, float64 [m] each.

        Deviations are zero where the ranker has none. The columns are those of `fit`.

        Args:
            features: float64 [m, d].

        Returns:
            (predictions, standard deviations), float64 [m] each.
        """


class Committee(Ranker):
    """Several rankers of one kind, each on a bootstrap sample of its own; their spread is the deviation.

    make: seed -> ranker. members: how many.
    """

    has_deviation = True

    def __init__(self, make: Any, *, members: int = 5, seed: int = 0):
        super().__init__(seed=seed)
        self.members = [make(seed * members + i) for i in range(members)]
        self.minimum = self.members[0].minimum  # type: ignore[misc]  # a committee learns from no fewer than one does

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        for i, member in enumerate(self.members):
            rng = np.random.default_rng([self.seed, i])
            chosen = rng.integers(len(labels), size=len(labels))
            if (labels[chosen] == labels[chosen[0]]).all():  # a sample that orders nothing
                chosen = np.arange(len(labels))
            member.fit(features[chosen], labels[chosen], weights[chosen])

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = np.stack([member.predict(features)[0] for member in self.members])
        return found.mean(axis=0), found.std(axis=0)


def emphasise_top(labels: np.ndarray, quantile: float = 0.2, margin: float = 0.1) -> np.ndarray:
    """Labels on a scale that spends itself on the best: minus the log of the distance to the best of them.

    What lies below the quantile counts as the quantile does (AceNAS clips there too, arXiv 2108.03001), the distance is
    in units of best minus quantile, and `margin` is added to it, so that the best stays finite. Standardised, float64
    [n].

    Args:
        labels: qualities or any other score [n], higher is better.
        quantile: share of the labels that is cut off below.
        margin: added to the distance, in its unit, so that the best one stays finite.

    Returns:
        float64 [n], larger for better ones.
    """
    finite = labels[np.isfinite(labels)]
    low, best = float(np.quantile(finite, quantile)), float(finite.max())
    if best == low:
        return standardised(ranks(labels))
    distance = (best - np.maximum(labels, low)) / (best - low)
    return standardised(-np.log(distance + margin))


def ranks(labels: np.ndarray) -> np.ndarray:
    """Mean ranks, float64 [n]: accuracies of a space with broken cells are bent by the worst of them, ranks are not.

    Args:
        labels: qualities or any other score [n], higher is better.

    Returns:
        float64 [n], 1 for the worst.
    """
    from scipy.stats import rankdata

    return rankdata(labels)


def relevance(labels: np.ndarray, quantile: float = 0.2, top: float = 20.0) -> np.ndarray:
    """AceNAS's relevance: ``20 clip((label - quantile) / (best - quantile), 0, 1)``, float64 [n].

    Args:
        labels: qualities or any other score [n], higher is better.
        quantile: labels up to this one get 0.
        top: relevance of the best.

    Returns:
        float64 [n], from 0 to `top`.
    """
    finite = labels[np.isfinite(labels)]
    low, best = float(np.quantile(finite, quantile)), float(finite.max())
    if best == low:
        return top * (labels >= best)
    return top * np.clip((np.maximum(labels, low) - low) / (best - low), 0, 1)


def standardised(values: np.ndarray) -> np.ndarray:
    """Mean 0, standard deviation 1; zeros where all are equal.

    Args:
        values: [n].

    Returns:
        float64 [n].
    """
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def ranker_names() -> tuple[str, ...]:
    """Names of the packaged rankers: the modules of `nas_lightning.predictors.rankers`.

    Returns:
        Names, sorted.
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(import_module(PACKAGE).__path__)))


def make_ranker(name: str, seed: int, settings: Mapping[str, Any] | None = None, *, deviation: bool = False) -> Ranker:
    """A ranker by its name or the dotted path of its class.

    Args:
        name: of `ranker_names`, or a dotted path.
        seed: of all its draws.
        settings: its other keyword-only arguments.
        deviation: whether one that knows how sure it is is needed; others are put into a `Committee` of five.

    Returns:
        An unfitted ranker.

    Raises:
        RankerError: unknown names and settings, a library that is not installed.
    """
    if "." in name:
        cls = found_at(name, said=f"there is no ranker {name}", error=RankerError)
    elif name in ranker_names():
        module = f"{PACKAGE}.{name}"
        cls = next(
            value
            for value in vars(import_module(module)).values()
            if isinstance(value, type) and issubclass(value, Ranker) and value.__module__ == module
        )
    else:
        guess = did_you_mean(name, ranker_names())
        raise RankerError(f"unknown ranker {name!r}: {guess}choose one of {', '.join(ranker_names())}")
    if not (isinstance(cls, type) and issubclass(cls, Ranker)):
        raise RankerError(f"{name} is no subclass of nas_lightning.predictors.ranker.Ranker")
    known = [p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "seed")]
    if unknown := sorted(set(settings or {}) - set(known)):
        raise RankerError(
            f"{name} has no setting {unknown[0]!r}: {did_you_mean(unknown[0], known)}"
            f"choose from {', '.join(known) or 'none, it has none'}"
        )
    if deviation and not cls.has_deviation:
        return Committee(lambda member: cls(seed=member, **(settings or {})), seed=seed)
    return cls(seed=seed, **(settings or {}))
