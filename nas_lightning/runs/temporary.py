"""Temporary folders that go with their process, and those of killed processes with the next one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from nas_lightning.runs.lock import locked

PREFIX, IN_USE = "nas-lightning-", "in-use"
_YOUNG_S = 600.0  # of a folder without a lock: its process may be about to take it


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """An empty folder, gone when the block ends; folders that killed processes have left are removed first.

    A lock on the file `IN_USE` in it says that its process lives: the operating system gives it back at its end.
    """
    remove_abandoned()
    with TemporaryDirectory(prefix=f"{PREFIX}{purpose}-", ignore_cleanup_errors=True) as name:
        outer = Path(name)
        with (outer / IN_USE).open("w") as lock:
            locked(lock.fileno())
            inner = outer / "content"
            inner.mkdir()
            yield inner


def remove_abandoned() -> None:
    """Remove the temporary folders of processes that are gone."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        try:
            with (folder / IN_USE).open() as lock:
                if locked(lock.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:  # killed before there was a lock: then it is empty
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > _YOUNG_S:
                    folder.rmdir()
        except OSError:
            pass  # another user's
