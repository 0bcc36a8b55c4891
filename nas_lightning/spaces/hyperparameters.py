"""Spaces of hyper-parameters: named parameters with listed values, known by tables alone, without a network.

A configuration is an architecture like any other here, so that every search algorithm runs on these spaces. Where sizes
of layers are among the parameters (FC-Net), the search is over architecture and training jointly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, ClassVar, TypeVar

import numpy as np

from nas_lightning.errors import did_you_mean
from nas_lightning.spaces.base import Space
from nas_lightning.spaces.encoding import Columns, Encoding, codes_below
from nas_lightning.spaces.errors import ArchitectureError


@dataclass(frozen=True, slots=True)
class Parameter:
    """A hyper-parameter and the values it takes, ordered where they have an order."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, order=True)
class Configuration:
    """The index of the chosen value of every parameter. Subclasses name the `parameters`."""

    choices: tuple[int, ...]
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def __post_init__(self) -> None:
        if type(self.choices) is not tuple or len(self.choices) != len(self.parameters):
            raise ArchitectureError(
                f"a {type(self).__name__} is a tuple of {len(self.parameters)} choices, not {str(self.choices)[:99]}"
            )
        for choice, parameter in zip(self.choices, self.parameters, strict=True):
            if type(choice) is not int or not 0 <= choice < len(parameter.values):
                raise ArchitectureError(
                    f"{parameter.name} has no value number {str(choice)[:40]}; use a whole number from 0 to "
                    f"{len(parameter.values) - 1} ({', '.join(map(str, parameter.values))})"
                )

    @property
    def values(self) -> dict[str, Any]:
        """The chosen value of every parameter, by name."""
        return {p.name: p.values[choice] for p, choice in zip(self.parameters, self.choices, strict=True)}

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in self.values.items())


C = TypeVar("C", bound=Configuration)


class HyperparameterSpace(Space[C]):
    """All combinations of the parameters' values. A subclass sets `name` and `architecture_type`.

    The string form is ``name=value,name=value,…`` in any order; a genome is the tuple of choices. A neighbour has
    another value of one parameter, any other, as in the architecture spaces.
    """

    operations: ClassVar[tuple[str, ...]] = ()
    architecture_type: ClassVar[type]
    published: ClassVar[Mapping[str, int]] = {"channels": 1, "layers": 1}  # there is no network to size
    hyperparameters: ClassVar[tuple[Parameter, ...]]
    ordered_genes: ClassVar[tuple[bool, ...]]
    """Which genes count an ordered scale: the numbers do, words do not."""
    _index: ClassVar[dict[str, dict[str, int]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        parameters: tuple[Parameter, ...] = cls.architecture_type.parameters  # type: ignore[attr-defined]
        cls.hyperparameters = parameters
        cls.cardinalities = tuple(len(p.values) for p in parameters)
        cls.ordered_genes = tuple(not isinstance(p.values[0], str) for p in parameters)
        cls.size = cls.unique_size = prod(cls.cardinalities)
        cls._index = {p.name: {str(value): i for i, value in enumerate(p.values)} for p in parameters}

    def _of(self, choices: Sequence[int]) -> C:
        made: C = self.architecture_type(tuple(choices))
        return made

    def from_values(self, values: Mapping[str, Any]) -> C:
        """The configuration with these values, by parameter.

        Args:
            values: one a parameter, by its name.

        Returns:
            A configuration.

        Raises:
            ArchitectureError: an unknown or a missing parameter, and a value that is not listed.
        """
        if unknown := [name for name in values if name not in self._index]:
            raise ArchitectureError(
                f"{self.name} has no {unknown[0][:40]}; {did_you_mean(unknown[0], self._index)}"
                f"it has {', '.join(self._index)}"
            )
        choices = []
        for parameter in self.hyperparameters:
            if parameter.name not in values:
                raise ArchitectureError(f"a configuration of {self.name} needs a value of {parameter.name}")
            choices.append(self._choice(parameter, values[parameter.name]))
        return self._of(choices)

    def _choice(self, parameter: Parameter, value: Any) -> int:
        found = self._index[parameter.name].get(str(value))
        if found is None and isinstance(parameter.values[0], (int, float)):
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = float("nan")
            close = [i for i, own in enumerate(parameter.values) if abs(own - number) <= 1e-6 * abs(own)]
            found = close[0] if close else None
        if found is None:
            known = ", ".join(map(str, parameter.values))
            raise ArchitectureError(f"{str(value)[:40]} is no value of {parameter.name}; choose from {known}")
        return found

    def parse(self, text: str) -> C:
        """Reads ``name=value,name=value,…``, in any order."""
        parts = [part.partition("=") for part in text.strip().split(",")]
        if any(not middle for _, middle, _ in parts):
            example = ",".join(f"{p.name}={p.values[0]}" for p in self.hyperparameters)
            raise ArchitectureError(f"{text[:99]!r} is no configuration of {self.name}; expected {example}")
        names = [name.strip() for name, _, _ in parts]
        if len(set(names)) < len(names):
            raise ArchitectureError(f"{text[:99]!r} gives a parameter twice; give each once")
        return self.from_values({name: value.strip() for name, (_, _, value) in zip(names, parts, strict=True)})

    def canonical(self, arch: C) -> C:
        return arch

    def key(self, arch: C) -> str:
        """The choices as numbers: no two configurations are isomorphic."""
        return "-".join(map(str, arch.choices))

    def members(self, arch: C) -> list[C]:
        return [arch]

    def sample(self, rng: np.random.Generator) -> C:
        return self._of(rng.integers(self.cardinalities).tolist())

    def sample_unique(self, rng: np.random.Generator) -> C:
        return self.sample(rng)

    def neighbours(self, arch: C) -> list[C]:
        """Another value of one parameter."""
        own = arch.choices
        return [
            self._of((*own[:i], value, *own[i + 1 :]))
            for i, n in enumerate(self.cardinalities)
            for value in range(n)
            if value != own[i]
        ]

    def mutate(self, arch: C, rng: np.random.Generator) -> C:
        """Another value of one parameter, uniform over parameters, then over its other values."""
        i = int(rng.integers(len(self.cardinalities)))
        own = list(arch.choices)
        own[i] = (own[i] + 1 + int(rng.integers(self.cardinalities[i] - 1))) % self.cardinalities[i]
        return self._of(own)

    def encode(self, arch: C) -> np.ndarray:
        return np.array(arch.choices, np.int64)

    def decode(self, genome: Sequence[int] | np.ndarray) -> C:
        return self._of([int(gene) for gene in genome])

    def table_columns(self, archs: Sequence[C]) -> dict[str, Any]:
        """``code``: the genome as a mixed-radix number; no two configurations are isomorphic."""
        return {"code": self.codes(archs).astype(np.int32)}

    def open_encoding(self, columns: Columns) -> CodeEncoding:
        return CodeEncoding(self, columns.array("code"))

    def codes(self, archs: Sequence[C]) -> np.ndarray:
        """Genomes as mixed-radix numbers, int64 [n], first parameter first.

        Args:
            archs: n architectures.

        Returns:
            int64 [n].
        """
        genomes = np.array([arch.choices for arch in archs], np.int64).reshape(len(archs), len(self.cardinalities))
        return genomes @ self.places

    @property
    def places(self) -> np.ndarray:
        """What one step of each gene adds to the code, int64 [genes]."""
        return np.append(np.cumprod(self.cardinalities[:0:-1])[::-1], 1).astype(np.int64)

    def operation_counts(self, arch: C) -> np.ndarray:
        """There are no operations, int64 [0]."""
        return np.zeros(0, np.int64)

    def depth(self, arch: C) -> int:
        """There are no cells: 0."""
        return 0

    def enumerate(self) -> Iterator[C]:
        """All configurations in lexicographic order of the choices."""
        return (self._of(choices) for choices in product(*map(range, self.cardinalities)))


class CodeEncoding(Encoding):
    """Rows by the code of a configuration: one look-up in an array as long as the space."""

    def __init__(self, space: HyperparameterSpace[Any], codes: np.ndarray) -> None:
        self._space, self._codes = space, codes_below(codes, space.size, "code")
        self._places = tuple(space.places.tolist())
        self._row = np.full(space.size, -1, np.int64)
        self._row[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the first of duplicates

    def architecture(self, row: int) -> Any:
        code = int(self._codes[row])
        return self._space.decode(
            [code // place % n for place, n in zip(self._places, self._space.cardinalities, strict=True)]
        )

    def row(self, arch: Any) -> int:
        return int(self._row[sum(c * place for c, place in zip(arch.choices, self._places, strict=True))])

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        return self.find(self._space.codes(archs)) if len(archs) else np.zeros(0, np.int64)

    def find(self, codes: np.ndarray) -> np.ndarray:
        return self._row[codes]
