"""Splits, keyed batches, and augmentation drawn per image."""

import numpy as np
import pytest
import torch

from nas_lightning.data.images import Augment, DataError, Normalize
from nas_lightning.data.module import ImageClassification


def digits(**changes):
    return ImageClassification(
        **{"name": "digits", "root": "data", "batch_size": 50, "train_portion": 0.6, "seed": 3, **changes}
    )


def test_splits_are_disjoint_and_recorded():
    data = digits()
    data.setup()
    assert (len(data.train_set), len(data.validation_set), len(data.test_set)) == (600, 400, 797)
    rows = {
        split.images[i].numpy().tobytes()
        for split in (data.train_set, data.validation_set, data.test_set)
        for i in range(len(split))
    }
    assert len(rows) == 1797  # every image is distinct, so that none is in two parts
    again = digits(seed=4)  # the run's seed does not move the split
    again.setup()
    assert again.record()["split_sha256"] == data.record()["split_sha256"]
    other = digits(split_seed=1)
    other.setup()
    assert other.record()["split_sha256"] != data.record()["split_sha256"]


def test_a_larger_portion_contains_the_smaller_one():
    small, large = digits(train_portion=0.3), digits(train_portion=0.6)
    small.setup()
    large.setup()
    assert torch.equal(large.train_set.images[:300], small.train_set.images)


def test_batches_are_a_function_of_seed_and_step():
    loader, again = digits().loader(), digits().loader(start=lambda: 7)
    assert len(loader) == 12
    whole = [loader.batch(step) for step in range(12)]
    resumed = list(again)
    assert len(resumed) == 5
    for (x, y), (x2, y2) in zip(whole[7:], resumed, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)
    assert not torch.equal(loader.batch(12)[1], whole[0][1])  # the next epoch has another order
    assert not torch.equal(digits(seed=4).loader().batch(0)[1], whole[0][1])


def test_ranks_share_one_global_batch():
    whole = digits().loader().batch(3)
    halves = [digits().loader(rank=r, world_size=2).batch(3) for r in range(2)]
    for part in range(2):
        assert torch.equal(halves[part][0], whole[0][part::2])
        assert torch.equal(halves[part][1], whole[1][part::2])


def test_augmentation_is_a_crop_and_flip_of_each_image():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (64, 6, 6, 3), dtype=torch.uint8)
    out = Augment(2, True)(images, generator)
    padded = np.pad(images.numpy(), ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for i in range(64):
        windows = {
            (dy, dx, flip): padded[i, dy : dy + 6, dx : dx + 6][:, :: -1 if flip else 1]
            for dy in range(5)
            for dx in range(5)
            for flip in (False, True)
        }
        (found,) = [k for k, window in windows.items() if np.array_equal(window, out[i].numpy())]
        seen.add(found)
    assert len(seen) > 25  # drawn per image, not per batch
    assert torch.equal(Augment(0, False)(images, generator), images)


def test_normalisation_is_channels_last_and_exact():
    images = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    out = Normalize(mean, std)(images)
    expected = (images.permute(0, 3, 1, 2) / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_portion": 0.01}, "fewer than one batch"),
        ({"train_portion": 0.0001}, "no image to train on"),
        ({"max_train_images": 5000}, "out of range"),
        ({"image_size": 3}, "choose one of 1, 2, 4, 8"),
        ({"name": "digit"}, "did you mean digits. choose one of"),
        ({"name": "cifar10", "root": "/nonexistent"}, "put the official folder cifar-10-batches-py there"),
        ({"name": "imagenet16_120", "root": "/nonexistent"}, "put the official batch file train_data_batch_1"),
    ],
)
def test_bad_data_is_one_sentence(changes, words):
    with pytest.raises(DataError, match=words):
        digits(**changes).loader()


def test_smaller_images_are_block_means_of_every_part():
    whole, small = digits(augment=False), digits(augment=False, image_size=4)
    whole.setup(), small.setup()
    for part in ("train_set", "validation_set", "test_set"):
        full, shrunk = getattr(whole, part), getattr(small, part)
        blocks = full.images.double().unflatten(1, (4, 2)).unflatten(3, (4, 2)).mean((2, 4))
        assert shrunk.images.shape == (len(full), 4, 4, 1)
        assert (shrunk.images.double() - blocks).abs().max() <= 0.5
        assert torch.equal(shrunk.labels, full.labels)
    assert small.record()["image_size"] == 4


def test_scores_need_held_out_images():
    with pytest.raises(DataError, match="never come from the test images"):
        digits(train_portion=1.0).held_out()


def test_damaged_cifar_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"truncated")
    with pytest.raises(DataError, match="missing or damaged"):
        digits(name="cifar10", root=tmp_path).setup()


def test_imagenet16_reads_the_official_layout(tmp_path, monkeypatch):
    import hashlib
    import pickle

    from nas_lightning.data.sources import imagenet16_120 as sources

    folder, sums = tmp_path / "ImageNet16", {}
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in sources.IMAGENET16_MD5:
        content = pickle.dumps(
            {"data": rng.integers(0, 256, (5, 768), dtype=np.uint8), "labels": [1, 120, 121, 1000, 7]}
        )
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(sources, "IMAGENET16_MD5", sums)
    train, test = sources.ImageNet16(root=tmp_path).read()
    assert len(train) == 30
    assert len(test) == 3
    assert set(train.labels.tolist()) == {0, 119, 6}
    (folder / "val_data").write_bytes(b"junk")
    with pytest.raises(DataError, match="damaged or not the official file"):
        sources.ImageNet16(root=tmp_path).read()
