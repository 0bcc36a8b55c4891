"""TransNAS-Bench-101, cell level: 4,096 cells, each trained on seven vision tasks. A table, no network.

Duan, Chen, Xu, Chen, Liang, Zhang, Li, "TransNAS-Bench-101: Improving Transferability and Generalizability of
Cross-Task Neural Architecture Search", CVPR 2021, arXiv 2105.11871. A cell has four nodes and an operation on each edge
(1,2), (1,3), (1,4), (2,3), (2,4), (3,4), in this order; digits as in NASLib.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from nas_lightning.spaces.categorical import CategoricalSpace, Choices
from nas_lightning.spaces.nasbench201 import NB201Space

OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1")
_ORDER = (0, 1, 3, 2, 4, 5)
"""Places of the edges of NAS-Bench-201, which go by their target, among those of this space."""


@dataclass(frozen=True, slots=True, order=True)
class MicroCell(Choices):
    """One operation an edge."""

    cardinalities: ClassVar[tuple[int, ...]] = (4,) * 6


class TransMicroSpace(CategoricalSpace[MicroCell]):
    """NAS-Bench-201's cells without pooling, so that isomorphism is what it is there: 1,236 classes.

    The published table trained isomorphic cells separately.
    """

    name: ClassVar[str] = "transnasbench101_micro"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    architecture_type: ClassVar[type] = MicroCell
    unique_size: ClassVar[int | None] = 1236
    published: ClassVar[Mapping[str, int]] = {"channels": 64, "layers": 5}
    zero_operation: ClassVar[str | None] = "none"
    identity_operation: ClassVar[str | None] = "skip_connect"

    @staticmethod
    def in_nasbench201(arch: MicroCell) -> object:
        """The same cell as an architecture of NAS-Bench-201.

        Args:
            arch: an architecture.

        Returns:
            Equal in function, of a space with one operation more.
        """
        space = NB201Space()
        names = [OPERATIONS[arch.operations[place]] for place in _ORDER]
        return space.decode([space.operations.index(name) for name in names])

    def key(self, arch: MicroCell) -> str:
        """NAS-Bench-201's."""
        return NB201Space().key(self.in_nasbench201(arch))  # type: ignore[arg-type]

    def members(self, arch: MicroCell) -> list[MicroCell]:
        return list(_classes()[self.key(arch)])

    def canonical(self, arch: MicroCell) -> MicroCell:
        """The first member."""
        return _classes()[self.key(arch)][0]

    def sample_unique(self, rng: np.random.Generator) -> MicroCell:
        classes = _classes()
        return list(classes.values())[rng.integers(len(classes))][0]

    def depth(self, arch: MicroCell) -> int:
        return NB201Space().depth(self.in_nasbench201(arch))  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _classes() -> dict[str, tuple[MicroCell, ...]]:
    """All cells by class, each in lexicographic order."""
    space, found = TransMicroSpace(), dict[str, list[MicroCell]]()
    for arch in space.enumerate():
        found.setdefault(space.key(arch), []).append(arch)
    return {key: tuple(members) for key, members in found.items()}
