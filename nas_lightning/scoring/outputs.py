"""Sums over the outputs on held-out items, and the two scores that are read off them: the task's quality and loss."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.data.module import ImageClassification
from nas_lightning.data.task import Task
from nas_lightning.predictors.base import PredictorError
from nas_lightning.scoring.score import Measured, Meter, Seen


class OutputSums(Meter):
    """Quality and −loss (`Task.sums`) over the held-out items, float64 [n, 2]: of images with classes the correct
    answers and −cross-entropy in nats."""

    def __init__(self, n: int, num_classes: int, device: torch.device, task: type[Task] = ImageClassification) -> None:
        super().__init__(n, num_classes, device, task)
        self.sums = torch.zeros(n, 2, dtype=torch.float64, device=device)

    def add(self, seen: Seen) -> None:
        if seen.outputs is not None:
            self.sums[seen.row] += self.task.sums(seen.outputs, seen.targets)

    def means(self, column: int, images: int) -> Tensor:
        """Per image, float64 [n].

        Args:
            column: 0 for the quality, 1 for −loss.
            images: how many held-out images were seen.

        Returns:
            float64 [n], in the column's unit.
        """
        return self.sums[:, column] / images


class OutputScore(Measured):
    """One of the two columns of `OutputSums`, known by the name that the task gives it."""

    meter = OutputSums
    name = ""

    def __init__(self, name: str = "") -> None:
        self.name = name or type(self).name

    def read(self, meter: OutputSums, images: int) -> Tensor:
        columns = output_scores(meter.task)
        if self.name not in columns:
            raise PredictorError(
                f"predictor {self.name} is no score of this task, whose outputs give {' and '.join(columns)}"
            )
        return meter.means(columns[self.name], images)


def output_scores(task: type[Task]) -> dict[str, int]:
    """Name and column of what `Task.sums` gives; one alone where the loss is the quality.

    Args:
        task: the class of the learning problem.

    Returns:
        Score name -> column.
    """
    loss = f"negative_{task.loss_name}"
    return {task.quality.name: 0} if loss == task.quality.name else {task.quality.name: 0, loss: 1}
