"""NAS-Bench-360's signals and fields: made-up arrays of the official shapes, read, and a super-net trained on each."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.find import make_task
from nas_lightning.data.images import DataError
from nas_lightning.data.nasbench360 import DarcyFlow, NinaPro, _padded
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
    folder = write(tmp_path, "darcy_flow")
    task = task_of(folder, "darcy_flow")
    assert (task.num_outputs, task.in_channels, task.image_size) == (1, 3, 85)
    inputs, targets = task.loader().batch(0)
    assert inputs.shape == (16, 3, 85, 85)
    assert targets.shape == (16, 1, 85, 85)
    assert inputs[0, 1, [0, 42, 84], 7].tolist() == inputs[3, 2, 7, [0, 42, 84]].tolist() == [0, 0.5, 1]  # coordinates
    quality, minus_error = DarcyFlow.sums(0.9 * targets, targets)
    assert quality / 16 == pytest.approx(0.9, abs=1e-5)  # as NAS-Bench-360's table has it
    assert minus_error / 16 == pytest.approx(-0.1, abs=1e-5)
    assert DarcyFlow.loss(torch.zeros_like(targets), targets) == pytest.approx(1)
    # One scale for all fields, which cancels in the error: of two fields, one is wrong by a half, one not at all.
    raw = torch.from_numpy(np.load(folder / "y_train.npy")).float()
    train = torch.cat([y for split in ("train", "validation") for _, y in task.evaluation_batches(16, split=split)])
    assert train.square().mean() == pytest.approx(1, abs=1e-5)
    ratio = train[0, 0] / (1 / raw.square().mean().sqrt())
    assert any(torch.allclose(ratio, field, atol=1e-6) for field in raw)
    guess = torch.cat([targets[:1], 0.5 * targets[1:2]])
    assert DarcyFlow.loss(guess, targets[:2]) == pytest.approx(0.25)


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


SMALL = [
    "plan.mapping.channels=2",
    "plan.mapping.layers=1",
    "plan.protocol.epochs=1",
    "plan.protocol.batch_size=16",
    "plan.protocol.learning_rate=0.01",
    "plan.protocol.train_portion=0.5",
]
SPACES = {"ninapro": "nasbench201", "darcy_flow": "nasbench201_dense"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A super-net's run folder, by task; each is trained once."""
    folder, done = tmp_path_factory.mktemp("nasbench360"), {}

    def run(name):
        if name not in done:
            words = [f"space={SPACES[name]}", f"data={name}", f"data.root={folder / name}"]
            write(folder / name, name, items=48)
            words += ["benchmark=none", "trainer=cpu", *SMALL, f"runs={folder / 'runs'}"]
            result = command(*words, "evaluation.architectures=random6_seed0", "evaluation.batch_size=16")
            assert result.returncode == 0, result.stdout + result.stderr
            done[name] = words, next((folder / "runs").glob(f"*{name}*/ranking.parquet")).parent
        return done[name]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("name", "score"), [("ninapro", "accuracy"), ("darcy_flow", "one_minus_relative_l2")])
def test_a_super_net_trains_on_it_and_ranks(trained, name, score):
    _, run = trained(name)
    ranking = pq.read_table(run / "ranking.parquet")
    values = ranking[f"supernet_{score}"].to_numpy()
    assert len(set(values.tolist())) > 1
    loss = "relative_l2" if name == "darcy_flow" else "cross_entropy"
    other = ranking[f"supernet_negative_{loss}"].to_numpy()
    assert np.isfinite(other).all()
    if name == "darcy_flow":
        assert np.allclose(values, 1 + other, atol=1e-6)  # ranked by what is learned


@pytest.mark.slow
def test_a_super_net_of_fields_is_evaluated_anew_and_has_a_table(trained, tmp_path):
    words, run = trained("darcy_flow")
    again = command(
        *(word for word in words if word not in SMALL),
        "mode=evaluate",
        f"checkpoint={run}",
        "evaluation.architectures=random6_seed0",
        "evaluation.batch_size=16",
        f"runs={tmp_path}",
    )
    assert again.returncode == 0, again.stdout + again.stderr
    (ranking,) = tmp_path.rglob("ranking.parquet")
    scores = [
        pq.read_table(path)["supernet_one_minus_relative_l2"].to_pylist() for path in (run / "ranking.parquet", ranking)
    ]
    assert scores[0] == scores[1]
    made = command(
        *words,
        "mode=table",
        "table.architectures=3",
        "table.seeds=2",
        "table.workers=1",
        f"table.out={tmp_path / 'made.parquet'}",
        f"runs={tmp_path}",
    )
    assert made.returncode == 0, made.stdout + made.stderr
    table = Benchmark.open(tmp_path / "made.parquet", space="nasbench201_dense")
    assert len(table) == 3
    assert np.isfinite(table.accuracies(table.architectures())).all()


@pytest.mark.slow
def test_space_and_task_of_fields_need_each_other(tmp_path):
    write(tmp_path, "darcy_flow", items=32)
    for words, said in (
        (["space=nasbench201", "data=darcy_flow"], "or space=nasbench201_dense for these fields"),
        (["space=nasbench201_dense", "data=digits"], "say data=darcy_flow"),
    ):
        refused = command(*words, f"data.root={tmp_path}", "benchmark=none", "trainer=cpu", f"runs={tmp_path / 'runs'}")
        assert refused.returncode == 2
        assert said in refused.stderr


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (NinaPro, {"y_train": np.array([0, 1, 2**40] * 4)}, "count the classes from 0"),
        (NinaPro, {"x_test": np.zeros((6, 1, 20, 16))}, "bring them to one"),
        (NinaPro, {"x_train": np.full((12, 1, 52, 16), 1e300)}, "no array of finite numbers"),
        (NinaPro, {"x_train": np.array(3.0)}, "no array of finite numbers"),
        (DarcyFlow, {"y_train": np.zeros(12)}, r"expected \[N, H, W\]"),
        (DarcyFlow, {"y_test": np.ones((6, 7, 7))}, "give one size"),
    ],
)
def test_odd_arrays_are_one_sentence(tmp_path, kind, changes, said):
    side = (1, 52, 16) if kind is NinaPro else (20, 20)
    value = {"x_train": np.random.default_rng(0).normal(size=(12, *side)), "x_test": np.ones((6, *side))}
    value |= {"y_train": np.arange(12) % 3, "y_test": np.arange(6) % 3}
    if kind is DarcyFlow:
        value |= {"y_train": np.ones((12, 20, 20)), "y_test": np.ones((6, 20, 20))}
    for name, array in {**value, **changes}.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(DataError, match=said) as refusal:
        kind(root=tmp_path).read()
    assert "\n" not in str(refusal.value)


def test_sides_are_filled_up_to_multiples_of_four_by_their_last_points():
    fields = torch.arange(30.0).view(1, 1, 5, 6)
    padded = _padded(fields)
    assert padded.shape == (1, 1, 8, 8)
    assert torch.equal(padded[..., :5, :6], fields)
    assert padded[0, 0, 7].tolist() == [24, 25, 26, 27, 28, 29, 29, 29]
    assert torch.equal(_padded(padded), padded)
