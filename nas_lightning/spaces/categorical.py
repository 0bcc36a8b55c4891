"""Spaces in which every genome is an architecture: one choice per place, none isomorphic to another.

What is left to a space of this kind is its name, the operations, one class of architectures and a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, ClassVar, TypeVar

import numpy as np

from nas_lightning.spaces.base import ArchitectureError, Space
from nas_lightning.spaces.reading import listed, literal, shortened, whole


@dataclass(frozen=True, slots=True, order=True)
class Choices:
    """One choice per place. A subclass names the number of choices of every place in `cardinalities`."""

    operations: tuple[int, ...]
    cardinalities: ClassVar[tuple[int, ...]]

    def __post_init__(self) -> None:
        if type(self.operations) is not tuple or len(self.operations) != len(self.cardinalities):
            raise ArchitectureError(
                f"{type(self).__name__} is a tuple of {len(self.cardinalities)} choices, not "
                f"{shortened(self.operations)}"
            )
        for place, (op, limit) in enumerate(zip(self.operations, self.cardinalities, strict=True)):
            if type(op) is not int or not 0 <= op < limit:
                raise ArchitectureError(
                    f"choice {place} of {type(self).__name__} is {shortened(op)}; use a whole number from 0 to "
                    f"{limit - 1}"
                )

    def __str__(self) -> str:
        """The choices as digits, with dashes between them where one place has more than ten."""
        return ("" if max(self.cardinalities) <= 10 else "-").join(map(str, self.operations))


C = TypeVar("C", bound=Choices)


class CategoricalSpace(Space[C]):
    """All combinations of one choice per place.

    A subclass sets `name`, `operations`, `architecture_type` (a subclass of `Choices`), `published`, `network` and
    what it is capable of; where places offer the same operations, that is all.
    """

    architecture_type: ClassVar[type]
    free_operations: ClassVar[frozenset[str]] = frozenset()
    """The operations without weights of their own: they add no depth."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.cardinalities = cls.architecture_type.cardinalities  # type: ignore[attr-defined]
        cls.size = prod(cls.cardinalities)
        if "unique_size" not in vars(cls):
            cls.unique_size = cls.size

    def _of(self, choices: Sequence[int]) -> C:
        made: C = self.architecture_type(tuple(choices))
        return made

    def parse(self, text: Any) -> C:
        """Reads the choices as digits (``0121``), as numbers or names of operations with commas, dashes or bars
        between them (``0,1,2``, ``|identity|conv3x3|``), or as a list or tuple of either.

        Raises:
            ArchitectureError: another number of choices, or one that there is not.
        """
        if (parts := listed(text)) is not None:
            return self._of([self._choice(part, str(text)) for part in parts])
        if isinstance(text, self.architecture_type):
            return text  # type: ignore[return-value]
        if not isinstance(text, str):
            raise ArchitectureError(f"{shortened(text)} is no architecture of {self.name}; give its choices")
        plain = text.strip()
        if len(plain) == len(self.cardinalities) and plain.isascii() and plain.isdigit():
            return self._of([int(digit) for digit in plain])
        if plain[:1] in ("(", "["):
            parts = listed(literal(plain)) or []
        else:
            parts = [part.strip() for part in self._separated(plain)]
        return self._of([self._choice(part, plain) for part in parts])

    def _separated(self, text: str) -> list[str]:
        for separator in (",", "|", "-"):
            if separator in text:
                return text.strip(separator).split(separator)
        return [text] if text else []

    def _choice(self, part: object, text: str) -> int:
        if isinstance(part, str) and part in self.operations:
            return self.operations.index(part)
        if isinstance(part, str) and not (part.isascii() and part.isdigit() and len(part) < 6):
            raise ArchitectureError(
                f"{shortened(part)} in {shortened(text)} is no operation of {self.name}; the operations are "
                f"{', '.join(self.operations)}"
            )
        return int(part) if isinstance(part, str) else whole(part, f"a choice of {self.name}")

    def canonical(self, arch: C) -> C:
        return arch

    def key(self, arch: C) -> str:
        return str(arch)

    def members(self, arch: C) -> list[C]:
        return [arch]

    def sample(self, rng: np.random.Generator) -> C:
        return self._of(rng.integers(np.array(self.cardinalities)).tolist())

    def sample_unique(self, rng: np.random.Generator) -> C:
        return self.sample(rng)

    def neighbours(self, arch: C) -> list[C]:
        """Another choice in one place."""
        ops = arch.operations
        return [
            self._of([*ops[:place], op, *ops[place + 1 :]])
            for place, limit in enumerate(self.cardinalities)
            for op in range(limit)
            if op != ops[place]
        ]

    def mutate(self, arch: C, rng: np.random.Generator) -> C:
        pick = int(rng.integers(sum(limit - 1 for limit in self.cardinalities)))
        ops = list(arch.operations)
        for place, limit in enumerate(self.cardinalities):
            if pick < limit - 1:
                ops[place] = (ops[place] + 1 + pick) % limit
                break
            pick -= limit - 1
        return self._of(ops)

    def encode(self, arch: C) -> np.ndarray:
        return np.array(arch.operations, np.int64)

    def decode(self, genome: Sequence[int] | np.ndarray) -> C:
        return self._of([whole(gene, f"a gene of {self.name}") for gene in genome])

    def operation_counts(self, arch: C) -> np.ndarray:
        return np.bincount(arch.operations, minlength=len(self.operations)).astype(np.int64)

    def depth(self, arch: C) -> int:
        """Places whose operation has weights: the operations follow one another."""
        return sum(self.operations[op] not in self.free_operations for op in arch.operations)

    def enumerate(self) -> Iterator[C]:
        """All architectures in lexicographic order."""
        return (self._of(choices) for choices in product(*(range(limit) for limit in self.cardinalities)))

    def permuted(self, arch: C, rng: np.random.Generator) -> tuple[C, ...]:
        """FairNAS; places must offer equally many operations."""
        if len(set(self.cardinalities)) > 1:
            return super().permuted(arch, rng)
        orders = np.stack([rng.permutation(self.cardinalities[0]) for _ in self.cardinalities])  # [place, path]
        return tuple(self._of([int(op) for op in path]) for path in orders.T)
