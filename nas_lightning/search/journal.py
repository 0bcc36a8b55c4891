"""An append-only journal of a search, that several processes may share and that survives a kill at any moment.

One JSON object a line: ``{"body":{…},"crc":"1a2b3c4d"}`` with the CRC-32 of the body's bytes. Lines are appended in one
write under an exclusive file lock, so that a process that dies leaves at most one torn line at the end, and what it
wrote before is in the hands of the operating system. The disk is synchronised with
every write, but at most once a second: a power failure can cost the last second's evaluations, a kill costs none.

A line that fails its check stays where it is and is copied, with its position, to ``<journal>.damaged``; everything
else is used.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import time
import uuid
import warnings
import zlib
from pathlib import Path
from typing import Any

from nas_lightning.runs.files import parse_json
from nas_lightning.runs.lock import is_locked, locked
from nas_lightning.search.trial import SearchError

SCHEMA_VERSION = 1
_HEAD, _MIDDLE, _TAIL = b'{"body":', b',"crc":"', b'"}'


class JournalDamageWarning(UserWarning):
    """A line of a journal was set aside."""


def seal(body: str) -> bytes:
    """The journal line of a JSON body, with its checksum and newline."""
    raw = body.encode()
    return b"%s%s%s%08x%s\n" % (_HEAD, raw, _MIDDLE, zlib.crc32(raw), _TAIL)


def unseal(line: bytes) -> Any:
    """The body of a line without its newline. Raises ValueError where the checksum does not fit."""
    body, crc = line[len(_HEAD) : -18], line[-18:]
    if line[: len(_HEAD)] != _HEAD or crc != b"%s%08x%s" % (_MIDDLE, zlib.crc32(body), _TAIL):
        raise ValueError("checksum")
    return parse_json(body)


def _offsets(content: bytes) -> set[Any]:
    """The positions that a file of damaged lines names; lines that are damaged themselves name none."""
    found = set()
    for line in content.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.add(parse_json(line)["offset"])
    return found


def _workers_of(path: Path) -> Path:
    return path.with_name(path.name + ".workers")


def is_in_use(path: Path) -> bool:
    """Whether any process works on the journal at `path`."""
    workers = _workers_of(path)
    return workers.is_dir() and any(is_locked(worker) for worker in workers.iterdir())


class Journal:
    """The journal at `path` of the run `run_hash`; use `acquire` and `release` around `read_new` and `append`.

    Raises SearchError where the file belongs to another run or another version of the format.
    """

    sync_seconds = 1.0

    def __init__(self, path: Path | str, run_hash: str):
        self.path, self.run_hash = Path(path), run_hash
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._offset = 0
        self._synced, self._is_dirty = -math.inf, False
        self._damaged_path = self.path.with_name(self.path.name + ".damaged")
        self._workers = _workers_of(self.path)
        self.worker = uuid.uuid4().hex[:12]
        self.acquire()
        # The lock lives as long as this process: the operating system tells the others who is alive.
        self._workers.mkdir(exist_ok=True)
        self._life = os.open(self._workers / self.worker, os.O_RDWR | os.O_CREAT, 0o644)
        locked(self._life, wait=True)
        try:
            self._read_header()
        except BaseException:
            self.close()
            raise
        self.release()

    def acquire(self) -> None:
        locked(self._fd, wait=True)

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _read_header(self) -> None:
        header = {"journal": SCHEMA_VERSION, "run": self.run_hash}
        events = self._read_lines()
        if os.fstat(self._fd).st_size == 0:
            self.append([seal(json.dumps(header))])
            self._read_lines()
        elif events and "journal" in events[0] and events[0] != header:
            raise SearchError(
                f"{self.path} was written by run {events[0].get('run')} (format {events[0]['journal']}), this is run "
                f"{self.run_hash} (format {SCHEMA_VERSION}): use another folder, or force=true to start anew"
            )
        self._pending_events = [event for event in events if "journal" not in event]

    def read_new(self) -> list[dict[str, Any]]:
        """What was appended since the last call, by whomever, in order. Call it with the lock held."""
        events, self._pending_events = self._pending_events, []
        if os.fstat(self._fd).st_size > self._offset:
            events += self._read_lines()
        return events

    def _read_lines(self) -> list[dict[str, Any]]:
        size = os.fstat(self._fd).st_size
        data = b""
        while self._offset + len(data) < size:
            chunk = os.pread(self._fd, size - self._offset - len(data), self._offset + len(data))
            if not chunk:
                break
            data += chunk
        if data and not data.endswith(b"\n"):
            # Writers hold the lock, so an unfinished line was left by a process that died: end it.
            os.write(self._fd, b"\n")
            data += b"\n"
        events = []
        for line in data.splitlines(keepends=True):
            try:
                event = unseal(line[:-1])
            except ValueError:
                event = None
            if isinstance(event, dict):
                events.append(event)
            else:
                self._set_aside(self._offset, line)
            self._offset += len(line)
        return events

    def _set_aside(self, offset: int, line: bytes) -> None:
        known = set()
        if self._damaged_path.exists():
            known = _offsets(self._damaged_path.read_bytes())
        if offset not in known:
            with self._damaged_path.open("a") as file:
                file.write(json.dumps({"offset": offset, "line": line.decode("latin-1")}) + "\n")
        warnings.warn(
            f"{self.path}: the line at byte {offset} is damaged; it is kept in {self._damaged_path.name}, everything "
            "else is used, and what it said is evaluated again",
            JournalDamageWarning,
            stacklevel=2,
        )

    def append(self, lines: list[bytes]) -> None:
        """Write sealed lines in one go. Call it with the lock held and after `read_new`."""
        data = b"".join(lines)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._offset += len(data)
        self._is_dirty = True
        if time.monotonic() - self._synced >= self.sync_seconds:
            self.synchronise()

    def synchronise(self) -> None:
        os.fsync(self._fd)
        self._synced, self._is_dirty = time.monotonic(), False

    def is_alive(self, worker: str) -> bool:
        """Whether the process that signs as `worker` still runs (as this machine, or its shared file system, knows)."""
        return is_locked(self._workers / worker)

    def close(self) -> None:
        if self._fd < 0:
            return
        if self._is_dirty:
            self.synchronise()
        self.acquire()
        os.close(self._life)
        for worker in self._workers.iterdir():  # own mark, and those of processes that were killed
            if not is_locked(worker):
                worker.unlink()
        with contextlib.suppress(OSError):  # others are at work
            self._workers.rmdir()
        os.close(self._fd)  # releases the lock
        self._fd = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
