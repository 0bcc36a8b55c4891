"""Learning-curve extrapolation around algorithms of full trainings: what is asked, paid, stopped and learned."""

import numpy as np
import pytest

from nas_lightning.predictors.extrapolation import fitted_svr, parametric_extrapolation
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces import get_space

pytestmark = pytest.mark.slow

SPACE = get_space("nasbench201")
EPOCHS = 40
FIDELITIES = Fidelities("epochs", tuple(range(1, EPOCHS + 1)), continuous=True)


@pytest.fixture(scope="module")
def objective():
    """Curves a - b / epoch, so that the first epochs tell the last only together with their slope."""
    rng = np.random.default_rng(0)
    final, speed = rng.uniform(0.3, 0.9, SPACE.size), rng.uniform(0.1, 2.0, SPACE.size)
    values = final[:, None] - speed[:, None] / (1 + np.arange(1, EPOCHS + 1))
    return TableObjective(SPACE, SPACE.index, values, values[:, -1], FIDELITIES)


def search(objective, budget=60, seed=0, **settings):
    algorithm = make_algorithm("curve_extrapolation", SPACE, objective.fidelities, seed, settings)
    return algorithm, Search(algorithm, objective, Budget("evaluations", budget)).run()


def by_number(records):
    out = {}
    for record in records:
        out.setdefault(record.trial.tag[0], []).append(record)
    return out


def test_a_curve_goes_on_where_it_stopped_and_pays_once(objective):
    algorithm, records = search(objective, inner="random_search", points=4)
    assert algorithm.levels == (1, 3, 6, 8, 40)
    for asked in by_number(records).values():
        levels = [record.trial.fidelity for record in asked]
        assert levels == list(algorithm.levels[: len(levels)])
        assert [record.trial.resumed_from for record in asked] == [0, *levels[:-1]]
        assert sum(record.measurement.cost for record in asked) == pytest.approx(levels[-1] / EPOCHS)
        assert len({record.trial.architecture for record in asked}) == 1


def test_the_first_are_whole_and_then_the_promising_half(objective):
    _, records = search(objective, inner="random_search", startup=12)
    runs = [asked for asked in by_number(records).values() if asked[-1].trial.fidelity in (8, 40)]
    assert all(asked[-1].trial.fidelity == EPOCHS for asked in runs[:12])
    later = [asked[-1].trial.fidelity == EPOCHS for asked in runs[12:]]
    assert 0.3 < np.mean(later) < 0.7
    truth = {True: [], False: []}
    for asked, whole in zip(runs[12:], later, strict=True):
        truth[whole].append(objective.truth([asked[0].trial.architecture])[0])
    assert np.mean(truth[True]) > np.mean(truth[False]) + 0.15


def test_the_algorithm_inside_learns_what_is_extrapolated(objective):
    algorithm, records = search(objective, inner="regularized_evolution", budget=40)
    told = {architecture: value for value, architecture in algorithm.inner._population}
    ends = [asked[-1] for asked in by_number(records).values()]
    stopped = [r for r in ends if r.trial.fidelity == 8 and r.trial.architecture in told]
    both = [(told[r.trial.architecture], r.measurement.value, r.trial.architecture) for r in stopped]
    assert len(both) > 5
    guessed, seen, archs = map(list, zip(*both, strict=True))
    truth = objective.truth(archs)
    assert np.abs(np.array(guessed) - truth).mean() < 0.5 * np.abs(np.array(seen) - truth).mean()


def test_more_is_seen_for_the_same_budget(objective):
    plain = make_algorithm("random_search", SPACE, objective.fidelities.only_full(), 0)
    seen = len(Search(plain, objective, Budget("evaluations", 60)).run())
    _, records = search(objective, inner="random_search")
    assert len(by_number(records)) > 1.3 * seen


@pytest.mark.parametrize("method", ["svr", "families", "last"])
def test_slopes_count(objective, method):
    _, records = search(objective, inner="random_search", method=method, budget=80)
    best = max(r.measurement.value for r in records if r.trial.fidelity == EPOCHS)
    assert best > np.quantile(objective.all_truths(), 0.97)


def test_extrapolators_on_made_curves():
    rng = np.random.default_rng(0)
    x, a, b = np.arange(1, 31), rng.uniform(0.5, 0.9, 80), rng.uniform(0.1, 2.0, 80)
    curves = a[:, None] - b[:, None] / x
    found = fitted_svr(curves[:60, :6], curves[:60, -1]).predict(curves[60:, :6])
    assert np.corrcoef(found, curves[60:, -1])[0, 1] > 0.98 > np.corrcoef(curves[60:, 5], curves[60:, -1])[0, 1]
    assert parametric_extrapolation(curves[0, :10], 30) == pytest.approx(curves[0, -1], abs=0.01)
    assert parametric_extrapolation(curves[0], 30) == curves[0, -1]  # a whole curve is its own last point


def test_the_algorithm_inside_has_settings_of_its_own(objective):
    algorithm, _ = search(objective, inner_settings={"population": 7, "sample": 3}, budget=30)
    assert len(algorithm.inner._population) == 7


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"inner": "hyperband"}, "fidelities of its own"),
        ({"method": "magic"}, "choose one of svr, families, last"),
        ({"stop": 0.001}, "raise algorithm.stop"),
        ({"keep": 0.0}, "keep above 0"),
        ({"inner": "nothing_such"}, "unknown algorithm"),
        ({"inner": "bananas", "inner_settings": {"populaton": 3}}, "bananas has no setting 'populaton'"),
    ],
)
def test_wrong_settings_are_one_sentence(objective, settings, said):
    with pytest.raises(SearchError, match=said):
        search(objective, **settings)
