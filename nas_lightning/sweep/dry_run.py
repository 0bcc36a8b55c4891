"""dry_run=true without -m: the one job, its state and its cost."""

from __future__ import annotations

import sys

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.sweep import summary
from nas_lightning.sweep.jobs import Job, describe, refused_folder

REFUSED = 2
"""Exit code where the job would be refused, as the job itself would end."""


def dry_run(cfg: DictConfig) -> None:
    """Print what the command would do. Starts nothing, writes nothing."""
    found = describe(cfg)
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
