"""Partial results of a long evaluation: what is scored already survives an interruption and is not scored again.

The evaluated set is scored in chunks of `CHUNK` architectures that always begin at the same places, so that a resumed
evaluation computes exactly what an undisturbed one computes. Values are kept as float64 and never rounded.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from nas_lightning.errors import one_sentence
from nas_lightning.runs.files import parse_json, write_atomically

CHUNK = 32
"""Architectures scored between two looks at the clock."""
SAVE_EVERY_S = 30.0
"""Seconds between two saves; an evaluation that ends sooner leaves no file."""
PREFIX = "evaluation.partial"


class PartialScores:
    """`width` scores of n architectures so far, float64 [n, width], in ``<folder>/evaluation.partial*.npz``.

    `key` says what the numbers depend on (weights, set, images, batch size, batch norm, precision) as name -> digest,
    and is called where a file is read or written. A file of another key, or a damaged one, is not used: `notes` says
    why in a sentence each, and the next save replaces it. Every process of several saves under its own `rank` and reads
    all files, so that an evaluation may go on with another number of processes.
    """

    def __init__(
        self,
        folder: Path,
        n: int,
        key: Callable[[], Mapping[str, object]],
        rank: int = 0,
        label: str = "",
        width: int = 2,
    ) -> None:
        self.folder, self.n, self.label, self.width = folder, n, label, width
        self.path = folder / f"{PREFIX}{f'.{label}' if label else ''}.rank{rank}.npz"
        self.values = np.zeros((n, width))
        self.known = np.zeros(n, bool)
        self.notes: list[str] = []
        self._make_key, self._key = key, ""
        self._saved_at = time.monotonic()
        self._unsaved = False
        for path in self.files(folder, label):
            self._read(path)
        self.resumed = int(self.known.sum())

    @staticmethod
    def files(folder: Path, label: str = "") -> list[Path]:
        """The partial files of an evaluation, of all processes.

        Args:
            folder: the run folder.
            label: of the scorer, where a folder has several.

        Returns:
            Their paths, sorted.
        """
        return sorted(folder.glob(f"{PREFIX}{f'.{label}' if label else ''}.rank*.npz"))

    @classmethod
    def remove(cls, folder: Path, label: str = "") -> None:
        """Delete them: the numbers are in the result now.

        Args:
            folder: the run folder.
            label: of the scorer, where a folder has several.
        """
        for path in cls.files(folder, label):
            path.unlink(missing_ok=True)

    @property
    def key(self) -> str:
        """Hash of what the scores depend on; computed when it is first needed."""
        if not self._key:
            self._key = json.dumps(dict(self._make_key()), sort_keys=True)
        return self._key

    def _read(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                key, index, values = str(file["key"]), file["index"], file["values"]
            old = parse_json(key)
            if (
                not isinstance(old, dict)
                or index.ndim != 1
                or index.dtype.kind not in "iu"
                or (len(index) and index.min() < 0)
                or values.dtype.kind != "f"
                or values.ndim != 2
                or len(values) != len(index)
                or np.isnan(values).any()
                or np.isposinf(values).any()
            ):
                raise ValueError("its arrays do not fit together")
        except Exception as error:  # zipfile, numpy and zlib raise many kinds for a damaged archive
            said = one_sentence(str(error))[:120]
            self.notes.append(f"{path.name} is damaged ({said}) and is not used; its architectures are scored again")
            return
        if key != self.key:
            new = json.loads(self.key)
            differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            named = one_sentence(", ".join(differing))[:120]
            self.notes.append(f"{path.name} holds scores of other {named} and is not used; scoring starts afresh")
            return
        if len(index) and index.max() >= self.n:
            self.notes.append(f"{path.name} is damaged (it has scores of a larger set) and is not used")
            return
        if values.shape[1] != self.width:  # after the key: a file of another key has other columns for a good reason
            self.notes.append(f"{path.name} is damaged (it has {values.shape[1]} columns) and is not used")
            return
        self.values[index], self.known[index] = values, True

    def add(self, index: Sequence[int], values: np.ndarray) -> None:
        """Keep the scores [len(index), width] of these architectures; saves where `SAVE_EVERY_S` have passed.

        Args:
            index: numbers of the architectures, [k].
            values: their scores, float64 [k, width].
        """
        self.values[index], self.known[index], self._unsaved = values, True, True
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write what is known, atomically."""
        if not self._unsaved:
            return
        index = np.flatnonzero(self.known)
        buffer = io.BytesIO()
        np.savez(buffer, key=np.array(self.key), index=index, values=self.values[index])
        write_atomically(self.path, buffer.getvalue())
        self._saved_at, self._unsaved = time.monotonic(), False


def own_chunks(n: int, rank: int = 0, world_size: int = 1) -> list[list[int]]:
    """The architectures that process `rank` of W scores: chunks rank, rank + W, …; of many processes, smaller ones.

    Args:
        n: how many architectures there are.
        rank: number of this process.
        world_size: how many processes share the work.

    Returns:
        Lists of numbers 0 … n − 1, in the order of the work.
    """
    size = CHUNK if world_size == 1 else max(1, min(CHUNK, n // (4 * world_size)))
    return [list(range(start, min(start + size, n))) for start in range(0, n, size)][rank::world_size]


def score_in_chunks(
    score_some: Callable[[list[int], Callable[[int], None]], np.ndarray],
    n: int,
    partial: PartialScores | None = None,
    progress: Callable[[int], None] | None = None,
    rank: int = 0,
    world_size: int = 1,
    width: int = 2,
) -> np.ndarray:
    """Scores of architectures 0 … n − 1, float64 [n, width]; those in `partial` are taken from there.

    score_some(index, done): scores float64 [len(index), width]; it may call ``done(i)`` after its i-th architecture.
    progress: is told how many of this process's architectures are scored.
    rank, world_size: of W processes, this one scores its `own_chunks`; the rows of the others are zero, so that the sum
        over the processes is the whole, exactly.
    After an exception, whatever whole chunks have given is in the partial file.

    Args:
        score_some: of the numbers of some architectures, and of a function that is told how many of them are done;
            gives float64 [k, width].
        n: how many architectures there are.
        partial: where scores are kept and taken from; None keeps none.
        progress: is told how many of this process's architectures are scored.
        rank: number of this process.
        world_size: how many processes share the work.
        width: scores of one architecture.

    Returns:
        float64 [n, width]; rows of other processes are 0.
    """
    values = np.zeros((n, width))
    chunks = own_chunks(n, rank, world_size)
    left = []
    for chunk in chunks:
        if partial is not None and partial.known[chunk].all():
            values[chunk] = partial.values[chunk]
        else:
            left.append(chunk)
    done = sum(map(len, chunks)) - sum(map(len, left))
    tell = progress or (lambda count: None)
    tell(done)
    try:
        for chunk in left:
            values[chunk] = score_some(chunk, lambda i, before=done: tell(before + i))  # type: ignore[misc]
            done += len(chunk)
            if partial is not None:
                partial.add(chunk, values[chunk])
    except BaseException:
        if partial is not None:
            partial.save()
        raise
    return values
