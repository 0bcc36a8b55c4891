"""What the framework adds to a step: Lightning, callbacks, sampler, logging, at a network too small to hide them.

A fit of real epochs (progress bar off, metrics file and a CSV logger on) against a bare loop over the same paths and
batches: same network, loss, clipping and optimizer. The difference of the medians over alternating repetitions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from nas_lightning.data.module import ImageDataModule
from nas_lightning.epoch_callbacks import MetricsFile
from nas_lightning.modes.common import quiet_lightning
from nas_lightning.plan import Plan
from nas_lightning.training import SuperNetModule
from perf.measure import clock, spread
from perf.step import step_of

PLAN = Plan().edited(
    {"mapping.channels": 4, "mapping.layers": 1, "protocol.batch_size": 16, "protocol.train_portion": 0.8}
)


class StepClock(pl.Callback):
    """Time from the start of the second epoch to the end of the last."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 1:
            self.started, self.first = clock()(), trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.per_step = (clock()() - self.started) / (trainer.global_step - self.first)


def data() -> ImageDataModule:
    return ImageDataModule("digits", "data", PLAN.protocol.batch_size, PLAN.protocol.train_portion, 0)


def framework_step(epochs: int, folder: Path) -> float:
    """Seconds a step of a fit."""
    timer = StepClock()
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_epochs=epochs, logger=CSVLogger(folder), enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, inference_mode=False,
        callbacks=[timer, MetricsFile(folder / "metrics.csv", 1)],
    )  # fmt: skip
    with quiet_lightning():
        trainer.fit(SuperNetModule("nasbench201", PLAN, 10, 1, 0), datamodule=data())
    return timer.per_step


def bare_step(epochs: int) -> float:
    """Seconds a step of the loop that does only what the mathematics needs."""
    module, loader = SuperNetModule("nasbench201", PLAN, 10, 1, 0), data().loader()
    network = module.network.train()
    paths = [module.sampler.paths(step).architectures[0] for step in range(epochs * len(loader))]
    started, step_once = 0.0, step_of(network)
    for step, arch in enumerate(paths):
        if step == len(loader):
            started = clock()()
        step_once(*loader.batch(step), arch)
    return (clock()() - started) / (len(paths) - len(loader))


def measure(quick: bool) -> dict[str, Any]:
    """Milliseconds a step: the fit's, the loop's, and their difference."""
    epochs, rounds = (2, 1) if quick else (4, 5)
    both = []
    torch.manual_seed(0)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            both.append((1e3 * framework_step(epochs, Path(folder)), 1e3 * bare_step(epochs)))
    fit, bare = np.array(both).T
    return {"fit_ms": spread(fit), "bare_ms": spread(bare), "overhead_ms": spread(fit - bare)}
