"""What every loader of training batches shares: batches are a function of the global step, and nothing else is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from nas_lightning.data.images import DataError


class StepLoader(ABC):
    """Batches of the trainer's global step, so that a resumed run sees the same ones, in mid-epoch too."""

    def __init__(self, batch_size: int, start: Callable[[], int], world_size: int = 1) -> None:
        """`start` tells the global step; a `batch_size` that the ranks cannot share equally raises DataError."""
        if batch_size % world_size:
            raise DataError(
                f"protocol.batch_size={batch_size} is global and does not divide by {world_size} ranks; choose "
                "a multiple"
            )
        self.batch_size, self.start, self.world_size = batch_size, start, world_size

    @abstractmethod
    def __len__(self) -> int:
        """Steps of an epoch."""

    @abstractmethod
    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of global step `step`, of this process's part of the batch."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches from the trainer's global step to the end of its epoch."""
        first = self.start()
        for step in range(first, (first // len(self) + 1) * len(self)):
            yield self.batch(step)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the position is the trainer's global step. Tells Lightning that a mid-epoch resume is sound."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 (Lightning asks for both)
        """See `state_dict`."""
