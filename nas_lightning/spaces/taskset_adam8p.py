"""TaskSet's eight hyper-parameters of Adam: 1,000 random configurations, each trained on many tasks with its curve.

Metz, Maheswaranathan, Sun, Freeman, Poole, Sohl-Dickstein, "Using a thousand optimization tasks to learn
hyperparameter search strategies", arXiv 2002.11887, appendix: the ranges that configurations are drawn from, all on
logarithmic scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import ClassVar

import numpy as np

from nas_lightning.spaces.base import Space
from nas_lightning.spaces.errors import ArchitectureError

NAMES = ("learning_rate", "beta1", "beta2", "epsilon", "l1", "l2", "linear_decay", "exponential_decay")
# The two momenta are drawn as one minus these.
RANGES = ((1e-8, 10), (1e-4, 1), (1e-6, 1), (1e-10, 1e3), (1e-8, 10), (1e-8, 10), (1e-7, 1e-4), (1e-6, 1e-3))
LEVELS = 8
_MOMENTA = (1, 2)


@dataclass(frozen=True, slots=True, order=True)
class AdamConfiguration:
    """Values of `NAMES`, in their order."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if type(self.values) is not tuple or len(self.values) != len(NAMES):
            raise ArchitectureError(f"an AdamConfiguration is a tuple of {len(NAMES)} numbers: {', '.join(NAMES)}")
        for name, value in zip(NAMES, self.values, strict=True):
            if type(value) is not float or not isfinite(value) or value < 0:
                raise ArchitectureError(f"{name} is {str(value)[:40]}; use a finite number, not below 0")

    def __str__(self) -> str:
        return ",".join(f"{name}={value!r}" for name, value in zip(NAMES, self.values, strict=True))


class TaskSetSpace(Space[AdamConfiguration]):
    """Continuous: a table holds 1,000 draws, which searches take as a list.

    A genome is coarse, the eighth of its logarithmic range that each value lies in; `decode` gives the middle of each.
    """

    name: ClassVar[str] = "taskset_adam8p"
    operations: ClassVar[tuple[str, ...]] = ()
    cardinalities: ClassVar[tuple[int, ...]] = (LEVELS,) * len(NAMES)
    ordered_genes: ClassVar[tuple[bool, ...]] = (True,) * len(NAMES)
    size: ClassVar[int] = LEVELS ** len(NAMES)
    unique_size: ClassVar[int | None] = None
    architecture_type: ClassVar[type] = AdamConfiguration
    published: ClassVar[Mapping[str, int]] = {"channels": 1, "layers": 1}  # there is no network to size

    def parse(self, text: str) -> AdamConfiguration:
        """Reads ``learning_rate=…,beta1=…,…``, in any order, all eight."""
        parts = dict(part.strip().partition("=")[::2] for part in text.split(","))
        if sorted(parts) != sorted(NAMES):
            raise ArchitectureError(f"{text[:99]!r} is no configuration of {self.name}; give {', '.join(NAMES)}")
        try:
            return AdamConfiguration(tuple(float(parts[name]) for name in NAMES))
        except ValueError as error:
            raise ArchitectureError(f"{text[:99]!r} is no configuration of {self.name}: {str(error)[:99]}") from None

    def canonical(self, arch: AdamConfiguration) -> AdamConfiguration:
        return arch

    def key(self, arch: AdamConfiguration) -> str:
        return str(arch)

    def members(self, arch: AdamConfiguration) -> list[AdamConfiguration]:
        return [arch]

    def sample(self, rng: np.random.Generator) -> AdamConfiguration:
        """From TaskSet's own distribution."""
        return self._at(rng.random(len(NAMES)).tolist())

    def sample_unique(self, rng: np.random.Generator) -> AdamConfiguration:
        return self.sample(rng)

    @staticmethod
    def _at(shares: Sequence[float]) -> AdamConfiguration:
        """The configuration at these shares of the logarithmic ranges."""
        values = [exp(log(low) + share * log(high / low)) for (low, high), share in zip(RANGES, shares, strict=True)]
        return AdamConfiguration(tuple(1 - v if i in _MOMENTA else v for i, v in enumerate(values)))

    @staticmethod
    def shares(arch: AdamConfiguration) -> np.ndarray:
        """Where each value lies in its logarithmic range, float64 [8], 0 to 1 inside it.

        Args:
            arch: an architecture.

        Returns:
            float64 [8].
        """
        values = [1 - v if i in _MOMENTA else v for i, v in enumerate(arch.values)]
        return np.array(
            [log(max(v, 1e-300) / low) / log(high / low) for v, (low, high) in zip(values, RANGES, strict=True)]
        )

    def encode(self, arch: AdamConfiguration) -> np.ndarray:
        return np.clip((self.shares(arch) * LEVELS).astype(np.int64), 0, LEVELS - 1)

    def decode(self, genome: Sequence[int] | np.ndarray) -> AdamConfiguration:
        if len(genome) != len(NAMES) or any(not 0 <= int(gene) < LEVELS for gene in genome):
            raise ArchitectureError(f"a genome of {self.name} is {len(NAMES)} whole numbers from 0 to {LEVELS - 1}")
        return self._at([(int(gene) + 0.5) / LEVELS for gene in genome])

    def neighbours(self, arch: AdamConfiguration) -> list[AdamConfiguration]:
        """One value moved by an eighth of its range, down or up, inside the range."""
        shares = self.shares(arch)
        moved = []
        for i in range(len(NAMES)):
            for step in (-1 / LEVELS, 1 / LEVELS):
                if 0 <= shares[i] + step <= 1:
                    other = shares.copy()
                    other[i] += step
                    moved.append(self._at(np.clip(other, 0, 1).tolist()))
        return moved

    def mutate(self, arch: AdamConfiguration, rng: np.random.Generator) -> AdamConfiguration:
        """One value drawn anew."""
        i = int(rng.integers(len(NAMES)))
        return AdamConfiguration((*arch.values[:i], self.sample(rng).values[i], *arch.values[i + 1 :]))

    def operation_counts(self, arch: AdamConfiguration) -> np.ndarray:
        """There are no operations, int64 [0]."""
        return np.zeros(0, np.int64)

    def depth(self, arch: AdamConfiguration) -> int:
        """There are no cells: 0."""
        return 0
