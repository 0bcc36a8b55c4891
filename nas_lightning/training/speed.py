"""What makes a step of a small network cheaper: freed memory is kept, and Lightning's empty hooks are skipped."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.profilers import PassThroughProfiler

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of mallopt


LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more


ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next allocation; whether it was done.

    glibc gives large blocks back to the system as soon as they are free; every feature map of the next step is then
    faulted in and zeroed page by page. Nothing is done with another C library, nor where the environment chooses the
    thresholds. The process then holds what it needed at most until it ends.
    """
    chosen = any(name in os.environ for name in ENVIRONMENT) or "threshold" in os.environ.get("GLIBC_TUNABLES", "")
    if chosen or sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    kept = library.mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    return bool(kept)


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
