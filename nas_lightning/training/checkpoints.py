"""Checkpoints of a run folder: when they are saved, which are kept, and from which one a run goes on.

``checkpoints/step-00000120.ckpt`` are the last two of the training, ``final.ckpt`` is its end. Everything a step draws
is keyed by (seed, step), so that a checkpoint from the middle of an epoch continues bit-identically.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import CheckpointIO
from torch import Tensor

from nas_lightning.processes.signals import Deferred, Stopped
from nas_lightning.training.checkpoint_file import (
    CheckpointError,
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)

FOLDER, FINAL = "checkpoints", "final.ckpt"
KEPT = 2


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's saving and loading by `checkpoint_file`. Only rank 0 is asked to save."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(path, "cpu" if map_location is None else map_location)

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def steps_saved(folder: Path) -> list[Path]:
    """Checkpoints of the training, the newest first; versions before named them ``step=…``, which Hydra's grammar
    cannot read without quotes."""
    return sorted(folder.glob("step[-=]*.ckpt"), key=lambda path: (path.stem[5:], path.stem[4] == "-"), reverse=True)


def resume_point(
    folder: Path,
    writes: bool = True,
    warn: Callable[[str], None] | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Path | None:
    """The newest checkpoint that is intact; None where the training starts from the beginning.

    A damaged one is renamed to ``….damaged`` (by the process that `writes`), with a warning, and the one before it
    is used. Raises CheckpointError for one of another format, or of a code whose module had other `weights` than this
    one's: it is no damage, and training over it would lose it.
    """
    say = warn or (lambda text: print(f"warning: {text}", file=sys.stderr, flush=True))
    known = [path for path in (folder / FINAL, *steps_saved(folder)) if path.exists()]
    others = [path for path in sorted(folder.glob("*.ckpt")) if path not in known]
    damaged, point = [], None
    for path in [*known, *others]:
        try:
            found = read_checkpoint(path)
        except DamagedCheckpointError:
            damaged.append(path)
        else:
            if weights is not None and _shapes(found.get("state_dict")) != _shapes(weights):
                raise CheckpointError(
                    f"checkpoint {path} holds other weights than this version of nas-lightning trains for the same "
                    "settings; go on with the version that wrote it, move the folder away, or repeat with force=true"
                )
            point = path
            break
    for path in damaged:
        instead = f"{point.name}, the one before it" if point else "the beginning, since there is no other one"
        if writes:
            say(f"checkpoint {path} is damaged; the run goes on from {instead}")
            path.replace(path.with_name(path.name + ".damaged"))
    return point


def _shapes(weights: Any) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a state dict, by its name; empty for anything else."""
    named = weights if isinstance(weights, Mapping) else {}
    return {name: tuple(value.shape) for name, value in named.items() if isinstance(value, Tensor)}


class Checkpoints(Checkpoint):
    """Saves the training's state and ends it on a signal.

    Fires: end of a batch (every `every_steps` steps, every `minutes`, on a signal), end of an epoch (every
    `every_epochs`, and the last one as final.ckpt). The last batch of an epoch is left to the epoch's end, where its
    metrics are complete. Lightning calls it after all other callbacks, so that their state belongs to this step.
    """

    def __init__(self, folder: Path, every_epochs: int, every_steps: int | None, minutes: float | None) -> None:
        super().__init__()
        self.folder, self.every_epochs, self.every_steps, self.minutes = folder, every_epochs, every_steps, minutes
        self._signals = Deferred()
        self._saved_at = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not earlier: Lightning installs a handler of its own before, which saves nothing.
        self._signals.install()
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if trainer.is_last_batch:
            return
        every = self.every_steps is not None and trainer.global_step % self.every_steps == 0
        if self._agreed(trainer, bool(self._signals.signum) or self._is_late()) or every:
            self._save(trainer)
            self._stop_if_asked(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        is_last = epoch >= (trainer.max_epochs or 0)
        every = epoch % self.every_epochs == 0 or (
            self.every_steps is not None and trainer.global_step % self.every_steps == 0
        )
        if self._agreed(trainer, bool(self._signals.signum) or self._is_late()) or every or is_last:
            self._save(trainer, is_last)
            self._stop_if_asked(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._signals.restore()
        if self._signals.signum:
            raise Stopped(self._signals.signum)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._signals.restore()

    def _is_late(self) -> bool:
        return self.minutes is not None and time.monotonic() - self._saved_at >= 60 * self.minutes

    def _agreed(self, trainer: pl.Trainer, wanted: bool) -> bool:
        """Whether any rank wants to: clocks differ, and a signal may reach one rank alone."""
        return wanted if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(wanted, all=False)

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        if self._agreed(trainer, bool(self._signals.signum)):
            raise Stopped(self._signals.signum or 15)

    def _save(self, trainer: pl.Trainer, is_last: bool = False) -> None:
        trainer.save_checkpoint(self.folder / (FINAL if is_last else f"step-{trainer.global_step:08d}.ckpt"))
        if trainer.is_global_zero:
            for old in steps_saved(self.folder)[KEPT - is_last :]:
                old.unlink()
        self._saved_at = time.monotonic()
