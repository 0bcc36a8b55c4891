"""NAS-Bench-360's signals and fields: made-up arrays of the official shapes, read, and a super-net trained on each."""

import numpy as np
import pytest
import torch

from nas_lightning.data.find import make_task
from nas_lightning.data.images import DataError
from nas_lightning.data.nasbench360 import DarcyFlow, NinaPro
from tests.helpers.commands import command

TARGETS = {"ninapro": "NinaPro", "darcy_flow": "DarcyFlow"}


def write(folder, name, items=64):
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for part, n in (("train", items), ("test", items // 2)):
        if name == "ninapro":
            y = np.arange(n) % 18
            x = rng.standard_normal((n, 52, 16)) + y[:, None, None] / 4
        else:
            x = rng.choice([3.0, 12.0], (n, 1, 85, 85))
            y = 1 / x[:, 0]
        np.save(folder / f"x_{part}.npy", x)
        np.save(folder / f"y_{part}.npy", y)
    return folder


def task_of(folder, name):
    section = {"name": name, "_target_": f"nas_lightning.data.nasbench360.{TARGETS[name]}", "settings": {}}
    return make_task(section | {"root": str(folder)}, 16, 0.5, 0)


def test_batches_of_arrays_are_cut_as_those_of_images(tmp_path):
    task = task_of(write(tmp_path, "ninapro"), "ninapro")
    first, second = task.evaluation_batches(8), task.evaluation_batches(8, n=17, skip=3)
    assert [len(y) for _, y in first] == [8] * 4
    assert [len(y) for _, y in second] == [8] * 2
    whole = torch.cat([y for _, y in first])
    assert torch.equal(torch.cat([y for _, y in second]), whole[3:19])
    with pytest.raises(DataError, match="skip=-1 is negative"):
        task.evaluation_batches(8, skip=-1)
    with pytest.raises(DataError, match="do not fill one evaluation batch of 99"):
        task.evaluation_batches(99)


def test_signals(tmp_path):
    task = task_of(write(tmp_path, "ninapro"), "ninapro")
    assert (task.num_outputs, task.in_channels, task.image_size) == (18, 1, 29)  # 29 * 29 points are about 52 * 16
    inputs, targets = task.loader().batch(0)
    assert inputs.shape == (16, 1, 52, 16)
    assert targets.dtype == torch.int64
    outputs = torch.nn.functional.one_hot(targets, 18) * 20.0
    assert NinaPro.sums(outputs, targets)[0] == 16
    assert NinaPro.loss(outputs, targets) < 1e-6


def test_fields(tmp_path):
    task = task_of(write(tmp_path, "darcy_flow"), "darcy_flow")
    assert (task.num_outputs, task.in_channels, task.image_size) == (85 * 85, 1, 88)
    inputs, targets = task.loader().batch(0)
    assert inputs.shape == (16, 1, 88, 88)
    assert inputs[..., 87].equal(inputs[..., 84])  # repeated, so that it halves twice
    quality, minus_error = DarcyFlow.sums(0.9 * targets, targets)
    assert quality / 16 == pytest.approx(0.9, abs=1e-5)  # as NAS-Bench-360's table has it
    assert minus_error / 16 == pytest.approx(-0.1, abs=1e-5)
    assert DarcyFlow.loss(torch.zeros_like(targets), targets) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "x_test.npy").unlink(), "x_test.npy is missing"),
        (lambda folder: (folder / "x_test.npy").write_bytes(b"no"), "is no .npy array"),
        (lambda folder: np.save(folder / "y_train.npy", np.full(64, 0.5)), "holds no classes"),
        (lambda folder: np.save(folder / "x_train.npy", np.zeros((64, 52))), r"expected \[N, H, W\]"),
        (lambda folder: np.save(folder / "x_train.npy", np.full((64, 52, 16), np.nan)), "finite numbers"),
    ],
)
def test_other_arrays_are_one_sentence(tmp_path, change, said):
    folder = write(tmp_path, "ninapro")
    change(folder)
    with pytest.raises(DataError, match=said):
        task_of(folder, "ninapro").setup()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_super_net_trains_on_it(tmp_path, name):
    write(tmp_path / "data", name)
    small = [
        "plan.mapping.channels=2",
        "plan.mapping.layers=1",
        "plan.protocol.epochs=1",
        "plan.protocol.batch_size=16",
    ]
    words = [f"data={name}", f"data.root={tmp_path / 'data'}", "benchmark=none", "trainer=cpu", *small]
    words += ["evaluation.architectures=random6_seed0", "evaluation.batch_size=16", f"runs={tmp_path / 'runs'}"]
    done = command(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "runs").rglob("ranking.parquet"))


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (NinaPro, {"y_train": np.array([0, 1, 2**40] * 4)}, "count the classes from 0"),
        (NinaPro, {"x_test": np.zeros((6, 1, 20, 16))}, "bring them to one"),
        (NinaPro, {"x_train": np.full((12, 1, 52, 16), 1e300)}, "no array of finite numbers"),
        (NinaPro, {"x_train": np.array(3.0)}, "no array of finite numbers"),
        (DarcyFlow, {"y_train": np.zeros(12)}, "give one field for each input"),
        (DarcyFlow, {"y_test": np.ones((6, 7, 7))}, "give one size"),
    ],
)
def test_odd_arrays_are_one_sentence(tmp_path, kind, changes, said):
    side = (1, 52, 16) if kind is NinaPro else (20, 20)
    value = {"x_train": np.random.default_rng(0).normal(size=(12, *side)), "x_test": np.ones((6, *side))}
    value |= {"y_train": np.arange(12) % 3, "y_test": np.arange(6) % 3}
    if kind is DarcyFlow:
        value |= {"y_train": np.ones((12, 5, 5)), "y_test": np.ones((6, 5, 5))}
    for name, array in {**value, **changes}.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(DataError, match=said) as refusal:
        kind(root=tmp_path).read()
    assert "\n" not in str(refusal.value)
