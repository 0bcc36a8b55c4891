"""Files written so that nothing incomplete looks complete."""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas_lightning.errors import UserError
from nas_lightning.runs.lock import locked


class RunError(UserError):
    """A run folder that cannot be used; the message says why and what to do."""


class HeldError(RunError):
    """A run folder that another process is at work in: nothing may be written there."""


def refused_by_disk(error: OSError, place: str | Path = "") -> RunError:
    """A full disk, a folder that cannot be written or has vanished, in one sentence.

    Args:
        error: what the system said.
        place: the folder that was written to, for an error that names no file, as a full disk's does not.

    Returns:
        The error to raise.
    """
    named = error.filename or place
    where = f"{named}: " if named else ""
    return RunError(f"{where}{error.strerror or error}; the same command goes on once this is mended")


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write next to `path`, flush to disk, then rename: `path` holds the old content or the new, never a part.

    A kill can leave the hidden file it was written to; `remove_leftovers` removes it. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            locked(handle)  # a mark for `remove_leftovers` that the writer lives
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp makes it private
            os.replace(temporary, path)
        _synchronise(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


_HALF = re.compile(
    r"\..+\.(json|jsonl|yaml|csv|txt|md|tex|html|parquet|arrow|png|svg|pdf|npz|ckpt|xz)\.[a-z0-9_]{8}(\.part)?"
)


def remove_leftovers(folder: Path) -> None:
    """Remove what kills have left half-written in a folder and its checkpoints; what a living process writes stays."""
    for part in (folder, folder / "checkpoints"):
        with suppress(OSError):
            for name in os.listdir(part):
                if _HALF.fullmatch(name):
                    with suppress(OSError), (part / name).open() as file:
                        if locked(file.fileno()):
                            (part / name).unlink()


def _synchronise(folder: Path) -> None:
    """Flush a folder's entries, so that a rename outlives a power failure; not every file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)


def parse_json(content: bytes | str, unique: bool = False) -> Any:
    """The value of a JSON text. Raises ValueError in a few words, also for nesting without end; with `unique` for an
    object that holds a key twice, of which the first would be lost."""
    try:
        return json.loads(content, object_pairs_hook=_distinct if unique else None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8 text") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"it holds {twice[:60]!r} twice")
    return found


def to_json(value: Any) -> bytes:
    """Indented JSON with a final newline; NaN is refused, since JSON has none."""
    return (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()
