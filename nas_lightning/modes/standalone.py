"""mode=standalone: one architecture with weights of its own."""

from __future__ import annotations

import time
from typing import Any

from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.modes.callbacks import MetricsFile
from nas_lightning.modes.common import (
    check_logger,
    data_module,
    fit,
    logger_of,
    open_folder,
    refuse_sizes,
    result_of,
)
from nas_lightning.modes.job import Job
from nas_lightning.runs.files import to_json, write_atomically
from nas_lightning.runs.result import StandaloneResult, write_result
from nas_lightning.scoring.standalone import refuse_small_splits, standalone_scores
from nas_lightning.spaces import get_space
from nas_lightning.training.module import StandaloneModule


def scored_splits(data: Task) -> list[str]:
    """What a network is judged on: test items, and validation items where there are any."""
    return [split for split in ("validation", "test") if split == "test" or data.size("validation")]


def prepared(job: Job, data: Task) -> Any:
    """The architecture of the job, its data read: everything that can be refused before the first step is. Raises
    UserError."""
    config = job.config
    if not config.architecture:
        raise UserError("mode=standalone needs architecture='…', in the field's string form of the space")
    arch = get_space(config.space.name).parse(config.architecture)
    data.setup()
    data.loader()
    refuse_sizes(job, data)
    refuse_small_splits(data, scored_splits(data), config.evaluation.batch_size)
    check_logger(config.logger, kind="standalone", mode=config.mode)
    return arch


def train_standalone(job: Job) -> StandaloneResult | None:
    """mode=standalone: train one architecture from scratch; accuracies on held-out and test images."""
    config, started = job.config, time.perf_counter()
    data = data_module(job)
    arch = prepared(job, data)
    module = StandaloneModule(
        space=config.space.name,
        plan=job.plan,
        num_classes=data.num_outputs,
        in_channels=data.in_channels,
        seed=config.seed,
        arch=arch,
        init_seed=config.init_seed,
        task=type(data),
    )
    open_folder(job, data)
    with logger_of(job, "standalone") as logger:
        trainer = fit(
            job, module, data, callbacks=[*job.heuristics, MetricsFile(job.folder / "metrics.csv", 1)], logger=logger
        )
        if not trainer.is_global_zero:
            return None
        module.to(trainer.strategy.root_device)
        metrics = {
            split: standalone_scores(module, data, split, config.evaluation.batch_size) for split in scored_splits(data)
        }
        write_atomically(job.folder / "timings.json", to_json({"total_s": time.perf_counter() - started}))
        result: StandaloneResult = {
            **result_of(job, "standalone", data, passes=trainer.global_step, steps=trainer.global_step),
            "architecture": str(arch),
            "parameters": sum(p.numel() for p in module.network.parameters()),
            "metrics": metrics,
        }
        logger.finish(result)
        result = write_result(job.folder, result)
    return result
