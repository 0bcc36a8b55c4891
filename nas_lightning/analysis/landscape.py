"""The fitness landscape footprint of a table: how hard a space is for a search that moves by small changes.

Traoré, Camero, Zhu, "Fitness landscape footprint: a framework to compare neural architecture search problems", arXiv
2111.01584, section 3: mean and deviation of the fitness, number of local optima, ruggedness, positive and negative
persistence and their areas. Exact on the neighbour graph of a whole table; `walks.py` estimates what a space without
one allows. Fitness is higher-is-better; rows without a number (NaN) must be left out before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse, stats
from scipy.sparse.csgraph import connected_components

from nas_lightning.analysis.neighbourhood import Neighbourhood
from nas_lightning.errors import UserError


@dataclass(frozen=True, eq=False)
class Basins:
    """Where best-improvement ascent ends: from every row to its fittest neighbour, as long as that is strictly better.

    `optimum` is the row that each row ends at, int64 [rows]; `steps` the number of moves, int64 [rows].
    """

    optimum: np.ndarray
    steps: np.ndarray

    def shares(self) -> dict[int, float]:
        """Share of all rows that end at each local optimum, largest first."""
        rows, counts = np.unique(self.optimum, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {int(rows[i]): float(counts[i] / len(self.optimum)) for i in order}


def strict_maxima(graph: Neighbourhood, fitness: np.ndarray) -> np.ndarray:
    """Rows fitter than every neighbour, ascending, int64."""
    return np.flatnonzero((fitness > fitness[graph.best_neighbour(fitness)]) & (graph.degree > 0))


def weak_maxima(graph: Neighbourhood, fitness: np.ndarray) -> np.ndarray:
    """Rows with no fitter neighbour (plateaus count, row by row), ascending, int64."""
    return np.flatnonzero((fitness >= fitness[graph.best_neighbour(fitness)]) & (graph.degree > 0))


def basins(graph: Neighbourhood, fitness: np.ndarray) -> Basins:
    """Ascent from every row at once."""
    best = graph.best_neighbour(fitness)
    rows = np.arange(len(graph))
    step_to = np.where(fitness[best] > fitness, best, rows)
    here, steps = rows, np.zeros(len(graph), np.int64)
    while (moved := step_to[here] != here).any():
        steps += moved
        here = step_to[here]
    return Basins(here, steps)


def autocorrelation(graph: Neighbourhood, fitness: np.ndarray, lags: int = 1) -> np.ndarray:
    """Exact autocorrelation of the fitness along an endless random walk, float64 [lags], for 1, 2, … steps.

    A walk visits rows in proportion to their degree, and one step is a uniform neighbour (Weinberger, "Correlated and
    uncorrelated fitness landscapes and how to tell the difference", 1990). Rows without neighbours are never visited.
    """
    degree = graph.degree.astype(np.float64)
    weight = degree / degree.sum()
    centred = fitness - weight @ fitness
    variance = weight @ centred**2
    step = sparse.diags(1 / np.maximum(degree, 1)) @ graph.matrix
    out, ahead = np.empty(lags), centred
    for lag in range(lags):
        ahead = step @ ahead
        out[lag] = weight @ (centred * ahead) / variance
    return out


def neutral_networks(graph: Neighbourhood, fitness: np.ndarray, tolerance: float = 0.0) -> int:
    """Number of connected sets of two rows or more whose neighbours in the set differ by `tolerance` at most.

    The number depends on the tolerance: exact means of runs are hardly ever equal but for isomorphic cells.
    """
    flat = np.abs(fitness[graph.sources] - fitness[graph.indices]) <= tolerance
    edges = (np.ones(int(flat.sum())), (graph.sources[flat], graph.indices[flat]))
    _, label = connected_components(sparse.csr_matrix(edges, shape=graph.matrix.shape), directed=False)
    return int((np.bincount(label) > 1).sum())


def persistence(fitness_by_epoch: Sequence[np.ndarray], percent: float, positive: bool = True) -> float:
    """Share of the best (or worst) `percent` % at the first epoch that stays among them at all later epochs.

    `fitness_by_epoch` holds one float64 [rows] an epoch, ascending in epochs; equal values stand in the order of rows.
    """
    n = max(1, round(len(fitness_by_epoch[0]) * percent / 100))
    sign = -1.0 if positive else 1.0
    members = [np.argsort(sign * fitness, kind="stable")[:n] for fitness in fitness_by_epoch]
    kept = set(members[0].tolist())
    for later in members[1:]:
        kept &= set(later.tolist())
    return len(kept) / n


def persistence_curve(fitness_by_epoch: Sequence[np.ndarray], positive: bool = True) -> np.ndarray:
    """`persistence` at 1, 2, … 25 %, float64 [25]."""
    return np.array([persistence(fitness_by_epoch, percent, positive) for percent in range(1, 26)])


def persistence_area(curve: np.ndarray) -> float:
    """Area under a persistence curve from 1 to 25 %, both axes as fractions (trapezoids); 0.24 where all persists."""
    return float(np.trapezoid(curve, dx=0.01))


@dataclass(frozen=True, eq=False)
class Footprint:
    """The measures of one landscape. `autocorrelation` has one number a step; persistence is empty for one epoch."""

    rows: int
    mean: float
    std: float
    best_row: int
    best: float
    maxima: np.ndarray  # rows of the strict local maxima
    weak: int
    autocorrelation: np.ndarray
    rank_autocorrelation: float
    distance_correlation: float
    distance_rank_correlation: float
    basin_of_best: float
    mean_steps: float
    neutral: int
    basin_shares: Mapping[int, float] = field(default_factory=dict)
    epochs: tuple[int, ...] = ()
    positive: np.ndarray = field(default_factory=lambda: np.zeros(0))  # at 1 … 25 %
    negative: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def ruggedness(self) -> float:
        """The paper's τ = 1 / ρ(1): 1 for a smooth landscape, the larger the more rugged."""
        return 1 / float(self.autocorrelation[0])

    def as_dict(self) -> dict[str, float | int | None]:
        """The measures as plain numbers, by name; persistence None where the table has one epoch."""
        known = len(self.positive) > 0
        return {
            "rows": self.rows,
            "mean": self.mean,
            "std": self.std,
            "best": self.best,
            "strict_maxima": len(self.maxima),
            "weak_maxima": self.weak,
            "rho_1": float(self.autocorrelation[0]),
            "ruggedness": self.ruggedness,
            "rank_rho_1": self.rank_autocorrelation,
            "basin_of_best": self.basin_of_best,
            "mean_steps": self.mean_steps,
            "distance_correlation": self.distance_correlation,
            "distance_spearman": self.distance_rank_correlation,
            "neutral_networks": self.neutral,
            "persistence_positive_25": float(self.positive[-1]) if known else None,
            "persistence_negative_25": float(self.negative[-1]) if known else None,
            "persistence_positive_area": persistence_area(self.positive) if known else None,
            "persistence_negative_area": persistence_area(self.negative) if known else None,
        }


def footprint(
    graph: Neighbourhood,
    fitness: np.ndarray,
    by_epoch: Mapping[int, np.ndarray] | None = None,
    lags: int = 10,
) -> Footprint:
    """All measures of one landscape, exactly.

    Args:
        graph: neighbours of the rows.
        fitness: float64 [rows], higher is better, without NaN.
        by_epoch: fitness after fewer epochs as well, by epochs; two or more give the persistence.
        lags: steps of the autocorrelation.

    Raises:
        UserError: a fitness that does not fit the graph, is not finite, or is one number everywhere.
    """
    fitness = np.asarray(fitness, np.float64)
    if fitness.shape != (len(graph),) or not np.isfinite(fitness).all():
        raise UserError(f"a landscape of {len(graph)} rows needs as many finite numbers, not {fitness.shape}")
    if fitness.min() == fitness.max():
        raise UserError(f"all {len(graph)} rows are worth {fitness[0]:g}: a landscape needs two values or more")
    best = int(np.argmax(fitness))
    distance = graph.distances(best)
    reached = distance >= 0
    ascent = basins(graph, fitness)
    epochs = tuple(sorted(by_epoch)) if by_epoch and len(by_epoch) > 1 else ()
    stages = [np.asarray(by_epoch[epoch], np.float64) for epoch in epochs] if by_epoch else []
    shares = ascent.shares()
    return Footprint(
        rows=len(graph),
        mean=float(fitness.mean()),
        std=float(fitness.std()),
        best_row=best,
        best=float(fitness[best]),
        maxima=strict_maxima(graph, fitness),
        weak=len(weak_maxima(graph, fitness)),
        autocorrelation=autocorrelation(graph, fitness, lags),
        rank_autocorrelation=float(autocorrelation(graph, stats.rankdata(fitness))[0]),
        distance_correlation=float(stats.pearsonr(fitness[reached], distance[reached])[0]),
        distance_rank_correlation=float(stats.spearmanr(fitness[reached], distance[reached])[0]),
        basin_of_best=shares.get(best, 0.0),
        mean_steps=float(ascent.steps.mean()),
        neutral=neutral_networks(graph, fitness),
        basin_shares=shares,
        epochs=epochs,
        positive=persistence_curve(stages) if epochs else np.zeros(0),
        negative=persistence_curve(stages, positive=False) if epochs else np.zeros(0),
    )
