"""A score of your own: this file and no edit anywhere else.

    PYTHONPATH=examples python train.py recipe=nasbench201_quick \\
        'evaluation.predictors=[{_target_: own_predictor.Margin, batches: 2}]' evaluation.score=margin

It is stored, ranked, compared, fused (`evaluation.fuse=[accuracy]`) and drawn as the packaged scores are.
"""

import numpy as np
import torch

from nas_lightning.predictors.base import Context, Predictor


class Margin(Predictor):
    """How sure the super-net is of its answers: mean gap between its two largest logits. Needs no labels.

    batches: held-out batches looked at, at most.
    """

    name = "margin"
    needs = frozenset({"weights", "images"})
    note = "the super-net's weights, without labels"

    def __init__(self, *, batches: int = 1):
        self.batches = batches

    def __call__(self, context: Context) -> np.ndarray:
        network, was_training = context.network, context.network.training
        network.eval()
        with torch.inference_mode():
            scores = [self.gap(network, architecture, context.batches) for architecture in context.architectures]
        network.train(was_training)
        return np.array(scores)

    def gap(self, network, architecture, batches) -> float:
        """Of one architecture, over the batches."""
        gaps = [
            network(images, architecture).topk(2).values.diff().abs().mean() for images, _ in batches[: self.batches]
        ]
        return float(torch.stack(gaps).mean())
