"""Tables as objectives: what guides, what is reported, what an evaluation costs."""

import numpy as np
import pytest

from nas_lightning.benchmarks import BenchmarkError, write_table
from nas_lightning.search.algorithm import make_algorithm, packaged_algorithms
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.subspaces import AdmissibleSpace, ListedSpace
from nas_lightning.search.trial import Measurement, SearchError, Trial
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")
RNG = np.random.default_rng(0)
ARCHS = [SPACE.from_index(i) for i in RNG.permutation(15625)[:60].tolist()]
RUNS = RNG.uniform(0.2, 0.9, (60, 6))
TEST = RNG.uniform(0.2, 0.9, 60)


def table(tmp_path, metadata=None, **columns):
    path = tmp_path / "table.arrow"
    metadata = metadata or {"plan": {"protocol": {"epochs": 5}}}
    write_table(path, space="nasbench201", dataset="digits", architectures=ARCHS, columns=columns, metadata=metadata)
    return {"name": str(path), "root": None, "dataset": None}


def open_objective(tmp_path, unit="evaluations", measures=(), settings=None, **columns):
    return benchmark_objective(table(tmp_path, **columns), "nasbench201", unit, measures, **(settings or {}))


def test_validation_runs_guide_and_test_accuracy_is_reported(tmp_path):
    objective = open_objective(tmp_path, validation_accuracy_seeds=RUNS, test_accuracy=TEST)
    assert (objective.fidelities.unit, objective.fidelities.levels) == ("seeds", (1, 2, 3, 4, 5, 6))
    value, cost, _ = objective.evaluate([Trial(ARCHS[7], 3)])[0]
    assert value == pytest.approx(RUNS[7, :3].mean())
    assert cost == pytest.approx(0.5)
    assert objective.evaluate([Trial(ARCHS[7], 6, 3)])[0].cost == pytest.approx(0.5)
    assert objective.truth(ARCHS[:9]).tolist() == pytest.approx(TEST[:9].tolist())
    assert objective.truth_name() == "test_accuracy of the table"


def test_where_guide_and_truth_are_one_metric_other_runs_are_reported(tmp_path):
    objective = open_objective(tmp_path, test_accuracy_seeds=RUNS)
    assert objective.fidelities.levels == (1, 2, 3)
    assert objective.evaluate([Trial(ARCHS[7], 3)])[0].value == pytest.approx(RUNS[7, :3].mean())
    assert objective.truth([ARCHS[7]])[0] == pytest.approx(RUNS[7, 3:].mean())
    assert objective.identity()["truth_seeds"] == [3, 4, 5]
    assert "runs that did not guide" in objective.truth_name()


def test_epochs_are_a_fidelity_where_the_table_has_several(tmp_path):
    columns = {"validation_accuracy@4": RUNS[:, 0], "validation_accuracy@12": RUNS[:, 1], "test_accuracy@12": TEST}
    objective = open_objective(tmp_path, "epochs", **columns)
    assert (objective.fidelities.unit, objective.fidelities.levels) == ("epochs", (4, 12))
    assert objective.evaluate([Trial(ARCHS[3], 4), Trial(ARCHS[3], 12, 4)]) == [
        Measurement(RUNS[3, 0], 4.0), Measurement(RUNS[3, 1], 8.0),
    ]  # fmt: skip
    shorter = open_objective(tmp_path, "epochs", settings={"epochs": 4}, **columns)
    assert shorter.fidelities.levels == (4,)
    assert shorter.truth([ARCHS[3]])[0] == TEST[3]
    only = open_objective(tmp_path, test_accuracy=TEST)
    assert only.truth_name() == "test_accuracy of the table, which also guided"
    with pytest.raises(SearchError, match="no validation_accuracy at 5 epochs: it has 4, 12"):
        open_objective(tmp_path, settings={"epochs": 5}, **columns)


def test_simulated_seconds(tmp_path):
    seconds = RNG.uniform(1, 2, 60)
    columns = {"validation_accuracy_seeds@12": RUNS, "train_seconds_per_epoch": seconds, "test_accuracy@12": TEST}
    objective = open_objective(tmp_path, "seconds", **columns)
    assert objective.evaluate([Trial(ARCHS[3], 2)])[0].cost == pytest.approx(2 * 12 * seconds[3])
    assert objective.planned_cost(Trial(ARCHS[3], 2)) is None


def test_a_table_without_times_cannot_count_seconds(tmp_path):
    with pytest.raises(SearchError, match=r"cannot count seconds here: choose budget.unit from evaluations, epochs"):
        open_objective(tmp_path, "seconds", test_accuracy=TEST)


def test_the_recipe_tells_the_epochs_of_a_table_that_does_not(tmp_path):
    objective = open_objective(tmp_path, "epochs", test_accuracy_seeds=RUNS)
    assert objective.evaluate([Trial(ARCHS[0], 2)])[0].cost == 10


def test_measures(tmp_path):
    params = np.arange(60)
    objective = open_objective(tmp_path, measures=("params",), test_accuracy=TEST, params=params)
    assert objective.evaluate([Trial(ARCHS[9], objective.fidelities.full)])[0].measures == {"params": 9.0}
    assert objective.reference_measures(["params"]) == {"params": 59.0}
    with pytest.raises(BenchmarkError, match="no column macs"):
        open_objective(tmp_path, measures=("macs",), test_accuracy=TEST, params=params)


def test_measures_of_a_second_table(tmp_path):
    latency, second = RNG.uniform(1, 9, 59), tmp_path / "latencies.arrow"
    phone = {"phone_latency_ms": latency}
    write_table(second, space="nasbench201", dataset="digits", architectures=ARCHS[1:], columns=phone)
    columns = {"test_accuracy": TEST, "params": np.arange(60)}
    objective = open_objective(
        tmp_path, measures=("params", "phone_latency_ms"), settings={"measures_from": str(second)}, **columns
    )
    full = objective.fidelities.full
    assert objective.evaluate([Trial(ARCHS[9], full)])[0].measures == {"params": 9.0, "phone_latency_ms": latency[8]}
    assert ARCHS[0] not in objective.space.architectures  # its latency is not known


def test_rows_without_numbers_are_not_searched(tmp_path):
    test = np.where(np.arange(60) % 2, TEST, np.nan)
    objective = open_objective(tmp_path, test_accuracy=test)
    rng = np.random.default_rng(0)
    assert {ARCHS.index(objective.space.sample(rng)) % 2 for _ in range(50)} == {1}
    assert np.isfinite(objective.all_truths()).sum() == 30
    with pytest.raises(SearchError, match="no row of"):
        open_objective(tmp_path, test_accuracy=np.full(60, np.nan))


@pytest.mark.slow
@pytest.mark.parametrize("name", packaged_algorithms())
def test_every_algorithm_stays_inside_the_table(tmp_path, name):
    objective = open_objective(
        tmp_path, measures=("params",), validation_accuracy_seeds=RUNS, test_accuracy=TEST, params=np.arange(60)
    )
    algorithm = make_algorithm(name, objective.space, objective.fidelities, 0)
    records = Search(algorithm, objective, Budget("evaluations", 30)).run()
    assert {r.trial.architecture for r in records} <= set(ARCHS)
    assert len({r.trial.architecture for r in records}) > 15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fidelity": "layers"}, "choose one of auto, epochs, seeds, none"),
        ({"fidelity": "seeds"}, "keeps no single runs"),
        ({"fidelity": "epochs"}, "has no test_accuracy by epochs"),
        ({"value": "f1_accuracy"}, "has no f1_accuracy"),
    ],
)
def test_what_a_table_does_not_have(tmp_path, settings, message):
    with pytest.raises((SearchError, BenchmarkError), match=message):
        open_objective(tmp_path, settings=settings, test_accuracy=TEST)


def test_a_table_of_another_space_and_none_at_all(tmp_path):
    settings = table(tmp_path, test_accuracy=TEST)
    with pytest.raises(BenchmarkError, match="is a table of nasbench201, not of nasbench101"):
        benchmark_objective(settings, "nasbench101", "evaluations")
    with pytest.raises(SearchError, match="needs a table"):
        benchmark_objective({"name": None}, "nasbench201", "evaluations")


def test_nearest_neighbours_by_hand():
    space = ListedSpace(SPACE, ARCHS[:10], neighbourhood=3)
    distance = [sum(a != b for a, b in zip(ARCHS[0].operations, other.operations, strict=True)) for other in ARCHS[:10]]
    nearest = [ARCHS[i] for i in np.argsort(distance, kind="stable")[1:4]]
    assert space.neighbours(ARCHS[0]) == nearest
    rng = np.random.default_rng(0)
    assert {space.mutate(ARCHS[0], rng) for _ in range(60)} == set(nearest)
    assert space.members(ARCHS[0]) == [arch for arch in SPACE.members(ARCHS[0]) if arch in ARCHS[:10]]
    assert space.nearest(SPACE.encode(ARCHS[4])) == ARCHS[4]
    with pytest.raises(SearchError, match="two architectures or more"):
        ListedSpace(SPACE, ARCHS[:1])


def test_admissible_space_repeats_what_it_refuses():
    space = AdmissibleSpace(SPACE, lambda arch: arch.operations[0] == 3)
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(20)]
    assert all(arch.operations[0] == 3 for arch in [*drawn, space.mutate(drawn[0], rng), *space.neighbours(drawn[0])])
    assert len(space.neighbours(drawn[0])) == 20
    with pytest.raises(SearchError, match="none of 10000 draws"):
        AdmissibleSpace(SPACE, lambda arch: False).sample(rng)
