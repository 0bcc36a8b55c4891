"""Several hundred MB of one's own images never lie in memory twice: counted in items and bytes, on small sets."""

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_lightning.data.cache import Images, Item, decoded
from nas_lightning.data.images import CHUNK_BYTES, ImageSet, parts
from nas_lightning.data.source import content_sha256, measured

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="Linux alone says what lies in memory")


class Content:
    """What an item holds: a weak reference to it tells whether it is still there."""

    def __init__(self, value):
        self.value = value


class Counted:
    """`n` items made as they are asked for, and the most of them that were there at once."""

    def __init__(self, n):
        self.n, self.alive, self.most = n, weakref.WeakSet(), 0

    def __len__(self):
        return self.n

    def __iter__(self):
        for i in range(self.n):
            content = Content(i)
            self.alive.add(content)
            self.most = max(self.most, len(self.alive))
            yield Item(str(i), content, i % 2)
            del content


@pytest.fixture
def images(tmp_path, monkeypatch):
    """600 images of 64 x 64, 7 MB, from the cache."""
    monkeypatch.setenv("NAS_LIGHTNING_CACHE", str(tmp_path / "cache"))
    train, test = Counted(600), Counted(20)

    def decode(content):
        return np.random.default_rng(content.value).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    (found, _), _ = decoded("key", lambda: Images((train, test), (64, 64, 3), decode))
    assert (train.most, test.most) == (2, 2)  # the one that is decoded, and the next
    return found


def resident(file):
    """Bytes of a mapped file that lie in this process's memory."""
    found, here = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            here = line.endswith(f"/{file}")
        elif here and name == "Rss:":
            found += 1024 * int(rest.split()[0])
    return found


def test_items_are_decoded_one_at_a_time_and_found_again(images):
    assert images.images.shape == (600, 64, 64, 3)
    expected = np.random.default_rng(7).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert (images.images[7].numpy() == expected).all()
    (again, _), _ = decoded("key", lambda: pytest.fail("decoded again"))
    assert torch.equal(again.images, images.images)


@linux
def test_a_part_is_copied_in_its_order_and_the_file_leaves_memory(images):
    order = torch.from_numpy(np.random.default_rng(0).permutation(600)[:480])
    whole = images.images.clone()
    assert resident("train.npy") > 7_000_000  # all of it was looked at
    part = images.subset(order)
    assert resident("train.npy") < 1_000_000
    assert torch.equal(part.images, whole[order])
    assert torch.equal(part.labels, images.labels[order])
    assert torch.equal(part.images, ImageSet(whole, images.labels).subset(order).images)


@pytest.mark.parametrize("side", [8, 224])
def test_no_copy_of_a_whole_set_is_made_whatever_an_images_side(side):
    one = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    rows = one.expand(400, -1, -1, -1)
    sizes = [part.numel() for part in parts(rows)]
    assert sum(sizes) == rows.numel()
    assert max(sizes) <= max(CHUNK_BYTES, one.numel())


def test_the_hash_and_the_measures_do_not_depend_on_the_chunks(images, monkeypatch):
    train = images.images
    before = content_sha256((train,)), measured(train)
    monkeypatch.setattr("nas_lightning.data.images.CHUNK_BYTES", 100_000)
    assert (content_sha256((train,)), measured(train)) == before


@linux
@pytest.mark.slow
def test_reading_50_mb_takes_less_than_twice_as_much(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"x_{s}": rng.integers(0, 256, (n, 64, 64, 3), np.uint8) for s, n in (("train", 3400), ("test", 800))}
    np.savez(tmp_path / "images.npz", **arrays, y_train=np.arange(3400) % 10, y_test=np.arange(800) % 10)
    command = [sys.executable, str(ROOT / "perf" / "data_memory.py"), str(tmp_path / "images.npz"), "--read", "npz"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NAS_LIGHTNING_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["images_mb"] == pytest.approx(51.6, abs=0.1)
    assert found["peak"] < 1.9  # 1.0 at 400 MB, beside what torch needs for any size
