import subprocess
import sys

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError, Column, write_table
from nas_lightning.spaces import ArchitectureError, NB101Architecture, NB201Architecture, get_space


def isomorphic_form(space, arch, rng):
    """Another encoding of the same class."""
    if space.name == "nasbench201":
        return space.members(arch)[-1]
    if space.name == "darts_nds":
        return type(arch)(tuple(node[::-1] for node in arch.normal), arch.reduce)
    if arch.n_vertices < 7:
        return space.decode(space.encode(arch))
    matrix, order = arch.matrix, list(range(7))
    for v in range(1, 5):  # swap the first two neighbours in order that are not joined by an edge
        if not matrix[v, v + 1]:
            order[v], order[v + 1] = order[v + 1], order[v]
            break
    operations = [(*arch.operations,)[v - 1] for v in order[1:-1]]
    return NB101Architecture.from_matrix(matrix[np.ix_(order, order)], operations)


def test_numbers_come_back_for_any_isomorphic_form(small):
    space, archs, runs, table = small
    rng = np.random.default_rng(1)
    others = [isomorphic_form(space, arch, rng) for arch in archs]
    assert others != archs
    mean = np.nanmean(runs, 1)
    for forms in (archs, others, [str(arch) for arch in others]):
        np.testing.assert_allclose(table.accuracies(forms), mean, rtol=1e-15)
        assert table.params(forms).tolist() == list(range(100, 140))
        np.testing.assert_array_equal(table.seed_accuracies(forms), runs)
    for row in (0, 5, 39):
        assert table.query(others[row]).index == row
        assert table.query(others[row])["params"] == 100 + row
        assert table.query(str(others[row])).accuracy == pytest.approx(mean[row])
        assert space.key(table.query(archs[row]).architecture) == space.key(archs[row])
    assert table.architectures() == archs
    assert table.keys == [space.key(arch) for arch in archs]
    assert len(table) == 40


def test_architectures_that_are_absent(small):
    space, archs, _, table = small
    rng = np.random.default_rng(2)
    known = {space.key(arch) for arch in archs}
    stranger = next(a for a in iter(lambda: space.sample(rng), None) if space.key(a) not in known)
    assert not table.has(stranger)
    assert table.has(archs[3])
    values = table.accuracies([archs[3], stranger])
    assert np.isnan(values).tolist() == [False, True]
    assert np.isnan(table.params([stranger, archs[0]])).tolist() == [True, False]
    assert np.isnan(table.seed_accuracies([stranger])).all()
    with pytest.raises(BenchmarkError, match="no measurement"):
        table.query(stranger)
    with pytest.raises(ArchitectureError):
        table.query("nonsense")


def test_metrics_and_epochs(small):
    _, archs, runs, table = small
    assert table.default_metric == "test_accuracy"
    assert table.seed_metric == "test_accuracy"
    assert table.epochs("validation_accuracy") == (5, 20)
    np.testing.assert_array_equal(table.accuracies(archs, "validation_accuracy"), runs[:, 1])
    np.testing.assert_array_equal(table.accuracies(archs, "validation_accuracy", epochs=5), runs[:, 0])
    np.testing.assert_array_equal(table.training_time(archs, epochs=20), np.arange(40.0))
    np.testing.assert_array_equal(table.values("validation_accuracy@5"), runs[:, 0])
    for ask in (
        lambda: table.accuracies(archs, "validation_accuracy", epochs=7),
        lambda: table.accuracies(archs, "x"),
        lambda: table.values("y"),
        lambda: table.training_time(archs, epochs=3),
        lambda: table.macs(archs),
    ):
        with pytest.raises(BenchmarkError):
            ask()
    assert table.seed_accuracies(archs, "validation_accuracy") is None
    assert table.curves(archs) is None


def test_best_rank_and_sample(small):
    _, archs, runs, table = small
    mean = np.nanmean(runs, 1)
    order = np.argsort(-mean)
    assert table.best().index == order[0]
    assert table.best().accuracy == pytest.approx(mean.max())
    assert [table.rank_of(archs[i]) for i in order[:5]] == [1, 2, 3, 4, 5]
    assert table.rank_of(archs[order[-1]]) == 40
    assert table.best("validation_accuracy", 5).index == int(np.argmax(runs[:, 0]))
    first = table.sample(10, seed=3)
    assert first == table.sample(10, seed=3)
    assert first != table.sample(10, seed=4)
    assert len(set(first)) == 10
    assert set(table.sample(40, seed=0)) == set(archs)
    with pytest.raises(BenchmarkError, match="41"):
        table.sample(41, seed=0)


def test_row_as_dict_holds_every_column(small):
    _, archs, runs, table = small
    row = table.query(archs[5]).as_dict()
    assert row["architecture"] == str(archs[5])
    assert row["params"] == 105
    assert set(row) == {
        "architecture",
        "test_accuracy/seeds",
        "validation_accuracy@5",
        "validation_accuracy@20",
        "params",
        "train_seconds@20",
    }
    assert row["test_accuracy/seeds"][:2] == runs[5, :2].tolist()


def test_space_and_dataset_are_checked(small):
    space, _, _, table = small
    other = "nasbench201" if space.name != "nasbench201" else "nasbench101"
    with pytest.raises(BenchmarkError, match=f"a table of {space.name}, not of {other}"):
        Benchmark.open(table.path, space=other)
    with pytest.raises(BenchmarkError, match="no data set cifar10; it has digits"):
        Benchmark.open(table.path, dataset="cifar10")
    assert Benchmark.open(table.path, space=space.name, dataset="digits").dataset == "digits"


def test_asking_for_another_spaces_architecture(small):
    space, _, _, table = small
    stranger = NB201Architecture((1,) * 6) if space.name != "nasbench201" else NB101Architecture(2, 1, ())
    with pytest.raises(BenchmarkError, match="another space"):
        table.accuracies([stranger])
    with pytest.raises(BenchmarkError, match="another space"):
        table.query(stranger)


def test_own_row_comes_before_an_isomorphic_one(tmp_path):
    """NAS-Bench-201 measured isomorphic cells apart: each keeps its own number."""
    space = get_space("nasbench201")
    members = space.members(NB201Architecture((1, 3, 0, 0, 0, 2)))
    assert len(members) >= 3
    path = write_table(
        tmp_path / "t.arrow",
        space="nasbench201",
        dataset="cifar10",
        architectures=members[:2],
        columns={"test_accuracy": [0.5, 0.6]},
    )
    table = Benchmark.open(path)
    assert table.accuracies(members[:3]).tolist() == [0.5, 0.6, 0.5]
    codes = np.array([arch.code for arch in members[:3]])
    assert table.find(codes).tolist() == [0, 1, 0]


def test_several_datasets_in_one_table(tmp_path):
    archs = [NB201Architecture((op,) * 6) for op in range(3)]
    columns = [
        Column([0.1, 0.2, 0.3], "test_accuracy", "cifar10", 12),
        Column([0.4, 0.5, 0.6], "test_accuracy", "cifar10", 200),
        Column([0.7, 0.8, 0.9], "test_accuracy", "imagenet16_120", 200),
        Column([2.0, 3.0, 4.0], "train_seconds_per_epoch", "cifar10"),
        Column([7, 8, 9], "serial"),
    ]
    path = write_table(tmp_path / "t.parquet", space="nasbench201", dataset=None, architectures=archs, columns=columns)
    table = Benchmark.open(path)
    assert (table.dataset, table.datasets) == ("cifar10", ("cifar10", "imagenet16_120"))
    assert table.accuracies(archs).tolist() == [0.4, 0.5, 0.6]
    assert table.accuracies(archs, epochs=12).tolist() == [0.1, 0.2, 0.3]
    assert table.training_time(archs, epochs=12).tolist() == [24, 36, 48]
    assert table.training_time(archs).tolist() == [400, 600, 800]
    other = Benchmark.open(path, dataset="ImageNet16-120")
    assert other.accuracies(archs).tolist() == [0.7, 0.8, 0.9]
    assert table.values("serial").tolist() == other.values("serial").tolist() == [7, 8, 9]
    with pytest.raises(BenchmarkError, match="training times"):
        other.training_time(archs)


def test_a_table_without_accuracies_says_so(tmp_path):
    archs = [NB201Architecture((1,) * 6)]
    path = write_table(
        tmp_path / "t.arrow",
        space="nasbench201",
        dataset="cifar10",
        architectures=archs,
        columns={"edgegpu_latency_ms": [2.5]},
    )
    table = Benchmark.open(path)
    assert table.values("edgegpu_latency_ms", archs).tolist() == [2.5]
    with pytest.raises(BenchmarkError, match="holds no accuracies"):
        table.accuracies(archs)


def test_mixed_settings_are_not_ranked_silently(tmp_path):
    space, rng = get_space("darts_nds"), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(3)]
    path = write_table(
        tmp_path / "t.arrow",
        space="darts_nds",
        dataset="cifar10",
        architectures=[*archs, archs[0]],
        columns=[
            Column([0.1, 0.2, 0.3, 0.4], "test_accuracy", "cifar10"),
            Column([16.0, 16, 32, 32], "width", unit="setting"),
        ],
        metadata={"varying": ["width"]},
    )
    with pytest.raises(BenchmarkError, match="different width"):
        Benchmark.open(path)
    wide = Benchmark.open(path, where={"width": 32})
    assert len(wide) == 2
    np.testing.assert_array_equal(wide.accuracies(archs), [0.4, np.nan, 0.3])
    assert wide.architectures() == [archs[2], archs[0]]
    assert wide.accuracies(wide.architectures()).tolist() == [0.3, 0.4]
    assert wide.best().accuracy == 0.4
    assert wide.rank_of(archs[2]) == 2
    assert set(wide.sample(2, 0)) == {archs[0], archs[2]}
    with pytest.raises(BenchmarkError, match="no row"):
        Benchmark.open(path, where={"width": 64})


def test_tables_need_no_torch():
    code = (
        "import sys, nas_lightning.benchmarks, nas_lightning.benchmarks.__main__\n"
        "heavy = {'torch', 'pytorch_lightning', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_module_hash_is_looked_up(tmp_path):
    space, rng = get_space("nasbench101"), np.random.default_rng(3)
    archs = list({space.key(a): a for a in (space.sample_unique(rng) for _ in range(20))}.values())
    path = write_table(
        tmp_path / "table.arrow",
        space="nasbench101",
        dataset="cifar10",
        architectures=archs,
        columns={"test_accuracy": np.linspace(0.5, 0.9, len(archs))},
    )
    table = Benchmark.open(path)
    assert table.row(space.key(archs[4])) == 4
    assert table.query(space.key(archs[7])).architecture == archs[7]
    with pytest.raises(BenchmarkError, match=r"no architecture with the key 0{32}"):
        table.row("0" * 32)
    (tmp_path / "hashes.txt").write_text("\n".join(space.key(arch) for arch in archs[:3]))
    from nas_lightning.ranking.architecture_sets import architecture_set

    assert architecture_set(tmp_path / "hashes.txt", space, table) == archs[:3]
    with pytest.raises(ArchitectureError, match="module hash"):
        architecture_set(tmp_path / "hashes.txt", space)
