"""Decoded images as one memory-mapped array a split: decoded once, never twice in memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def decoded(
    key: str, parts: Sequence[Sequence[Item]], shape: tuple[int, int, int], decode: Callable[[Any], np.ndarray]
) -> tuple[tuple[ImageSet, ImageSet], str]:
    """The training and test images of `parts`, and the hash of their content.

    Args:
        key: of `fingerprint`; what is there under it is not decoded again.
        parts: items to train with and to test with.
        shape: height, width and channels that every image is brought to.
        decode: from an item's content to uint8 of that shape. Raises DataError, without naming the item.

    Raises:
        DataError: an image that cannot be decoded, by its name.
    """
    place = cache_folder() / "images" / key
    if not (place / ABOUT).is_file():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
        except OSError as error:
            raise DataError(
                f"the cache folder {place.parent} cannot be written ({error.strerror}); set NAS_LIGHTNING_CACHE to one "
                "that can"
            ) from error
        try:
            _fill(building, parts, shape, decode)
            if place.exists():  # left without its last file
                shutil.rmtree(place)
            try:
                building.rename(place)
            except OSError:  # another process was first
                if not (place / ABOUT).is_file():
                    raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    train, test = (_opened(place, split) for split in ("train", "test"))
    return (train, test), str(about["content_sha256"])


def _fill(
    place: Path, parts: Sequence[Sequence[Item]], shape: tuple[int, int, int], decode: Callable[[Any], np.ndarray]
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Reading images", total=sum(map(len, parts)))
        for split, items in zip(("train", "test"), parts, strict=True):
            images = np.lib.format.open_memmap(
                place / f"{split}.npy", mode="w+", dtype=np.uint8, shape=(len(items), *shape)
            )
            for i, item in enumerate(items):
                try:
                    images[i] = decode(item.content)
                except DataError as error:
                    raise DataError(f"{item.name} {error}") from None
                bar.advance(task)
            images.flush()
            np.save(place / f"{split}_labels.npy", np.array([item.label for item in items], np.int64))
            del images
    train, test = (_opened(place, split) for split in ("train", "test"))
    found = content_sha256((train.images, train.labels, test.images, test.labels))
    (place / ABOUT).write_text(json.dumps({"content_sha256": found}), encoding="utf-8")


def _opened(place: Path, split: str) -> ImageSet:
    # Copy on write: mapped from the disk, so that only the parts that are trained on are ever copied into memory.
    images = np.load(place / f"{split}.npy", mmap_mode="c")
    return ImageSet(torch.from_numpy(images), torch.from_numpy(np.load(place / f"{split}_labels.npy")))
