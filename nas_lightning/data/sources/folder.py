"""A folder of images with one subfolder a class."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.cache import Images, Item, decoded, fingerprint
from nas_lightning.data.decode import fitted, suffixes, to_array
from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source

TEST_NAMES = ("test", "val", "valid", "validation")


class Folder(Source):
    """Class subfolders of images in any format that Pillow reads: ``path/cat/1.jpg``, or ``path/train/cat/1.jpg``.

    With folders ``train`` and ``test`` (or ``val``, ``valid``, ``validation``) these are the two parts; else of every
    class `test_portion`, drawn from `test_seed`, tests. Classes are numbered in the order of their names. An image is
    cut to its largest centred square and brought to `size`; palettes become their colours, 16 bits are refused.
    Decoded images are kept in the cache folder, so that the next run starts at once.

    Args:
        path: the folder.
        name: what tables call the data set.
        size: side in pixels; None keeps that of images that are all one square of at most 64, else takes 32.
        grey: whether images become grey; None does where all are.
        test_portion: share of each class that tests, where the folder has no test part.
        test_seed: of which images these are.
        flip: whether a mirrored image is still of its class, for augmentation.
    """

    def __init__(
        self,
        *,
        path: str,
        name: str = "folder",
        size: int | None = None,
        grey: bool | None = None,
        test_portion: float = 0.2,
        test_seed: int = 0,
        flip: bool = True,
    ) -> None:
        if not 0 < test_portion < 1:
            raise DataError(f"data.test_portion={test_portion} is out of range; give a share between 0 and 1")
        self.path, self.name, self.flip = Path(path).expanduser(), name, flip
        self.size, self.grey, self.test_portion, self.test_seed = size, grey, test_portion, test_seed

    def read(self) -> tuple[ImageSet, ImageSet]:
        return self._read()[0]

    def content_sha256(self) -> str:
        return self._read()[1]

    def _read(self) -> tuple[tuple[ImageSet, ImageSet], str]:
        files, parts = self._parts()
        self.num_classes = 1 + max(item.label for item in parts[0])
        settings = (self.size, self.grey, self.test_portion, self.test_seed)
        return decoded(fingerprint(files, self.path, settings), partial(self._images, parts))

    def _images(self, parts: list[list[Item]]) -> Images:
        side, channels = fitted(self.size, self.grey, ((item.name, item.content) for part in parts for item in part))
        train, test = parts
        return Images((train, test), (side, side, channels), partial(to_array, side=side, channels=channels))

    def _parts(self) -> tuple[list[Path], list[list[Item]]]:
        if not self.path.is_dir():
            raise DataError(f"data.path={self.path} is no folder; give one with a subfolder of images for each class")
        below = {folder.name: folder for folder in self.path.iterdir() if folder.is_dir()}
        test_name = next((n for n in TEST_NAMES if n in below), None)
        if "train" in below and test_name is not None:
            classes = _classes(below["train"])
            if more := sorted(set(_classes(below[test_name])) - set(classes)):
                raise DataError(f"{below[test_name] / more[0]} is a class that {below['train']} does not have")
            parts = [_items(below[n], classes) for n in ("train", test_name)]
        else:
            parts = self._split(_items(self.path, _classes(self.path)))
        return [item.content for part in parts for item in part], parts

    def _split(self, items: list[Item]) -> list[list[Item]]:
        rng = np.random.default_rng(self.test_seed)
        train: list[Item] = []
        test: list[Item] = []
        for label in sorted({item.label for item in items}):
            own = [item for item in items if item.label == label]
            if len(own) < 2:
                raise DataError(
                    f"{own[0].content.parent} has one image; a class needs two, one to train and one to test"
                )
            count = min(len(own) - 1, max(1, round(self.test_portion * len(own))))
            chosen = set(rng.permutation(len(own))[:count].tolist())
            train += [item for i, item in enumerate(own) if i not in chosen]
            test += [item for i, item in enumerate(own) if i in chosen]
        return [train, test]


def _classes(root: Path) -> list[str]:
    names = sorted(f.name for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(names) < 2:
        raise DataError(
            f"{root} has {len(names)} subfolders; a folder of images has one for each class, and at least two classes"
        )
    return names


def _items(root: Path, classes: list[str]) -> list[Item]:
    """Every image below the class folders, in the order of their names."""
    endings = suffixes()
    found: list[Item] = []
    for label, name in enumerate(classes):
        folder = root / name
        files: list[Any] = sorted(
            f
            for f in (folder.rglob("*") if folder.is_dir() else ())
            if f.is_file() and f.suffix.lower() in endings and not f.name.startswith(".")
        )
        if not files:
            raise DataError(f"{folder} holds no image that Pillow reads; put some there, or remove the class")
        found += [Item(str(file), file, label) for file in files]
    return found
