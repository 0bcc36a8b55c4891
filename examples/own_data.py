"""Images of your own: one class, in any module that Python finds, and no edit anywhere else.

    PYTHONPATH=examples python train.py data.name=mine data._target_=own_data.Arrays data.path=mine.npz benchmark=none

What the file holds counts in the run's name by its content; mean and deviation are measured on the training images.
"""

from pathlib import Path

import numpy as np
import torch

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source


class Arrays(Source):
    """The arrays ``images`` (uint8 [N, H, W, C]) and ``labels`` (whole numbers from 0) of an .npz file.

    Args:
        path: the file.
        test_share: share of the images, the last ones, that are kept for tests.
        name: what tables call these data.
    """

    flip = False

    def __init__(self, *, path: str, test_share: float = 0.3, name: str = "mine") -> None:
        self.path, self.test_share, self.name = Path(path), float(test_share), name

    def read(self) -> tuple[ImageSet, ImageSet]:
        if not self.path.is_file():
            raise DataError(f"data.path={self.path} is no file; name an .npz with images and labels")
        with np.load(self.path, allow_pickle=False) as arrays:
            images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"].astype(np.int64))
        everything, first = ImageSet(images, labels), int(len(labels) * (1 - self.test_share))
        return everything.subset(torch.arange(first)), everything.subset(torch.arange(first, len(labels)))
