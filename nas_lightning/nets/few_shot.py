"""Few-shot super-nets: the space is split at one edge, and each part has shared weights of its own.

Source: Zhao et al., Few-shot Neural Architecture Search (arXiv 2006.06863), section 3.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from torch import Tensor, nn

from nas_lightning.nets.base import Network
from nas_lightning.nets.prefix import Prefix
from nas_lightning.spaces import Space


class PartPrefix(Prefix):
    """One part's view of the feature maps that an evaluation keeps: other weights, other keys."""

    def __init__(self, whole: Prefix, part: int) -> None:
        self.whole, self.part = whole, part

    def get(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        return self.whole.get((self.part, key), compute)


class FewShotNetwork(Network):
    """One super-net per operation of edge `edge` (a gene of the space), all equal to `template` at the start.

    An architecture runs in the part of its operation there; the others have no gradient from it.
    """

    def __init__(self, template: Network, space: Space[Any], edge: int) -> None:
        super().__init__(template.mapping, template.num_classes, template.in_channels, template.track)
        self.space, self.edge = space, edge
        copies = space.cardinalities[edge] - 1
        self.parts = nn.ModuleList([template, *(copy.deepcopy(template) for _ in range(copies))])

    def choice(self, arch: Any) -> int:
        """Which part holds `arch`: its operation at the edge."""
        return int(self.space.encode(self.architecture(arch))[self.edge])

    def part(self, arch: Any) -> Network:
        """The super-net that holds `arch`."""
        found: Any = self.parts[self.choice(arch)]
        return found

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        part = self.part(arch)
        part.prefix = None if self.prefix is None else PartPrefix(self.prefix, self.choice(arch))
        return part.features(x, arch, stages)

    def classify(self, features: Tensor, arch: Any = None) -> Tensor:
        return self.part(arch).classify(features, arch)

    def behaviour(self, arch: Any) -> Any:
        return self.choice(arch), self.part(arch).behaviour(arch)

    def set_draw(self, seed: int, step: int) -> None:
        for part in self.parts:
            part.set_draw(seed, step)  # type: ignore[operator]

    def exported(self, arch: Any) -> Iterator[tuple[str, Tensor]]:
        return self.part(arch).exported(arch)

    def standalone(self, arch: Any) -> Network:
        return self.part(arch).standalone(arch)
