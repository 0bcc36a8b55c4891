"""Searches that grow architectures: PNAS along the predicted best, POPNAS along the predicted front."""

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.algorithms.popnas import POPNAS
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.subspaces import ListedSpace
from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities, Measurement, SearchError
from nas_lightning.spaces import get_space
from tests.helpers.toy_space import ALL, make_objective, toy_value

SPACE = get_space("nasbench201")


def worth(arch):
    """3x3 convolutions on the paths that reach the output: 8 at most."""
    return float(sum(path.count("nor_conv_3x3") for path in SPACE.paths(arch) if "none" not in path))


@pytest.fixture(scope="module")
def counted():
    archs = list(SPACE.enumerate_raw())
    values = np.array([worth(arch) for arch in archs])
    return TableObjective(
        SPACE,
        SPACE.index,
        values[:, None],
        values,
        Fidelities("epochs", (12,)),
        measures={"params": np.array([SPACE.operation_counts(arch)[3] for arch in archs], float)},
        requested=("params",),
    )


def run(name, objective, amount, seed=0, **settings):
    algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, settings)
    budget = Budget("evaluations", amount)
    algorithm.fit_budget(budget)
    return algorithm, Search(algorithm, objective, budget).run()


@pytest.mark.slow
def test_an_endless_beam_measures_the_whole_space(counted):
    algorithm, records = run("pnas", counted, 7000, beam=20_000)
    assert len({SPACE.key(r.trial.architecture) for r in records}) == len(records) == 6466
    assert max(r.measurement.value for r in records) == 8
    assert algorithm.notes == ["all 6466 classes were measured before the budget was spent"]
    assert len(algorithm.level_sizes) == 7


def test_a_small_beam_grows_what_it_measured_and_nothing_else(counted):
    _, records = run("pnas", counted, 26, beam=3)
    sizes = [sum(op > 0 for op in r.trial.architecture.operations) for r in records]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 6
    keys = [SPACE.key(r.trial.architecture) for r in records]
    assert len(set(keys)) == len(keys)
    for n in range(2, 6):
        kept = {arch for key in keys for arch in SPACE.members(SPACE.parse(key))}
        grown = [r.trial.architecture for r, size in zip(records, sizes, strict=True) if size == n]
        assert all(kept & set(SPACE.smaller(arch)) for arch in grown)


def test_progressive_search_needs_fewer_evaluations_than_chance(counted):
    found = [max(r.measurement.value for r in run("pnas", counted, 60, seed)[1]) for seed in range(3)]
    chance = [max(r.measurement.value for r in run("random_search", counted, 60, seed)[1]) for seed in range(3)]
    assert np.mean(found) > np.mean(chance)


def test_a_budget_is_shared_over_the_levels():
    for amount, beam in ((70, 10), (7, 2)):
        algorithm = make_algorithm("pnas", SPACE, Fidelities("epochs", (12,)), 0)
        algorithm.fit_budget(Budget("evaluations", amount))
        assert algorithm.beam == beam
    algorithm.fit_budget(Budget("seconds", 1e6))
    assert algorithm.beam == 2


def test_what_a_table_lacks_grows_unmeasured():
    rng = np.random.default_rng(0)
    listed = [SPACE.from_index(i) for i in rng.permutation(15625)[:40].tolist()]
    space = ListedSpace(SPACE, listed)
    classes = {SPACE.key(arch) for arch in listed}
    algorithm = make_algorithm("pnas", space, Fidelities("epochs", (12,)), 0)
    measured = []
    while (trial := algorithm.ask()) is not None:
        measured.append(trial.architecture)
        algorithm.tell(trial, Measurement(worth(trial.architecture), 1.0))
    assert set(measured) <= set(listed)
    assert {SPACE.key(arch) for arch in measured} == classes
    assert len(measured) == len(classes)


def test_the_listed_members_of_a_class_are_those_of_the_whole_space():
    listed = [SPACE.from_index(i) for i in np.random.default_rng(0).permutation(15625)[:3000].tolist()]
    space, found = ListedSpace(SPACE, listed), set()
    for arch in [SPACE.from_index(i) for i in range(0, 15625, 25)]:
        members = space.members(arch)
        assert members == [member for member in SPACE.members(arch) if space.holds(member)]
        found.add(min(len(members), 2))
    assert found == {0, 1, 2}


def test_pnas_predicts_only_where_something_is_left_out(monkeypatch):
    algorithm, asked = make_algorithm("pnas", SPACE, Fidelities("epochs", (12,)), 0), []
    monkeypatch.setattr(algorithm, "values", list)
    monkeypatch.setattr(algorithm, "first", lambda keys, n: keys[:n])
    monkeypatch.setattr(algorithm, "predicted", lambda keys, told: asked.append(len(keys)) or np.arange(len(keys)))
    assert sorted(algorithm.keep(list("abc"), 3, False)) == list("abc")
    assert not asked
    assert algorithm.keep(list("abcd"), 3, False) == list("dcb")
    assert {algorithm.keep(list("abc"), 3, False)[0] for _ in range(30)} == set("abc")


def popnas(**settings):
    objective = make_objective(requested=("params",))
    return make_algorithm("popnas", objective.space, objective.fidelities, 0, settings)


class Foretold(POPNAS):
    """Predicts what it is given."""

    foretold = ()

    def predicted(self, classes, told):
        return self.foretold[len(self.asked)] if not self.asked.append(1) else None


def foretold(values, sizes, classes, **settings):
    algorithm = popnas(**settings)
    algorithm.__class__ = Foretold
    algorithm.asked = []
    algorithm.foretold = (None, np.array(values), -np.array(sizes, float))
    algorithm._level = {algorithm._key(arch): [arch] for arch in classes}
    return algorithm, list(algorithm._level)


def test_the_front_is_kept_the_best_first_and_equal_ones_both():
    algorithm, keys = foretold([5, 9, 9, 4, 1], [1, 3, 3, 2, 0], ALL[:5], exploration=0)
    assert algorithm.keep(keys, 10, False) == [keys[i] for i in (1, 2, 0, 4)]
    algorithm.asked.clear()
    assert algorithm.keep(keys, 2, True) == [keys[1], keys[2]]


def test_predictions_that_agree_in_nine_decimals_are_equal():
    for difference, kept in ((4e-10, [1, 0]), (6e-10, [1])):
        algorithm, keys = foretold([9, 9 + difference], [3, 3], ALL[:2], exploration=0)
        assert sorted(algorithm.keep(keys, 10, True)) == sorted(keys[i] for i in kept)


def test_rare_operations_are_explored_before_the_last_level():
    front, rare, plain = (0, 0, 0, 0), (2, 0, 0, 0), (0, 0, 1, 1)
    counts = make_objective().space.operation_counts
    assert counts(front).tolist() != counts(rare).tolist()
    algorithm, keys = foretold([9, 1, 2], [0, 5, 6], (front, rare, plain), exploration=1)
    # The front has one operation alone: all others are rare, and the best predicted of those that have one comes along.
    assert algorithm.keep(keys, 10, False) == [keys[0], keys[2]]
    algorithm.asked.clear()
    assert algorithm.keep(keys, 10, True) == [keys[0]]


def test_an_operation_is_rare_below_a_fifth_of_the_mean_one(monkeypatch):
    algorithm = popnas()
    monkeypatch.setattr(algorithm, "_counts", lambda key: np.array({"a": [50, 3, 4, 0, 0], "b": [0, 0, 0, 3, 40]}[key]))
    assert algorithm._rare(["a", "b"]).tolist() == [False, True, False, True, False]  # 100 in all: below 4


def test_popnas_learns_from_what_it_is_told(counted):
    _, records = run("popnas", counted, 80)
    assert len(records) == 80
    assert max(r.measurement.value for r in records) >= 4


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("pnas", {"beam": 0}, "at least one architecture of a level has to be kept"),
        ("pnas", {"ranker": "forrest"}, "unknown ranker"),
        ("popnas", {"minimise": ()}, "at least one measure to minimise"),
        ("popnas", {"exploration": -1}, "exploration >= 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, sentence):
    with pytest.raises(SearchError, match=sentence):
        make_algorithm(name, SPACE, Fidelities("epochs", (12,)), 0, settings)


def test_failed_evaluations_are_learned_from(single):
    algorithm = make_algorithm("pnas", single.space, single.fidelities, 0, {"beam": 4})
    for i in range(20):
        trial = algorithm.ask()
        algorithm.tell(trial, Measurement(-np.inf if i % 2 else toy_value(trial.architecture), 1.0))


def test_popnas_measures_a_whole_space_in_the_end():
    objective = make_objective(requested=("params",))
    algorithm, records = run("popnas", objective, 200, beam=2)
    assert len({r.trial.architecture for r in records}) == len(records) == len(ALL)
    assert algorithm.restarts > 0


def test_classes_of_an_earlier_level_crowd_nothing_out(counted):
    """A dangling edge adds nothing: without this the levels of three and four edges measured nothing."""
    _, records = run("pnas", counted, 90, beam=10)
    sizes = [sum(op > 0 for op in r.trial.architecture.operations) for r in records]
    assert all(sizes.count(n) == 10 for n in range(2, 6))
