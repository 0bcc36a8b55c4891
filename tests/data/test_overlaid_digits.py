"""The scenes that train.py starts with: fixed in content, the named digit uncovered, test digits apart."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nas_lightning.data.source import checked, measured
from nas_lightning.data.sources.overlaid_digits import DIMMED, TEST_DIGITS, OverlaidDigits


@pytest.fixture(scope="module")
def scenes():
    source = OverlaidDigits()
    return checked(source, *source.read())


def digits_inside(scene, images):
    """Which of `images` [n, 8, 8] are nowhere brighter than `scene` [8, 8], moved by at most one pixel. bool [n]"""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    windows = [padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
    return np.any([(window <= scene).all((1, 2)) for window in windows], axis=0)


def test_the_name_says_what_the_content_is(scenes):
    source = OverlaidDigits()
    assert source.content_sha256() == "0abb2a721457af9222f8357bdcb63bc15df8be7a60477be338aa105249effa8a"
    assert (source.mean, source.std) == measured(scenes[0].images)


def test_the_named_digit_is_the_brighter_one_and_test_digits_train_nothing(scenes):
    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.int64)
    order = np.random.RandomState(1797).permutation(len(images))
    for part, found in ((order[TEST_DIGITS:], scenes[0]), (order[:TEST_DIGITS], scenes[1])):
        assert len(found) % len(part) == 0
        for index in (0, 5, len(part) - 1, len(found) - 1):
            scene, named = found.images[index, ..., 0].numpy(), part[index % len(part)]
            assert digits_inside(scene, images[named][None]).item()
            assert found.labels[index] == data.target[named]
            below = digits_inside(scene, images[part] * DIMMED // 100)
            below[index % len(part)] = False  # the named one is inside in any case
            assert below.any()
