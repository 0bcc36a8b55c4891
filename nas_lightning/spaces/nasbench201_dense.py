"""NAS-Bench-201's cells in networks for dense prediction (NAS-Bench-360, arXiv 2110.05668): from fields to fields."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nas_lightning.spaces.counting import Cost
from nas_lightning.spaces.nasbench201 import NB201Architecture, NB201Space


class NB201DenseSpace(NB201Space):
    """The 15,625 cells of `NB201Space`, whose tables it reads, in a network without strides and without pooling."""

    name: ClassVar[str] = "nasbench201_dense"
    inputs: ClassVar[str] = "fields"
    network: ClassVar[str | None] = "nas_lightning.nets.nasbench201_dense:NB201DenseNetwork"

    def _costs(self, archs: list[NB201Architecture], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        operations = np.array([arch.operations for arch in archs])
        pointwise, conv = (operations == 2).sum(1, dtype=np.int64), (operations == 3).sum(1, dtype=np.int64)
        cost = Cost(shape["affine"], np.zeros(len(archs), np.int64), np.zeros(len(archs), np.int64))
        width, pixels, layers = shape["channels"], shape["image_size"] ** 2, shape["layers"]
        cost.conv(shape["in_channels"], width, 3, pixels)
        for stage in range(3):
            if stage:
                cost.conv(width, 2 * width, 3, pixels)
                cost.conv(2 * width, 2 * width, 3, pixels)
                cost.conv(width, 2 * width, 1, pixels)
                width *= 2
            cost.conv(width, width, 1, pixels, times=layers * pointwise)
            cost.conv(width, width, 3, pixels, times=layers * conv)
        cost.norm(width)
        outputs = shape["num_classes"]
        cost.conv(width, outputs, 1, pixels, norm=False)  # the linear layer, at every position
        cost.params += outputs
        cost.macs += outputs * pixels
        return cost.params, cost.macs
