"""One job of train.py, from the composed configuration to a complete run folder."""

from __future__ import annotations

import math
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console

from nas_lightning.config.schema import TrainConfig, typed
from nas_lightning.errors import UserError
from nas_lightning.heuristic import NotApplicableError
from nas_lightning.modes.ending import render
from nas_lightning.modes.evaluate import evaluate
from nas_lightning.modes.job import Job, compose
from nas_lightning.modes.standalone import train_standalone
from nas_lightning.modes.supernet import train_supernet
from nas_lightning.modes.table import build_table
from nas_lightning.processes.launch import rank_of
from nas_lightning.processes.ranks import ranks_of
from nas_lightning.processes.signals import stoppable
from nas_lightning.runs.files import HeldError, refused_by_disk, write_atomically
from nas_lightning.runs.folder import RESULT, held, run_hash
from nas_lightning.runs.result import (
    DIVERGED,
    NOT_APPLICABLE,
    Ablation,
    DivergedResult,
    Trained,
    finished,
    write_result,
)
from nas_lightning.scoring.partial import PREFIX
from nas_lightning.training.checkpoints import FOLDER, steps_saved
from nas_lightning.training.divergence import DivergedError
from nas_lightning.training.trainer import ask_for_determinism, refuse_absent_gpu

MODES = {"supernet": train_supernet, "standalone": train_standalone, "table": build_table, "evaluate": evaluate}
ERROR = "error.txt"

console = Console()


def train(cfg: DictConfig, quiet: bool = False) -> dict[str, Any]:
    """One job; `quiet` prints nothing at its end. A complete run is not repeated; an unfinished one goes on.

    A failure leaves its traceback in the run folder, where there is one already, and is raised again.
    """
    try:
        job = compose(cfg)
    except NotApplicableError as refusal:
        if not cfg.ablation:
            raise
        return record_not_applicable(cfg, str(refusal))
    if job.config.trainer.threads:
        torch.set_num_threads(job.config.trainer.threads)
    ask_for_determinism(job.config.trainer.deterministic, job.config.trainer.accelerator)
    result = None if job.config.force else cast("dict[str, Any] | None", finished(job.folder))
    if result is None:
        refuse_absent_gpu(job.config.trainer.accelerator, job.config.trainer.precision)
    if rank_of(job.config.trainer) != 0:
        return result or run(job)
    if result is not None and result["status"] == DIVERGED:
        raise UserError(f"{result['reason']} (the same run again; repeat it with force=true)")
    if result is not None:
        if not (quiet or in_sweep()):
            console.print("This run is complete; repeat it with force=true.", highlight=False)
    else:
        result = run(job)
    if not quiet:
        report(job, result)
    return result


def run(job: Job) -> dict[str, Any]:
    """Train what is not complete, alone in its folder; SIGTERM and Ctrl-C end it tidily. Only rank 0 has a result.

    A full disk, a folder that cannot be written or has vanished is a RunError: one sentence, and the same command goes
    on once it is mended.
    """
    with stoppable(), ranks_of(job.config.trainer, job.folder.name) as ranks, ExitStack() as stack:
        try:
            if ranks.is_first:
                stack.enter_context(held(job.folder))
                if job.config.force:
                    discard(job.folder)
                (job.folder / ERROR).unlink(missing_ok=True)
            return cast("dict[str, Any]", MODES[job.config.mode](job) or {})
        except Exception as error:
            ranks.leave()
            if isinstance(error, DivergedError) and (kept := steps_saved(job.folder / FOLDER)):
                error.with_checkpoint(f"{FOLDER}/{kept[0].name}")
            # The rank that fails first says why; the others only notice that it is gone.
            if isinstance(error, HeldError):
                raise
            if (job.folder / "config.yaml").exists() and not (job.folder / ERROR).exists():
                with suppress(OSError):  # on a full disk there may be no room for it
                    write_atomically(job.folder / ERROR, traceback.format_exc().encode())
            if isinstance(error, DivergedError) and ranks.is_first:
                record_diverged(job, error)
            if isinstance(error, OSError):
                raise refused_by_disk(error, job.folder) from error
            raise


def report(job: Job, result: dict[str, Any]) -> None:
    """The end of a run in the terminal. In a sweep its line is the sweep's."""
    if not in_sweep():
        render(job, result, console)


def in_sweep() -> bool:
    """Whether this is one job of several (``-m``)."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def discard(folder: Path) -> None:
    """Take away a run's result, checkpoints and partial scores, so that it starts afresh; nothing else is touched."""
    (folder / RESULT).unlink(missing_ok=True)
    for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
        checkpoint.unlink()
    for partial in folder.glob(f"{PREFIX}*.npz"):
        partial.unlink()


def record_diverged(job: Job, error: DivergedError) -> None:
    """A result file that says at which step the training diverged: it is never complete, and not tried again."""
    result: DivergedResult = {
        "kind": {"supernet": "train"}.get(job.config.mode, job.config.mode),
        "status": DIVERGED,
        "reason": str(error),
        "run_hash": job.hash,
        "space": job.config.space.name,
        "dataset": job.config.data.name,
        "seed": job.config.seed,
        "plan": job.plan.as_dict(),
        "heuristics": {h.factor: h.settings(job.base) for h in job.heuristics if h.active},
        "called": dict(job.changes),
        "ablation": cast(Ablation | None, job.config.changed_factor),
        "study": job.config.study,
        "recipe": job.config.recipe,
        "step": error.step,
        "loss": error.loss if math.isfinite(error.loss) else str(error.loss),
    }
    write_result(job.folder, result)


def not_applicable_folder(config: TrainConfig) -> Path:
    """Where an ablation is recorded that its space does not have; the seed makes no difference."""
    ablation = config.ablation
    assert ablation is not None
    where = f"{config.space.name}_{config.data.name}_{ablation.factor}-{ablation.setting}"
    return Path(config.runs) / (config.study or "") / f"{where}_not-applicable"


def record_not_applicable(cfg: DictConfig, reason: str) -> dict[str, Any]:
    """An ablation whose setting the space does not have: a result file that says so, and no training."""
    config: TrainConfig = typed(cfg)
    folder = not_applicable_folder(config)
    result: Trained = {
        "kind": "train",
        "status": NOT_APPLICABLE,
        "reason": reason,
        "run_hash": run_hash({"not_applicable": folder.name}),
        "space": config.space.name,
        "dataset": config.data.name,
        "seed": config.seed,
        "ablation": cast(Ablation | None, config.changed_factor),
        "study": config.study,
    }
    result = write_result(folder, result)
    if not in_sweep():
        console.print(f"Not applicable: {reason}", highlight=False)
    return cast("dict[str, Any]", result)
