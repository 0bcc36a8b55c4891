"""A search space cut down to listed architectures: those of a table that does not cover its space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nas_lightning.search.trial import SearchError
from nas_lightning.spaces.base import Space


class ListedSpace(Space[Any]):
    """The architectures of `architectures`, with the algebra of `space` where it stays inside and the nearest listed
    architectures where it would leave.

    Distance is the number of genes that differ. Neighbours are the `neighbourhood` nearest ones (ties in the order of
    the list), and a mutation takes one of them. Raises SearchError for fewer than two architectures.
    """

    def __init__(self, space: Space[Any], architectures: Sequence[Any], neighbourhood: int = 16):
        if len(architectures) < 2:
            raise SearchError(
                f"a search needs at least two architectures to choose from, the table has {len(architectures)}"
            )
        self.whole, self.neighbourhood = space, neighbourhood
        self.architectures = list(architectures)
        self.name, self.operations = space.name, space.operations  # type: ignore[misc]
        self.cardinalities = space.cardinalities  # type: ignore[misc]
        self.size = self.unique_size = len(self.architectures)  # type: ignore[misc]
        self._genomes = np.stack([space.encode(arch) for arch in self.architectures]).astype(np.int16)
        self._near: dict[Any, list[Any]] = {}

    def parse(self, text: str) -> Any:
        return self.whole.parse(text)

    def format(self, arch: Any) -> str:
        return self.whole.format(arch)

    def canonical(self, arch: Any) -> Any:
        return self.whole.canonical(arch)

    def key(self, arch: Any) -> str:
        return self.whole.key(arch)

    def sample(self, rng: np.random.Generator) -> Any:
        """Uniform over the list."""
        return self.architectures[rng.integers(len(self.architectures))]

    def sample_unique(self, rng: np.random.Generator) -> Any:
        return self.sample(rng)

    def neighbours(self, arch: Any) -> list[Any]:
        near = self._near.get(arch)
        if near is None:
            distance = (self._genomes != self.whole.encode(arch)).sum(axis=1)
            order = np.argsort(distance, kind="stable")[: self.neighbourhood + 1]
            near = [self.architectures[i] for i in order if self.architectures[i] != arch][: self.neighbourhood]
            self._near[arch] = near
        return list(near)

    def mutate(self, arch: Any, rng: np.random.Generator) -> Any:
        near = self._near.get(arch) or self.neighbours(arch)
        return near[rng.integers(len(near))]

    def nearest(self, genome: Sequence[int] | np.ndarray) -> Any:
        """The listed architecture with the fewest differing genes; the first of several."""
        return self.architectures[int((self._genomes != np.asarray(genome)).sum(axis=1).argmin())]

    def encode(self, arch: Any) -> np.ndarray:
        return self.whole.encode(arch)

    def decode(self, genome: Sequence[int] | np.ndarray) -> Any:
        return self.whole.decode(genome)

    def operation_counts(self, arch: Any) -> np.ndarray:
        return self.whole.operation_counts(arch)

    def depth(self, arch: Any) -> int:
        return self.whole.depth(arch)

    def enumerate(self) -> Iterator[Any]:
        return iter(self.architectures)
