"""The collected tables of published numbers, where they are present: import, fidelity, and known optima."""

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks import __main__ as command
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.runs.quality import PERPLEXITY
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.spaces import NB201Architecture, get_space
from tests.helpers.recipes import LSTM


@pytest.mark.parametrize(("dataset", "best"), [("cifar10", 94.373), ("cifar100", 73.513), ("imagenet16_120", 47.311)])
def test_nasbench201(shared, dataset, best):
    path = shared("nasbench201.parquet")
    table = Benchmark.open(path, space="nasbench201", dataset=dataset)
    source = pq.read_table(path)
    short = {"cifar10": "c10", "cifar100": "c100", "imagenet16_120": "in16"}[dataset]
    assert len(table) == 15625
    assert round(100 * table.best().accuracy, 3) == pytest.approx(best, abs=2e-3)
    archs = table.architectures()
    assert [str(arch) for arch in archs] == source["arch_str"].to_pylist()
    for metric, epochs, column in (
        ("test_accuracy", 200, "test200_mean"),
        ("validation_accuracy", 200, "val200_mean"),
        ("test_accuracy", 12, "test12"),
        ("validation_accuracy", 12, "val12"),
    ):
        published = source[f"{short}_{column}"].to_numpy()
        np.testing.assert_allclose(100 * table.accuracies(archs, metric, epochs), published, rtol=1e-12)
    seeds = table.seed_accuracies(archs)
    assert seeds.shape == (15625, 3)
    assert table.seed_metric == "validation_accuracy"
    known = np.isfinite(seeds).sum(1)
    assert (known.min(), known.max()) == (2, 3)
    np.testing.assert_allclose(np.nanmean(seeds, 1), table.accuracies(archs, "validation_accuracy"), atol=2e-6)
    assert (table.params(archs) == source[f"{short}_params"].to_numpy()).all()
    assert (table.macs(archs) == source[f"{short}_macs"].to_numpy()).all()


def test_nasbench201_training_time(shared):
    table = Benchmark.open(shared("nasbench201.parquet"))
    archs = table.sample(20, 0)
    np.testing.assert_allclose(table.training_time(archs, 12) / 12, table.values("train_seconds_per_epoch", archs))
    np.testing.assert_allclose(table.training_time(archs, 200), 200 * table.training_time(archs, 1), rtol=1e-3)
    assert round(100 * table.best("validation_accuracy").accuracy, 3) == pytest.approx(91.607, abs=2e-3)


def test_nasbench201_expected_best_of_random_draws(shared):
    """Expected test accuracy of the best of n (by test): an order statistic of the column."""
    values = np.sort(Benchmark.open(shared("nasbench201.parquet")).metric_values())
    assert 100 * values.mean() == pytest.approx(87.06, abs=0.01)
    for n, expected in ((5, 92.64), (10, 93.10), (100, 93.85)):
        ranks = np.arange(len(values) + 1) / len(values)
        assert 100 * (values * np.diff(ranks**n)).sum() == pytest.approx(expected, abs=0.02)


def test_nasbench201_latencies(shared):
    table = Benchmark.open(shared("nasbench201_hw.parquet"), dataset="cifar100")
    source = pq.read_table(shared("nasbench201_hw.parquet"))
    arch = get_space("nasbench201").from_index(77)
    row = source["index"].to_pylist().index(77)
    assert table.values("edgegpu_latency_ms", [arch])[0] == pytest.approx(source["c100_edgegpu_latency"][row].as_py())
    assert np.nanmin(table.values("edgetpu_latency_ms")) > 0


def test_nasbench101(shared):
    table = Benchmark.open(shared("nasbench101.parquet"))
    source = pq.read_table(shared("nasbench101.parquet"))
    assert len(table) == 423624
    assert round(100 * table.best().accuracy, 3) == 94.318
    rng, space = np.random.default_rng(0), get_space("nasbench101")
    archs = [space.sample(rng) for _ in range(500)]  # raw cells: each one must be found
    rows = table.rows(archs)
    assert (rows >= 0).all()
    assert [table.encoding.architecture(row) for row in rows] == [space.canonical(arch) for arch in archs]
    np.testing.assert_array_equal(table.accuracies(archs), source["test_acc_108_mean3"].to_numpy()[rows])
    assert (table.params(archs) == source["params"].to_numpy()[rows]).all()
    assert table.seed_accuracies(archs) is None
    hashes = pq.read_table(shared("nasbench101_hashes.parquet"))["module_hash"]
    assert [table.keys[row] for row in rows[:50]] == [hashes[int(row)].as_py().hex() for row in rows[:50]]
    assert [space.key(arch) for arch in archs[:50]] == [table.keys[row] for row in rows[:50]]


def test_nasbench101_validation(shared, tmp_path):
    shared("nasbench101.parquet")
    path = shared("nasbench101_val500.parquet")
    table, whole = Benchmark.open(path), Benchmark.open(shared("nasbench101.parquet"))
    assert len(table) == 292
    assert table.default_metric == "validation_accuracy"
    archs = table.architectures()
    assert np.corrcoef(table.accuracies(archs), whole.accuracies(archs))[0, 1] > 0.5
    source = pq.read_table(path)
    row = source["index"].to_pylist()[0]
    drawn = set(source.filter(pc.equal(source["index"], row))["val_acc_108_single"].to_pylist())
    assert table.query(whole.encoding.architecture(row)).accuracy == pytest.approx(np.mean(list(drawn)))
    alone = tmp_path / "nasbench101_val500.parquet"
    alone.write_bytes(path.read_bytes())
    with pytest.raises(BenchmarkError, match="put that file into"):
        convert("import", alone, tmp_path / "t.arrow")


def test_darts_random214(shared):
    table = Benchmark.open(shared("darts_random214_cifar10.parquet"), space="darts_nds", dataset="cifar10")
    source = pq.read_table(shared("darts_random214_cifar10.parquet"))
    archs = table.architectures()
    assert len(archs) == 214
    np.testing.assert_allclose(100 * table.accuracies(archs), source["test_acc_final600"].to_numpy(), rtol=1e-6)
    curves = table.curves(archs)
    assert curves.shape == (214, 600)
    np.testing.assert_allclose(curves[:, -1], table.accuracies(archs), rtol=1e-6)
    assert table.seed_accuracies(archs) is None
    assert table.epochs() == tuple(range(1, 601))


def test_a_shared_table_of_another_space_is_refused(shared, capsys):
    with pytest.raises(BenchmarkError, match="not of nasbench101"):
        Benchmark.open(shared("nasbench201.parquet"), space="nasbench101")
    with pytest.raises(BenchmarkError, match="not of nasbench201"):
        Benchmark.open(shared("transnasbench101_micro.parquet"), space="nasbench201")


def test_import_from_the_command_line(shared, tmp_path):
    out = tmp_path / "nasbench201.arrow"
    assert command.main(["convert", "import", str(shared("nasbench201.parquet")), str(out)]) == 0
    assert Benchmark.open("nasbench201", root=tmp_path).has(NB201Architecture((3,) * 6))


def test_nasbench_nlp(shared):
    """345 trainings of 265 cells; scores are negative losses, which read as perplexities."""
    path = shared("nasbench_nlp_wikitext2.parquet")
    table, space = Benchmark.open(path, space="nasbench_nlp", dataset="wikitext2"), get_space("nasbench_nlp")
    source = pq.read_table(path)
    assert len(table) == 265
    assert table.quality_of() == PERPLEXITY
    best = table.best("validation_score")
    assert best.architecture == space.parse(LSTM)
    assert PERPLEXITY.show(best.accuracy) == pytest.approx(96.49, abs=0.01)
    assert PERPLEXITY.show(best["test_score@50/seeds"][0]) == pytest.approx(91.91, abs=0.01)
    recipes = [space.parse(text) for text in source["recipe"].to_pylist()]
    several = max(set(recipes), key=recipes.count)
    rows = [i for i, recipe in enumerate(recipes) if recipe == several]
    assert len(rows) == 14
    runs = np.array([source["val_losses"][i].as_py() for i in rows])
    np.testing.assert_allclose(table.curves([several], "validation_score")[0], -runs.mean(0), rtol=1e-6)
    np.testing.assert_allclose(np.sort(table.seed_accuracies([several], "validation_score")[0]), np.sort(-runs[:, -1]))
    failed = {recipe for recipe, status in zip(recipes, source["status"].to_pylist(), strict=True) if status != "OK"}
    lost = [a for a in failed if np.isnan(table.accuracies([a])[0])]
    assert (len(failed), len(lost)) == (3, 2), "the third was trained again, to the end"
    assert table.epochs("validation_score") == tuple(range(1, 51))


def test_searches_of_nasbench_nlp_pay_by_the_epoch(shared):
    """Hyperband reads the curves; a search of whole trainings takes one of the 263 that ended."""
    settings = {"name": str(shared("nasbench_nlp_wikitext2.parquet")), "dataset": "wikitext2", "root": "."}
    objective = benchmark_objective(settings, "nasbench_nlp", "epochs")
    assert objective.quality == PERPLEXITY
    assert objective.fidelities.levels == tuple(range(1, 51))
    assert objective.space.size == 263
    for name, amount in (("hyperband", 500), ("regularized_evolution", 5000), ("local_search", 2000)):
        algorithm = make_algorithm(name, objective.space, objective.fidelities, 0)
        records = Search(algorithm, objective, Budget("epochs", amount)).run()
        assert sum(r.measurement.cost for r in records) == pytest.approx(amount, abs=50)
        assert max(r.measurement.value for r in records if r.trial.fidelity == 50) > -5.2
