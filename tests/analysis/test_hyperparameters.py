"""Hyper-parameter spaces: the algebra, the published tables, every algorithm, exact regrets."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nas_lightning.analysis.hyperparameters_command import exact_random_regret, named, regrets
from nas_lightning.predictors.rankers.mlp import MLP
from nas_lightning.search.algorithm import make_algorithm, packaged_algorithms
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.spaces import ArchitectureError, get_space


@pytest.mark.parametrize(("name", "size", "neighbours"), [("fcnet", 62208, 25), ("hpobench_mlp", 30000, 38)])
def test_product_spaces(name, size, neighbours):
    space, rng = get_space(name), np.random.default_rng(0)
    assert space.size == size
    everything = list(space.enumerate())
    assert len(set(everything)) == size
    for _ in range(50):
        arch = space.sample(rng)
        assert space.parse(str(arch)) == arch
        assert space.decode(space.encode(arch)) == arch
        around = space.neighbours(arch)
        assert len(set(around)) == neighbours
        assert space.mutate(arch, rng) in around
        assert all((space.encode(other) != space.encode(arch)).sum() == 1 for other in around)


def test_configurations_are_read_with_care():
    space = get_space("fcnet")
    arch = next(space.enumerate())
    text = str(arch)
    assert space.parse(", ".join(reversed(text.split(",")))) == arch
    assert space.parse(text.replace("init_lr=0.0005", "init_lr=5e-4")) == arch
    for wrong, said in [
        (text.replace("init_lr=0.0005", "init_lr=0.2"), "0.2 is no value of init_lr; choose from 0.0005"),
        (text.replace(",lr_schedule=const", ""), "needs a value of lr_schedule"),
        (text + ",init_lr=0.01", "gives a parameter twice"),
        (text.replace("init_lr", "lr"), "fcnet has no lr"),
        ("hello", "expected activation_fn_1=relu"),
    ]:
        with pytest.raises(ArchitectureError, match=said):
            space.parse(wrong)


def test_taskset_space():
    space, rng = get_space("taskset_adam8p"), np.random.default_rng(0)
    for _ in range(50):
        arch = space.sample(rng)
        assert space.parse(str(arch)) == arch
        genome = space.encode(arch)
        assert genome.tolist() == space.encode(space.decode(genome)).tolist()
        for other in space.neighbours(arch):
            assert np.abs(space.shares(other) - space.shares(arch)).max() == pytest.approx(1 / 8)
        assert (space.encode(space.mutate(arch, rng)) != genome).sum() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "best", "expected"),
    [
        ("protein_structure", 0.221379, (0.04123, 0.03056, 0.02232)),
        ("slice_localization", 1.91599e-4, (4.514e-4, 2.781e-4, 1.833e-4)),
        ("parkinsons_telemonitoring", 0.00670593, (0.01233, 0.00868, 0.00636)),
        ("naval_propulsion", 3.19113e-5, (3.494e-4, 1.295e-4, 0.642e-4)),
    ],
)
def test_fcnet_and_the_exact_regret_of_random_draws(open_shared, task, best, expected):
    values = open_shared("fcnet_hpolib", task).metric_values()
    assert -values.max() == pytest.approx(best, rel=5e-6)
    found = [exact_random_regret(values, draws) for draws in (50, 100, 200)]
    assert found == pytest.approx(expected, rel=8e-4)


def test_exact_regret_by_hand():
    values = np.array([0.0, 1.0, 3.0])
    assert exact_random_regret(values, 1) == pytest.approx(3 - 4 / 3)
    assert exact_random_regret(values, 2, replace=False) == pytest.approx(3 - (1 + 3 + 3) / 3)
    assert exact_random_regret(values, 3, replace=False) == 0
    drawn = np.random.default_rng(0).choice(values, (20_000, 2)).max(axis=1).mean()
    assert exact_random_regret(values, 2) == pytest.approx(3 - drawn, abs=0.02)


def test_taskset_table(open_shared):
    table = open_shared("taskset_adam8p_imdb12", "patch128_LSTM128_avg_bs64")
    assert len(table.datasets) == 12
    assert table.epochs("validation_score") == tuple(range(1, 51))
    last = table.metric_values("validation_score")
    assert np.isfinite(last).all()
    assert -last.max() == pytest.approx(0.1399, abs=5e-5)
    assert np.array_equal(last, table.metric_values("validation_score", 50))
    assert (last == last.min()).sum() > 1  # the diverged ones share the worst value
    best = -last.max() + exact_random_regret(last, 20)
    assert best == pytest.approx(0.468, abs=2e-3)


@pytest.fixture(scope="module")
def protein(open_shared):
    path = str(open_shared("fcnet_hpolib").path)
    settings = {"name": path, "dataset": "protein_structure", "root": None}
    return benchmark_objective(settings, "fcnet", "evaluations", ("units",), fidelity="none")


@pytest.fixture(scope="module")
def curves(open_shared):
    path = str(open_shared("taskset_adam8p_imdb12").path)
    settings = {"name": path, "dataset": "patch128_LSTM128_avg_bs64", "root": None}
    return benchmark_objective(settings, "taskset_adam8p", "evaluations")


@pytest.fixture(scope="module")
def perceptrons(open_shared):
    settings = {"name": str(open_shared("hpobench_mlp").path), "dataset": "vehicle", "root": None}
    return benchmark_objective(settings, "hpobench_mlp", "evaluations", ("units",))


NICHES: dict[str, Any] = {"minimise": ["units"], "bounds": ["64", "256"]}
MEASURED = {"minimise": ["units"]}
OWN = {"nsga2": MEASURED, "popnas": MEASURED, "bop_elites": NICHES, "bop_elites_hb": NICHES, "qdhb": NICHES}


@pytest.mark.slow
@pytest.mark.parametrize("table", ["protein", "perceptrons", "curves"])
@pytest.mark.parametrize("name", packaged_algorithms())
def test_every_algorithm_runs(request, monkeypatch, table, name):
    monkeypatch.setitem(MLP.__init__.__kwdefaults__, "epochs", 10)  # BANANAS's networks, of 150
    objective = request.getfixturevalue(table)
    own = OWN.get(name, {}) if table != "curves" else {}
    if name in OWN and table == "curves":
        pytest.skip("TaskSet has no measure beside the loss")
    if name == "curve_extrapolation" and table == "perceptrons":
        own = {"stop": 0.5}  # their lowest fidelity is above the default's fifth
    algorithm = make_algorithm(
        name, objective.space, objective.fidelities, 0, own, single_fidelity=objective.fidelities.is_single
    )
    records = Search(algorithm, objective, Budget("evaluations", 14)).run()
    assert len(records) >= 14
    assert all(np.isfinite(record.measurement.value) for record in records)


@pytest.mark.slow
def test_bohbs_model_helps_on_learning_curves(curves):
    assert curves.fidelities.rungs(3) == (2, 6, 17, 50)
    found = {name: regrets(curves, name, range(25), [30])[0].mean() for name in ("bohb", "hyperband")}
    assert found["bohb"] < found["hyperband"]
    assert found["hyperband"] < 0.9 * exact_random_regret(curves.all_truths(), 30)


def test_bohb_at_one_fidelity(protein):
    found, _ = regrets(protein, "bohb", range(12), [50, 100])
    assert found.mean(axis=0) == pytest.approx([0.0195, 0.0072], rel=0.6)  # 50 seeds of the authors' rule
    assert found[:, 1].mean() < 0.5 * exact_random_regret(protein.all_truths(), 100)


def test_same_seed_same_search(protein):
    for name in ("optuna", "dehb"):
        seen = [
            [r.trial.architecture for r in Search(
                make_algorithm(name, protein.space, protein.fidelities, 3, single_fidelity=True),
                protein,
                Budget("evaluations", 15),
            ).run()]
            for _ in range(2)
        ]  # fmt: skip
        assert seen[0] == seen[1]


def test_evolution_beats_random_draws(protein):
    truths = protein.all_truths()
    found, _ = regrets(protein, "regularized_evolution:population=10:sample=3", range(6), [50, 200])
    assert found[:, 1].mean() < 0.6 * exact_random_regret(truths, 200)
    random, _ = regrets(protein, "random_search", range(40), [50])
    error = random.std(ddof=1) / np.sqrt(len(random))
    assert abs(random.mean() - exact_random_regret(truths, 50)) < 4 * error


def test_dehb_promotes_like_successive_halving_at_first(curves):
    dehb = make_algorithm("dehb", curves.space, curves.fidelities, 0)
    records = Search(dehb, curves, Budget("evaluations", 30)).run()
    rungs = [[r for r in records if r.trial.tag[:2] == (0, rung)] for rung in range(4)]
    assert [len(rung) for rung in rungs] == [27, 9, 3, 1]
    for below, above in pairwise(rungs):
        best = sorted(below, key=lambda r: -r.measurement.value)[: len(above)]
        assert {r.trial.architecture for r in above} == {r.trial.architecture for r in best}
        assert all(r.trial.resumed_from == below[0].trial.fidelity for r in above)


def test_settings_in_names():
    assert named("bohb:min_bandwidth=0.3:eta=4") == ("bohb", {"min_bandwidth": 0.3, "eta": 4})
    inside = {"inner": "bananas", "inner_settings": {"batch": 5, "mutants": 50}}
    text = "curve_extrapolation:inner=bananas:inner_settings.batch=5:inner_settings.mutants=50"
    assert named(text) == ("curve_extrapolation", inside)
    with pytest.raises(ValueError, match="name:setting=value"):
        named("bohb:eta")
