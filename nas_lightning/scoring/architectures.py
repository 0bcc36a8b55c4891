"""Scores of some architectures by a super-net, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageClassification
from nas_lightning.errors import UserError
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.scorer import Conditions, Scorer
from nas_lightning.scoring.subjects import Subjects
from nas_lightning.training.module import SuperNetModule


def score_architectures(
    module: SuperNetModule,
    data: ImageClassification,
    architectures: Sequence[Any],
    predictors: Sequence[Any] = (),
    *,
    images: int | None = None,
    batch_size: int = 100,
    batch_norm: str | None = None,
    probe_images: int = 0,
    table: Benchmark | None = None,
) -> dict[str, np.ndarray]:
    """What architectures are worth by the shared weights, on images that the training held out.

    Args:
        module: the super-net, which stays as it is.
        data: its images.
        architectures: n values of its space, or their texts.
        predictors: names beyond accuracy and −cross-entropy, such as ``"naswot"`` or ``"parameters"``; or instances.
        images: how many held-out images are used; None takes all that fill whole batches.
        batch_size: of the evaluation; with batch statistics accuracies depend on it.
        batch_norm: ``batch``, ``tracked`` or ``recalibrate``; None takes the plan's.
        probe_images: training images that linear probes are fitted on (``linear_probe``, ``class_separation``).
        table: for predictors that look a column up.

    Returns:
        Scores by the predictors' names, float64 [n] each, higher is better.

    Raises:
        UserError: for unknown predictors, too few images, or architectures that the super-net does not hold.

    Examples:
        >>> from nas_lightning import Plan, get_space, load_data, make_supernet, score_architectures
        >>> plan = Plan().edited({"mapping.channels": 4, "mapping.layers": 1, "protocol.batch_size": 64})
        >>> data, space = load_data("digits", plan), get_space("nasbench201")
        >>> found = score_architectures(make_supernet(space, plan, data), data, list(space.enumerate())[:3], ["depth"])
        >>> list(found), found["accuracy"].shape
        (['accuracy', 'negative_cross_entropy', 'depth'], (3,))
    """
    space = module.sampler.space
    chosen = [space.parse(arch) if isinstance(arch, str) else arch for arch in architectures]
    if not chosen:
        raise UserError("no architectures to score; give at least one")
    missing = next((arch for arch in chosen if not space.admits(arch, module.plan.mapping)), None)
    if missing is not None:
        raise UserError(f"the super-net of this plan does not hold {missing}; leave it out")
    conditions = Conditions(batch_size, images, statistics=batch_norm, probe_images=probe_images)
    choice = Choice.of(predictors=predictors, baselines=(), probe_images=probe_images)
    scorer = Scorer(Subjects(space, "given", chosen, table), module.plan, data, conditions, choice=choice)
    data.setup()  # a task of one's own may not do so by itself when it is asked for batches
    return scorer(module)
