"""Search spaces cut down: to the architectures of a table, or to those that a super-net holds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.search.trial import SearchError
from nas_lightning.spaces.base import ArchitectureError, Space
from nas_lightning.spaces.encoding import Columns, Encoding

MOST_KEYED = 5000
"""Listed architectures of which classes are computed beforehand."""


class SubSpace(Space[Any]):
    """A part of `whole` that keeps its encodings, strings and classes."""

    def __init__(self, whole: Space[Any]):
        self.whole = whole
        self.name, self.operations, self.cardinalities = whole.name, whole.operations, whole.cardinalities  # type: ignore[misc]
        self.size, self.unique_size = whole.size, None  # type: ignore[misc]
        facts = ("architecture_type", "published", "smallest_depth", "top_k", "capabilities", "network")
        for fact in (*facts, "ordered_genes", "zero_operation", "identity_operation"):
            if hasattr(whole, fact):
                setattr(self, fact, getattr(whole, fact))

    def reads_tables_of(self, name: str) -> bool:
        return self.whole.reads_tables_of(name)

    def parse(self, text: str) -> Any:
        return self.whole.parse(text)

    def format(self, arch: Any) -> str:
        return self.whole.format(arch)

    def canonical(self, arch: Any) -> Any:
        return self.whole.canonical(arch)

    def key(self, arch: Any) -> str:
        return self.whole.key(arch)

    def members(self, arch: Any) -> list[Any]:
        return [member for member in self.whole.members(arch) if self.holds(member)]

    @abstractmethod
    def holds(self, arch: Any) -> bool:
        """Whether `arch` belongs to this part."""

    def encode(self, arch: Any) -> np.ndarray:
        return self.whole.encode(arch)

    def decode(self, genome: Sequence[int] | np.ndarray) -> Any:
        return self.whole.decode(genome)

    def operation_counts(self, arch: Any) -> np.ndarray:
        return self.whole.operation_counts(arch)

    def depth(self, arch: Any) -> int:
        return self.whole.depth(arch)

    def permuted(self, arch: Any, rng: np.random.Generator) -> tuple[Any, ...]:
        return self.whole.permuted(arch, rng)

    def admits(self, arch: Any, mapping: PlanMapping) -> bool:
        return self.holds(arch) and self.whole.admits(arch, mapping)

    def check_mapping(self, mapping: PlanMapping) -> None:
        self.whole.check_mapping(mapping)

    def _costs(self, archs: list[Any], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.whole._costs(archs, **shape)

    def table_columns(self, archs: Sequence[Any]) -> dict[str, Any]:
        return self.whole.table_columns(archs)

    def open_encoding(self, columns: Columns) -> Encoding:
        return self.whole.open_encoding(columns)

    def one_hot(self, arch: Any) -> np.ndarray:
        return self.whole.one_hot(arch)

    def paths(self, arch: Any) -> list[tuple[str, ...]]:
        return self.whole.paths(arch)

    def operation_graph(self, arch: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.whole.operation_graph(arch)

    def smallest(self) -> list[Any]:
        """Of the whole space: what leads to this part need not belong to it."""
        return self.whole.smallest()

    def grown(self, arch: Any) -> list[Any]:
        return self.whole.grown(arch)

    def smaller(self, arch: Any) -> list[Any]:
        return self.whole.smaller(arch)

    def grown_forms(self, arch: Any) -> list[Any]:
        return self.whole.grown_forms(arch)

    def structure_groups(self, arch: Any) -> dict[str, str]:
        return self.whole.structure_groups(arch)

    def operation_columns(self) -> list[str]:
        return self.whole.operation_columns()


class ListedSpace(SubSpace):
    """The listed architectures. Sampling is uniform over the list; where the algebra of the whole space would leave the
    list, the nearest listed architectures stand in.

    Distance is the number of genes that differ; of a gene that counts an ordered scale it is the share of that scale.
    Neighbours are the `neighbourhood` nearest ones (ties in the order of the list), and a mutation takes one of them.
    Raises SearchError for fewer than two architectures.
    """

    def __init__(self, whole: Space[Any], architectures: Sequence[Any], neighbourhood: int = 16):
        super().__init__(whole)
        self.architectures = list(architectures)
        if len(self.architectures) < 2:
            raise SearchError(f"a search needs two architectures or more, the table offers {len(self.architectures)}")
        self.neighbourhood = neighbourhood
        self.size = self.unique_size = len(self.architectures)  # type: ignore[misc]
        self._genomes = np.stack([whole.encode(arch) for arch in self.architectures]).astype(np.int16)
        self._listed = frozenset(self.architectures)
        ordered = np.asarray(getattr(whole, "ordered_genes", (False,) * self._genomes.shape[1]))
        self._numbers = np.flatnonzero(ordered)
        self._words = np.flatnonzero(~ordered)
        self._scale = np.maximum(np.asarray(whole.cardinalities)[self._numbers] - 1, 1)
        self._near: dict[Any, list[Any]] = {}

    def holds(self, arch: Any) -> bool:
        return arch in self._listed

    def members(self, arch: Any) -> list[Any]:
        """The listed ones of its class. Where at most one is, the list knows it, and the class is not gone through."""
        if len(self.architectures) <= MOST_KEYED:
            listed = self._by_class.get(self.whole.key(arch), [])
            if len(listed) < 2:
                return list(listed)
        return super().members(arch)

    @cached_property
    def _by_class(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for arch in self.architectures:
            found.setdefault(self.whole.key(arch), []).append(arch)
        return found

    def sample(self, rng: np.random.Generator) -> Any:
        return self.architectures[rng.integers(len(self.architectures))]

    def sample_unique(self, rng: np.random.Generator) -> Any:
        return self.sample(rng)

    def _distance(self, genome: np.ndarray) -> np.ndarray:
        """Of every listed architecture to a genome, float64 or int64 [n]."""
        if not len(self._numbers):
            return np.asarray((self._genomes != genome).sum(axis=1))
        apart = np.abs(self._genomes[:, self._numbers] - genome[self._numbers]) / self._scale
        return np.asarray(apart.sum(axis=1) + (self._genomes[:, self._words] != genome[self._words]).sum(axis=1))

    def neighbours(self, arch: Any) -> list[Any]:
        near = self._near.get(arch)
        if near is None:
            distance = self._distance(self.whole.encode(arch))
            order = np.argsort(distance, kind="stable")[: self.neighbourhood + 1]
            near = [self.architectures[i] for i in order if self.architectures[i] != arch][: self.neighbourhood]
            self._near[arch] = near
        return list(near)

    def mutate(self, arch: Any, rng: np.random.Generator) -> Any:
        near = self._near.get(arch) or self.neighbours(arch)
        return near[rng.integers(len(near))]

    def nearest(self, genome: Sequence[int] | np.ndarray) -> Any:
        """The listed architecture at the smallest distance; the first of several."""
        return self.architectures[int(self._distance(np.asarray(genome)).argmin())]

    def enumerate(self) -> Iterator[Any]:
        return iter(self.architectures)

    @cached_property
    def _larger(self) -> dict[Any, list[Any]]:
        """What the listed architectures grow from, listed or not -> one step larger, towards listed ones."""
        todo = [arch for listed in self.architectures for arch in self.whole.grown_forms(listed)]
        found: dict[Any, list[Any]] = {arch: [] for arch in todo}
        while todo:
            larger = todo.pop()
            for arch in self.whole.smaller(larger):
                if arch not in found:
                    todo.append(arch)
                found.setdefault(arch, []).append(larger)
        return found

    def smallest(self) -> list[Any]:
        """Those of the whole space that a listed architecture grows from."""
        if self._grows_by_genes:
            return [arch for first in self.whole.smallest() for arch in self._of_genome(self.whole.encode(first))]
        return [arch for arch in self.whole.smallest() if arch in self._larger]

    def grown(self, arch: Any) -> list[Any]:
        """Those of the whole space that are listed, or that a listed architecture grows from."""
        if not self._grows_by_genes:
            return list(self._larger.get(arch, ()))
        genome = self.whole.encode(arch)
        ahead = self._genomes[((self._genomes == genome) | (genome == 0)).all(axis=1)]
        found: dict[Any, None] = {}
        for gene in np.flatnonzero(genome == 0).tolist():
            for value in np.unique(ahead[:, gene]).tolist():
                changed = genome.copy()
                changed[gene] = value
                found.update(dict.fromkeys(self._of_genome(changed) if value else ()))
        return list(found)

    def _of_genome(self, genome: np.ndarray) -> list[Any]:
        """The listed architectures of a genome, of which a scale that is coarser than theirs has several; where none
        is listed the one that it decodes to, if it is valid."""
        if listed := self._by_genome.get(genome.astype(np.int16).tobytes()):
            return listed
        try:
            return [self.whole.decode(genome)]
        except ArchitectureError:
            return []

    @cached_property
    def _by_genome(self) -> dict[bytes, list[Any]]:
        found: dict[bytes, list[Any]] = {}
        for arch, genome in zip(self.architectures, self._genomes, strict=True):
            found.setdefault(genome.tobytes(), []).append(arch)
        return found

    @property
    def _grows_by_genes(self) -> bool:
        return type(self.whole).grown is Space.grown


class AdmissibleSpace(SubSpace):
    """The architectures that `admits` accepts; draws that it refuses are repeated.

    Raises SearchError where none of `max_tries` draws is accepted.
    """

    max_tries = 10_000

    def __init__(self, whole: Space[Any], admits: Callable[[Any], bool]):
        super().__init__(whole)
        self._admits = admits

    def holds(self, arch: Any) -> bool:
        return self._admits(arch)

    def _first_admissible(self, draw: Callable[[], Any]) -> Any:
        for _ in range(self.max_tries):
            arch = draw()
            if self._admits(arch):
                return arch
        raise SearchError(f"none of {self.max_tries} draws from {self.name} is held by this super-net")

    def sample(self, rng: np.random.Generator) -> Any:
        return self._first_admissible(lambda: self.whole.sample(rng))

    def sample_unique(self, rng: np.random.Generator) -> Any:
        return self._first_admissible(lambda: self.whole.sample_unique(rng))

    def neighbours(self, arch: Any) -> list[Any]:
        return [other for other in self.whole.neighbours(arch) if self._admits(other)]

    def mutate(self, arch: Any, rng: np.random.Generator) -> Any:
        return self._first_admissible(lambda: self.whole.mutate(arch, rng))

    def decode(self, genome: Sequence[int] | np.ndarray) -> Any:
        arch = self.whole.decode(genome)
        if not self._admits(arch):
            raise ArchitectureError(f"{arch} is an architecture that this super-net does not hold")
        return arch

    def enumerate(self) -> Iterator[Any]:
        return (arch for arch in self.whole.enumerate() if self._admits(arch))
