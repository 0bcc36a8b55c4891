"""On files that the test writes in the official layouts of NAS-Bench-201 (.pth) and NATS-Bench topology."""

import bz2
import collections
import os
import pickle

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.benchmarks.convert.restricted import load
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")
SEEDS = {"cifar10-valid": (777, 888), "cifar10": (777,), "cifar100": (777, 888, 999), "ImageNet16-120": (777,)}
SPLITS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def accuracy(index, epochs, dataset, split, seed, epoch):
    """A number in percent that tells all of these apart."""
    rng = np.random.default_rng([index, epochs, *dataset.encode(), *split.encode(), seed, epoch])
    return float(rng.uniform(10, 95))


def result(index, epochs, dataset, seed):
    last = range(epochs)
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc5es": None,
        "params": 0.5 + index / 1000,
        "flop": 15.646,
        "train_acc1es": collections.OrderedDict((e, accuracy(index, epochs, dataset, "train", seed, e)) for e in last),
        "train_losses": dict.fromkeys(last, 1.0),
        "train_times": dict.fromkeys(last, 2.0),
        "seed": seed,
        "epochs": epochs,
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "latency": [0.01, np.float64(0.03)],
        "eval_names": list(SPLITS[dataset]),
        "eval_times": {},
        "eval_losses": {},
        "eval_acc1es": {
            f"{split}@{e}": accuracy(index, epochs, dataset, split, seed, e) for split in SPLITS[dataset] for e in last
        },
    }


def state(index, epochs):
    return {
        "arch_index": index,
        "arch_str": str(SPACE.from_index(index)),
        "clear_net_done": True,
        "dataset_seed": {dataset: list(seeds) for dataset, seeds in SEEDS.items()},
        "all_results": {
            (dataset, seed): result(index, epochs, dataset, seed) for dataset, seeds in SEEDS.items() for seed in seeds
        },
    }


def budgets(index, names):
    return collections.OrderedDict((name, state(index, epochs)) for name, epochs in names.items())


def everything(names):
    return {
        "meta_archs": [str(SPACE.from_index(i)) for i in range(15625)],
        "total_archs": 15625,
        "arch2infos": {i: budgets(i, names) for i in (0, 7, 9000)},
        "evaluated_indexes": {0, 7, 9000},
    }


def write_folder(tmp_path):
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    for i in (0, 7, 9000):
        (folder / f"{i:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(budgets(i, {"12": 12, "200": 200}))))
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": []})))
    return folder


def write_nats(tmp_path):
    path = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps(everything({"12": 12, "200": 200}))))
    return path


def write_old(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(everything({"less": 12, "full": 200}), path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "file", "pth", "old pth"])
def test_every_official_form_gives_the_same_numbers(tmp_path, form):
    source = {
        "folder": write_folder,
        "file": write_nats,
        "pth": lambda p: write_old(p, True),
        "old pth": lambda p: write_old(p, False),
    }[form](tmp_path)
    out = convert("nasbench201" if "pth" in form else "nats", source, tmp_path / "t.arrow")
    archs = [SPACE.from_index(i) for i in (0, 7, 9000)]
    for dataset, trained, validation, test in (
        ("cifar10", "cifar10-valid", ("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
        ("cifar100", "cifar100", ("cifar100", "x-valid"), ("cifar100", "x-test")),
        ("ImageNet16-120", "ImageNet16-120", ("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
    ):
        table = Benchmark.open(out, space="nasbench201", dataset=dataset)
        assert len(table) == 3
        for epochs in (12, 200):
            for metric, (official, split) in (("validation_accuracy", validation), ("test_accuracy", test)):
                expected = (
                    np.array(
                        [
                            [accuracy(i, epochs, official, split, seed, epochs - 1) for seed in SEEDS[official]]
                            for i in (0, 7, 9000)
                        ]
                    )
                    / 100
                )
                np.testing.assert_allclose(table.seed_accuracies(archs, metric, epochs), expected, rtol=1e-12)
                np.testing.assert_allclose(table.accuracies(archs, metric, epochs), expected.mean(1), rtol=1e-12)
            np.testing.assert_allclose(table.training_time(archs, epochs), 2.0 * epochs)
            train = np.array(
                [
                    [accuracy(i, epochs, trained, "train", seed, epochs - 1) for seed in SEEDS[trained]]
                    for i in (0, 7, 9000)
                ]
            )
            np.testing.assert_allclose(table.accuracies(archs, "train_accuracy", epochs), train.mean(1) / 100)
        assert table.params(archs).tolist() == [500000, 507000, 9500000]
        assert table.macs(archs).tolist() == [15646000] * 3
        np.testing.assert_allclose(table.values("official_latency_ms@200/seeds", archs)[:, 0], 20.0)
    assert len(table.sha256) == 64


def test_learning_curves_on_request(tmp_path):
    out = convert("nats", write_folder(tmp_path), tmp_path / "t.arrow", curves=True)
    table = Benchmark.open(out, dataset="cifar100")
    arch = SPACE.from_index(7)
    expected = [
        np.mean([accuracy(7, 200, "cifar100", "x-test", seed, epoch) for seed in SEEDS["cifar100"]]) / 100
        for epoch in range(200)
    ]
    np.testing.assert_allclose(table.curves([arch])[0], expected, rtol=1e-6)
    assert table.curves([arch], "validation_accuracy").shape == (1, 200)


class Hostile:
    """Runs a command when a careless program unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("form", ["folder", "file", "old pth", "pth"])
def test_hostile_pickles_are_never_run(tmp_path, form, protocol):
    mark, out = tmp_path / "owned", tmp_path / "t.arrow"
    payload = pickle.dumps({"12": Hostile(mark)}, protocol)
    if form == "folder":
        source = tmp_path / "folder"
        source.mkdir()
        (source / "000000.pickle.pbz2").write_bytes(bz2.compress(payload))
    elif form == "file":
        source = tmp_path / "evil.pickle.pbz2"
        source.write_bytes(bz2.compress(payload))
    elif form == "old pth":
        source = tmp_path / "evil.pth"
        head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
        source.write_bytes(b"".join(head) + payload)
    else:
        import zipfile

        source = tmp_path / "evil.pth"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("archive/data.pkl", payload)
    with pytest.raises(BenchmarkError, match="could run code"):
        convert("nasbench201" if source.suffix == ".pth" else "nats", source, out)
    assert not mark.exists()
    assert not out.exists()
    pickle.loads(payload)  # the file was really hostile
    assert mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval",
        "builtins.getattr",
        "os.system",
        "numpy.load",
        "functools.partial",
        "torch._utils._rebuild_tensor_v2",
        "numpy.core.multiarray.fromfile",
        "pickle.loads",
    ],
)
def test_names_outside_the_list_are_refused(name):
    module, attribute = name.rsplit(".", 1)
    with pytest.raises(BenchmarkError, match="could run code"):
        load(b"c" + module.encode() + b"\n" + attribute.encode() + b"\n.", "x")


def test_numpy_numbers_and_arrays_are_read():
    value = {"a": np.float64(1.5), "b": np.arange(4.0), "c": {1, 2}, "d": collections.OrderedDict(x=[1])}
    found = load(pickle.dumps(value), "x")
    assert found["a"] == 1.5
    assert found["b"].tolist() == [0, 1, 2, 3]
    assert (found["c"], found["d"]) == ({1, 2}, {"x": [1]})


def test_a_file_that_would_not_fit_is_refused_before_it_is_read(tmp_path):
    source = write_nats(tmp_path)
    with pytest.raises(BenchmarkError, match=r"NATS-tss-v1_0-3ffb9-simple.*--memory-gb"):
        convert("nats", source, tmp_path / "t.arrow", memory_gb=1e-6)


def test_other_files_are_refused(tmp_path):
    folder = write_folder(tmp_path)
    first = folder / "000000.pickle.pbz2"
    whole = first.read_bytes()
    for content, message in (
        (whole[:100], "damaged, incomplete or far too large"),
        (b"text", "damaged, incomplete or far too large"),
        (bz2.compress(b"not a pickle"), "damaged or incomplete"),
        (bz2.compress(pickle.dumps([1, 2])), "does not have the layout"),
        (bz2.compress(pickle.dumps(budgets(7, {"12": 12}))), "architecture 0 is"),
    ):
        first.write_bytes(content)
        with pytest.raises(BenchmarkError, match=message):
            convert("nats", folder, tmp_path / "t.arrow")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BenchmarkError, match="holds no files like"):
        convert("nats", empty, tmp_path / "t.arrow")
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(pickle.dumps(5))
    with pytest.raises(BenchmarkError, match=r"torch\.save"):
        convert("nasbench201", wrong, tmp_path / "t.arrow")
    assert not (tmp_path / "t.arrow").exists()
