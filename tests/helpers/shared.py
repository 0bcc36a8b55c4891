"""What several files of tests read and nobody changes: made by the first worker that asks, waited for by the others."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this test session, the same for all of its workers.

    Args:
        factory: pytest's fixture ``tmp_path_factory``.
        name: what the folder is called.
        make: fills it; called in one process once, unless it fails.

    Returns:
        The folder, filled.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # which the workers of one session share
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, and by a process that dies
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder
