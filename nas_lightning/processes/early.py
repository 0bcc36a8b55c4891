"""Ctrl-C in the first second, while a command is still importing: imported first, it ends without a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType


def end(signum: int, frame: FrameType | None) -> None:
    """Signal handler: there is nothing to save yet.

    Args:
        signum: the signal.
        frame: where it came.
    """
    print("interrupted", file=sys.stderr, flush=True)
    os._exit(130)  # what a shell reports for Ctrl-C


def end_early() -> None:
    """End on Ctrl-C until `nas_lightning.processes.signals` takes it over; a caller that ignores it is left alone."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, end)


end_early()
