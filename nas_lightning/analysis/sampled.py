"""The footprint of a space that nobody can enumerate, from a table of some of its architectures.

Of the measures of `landscape.py`, mean, deviation and persistence are those of the table's rows, taken as draws of the
space. Neighbours of a row are not in such a table, so that walks and ascents read a regression on one-hot genomes that
the rows have taught; how well it ranks rows that it has not seen stands beside (`surrogate_tau`). What a regression
cannot tell apart is smooth: its ρ(1) is rather too high than too low. Intervals are 95 %, over rows, over walks, over
groups of ascents; none covers what the regression gets wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from nas_lightning.analysis.landscape import persistence_area, persistence_curve
from nas_lightning.analysis.walks import (
    Estimate,
    ascend,
    correlation_along,
    optima_by_repeats,
    random_walks,
    walk_autocorrelation,
)
from nas_lightning.errors import UserError
from nas_lightning.spaces.base import Space

FEWEST = 20
"""Rows that a regression is fitted on at least."""


@dataclass(frozen=True, eq=False)
class EstimatedFootprint:
    """Estimates by name, and what the figure draws: autocorrelation by steps, share of the ascents by the number of the
    optimum that they end at (the best one is `best_row`), persistence at 1 to 25 % (empty for one epoch)."""

    rows: int
    best: float
    estimates: Mapping[str, Estimate]
    surrogate_tau: float
    rank_autocorrelation: float
    mean_steps: float
    autocorrelation: np.ndarray
    basin_shares: Mapping[int, float]
    best_row: int
    epochs: tuple[int, ...]
    positive: np.ndarray
    negative: np.ndarray

    def as_dict(self) -> dict[str, float | int | None]:
        """The measures by the names that `Footprint.as_dict` gives them, each estimate with ``_low`` and ``_high``."""
        names = [f"persistence_{side}_{what}" for what in ("25", "area") for side in ("positive", "negative")]
        rho = self.estimates["rho_1"]
        found: dict[str, float | int | None] = {
            "rows": self.rows,
            "mean": self.estimates["mean"].value,
            "std": self.estimates["std"].value,
            "best": self.best,
            "strict_maxima": self.estimates["strict_maxima"].value,
            "rho_1": rho.value,
            "ruggedness": 1 / rho.value,
            "rank_rho_1": self.rank_autocorrelation,
            "basin_of_best": self.basin_shares[self.best_row],
            "mean_steps": self.mean_steps,
        }
        found |= {name: self.estimates[name].value if name in self.estimates else None for name in names}
        for name, estimate in self.estimates.items():
            found |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return found | {"surrogate_tau": self.surrogate_tau}


def estimated_footprint(
    space: Space[Any],
    architectures: Sequence[Any],
    fitness: np.ndarray,
    rng: np.random.Generator,
    *,
    by_epoch: Mapping[int, np.ndarray] | None = None,
    walks: int = 30,
    steps: int = 100,
    ascents: int = 320,
    resamples: int = 200,
    track: Callable[[range], Iterable[int]] = iter,
) -> EstimatedFootprint:
    """Estimates of the footprint from a sample of the space.

    Args:
        space: with `mutate` and `neighbours`.
        architectures: n of them, drawn at random.
        fitness: float64 [n], higher is better, without NaN.
        rng: of walks, starts and resamples.
        by_epoch: fitness after fewer epochs as well, by epochs; two or more give the persistence.
        walks: random walks on the regression.
        steps: of each walk.
        ascents: on the regression, in groups of 16.
        resamples: of the bootstrap.
        track: wraps the loop over ascents for a progress bar.

    Raises:
        UserError: fewer than 20 architectures, or one value everywhere.
    """
    fitness, n = np.asarray(fitness, np.float64), len(architectures)
    if n < FEWEST or fitness.min() == fitness.max():
        raise UserError(
            f"a table of {n} of the architectures of {space.name} needs {FEWEST} or more, and two values, for a "
            "landscape to be estimated"
        )
    features = np.stack([space.one_hot(arch) for arch in architectures])
    model, tau = _fitted(features, fitness, seed=int(rng.integers(2**31)))

    def predicted(archs: Sequence[Any]) -> np.ndarray:
        return np.asarray(model.predict(np.stack([space.one_hot(arch) for arch in archs])), np.float64)

    along = random_walks(space, predicted, rng, walks=walks, steps=steps)
    ends = [ascend(space, predicted, space.sample(rng)) for _ in track(range(ascents))]
    keys = [space.key(arch) for arch, _ in ends]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    tops = predicted([arch for arch, _ in ends])
    shares = {number[key]: count / ascents for key, count in Counter(keys).most_common()}
    estimates = {
        "mean": _of_rows(lambda rows: float(fitness[rows].mean()), n, rng, resamples),
        "std": _of_rows(lambda rows: float(fitness[rows].std()), n, rng, resamples),
        "rho_1": walk_autocorrelation(along, rng),
        "strict_maxima": optima_by_repeats(keys, 16),
    }
    epochs = tuple(sorted(by_epoch)) if by_epoch and len(by_epoch) > 1 else ()
    stages = [np.asarray(by_epoch[epoch], np.float64) for epoch in epochs] if by_epoch else []
    positive = negative = np.zeros(0)
    if epochs:
        positive, negative = persistence_curve(stages), persistence_curve(stages, positive=False)
        for side, best in (("positive", True), ("negative", False)):

            def kept(rows: np.ndarray, best: bool = best) -> np.ndarray:
                return persistence_curve([stage[rows] for stage in stages], positive=best)

            estimates[f"persistence_{side}_25"] = _of_rows(lambda rows: float(kept(rows)[-1]), n, rng, resamples)
            estimates[f"persistence_{side}_area"] = _of_rows(
                lambda rows: persistence_area(kept(rows)), n, rng, resamples
            )
    ranks = stats.rankdata(along).reshape(along.shape)
    return EstimatedFootprint(
        rows=n,
        best=float(fitness.max()),
        estimates=estimates,
        surrogate_tau=tau,
        rank_autocorrelation=correlation_along(ranks),
        mean_steps=float(np.mean([taken for _, taken in ends])),
        autocorrelation=np.array([correlation_along(along, lag) for lag in range(1, min(11, steps))]),
        basin_shares=shares,
        best_row=number[keys[int(np.argmax(tops))]],
        epochs=epochs,
        positive=positive,
        negative=negative,
    )


def _fitted(features: np.ndarray, fitness: np.ndarray, seed: int) -> tuple[Any, float]:
    """Boosted trees on all rows, and Kendall's tau of such trees on rows that they have not seen (five parts)."""
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import KFold, cross_val_predict

    model = GradientBoostingRegressor(n_estimators=200, learning_rate=0.05, subsample=0.8, random_state=seed)
    parts = KFold(5, shuffle=True, random_state=seed)
    unseen = cross_val_predict(model, features, fitness, cv=parts)
    return model.fit(features, fitness), float(stats.kendalltau(unseen, fitness)[0])


def _of_rows(statistic: Callable[[np.ndarray], float], n: int, rng: np.random.Generator, resamples: int) -> Estimate:
    """A statistic of rows [n] with the bootstrap's percentiles."""
    draws = [statistic(rng.integers(n, size=n)) for _ in range(resamples)]
    return Estimate(statistic(np.arange(n)), *map(float, np.quantile(draws, (0.025, 0.975))))
