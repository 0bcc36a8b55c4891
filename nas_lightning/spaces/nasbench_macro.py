"""NAS-Bench-Macro (Su et al., CVPR 2021, arXiv 2103.11922): one of three blocks in each of 8 layers.

A string has a digit a layer: 0 identity, 1 inverted residual of expansion 3 and kernel 3x3, 2 of expansion 6 and 5x5.
Layers 0, 2 and 5 open the three stages: they halve the resolution and double the width, where identity is a strided
1x1 convolution with batch-norm; elsewhere it is nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np

from nas_lightning.spaces.base import CellWork
from nas_lightning.spaces.categorical import CategoricalSpace, Choices
from nas_lightning.spaces.counting import Cost, half

OPERATIONS = ("identity", "mb3_k3", "mb6_k5")
STAGES = ((0, 1), (2, 3, 4), (5, 6, 7))
"""Layers of every stage, the strided one first."""
BLOCKS = {1: (3, 3), 2: (6, 5)}
"""Expansion and kernel size of the inverted residuals."""
HEAD = 40
"""Width of the last convolution, in initial widths: 1,280 channels at the published 32."""


@dataclass(frozen=True, slots=True, order=True)
class MacroArchitecture(Choices):
    """One block a layer."""

    cardinalities: ClassVar[tuple[int, ...]] = (3,) * 8


def macro_cost(
    operations: np.ndarray,
    *,
    channels: int,
    layers: int,
    num_classes: int,
    in_channels: int,
    affine: bool,
    image_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(parameters, multiply-accumulates), int64 [N] each, of operations [N, 8], as the published table counts them:
    convolutions and the classifier, without its bias. `layers` is 8.

    Args:
        operations: [N, 8], in range(3).
        channels: output channels of the first stage.
        layers: 8.
        num_classes: outputs of the classifier.
        in_channels: channels of an image.
        affine: whether batch-norms have parameters.
        image_size: side of an image, pixels.

    Returns:
        Whole numbers, int64 [N] each.
    """
    n = len(operations)
    cost = Cost(affine, np.zeros(n, np.int64), np.zeros(n, np.int64))
    width, size = channels, image_size
    cost.conv(in_channels, width, 3, size * size)
    for stage in STAGES:
        for layer in stage:
            first = layer == stage[0]
            inputs, entering = width, size
            if first:
                width, size = 2 * width, half(size)
            for op, (expansion, kernel) in BLOCKS.items():
                times = (operations[:, layer] == op).astype(np.int64)
                hidden = expansion * inputs
                cost.conv(inputs, hidden, 1, pixels=entering * entering, times=times)
                cost.depthwise(hidden, kernel, size * size, times)
                cost.norm(hidden, times)
                cost.conv(hidden, width, 1, pixels=size * size, times=times)
            if first:
                cost.conv(inputs, width, 1, pixels=size * size, times=(operations[:, layer] == 0).astype(np.int64))
    cost.conv(width, HEAD * channels, 1, size * size)
    cost.linear(HEAD * channels, num_classes)
    return cost.params, cost.macs - num_classes


class NBMacroSpace(CategoricalSpace[MacroArchitecture]):
    """The 6,561 networks of NAS-Bench-Macro.

    Behind the first layer of a stage an identity does nothing, so that networks that differ in the place of such
    identities alone are isomorphic: 9 · 21 · 21 = 3,969 classes, whose members share one training in the published
    table. The canonical member has the identities first.
    """

    name: ClassVar[str] = "nasbench_macro"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    unique_size: ClassVar[int | None] = 3969
    architecture_type: ClassVar[type] = MacroArchitecture
    free_operations: ClassVar[frozenset[str]] = frozenset({"identity"})
    published: ClassVar[Mapping[str, int]] = {"channels": 32, "layers": 8}
    top_k: ClassVar[int] = 10
    cell_work: ClassVar[CellWork] = CellWork(6.0, 8.0, 3)  # two thirds of the layers have 3 convolutions
    capabilities: ClassVar[frozenset[str]] = frozenset({"split_operations", "path_dropout"})
    network: ClassVar[str | None] = "nas_lightning.nets.nasbench_macro:NBMacroNetwork"

    def canonical(self, arch: MacroArchitecture) -> MacroArchitecture:
        ops = arch.operations
        return self._of([op for first, *rest in STAGES for op in (ops[first], *self._settled([ops[i] for i in rest]))])

    @staticmethod
    def _settled(rest: list[int]) -> list[int]:
        blocks = [op for op in rest if op]
        return [0] * (len(rest) - len(blocks)) + blocks

    def key(self, arch: MacroArchitecture) -> str:
        """String form of the canonical member."""
        return str(self.canonical(arch))

    def members(self, arch: MacroArchitecture) -> list[MacroArchitecture]:
        ops = arch.operations
        parts = []
        for first, *rest in STAGES:
            settled = self._settled([ops[i] for i in rest])
            orders = [p for p in product(range(3), repeat=len(rest)) if self._settled(list(p)) == settled]
            parts.append([(ops[first], *order) for order in orders])
        return [self._of([op for part in choice for op in part]) for choice in product(*parts)]

    def sample_unique(self, rng: np.random.Generator) -> MacroArchitecture:
        """Uniform over classes: a raw draw that is not canonical is thrown away."""
        while True:
            arch = self.sample(rng)
            if self.canonical(arch) == arch:
                return arch

    def enumerate(self) -> Iterator[MacroArchitecture]:
        """The 3,969 canonical networks in ascending order."""
        return (arch for arch in super().enumerate() if self.canonical(arch) == arch)

    def structure_groups(self, arch: MacroArchitecture) -> dict[str, str]:
        opening = sum(arch.operations[stage[0]] > 0 for stage in STAGES)
        return {"stages opened by a block": f"{opening} of {len(STAGES)}"}

    def _costs(self, archs: list[MacroArchitecture], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        return macro_cost(np.array([arch.operations for arch in archs]), **shape)
