"""Landscapes: closed forms on hand-made graphs, published counts on NAS-Bench-201, the space's own neighbours."""

import csv
import json
import os
import signal

import numpy as np
import pytest

from nas_lightning.analysis import __main__ as command
from nas_lightning.analysis import landscape as ls
from nas_lightning.analysis import landscape_command
from nas_lightning.analysis.landscape import basins
from nas_lightning.analysis.landscape_command import measure
from nas_lightning.analysis.neighbourhood import (
    Neighbourhood,
    listed_neighbourhood,
    neighbourhood,
    product_neighbourhood,
)
from nas_lightning.analysis.sampled import estimated_footprint
from nas_lightning.analysis.scores import correlogram
from nas_lightning.analysis.walks import ascend, optima_by_repeats, random_walks, walk_autocorrelation
from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.errors import UserError
from nas_lightning.spaces import get_space


def ring(n):
    """Every row has the one before and the one after as neighbours."""
    indices = np.stack([(np.arange(n) - 1) % n, (np.arange(n) + 1) % n], axis=1).astype(np.int32).ravel()
    return Neighbourhood(np.arange(0, 2 * n + 1, 2), indices, True, "ring")


def test_a_ring_by_hand():
    graph, fitness = ring(6), np.array([1.0, 5, 2, 2, 9, 3])
    assert ls.strict_maxima(graph, fitness).tolist() == [1, 4]
    assert ls.weak_maxima(graph, fitness).tolist() == [1, 4]
    found = ls.basins(graph, fitness)
    assert found.optimum.tolist() == [1, 1, 1, 4, 4, 4]
    assert found.steps.tolist() == [1, 0, 1, 1, 0, 1]
    assert graph.distances(4).tolist() == [2, 3, 2, 1, 0, 1]
    assert ls.neutral_networks(graph, fitness) == 1  # rows 2 and 3
    assert ls.neutral_networks(graph, fitness, tolerance=2) == 2  # and rows 5 and 0
    centred = fitness - fitness.mean()
    neighbours = np.roll(centred, 1)
    assert ls.autocorrelation(graph, fitness)[0] == pytest.approx((centred * neighbours).mean() / centred.var())


def test_a_plateau_is_a_weak_maximum_only():
    graph = ring(5)
    fitness = np.array([0.0, 1, 1, 0, 0.5])
    assert ls.strict_maxima(graph, fitness).tolist() == [4]
    assert ls.weak_maxima(graph, fitness).tolist() == [1, 2, 4]


def test_persistence_by_hand():
    early, late = np.arange(8.0), np.array([0, 1, 2, 3, 7, 6, 5, 4.0])
    assert ls.persistence([early, late], 25) == 0.0  # rows 6, 7 early; 4, 5 late
    assert ls.persistence([early, late], 50) == 1.0
    assert ls.persistence([early, late], 25, positive=False) == 1.0
    assert ls.persistence_area(np.ones(25)) == pytest.approx(0.24)


@pytest.mark.parametrize(
    ("dataset", "maxima", "rho", "basin"),
    [("cifar10", 17, 0.5600, 0.1919), ("cifar100", 23, 0.611, 0.749), ("imagenet16_120", 34, None, None)],
)
def test_nasbench201_exactly(open_shared, dataset, maxima, rho, basin):
    table = open_shared("nasbench201", dataset)
    table.architectures()
    found = measure(table, neighbourhood(table))
    assert len(found.maxima) == maxima
    if rho is not None:
        assert found.autocorrelation[0] == pytest.approx(rho, abs=5e-5 if dataset == "cifar10" else 5e-4)
        assert found.basin_of_best == pytest.approx(basin, abs=5e-5 if dataset == "cifar10" else 5e-4)
    if dataset == "cifar10":
        assert [table.domain.index(table.architectures()[row]) for row in found.maxima] == [
            1105, 2888, 5356, 6111, 6584, 6960, 8733, 10154, 10683, 11217, 11238, 11372, 11703, 12530, 13325, 13714,
            15000,
        ]  # fmt: skip
        assert found.mean_steps == pytest.approx(4.627, abs=5e-4)
        assert found.distance_correlation == pytest.approx(-0.2199, abs=5e-5)
        assert found.distance_rank_correlation == pytest.approx(-0.4144, abs=5e-5)
        assert found.neutral == 277


def test_noise_makes_optima(open_shared):
    table = open_shared("nasbench201", "cifar10")
    graph = neighbourhood(table)
    runs = table.seed_accuracies(table.architectures(), "validation_accuracy", 200)
    assert len(ls.strict_maxima(graph, table.metric_values("validation_accuracy", 200))) == 13
    assert len(ls.strict_maxima(graph, np.where(np.isnan(runs[:, 0]), np.nanmean(runs, axis=1), runs[:, 0]))) == 24


def test_product_neighbours_are_those_of_the_space(open_shared):
    table = open_shared("nasbench201", "cifar10")
    graph = neighbourhood(table)
    assert graph.complete
    for row in (0, 6111, 15624):
        own = graph.indices[graph.indptr[row] : graph.indptr[row + 1]]
        assert set(own.tolist()) == set(table.rows(table.domain.neighbours(table.architectures()[row])).tolist())


def test_nasbench101_neighbours_are_those_of_the_space(tmp_path):
    space, rng = get_space("nasbench101"), np.random.default_rng(0)
    start = [space.sample_unique(rng) for _ in range(6)] + [space.parse("0100:input,output"), space.parse(
        "010001000:input,conv3x3-bn-relu,output"
    )]  # fmt: skip
    cells = list(dict.fromkeys(other for cell in start for other in (cell, *space.neighbours(cell))))
    path = write_table(
        tmp_path / "t.arrow",
        space="nasbench101",
        dataset="d",
        architectures=cells,
        columns={"test_accuracy": rng.random(len(cells))},
    )
    table = Benchmark.open(path)
    fast, slow = neighbourhood(table), listed_neighbourhood(table)
    assert fast.degree.max() >= 20
    assert not fast.complete
    assert not slow.complete
    for row in range(len(cells)):
        assert set(fast.indices[fast.indptr[row] : fast.indptr[row + 1]].tolist()) == set(
            slow.indices[slow.indptr[row] : slow.indptr[row + 1]].tolist()
        )


def test_walks_estimate_the_exact_value(open_shared):
    table = open_shared("nasbench201", "cifar10")
    values, space, rng = table.metric_values(), table.domain, np.random.default_rng(0)

    def fitness(archs):
        return values[table.rows(archs)]

    rho = walk_autocorrelation(random_walks(space, fitness, rng, 60, 200), rng)
    assert rho.low < 0.56 < rho.high
    assert rho.high - rho.low < 0.3
    start = space.sample(rng)
    end, steps = ascend(space, fitness, start)
    assert steps == basins(neighbourhood(table), values).steps[table.row(start)]
    assert table.row(end) in set(ls.weak_maxima(neighbourhood(table), values).tolist())


def test_a_sample_of_a_space_is_estimated_with_intervals():
    """300 cells of an additive fitness, whose ρ(1) is known: one of six independent genes is redrawn at a step."""
    space, rng = get_space("nasbench201"), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(300)]
    gain = rng.normal(size=(6, 5))

    def fitness(some):
        return np.array([gain[range(6), space.encode(arch)].sum() for arch in some])

    everything = fitness([space.decode(np.unravel_index(i, (5,) * 6)) for i in range(15625)])
    graph = product_neighbourhood(space, np.stack(np.unravel_index(np.arange(15625), (5,) * 6), axis=1))
    exact = ls.autocorrelation(graph, everything)[0]
    values = fitness(archs)
    stages = {1: values + rng.normal(size=300), 9: values}
    found = estimated_footprint(space, archs, values, rng, by_epoch=stages, ascents=32, resamples=100)
    row = found.as_dict()
    assert row["surrogate_tau"] > 0.75
    assert row["rho_1"] == pytest.approx(exact, abs=0.1)
    for name, truth in (("mean", everything.mean()), ("std", everything.std()), ("rho_1", exact)):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"], name
        assert row[f"{name}_low"] - 0.05 < truth < row[f"{name}_high"] + 0.05, name
    assert row["persistence_positive_25"] == ls.persistence([stages[1], stages[9]], 25)
    assert row["persistence_negative_25_low"] < row["persistence_negative_25"] < row["persistence_negative_25_high"]
    assert sum(found.basin_shares.values()) == pytest.approx(1)
    assert row["basin_of_best"] <= max(found.basin_shares.values())
    with pytest.raises(UserError, match="needs 20 or more"):
        estimated_footprint(space, archs[:19], values[:19], rng)


@pytest.mark.slow
def test_the_command_estimates_what_a_table_only_samples(tmp_path, capsys):
    words = ["--walks", "5", "--steps", "20", "--ascents", "32", "--out", str(tmp_path)]
    assert command.main(["landscape", "--benchmark", "digits_darts_nds", *words]) == 0
    assert "a sample of darts_nds" in capsys.readouterr().out
    (row,) = csv.DictReader((tmp_path / "landscape.csv").read_text().splitlines())
    assert float(row["rho_1_low"]) < float(row["rho_1"]) < float(row["rho_1_high"])
    assert float(row["strict_maxima_low"]) <= float(row["strict_maxima"])
    assert (tmp_path / "landscape.html").exists()


def test_number_of_optima_from_repeats():
    rng, n = np.random.default_rng(0), 100
    found = optima_by_repeats(rng.integers(n, size=64 * 200).tolist(), 64)
    assert 0.8 * n < found.value < 1.3 * n * 4 / np.pi  # the estimator's own bias: E[K]² is π/2 n, not 2 ln 2 n
    assert found.low < found.value < found.high


def test_correlogram_of_an_additive_score():
    space, rng = get_space("nasbench201"), np.random.default_rng(0)
    genomes = np.stack([space.encode(space.sample(rng)) for _ in range(600)])
    smooth = genomes @ np.array([1, 2, 3, 4, 5, 6.0])
    found = correlogram(
        genomes, {"truth": smooth, "noise": rng.random(600)}, rng, distances=3, resamples=60, ranks=False
    )
    # an additive score of six independent genes: changing one keeps five sixths of the variance on average
    assert found.rho["truth"][0] > 0.75
    assert np.all(np.diff(found.rho["truth"]) < 0)
    assert found.interval["noise"][0][0] < 0 < found.interval["noise"][0][1]
    assert found.difference["noise"][0][2] < 0  # rougher, beyond its interval


@pytest.mark.slow
def test_command(open_shared, tmp_path, monkeypatch, capsys):
    table = open_shared("nasbench360_nb201", "darcy_flow")
    monkeypatch.setenv("NAS_LIGHTNING_BENCHMARKS", str(table.path.parent))
    tables = [str(open_shared(name).path) for name in ("nasbench201", "nasbench360_nb201")]
    assert command.main(["landscape", "--benchmark", *tables, "--out", str(tmp_path)]) == 0
    assert "strict maxima" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "landscape.csv").open()))
    assert rows[0]["strict_maxima"] == "17"
    assert json.loads((tmp_path / "landscape.json").read_text())
    assert (tmp_path / "landscape.png").stat().st_size > 10_000
    assert "<svg" in (tmp_path / "landscape.svg").read_text()[:300]
    assert command.main(["landscape", "--benchmark", tables[0], "--dataset", "svhn"]) == 2
    assert "none of the tables has the data set svhn" in capsys.readouterr().err


def test_nasbench360(open_shared):
    ninapro, darcy = (open_shared("nasbench360_nb201", name) for name in ("ninapro", "darcy_flow"))
    best = ninapro.best()
    assert ninapro.domain.index(best.architecture) == 6186
    assert 100 * best.accuracy == pytest.approx(94.3854, abs=1e-4)
    assert 100 * ninapro.metric_values().mean() == pytest.approx(88.8225, abs=1e-4)
    assert darcy.default_metric == "test_score"
    assert darcy.domain.index(darcy.best().architecture) == 3976
    assert darcy.best().accuracy == pytest.approx(0.98481, abs=5e-6)


@pytest.mark.slow
def test_several_tables_and_data_sets_in_one_figure(open_shared, tmp_path, capsys):
    tables = [str(open_shared(name).path) for name in ("nasbench201", "nasbench360_nb201")]
    words = ["landscape", "--benchmark", *tables, "--dataset", "cifar10", "ninapro", "darcy_flow"]
    assert command.main([*words, "--out", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "landscape.csv").open()))
    assert [row["table"].split()[-1] for row in rows] == ["cifar10", "ninapro", "darcy_flow"]
    assert (tmp_path / "landscape.png").stat().st_size > 10_000
    assert command.main([*words, "svhn", "--out", str(tmp_path)]) == 2
    assert "none of the tables has the data set svhn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["landscape", "--benchmark", "digits_nasbench201", "--steps", "-1"], "give a whole number from 2 on"),
        (["fronts", "--seeds", "nan"], "give a whole number from 1 on"),
        (["curves", "--rank", "0"], "give a whole number from 1 on"),
        (["curves"], "give either --benchmark"),
        (["curves", "--curves", "{file}"], "is damaged or incomplete"),
        (["landscape", "--benchmark", "digits_nasbench201", "--scores", "{file}"], "is damaged or incomplete"),
        (["landscape", "--benchmark", "digits_nasbench201", "--out", "{file}"], "is a file; name a folder"),
        (["landscape", "--benchmark", "digits_nasbench201", "--metric", "test_acuracy"], "did you mean test_accuracy"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_leaves_nothing(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"PAR1")
    try:
        code = command.main([word.format(file="file") for word in words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_signals_end_it_with_their_code_and_a_bug_keeps_its_traceback(monkeypatch, capsys, number, code):
    monkeypatch.setattr(landscape_command, "opened", lambda *_: os.kill(os.getpid(), number))
    assert command.main(["landscape", "--benchmark", "any"]) == code
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(landscape_command, "opened", lambda *_: int("no number"))
    with pytest.raises(ValueError, match="invalid literal"):
        command.main(["landscape", "--benchmark", "any"])
