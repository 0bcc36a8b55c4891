"""What makes a step of a small network cheaper: Lightning's empty hooks are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.profilers import PassThroughProfiler

STEP_HOOKS = (
    "on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step",
)  # fmt: skip


class NoProfiler(PassThroughProfiler):
    """Lightning's default profiler with one context that does nothing, in place of a new one at every hook."""

    nothing: AbstractContextManager[Any] = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        return self.nothing


def unused_hooks(trainer: pl.Trainer) -> Iterator[tuple[pl.Callback, str]]:
    """The step hooks that a callback only inherits from Lightning's base class."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for name in STEP_HOOKS:
            if getattr(type(callback), name) is getattr(pl.Callback, name):
                yield callback, name


def lean(trainer: pl.Trainer) -> None:
    """Until `full`, skip the profiler if it is the default one, and step hooks that do nothing.

    Lightning passes over a hook that is None.
    """
    if type(trainer.profiler) is PassThroughProfiler:  # type: ignore[attr-defined]
        trainer.profiler = NoProfiler()  # type: ignore[attr-defined]
    for callback, name in unused_hooks(trainer):
        vars(callback).setdefault(name, None)


def full(trainer: pl.Trainer) -> None:
    """Undo `lean`."""
    for callback, name in unused_hooks(trainer):
        if vars(callback).get(name, lean) is None:
            delattr(callback, name)
    if type(trainer.profiler) is NoProfiler:  # type: ignore[attr-defined]
        trainer.profiler = PassThroughProfiler()  # type: ignore[attr-defined]
