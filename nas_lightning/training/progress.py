"""Progress of a whole run on one line: epochs done, loss, ranking, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nas_lightning.training.module import NetworkModule

QUIET_S = 20.0
"""Seconds of work that are not worth a line in a log file."""


def new_progress(console: Console | None = None, shown: bool = True) -> Progress:
    """A bar with count, elapsed time and time left, on the standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console or Console(stderr=True),
        disable=not shown,
    )


@contextmanager
def counted(label: str, total: int, enabled: bool = True) -> Iterator[Callable[[int], None]]:
    """Yields a function that is told how many of `total` are done: a bar with the time left on a terminal.

    Elsewhere (log files) one line at every tenth, of what takes longer than `QUIET_S` seconds.
    """
    if not enabled:
        yield lambda done: None
    elif sys.stderr.isatty():
        with new_progress() as progress:
            task = progress.add_task(label, total=total, note="")
            yield lambda done: progress.update(task, completed=done)
    else:
        started, first, printed = time.monotonic(), 0, 0

        def tell(done: int) -> None:
            nonlocal first, printed
            first = first or done  # what an interrupted call had done counts in no speed
            seconds = time.monotonic() - started
            if done * 10 // total > printed and seconds > QUIET_S:
                printed = done * 10 // total
                left = seconds / max(1, done - first) * (total - done)
                print(f"{label} {done}/{total}, {left:.0f} s left", file=sys.stderr, flush=True)

        yield tell


class RunProgress(ProgressBar):
    """One bar over all optimizer steps of the fit, so that the time left is the run's and not the epoch's.

    Fires: start and end of fit, after every batch and epoch. On a terminal the bar moves; elsewhere (log files) one
    line is printed at every tenth of the run. A run that goes on says from where, bar or none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._progress: Progress | None = None
        self._task: Any = None
        self._note = ""
        self._printed = -1
        self.goes_on = False
        """Whether the training begins at a checkpoint; whoever fits sets it."""
        self.ranked: tuple[int, float] | None = None
        """The last epoch that ranked, counted from 1, and its tau; whoever ranks sets it."""

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._enabled and trainer.is_global_zero and sys.stderr.isatty():
            self._progress = new_progress()
            self._progress.start()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._progress is not None:
            total = int(trainer.num_training_batches) * int(trainer.max_epochs or 0)
            self._task = self._progress.add_task("Training", total=total, completed=trainer.global_step, note="")
        if self.goes_on and trainer.is_global_zero:
            told = f"goes on from epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, step {trainer.global_step}"
            print(told, file=sys.stderr, flush=True)  # beside a bar, which takes what is printed above itself

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics
        unit = pl_module.task.loss_unit if isinstance(pl_module, NetworkModule) else ""
        shown = [f"loss {float(metrics['train_loss']):.3f} {unit}".rstrip()] if "train_loss" in metrics else []
        if self.ranked is not None and self.ranked[0] == trainer.current_epoch + 1:
            shown.append(f"tau {self.ranked[1]:.3f}")
        self._note = ", ".join(shown)
        if self._progress is not None:
            self._progress.update(self._task, note=self._note)
        elif self._enabled and trainer.is_global_zero:
            epoch, total = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
            if epoch * 10 // total != self._printed:
                self._printed = epoch * 10 // total
                print(f"epoch {epoch}/{total}: {self._note}", file=sys.stderr, flush=True)

    @contextmanager
    def counted(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """`counted` within the fit: a second bar beneath the run's, gone when the block ends."""
        if self._progress is None:
            with counted(label, total, self._enabled) as tell:
                yield tell
        else:
            progress, task = self._progress, self._progress.add_task(label, total=total, note="")
            try:
                yield lambda done: progress.update(task, completed=done)
            finally:
                progress.remove_task(task)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
