"""The landscape of a score (a super-net's) beside that of the truth: does weight sharing smooth or roughen it?

A score is known for some architectures only, so neither optima nor basins can be counted on it. What a sample tells
without bias is how alike architectures at one distance are, the correlogram ρ(d): distance 1 is the landscape's ρ(1).
Where the scores cover every isomorphism class of a table, the exact measures of `landscape.py` are made instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from nas_lightning.errors import UserError
from nas_lightning.spaces.base import Space


@dataclass(frozen=True, eq=False)
class Correlogram:
    """ρ at distances 1, 2, … by name of the score, each float64 [distances], with 95 % intervals [distances, 2].

    `pairs` is the number of pairs at each distance; `difference` maps each score but the first (the truth) to
    ρ(score) − ρ(truth) at every distance with its interval, float64 [distances, 3]: positive is smoother.
    """

    pairs: np.ndarray
    rho: Mapping[str, np.ndarray]
    interval: Mapping[str, np.ndarray]
    difference: Mapping[str, np.ndarray]


def correlogram(
    genomes: np.ndarray,
    scores: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    *,
    distances: int = 4,
    resamples: int = 500,
    ranks: bool = True,
) -> Correlogram:
    """How alike architectures are by the number of genes that differ.

    Args:
        genomes: int [n, genes].
        scores: name to float64 [n], the truth first; finite.
        rng: of the bootstrap, which resamples architectures (a pair weighs the product of its two counts).
        distances: 1 … this many.
        resamples: of the bootstrap.
        ranks: correlate ranks, so that scores of different scales compare (accuracies have a long lower tail).

    Raises:
        UserError: more than 4,000 architectures (all pairs are made), or no pair at some distance.
    """
    n = len(genomes)
    if n > 4000:
        raise UserError(f"{n} architectures make too many pairs for a correlogram: give 4,000 at most")
    apart = sum(
        (genomes[:, gene][:, None] != genomes[:, gene][None, :]).astype(np.int8) for gene in range(genomes.shape[1])
    )
    upper = np.triu(np.ones((n, n), bool), 1)
    pairs = [np.nonzero((apart == d) & upper) for d in range(1, distances + 1)]
    if empty := [d for d, (left, _) in enumerate(pairs, start=1) if not len(left)]:
        raise UserError(f"no two of the {n} architectures differ in {empty[0]} genes: give more, or fewer distances")
    values = {name: stats.rankdata(score) if ranks else np.asarray(score, float) for name, score in scores.items()}

    def all_rho(counts: np.ndarray) -> np.ndarray:
        out = np.empty((len(values), distances))
        for s, score in enumerate(values.values()):
            centred = score - counts @ score / counts.sum()
            variance = counts @ centred**2 / counts.sum()
            for d, (left, right) in enumerate(pairs):
                weight = counts[left] * counts[right]
                out[s, d] = weight @ (centred[left] * centred[right]) / weight.sum() / variance
        return out

    point = all_rho(np.ones(n))
    draws = np.stack(
        [all_rho(np.bincount(rng.integers(n, size=n), minlength=n).astype(float)) for _ in range(resamples)]
    )
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    gap = draws - draws[:, :1]
    gap_low, gap_high = np.quantile(gap, (0.025, 0.975), axis=0)
    names = list(values)
    return Correlogram(
        np.array([len(left) for left, _ in pairs]),
        {name: point[i] for i, name in enumerate(names)},
        {name: np.stack([low[i], high[i]], axis=1) for i, name in enumerate(names)},
        {name: np.stack([point[i] - point[0], gap_low[i], gap_high[i]], axis=1) for i, name in enumerate(names) if i},
    )


def distance_correlation(genomes: np.ndarray, scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Spearman correlation of each score with the distance (differing genes) to that score's own best, by name."""
    out = {}
    for name, score in scores.items():
        distance = (genomes != genomes[int(np.argmax(score))]).sum(axis=1)
        out[name] = float(stats.spearmanr(score, distance)[0])
    return out


def over_classes(space: Space[Any], architectures: Sequence[Any], known: Mapping[str, float]) -> np.ndarray:
    """A score known by class (`Space.key`) for every architecture, float64 [n]; NaN where the class has none."""
    return np.array([known.get(space.key(arch), np.nan) for arch in architectures])
