"""Arrays in one NumPy file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nas_lightning.data.cache import Images, Item, decoded, fingerprint
from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source
from nas_lightning.runs.arrays import read_arrays

NAMES = {
    "train_images": ("train_images", "x_train", "X_train"),
    "train_labels": ("train_labels", "y_train", "Y_train"),
    "test_images": ("test_images", "x_test", "X_test"),
    "test_labels": ("test_labels", "y_test", "Y_test"),
}
"""Names that are understood, MedMNIST's and Keras's among them."""


class Npz(Source):
    """One ``.npz`` file with ``x_train``, ``y_train``, ``x_test``, ``y_test`` (or ``train_images`` …).

    Images are uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels; labels are whole numbers [N] or
    [N, 1] from 0. Nothing in the file is unpickled.

    Args:
        path: the file.
        name: what tables call the data set.
        flip: whether a mirrored image is still of its class, for augmentation.
    """

    def __init__(self, *, path: str, name: str = "npz", flip: bool = True) -> None:
        self.path, self.name, self.flip = Path(path).expanduser(), name, flip

    def read(self) -> tuple[ImageSet, ImageSet]:
        return self._read()[0]

    def content_sha256(self) -> str:
        return self._read()[1]

    def _read(self) -> tuple[tuple[ImageSet, ImageSet], str]:
        if not self.path.is_file():
            raise DataError(f"data.path={self.path} is no file; give an .npz of images and labels")
        return decoded(fingerprint([self.path], self.path.parent, ("npz",)), self._images)

    def _images(self) -> Images:
        try:
            found = dict(zip(NAMES, read_arrays(self.path, NAMES.values()), strict=True))
        except LookupError as error:
            raise DataError(f"{self.path} {error.args[0]}") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} is no .npz of plain arrays ({str(error)[:120]}); save it anew") from None
        train, test = (
            self._part(split, found[f"{split}_images"], found[f"{split}_labels"]) for split in ("train", "test")
        )
        if train.images.shape[1:] != test.images.shape[1:]:
            a, b = train.images.shape[1:], test.images.shape[1:]
            raise DataError(f"{self.path}: train images are {a} and test images {b}; bring them to one size")
        height, width, channels = train.images.shape[1:]
        return Images((train, test), (height, width, channels), lambda image: image)

    def _part(self, split: str, images: np.ndarray, labels: np.ndarray) -> Rows:
        if images.dtype != np.uint8:
            raise DataError(f"{self.path}: {split} images are {images.dtype}; give uint8, 0 to 255")
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
            images = images.transpose(0, 2, 3, 1)
        if images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise DataError(
                f"{self.path}: {split} images have shape {images.shape}; give [N, H, W] or [N, H, W, 1 or 3 channels]"
            )
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1 or len(labels) != len(images):
            raise DataError(
                f"{self.path}: {len(images)} {split} images and labels of shape {labels.shape}; give one each"
            )
        if labels.dtype.kind not in "iu":
            raise DataError(f"{self.path}: {split} labels are {labels.dtype}; give whole numbers from 0")
        return Rows(split, images, labels.astype(np.int64))


class Rows:
    """The images of one array, by their numbers.

    Args:
        split: what they are called.
        images: uint8 [N, H, W, C].
        labels: int64 [N].
    """

    def __init__(self, split: str, images: np.ndarray, labels: np.ndarray) -> None:
        self.split, self.images, self.labels = split, images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Item]:
        for i, (image, label) in enumerate(zip(self.images, self.labels, strict=True)):
            yield Item(f"{self.split} image {i}", image, int(label))
