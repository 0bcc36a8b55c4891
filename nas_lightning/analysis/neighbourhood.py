"""Which architectures of a table are one change apart, as a sparse graph over the table's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from nas_lightning.benchmarks import Benchmark
from nas_lightning.spaces.base import Space

Track = Callable[[Sequence[int] | range], Iterable[int]]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Rows of a table and their neighbours: those of row i are ``indices[indptr[i]:indptr[i + 1]]``.

    `complete` says that the neighbours of every row are rows, so that what is counted on the graph is exact; on a
    sample of a space it is False, and then local optima and basins mean nothing.
    """

    indptr: np.ndarray  # int64 [rows + 1]
    indices: np.ndarray  # int32 [edges]
    complete: bool
    definition: str

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def degree(self) -> np.ndarray:
        """Neighbours of every row, int64 [rows]."""
        return np.diff(self.indptr)

    @cached_property
    def sources(self) -> np.ndarray:
        """The row that each entry of `indices` is a neighbour of, int32 [edges]."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.degree)

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """Adjacency, float64 [rows, rows]."""
        return sparse.csr_matrix((np.ones(len(self.indices)), self.indices, self.indptr), shape=(len(self), len(self)))

    def best_neighbour(self, fitness: np.ndarray) -> np.ndarray:
        """Row of the fittest neighbour of every row (of equal ones the first), int64 [rows]; itself without any."""
        best = np.arange(len(self))
        filled = np.flatnonzero(self.degree)
        if not len(filled):
            return best
        values = fitness[self.indices]
        top = np.maximum.reduceat(values, self.indptr[filled])
        place = np.arange(len(values))
        is_top = values == np.repeat(top, self.degree[filled])
        first = np.minimum.reduceat(np.where(is_top, place, len(values)), self.indptr[filled])
        best[filled] = self.indices[first]
        return best

    def distances(self, row: int) -> np.ndarray:
        """Least number of changes between every row and `row`, int64 [rows]; -1 where no chain of rows leads there."""
        distance = np.full(len(self), -1, np.int64)
        distance[row] = 0
        step, frontier = 0, np.array([row])
        backwards = self.matrix.T.tocsr()
        while len(frontier):
            step += 1
            reached = np.unique(backwards[frontier].indices)
            frontier = reached[distance[reached] < 0]
            distance[frontier] = step
        return distance


def is_product(space: Space[Any]) -> bool:
    """Whether every genome of the space is an architecture, so that a change is another value of one gene."""
    return int(np.prod(space.cardinalities, dtype=np.float64)) == space.size


def genome_codes(space: Space[Any], genomes: np.ndarray) -> np.ndarray:
    """Genomes int [n, genes] read as mixed-radix numbers, int64 [n]."""
    return np.asarray(genomes, np.int64) @ _places(space)


def _places(space: Space[Any]) -> np.ndarray:
    return np.append(np.cumprod(space.cardinalities[:0:-1])[::-1], 1).astype(np.int64)


def product_neighbourhood(space: Space[Any], genomes: np.ndarray) -> Neighbourhood:
    """Rows whose genomes differ in one gene. `genomes` is int [rows, genes], each at most once.

    Neighbours are listed gene by gene and by ascending value.
    """
    codes, places = genome_codes(space, genomes), _places(space)
    row_of = np.full(space.size, -1, np.int32)
    row_of[codes] = np.arange(len(codes), dtype=np.int32)
    columns = []
    for gene, cardinality in enumerate(space.cardinalities):
        for value in range(cardinality):
            moved = row_of[codes + (value - genomes[:, gene]) * places[gene]]
            columns.append(np.where(genomes[:, gene] == value, -1, moved))
    found = np.stack(columns, axis=1)
    degree = (found >= 0).sum(axis=1)
    expected = sum(space.cardinalities) - len(space.cardinalities)
    return Neighbourhood(
        np.concatenate([[0], np.cumsum(degree)]),
        found[found >= 0].astype(np.int32),
        bool((degree == expected).all()),
        f"one of {len(space.cardinalities)} genes changed: {expected} neighbours",
    )


def listed_neighbourhood(table: Benchmark, track: Track = iter) -> Neighbourhood:
    """By asking the space for the neighbours of every row, in Python: for spaces without a faster way."""
    indptr, indices, whole = [0], [], True
    architectures = table.architectures()
    for i in track(range(len(architectures))):
        rows = table.rows(table.domain.neighbours(architectures[i]))
        whole &= bool((rows >= 0).all())
        kept = np.unique(rows[(rows >= 0) & (rows != i)])
        indices.append(kept.astype(np.int32))
        indptr.append(indptr[-1] + len(kept))
    joined = np.concatenate(indices) if indices else np.zeros(0, np.int32)
    return Neighbourhood(np.array(indptr, np.int64), joined, whole, "neighbours as the space defines them")


def neighbourhood(table: Benchmark, track: Track = iter) -> Neighbourhood:
    """The neighbour graph of a table's rows.

    Args:
        table: of any space; NAS-Bench-101 and spaces whose genomes are all valid are done with whole arrays.
        track: wraps the loop for a progress bar.
    """
    space = table.domain
    if is_product(space):
        return product_neighbourhood(space, np.stack([space.encode(arch) for arch in table.architectures()]))
    if space.table_neighbourhood:  # with whole arrays
        module, _, leaf = space.table_neighbourhood.partition(":")
        found: Neighbourhood = getattr(import_module(module), leaf)(table, track)
        return found
    return listed_neighbourhood(table, track)
