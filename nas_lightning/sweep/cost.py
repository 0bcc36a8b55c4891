"""Seconds of one job, from its plan alone: what a dry run adds up. An estimate, as good as the cost model is."""

from __future__ import annotations

import math
import re

from nas_lightning.modes.job import Job
from nas_lightning.spaces import get_space
from nas_lightning.sweep.gpus import visible_gpus
from nas_lightning.sweep.step_time import CPU_CORE, H100, estimate_seconds

IMAGES = {
    "digits": (1000, 8),
    "overlaid_digits": (3900, 8),
    "cifar10": (50_000, 32),
    "cifar100": (50_000, 32),
    "imagenet16_120": (151_700, 16),
}
"""Official training images, and their side in pixels."""
LISTED = 20_000
"""Encodings of the largest space whose evaluation.architectures=all is estimated by all of them; beyond, the table
decides, and nobody can tell without opening it."""


def train_seconds(job: Job) -> float | None:
    """Estimated seconds of a job of train.py on one CPU core, or on one GPU where it would use one; None if unknown."""
    config, plan = job.config, job.plan
    data, evaluation, mode = config.data, config.evaluation, config.mode
    if data.name not in IMAGES or plan.protocol.distribution is not None:
        return None
    images, side = IMAGES[data.name]
    images = min(images, data.max_train_images or images)
    n_train = int(images * plan.protocol.train_portion)
    architectures = _architectures(evaluation.architectures, config.space.name)
    if architectures is None and mode in ("supernet", "evaluate"):
        return None
    passes = plan.protocol.epochs // evaluation.every if evaluation.every else 1
    held_out = images - n_train
    found = estimate_seconds(
        plan,
        config.space.name,
        n_train,
        image_size=data.image_size or side,
        n_eval_architectures=(architectures or 0) * max(1, passes),
        n_eval_images=min(held_out, evaluation.images or held_out),
        throughput=H100 if visible_gpus() and config.trainer.accelerator != "cpu" else CPU_CORE,
        eval_batch_size=evaluation.batch_size,
    )
    if mode == "standalone":
        return found["training_s"]
    if mode == "evaluate":
        return found["evaluation_s"]
    if mode == "table":
        table = config.table
        trainings = table.architectures * table.seeds
        return found["training_s"] * math.ceil(trainings / table.workers)
    return found["total_s"]


def _architectures(name: str, space: str) -> int | None:
    """How many architectures an evaluated set has, as its name tells; of a difference A-B at most those of A."""
    if name.endswith((".txt", ".csv", ".parquet")):
        return None
    name = name.partition("-")[0]
    if match := re.match(r"random(\d+)(raw)?_seed", name):
        return int(match[1])
    size = get_space(space).size
    return size if name == "all" and size <= LISTED else None
