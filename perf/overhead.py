"""What the framework adds to a step: Lightning, callbacks, sampler, logging, at a network too small to hide them.

A fit of real epochs with the callbacks of train.py (all heuristics, progress without a terminal, ranking, metrics file,
checkpoints) and a CSV logger against a bare loop over the same paths and batches: same network, loss, clipping and
optimizer. Step by step, since both take the same path at the same step: the median of the differences does not feel
what other programs do to a few steps. What an epoch's end adds (means, files, the last checkpoint) is told apart, since
it comes once an epoch of any length.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from nas_lightning.data.module import ImageClassification
from nas_lightning.modes.callbacks import MetricsFile, RankingCallback
from nas_lightning.modes.configure import configure
from nas_lightning.plan import Plan
from nas_lightning.training.checkpoints import AtomicCheckpointIO, Checkpoints
from nas_lightning.training.module import SuperNetModule
from nas_lightning.training.progress import RunProgress
from nas_lightning.training.trainer import quiet_lightning
from perf.measure import clock, spread
from perf.step import step_of

PLAN = Plan().edited(
    {"mapping.channels": 4, "mapping.layers": 1, "protocol.batch_size": 16, "protocol.train_portion": 0.8}
)


class StepClock(pl.Callback):
    """The time at the end of every step, as the first of the end's hooks."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.ends.append(clock()())


def data() -> ImageClassification:
    return ImageClassification("digits", "data", PLAN.protocol.batch_size, PLAN.protocol.train_portion, 0)


def callbacks(folder: Path) -> list[pl.Callback]:
    """What train.py hands to the Trainer: progress, the heuristics, ranking, metrics file, checkpoints."""
    progress = RunProgress()
    progress.disable()
    # Asked for the plan alone: the ranking comes at the end.
    evaluation: Any = SimpleNamespace(scorer=SimpleNamespace(plan=PLAN))
    ranking, checkpoints = RankingCallback(evaluation, every=0), Checkpoints(folder, 10, None, 10.0)
    own = configure("recipe=none").heuristics
    return [progress, *own, ranking, MetricsFile(folder / "metrics.csv", 1), checkpoints]


def framework_steps(epochs: int, folder: Path) -> np.ndarray:
    """Seconds from the end of each step of a fit to the end of the next."""
    timer = StepClock()
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_epochs=epochs, logger=CSVLogger(folder), enable_model_summary=False,
        limit_val_batches=0, inference_mode=False, plugins=[AtomicCheckpointIO()],
        callbacks=[timer, *callbacks(folder)],
    )  # fmt: skip
    with quiet_lightning():
        trainer.fit(SuperNetModule("nasbench201", PLAN, 10, 1, 0), datamodule=data())
    return np.diff(timer.ends)


def bare_steps(epochs: int) -> np.ndarray:
    """The same of a loop that does only what the mathematics needs."""
    module, loader = SuperNetModule("nasbench201", PLAN, 10, 1, 0), data().loader()
    network = module.network.train()
    paths = [module.sampler.paths(step).architectures[0] for step in range(epochs * len(loader))]
    step_once, ends = step_of(network), []
    for step, arch in enumerate(paths):
        step_once(*loader.batch(step), arch)
        ends.append(clock()())
    return np.diff(ends)


def measure(quick: bool) -> dict[str, Any]:
    """Milliseconds a step: the fit's, the loop's, their difference; and what an epoch's end adds to its last step."""
    epochs, rounds = (2, 1) if quick else (4, 5)
    fits, bares = [], []
    torch.manual_seed(0)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            fits.append(1e3 * framework_steps(epochs, Path(folder)))
        bares.append(1e3 * bare_steps(epochs))
    fit, bare = np.array(fits), np.array(bares)
    per_epoch = len(data().loader())
    last = np.arange(1, fit.shape[1] + 1) % per_epoch == 0  # the interval that holds an epoch's end
    inner = (fit - bare)[:, per_epoch:][:, ~last[per_epoch:]]  # the first epoch warms up
    return {
        "fit_ms": spread(fit[:, per_epoch:].ravel()),
        "bare_ms": spread(bare[:, per_epoch:].ravel()),
        "overhead_ms": spread(inner.ravel()),
        "epoch_end_ms": spread((fit - bare)[:, last].ravel() - float(np.median(inner))),
    }
