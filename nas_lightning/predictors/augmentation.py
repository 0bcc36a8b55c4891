"""More training cells for nothing: every renaming of a cell's vertices has the same accuracy.

Xie et al., "Graph Isomorphism Augmentation for Neural Predictors" (GIAug, arXiv 2207.00987): the interior vertices of a
cell are permuted, adjacency and operations alike, padding included: 5! = 120 copies on NAS-Bench-101, 6! = 720 on
NAS-Bench-201 as operations on vertices. Copies may have edges that point backwards. Equal copies of a symmetric cell
are kept once; each copy weighs 1 / (number of its cell's copies), so that every cell counts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np

from nas_lightning.spaces.base import Space


@lru_cache(maxsize=4)
def _permutations(n: int) -> np.ndarray:
    """All permutations of n vertices, int64 [n!, n]."""
    return np.array(list(permutations(range(n))), np.int64)


def graph_features(adjacency: np.ndarray, labels: np.ndarray, operations: int) -> np.ndarray:
    """Adjacency without its first column and last row, then one-hot operations of the interior vertices.

    Args:
        adjacency: uint8 [m, v, v] (source, target), m copies.
        labels: int64 [m, v - 2], -1 for a vertex that is not there.
        operations: how many the space has; the absent vertex is one more.

    Returns:
        float64 [m, (v - 1)² + (v - 2)(operations + 1)].
    """
    flat = adjacency[:, :-1, 1:].reshape(len(adjacency), -1)
    one_hot = (labels[:, :, None] == np.arange(-1, operations)).reshape(len(labels), -1)
    return np.concatenate([flat, one_hot], axis=1).astype(np.float64)


def encode_graphs(space: Space[Any], archs: Sequence[Any]) -> np.ndarray:
    """Features of n cells as they are, float64 [n, d]; see `graph_features`.

    Args:
        space: whose architectures they are.
        archs: n architectures of it.

    Returns:
        float64 [n, d].
    """
    graphs = [space.operation_graph(arch) for arch in archs]
    return graph_features(
        np.stack([adjacency for adjacency, _ in graphs]),
        np.stack([labels for _, labels in graphs]),
        len(space.operations),
    )


def copies(space: Space[Any], arch: Any) -> np.ndarray:
    """Features of all distinct renamings of one cell, float64 [copies, d], in a fixed order.

    Args:
        space: whose architectures they are.
        arch: an architecture of it.

    Returns:
        float64 [copies, d], `arch` itself among them.
    """
    adjacency, labels = space.operation_graph(arch)
    order = _permutations(len(labels))  # [m, v - 2]
    interior = order + 1
    m, last = len(order), len(adjacency) - 1
    whole = np.concatenate([np.zeros((m, 1), np.int64), interior, np.full((m, 1), last)], axis=1)
    permuted = adjacency[whole[:, :, None], whole[:, None, :]]
    return np.unique(graph_features(permuted, labels[order], len(space.operations)), axis=0)


def augmented(space: Space[Any], archs: Sequence[Any], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All copies of n labelled cells.

    Args:
        space: the search space; it must know its cells as graphs (`Space.operation_graph`).
        archs: n training cells. Split before augmenting: the copies of a cell belong on one side.
        values: their labels, float64 [n].

    Returns:
        Features float64 [m, d], labels float64 [m], weights float64 [m] that sum to n.
    """
    found = [copies(space, arch) for arch in archs]
    sizes = np.array([len(rows) for rows in found])
    return np.concatenate(found), np.repeat(np.asarray(values, np.float64), sizes), np.repeat(1 / sizes, sizes)
