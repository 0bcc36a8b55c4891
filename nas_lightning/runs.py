"""The run folder: named by what determines the result, written so that nothing incomplete looks complete."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
"""Of result.json and of the hash; a folder of another version is refused."""

RESULT = "result.json"


class RunError(ValueError):
    """A run folder that cannot be used; the message says why and what to do."""


def refused_by_disk(error: OSError) -> RunError:
    """A full disk, a folder that cannot be written or has vanished, in one sentence."""
    where = f"{error.filename}: " if error.filename else ""
    return RunError(f"{where}{error.strerror or error}; the same command goes on once this is mended")


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write next to `path`, flush to disk, then rename: `path` holds the old content or the new, never a part.

    A kill can leave the hidden file it was written to; `sweep_up` removes it. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with suppress(OSError):  # a mark for `sweep_up` that the writer lives
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp makes it private
            os.replace(temporary, path)
        _synchronise(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _synchronise(folder: Path) -> None:
    """Flush a folder's entries, so that a rename outlives a power failure; not every file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)


def sweep_up(folder: Path) -> None:
    """Remove what kills have left half-written in a run folder; what a living process writes stays."""
    for part in (folder, folder / "checkpoints"):
        for name in ("*.json", "*.yaml", "*.csv", "*.txt", "*.parquet", "*.png", "*.npz", "*.ckpt"):
            for leftover in part.glob(f".{name}.????????"):
                with suppress(OSError), leftover.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    leftover.unlink()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a run folder to this process while the block runs; the end of the process, a kill too, gives it back.

    Raises RunError where another process holds it. Only the rank that writes calls it. A folder that is still empty at
    the end is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"another process is at work in {folder}; wait for it, or end it") from None
        except OSError:
            pass  # a file system without locks: the user has to take care
        sweep_up(folder)
        try:
            yield
        finally:
            with suppress(OSError):
                folder.rmdir()
    finally:
        os.close(descriptor)


def to_json(value: Any) -> bytes:
    """Indented JSON with a final newline; NaN is refused, since JSON has none."""
    return (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def run_hash(determining: Mapping[str, Any]) -> str:
    """First 12 hex digits of the SHA-256 over the result-determining configuration, independent of key order."""
    canonical = json.dumps({"schema_version": SCHEMA_VERSION, **determining}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def finished(folder: Path) -> dict[str, Any] | None:
    """The result of a complete run, None where there is none. Raises RunError for a damaged or foreign one."""
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        result = json.loads(path.read_text())
    except (ValueError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged ({error}); delete it or repeat the run with force=true") from error
    if not isinstance(result, dict) or result.get("schema_version") != SCHEMA_VERSION:
        raise RunError(
            f"{path} was written by another version of nas-lightning; move the folder away or repeat the run "
            "with force=true"
        )
    return result


def environment(data_record: Mapping[str, Any] | None = None, threads: int | None = None) -> dict[str, Any]:
    """Commit, versions, machine, command: what a reader needs to run it again. Never part of the hash."""
    root = Path(__file__).parents[1]
    packages = (
        "torch",
        "torchvision",
        "pytorch-lightning",
        "hydra-core",
        "omegaconf",
        "torchmetrics",
        "numpy",
        "scipy",
        "pyarrow",
        "nas-lightning",
    )
    return {
        "commit": _git(root, "rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git(root, "status", "--porcelain")),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "packages": {name: _version(name) for name in packages},
        "data": dict(data_record or {}),
    }


def environment_changes(folder: Path, now: Mapping[str, Any]) -> list[str]:
    """What an unfinished run in `folder` was begun with and is no longer the case, as ``torch 2.14 -> 2.15``; of the
    code, its commit.

    Any of these can change the last bits of a result; an absent or damaged environment.json says nothing.
    """
    kept = ("python", "processor", "threads")
    try:
        then = json.loads((folder / "environment.json").read_text())
        before = {**then["packages"], **{k: then[k] for k in kept}, "commit": str(then.get("commit"))[:12]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    after = {**now["packages"], **{k: now[k] for k in kept}, "commit": str(now.get("commit"))[:12]}
    return [f"{name} {before[name]} -> {after[name]}" for name in after if before.get(name, after[name]) != after[name]]


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
