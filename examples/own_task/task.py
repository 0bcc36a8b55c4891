"""A task of one's own: where a bright spot lies in a noisy picture, two coordinates, judged by squared error."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.data.task import Quality
from nas_lightning.data.tensors import TensorTask


class Spots(TensorTask):
    """Regression on generated arrays: noisy 8 x 8 pictures [1, 8, 8] and the spot's place [2] in [−1, 1].

    Args:
        noise: standard deviation of the background; the spot is 1 bright.
        items: pictures to train and validate with; half as many test.
    """

    name = "spots"
    quality = Quality("negative_squared_error")
    loss_name = "squared_error"  # the loss is the quality, so that there is one score and not two
    num_outputs = 2

    def __init__(self, *, noise: float = 0.1, items: int = 400) -> None:
        super().__init__()
        self.noise, self.items = noise, items

    def read(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return self._draw(self.items, 0), self._draw(self.items // 2, 1)

    def _draw(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        place = torch.rand(n, 2, generator=generator) * 2 - 1
        axis = torch.linspace(-1, 1, 8)
        distance = (axis[:, None] - place[:, 0, None, None]) ** 2 + (axis[None, :] - place[:, 1, None, None]) ** 2
        background = self.noise * torch.randn(n, 8, 8, generator=generator)
        return (torch.exp(-4 * distance) + background)[:, None], place

    @staticmethod
    def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return (outputs - targets).square().mean()

    @staticmethod
    def sums(outputs: Tensor, targets: Tensor) -> Tensor:
        error = (outputs - targets).square().mean(1).double().sum()
        return torch.stack([-error, -error])
