"""dry_run=true without -m: the one job, its state and its cost."""

from __future__ import annotations

import sys
from dataclasses import replace

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.errors import UserError
from nas_lightning.runs.folder import RESULT
from nas_lightning.sweep import summary
from nas_lightning.sweep.jobs import Job, describe, refused_folder

REFUSED = 2
"""Exit code where the job would be refused, as the job itself would end."""


def lacking(cfg: DictConfig) -> str | None:
    """What this machine lacks for the one job, which would run here; a sweep may be planned on another machine."""
    from nas_lightning.config.settled import precision_of  # these import PyTorch
    from nas_lightning.training.trainer import refuse_absent_gpu

    accelerator = cfg.trainer.accelerator
    try:
        refuse_absent_gpu(accelerator, precision_of(cfg.trainer.precision, accelerator))
    except UserError as refusal:
        return str(refusal)
    return None


def dry_run(cfg: DictConfig) -> None:
    """Print what the command would do. Starts nothing, writes nothing."""
    found = describe(cfg)
    if found.refusal is None and "mode" in cfg and not (found.folder / RESULT).exists():
        found = replace(found, refusal=lacking(cfg))
    job = Job(
        tuple(HydraConfig.get().overrides.task),
        "as typed",
        found.folder,
        seconds=found.seconds,
        refusal=found.refusal,
        refused_folder=refused_folder(cfg),
        force=cfg.force,
    )
    summary.print_jobs([job], 1)
    if found.refusal is not None:
        sys.exit(REFUSED)
    print(f"Run folder: {job.folder}")
