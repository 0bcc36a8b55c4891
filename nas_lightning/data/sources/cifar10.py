"""CIFAR-10, and how CIFAR's official files are read."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source


class Cifar10(Source):
    """CIFAR-10 (Krizhevsky, 2009) through torchvision's own class, which checks the files' MD5 sums.

    Args:
        root: folder that holds the official folder.
        download: let torchvision fetch it where it is missing.
    """

    name = "cifar10"
    num_classes = 10
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    padding = 4
    known_by_name = True

    def __init__(self, *, root: str | Path = "data", download: bool = False) -> None:
        self.root, self.download = root, download

    def read(self) -> tuple[ImageSet, ImageSet]:
        from torchvision import datasets

        kind = datasets.CIFAR10 if self.num_classes == 10 else datasets.CIFAR100
        parts = []
        for train in (True, False):
            try:
                part = kind(str(self.root), train=train, download=self.download)
            except (RuntimeError, OSError, pickle.UnpicklingError, EOFError) as error:
                raise DataError(
                    f"CIFAR-{self.num_classes} is missing or damaged below {self.root}: put the official folder "
                    f"{kind.base_folder} there (or set data.download=true, or point data.root or "
                    f"NAS_LIGHTNING_DATA elsewhere)"
                ) from error
            parts.append(ImageSet(torch.from_numpy(part.data), torch.tensor(part.targets)))
        return parts[0], parts[1]
