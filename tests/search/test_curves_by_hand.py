"""Learning-curve extrapolation with what is inside written by hand: levels, who goes on, what is fitted."""

from types import SimpleNamespace

import numpy as np
import pytest

from nas_lightning.predictors import extrapolation
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")
LONG = Fidelities("epochs", tuple(range(1, 41)))


class Inner:
    """Asks for numbers in turn and keeps what it is told."""

    def __init__(self):
        self.asked, self.told = 0, {}

    def ask(self):
        self.asked += 1
        return Trial(f"arch{self.asked}", 40)

    def tell(self, trial, measurement):
        self.told[trial.architecture] = (measurement.value, measurement.cost)


def made(fidelities=LONG, **settings):
    settings = {"inner": "random_search", **settings}
    algorithm = make_algorithm(
        "curve_extrapolation", SPACE, fidelities, 0, settings, single_fidelity=fidelities.is_single
    )
    algorithm.inner = Inner()
    return algorithm


def curve(algorithm, *values):
    """Tell the first points of one architecture; the trial that follows, if any."""
    trial = algorithm.ask()
    for value in values:
        algorithm.tell(trial, Measurement(value, 0.5))
        trial = algorithm._next.popleft() if algorithm._next else None
    return trial


def test_levels_are_spread_evenly_up_to_the_stop_and_end_with_the_whole():
    assert made(points=4).levels == (1, 3, 6, 8, 40)
    assert made(points=3, stop=0.1).levels == (1, 3, 4, 40)  # the middle of 1.5, rounded to even
    assert made(stop=0.05).levels == (1, 2, 40)
    assert made().levels == (1, 2, 3, 4, 5, 6, 7, 8, 40)
    assert made(stop=0.4).levels == (1, 3, 4, 6, 8, 9, 11, 13, 14, 16, 40)  # ten of sixteen, rounded to even
    assert made(Fidelities("epochs", (12,))).levels == (12,)
    assert made(Fidelities("epochs", (1, 2, 3, 4)), stop=0.75).levels == (1, 2, 3, 4)


def test_an_architecture_goes_on_if_it_is_among_the_better_half_so_far():
    algorithm = made(points=3, method="last", startup=6)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):  # six whole ones, whatever they promise
        trial = curve(algorithm, 0, 0, 0)
        assert (trial.fidelity, trial.resumed_from, trial.tag[1]) == (40, 8, 3)
        algorithm.tell(trial, Measurement(value, 1.0))
    assert algorithm._expected == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert curve(algorithm, 0, 0, 0.4).fidelity == 40  # two are better, three are at least as good: 3 < 7 / 2
    assert curve(algorithm, 0, 0, 0.3) is None  # 4 > 7 / 2
    assert algorithm.inner.told["arch8"] == (0.3, 0.5)
    assert algorithm._expected == [0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6]
    assert curve(algorithm, 0, 0, 0.35).fidelity == 40  # 3 < 8 / 2
    assert curve(algorithm, 0, 0, 0.3) is None


def test_what_has_failed_ends_at_once_and_counts_nowhere():
    algorithm = made(points=3, method="last")
    assert curve(algorithm, 0.1, -np.inf) is None
    assert algorithm.inner.told == {"arch1": (-np.inf, 0.5)}
    trial = curve(algorithm, 0.1, 0.2, 0.3)
    algorithm.tell(trial, Measurement(-np.inf, 1.0))
    assert (algorithm._expected, algorithm._whole) == ([], [])
    trial = curve(algorithm, 0.1, 0.2, 0.3)
    algorithm.tell(trial, Measurement(0.4, 1.0))
    assert (algorithm._expected, algorithm._whole) == ([0.4], [([0.1, 0.2, 0.3], 0.4)])
    assert not algorithm._curves
    assert not algorithm._trials


def test_families_are_fitted_to_points_of_equal_distance(monkeypatch):
    seen = []
    monkeypatch.setattr(extrapolation, "parametric_extrapolation", lambda *given: seen.append(given) or 0.75)
    assert made(points=4, method="families")._extrapolated([0.1, 0.3, 0.6, 0.8]) == 0.75
    dense, total = seen[0]
    np.testing.assert_allclose(dense, [0.1, 0.3, 0.5, 0.7])  # at epochs 1, 3, 5, 7
    assert total == 21  # 39 epochs on, in steps of two
    assert made(stop=0.05, method="families")._extrapolated([0.1, 0.3]) == 0.3  # two points are no curve


def test_the_regression_is_fitted_anew_for_a_fifth_more_curves(monkeypatch):
    fits = []

    def fitted(known, last, settings):
        fits.append((known.tolist(), last.tolist(), settings))
        return SimpleNamespace(predict=lambda curves: curves[:, 0] + 10 * len(last))

    monkeypatch.setattr(extrapolation, "fitted_svr", fitted)
    algorithm = made(points=3)
    algorithm._whole = [([i, i, i], i / 10) for i in range(10)]
    assert algorithm._extrapolated([1, 2, 3]) == 101
    algorithm._whole.append(([0, 0, 0], 0.0))
    assert algorithm._extrapolated([1, 2, 3]) == 101
    algorithm._whole.append(([0, 0, 0], 0.0))
    assert algorithm._extrapolated([1, 2, 3]) == 121
    assert [len(known) for known, *_ in fits] == [10, 12]
    assert fits[0] == ([[i, i, i] for i in range(10)], [i / 10 for i in range(10)], 20)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"stop": 0.99}, {"stop": 1.0}),
        ({"stop": 0.03}, {"stop": 0.0}),
        ({"keep": 1.0}, {"keep": 1.01}),
        ({"keep": 0.01}, {"keep": 0.0}),
        ({"points": 3}, {"points": 2}),
        ({"startup": 6}, {"startup": 5}),
    ],
)
def test_settings_at_and_beyond_their_bounds(right, wrong):
    made(**right)
    with pytest.raises(SearchError, match="needs stop between 0 and 1"):
        made(**wrong)


def test_what_is_not_set_is_as_the_page_says():
    algorithm = make_algorithm("curve_extrapolation", SPACE, LONG, 0)
    assert (algorithm.keep, algorithm.method, algorithm.startup) == (0.5, "svr", 10)
    assert type(algorithm.inner).__name__ == "RegularizedEvolution"
    for one in (algorithm, algorithm.inner):
        assert one.space is SPACE
        assert isinstance(one.rng, np.random.Generator)
    assert (algorithm.fidelities.full, algorithm.inner.fidelities.levels) == (40, (40,))
