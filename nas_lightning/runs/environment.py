"""Where a run was made: commit, versions, machine, command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from nas_lightning.runs.files import parse_json, to_json, write_atomically


def environment(data_record: Mapping[str, Any] | None = None, threads: int | None = None) -> dict[str, Any]:
    """Commit, versions, machine, command: what a reader needs to run it again. Never part of the hash."""
    root = Path(__file__).parents[2]
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
        then = parse_json((folder / "environment.json").read_bytes())
        before = {**then["packages"], **{k: then[k] for k in kept}, "commit": str(then.get("commit"))[:12]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    after = {**now["packages"], **{k: now[k] for k in kept}, "commit": str(now.get("commit"))[:12]}
    return [f"{name} {before[name]} -> {after[name]}" for name in after if before.get(name, after[name]) != after[name]]


_BEGUN = ("checkpoints/*.ckpt", "journal.jsonl", "evaluation.partial*.npz")


def record_environment(folder: Path, now: Mapping[str, Any]) -> None:
    """Write environment.json. Where what the folder holds was made in another environment, say so on standard error
    and keep that one, too, under ``earlier``."""
    changes = environment_changes(folder, now) if any(next(folder.glob(kind), None) for kind in _BEGUN) else []
    if changes:
        print(
            f"warning: this run goes on in another environment ({', '.join(changes)}): it may not end with the very "
            "bits of an undisturbed run; environment.json keeps both",
            file=sys.stderr,
            flush=True,
        )
    earlier = _earlier(folder, keep_last=bool(changes))
    write_atomically(folder / "environment.json", to_json({**now, **({"earlier": earlier} if earlier else {})}))


def _earlier(folder: Path, keep_last: bool) -> list[Any]:
    """The environments on record, without the last one where that is the present one."""
    try:
        then = dict(parse_json((folder / "environment.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return []
    earlier = then.pop("earlier", [])
    return [*(earlier if isinstance(earlier, list) else []), *([then] if keep_last else [])]


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
