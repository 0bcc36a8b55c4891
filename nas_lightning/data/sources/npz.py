"""Arrays in one NumPy file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source

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
        if not self.path.is_file():
            raise DataError(f"data.path={self.path} is no file; give an .npz of images and labels")
        try:
            with np.load(self.path, allow_pickle=False) as file:
                found = {}
                for name, known in NAMES.items():
                    here = next((k for k in known if k in file.files), None)
                    if here is None:
                        has = ", ".join(file.files) or "nothing"
                        raise DataError(f"{self.path} lacks {' or '.join(known[:2])}; it has {has[:120]}")
                    found[name] = file[here]
        except DataError:
            raise
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path} is no .npz of plain arrays ({type(error).__name__}: {str(error)[:80]})"
            ) from None
        train, test = (
            self._part(split, found[f"{split}_images"], found[f"{split}_labels"]) for split in ("train", "test")
        )
        return train, test

    def _part(self, split: str, images: np.ndarray, labels: np.ndarray) -> ImageSet:
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
        return ImageSet(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64)))
