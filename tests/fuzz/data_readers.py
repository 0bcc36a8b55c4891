"""Readers of data: images in folders, arrays and Parquet files, official batches, texts, arrays of other tasks."""

import io
import os
import pickle
import shutil
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from nas_lightning.data.find import get_source, make_task
from nas_lightning.modes.job import architecture_in
from nas_lightning.spaces import get_space
from tests.fuzz.mutations import mutated_bytes, mutated_column
from tests.fuzz.official_readers import emptied
from tests.fuzz.readers import _mutated_pickle, drawn, fresh, pick, pickles, reader

TARGETS = {
    "folder": "nas_lightning.data.sources.folder.Folder",
    "npz": "nas_lightning.data.sources.npz.Npz",
    "parquet": "nas_lightning.data.sources.parquet.Parquet",
    "text": "nas_lightning.data.text.files.TextFiles",
    "ninapro": "nas_lightning.data.nasbench360.NinaPro",
    "darcy": "nas_lightning.data.nasbench360.DarcyFlow",
}


def use_data(kind, setting="path"):
    """Read the data, split it, and draw one batch of each kind."""

    def read(path):
        os.environ["NAS_LIGHTNING_CACHE"] = str(path.parent / "cache")
        section = {"name": "mine", "_target_": TARGETS[kind], "settings": {}}
        (section["settings"] if setting == "path" else section)[setting] = str(path)
        task = make_task(section, 2, 0.5, 0)
        task.setup()
        task.record()
        task.loader().batch(0)
        task.evaluation_batches(2)

    return read


def picture(rng, size=12, form="PNG"):
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(stream, form)
    return stream.getvalue()


@lru_cache(maxsize=1)
def pictures():
    rng = np.random.default_rng(0)
    return {form: [picture(rng, form=form) for _ in range(4)] for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")}


@reader("images in folders", 400, use_data("folder"))
def _(rng, folder):
    shutil.rmtree(folder / "cache", ignore_errors=True)
    target = emptied(folder, "images")
    form = pick(rng, list(pictures()))
    for c in ("cat", "dog"):
        (target / c).mkdir()
        for i, content in enumerate(pictures()[form]):
            (target / c / f"{i}.{form.lower()}").write_bytes(content)
    hit = pick(rng, sorted(target.rglob("*.*")))
    kind = rng.random()
    if kind < 0.8:
        hit.write_bytes(mutated_bytes(hit.read_bytes(), rng, pictures()[pick(rng, list(pictures()))]))
    elif kind < 0.9:
        hit.rename(hit.with_name(pick(rng, ["é" * 100 + ".png", "a\nb.png", "x.txt", ".png", "-1.png"])))
    else:
        hit.write_bytes(picture(rng, pick(rng, [1, 2, 13, 40])))
    return target


def arrays(rng):
    return {
        "x_train": rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(20) % 2,
        "x_test": rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(6) % 2,
    }


def odd_array(value, rng):
    """The array in another type, shape or with other numbers."""
    kind = int(rng.integers(8))
    odd = [np.nan, np.inf, -1, 255, 2**31, 1e300]
    if kind == 0:
        return value.astype([np.float64, np.int64, np.int8, bool, np.float16, np.complex64, "U4"][rng.integers(7)])
    if kind == 1:
        return value[: int(rng.integers(len(value)))]
    if kind == 2:
        return value.reshape(-1)
    if kind == 3:
        return value[..., None]
    if kind == 4:
        return np.array([{}] * len(value))
    if kind == 5:
        return np.moveaxis(value, -1, 0)
    if kind == 6:
        return np.zeros((0, *value.shape[1:]), value.dtype)
    changed = value.astype(np.float64)
    changed.reshape(-1)[int(rng.integers(changed.size))] = pick(rng, odd)
    return changed


@reader("arrays in an .npz", 400, use_data("npz"))
def _(rng, folder):
    value, path = arrays(np.random.default_rng(0)), fresh(folder, "a.npz")
    kind = rng.random()
    if kind < 0.5:
        name = pick(rng, list(value))
        value[name] = odd_array(value[name], rng)
    elif kind < 0.6:
        value.pop(pick(rng, list(value)))
    buffer = io.BytesIO()
    np.savez(buffer, **value)
    path.write_bytes(mutated_bytes(buffer.getvalue(), rng) if kind >= 0.6 else buffer.getvalue())
    return path


@reader("images in Parquet", 400, use_data("parquet"))
def _(rng, folder):
    shutil.rmtree(folder / "cache", ignore_errors=True)
    target = emptied(folder, "hub")
    for split, n in (("train", 8), ("test", 4)):
        cells = [{"bytes": pictures()["PNG"][i % 4], "path": None} for i in range(n)]
        labels = [i % 2 for i in range(n)]
        if split == "train" and rng.random() < 0.4:
            odd = [None, {"bytes": None, "path": None}, {"bytes": b"", "path": "/etc/hostname"}]
            cells[3] = pick(rng, [*odd, {"bytes": mutated_bytes(pictures()["PNG"][0], rng), "path": "x"}])
        elif split == "train" and rng.random() < 0.4:
            labels = list(mutated_column(np.array(labels), rng))
        file = target / f"{split}-00000.parquet"
        try:
            pq.write_table(pa.table({"image": cells, "label": labels}), file)
        except (pa.ArrowException, ValueError):
            pq.write_table(pa.table({"image": cells}), file)
    if rng.random() < 0.4:
        hit = target / "train-00000.parquet"
        hit.write_bytes(mutated_bytes(hit.read_bytes(), rng))
    return target


OFFICIAL = {
    "cifar10": ("cifar-10-batches-py", [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]),
    "cifar100": ("cifar-100-python", ["train", "test", "meta"]),
    "imagenet16_120": ("ImageNet16", [*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"]),
}


def read_official(given):
    name, root = given
    get_source(name, root=root).read()


@reader("official batches of images", 100, read_official)
def _(rng, folder):
    name = pick(rng, list(OFFICIAL))
    target = emptied(folder, "official")
    (target / OFFICIAL[name][0]).mkdir()
    small = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}, 2)
    for file in OFFICIAL[name][1]:
        content = mutated_bytes(small, rng) if rng.random() < 0.5 else _mutated_pickle(rng, pickles())
        (target / OFFICIAL[name][0] / file).write_bytes(content)
    return name, target


@lru_cache(maxsize=1)
def words():
    rng = np.random.default_rng(0)
    return "\n".join(" ".join(f"w{int(i)}" for i in rng.integers(0, 30, 12)) for _ in range(200)).encode()


@reader("texts", 300, use_data("text"))
def _(rng, folder):
    path = fresh(folder, "t.txt")
    kind = rng.random()
    if kind < 0.1:
        path.write_bytes(pick(rng, [b"", b"\n", b"one", b"a " * 10, "\u2028 x\x85 y ".encode() * 50, b"\xff\xfe" * 90]))
    else:
        path.write_bytes(mutated_bytes(words(), rng))
    return path


def _task_arrays(kind):
    rng = np.random.default_rng(0)
    side = (1, 52, 16) if kind == "ninapro" else (20, 20)
    targets = (lambda n: np.arange(n) % 3) if kind == "ninapro" else (lambda n: rng.normal(size=(n, *side)))
    return {
        "x_train": rng.normal(size=(12, *side)),
        "y_train": targets(12),
        "x_test": rng.normal(size=(6, *side)),
        "y_test": targets(6),
    }


for _kind in ("ninapro", "darcy"):

    @reader(f"arrays of NAS-Bench-360: {_kind}", 200, use_data(_kind, "root"))
    def _(rng, folder, kind=_kind):
        target, value = emptied(folder, kind), _task_arrays(kind)
        hit = pick(rng, list(value))
        of_values = rng.random() < 0.6
        if of_values:
            value[hit] = odd_array(value[hit], rng)
        for name, array in value.items():
            np.save(target / f"{name}.npy", array)
        if not of_values:
            file = target / f"{hit}.npy"
            file.write_bytes(mutated_bytes(file.read_bytes(), rng))
        return target


def read_one(path):
    get_space("nasbench201").parse(architecture_in(str(path)) or "")


@reader("a file of one architecture", 100, read_one)
def _(rng, folder):
    path = fresh(folder, "derived.txt")
    path.write_bytes(mutated_bytes(f"{pick(rng, drawn('nasbench201'))}\n".encode(), rng))
    return path
