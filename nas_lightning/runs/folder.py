"""The run folder: named by what determines the result, written so that nothing incomplete looks complete."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas_lightning.runs.files import HeldError, remove_leftovers
from nas_lightning.runs.lock import is_locked, locked

SCHEMA_VERSION = 1
"""Of result.json and of the hash; a folder of another version is refused."""

RESULT = "result.json"


def folder_of(parent: Path, label: str, digest: str) -> Path:
    """The folder of a run: the one that is there, whatever its label says, else ``<label>_<digest>``.

    Labels are for people, and have said less in earlier versions; the hash alone tells runs apart.

    Args:
        parent: the folder of the run folders.
        label: what the run is, in the characters of a file name.
        digest: of `run_hash`.
    """
    folder = parent / f"{label}_{digest}"
    if folder.exists():
        return folder
    return next((path for path in sorted(parent.glob(f"*_{digest}")) if path.is_dir()), folder)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a run folder to this process while the block runs; the end of the process, a kill too, gives it back.

    Raises HeldError where another process holds it. Only the rank that writes calls it. A folder that is still empty at
    the end is removed, and those above it that were made for it.
    """
    made = [above for above in folder.absolute().parents if not above.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not locked(descriptor):
            raise HeldError(f"another process is at work in {folder}; wait for it, or end it")
        remove_leftovers(folder)
        try:
            yield
        finally:
            with suppress(OSError):
                folder.rmdir()
                for above in made:
                    above.rmdir()
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process is at work in a run folder."""
    return is_locked(folder)


def run_hash(determining: Mapping[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 over the result-determining configuration, independent of key order."""
    canonical = json.dumps({"schema_version": SCHEMA_VERSION, **determining}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
