"""The accuracy of a stand-alone network."""

from __future__ import annotations

from nas_lightning.data.module import ImageClassification
from nas_lightning.scoring.score import evaluation_batches, score
from nas_lightning.training.module import NetworkModule


def standalone_accuracy(
    module: NetworkModule, data: ImageClassification, split: str, batch_size: int
) -> dict[str, float]:
    """Accuracy and −cross-entropy of a stand-alone network on a split, by the plan's evaluation statistics."""
    images = data.held_out(split)
    batches = evaluation_batches(images, data.normalize, min(batch_size, len(images)), None, module.device)
    protocol = module.plan.protocol
    calibration = (
        [data.loader(module.device).batch(s)[0] for s in range(protocol.bn_recalibration_batches)]
        if protocol.bn_evaluation == "recalibrate"
        else []
    )
    scores = score(
        module.network, [module.network.arch], batches, statistics=protocol.bn_evaluation, calibration=calibration
    )
    return {
        "accuracy": float(scores["accuracy"][0]),
        "negative_cross_entropy": float(scores["negative_cross_entropy"][0]),
        "n_images": sum(len(labels) for _, labels in batches),
    }
