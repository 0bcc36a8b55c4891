"""Does a setting help? Differences between settings over seeds and architectures, and when to call them decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.uncertainty import resample_counts, tau_of_counts

MINIMUM_SEEDS = 5
"""With fewer seeds no verdict is given."""


@dataclass(frozen=True)
class Difference:
    """Mean over seeds of ``tau(setting) - tau(reference)``, its interval, and the two-sided bootstrap p-value."""

    estimate: float
    low: float
    high: float
    level: float
    p: float
    n_seeds: int
    n_architectures: int


def hierarchical_bootstrap(
    setting: ArrayLike,
    truth: ArrayLike,
    reference: ArrayLike | None = None,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Mean tau-b over seeds of one setting (against 0), or its difference to a reference, resampled in two levels.

    Outer level: seeds, jointly for setting and reference, since a seed fixes batches and paths of both (paired).
    Inner level: architectures, one draw for all seeds of a replicate, since all seeds are scored on the same set.
    `setting` and `reference` are predictions float [seeds, n], `truth` float [n], without NaN.

    A bootstrap of few seeds is too narrow, by ``sqrt((s - 1) / s)`` and by the normal instead of Student's t: the part
    of a replicate that comes from the seeds is stretched by ``sqrt(s / (s - 1)) t_{s-1} / z`` (after Hesterberg 2015,
    "What teachers should know about the bootstrap"). With one seed there is no such part; the interval then covers
    architectures alone, and no verdict is given on it.

    Args:
        setting: scores [seeds, n] of the setting.
        truth: stand-alone qualities [n].
        reference: scores [seeds, n] of what it is compared with, seed by seed; None compares with a tau of 0.
        replicates: how many resamples are drawn.
        level: share of the replicates that the interval holds, between 0 and 1.
        seed: of the draws; the same seed gives the same numbers.

    Returns:
        The difference of the mean taus with its interval, p-value, seeds and architectures.

    Raises:
        ValueError: shapes that do not pair, and NaN.

    >>> rng = np.random.default_rng(0); truth = rng.normal(size=100)
    >>> good, bad = truth + 0.3 * rng.normal(size=(5, 100)), truth + 2 * rng.normal(size=(5, 100))
    >>> found = hierarchical_bootstrap(good, truth, bad, replicates=200)
    >>> 0.3 < found.low < found.estimate < found.high, found.p < 0.05, found.n_seeds
    (True, True, 5)
    """
    x, y = np.atleast_2d(np.asarray(setting, np.float64)), np.asarray(truth, np.float64)
    z = None if reference is None else np.atleast_2d(np.asarray(reference, np.float64))
    if x.shape[1:] != y.shape or (z is not None and z.shape != x.shape):
        raise ValueError(
            f"setting {x.shape}, reference {None if z is None else z.shape} and truth {y.shape} do not pair; "
            "give [seeds, n], the same again, and [n]"
        )
    if np.isnan(x).any() or np.isnan(y).any() or (z is not None and np.isnan(z).any()):
        raise ValueError("predictions or truth hold NaN; remove these architectures from all seeds and settings alike")
    seeds, n = x.shape
    if n < 2 or seeds < 1:
        return Difference(math.nan, math.nan, math.nan, level=level, p=math.nan, n_seeds=seeds, n_architectures=n)

    counts = np.vstack([np.ones((1, n), np.int64), resample_counts(n, replicates, seed)])
    taus = np.array([tau_of_counts(row, y, counts) for row in x])  # [seeds, 1 + replicates]
    if z is not None:
        taus = taus - np.array([tau_of_counts(row, y, counts) for row in z])
    estimate, taus = float(taus[:, 0].mean()), taus[:, 1:]
    centre = taus.mean(axis=0)
    drawn = resample_counts(seeds, replicates, seed + 1) / seeds  # [replicates, seeds]
    deviation = np.einsum("rs,sr->r", drawn, taus - centre)
    values = centre + _stretch(seeds, level) * deviation
    return _difference(estimate, values, level, seeds=seeds, n=n)


def _stretch(seeds: int, level: float) -> float:
    if seeds < 2:
        return 1.0
    from scipy.stats import norm, t

    tail = (1 + level) / 2
    return float(math.sqrt(seeds / (seeds - 1)) * t.ppf(tail, seeds - 1) / norm.ppf(tail))


def _difference(estimate: float, values: np.ndarray, level: float, seeds: int, n: int) -> Difference:
    values = values[~np.isnan(values)]
    if not len(values) or math.isnan(estimate):
        return Difference(estimate, math.nan, math.nan, level=level, p=math.nan, n_seeds=seeds, n_architectures=n)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    # One is added above and below: a finite number of replicates never proves p = 0.
    p = 2 * (1 + min(int((values <= 0).sum()), int((values >= 0).sum()))) / (1 + len(values))
    return Difference(estimate, float(low), float(high), level=level, p=min(1.0, p), n_seeds=seeds, n_architectures=n)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's adjusted p-values, float64 [m]: the i-th smallest times ``m - i + 1``, made monotone, at most 1.

    nan stays nan and is no test. (Holm 1979, "A simple sequentially rejective multiple test procedure".)

    Args:
        p_values: [m], one a test; nan is no test.

    Returns:
        float64 [m], in the order of the input.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def verdict(difference: Difference, p_adjusted: float, alpha: float = 0.05) -> str:
    """``helps``, ``hurts``, ``no difference``, or ``not decided (n seeds)`` below `MINIMUM_SEEDS`.

    Args:
        difference: of a setting to its reference.
        p_adjusted: its p-value after `holm`.
        alpha: the level of significance.

    Returns:
        One of the four phrases.

    >>> verdict(Difference(0.1, 0.05, 0.15, 0.95, 0.001, 5, 200), 0.002)
    'helps'
    >>> verdict(Difference(0.1, 0.05, 0.15, 0.95, 0.001, 3, 200), 0.002)
    'not decided (3 seeds)'
    """
    if difference.n_seeds < MINIMUM_SEEDS or math.isnan(p_adjusted):
        return f"not decided ({difference.n_seeds} seed{'' if difference.n_seeds == 1 else 's'})"
    if p_adjusted >= alpha:
        return "no difference"
    return "helps" if difference.estimate > 0 else "hurts"


@dataclass(frozen=True)
class Effect:
    """A contrast of a factorial sweep, matched within seeds and averaged over the other factors.

    Main effect (one item in `changes`): the mean of ``value(level) - value(reference)``. Pairwise interaction (two
    items): ``value(a, b) - value(a, b0) - value(a0, b) + value(a0, b0)``, 0 where the two effects simply add. `low` and
    `high` are a Student interval over the per-seed contrasts, nan with one seed; `matched` counts the contrasts.
    """

    changes: tuple[tuple[str, str, str], ...]  # (factor, reference level, level)
    estimate: float
    low: float
    high: float
    n_seeds: int
    matched: int


def factorial_effects(
    settings: Sequence[Mapping[str, str]],
    values: ArrayLike,
    seeds: Sequence[int],
    references: Mapping[str, str],
    level: float = 0.95,
) -> list[Effect]:
    """Main effects and pairwise interactions of a sweep over combinations of settings, one row a run.

    Runs are compared only with runs of the same seed that differ in the contrasted factors and nothing else, so a sweep
    with holes stays unbiased by its holes; a contrast without any complete match is left out. `references` names the
    level that each factor is compared with.

    Args:
        settings: factor -> setting of every run, [runs].
        values: what is explained, such as tau, [runs].
        seeds: of the runs, [runs]; only runs of one seed are compared.
        references: factor -> the setting that counts as its absence.
        level: share of the replicates that the interval holds, between 0 and 1.

    Returns:
        One entry a contrast that has a complete match.

    Raises:
        ValueError: unequal lengths, NaN values, a run that lacks a factor of `references`, and two runs of one setting
            and seed.

    >>> runs = [{"a": a, "b": b} for a in "01" for b in "01"]
    >>> [(e.changes, e.estimate) for e in factorial_effects(runs, [1, 2, 4, 9], [0] * 4, {"a": "0", "b": "0"})]
    [((('a', '0', '1'),), 5.0), ((('b', '0', '1'),), 3.0), ((('a', '0', '1'), ('b', '0', '1')), 4.0)]
    """
    y = np.asarray(values, np.float64)
    if not len(settings) == len(y) == len(seeds):
        raise ValueError(f"{len(settings)} settings, {len(y)} values and {len(seeds)} seeds do not pair")
    if np.isnan(y).any():
        raise ValueError("values hold NaN; leave such runs out and list them")
    factors = sorted(references)
    table: dict[tuple[int, tuple[str, ...]], float] = {}
    for row, value, seed in zip(settings, y, seeds, strict=True):
        if missing := [f for f in factors if f not in row]:
            raise ValueError(f"a run has no setting for factor {missing[0]}; every run needs every factor")
        key = (seed, tuple(row[f] for f in factors))
        if key in table:
            raise ValueError(f"two runs share seed {seed} and settings {dict(row)}; keep one of them")
        table[key] = float(value)
    levels = {f: sorted({row[f] for row in settings} - {references[f]}) for f in factors}
    contrasts = [[(f, a)] for f in factors for a in levels[f]]
    contrasts += [[(f, a), (g, b)] for f, g in combinations(factors, 2) for a in levels[f] for b in levels[g]]
    effects = (_contrast(table, factors, references, contrast=contrast, level=level) for contrast in contrasts)
    return [effect for effect in effects if effect.matched]


def _contrast(
    table: Mapping[tuple[int, tuple[str, ...]], float],
    factors: list[str],
    references: Mapping[str, str],
    contrast: list[tuple[str, str]],
    level: float,
) -> Effect:
    by_seed: dict[int, list[float]] = {}
    for seed, setting in table:
        if any(setting[factors.index(f)] != a for f, a in contrast):
            continue
        total = 0.0
        try:
            for size in range(len(contrast) + 1):
                for put_back in combinations(contrast, size):
                    corner = list(setting)
                    for f, _ in put_back:
                        corner[factors.index(f)] = references[f]
                    total += (-1) ** size * table[seed, tuple(corner)]
        except KeyError:
            continue  # a hole in the sweep: this contrast has no match here
        by_seed.setdefault(seed, []).append(total)
    means = np.array([np.mean(v) for v in by_seed.values()])
    estimate, half = (float(means.mean()) if len(means) else math.nan), math.nan
    if len(means) > 1:
        from scipy.stats import t

        half = float(t.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means)))
    changes = tuple((f, references[f], a) for f, a in contrast)
    return Effect(
        changes,
        estimate,
        estimate - half,
        high=estimate + half,
        n_seeds=len(means),
        matched=sum(map(len, by_seed.values())),
    )
