"""What the modes of train.py share: data, Trainer, logger, run folder, the common part of a result."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from typing import Any, cast

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from nas_lightning.config.schema import LoggerSchema
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.heuristic import changed
from nas_lightning.logging.facts import RunFacts
from nas_lightning.logging.loggers import RunLogger, open_logger, refuse_unknown_logger
from nas_lightning.modes.job import Job
from nas_lightning.nets.norm import synchronise
from nas_lightning.nets.sizes import refuse_other_sizes
from nas_lightning.objectives.candidate import task_of
from nas_lightning.processes.ranks import current
from nas_lightning.processes.strategy import connect, strategy_of
from nas_lightning.runs.environment import environment, record_environment
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.result import COMPLETE, Ablation, Cost, Trained
from nas_lightning.training.checkpoints import FINAL, FOLDER, Checkpoints, resume_point
from nas_lightning.training.module import NetworkModule
from nas_lightning.training.progress import RunProgress
from nas_lightning.training.trainer import new_trainer, quiet_lightning

for name in ("pytorch_lightning", "lightning_fabric"):  # their start-up hints say nothing about the run
    logging.getLogger(name).setLevel(logging.WARNING)


def data_module(job: Job) -> Task:
    """The task with the plan's batch size and train portion."""
    return task_of(job.config.data, job.plan, job.config.seed)


def check_logger(logger: LoggerSchema, kind: str, mode: str) -> None:
    """Refuse a logger that does not exist, or that cannot keep the checkpoint asked for. Raises UserError."""
    refuse_unknown_logger(logger.name)
    if logger.checkpoint and (logger.name != "wandb" or kind != "train"):
        raise UserError(
            f"logger.checkpoint=true does not go with logger={logger.name} and mode={mode}; W&B keeps the checkpoint "
            "of a trained super-net (logger=wandb mode=supernet)"
        )


def refuse_sizes(job: Job, data: Task) -> None:
    """Refuse images of a side that the space's networks do not take; the data has been read. Raises PlanError."""
    refuse_other_sizes(
        job.config.space.name,
        job.plan,
        num_outputs=data.num_outputs,
        in_channels=data.in_channels,
        image_size=data.image_size,
    )


def logger_of(job: Job, kind: str) -> RunLogger:
    """The logger that the configuration names. Raises ValueError where it cannot keep the checkpoint asked for."""
    config = job.config
    check_logger(config.logger, kind=kind, mode=config.mode)
    facts = RunFacts(
        folder=job.folder,
        run_hash=job.hash,
        kind=kind,
        space=config.space.name,
        dataset=config.data.name,
        seed=config.seed,
        plan=job.plan.as_dict(),
        heuristics={h.factor: h.settings(job.base) for h in job.heuristics if h.active},
        changes=job.changes,
        starting_point=job.typed,
        study=config.study,
        recipe=config.recipe,
        extra={"evaluation": asdict(config.evaluation)},
    )
    return open_logger(config.logger.name, facts, project=config.logger.project)


def build_trainer(job: Job, callbacks: list[pl.Callback], logger: RunLogger) -> pl.Trainer:
    """Lightning's Trainer with our callbacks and checkpoints."""
    wanted = job.config.trainer
    checkpoints = Checkpoints(
        job.folder / FOLDER, wanted.checkpoint_every, wanted.checkpoint_every_steps, wanted.checkpoint_minutes
    )
    return new_trainer(
        epochs=job.plan.protocol.epochs,
        accelerator=wanted.accelerator,
        devices=json.loads(wanted.devices) if wanted.devices.startswith("[") else int(wanted.devices),
        precision=wanted.precision,
        deterministic=wanted.deterministic,
        callbacks=[*callbacks, checkpoints],
        folder=job.folder,
        logger=logger.lightning,
        strategy=strategy_of(wanted),
        num_nodes=wanted.num_nodes,
        progress_bar=True,
    )


def fit(job: Job, module: NetworkModule, data: Task, callbacks: list[pl.Callback], logger: RunLogger) -> pl.Trainer:
    """Train from the last checkpoint of the run folder, or from the start; saves the final state."""
    progress = RunProgress()
    if not job.config.trainer.progress_bar:
        progress.disable()
    if job.config.trainer.sync_batchnorm:
        synchronise(module.network)
    trainer = build_trainer(job, [*callbacks, progress], logger)  # it shows what they found
    with quiet_lightning():
        # All ranks go on from rank 0's choice: the files may change while the others start.
        point = None
        if current().is_first:
            point = resume_point(job.folder / FOLDER, weights=module.state_dict())
            if point is not None and point.name == FINAL:
                print("its training is complete: what comes after it goes on", file=sys.stderr, flush=True)
        point = connect(trainer, point)
        progress.goes_on = point is not None
        trainer.fit(module, datamodule=data, ckpt_path=point, weights_only=True)
        if not job.plan.protocol.epochs:  # no epoch has saved its end
            trainer.save_checkpoint(job.folder / FOLDER / FINAL)
    return trainer


def result_of(job: Job, kind: str, data: Task, passes: int, steps: int) -> Trained:
    """What every result file says, whatever the mode."""
    config = job.config
    return {
        "kind": kind,
        "status": COMPLETE,
        "reason": None,
        "run_hash": job.hash,
        "space": config.space.name,
        "dataset": config.data.name,
        "seed": config.seed,
        **cast(Trained, {} if config.init_seed is None else {"init_seed": config.init_seed}),
        "plan": job.plan.as_dict(),
        "heuristics": {h.factor: h.settings(job.base) for h in job.heuristics if h.active},
        "changed": {name: list(values) for name, values in changed(job.base, job.plan).items()},
        "called": dict(job.changes),
        "ablation": cast(Ablation | None, config.changed_factor),
        "study": config.study,
        "recipe": config.recipe,
        "data": data.record(),
        **cast(Trained, data.quality.record()),
        **cast(Trained, data.items_record()),
        "cost": {
            "epochs": job.plan.protocol.epochs,
            "steps": steps,
            "passes": passes,
            **cast(Cost, {data.items_name: round(passes * data.items_per_step)}),
        },
    }


def config_yaml(config: Any) -> str:
    """The resolved configuration as YAML, in the order of the schema."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def open_folder(job: Job, data: Task) -> None:
    """Create the run folder with its configuration and environment; rank 0 does."""
    if not current().is_first:
        return
    write_atomically(job.folder / "config.yaml", config_yaml(job.config).encode())
    record_environment(job.folder, environment(data.record(), torch.get_num_threads()))
