"""Any classification set of torchvision."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_lightning.data.decode import fitted, to_array
from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source
from nas_lightning.errors import nearest


class Torchvision(Source):
    """``data=torchvision data.dataset=FashionMNIST``: a set of `torchvision.datasets` with a training and test part.

    Args:
        dataset: name of the class there.
        root: folder that holds its files, or that they are downloaded to.
        download: let torchvision fetch what is missing.
        name: what tables call the data set; None takes the class's in lower case.
        size: side in pixels, as of ``data=folder``.
        grey: whether images become grey, as of ``data=folder``.
        flip: whether a mirrored image is still of its class, for augmentation.
    """

    def __init__(
        self,
        *,
        dataset: str,
        root: str | Path = "data",
        download: bool = False,
        name: str | None = None,
        size: int | None = None,
        grey: bool | None = None,
        flip: bool = True,
    ) -> None:
        from torchvision import datasets

        known = sorted(n for n, kind in vars(datasets).items() if _parts_of(kind) is not None)
        if dataset not in known:
            close = nearest(dataset, known) or known[:8]
            raise DataError(
                f"data.dataset={dataset} is no classification set of torchvision; choose {', '.join(close)} …"
            )
        self.kind: Any = getattr(datasets, dataset)
        self.name = name if name and name != "torchvision" else dataset.lower()
        self.root, self.download, self.size, self.grey, self.flip = root, download, size, grey, flip

    def read(self) -> tuple[ImageSet, ImageSet]:
        parts = [self._opened(part) for part in _parts_of(self.kind) or ()]
        side, channels = fitted(
            self.size, self.grey, ((f"{self.name}, image {i}", part[i][0]) for part in parts for i in range(len(part)))
        )
        train, test = (self._tensor(part, partial(to_array, side=side, channels=channels)) for part in parts)
        return train, test

    def _opened(self, part: dict[str, Any]) -> Any:
        try:
            return self.kind(str(self.root), **part, download=self.download)
        except (RuntimeError, OSError, ValueError, EOFError, ImportError) as error:
            said = str(error).split("\n")[0][:90]
            raise DataError(
                f"{self.kind.__name__} cannot be read below {self.root} ({said}); set data.download=true to fetch it, "
                "or point data.root elsewhere"
            ) from None

    def _tensor(self, part: Any, decode: Any) -> ImageSet:
        images: torch.Tensor | None = None
        labels = torch.empty(len(part), dtype=torch.int64)
        for i in range(len(part)):
            picture, label = part[i]
            try:
                array: np.ndarray = decode(picture)
            except DataError as error:
                raise DataError(f"{self.name}, image {i} {error}") from None
            if not isinstance(label, int):
                raise DataError(f"{self.kind.__name__} has no classes (its targets are {type(label).__name__})")
            images = torch.empty((len(part), *array.shape), dtype=torch.uint8) if images is None else images
            images[i], labels[i] = torch.from_numpy(array), label
        assert images is not None
        return ImageSet(images, labels)


def _parts_of(kind: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Arguments of the training and the test part; None for what has no such parts, or cannot be downloaded."""
    from torchvision.datasets.vision import VisionDataset

    if not (isinstance(kind, type) and issubclass(kind, VisionDataset)):
        return None
    known = inspect.signature(kind).parameters
    if "download" not in known:
        return None
    if "train" in known:
        return {"train": True}, {"train": False}
    return ({"split": "train"}, {"split": "test"}) if "split" in known else None
