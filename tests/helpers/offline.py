"""Read an offline W&B run back: its log is framed records of W&B's own protobuf messages.

The file ``run-<id>.wandb`` starts with 7 bytes (``:W&B``, 16-bit magic 0xBEE1, version 0) and continues in blocks of
32,768 bytes as LevelDB's log does: every piece has a checksum (32 bits), a length (16 bits, little-endian) and a type
(1 whole, 2 first, 3 middle, 4 last), and a piece that would not fit starts the next block.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK, _HEADER = 32_768, struct.Struct("<IHB")


@dataclass
class OfflineRun:
    """What one offline run holds."""

    run_id: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    exit_code: int | None = None


def read_offline_run(folder: str | Path) -> OfflineRun:
    """Read the run in ``offline-run-…``, once the process that wrote it has ended: W&B flushes the log at its exit (a
    process that goes on calls ``wandb.teardown()`` first).

    Raises ValueError where the folder holds no W&B log, or a damaged one.
    """
    from wandb.proto import wandb_internal_pb2

    messages: Any = wandb_internal_pb2  # its classes are made at import, which a type checker cannot see

    logs = sorted(Path(folder).glob("run-*.wandb"))
    if len(logs) != 1:
        raise ValueError(f"{folder} holds {len(logs)} W&B logs; give the folder of one run (offline-run-…)")
    found = OfflineRun()
    for data in _records(logs[0]):
        record = messages.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            found.run_id, found.project, found.name = run.run_id, run.project, run.display_name
            found.group, found.job_type, found.tags = run.run_group, run.job_type, list(run.tags)
            found.config |= _items(run.config.update)
        elif kind == "config":
            found.config |= _items(record.config.update)
        elif kind == "history":
            found.history.append(_items(record.history.item))
        elif kind == "summary":
            found.summary |= _items(record.summary.update)
        elif kind == "artifact":
            found.artifacts.append(record.artifact.name)
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    found.config.pop("_wandb", None)
    media = Path(folder) / "files" / "media"
    found.files = sorted(p for p in media.rglob("*") if p.is_file()) if media.is_dir() else []
    return found


def _items(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if data[:4] != b":W&B":
        raise ValueError(f"{path} is no W&B log")
    position, parts = 7, b""
    while position + _HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(data, position)
        if kind == 0:  # padding at the end of a block
            position += left
            continue
        position += _HEADER.size
        if position + length > len(data):
            raise ValueError(f"{path} is cut off; the run was interrupted while writing")
        parts += data[position : position + length]
        position += length
        if kind in (1, 4):
            yield parts
            parts = b""


def only(folder: Path) -> Any:
    """The one offline run in `folder`."""
    import wandb

    wandb.teardown()  # W&B's own process writes behind the run's end; now it has ended too
    (found,) = (folder / "wandb").glob("offline-run-*")
    return read_offline_run(found)
