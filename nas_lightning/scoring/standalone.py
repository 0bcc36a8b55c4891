"""What a stand-alone network is worth."""

from __future__ import annotations

from collections.abc import Sequence

from nas_lightning.data.task import Task
from nas_lightning.scoring.score import score
from nas_lightning.training.module import NetworkModule


def _size(data: Task, split: str, batch_size: int) -> int:
    """Items of a batch: a small split is one whole batch."""
    return min(batch_size, data.size(split)) or batch_size


def refuse_small_splits(data: Task, splits: Sequence[str], batch_size: int) -> None:
    """Refuse a split that does not fill one batch, such as no validation items at all, before anything trains.

    Args:
        data: its data has been read.
        splits: what `standalone_scores` will be asked for.
        batch_size: items a batch.

    Raises:
        DataError: a split is empty.
    """
    for split in splits:
        size = _size(data, split, batch_size)
        # A stream of a text is two tokens or more: its first one is not predicted.
        data.evaluation_batches(size, n=min(2 * size, data.size(split)), split=split)


def standalone_scores(module: NetworkModule, data: Task, split: str, batch_size: int) -> dict[str, float]:
    """Quality and −loss of a stand-alone network on a split, by the plan's evaluation statistics.

    Args:
        module: a trained network of one architecture.
        data: its data.
        split: ``validation`` or ``test``.
        batch_size: items a batch, at most the split.

    Returns:
        The scores by their names, such as ``accuracy`` and ``negative_cross_entropy``, and ``n_images``.
    """
    batches = data.evaluation_batches(_size(data, split, batch_size), device=module.device, split=split)
    protocol = module.plan.protocol
    calibration = (
        [data.loader(module.device).batch(s)[0] for s in range(protocol.bn_recalibration_batches)]
        if protocol.bn_evaluation == "recalibrate"
        else []
    )
    scores = score(
        module.network,
        [module.network.arch],
        batches,
        statistics=protocol.bn_evaluation,
        calibration=calibration,
        task=type(data),
    )
    return {
        **{name: float(values[0]) for name, values in scores.items()},
        "n_images": sum(data.count_items(targets) for _, targets in batches),
    }
