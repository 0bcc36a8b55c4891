"""What searches that learn a ranker choose, with the predictions given: no ranker is fitted here."""

from types import SimpleNamespace

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.weak_labels import WeakLabels
from tests.helpers.toy_space import ALL, ToySpace, make_objective

SPACE = ToySpace()


def made(name, **settings):
    found = make_algorithm(name, SPACE, make_objective().fidelities, 0, settings)
    found.best_prediction = 0.0
    return found


def normal(*values):
    return SimpleNamespace(standard_normal=lambda n: np.array(values)[:n])


def test_anasod_takes_the_largest_gain_and_chance_decides_among_gains_equal_to_nine_decimals():
    algorithm = made("anasod")
    # The gain of (5, 0) is 5, that of (0, 5) is 5 / sqrt(2 pi), about 2.
    assert algorithm.choose(np.array([5.0, 0.0]), np.array([0.0, 5.0]), 2) == [0, 1]
    for difference, firsts in ((4e-10, {0, 1}), (6e-10, {1})):
        mean = np.array([5.0, 5.0 + difference, 1.0])
        assert {algorithm.choose(mean, np.zeros(3), 1)[0] for _ in range(40)} == firsts


def test_draws_of_predictions_decide_in_bananas_means_alone_in_npenas():
    mean, deviation = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.1])
    algorithm = made("bananas")
    algorithm.rng = normal(3.0, 0.0, -5.0)  # 3, 1 and 1.5
    assert algorithm.choose(mean, deviation, 2) == [0, 2]
    assert made("npenas").choose(mean, deviation, 2) == [2, 1]


def test_the_three_acquisitions_of_a_guided_search():
    mean, deviation = np.array([0.5, 0.0, 0.4]), np.array([0.0, 2.0, 0.1])
    assert made("predictor_guided", acquisition="mean").choose(mean, deviation, 2) == [0, 2]
    # Gains over 0: 0.5; 2 / sqrt(2 pi) = 0.8; a bit above 0.4.
    assert made("predictor_guided").choose(mean, deviation, 3) == [1, 0, 2]
    thompson = made("predictor_guided", acquisition="thompson")
    thompson.rng = normal(9.0, 0.1, 2.0)  # 0.5, 0.2 and 0.6
    assert thompson.choose(mean, deviation, 2) == [2, 0]


def test_a_guided_search_starts_with_the_best_by_weak_labels_and_as_many_others():
    algorithm, asked = made("predictor_guided", initial=5), []
    algorithm.random_places = lambda places, n: asked.append((places.tolist(), n)) or [99] * n
    assert algorithm.first_round(np.arange(6)) == [99] * 5
    algorithm._weak = SimpleNamespace(vote=lambda: np.array([0.0, 9.0, 1.0, 8.0, 2.0, 7.0]))
    assert algorithm.first_round(np.arange(6)) == [1, 3, 99, 99, 99]
    assert asked == [(list(range(6)), 5), ([0, 2, 4, 5], 3)]


@pytest.mark.parametrize(("share", "top"), [(0.5, [1, 3]), (0.0, []), (1.0, [1, 3, 5, 4]), (0.3, [1])])
def test_acenas_takes_its_share_from_the_top_and_the_rest_from_the_others(share, top):
    algorithm = made("acenas", top_share=share)
    algorithm.initial, scores = 4, np.array([0.0, 9.0, 1.0, 8.0, 2.0, 7.0])
    algorithm.random_places = lambda places, n: [f"{n} of", places.tolist()]
    others = [i for i in range(6) if i not in top]
    assert algorithm.choose(scores, np.zeros(6), 4) == [*top, f"{4 - len(top)} of", others]
    algorithm._weak = SimpleNamespace(vote=lambda: scores[[0, 1, 2, 3, 4, 5]])
    assert algorithm.first_round(np.arange(6)) == [*top, f"{4 - len(top)} of", others]
    algorithm._weak = None
    assert algorithm.first_round(np.arange(6)) == ["4 of", list(range(6))], "nothing is known: all at random"


@pytest.mark.parametrize(
    ("unit", "amount", "portion", "notes"),
    [("evaluations", 50, 10, 0), ("evaluations", 49, 9, 0), ("evaluations", 20, 4, 0), ("evaluations", 19, 4, 1),
     ("seconds", 1000, 7, 0)],
)  # fmt: skip
def test_acenas_cuts_evaluations_into_rounds(unit, amount, portion, notes):
    algorithm = made("acenas", portion=7)
    algorithm.fit_budget(Budget(unit, amount))
    assert (algorithm.initial, algorithm.batch, len(algorithm.notes)) == (portion, portion, notes)
    assert algorithm.minimum == 4


def test_bananas_looks_at_new_mutants_of_its_best(monkeypatch):
    algorithm, parents = made("bananas", parents=2, mutants=3), set()
    algorithm.take_weak_labels(WeakLabels(ALL, {"net": np.arange(80.0)}))  # all candidates are known
    algorithm._prepare()
    assert len(algorithm.open_candidates()) == len(ALL)
    for place, value in ((7, 0.2), (8, 0.9), (9, 0.5), (10, 0.1)):
        key = algorithm._keys[place]
        algorithm._told.append((key, algorithm._candidates[place], value))
        algorithm._asked.add(key)
    drawn = iter([9, 3, 3, 1, 2, 0] * 9)

    def mutate(parent, rng):
        parents.add(parent)
        return algorithm._candidates[next(drawn)]

    monkeypatch.setattr(algorithm.space, "mutate", mutate)
    assert algorithm.open_candidates().tolist() == [1, 2, 3]  # 9 is known, and 0 is one too many
    assert next(drawn) == 0
    for _ in range(3):
        algorithm.open_candidates()
    assert parents == {algorithm._candidates[8], algorithm._candidates[9]}
    monkeypatch.setattr(algorithm.space, "mutate", lambda parent, rng: algorithm._candidates[9])
    assert len(algorithm.open_candidates()) == len(ALL) - 4, "no new mutant: whatever is open"


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("acenas", {"portion": 6, "pool": 50, "ranker": "ridge", "encoding": ("one_hot",)},
         {"initial": 6, "batch": 6, "pool": 50, "ranker": "ridge", "encoding": ("one_hot",), "deviation": False}),
        ("anasod", {"initial": 6, "batch": 3, "pool": 50},
         {"initial": 6, "batch": 3, "pool": 50, "ranker": "gaussian_process", "encoding": ("operations",),
          "deviation": True}),
        ("bananas", {"initial": 6, "batch": 3, "mutants": 20, "parents": 4, "encoding": ("one_hot",)},
         {"initial": 6, "batch": 3, "pool": 6, "ranker": "mlp", "encoding": ("one_hot",), "deviation": True,
          "mutants": 20, "parents": 4}),
        ("npenas", {"initial": 6, "batch": 3, "mutants": 20, "parents": 4, "encoding": ("one_hot",), "ranker": "ridge"},
         {"initial": 6, "batch": 3, "pool": 6, "ranker": "ridge", "encoding": ("one_hot",), "deviation": False,
          "mutants": 20, "parents": 4}),
        ("predictor_guided", {"initial": 6, "batch": 3, "pool": 50, "mutants": 20, "parents": 4},
         {"initial": 6, "batch": 3, "pool": 50, "ranker": "gaussian_process", "encoding": (), "deviation": True,
          "mutants": 20, "parents": 4}),
        ("predictor_guided", {"acquisition": "mean"}, {"deviation": False}),
    ],
)  # fmt: skip
def test_settings_arrive(name, settings, expected):
    algorithm = made(name, **settings)
    assert {key: getattr(algorithm, key) for key in expected} == expected
    trial = algorithm.ask()
    assert (trial.architecture in ALL, trial.fidelity) == (True, algorithm.fidelities.full)


def test_bananas_draws_afresh_where_all_neighbours_have_been_measured(monkeypatch):
    algorithm = made("bananas", initial=4, batch=3)
    algorithm._prepare()
    for key, arch in zip(algorithm._keys, algorithm._candidates, strict=True):
        algorithm._told.append((key, arch, 0.5))
        algorithm._asked.add(key)
    monkeypatch.setattr(algorithm.space, "mutate", lambda parent, rng: parent)
    assert algorithm.open_candidates().tolist() == [4, 5, 6]


def test_a_guided_search_grows_mutants_of_its_best_before_it_looks(monkeypatch):
    algorithm, asked = made("predictor_guided", mutants=7, parents=2), []
    monkeypatch.setattr(algorithm, "mutate_the_best", lambda *given: asked.append(given))
    monkeypatch.setattr("nas_lightning.search.predictor_search.PredictorSearch.next_round", lambda self: asked)
    assert algorithm.next_round() == [(2, 7)]
