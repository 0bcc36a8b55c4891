"""The handwritten digits that scikit-learn ships: no file is needed."""

from __future__ import annotations

import numpy as np
import torch

from nas_lightning.data.images import ImageSet
from nas_lightning.data.source import Source

TEST_IMAGES = 797


class Digits(Source):
    """The 1,797 handwritten digits that scikit-learn ships, 8 x 8, one channel: 1,000 to train, 797 to test.

    Optical Recognition of Handwritten Digits, E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998. The split
    is a fixed permutation, since the file is ordered by writer.
    """

    name = "digits"
    num_classes = 10
    mean, std = (0.3053,), (0.3761,)
    padding = 1
    flip = False
    known_by_name = True

    def read(self) -> tuple[ImageSet, ImageSet]:
        from sklearn.datasets import load_digits

        data = load_digits()
        images = torch.from_numpy(np.round(data.images * (255 / 16)).astype(np.uint8)[..., None])
        labels = torch.from_numpy(data.target.astype(np.int64))
        order = torch.from_numpy(np.random.default_rng(1797).permutation(len(labels)))
        everything = ImageSet(images, labels)
        return everything.subset(order[TEST_IMAGES:]), everything.subset(order[:TEST_IMAGES])
