"""SIGTERM and Ctrl-C: a run saves what it can, exits with a code that says so, and goes on with the same command.

Outside of training a signal ends the command where it is, since everything on disk is written atomically. During
training it is kept until the step's end, so that a checkpoint of a whole step is saved first (`Deferred`); a second
signal does not wait.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

TERMINATED, INTERRUPTED = 75, 130
"""Exit codes. 75 is EX_TEMPFAIL of sysexits.h: not done, try again; 130 is what a shell reports for Ctrl-C."""

REPEAT_S = 1.0
"""Seconds in which the same signal is no second one: it has reached a process itself and by way of its parent."""

SIGNALS = {signal.SIGTERM: TERMINATED, signal.SIGINT: INTERRUPTED}


class Stopped(BaseException):
    """The process was asked to end by `signum`."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = int(signum)

    @property
    def exit_code(self) -> int:
        return SIGNALS[signal.Signals(self.signum)]

    def __str__(self) -> str:
        word = "terminated" if self.signum == signal.SIGTERM else "interrupted"
        return f"{word}: the same command goes on from here"


def raise_stopped(signum: int, frame: FrameType | None) -> None:
    """Signal handler that ends the command where it is."""
    raise Stopped(signum)


def _install(handler: Any) -> dict[signal.Signals, Any]:
    """Handle both signals by `handler`; returns what handled them. Python allows that in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in SIGNALS}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        # None stands for a handler that was not installed from Python: it cannot be put back.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Give both signals to `handler` while the block runs."""
    before = _install(handler)
    try:
        yield
    finally:
        _restore(before)


def stoppable() -> AbstractContextManager[None]:
    """Turn SIGTERM and Ctrl-C into `Stopped` while the block runs."""
    return handled_by(raise_stopped)


class Deferred:
    """Keeps the first signal in `signum` until somebody asks; the second one raises `Stopped` at once."""

    def __init__(self) -> None:
        self.signum = 0
        self._since = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Take the signals over from whoever handles them now."""
        self.signum = 0
        self._before = _install(self._handle)

    def restore(self) -> None:
        """Give them back."""
        before, self._before = self._before, {}
        _restore(before)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if not self.signum:
            self.signum, self._since = signum, time.monotonic()
        elif signum != self.signum or time.monotonic() - self._since >= REPEAT_S:
            raise Stopped(signum)
