"""What every search space offers: architectures as immutable values, and the algebra over them.

Nothing here knows of torch: spaces are integers, strings and graphs, so that tables and searches open in milliseconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

import numpy as np

from nas_lightning.errors import UserError


class ArchitectureError(UserError):
    """Malformed architecture: the message says in one sentence what is wrong and what is expected."""


A = TypeVar("A", bound=Hashable)


class Space(ABC, Generic[A]):
    """A search space: the set of its architectures, and what can be done with them.

    An architecture is an immutable, hashable, picklable value; ``str(arch)`` is the field's own string form and
    ``space.parse`` reads it back. Two architectures are *isomorphic* when they compute the same function up to a
    renaming of vertices (and, where the benchmark's definition says so, after removal of parts that cannot matter).

    A *genome* is the raw categorical encoding: one integer per gene, gene ``i`` in ``range(cardinalities[i])``.
    """

    name: ClassVar[str]
    operations: ClassVar[tuple[str, ...]]
    cardinalities: ClassVar[tuple[int, ...]]
    size: ClassVar[int]  # number of raw encodings that `sample` draws from
    unique_size: ClassVar[int | None]  # number of isomorphism classes; None where nobody has counted them

    @abstractmethod
    def parse(self, text: str) -> A:
        """Read the field's string form. Raises ArchitectureError naming what is wrong."""

    def format(self, arch: A) -> str:
        """The field's string form, equal to ``str(arch)``."""
        return str(arch)

    @abstractmethod
    def canonical(self, arch: A) -> A:
        """The one representative of the isomorphism class of `arch`."""

    @abstractmethod
    def key(self, arch: A) -> str:
        """Identity of the isomorphism class: equal for two architectures exactly when they are isomorphic."""

    @abstractmethod
    def members(self, arch: A) -> list[A]:
        """All encodings isomorphic to `arch` that are as small as its canonical form, in a fixed order."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> A:
        """Uniform over raw encodings."""

    @abstractmethod
    def sample_unique(self, rng: np.random.Generator) -> A:
        """Uniform over isomorphism classes; returns the canonical representative."""

    @abstractmethod
    def neighbours(self, arch: A) -> list[A]:
        """All distinct valid architectures one elementary change away, in a fixed order, without `arch` itself."""

    @abstractmethod
    def mutate(self, arch: A, rng: np.random.Generator) -> A:
        """One random elementary change, uniform over changes; never returns `arch` itself."""

    @abstractmethod
    def encode(self, arch: A) -> np.ndarray:
        """Genome of `arch`, int64 [len(cardinalities)]."""

    @abstractmethod
    def decode(self, genome: Sequence[int] | np.ndarray) -> A:
        """Inverse of `encode`. Raises ArchitectureError where the genome is no valid architecture."""

    def one_hot(self, arch: A) -> np.ndarray:
        """Concatenated one-hot genes, float32 [sum(cardinalities)]."""
        genome = self.encode(arch)
        out = np.zeros(sum(self.cardinalities), np.float32)
        offsets = np.concatenate([[0], np.cumsum(self.cardinalities)[:-1]])
        out[offsets + genome] = 1.0
        return out

    @abstractmethod
    def operation_counts(self, arch: A) -> np.ndarray:
        """How often each of `operations` occurs, int64 [len(operations)] (DARTS: normal, then reduction cell)."""

    @abstractmethod
    def depth(self, arch: A) -> int:
        """Number of parametrised operations on the longest input-output path of a cell (DARTS: normal cell)."""

    def enumerate(self) -> Iterator[A]:
        """All canonical representatives in the benchmark's own order. Raises NotImplementedError where not finite."""
        raise NotImplementedError(f"{self.name} is too large to enumerate; draw from it with sample or sample_unique")
