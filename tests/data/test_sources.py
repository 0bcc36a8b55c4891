"""Images of one's own: folders, arrays, Parquet and torchvision's sets, and what is said of those that are no good."""

import io
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nas_lightning.data.find import get_source, make_task, name_of
from nas_lightning.data.images import DataError

FOLDER = "nas_lightning.data.sources.folder.Folder"
NPZ = "nas_lightning.data.sources.npz.Npz"
PARQUET = "nas_lightning.data.sources.parquet.Parquet"
VISION = "nas_lightning.data.sources.torchvision.Torchvision"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_LIGHTNING_CACHE", str(tmp_path / "cache"))


def picture(value, size=(12, 12), mode="RGB"):
    return Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).convert(mode)


def folder(root, classes=("cat", "dog"), n=6, **options):
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(n):
            picture(40 * c + i, **options).save(root / name / f"{i}.png")
    return root


def source(path, target=FOLDER, **settings):
    return get_source("mine", target, path=str(path), **settings)


def task(path, target=FOLDER, **settings):
    section = {"name": "mine", "_target_": target, "settings": {"path": str(path), **settings}}
    found = make_task(section, 2, 0.5, 0)
    found.setup()
    return found


def test_a_folder_is_split_measured_and_recorded_with_its_content(tmp_path):
    data = task(folder(tmp_path / "images"))
    record = data.record()
    assert (data.num_outputs, data.in_channels, data.image_size) == (2, 3, 12)
    assert (record["train_images"], record["validation_images"], record["test_images"]) == (5, 5, 2)
    train, test = source(tmp_path / "images").read()
    pixels = train.images.double() / 255
    assert record["mean"] == pytest.approx([float(pixels[..., c].mean()) for c in range(3)], abs=1e-4)
    assert record["std"] == pytest.approx([float(pixels[..., c].std(correction=0)) for c in range(3)], abs=1e-4)
    assert sorted(test.labels.tolist()) == [0, 1]  # of each class its share
    assert {int(i[0, 0, 0]) // 40 == int(y) for i, y in zip(train.images, train.labels, strict=True)} == {True}


def test_the_same_images_are_the_same_content_wherever_and_however_often_they_lie(tmp_path, monkeypatch):
    first = source(folder(tmp_path / "a")).content_sha256()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert source(tmp_path / "b").content_sha256() == first
    monkeypatch.chdir(tmp_path)
    assert source("a").content_sha256() == first
    picture(99).save(tmp_path / "b" / "cat" / "0.png")
    assert source(tmp_path / "b").content_sha256() != first  # changed in place


def test_decoded_images_come_from_the_cache(tmp_path, monkeypatch):
    first = source(folder(tmp_path / "a")).read()
    monkeypatch.setattr("nas_lightning.data.sources.folder.to_array", lambda *_, **__: pytest.fail("decoded again"))
    again = source(tmp_path / "a").read()
    assert torch.equal(first[0].images, again[0].images)
    assert not list((tmp_path / "cache" / "images").glob(".building*"))


def test_parquet_files_and_arrays_come_from_the_cache_too(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", **arrays())
    files = {PARQUET: hub(tmp_path / "hub"), NPZ: tmp_path / "a.npz"}
    first = {target: source(path, target).read()[0] for target, path in files.items()}
    monkeypatch.setattr("nas_lightning.data.sources.parquet.to_array", lambda *_, **__: pytest.fail("decoded again"))
    monkeypatch.setattr("nas_lightning.data.sources.npz.read_arrays", lambda *_: pytest.fail("read again"))
    for target, path in files.items():
        assert torch.equal(source(path, target).read()[0].images, first[target].images)
    monkeypatch.undo()
    monkeypatch.setenv("NAS_LIGHTNING_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "a.npz", **arrays(x_train=np.zeros((20, 8, 8, 3), np.uint8)))
    assert not source(tmp_path / "a.npz", NPZ).read()[0].images.any()  # changed in place


def test_train_and_test_folders_sizes_and_colours(tmp_path):
    folder(tmp_path / "x" / "train", n=3, size=(30, 20))
    folder(tmp_path / "x" / "val", n=2, size=(17, 40))
    train, test = source(tmp_path / "x").read()
    assert (train.images.shape, test.images.shape) == ((6, 32, 32, 3), (4, 32, 32, 3))
    assert source(tmp_path / "x", size=8, grey=True).read()[0].images.shape == (6, 8, 8, 1)
    folder(tmp_path / "grey", mode="L")
    assert source(tmp_path / "grey").read()[0].images.shape[1:] == (12, 12, 1)


def test_a_palette_image_is_read_by_its_colours_and_named(tmp_path, capsys):
    folder(tmp_path / "x", size=(4, 4))
    picture(0, (4, 4)).save(tmp_path / "x" / "cat" / "0.png")
    red = Image.new("RGB", (4, 4), (250, 10, 20)).convert("P", palette=Image.Palette.ADAPTIVE)
    for i in range(6):
        red.save(tmp_path / "x" / "dog" / f"{i}.png")
    train, _ = source(tmp_path / "x").read()
    assert train.images[train.labels == 1][0, 0, 0].tolist() == [250, 10, 20]
    (said,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"6 images have a palette and are read as its colours: \S*dog/0\.png", said), said


def damaged(root):
    (root / "cat" / "2.png").write_bytes((root / "cat" / "2.png").read_bytes()[:45])


def deep(root):
    Image.fromarray(np.full((12, 12), 40_000, np.uint16)).save(root / "cat" / "2.png")


def empty(root):
    (root / "bird").mkdir()


def lone(root):
    (root / "bird").mkdir()
    picture(3).save(root / "bird" / "only.png")


@pytest.mark.parametrize(
    ("hurt", "file", "said"),
    [
        (damaged, "cat/2.png", "is "),
        (lambda root: (root / "cat" / "2.png").write_text("no"), "cat/2.png", "is no image"),
        (deep, "cat/2.png", "more than 8 bits"),
        (empty, "bird", "holds no image"),
        (lone, "bird", "has one image"),
    ],
)
def test_a_bad_folder_is_one_sentence_that_names_the_file(tmp_path, hurt, file, said):
    hurt(folder(tmp_path / "x"))
    with pytest.raises(DataError) as refusal:
        source(tmp_path / "x").read()
    text = str(refusal.value)
    assert file in text
    assert said in text
    assert "\n" not in text
    assert len(text) < 300
    assert not list((tmp_path / "cache").rglob("about.json"))


def arrays(**changes):
    rng = np.random.default_rng(0)
    whole = {
        "x_train": rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(20) % 2,
        "x_test": rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(6) % 2,
    }
    return {k: v for k, v in {**whole, **changes}.items() if v is not None}


def test_an_npz_is_read_in_every_usual_layout(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays())
    data = task(tmp_path / "a.npz", NPZ)
    assert (data.num_outputs, data.in_channels, data.image_size, data.size("test")) == (2, 3, 8, 6)
    turned = {k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v[:, None] for k, v in arrays().items()}
    names = {"x": "images", "y": "labels"}
    np.savez(tmp_path / "b.npz", **{f"{k[2:]}_{names[k[0]]}": v for k, v in turned.items()})
    assert source(tmp_path / "b.npz", NPZ).content_sha256() == source(tmp_path / "a.npz", NPZ).content_sha256()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"y_train": np.arange(19) % 2}, "20 train images and labels of shape"),
        ({"y_train": np.zeros(20)}, "labels are float64"),
        ({"y_train": np.arange(20) % 2 + 1}, "class 0 of 3 has no training image"),
        ({"y_train": np.arange(20) % 2 * 2}, "class 1 of 3 has no training image"),
        ({"y_test": np.arange(6) - 1}, "label -1 is none of"),
        ({"y_test": None}, "lacks test_labels or y_test"),
        ({"x_train": np.zeros((20, 8, 8, 3), np.uint16)}, "train images are uint16"),
        ({"x_train": np.array([{}] * 20)}, "no .npz of plain arrays"),
        ({"x_test": np.zeros((6, 9, 9, 3), np.uint8)}, "bring them to one size"),
    ],
)
def test_bad_arrays_are_one_sentence(tmp_path, changes, said):
    np.savez(tmp_path / "a.npz", **arrays(**changes))
    with pytest.raises(DataError) as refusal:
        task(tmp_path / "a.npz", NPZ)
    assert said in str(refusal.value)
    assert len(str(refusal.value)) < 300


def encoded(value):
    stream = io.BytesIO()
    picture(value).save(stream, "PNG")
    return stream.getvalue()


def hub(root, broken=None):
    root.mkdir()
    for split, n in (("train", 8), ("test", 4)):
        cells = [{"bytes": encoded(10 * i), "path": None} for i in range(n)]
        if broken and split == "train":
            cells[3] = broken
        pq.write_table(pa.table({"image": cells, "label": [i % 2 for i in range(n)]}), root / f"{split}-00000.parquet")
    return root


def test_parquet_files_of_the_hub_are_read(tmp_path):
    data = task(hub(tmp_path / "hub"), PARQUET)
    assert (data.num_outputs, data.image_size, data.size("test")) == (2, 12, 4)
    with pytest.raises(DataError, match=r"train-00000\.parquet, row 3 is no image"):
        source(hub(tmp_path / "bad", {"bytes": b"no", "path": None}), PARQUET).read()
    with pytest.raises(DataError, match="has no column pixels; it has image, label"):
        source(tmp_path / "hub", PARQUET, image="pixels").read()


def test_any_set_of_torchvision_is_read_and_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    from torchvision import datasets

    class Made(datasets.FashionMNIST):
        def __init__(self, root, train, download):
            assert not download
            self.n = 12 if train else 4

        def __len__(self):
            return self.n

        def __getitem__(self, i):
            if self.n == 12 and i == broken:
                raise OSError("truncated")
            opened.append(i)
            return picture(i, (28, 28), "L"), i % 2

    broken, opened = None, []
    section = {
        "name": "torchvision",
        "_target_": VISION,
        "root": str(tmp_path),
        "settings": {"dataset": "FashionMNIST"},
    }
    with pytest.raises(DataError, match=r"set data\.download=true"):
        make_task(section, 2, 0.5, 0).setup()
    assert not list(tmp_path.glob("FashionMNIST/raw/*"))
    monkeypatch.setattr(datasets, "FashionMNIST", Made)
    data = make_task(section, 2, 0.5, 0)
    data.setup()
    assert (data.name, data.num_outputs, data.in_channels, data.image_size) == ("fashionmnist", 2, 1, 28)
    read = len(opened)
    assert data.content_sha256() == data.source.content_sha256()
    assert len(opened) == read  # once a process: torchvision does not say which files a set is made of
    broken = 3
    with pytest.raises(DataError, match=r"fashionmnist, image 3 cannot be read \(OSError\)"):
        make_task(section, 2, 0.5, 0).setup()
    with pytest.raises(DataError, match="choose FashionMNIST"):
        make_task({**section, "settings": {"dataset": "FashionMnist"}}, 2, 0.5, 0)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"name": "digits", "root": "/my/images"}, "a folder of images is data=folder data.path=…"),
        ({"name": "digits", "download": True}, "does not read data.download"),
        ({"name": "/some/path"}, "data=folder data.path=/some/path"),
        ({"name": "digits", "settings": {"pth": 1}}, "nothing reads data.pth"),
        ({"name": "x", "_target_": FOLDER}, "needs data.path=…"),
        ({"name": "x", "_target_": FOLDER, "settings": {"path": "/nowhere", "sise": 8}}, "say data.size=…"),
    ],
)
def test_what_a_data_set_does_not_read_is_refused(section, said):
    with pytest.raises(DataError) as refusal:
        make_task(section, 2, 0.5, 0).setup()
    assert said in str(refusal.value)


def test_a_class_without_a_name_of_its_own_is_called_what_the_section_says():
    assert name_of({"name": "flowers", "_target_": FOLDER}) == "flowers"
    assert name_of({"name": "digits", "_target_": "examples.own_task.task.Spots"}) == "spots"
    vision = {"name": "torchvision", "_target_": VISION, "settings": {"dataset": "FashionMNIST"}}
    assert name_of(vision) == "fashionmnist" == make_task(vision, 2, 0.5, 0).name
    assert name_of({**vision, "name": "clothes"}) == "clothes"


@pytest.mark.parametrize("augment", ["crop", "randaugment", "autoaugment"])
def test_every_augmentation_is_a_function_of_seed_and_step(tmp_path, augment):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "a.npz",
        **arrays(
            x_train=rng.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8),
            x_test=rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8),
        ),
    )
    section = {"name": "m", "_target_": NPZ, "augment": augment, "settings": {"path": str(tmp_path / "a.npz")}}
    one, two = (make_task(section, 8, 0.9, 0).loader() for _ in range(2))
    before = torch.random.get_rng_state()
    third = one.batch(3)[0]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(two.batch(3)[0], third)
    plain = make_task({**section, "augment": "none"}, 8, 0.9, 0).loader().batch(3)[0]
    assert not torch.equal(plain, third)
    assert third.shape == plain.shape


def test_an_unknown_augmentation_is_refused(tmp_path):
    with pytest.raises(DataError, match="choose one of none, crop, crop"):
        make_task({"name": "digits", "augment": "rotate"}, 8, 0.9, 0)


@pytest.mark.parametrize("label", [-1, 2**63, True, 0.5])
def test_labels_of_the_hub_are_whole_numbers_from_0(label, tmp_path):
    root = hub(tmp_path / "hub")
    kind = pa.uint64() if label == 2**63 else None
    labels = pa.array([label] * 8, kind)
    pq.write_table(pa.table({"image": [encoded(i) for i in range(8)], "label": labels}), root / "train-00000.parquet")
    with pytest.raises(DataError, match=r"row 0 has label '.+'; give whole numbers from 0"):
        source(root, PARQUET).read()
