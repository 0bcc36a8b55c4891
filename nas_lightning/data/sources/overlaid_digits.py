"""Two handwritten digits, one over the other, of which the brighter one is to be named: no file is needed."""

from __future__ import annotations

import numpy as np
import torch

from nas_lightning.data.images import ImageSet
from nas_lightning.data.source import Source

TEST_DIGITS = 497
TRAIN_SCENES, TEST_SCENES = 3, 2
"""Scenes in which every digit is the one to be named."""
DIMMED = 80
"""Brightness of the other digit, in per cent of its own."""


class OverlaidDigits(Source):
    """Scenes of two of scikit-learn's handwritten digits, 8 x 8, one channel: 3,900 to train, 994 to test.

    The digit to be named lies over another one, drawn at random and dimmed to 80 %; each is moved by at most one pixel
    a side, and a pixel shows the brighter of the two. Harder than the digits alone, on which a super-net is soon right
    everywhere and cannot rank: here the best small networks are right in two of three scenes. The images underneath are
    real: Optical Recognition of Handwritten Digits, E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998.

    Training scenes are made of 1,300 digits and test scenes of the other 497. Held-out scenes share digits with those
    that train, never a scene. The draws are those of numpy's `RandomState`, whose stream is frozen, so that the name
    says what the content is (a test holds its hash).
    """

    name = "overlaid_digits"
    num_classes = 10
    mean, std = (0.3903,), (0.372,)
    padding = 1
    flip = False
    known_by_name = True

    def read(self) -> tuple[ImageSet, ImageSet]:
        from sklearn.datasets import load_digits

        data = load_digits()
        images = np.round(data.images * (255 / 16)).astype(np.int64)
        order = np.random.RandomState(1797).permutation(len(images))  # the file is ordered by writer
        train = _scenes(images, data.target, order[TEST_DIGITS:], scenes=TRAIN_SCENES, seed=0)
        return train, _scenes(images, data.target, order[:TEST_DIGITS], scenes=TEST_SCENES, seed=1)


def _scenes(images: np.ndarray, labels: np.ndarray, part: np.ndarray, *, scenes: int, seed: int) -> ImageSet:
    """`scenes` scenes for each digit of `part`, in turn: uint8 [scenes · len(part), 8, 8, 1]."""
    draws = np.random.RandomState(seed)
    above = np.tile(part, scenes)
    below = part[draws.randint(len(part), size=len(above))]
    brightest = np.maximum(_moved(images[above], draws), _moved(images[below], draws) * DIMMED // 100)
    return ImageSet(
        torch.from_numpy(brightest.astype(np.uint8)[..., None]), torch.from_numpy(labels[above].astype(np.int64))
    )


def _moved(images: np.ndarray, draws: np.random.RandomState) -> np.ndarray:
    """Each image [N, 8, 8] moved by at most one pixel down or up and right or left; what comes in is dark."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:], axis=(1, 2))  # [N, 3, 3, 8, 8]
    down, right = draws.randint(3, size=(2, len(images)))
    return np.asarray(windows[np.arange(len(images)), down, right])
