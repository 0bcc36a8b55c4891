"""A text as parallel streams that are read chunk by chunk: truncated back-propagation through time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from nas_lightning.data.images import DataError
from nas_lightning.data.loader import StepLoader

LENGTH_STREAM = 5
"""Of the draw of an epoch's short chunks; see `nas_lightning.data.module` for the others."""


def streams(tokens: Tensor, count: int, least: int = 2) -> Tensor:
    """The text cut into `count` equal streams that lie beside one another, [count, L]; a remainder is left out.

    Raises DataError where a stream has fewer than `least` tokens.
    """
    length = len(tokens) // count
    if length < least:
        raise DataError(
            f"a text of {len(tokens)} tokens gives no {count} streams of {least} or more; lower the batch size, or use "
            "more of the text"
        )
    return tokens[: count * length].view(count, length)


def chunk_lengths(tokens: int, length: int, short_share: float, key: tuple[int, ...]) -> np.ndarray:
    """How many tokens the chunks of an epoch predict, int64 [steps]; they sum to `tokens`.

    The share `short_share` of them is half as long. How many these are depends on the lengths alone, so that every
    epoch has equally many steps; which ones is drawn by `key`. The last chunk is a long one, cut to what is left.
    """
    half = max(1, length // 2)

    def reach(steps: int) -> int:
        short = round(short_share * steps)
        return (steps - short) * length + short * half

    steps = 1
    while reach(steps) < tokens:
        steps += 1
    found = np.full(steps, length, np.int64)
    short = min(round(short_share * steps), steps - 1)
    found[np.random.default_rng(key).permutation(steps - 1)[:short]] = half
    found[-1] -= found.sum() - tokens
    return found


class ChunkLoader(StepLoader):
    """Training chunks as a function of the global step alone, so that a resumed run reads the same ones.

    The text is one epoch: `batch_size` streams from its start to its end, of W ranks rank r reads streams r, r + W, ….
    Step s predicts the tokens after those that step s − 1 predicted; the first step of an epoch starts anew.
    """

    def __init__(
        self,
        tokens: Tensor,
        batch_size: int,
        length: int,
        short_share: float,
        seed: int,
        start: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, start, world_size)
        self.text = streams(tokens, batch_size)[rank::world_size]
        self.length, self.short_share, self.seed = length, short_share, seed
        self.steps = len(self._lengths(0))
        self._ends: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def _lengths(self, epoch: int) -> np.ndarray:
        return chunk_lengths(
            self.text.shape[1] - 1, self.length, self.short_share, key=(self.seed, epoch, LENGTH_STREAM)
        )

    def __len__(self) -> int:
        return self.steps

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Tokens int64 [B / world, T] of global step `step`, and those that follow each of them."""
        epoch, position = divmod(step, len(self))
        if self._ends[0] != epoch:
            self._ends = epoch, np.concatenate([[0], self._lengths(epoch).cumsum()])
        first, end = self._ends[1][position : position + 2].tolist()
        return self.text[:, first:end], self.text[:, first + 1 : end + 1]


def in_order(tokens: Tensor, count: int, length: int) -> list[tuple[Tensor, Tensor]]:
    """All of a text in `count` streams, as chunks of `length` that follow one another; the last may be shorter.

    The first token of a stream is not predicted: it has nothing before it.
    """
    text = streams(tokens, count)
    return [
        (part[:, :-1], part[:, 1:])
        for at in range(0, text.shape[1] - 1, length)
        if (part := text[:, at : at + length + 1]).shape[1] > 1
    ]
