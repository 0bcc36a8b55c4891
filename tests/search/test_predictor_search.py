"""Rankers that guide a search, on a space of 80 architectures and on NAS-Bench-201 with an invented table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.predictor_search import best_first, expected_improvement
from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities, Measurement, SearchError
from nas_lightning.search.weak_labels import WeakLabelFile, WeakLabels, read_weak_labels
from nas_lightning.spaces import get_space
from tests.helpers.toy_space import ALL, ToySpace, make_objective, toy_value

pytestmark = pytest.mark.slow

GUIDED = ("predictor_guided", "acenas", "npenas", "bananas", "anasod")


def run(name, objective, amount, seed=0, weak=None, **settings):
    algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, settings)
    budget = Budget("evaluations", amount)
    algorithm.fit_budget(budget)
    if weak is not None:
        algorithm.take_weak_labels(weak)
    return algorithm, Search(algorithm, objective, budget).run()


def counted_objective():
    """NAS-Bench-201 cells worth their share of 3x3 convolutions; twins of one class are worth the same."""
    space = get_space("nasbench201")
    values = np.array(
        [
            sum(p.count("nor_conv_3x3") for p in space.paths(a) if "none" not in p)
            for a in map(space.decode, np.ndindex((5,) * 6))
        ],
        float,
    )[:, None]
    return TableObjective(
        space, lambda arch: arch.code, values, values[:, 0], Fidelities("epochs", (12,)), identity={"counted": 1}
    )


@pytest.mark.parametrize("name", GUIDED)
def test_no_class_is_measured_twice_and_all_can_be(single, name):
    """BANANAS and NPENAS choose among mutants, and may end before the last cells have been drawn."""
    amount = 30 if name == "bananas" else 200
    _, records = run(name, single, amount)
    found = [r.trial.architecture for r in records]
    assert len(set(found)) == len(found)
    assert len(found) == {"bananas": 30}.get(name, len(ALL)) or (name == "npenas" and len(found) > 70)


def test_a_guided_search_needs_fewer_than_a_random_one(single):
    def needed(name, seed, **settings):
        found = [r.trial.architecture for r in run(name, single, 80, seed, **settings)[1]]
        return found.index((1, 1, 1, 1))

    guided = np.mean([needed("predictor_guided", seed, initial=5) for seed in range(10)])
    assert guided < 25  # blind draws without replacement: 39.5 on average


@pytest.mark.parametrize("ranker", ["ridge", "random_forest", "gradient_boosting", "lambdarank", "gaussian_process"])
def test_every_ranker_finds_the_best_of_a_linear_table(ranker):
    objective = counted_objective()
    _, records = run("predictor_guided", objective, 30, ranker=ranker, acquisition="mean", batch=5)
    best = max(r.measurement.value for r in records)
    blind = max(r.measurement.value for r in records[:10])
    assert best >= 6 > blind - 1  # 7 is the most: four paths of seven 3x3 convolutions


@pytest.mark.parametrize("acquisition", ["expected_improvement", "thompson", "mean"])
def test_acquisitions(single, acquisition):
    _, records = run("predictor_guided", single, 40, acquisition=acquisition, initial=5)
    assert (1, 1, 1, 1) in [r.trial.architecture for r in records]


def test_expected_improvement_in_closed_form():
    """At the incumbent the gain is sd / sqrt(2 pi); far above it, the distance."""
    gains = expected_improvement(np.array([0.0, 5.0]), np.array([1.0, 1e-9]), 0.0)
    assert gains == pytest.approx([1 / np.sqrt(2 * np.pi), 5.0])
    assert best_first(np.array([1.0, 3.0, 3.0, 2.0]), 3) == [1, 2, 3]


def test_acenas_measures_half_a_portion_by_the_weak_labels_and_half_at_random(single):
    scores = np.array([toy_value(arch) for arch in ALL])
    algorithm, records = run("acenas", single, 50, weak=WeakLabels(ALL, {"net": scores}))
    assert algorithm.batch == 10
    top = {ALL[i] for i in np.argsort(-scores, kind="stable")[:5]}
    assert {r.trial.architecture for r in records[:5]} == top
    assert not {r.trial.architecture for r in records[5:10]} & top


def test_a_small_budget_is_cut_into_as_many_portions_as_can_be_learned_from(single):
    algorithm, records = run("acenas", single, 12)
    assert len(records) == 12
    assert algorithm.batch == 4
    assert "12 evaluations are fewer than 5 portions of the 4 labels" in algorithm.notes[0]


def test_a_file_of_few_candidates_ends_the_search_and_says_so(single):
    algorithm, records = run("acenas", single, 30, weak=WeakLabels(ALL[:10], {"net": np.arange(10.0)}))
    assert {r.trial.architecture for r in records} == set(ALL[:10])
    assert algorithm.notes == ["all 10 candidates were measured before the budget was spent"]


def test_failed_evaluations_are_learned_from(single):
    algorithm = make_algorithm("predictor_guided", single.space, single.fidelities, 0, {"initial": 4})
    for i in range(12):
        algorithm.tell(algorithm.ask(), Measurement(-np.inf if i < 8 else float(i), 1.0))
    assert algorithm.ask() is not None


def test_equal_values_are_no_reason_to_stop(single):
    algorithm = make_algorithm("predictor_guided", single.space, single.fidelities, 0)
    for _ in range(30):
        algorithm.tell(algorithm.ask(), Measurement(0.5, 1.0))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ranker": "forest"}, "did you mean random_forest"),
        ({"ranker": "lambdarank", "acquisition": "mean", "initial": 3}, "learns from 4 labels or more"),
        ({"acquisition": "luck"}, "choose one of expected_improvement"),
        ({"batch": 0}, "batch >= 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(single, settings, sentence):
    with pytest.raises(SearchError, match=sentence):
        make_algorithm("predictor_guided", single.space, single.fidelities, 0, settings)


def test_an_encoding_that_does_not_exist_is_refused(single):
    with pytest.raises(SearchError, match="'one-hot' is unknown"):
        make_algorithm("predictor_guided", single.space, single.fidelities, 0, {"encoding": ["one-hot"]}).ask()
    with pytest.raises(SearchError, match="names no paths"):
        make_algorithm("bananas", single.space, single.fidelities, 0, {"encoding": ["paths"]}).ask()


# --- files of weak labels -------------------------------------------------------------------------------------------


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_a_file_of_weak_labels_is_read_without_its_truth(tmp_path):
    path = write(
        tmp_path / "ranking.parquet",
        architecture=["0000", "1111", "2222", "0000"],
        net=[0.1, 0.2, 0.3, 0.4],
        params=[1, 2, 3, 4],
        standalone_accuracy=[0.9, 0.8, 0.7, 0.6],
    )
    labels = read_weak_labels(path, ToySpace())
    assert labels.architectures == [(0, 0, 0, 0), (1, 1, 1, 1)]
    assert {name: column.tolist() for name, column in labels.scores.items()} == {"net": [0.1, 0.2], "params": [1, 2]}
    assert list(read_weak_labels(path, ToySpace(), ["net"]).scores) == ["net"]


@pytest.mark.parametrize(
    ("columns", "wanted", "sentence"),
    [
        ({"architecture": ["2222"], "net": [0.1]}, (), "covers none of the candidates"),
        ({"cell": ["0000"], "net": [0.1]}, (), "no column named architecture"),
        ({"architecture": ["0000"], "net": [float("nan")]}, (), "no score that is a number"),
        ({"architecture": ["0000"], "standalone_accuracy": [0.5]}, (), "no score that is a number"),
        ({"architecture": ["0000"], "standalone_accuracy": [0.5]}, ("standalone_accuracy",), "is the truth"),
        ({"architecture": ["0000"], "net": [0.5]}, ("nett",), "its scores are net"),
    ],
)
def test_weak_labels_that_say_nothing_are_refused(tmp_path, columns, wanted, sentence):
    path = write(tmp_path / "weak.parquet", **columns)
    with pytest.raises(SearchError, match=sentence):
        WeakLabelFile(path, wanted).labels(ToySpace(), list, tmp_path)


def test_no_file_and_no_parquet_are_refused(tmp_path):
    with pytest.raises(SearchError, match="is no file"):
        WeakLabelFile(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("architecture,net")
    with pytest.raises(SearchError, match="cannot be read as Parquet"):
        read_weak_labels(tmp_path / "text.parquet", ToySpace())


def test_good_weak_labels_help(single):
    truth = np.array([toy_value(arch) for arch in ALL])
    noisy = truth + np.random.default_rng(0).normal(0, 0.05, len(truth))

    def best(weak):
        found = [run("acenas", single, 8, seed, weak)[1] for seed in range(8)]
        return np.mean([max(r.measurement.value for r in records) for records in found])

    assert best(WeakLabels(ALL, {"net": noisy})) > best(None)


def test_a_table_of_equal_seeds_is_the_same_search():
    objective = make_objective((9,))
    first, second = (run("predictor_guided", objective, 30, seed=3)[1] for _ in range(2))
    assert [r.trial for r in first] == [r.trial for r in second]
