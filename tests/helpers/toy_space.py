"""A tiny space and an objective over it whose every value can be computed by hand."""

from __future__ import annotations

import itertools

import numpy as np

from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities
from nas_lightning.spaces.base import ArchitectureError, Space

GENES, CHOICES = 4, 3


class ToySpace(Space):
    """Tuples of four genes in 0 … 2; every tuple is its own class. (2, 2, 2, 2) is declared invalid."""

    name = "toy"
    operations = ("a", "b", "c")
    cardinalities = (CHOICES,) * GENES
    size = CHOICES**GENES - 1
    unique_size = size

    def parse(self, text):
        return self.decode([int(digit) for digit in text])

    def format(self, arch):
        return "".join(map(str, arch))

    def canonical(self, arch):
        return arch

    def key(self, arch):
        return self.format(arch)

    def members(self, arch):
        return [arch]

    def sample(self, rng):
        return ALL[rng.integers(len(ALL))]

    def sample_unique(self, rng):
        return self.sample(rng)

    def neighbours(self, arch):
        return [other for other in ALL if sum(a != b for a, b in zip(arch, other, strict=True)) == 1]

    def mutate(self, arch, rng):
        near = self.neighbours(arch)
        return near[rng.integers(len(near))]

    def encode(self, arch):
        return np.array(arch, np.int64)

    def decode(self, genome):
        arch = tuple(int(gene) for gene in genome)
        if arch == (2,) * GENES:
            raise ArchitectureError("2222 is not valid here")
        return arch

    def operation_counts(self, arch):
        return np.bincount(arch, minlength=CHOICES)

    def depth(self, arch):
        return sum(arch)


ALL = [arch for arch in itertools.product(range(CHOICES), repeat=GENES) if arch != (2,) * GENES]
LEVELS = (1, 3, 9)


def toy_value(arch) -> float:
    """Separable, one optimum: (1, 1, 1, 1) with value 1."""
    return 1 - sum((gene - 1) ** 2 for gene in arch) / GENES


def make_objective(levels=LEVELS, **kwargs) -> TableObjective:
    """Low levels see a distorted value; the last level sees `toy_value`."""
    full = np.array([toy_value(arch) for arch in ALL])
    noise = np.random.default_rng(0).normal(0, 0.1, (len(ALL), len(levels)))
    noise[:, -1] = 0
    measures = {"params": np.array([sum(arch) for arch in ALL], float)}
    return TableObjective(
        ToySpace(),
        ALL.index,
        full[:, None] + noise,
        full,
        Fidelities("epochs", tuple(levels)),
        measures=measures,
        identity={"toy": list(levels)},
        **kwargs,
    )
