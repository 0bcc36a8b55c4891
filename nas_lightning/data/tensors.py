"""A task on arrays of one's own: inputs and targets in memory, what they mean is a subclass's to say."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.module import KeyedLoader, full_batches
from nas_lightning.data.task import Task


class TensorTask(Task):
    """Inputs float32 [N, C, H, W] with targets [N, ...]; a subclass gives `read`, `loss`, `sums` and `quality`.

    A permutation drawn from `split_seed` alone orders what is not for testing; the first ⌊train_portion · N⌋ train, the
    rest is held out and scores. `augment(inputs, generator)` may be overridden: it gets one batch and a generator keyed
    by (seed, step).
    """

    split_seed = 0
    _parts: dict[str, ImageSet] | None = None

    @abstractmethod
    def read(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(inputs, targets) to train and validate with, and (inputs, targets) to test with."""

    def augment(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """A training batch as it is trained on, [B, C, H, W]."""
        return inputs

    @property
    def in_channels(self) -> int:
        return int(self._part("test").images.shape[1])

    @property
    def image_size(self) -> int:
        return int(self._part("test").images.shape[-1])

    def setup(self, stage: str | None = None) -> None:
        """Read and split once."""
        if self._parts is not None:
            return
        (inputs, targets), test = self.read()
        for part, (x, y) in (("training", (inputs, targets)), ("test", test)):
            if len(x) != len(y) or not len(x):
                raise DataError(f"task {self.name}: {len(x)} {part} inputs and {len(y)} targets; give one target each")
        order = torch.from_numpy(np.random.default_rng((self.split_seed, len(inputs))).permutation(len(inputs)))
        n = int(self.train_portion * len(inputs) + 1e-9)
        if not n:
            raise DataError(f"protocol.train_portion={self.train_portion} leaves no item to train on; raise it")
        self._parts = {
            "train": ImageSet(inputs[order[:n]], targets[order[:n]]),
            "validation": ImageSet(inputs[order[n:]], targets[order[n:]]),
            "test": ImageSet(*test),
        }

    def size(self, split: str) -> int:
        return len(self._part(split))

    def content(self) -> Iterable[Tensor]:
        (inputs, targets), test = self.read()
        return (inputs, targets, *test)

    def loader(
        self,
        device: torch.device | str = "cpu",
        start: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> KeyedLoader:
        data = self._part("train").to(device)
        return KeyedLoader(
            data,
            self.batch_size,
            self.seed,
            augment=self.augment,
            normalize=channels_last,
            start=start,
            rank=rank,
            world_size=world_size,
        )

    def evaluation_batches(
        self,
        batch_size: int,
        n: int | None = None,
        device: torch.device | str = "cpu",
        skip: int = 0,
        split: str = "validation",
    ) -> list[tuple[Tensor, Tensor]]:
        data = self._part(split)
        cuts = full_batches(len(data), batch_size, n, skip)
        return [(channels_last(data.images[cut].to(device)), data.labels[cut].to(device)) for cut in cuts]

    def _part(self, split: str) -> ImageSet:
        self.setup()
        assert self._parts is not None
        return self._parts[split]


def channels_last(inputs: Tensor) -> Tensor:
    """The layout in which the networks compute fastest."""
    return inputs.contiguous(memory_format=torch.channels_last)
