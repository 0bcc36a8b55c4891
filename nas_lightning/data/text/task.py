"""Language modelling as a task: the next token of a text, judged by perplexity."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.data.images import DataError
from nas_lightning.data.task import Task
from nas_lightning.data.text.chunks import ChunkLoader, in_order
from nas_lightning.runs.quality import PERPLEXITY


@dataclass(frozen=True)
class Texts:
    """Tokens to train, validate and test with, int64 [N] each, and the vocabulary's size."""

    train: Tensor
    validation: Tensor
    test: Tensor
    words: int


class TextTask(Task):
    """Predict every token of a text from those before it; a subclass says where the text is (`read`).

    Of the text to train with, the first ⌊train_portion · N⌋ tokens train, and the rest is left out: what scores is a
    validation text of its own, the same for every portion. A training batch is a chunk of `batch_size` streams, and an
    epoch one way through the text, from its start; the hidden state goes on from chunk to chunk. In evaluations a
    batch is a chunk of ``evaluation.batch_size`` streams, and every token of them but a stream's first is predicted.

    Args:
        chunk: tokens that gradients go back through (bptt).
        short_chunks: share of the training's chunks that are half as long. A step's learning rate is in proportion to
            its chunk's length (Merity et al., arXiv 1708.02182, section 4.1).
    """

    quality = PERPLEXITY
    loss_name = "log_perplexity"
    loss_unit = "nats per token"
    inputs = "tokens"
    items_name = "tokens"
    takes_label_smoothing = True
    in_channels = 1

    def __init__(self, *, chunk: int = 35, short_chunks: float = 0.05) -> None:
        super().__init__()
        if not 1 <= chunk <= 100_000:
            raise DataError(f"data.chunk={chunk} is out of range; give a number of tokens from 1, such as 35")
        if not 0 <= short_chunks <= 0.9:
            raise DataError(f"data.short_chunks={short_chunks} is out of range; give a share from 0 to 0.9")
        self.chunk, self.short_chunks = chunk, short_chunks
        self.seed, self.batch_size, self.train_portion = 0, 20, 1.0
        self._texts: Texts | None = None

    @abstractmethod
    def read(self) -> Texts:
        """The three texts as numbers. Raises DataError where one is missing or damaged."""

    @property
    def num_outputs(self) -> int:
        return self.texts.words

    @property
    def image_size(self) -> int:
        """Tokens of a chunk."""
        return self.chunk

    @property
    def texts(self) -> Texts:
        self.setup()
        assert self._texts is not None
        return self._texts

    def setup(self, stage: str | None = None) -> None:
        """Read once."""
        if self._texts is None:
            self._texts = self.read()

    def _part(self, split: str) -> Tensor:
        tokens: Tensor = getattr(self.texts, split)
        return tokens[: int(self.train_portion * len(tokens) + 1e-9)] if split == "train" else tokens

    def size(self, split: str) -> int:
        return len(self._part(split))

    @property
    def items_per_step(self) -> float:
        """Tokens of all streams that an epoch predicts, over its steps."""
        loader = self.loader()
        return self.batch_size * (loader.text.shape[1] - 1) / len(loader)

    def content(self) -> Iterable[Tensor]:
        return self.texts.train, self.texts.validation, self.texts.test

    def record(self) -> dict[str, Any]:
        sizes = {f"{split}_tokens": self.size(split) for split in ("train", "validation", "test")}
        return {
            "dataset": self.name,
            **sizes,
            "vocabulary": self.num_outputs,
            "chunk": self.chunk,
            "short_chunks": self.short_chunks,
            "content_sha256": self.content_sha256(),
        }

    def loader(
        self,
        device: torch.device | str = "cpu",
        start: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> ChunkLoader:
        return ChunkLoader(
            self._part("train").to(device),
            self.batch_size,
            self.chunk,
            short_share=self.short_chunks,
            seed=self.seed,
            start=start,
            rank=rank,
            world_size=world_size,
        )

    def rate_factor(self, inputs: Tensor) -> float:
        """A chunk's length over the usual one."""
        return inputs.shape[1] / self.chunk

    def evaluation_batches(
        self,
        batch_size: int,
        n: int | None = None,
        device: torch.device | str = "cpu",
        skip: int = 0,
        split: str = "validation",
    ) -> list[tuple[Tensor, Tensor]]:
        """The first `n` tokens of `split` after `skip` others, in `batch_size` streams, as chunks that follow one
        another and of which none is left out: tokens [B, T] and those that follow each."""
        if skip < 0:
            raise DataError(f"evaluation.skip={skip} is negative; give a number of tokens to pass over, or 0")
        tokens = self._part(split)[skip:]
        return in_order(tokens[:n].to(device), batch_size, self.chunk)

    @staticmethod
    def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy in nats, mean over the tokens: logits [B, V, T], targets int64 [B, T] or probabilities
        [B, V, T]."""
        flat = targets.flatten() if targets.ndim == 2 else _flat(targets)
        return F.cross_entropy(_flat(outputs), flat, label_smoothing=label_smoothing)

    @staticmethod
    def sums(outputs: Tensor, targets: Tensor) -> Tensor:
        """Log probability of the right tokens in nats, summed over the batch, float64 [2]: quality and −loss."""
        total = -F.cross_entropy(_flat(outputs.float()), targets.flatten(), reduction="sum").double()
        return torch.stack([total, total])

    @staticmethod
    def count_items(targets: Tensor) -> int:
        return targets.numel()

    @staticmethod
    def teach(outputs: Tensor) -> Tensor:
        return outputs.detach().float().softmax(1)

    @staticmethod
    def guess_loss(num_outputs: int) -> float:
        """ln V nats: of a uniform guess."""
        return math.log(max(2, num_outputs))


def _flat(outputs: Tensor) -> Tensor:
    """[B, V, T] -> [B · T, V], without a copy where the network has made them in that order."""
    return outputs.transpose(1, 2).flatten(0, 1)
