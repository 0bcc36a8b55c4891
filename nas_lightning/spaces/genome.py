"""Architectures as genomes, one integer a choice, and how they grow choice by choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar, Generic, TypeVar

import numpy as np

from nas_lightning.spaces.errors import ArchitectureError

A = TypeVar("A", bound=Hashable)


class Genomes(ABC, Generic[A]):
    """What a `nas_lightning.spaces.base.Space` knows of its raw categorical encoding: gene ``i`` lies in
    ``range(cardinalities[i])``. Progressive searches grow architectures step by step, by default gene by gene."""

    cardinalities: ClassVar[tuple[int, ...]]

    @abstractmethod
    def encode(self, arch: A) -> np.ndarray:
        """Genome of `arch`, int64 [len(cardinalities)].

        Args:
            arch: an architecture.

        Returns:
            One gene a choice, gene i in range(cardinalities[i]).
        """

    @abstractmethod
    def decode(self, genome: Sequence[int] | np.ndarray) -> A:
        """Inverse of `encode`.

        Args:
            genome: whole numbers [len(cardinalities)].

        Returns:
            The architecture.

        Raises:
            ArchitectureError: the genome is no valid architecture.
        """

    def one_hot(self, arch: A) -> np.ndarray:
        """Concatenated one-hot genes, float32 [sum(cardinalities)].

        Args:
            arch: an architecture.

        Returns:
            Zeros, and a one a gene.
        """
        genome = self.encode(arch)
        out = np.zeros(sum(self.cardinalities), np.float32)
        offsets = np.concatenate([[0], np.cumsum(self.cardinalities)[:-1]])
        out[offsets + genome] = 1.0
        return out

    def smallest(self) -> list[A]:
        """The architectures that every other one grows from, each once, in a fixed order.

        By default the one whose genes are all at their first choice: NAS-Bench-201's cell without an edge.

        Returns:
            At least one architecture.
        """
        return [self.decode(np.zeros(len(self.cardinalities), np.int64))]

    def grown(self, arch: A) -> list[A]:
        """All architectures one step larger than `arch`, each once, in a fixed order; empty where it is complete.

        By default one more gene leaves its first choice: in NAS-Bench-201 an edge gets an operation.

        Args:
            arch: an architecture.

        Returns:
            Architectures of the space.
        """
        genome = self.encode(arch)
        changes = [(i, new) for i in np.flatnonzero(genome == 0).tolist() for new in range(1, self.cardinalities[i])]
        return self._with_genes(genome, changes, arch)

    def smaller(self, arch: A) -> list[A]:
        """All architectures that `arch` is one step larger than: the inverse of `grown`, in a fixed order.

        Args:
            arch: an architecture.

        Returns:
            Architectures of the space; empty for the smallest.
        """
        genome = self.encode(arch)
        return self._with_genes(genome, [(i, 0) for i in np.flatnonzero(genome).tolist()], arch)

    def grown_forms(self, arch: A) -> list[A]:
        """The members of the class of `arch` that growing leads to, where `arch` itself need not be one.

        Args:
            arch: an architecture.

        Returns:
            Isomorphic architectures.
        """
        return [arch]

    def _with_genes(self, genome: np.ndarray, changes: Sequence[tuple[int, int]], arch: A) -> list[A]:
        """The valid architectures after each change of one gene, without `arch`."""
        found: dict[A, None] = {}
        for gene, value in changes:
            changed = genome.copy()
            changed[gene] = value
            try:
                found[self.decode(changed)] = None
            except ArchitectureError:
                continue
        found.pop(arch, None)
        return list(found)
