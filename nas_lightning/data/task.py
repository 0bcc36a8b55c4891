"""What is learned: a `Task` owns its data and says what the loss of a batch is, and what counts as quality."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor

from nas_lightning.data.source import content_sha256
from nas_lightning.runs.quality import Quality

__all__ = ["Batches", "Quality", "Task"]


class Batches(Protocol):
    """Training batches as a function of the global step alone, so that a resumed run sees the same ones."""

    def __len__(self) -> int:
        """Steps of an epoch."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of global step `step`, of this process's part of the batch.

        Args:
            step: global, from 0.

        Returns:
            (inputs, targets), of [B / world size] items each.
        """

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches from the trainer's global step to the end of its epoch."""


class Task(pl.LightningDataModule, ABC):
    """One learning problem with its data. A user's own is one class, named by ``data._target_`` of a small YAML.

    The network maps inputs to outputs [B, num_outputs, ...]; the task alone knows what these mean. Every draw is keyed
    by (seed, step), and all ranks see parts of one global batch. Validation data, never test data, score sub-nets.
    """

    name: str
    """Of the data set, as tables of stand-alone performance call it."""
    quality: ClassVar[Quality]
    loss_name: ClassVar[str] = "loss"
    """What the loss is called: ``negative_<loss_name>`` is a score beside the quality."""
    loss_unit: ClassVar[str] = ""
    """Of the training loss, behind its number; empty where its name says enough."""
    inputs: ClassVar[str] = "images"
    """What an input is; a space whose networks read others (`Space.inputs`) is refused."""
    items_name: ClassVar[str] = "images"
    """What is counted: `size`, ``evaluation.images``."""
    has_classes: ClassVar[bool] = False
    """Whether targets are classes, int64 [B], which probes can be fitted to."""
    takes_label_smoothing: ClassVar[bool] = False
    """Whether `loss` reads ``label_smoothing``; a plan that smooths is refused where it does not."""
    places: ClassVar[tuple[str, ...]] = ("root", "path", "download")
    """Settings that say where the data is: they do not count in a run's name, its content does."""
    batch_size: int
    train_portion: float
    seed: int

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Classes, or words of the vocabulary."""

    @property
    @abstractmethod
    def in_channels(self) -> int:
        """Channels of an input; 1 where inputs are tokens."""

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of an input image in pixels, or the length of a chunk of tokens: what costs grow with. After `setup`."""

    def setup(self, stage: str | None = None) -> None:
        """Read and split once; further calls do nothing."""

    @abstractmethod
    def size(self, split: str) -> int:
        """Items of ``train``, ``validation`` or ``test``. After `setup`.

        Args:
            split: ``train``, ``validation`` or ``test``.

        Returns:
            How many.
        """

    @abstractmethod
    def content(self) -> Iterable[Tensor]:
        """All tensors of the data, in a fixed order: their hash names the run. After `setup`.

        Returns:
            Tensors on the CPU.
        """

    @property
    def items_per_step(self) -> float:
        """Items of a training batch, on the mean over an epoch. After `setup`."""
        return float(self.batch_size)

    def items_record(self) -> dict[str, Any]:
        """What a result file says that it counts.

        Returns:
            ``{"items": items_name}``; nothing for images, which files of before do not name either.
        """
        return {} if self.items_name == "images" else {"items": self.items_name}

    def content_sha256(self) -> str:
        """Hash of the content. Reads it.

        Returns:
            64 hexadecimal digits.
        """
        self.setup()
        return content_sha256(self.content())

    def identity(self) -> dict[str, Any] | None:
        """What a run depends on beside the section's settings: content. None where the name says it all.

        Returns:
            Plain values by name, or None.
        """
        return {"content_sha256": self.content_sha256()}

    def record(self) -> dict[str, Any]:
        """What a result file says of the data: sizes, splits, and a hash of the content. After `setup`.

        Returns:
            Plain values by name.
        """
        sizes = {f"{split}_items": self.size(split) for split in ("train", "validation", "test")}
        return {"dataset": self.name, **sizes, "content_sha256": self.content_sha256()}

    @abstractmethod
    def loader(
        self,
        device: torch.device | str = "cpu",
        start: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Batches:
        """Training batches from tensors that live on `device`.

        Args:
            device: where the tensors are to live.
            start: gives the global step that iteration begins at.
            rank: of this process.
            world_size: how many processes share a batch.

        Returns:
            An iterable of (inputs, targets) that knows its length.
        """

    @abstractmethod
    def evaluation_batches(
        self,
        batch_size: int,
        n: int | None = None,
        device: torch.device | str = "cpu",
        skip: int = 0,
        split: str = "validation",
    ) -> list[tuple[Tensor, Tensor]]:
        """The first `n` items of `split` after `skip` others, as full batches that are never shuffled.

        Args:
            batch_size: items a batch; with batch statistics the quality depends on it.
            n: items used at most; None takes all that fill whole batches.
            device: where the batches live.
            skip: items that are passed over first.
            split: ``validation``, ``test``, or ``train`` (without augmentation).

        Returns:
            (inputs, targets) a batch.

        Raises:
            DataError: not one batch can be filled.
        """

    @staticmethod
    @abstractmethod
    def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Mean loss of a batch, a scalar; `targets` may be soft, [B, num_outputs].

        Args:
            outputs: of the network, [B, num_outputs, …].
            targets: of the batch, [B, …]; classes are int64 [B].
            label_smoothing: share of every target that is spread over all outputs.

        Returns:
            A scalar with a gradient.
        """

    @staticmethod
    @abstractmethod
    def sums(outputs: Tensor, targets: Tensor) -> Tensor:
        """Sums over the items of a batch: (quality, −loss), float64 [2]. Nothing in it waits for the device.

        Args:
            outputs: of the network, [B, num_outputs, …].
            targets: of the batch, [B, …]; classes are int64 [B].

        Returns:
            float64 [2], on the outputs' device.
        """

    @staticmethod
    def count_items(targets: Tensor) -> int:
        """How many items a batch of these targets has: over so many `sums` goes.

        Args:
            targets: of the batch, [B, …]; classes are int64 [B].

        Returns:
            A whole number.
        """
        return len(targets)

    def rate_factor(self, inputs: Tensor) -> float:
        """What multiplies the learning rate at a step of these inputs: 1, but for batches of unequal length.

        Args:
            inputs: of the batch.

        Returns:
            Above 0.
        """
        return 1.0

    @staticmethod
    def teach(outputs: Tensor) -> Tensor:
        """What a teacher's outputs are as targets of `loss`, for in-place distillation.

        Args:
            outputs: of the network, [B, num_outputs, …].

        Returns:
            Without a gradient.
        """
        return outputs.detach().float()

    @staticmethod
    def guess_loss(num_outputs: int) -> float:
        """Loss of an uninformed guess: a training that ends far above it has diverged. Infinite where unknown.

        Args:
            num_outputs: classes, or words of the vocabulary.

        Returns:
            In the unit of the loss.
        """
        return math.inf

    def train_dataloader(self) -> Batches:
        """Lightning's way to `loader`: on the trainer's device, for its rank, from its step on.

        Returns:
            The batches that are left of this epoch.
        """
        trainer = self.trainer
        assert trainer is not None, "train_dataloader is called by a Trainer; use loader() without one"
        return self.loader(
            trainer.strategy.root_device, lambda: trainer.global_step, trainer.global_rank, trainer.world_size
        )
