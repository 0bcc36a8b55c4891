"""Standard output that cannot end a run: a closed pipe, a full disk, a terminal of another alphabet."""

from __future__ import annotations

import atexit
import errno
import io
import sys
from typing import Any

_lost: dict[int, OSError] = {}


class _Forgiving(io.FileIO):
    """A file descriptor whose write errors are kept in `_lost`, and not raised; what follows them is dropped."""

    def write(self, data: Any, /) -> int:
        if self.fileno() not in _lost:
            try:
                return super().write(data) or 0
            except OSError as error:
                _lost[self.fileno()] = error
        return memoryview(data).nbytes


def forgiving_output() -> None:
    """From here on, nothing that is printed can fail: letters that the terminal lacks become ``?``, and where it is
    gone or full, the work goes on in silence. A full one is told on standard error at the end.

    Replaces `sys.stdout` and `sys.stderr` where these are the process's own.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue  # captured, replaced already, or closed
        try:
            stream.flush()
            raw = _Forgiving(stream.fileno(), "wb", closefd=False)
        except (OSError, ValueError):
            continue
        text = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=stream.encoding, errors="replace", line_buffering=stream.line_buffering
        )
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    atexit.register(_say)


def _say() -> None:
    try:
        sys.stdout.flush()
        error = _lost.get(1)
        if error is not None and error.errno != errno.EPIPE:
            print(f"standard output was lost ({error.strerror}); files are as they should be", file=sys.stderr)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
