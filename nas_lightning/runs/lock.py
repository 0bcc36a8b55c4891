"""Advisory locks of files and folders: the end of a process, a kill too, gives them back."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def locked(descriptor: int, *, wait: bool = False, shared: bool = False) -> bool:
    """Take the lock of an open file or folder.

    Args:
        descriptor: of the file; the lock lives until it is closed.
        wait: whether to wait for another process that has it.
        shared: whether other processes may share it, which only readers do.

    Returns:
        False where another process has it. On a file system without locks nobody has any: True.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_locked(path: Path) -> bool:
    """Whether a living process has the lock of `path`; not where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not locked(descriptor, shared=True)
    finally:
        os.close(descriptor)


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder during the block; waits for whoever has it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        locked(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)
