"""Decoded images as one memory-mapped array a split: decoded once, never twice in memory.

Items are asked for one by one and written to the disk: neither the files' bytes nor the images lie in memory whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import content_sha256

ABOUT = "about.json"
VERSION = 1
"""Of the decoding: raised where the same files would give other pixels."""


@dataclass(frozen=True)
class Item:
    """One image to be decoded: `content` is what `decode` gets, `name` says which it is where it cannot be."""

    name: str
    content: Any
    label: int


class Items(Protocol):
    """A list of items, or what reads them as it is gone through."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...


@dataclass(frozen=True)
class Images:
    """What is to be decoded where the cache does not hold it.

    Args:
        parts: items to train with and to test with; each is gone through once, and may read them as it goes.
        shape: height, width and channels that every image is brought to.
        decode: from an item's content to uint8 of that shape. Raises DataError, without naming the item.
    """

    parts: tuple[Items, Items]
    shape: tuple[int, int, int]
    decode: Callable[[Any], np.ndarray]


def cache_folder() -> Path:
    """NAS_LIGHTNING_CACHE, else the user's cache folder."""
    given = os.environ.get("NAS_LIGHTNING_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nas_lightning"


def fingerprint(files: Iterable[Path], root: Path, settings: Sequence[Any]) -> str:
    """Of names below `root`, sizes and times of all files, and of what they are decoded with."""
    found = hashlib.sha256(repr((VERSION, str(root.resolve()), list(settings))).encode())
    for file in files:
        known = file.stat()
        found.update(f"{file.relative_to(root)} {known.st_size} {known.st_mtime_ns}\n".encode())
    return found.hexdigest()[:32]


def key_of(content: str) -> str:
    """Where images without a fingerprint lie: by the hash of their content."""
    return f"content-{content[:32]}"


def decoded(key: str | None, wanted: Callable[[], Images]) -> tuple[tuple[ImageSet, ImageSet], str]:
    """The training and test images of `wanted`, and the hash of their content.

    Args:
        key: of `fingerprint`; for what is there under it `wanted` is not called. None where a change of the files
            could not be seen: decoded every time, and found under the hash of the content.
        wanted: what to decode.

    Raises:
        DataError: an image that cannot be decoded, by its name.
    """
    folder = cache_folder() / "images"
    if key is None or not (folder / key / ABOUT).is_file():
        images = wanted()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder))
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            _fill(building, images)
            del images  # or an array of them would lie in memory beside the file that is mapped
            content = _described(building)
            key = key_of(content) if key is None else key
            _moved(building, folder / key)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    place = folder / key
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    train, test = (_opened(place, split) for split in ("train", "test"))
    return (train, test), str(about["content_sha256"])


def _moved(building: Path, place: Path) -> None:
    if (place / ABOUT).is_file():  # the same content, decoded once more
        return
    if place.exists():  # left without its last file
        shutil.rmtree(place)
    try:
        building.rename(place)
    except OSError:  # another process was first
        if not (place / ABOUT).is_file():
            raise


def _fill(place: Path, wanted: Images) -> None:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Reading images", total=sum(map(len, wanted.parts)))
        for split, items in zip(("train", "test"), wanted.parts, strict=True):
            try:
                _write(place / f"{split}.npy", items, wanted, lambda: bar.advance(task))
            except OSError as error:
                raise _unwritable(place.parent, error) from error


def _write(file: Path, items: Items, wanted: Images, advance: Callable[[], None]) -> None:
    labels = np.empty(len(items), np.int64)
    with file.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(items), *wanted.shape)}
        np.lib.format.write_array_header_1_0(stream, header)
        for i, item in enumerate(items):
            try:
                image = np.ascontiguousarray(wanted.decode(item.content), np.uint8)
            except DataError as error:
                raise DataError(f"{item.name} {error}") from None
            assert image.shape == wanted.shape
            stream.write(image.data)
            labels[i] = item.label
            advance()
    np.save(file.with_name(f"{file.stem}_labels.npy"), labels)


def _unwritable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"the cache folder {folder} cannot be written ({error.strerror}); set NAS_LIGHTNING_CACHE to one that can"
    )


def _described(place: Path) -> str:
    """The hash of what was decoded, written last: its file says that the others are whole."""
    train, test = (_opened(place, split) for split in ("train", "test"))
    found = content_sha256((train.images, train.labels, test.images, test.labels))
    (place / ABOUT).write_text(json.dumps({"content_sha256": found}), encoding="utf-8")
    return found


def _opened(place: Path, split: str) -> ImageSet:
    file = place / f"{split}.npy"
    known = np.load(file, mmap_mode="r")
    # Copy on write: mapped from the disk, so that only the parts that are trained on are ever copied into memory.
    # Mapped anew, since numpy keeps the mapping that `ImageSet.release` needs to itself.
    with file.open("rb") as stream:
        mapped = mmap(stream.fileno(), 0, access=ACCESS_COPY)
    images = np.ndarray(known.shape, np.uint8, buffer=mapped, offset=known.offset)
    labels = torch.from_numpy(np.load(place / f"{split}_labels.npy"))
    return ImageSet(torch.from_numpy(images), labels, mapped)
