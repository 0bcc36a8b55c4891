"""The space: in each of three layers one of three operations. No torch here, so that tables open fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nas_lightning.spaces.categorical import CategoricalSpace, Choices


@dataclass(frozen=True, slots=True, order=True)
class ToyArchitecture(Choices):
    """The operation of every layer."""

    cardinalities: ClassVar[tuple[int, ...]] = (3, 3, 3)


class ToySpace(CategoricalSpace[ToyArchitecture]):
    """27 networks: ``str`` gives a digit a layer, such as ``021``; ``skip,conv5x5,conv3x3`` is read, too."""

    name: ClassVar[str] = "toy"
    operations: ClassVar[tuple[str, ...]] = ("skip", "conv3x3", "conv5x5")
    architecture_type: ClassVar[type] = ToyArchitecture
    free_operations: ClassVar[frozenset[str]] = frozenset({"skip"})
    published: ClassVar[Mapping[str, int]] = {"channels": 8, "layers": 3}
    top_k: ClassVar[int] = 3
    network: ClassVar[str | None] = "examples.own_space.network:ToyNetwork"
