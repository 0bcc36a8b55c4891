"""What walks say of a landscape that nobody can enumerate, with intervals over the walks.

Traoré et al., arXiv 2111.01584, sections 3.2 and 3.3: ruggedness from 30 random walks of 100 steps; the number of local
optima from the first repeat among best-improvement ascents (the birthday problem).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.spaces.base import Space

Fitness = Callable[[Sequence[Any]], np.ndarray]
"""Fitness of many architectures at once, float64 [n]."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def random_walks(
    space: Space[Any], fitness: Fitness, rng: np.random.Generator, walks: int = 30, steps: int = 100
) -> np.ndarray:
    """Fitness along random walks, float64 [walks, steps]; each starts at a draw of the space."""
    visited = []
    for _ in range(walks):
        here = space.sample(rng)
        for _ in range(steps):
            visited.append(here)
            here = space.mutate(here, rng)
    return np.asarray(fitness(visited), np.float64).reshape(walks, steps)


def correlation_along(walks: np.ndarray, lag: int = 1) -> float:
    """ρ(lag) of walks [walks, steps] with mean and variance of all of them."""
    centred = walks - walks.mean()
    return float((centred[:, lag:] * centred[:, :-lag]).mean() / (centred**2).mean())


def walk_autocorrelation(walks: np.ndarray, rng: np.random.Generator, resamples: int = 1000) -> Estimate:
    """ρ(1) of walks [walks, steps]; the interval resamples whole walks."""
    draws = [correlation_along(walks[rng.integers(len(walks), size=len(walks))]) for _ in range(resamples)]
    return Estimate(correlation_along(walks), *map(float, np.quantile(draws, (0.025, 0.975))))


def ascend(space: Space[Any], fitness: Fitness, start: Any) -> tuple[Any, int]:
    """The local optimum that best-improvement ascent from `start` ends at, and the number of its steps."""
    here, value, steps = start, float(fitness([start])[0]), 0
    while True:
        around = space.neighbours(here)
        values = fitness(around)
        best = int(np.argmax(values))
        if not values[best] > value:
            return here, steps
        here, value, steps = around[best], float(values[best]), steps + 1


def optima_by_repeats(optima: Sequence[Any], group: int) -> Estimate:
    """Number of local optima, from ascents in groups: N = K² / (2 ln 2), K the mean number of ascents to a repeat.

    A group without a repeat counts as `group` + 1 ascents, so that the estimate is then a lower bound. The interval
    takes the groups' standard error of K.

    >>> round(optima_by_repeats([1] * 22, 22).value, 2)  # the second ascent repeats the first
    2.89
    """
    firsts = []
    for start in range(0, len(optima) - group + 1, group):
        seen: set[Any] = set()
        for i, optimum in enumerate(optima[start : start + group], start=1):
            if optimum in seen:
                firsts.append(i)
                break
            seen.add(optimum)
        else:
            firsts.append(group + 1)
    mean = float(np.mean(firsts))
    error = float(np.std(firsts, ddof=1) / math.sqrt(len(firsts))) if len(firsts) > 1 else math.nan

    def number(k: float) -> float:
        return max(k, 0.0) ** 2 / (2 * math.log(2))

    return Estimate(number(mean), number(mean - 1.96 * error), number(mean + 1.96 * error))
