"""Rankings that cost nothing: a super-net that does not beat them has learned nothing about ranking.

On NAS-Bench-201 (CIFAR-10) the number of parameters alone reaches Kendall tau 0.58 over the whole space, and a linear
model on operation counts fitted on 50 trained architectures 0.59: more than several published super-nets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.architecture_sets import Table
from nas_lightning.spaces.base import Space

FITTED_ON = 50


@dataclass(frozen=True)
class Baseline:
    """Scores of one baseline, float64 [n], higher is better; NaN where it must not score; `note` says what it cost."""

    name: str
    scores: np.ndarray
    note: str


def free_baselines(
    space: Space[Any], architectures: Sequence[Any], params: ArrayLike | None = None, macs: ArrayLike | None = None
) -> list[Baseline]:
    """Parameter count, multiply-accumulates and depth of n architectures; those without numbers are left out.

    >>> from types import SimpleNamespace
    >>> [b.name for b in free_baselines(SimpleNamespace(depth=len), ["a", "bc"], params=[1, 2])]
    ['parameters', 'depth']
    """
    found = []
    for name, values in (("parameters", params), ("macs", macs)):
        if values is not None:
            scores = np.asarray(values, np.float64)
            if scores.shape != (len(architectures),):
                raise ValueError(f"{len(architectures)} architectures need as many {name}, not shape {scores.shape}")
            found.append(Baseline(name, scores, "no training"))
    found.append(Baseline("depth", np.array([float(space.depth(a)) for a in architectures]), "no training"))
    return found


def linear_operation_counts(
    space: Space[Any], architectures: Sequence[Any], benchmark: Table, n_fit: int = FITTED_ON, seed: int = 0
) -> Baseline | None:
    """Least squares from operation counts to stand-alone accuracy, fitted on `n_fit` measured architectures.

    They are drawn (seeded) from the table's architectures that are not isomorphic to a scored one. Where the table has
    fewer than `n_fit` others, scored ones fill up and are left out of this baseline's own scoring (NaN). None where
    fewer than 2 would then remain to score, or the table has fewer than `n_fit` architectures.
    """
    rng = np.random.default_rng([n_fit, seed])
    pool = benchmark.architectures()  # passed on as it is: tables recognise their own list
    accuracies = np.asarray(benchmark.accuracies(pool), np.float64)
    scored = {space.key(a) for a in architectures}
    others: list[int] = []
    inside: list[int] = []
    for i in rng.permutation(len(pool)):  # keys are computed only as far as needed: NAS-Bench-101 has 423,624
        if not np.isnan(accuracies[i]):
            (inside if space.key(pool[i]) in scored else others).append(int(i))
        if len(others) == n_fit:
            break
    chosen = others + inside[: n_fit - len(others)]
    used = {space.key(pool[i]) for i in chosen}
    kept = np.array([space.key(a) not in used for a in architectures], bool)
    if len(chosen) < n_fit or kept.sum() < 2:
        return None

    design = _with_intercept([pool[i] for i in chosen], space)
    # Counts add up to a constant, so the columns are dependent: lstsq takes the solution of least norm.
    weights = np.linalg.lstsq(design, accuracies[chosen], rcond=None)[0]
    scores = np.where(kept, _with_intercept(architectures, space) @ weights, np.nan)
    left_out = len(architectures) - int(kept.sum())
    note = f"{n_fit} trained architectures, " + (
        f"{left_out} of the scored left out of its score" if left_out else "none of them scored"
    )
    return Baseline("linear_operation_counts", scores, note)


def _with_intercept(architectures: Sequence[Any], space: Space[Any]) -> np.ndarray:
    counts = np.array([space.operation_counts(a) for a in architectures], np.float64)
    return np.hstack([np.ones((len(counts), 1)), counts])
