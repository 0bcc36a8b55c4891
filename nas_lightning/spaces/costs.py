"""What the networks of a space cost: parameters, multiply-accumulates, and what estimates of time need."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from nas_lightning.spaces.capabilities import Capable

A = TypeVar("A", bound=Hashable)


@dataclass(frozen=True)
class CellWork:
    """What one cell of a super-net costs beside its arithmetic, for estimates of time (`nas_lightning.sweep`)."""

    operations: float
    """Operations launched, mean over sampled architectures."""
    maps: float
    """Feature maps of the cell's width written, likewise."""
    stages: int = 1
    """Over how many stages the plan's `layers` are spread: 1 where they are counted per stage."""
    correction: float = 1.0
    """Measured time over the estimate on a CPU core, where the operations reach less of its rates."""


class Costs(Capable[A]):
    """What a `nas_lightning.spaces.base.Space` counts."""

    architecture_type: ClassVar[type]
    """Class of the architectures."""
    cell_work: ClassVar[CellWork] = CellWork(operations=6.0, maps=6.0, stages=3)
    """For estimates before anything has run; as it stands, two convolutions with norm and ReLU a layer."""

    def costs(
        self,
        archs: Sequence[A],
        *,
        channels: int | None = None,
        layers: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        affine: bool = True,
        image_size: int = 32,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-accumulates of stand-alone networks, without auxiliary heads.

        Args:
            archs: n architectures of this space.
            channels: initial width; by default the published one.
            layers: cells a stage (DARTS: in all); by default as published.
            num_classes: outputs of the classifier.
            in_channels: channels of the images.
            affine: whether batch-norm layers have a scale and a shift.
            image_size: side of the square images, in pixels.

        Returns:
            (parameters, multiply-accumulates of one image), int64 [n] each.

        Raises:
            TypeError: one of them belongs to another space.
        """
        shape = {
            "channels": self.published["channels"] if channels is None else channels,
            "layers": self.published["layers"] if layers is None else layers,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "affine": affine,
            "image_size": image_size,
        }
        archs = list(archs)
        wrong = next((arch for arch in archs if type(arch) is not self.architecture_type), None)
        if wrong is not None:
            raise TypeError(f"{wrong} is no architecture of {self.name}; ask its own space for its costs")
        if not archs:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return self._costs(archs, **shape)

    def _costs(self, archs: list[A], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        """As `costs`, everything given: here counted from the built network, some milliseconds an architecture.

        A space whose costs follow from a formula counts them without torch (`nas_lightning.spaces.counting`).
        """
        counted: tuple[np.ndarray, np.ndarray] = self.network_class().counted(archs, **shape)
        return counted

    def parameters(self, arch: A, **shape: Any) -> int:
        """Trainable parameters of one architecture's network; keywords as for `costs`.

        Args:
            arch: an architecture.
            shape: ``channels``, ``layers``, ``num_classes``, ``in_channels``, ``affine``, ``image_size``.

        Returns:
            A whole number.
        """
        return int(self.costs([arch], **shape)[0][0])

    def macs(self, arch: A, **shape: Any) -> int:
        """Multiply-accumulates of one forward pass of one image; keywords as for `costs`.

        Args:
            arch: an architecture.
            shape: ``channels``, ``layers``, ``num_classes``, ``in_channels``, ``affine``, ``image_size``.

        Returns:
            A whole number.
        """
        return int(self.costs([arch], **shape)[1][0])
