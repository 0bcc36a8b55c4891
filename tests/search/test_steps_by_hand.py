"""Single steps of search algorithms, worked out beside them."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm, packaged_algorithms, settings_of
from nas_lightning.search.algorithms.dehb import _Population
from nas_lightning.search.algorithms.reinforce import Reinforce
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from tests.helpers.toy_space import ALL, GENES, ToySpace, make_objective, toy_value

FULL = Fidelities("epochs", (9,))


def made(name, fidelities=FULL, seed=0, **settings):
    return make_algorithm(name, ToySpace(), fidelities, seed, settings)


def tell(algorithm, genome, value):
    algorithm.tell(Trial(tuple(genome), 9, 0, tuple(genome)), Measurement(value, 1.0))


def test_asng_takes_its_first_step_by_hand():
    """θ = 1/3 everywhere; the better genome is 0000, the worse 1111: the gradient is +1 at choice 0, −1 at choice 1."""
    algorithm = made("asng", initial_step=0.3)
    np.testing.assert_allclose(algorithm.theta, 1 / 3)
    tell(algorithm, (0,) * 4, 0.9)
    np.testing.assert_allclose(algorithm.theta, 1 / 3)  # one sample of two is no step
    tell(algorithm, (1,) * 4, 0.1)
    norm = math.sqrt(GENES * (1 + 1) * 3)  # sum of d² / θ
    moved = 0.3 / norm
    np.testing.assert_allclose(algorithm.theta, np.tile([1 / 3 + moved, 1 / 3 - moved, 1 / 3], (GENES, 1)))
    beta = 0.3 / math.sqrt(GENES * 2)
    direction = math.sqrt(beta * (2 - beta)) * np.tile([1, -1, 0], (GENES, 1)) * math.sqrt(3) / norm
    np.testing.assert_allclose(algorithm._direction, direction)
    gamma = beta * (2 - beta)
    assert algorithm._gamma == pytest.approx(gamma)
    growth = beta * (gamma - float((direction**2).sum()) / 1.5)
    assert algorithm._delta == pytest.approx(0.3 * math.exp(-growth))
    before, delta = algorithm.theta.copy(), algorithm._delta
    tell(algorithm, (1,) * 4, 0.9)  # the opposite direction: the step shrinks
    tell(algorithm, (0,) * 4, 0.1)
    assert (algorithm.theta[:, 0] < before[:, 0]).all()
    beta2 = delta / math.sqrt(GENES * 2)
    assert algorithm._gamma == pytest.approx((1 - beta2) ** 2 * gamma + beta2 * (2 - beta2))
    assert algorithm._delta < delta


def test_asng_ranks_the_quarters_and_stands_still_where_all_are_equal():
    algorithm = made("asng", samples=8)
    genomes = [(i % 3, (i + 1) % 3, i // 3, 0) for i in range(8)]
    for genome in genomes:
        tell(algorithm, genome, 0.5)
    np.testing.assert_allclose(algorithm.theta, 1 / 3)
    values = [0.8, 0.7, 0.5, 0.5, 0.5, 0.5, 0.2, 0.1]
    for genome, value in zip(genomes, values, strict=True):
        tell(algorithm, genome, value)
    gradient = np.zeros((GENES, 3))
    for sign, two in ((1, genomes[:2]), (-1, genomes[6:])):
        for genome in two:
            gradient[np.arange(GENES), genome] += sign / 2
    norm = math.sqrt(float((gradient**2 * 3).sum()))
    expected = 1 / 3 + gradient / norm
    np.testing.assert_allclose(algorithm.theta, algorithm._bounded(expected))
    assert (algorithm.theta[gradient > 0] > 1 / 3).all()
    tell(algorithm, genomes[0], 0.8)
    assert algorithm._asked == 0
    assert len(algorithm._told) == 1


def test_asng_keeps_every_probability_above_its_floor():
    algorithm = made("asng")
    floor = 1 / (GENES * 2)
    bounded = algorithm._bounded(np.tile([1.2, -0.1, -0.1], (GENES, 1)))
    np.testing.assert_allclose(bounded, np.tile([1 - 2 * floor, floor, floor], (GENES, 1)))
    np.testing.assert_allclose(algorithm._bounded(np.full((GENES, 3), 1 / 3)), 1 / 3)
    for _ in range(200):
        trials = [algorithm.ask(), algorithm.ask()]
        assert algorithm.ask() is None  # both have to be told first
        for trial in trials:
            algorithm.tell(trial, Measurement(toy_value(trial.architecture), 1.0))
    np.testing.assert_allclose(algorithm.theta.sum(axis=1), 1)
    assert algorithm.theta.min() == pytest.approx(floor)
    assert (algorithm.theta.argmax(axis=1) == 1).all()


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"alpha": 0}, {"initial_step": 0}])
def test_settings_of_asng_that_make_no_sense_are_refused(wrong):
    made("asng", samples=2, alpha=0.1, initial_step=0.1)
    with pytest.raises(SearchError, match="asng needs"):
        made("asng", **wrong)


def test_pairwise_evolution_kills_the_worse_of_a_pair_and_mutates_the_better():
    algorithm = made("pairwise_evolution", population=3)
    first = [algorithm.ask().architecture for _ in range(3)]
    assert len(algorithm._living) == 0
    for arch, value in zip(first, (0.1, 0.9, 0.5), strict=True):
        algorithm.tell(Trial(arch, 9), Measurement(value, 1.0))
    child = algorithm.ask().architecture
    assert len(algorithm._living) == 2
    assert (0.9, first[1]) in algorithm._living  # the best loses against nobody
    left = {value for value, _ in algorithm._living}
    worse = ({0.1, 0.5} - left).pop()
    parents = [first[1]] if worse == 0.5 else [first[1], first[2]]
    assert any(child in ToySpace().neighbours(parent) for parent in parents)


def test_pairwise_evolution_draws_while_fewer_than_two_live_and_ends_at_the_top():
    algorithm = made("pairwise_evolution", population=2)
    assert len({algorithm.ask().architecture for _ in range(40)}) > 20  # nothing is told yet: random draws
    algorithm = made("pairwise_evolution", population=10, seed=1)
    for _ in range(300):
        trial = algorithm.ask()
        algorithm.tell(trial, Measurement(toy_value(trial.architecture), 1.0))
    values = [value for value, _ in algorithm._living]
    assert len(values) == 10
    assert np.mean(values) > 0.6  # of random draws 0.33
    with pytest.raises(SearchError, match=r"pairwise_evolution needs population >= 2"):
        made("pairwise_evolution", population=1)


def test_optuna_is_told_values_failures_and_what_else_is_minimised():
    pytest.importorskip("optuna")
    algorithm = made("optuna", sampler="nsga2", minimise=["params"])
    first, second = algorithm.ask(), algorithm.ask()
    algorithm.tell(second, Measurement(-np.inf, 1.0))
    algorithm.tell(first, Measurement(0.5, 1.0, {"params": 7.0}))
    trials = algorithm._study.get_trials()
    assert trials[0].values == [0.5, 7.0]
    assert tuple(trials[0].params.values()) == first.architecture
    assert trials[1].state.name == "FAIL"
    assert [d.name for d in algorithm._study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert made("optuna").measures == ()
    with pytest.raises(SearchError, match="choose one of tpe, gp, nsga2, nsga3"):
        made("optuna", sampler="random")


def test_optuna_learns_what_is_good():
    pytest.importorskip("optuna")
    algorithm = made("optuna")
    values = []
    for _ in range(60):
        trial = algorithm.ask()
        values.append(toy_value(trial.architecture))
        algorithm.tell(trial, Measurement(values[-1], 1.0))
    assert np.mean(values[-20:]) > np.mean(values[:10]) + 0.2
    assert algorithm.ask().fidelity == 9


def test_dehb_keeps_the_better_of_target_and_mutant():
    algorithm = made("dehb", make_objective().fidelities)
    population = algorithm._populations[0]
    for _ in range(9 + 3 + 1 + 5 + 1 + 3):  # the first round: 9 at 1, 3 at 3, 1 at 9; then brackets of 3 and 9
        trial = algorithm.ask()
        algorithm.tell(trial, Measurement(0.5, 1.0))
    assert len(population.values) == 9
    assert population.next == 0
    trial = algorithm.ask()
    assert (trial.fidelity, algorithm._pending[trial.tag][1]) == (1, 0)
    target = population.vectors[0].copy()
    algorithm.tell(trial, Measurement(0.4, 1.0))
    np.testing.assert_array_equal(population.vectors[0], target)  # worse: the target stays
    trial = algorithm.ask()
    vector = algorithm._pending[trial.tag][0]
    algorithm.tell(trial, Measurement(0.5, 1.0))  # equal: the mutant takes its place
    np.testing.assert_array_equal(population.vectors[1], vector)
    assert population.next == 2


def test_dehbs_parents_are_the_best_of_the_fidelity_below_and_at_a_brackets_start_the_population_itself(monkeypatch):
    algorithm, seen = made("dehb", make_objective().fidelities), []
    for _ in range(9 + 3 + 1 + 5 + 1 + 3):
        trial = algorithm.ask()
        algorithm.tell(trial, Measurement(algorithm.rng.random(), 1.0))
    monkeypatch.setattr(algorithm, "_mutant", lambda target, parents: seen.append(parents) or target)
    low, middle, high = algorithm._populations
    for _ in range(9 + 3 + 1 + 5 + 1 + 3):
        trial = algorithm.ask()
        below = {1: low.vectors, 3: low.best(3), 9: middle.best(3)}[trial.fidelity]
        start = {0: 1, 1: 3, 2: 9}[algorithm._start]
        expected = {1: low, 3: middle, 9: high}[start].vectors if trial.fidelity == start else below
        assert [id(vector) for vector in seen.pop()] == [id(vector) for vector in expected]
        algorithm.tell(trial, Measurement(algorithm.rng.random(), 1.0))


def test_dehb_promotes_the_best_of_a_rung_in_its_first_round():
    algorithm = made("dehb", make_objective().fidelities)
    trials = [algorithm.ask() for _ in range(9)]
    assert algorithm.ask() is None
    assert {t.fidelity for t in trials} == {1}
    for i, trial in enumerate(trials):
        algorithm.tell(trial, Measurement(0.1 * ((i * 4) % 9), 1.0))
    best = sorted(range(9), key=lambda i: -((i * 4) % 9))[:3]
    promoted = [algorithm.ask() for _ in range(3)]
    assert [t.architecture for t in promoted] == [trials[i].architecture for i in best]
    assert {(t.fidelity, t.resumed_from) for t in promoted} == {(3, 1)}


def test_dehbs_mutant_is_a_plus_half_the_difference_and_keeps_genes_of_its_target():
    algorithm = made("dehb", make_objective().fidelities, crossover=0.0, differential_weight=0.5)
    parents = [np.full(GENES, 0.2), np.full(GENES, 0.5), np.full(GENES, 0.6)]
    target = np.full(GENES, 0.9)
    possible = {round(float((a + 0.5 * (b - c))[0]), 12) for a in parents for b in parents for c in parents}
    for _ in range(50):
        mutant = algorithm._mutant(target, parents)
        changed = mutant != target
        assert changed.sum() == 1  # crossover 0: the one gene that always comes from the mutant
        assert round(float(mutant[changed][0]), 12) in possible
    algorithm = made("dehb", make_objective().fidelities, crossover=1.0)
    assert all((algorithm._mutant(target, parents) != target).all() for _ in range(20))
    assert all((algorithm._mutant(target, [np.full(GENES, 0.99)]) < 1).all() for _ in range(50))


def test_dehbs_best_are_the_highest_the_first_of_equals():
    population = _Population([np.array([i]) for i in range(4)], [0.1, 0.9, 0.9, 0.3])
    assert [int(v[0]) for v in population.best(3)] == [1, 2, 3]


def test_dehb_reads_a_gene_from_the_part_of_the_unit_interval_that_its_number_lies_in():
    algorithm = made("dehb", make_objective().fidelities)
    assert algorithm._architecture(np.array([0.0, 0.34, 0.67, 0.3])) == (0, 1, 2, 0)
    assert algorithm._architecture(np.array([0.999999, 0.5, 0.1, 1.0])) == (2, 1, 0, 2)
    assert algorithm._architecture(np.full(4, 0.9)) is None  # (2, 2, 2, 2) is not valid
    drawn = algorithm._valid(lambda: np.full(4, 0.9))
    assert algorithm._architecture(drawn) is not None
    with pytest.raises(SearchError, match="dehb needs"):
        made("dehb", make_objective().fidelities, crossover=1.1)
    with pytest.raises(SearchError, match="dehb needs"):
        made("dehb", make_objective().fidelities, differential_weight=0)


ELITES = {"minimise": ("params",), "bounds": (), "startup": 10, "candidates": 100, "trees": 30, "empty": 0.0}
DEFAULTS = {
    "acenas": {"rounds": 5, "portion": 10, "ranker": "lambdarank", "encoding": (), "top_share": 0.5, "pool": 4000},
    "anasod": {"initial": 10, "batch": 1, "pool": 1000},
    "asha": {"eta": 3},
    "asng": {"samples": 2, "alpha": 1.5, "initial_step": 1.0},
    "bananas": {"encoding": (), "initial": 10, "batch": 10, "mutants": 100, "parents": 10},
    "bohb": {
        "eta": 3,
        "random_fraction": 1 / 3,
        "candidates": 64,
        "good_share": 0.15,
        "min_bandwidth": 0.001,
        "bandwidth_factor": 3.0,
        "min_points": None,
    },
    "bop_elites": ELITES,
    "bop_elites_hb": {"eta": 3, **ELITES},
    "curve_extrapolation": {
        "inner": "regularized_evolution",
        "inner_settings": None,
        "stop": 0.2,
        "points": 10,
        "keep": 0.5,
        "method": "svr",
        "startup": 10,
    },
    "dehb": {"eta": 3, "differential_weight": 0.5, "crossover": 0.5},
    "hyperband": {"eta": 3},
    "local_search": {"accept": "first"},
    "npenas": {"ranker": "random_forest", "encoding": (), "initial": 10, "batch": 10, "mutants": 100, "parents": 10},
    "nsga2": {"population": 20, "minimise": ("params",), "crossover": 0.9},
    "optuna": {"sampler": "tpe", "minimise": ()},
    "pairwise_evolution": {"population": 20},
    "pnas": {"ranker": "gaussian_process", "encoding": (), "beam": None},
    "popnas": {"ranker": "gaussian_process", "encoding": (), "minimise": ("params",), "beam": None, "exploration": 4},
    "predictor_guided": {
        "ranker": "gaussian_process",
        "encoding": (),
        "acquisition": "expected_improvement",
        "initial": 10,
        "batch": 1,
        "pool": 1000,
        "mutants": 100,
        "parents": 5,
    },
    "qdhb": {"eta": 3, "minimise": ("params",), "bounds": ()},
    "random_search": {"unique": False},
    "random_search_ws": {"set_size": 1000, "keep": 10, "sets": 2},
    "regularized_evolution": {"population": 10, "sample": 3},
    "reinforce": {"learning_rate": 0.01, "baseline_momentum": 0.9},
    "successive_halving": {"configurations": None, "eta": 3},
}
"""What a search does that names the algorithm alone."""


@pytest.mark.parametrize("name", packaged_algorithms())
def test_the_defaults_of(name):
    assert {key: parameter.default for key, parameter in settings_of(name).items()} == DEFAULTS[name]


def test_nsga2_breeds_a_known_child_again_twenty_times_at_most(monkeypatch):
    algorithm, bred = made("nsga2", population=4), []
    algorithm._parents, algorithm._known = [((0,) * 4, np.zeros(2))], {"known"}
    monkeypatch.setattr(algorithm, "_breed", lambda: bred.append(0) or "known")
    assert algorithm.ask().architecture == "known"
    assert len(bred) == 20
    monkeypatch.setattr(algorithm, "_breed", lambda: bred.append(0) or ("new" if len(bred) == 23 else "known"))
    assert (algorithm.ask().architecture, len(bred)) == ("new", 23)
    algorithm.ask()
    assert algorithm.ask() is not None
    assert algorithm.ask() is None, "four are asked of a generation"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("acenas", [{"rounds": 1, "top_share": 0.0}, {"top_share": 1.0}],
         [{"rounds": 0}, {"top_share": -0.01}, {"top_share": 1.01}]),
        ("asng", [{"samples": 2, "alpha": 0.01, "initial_step": 0.01}],
         [{"samples": 1}, {"alpha": 0.0}, {"initial_step": 0.0}]),
        ("bohb", [{"random_fraction": 0.0, "good_share": 0.01, "candidates": 1},
                  {"random_fraction": 1.0, "good_share": 0.99, "min_bandwidth": 0.01, "bandwidth_factor": 0.01}],
         [{"random_fraction": -0.01}, {"random_fraction": 1.01}, {"good_share": 0.0}, {"good_share": 1.0},
          {"candidates": 0}, {"min_bandwidth": 0.0}, {"bandwidth_factor": 0.0}]),
        ("nsga2", [{"population": 2, "crossover": 0.0}, {"crossover": 1.0}],
         [{"population": 1}, {"crossover": -0.01}, {"crossover": 1.01}, {"minimise": ()}]),
        ("pairwise_evolution", [{"population": 2}], [{"population": 1}]),
        ("predictor_guided", [{"mutants": 0, "parents": 1}], [{"mutants": -1}, {"parents": 0}]),
        ("random_search_ws", [{"keep": 1, "set_size": 1, "sets": 1}],
         [{"keep": 0}, {"keep": 3, "set_size": 2}, {"sets": 0}]),
        ("regularized_evolution", [{"population": 1, "sample": 1}], [{"population": 0}, {"sample": 0}]),
        ("reinforce", [{"learning_rate": 0.01, "baseline_momentum": 0.0}, {"baseline_momentum": 0.99}],
         [{"learning_rate": 0.0}, {"baseline_momentum": -0.01}, {"baseline_momentum": 1.0}]),
    ],
)  # fmt: skip
def test_settings_at_and_beyond_their_bounds(name, right, wrong):
    fidelities = make_objective().fidelities
    for settings in right:
        made(name, fidelities, **settings)
    for settings in wrong:
        with pytest.raises(SearchError, match=f"{name} needs"):
            made(name, fidelities, **settings)


def told(algorithm, value):
    trial = algorithm.ask()
    algorithm.tell(trial, Measurement(value, 1.0))
    return trial


def test_evolution_mutates_once_its_first_population_is_complete(monkeypatch):
    monkeypatch.setattr(ToySpace, "mutate", lambda self, arch, rng: ("mutant of", arch))
    for given in (0, 2):
        algorithm = made("regularized_evolution", population=4, sample=20)
        for number in range(given):
            algorithm.learn(Trial((0, 0, 0, number), 9), Measurement(0.1 * number, 1.0))
        first = [told(algorithm, 0.5 + 0.1 * number).architecture for number in range(4 - given)]
        assert all(arch in ALL for arch in first)
        assert algorithm.ask().architecture == ("mutant of", first[-1]), "of twenty draws one is the best"


def test_pairwise_evolution_needs_no_more_than_a_pair():
    algorithm = made("pairwise_evolution", population=2)
    for value in (0.2, 0.1):
        told(algorithm, value)
    assert algorithm.ask().architecture in ToySpace().neighbours(algorithm._living[0][1])
    assert [value for value, _ in algorithm._living] == [0.2]


def test_random_search_draws_encodings_unless_classes_are_asked_for(monkeypatch):
    monkeypatch.setattr(ToySpace, "sample_unique", lambda self, rng: "a class")
    monkeypatch.setattr(ToySpace, "sample", lambda self, rng: "an encoding")
    assert made("random_search").ask().architecture == "an encoding"
    assert made("random_search", unique=True).ask().architecture == "a class"


def test_trials_of_a_set_are_numbered_and_its_best_are_evaluated_in_full():
    algorithm = made("random_search_ws", make_objective().fidelities, set_size=3, keep=2, sets=2)
    for number in range(2):
        screened = [told(algorithm, value) for value in (0.1, 0.9, 0.9)]
        finalists = [told(algorithm, 0.5) for _ in range(2)]
        assert [t.tag for t in screened + finalists] == [
            *((number, 0, slot) for slot in range(3)), *((number, 1, slot) for slot in range(2)),
        ]  # fmt: skip
        assert [t.architecture for t in finalists] == [t.architecture for t in screened[1:]]
        assert {t.fidelity for t in finalists} == {9}
    assert algorithm.ask() is None


def test_local_search_that_takes_the_best_waits_for_every_neighbour():
    algorithm = made("local_search", accept="best")
    start = told(algorithm, 0.5).architecture
    neighbours = [algorithm.ask() for _ in ToySpace().neighbours(start)]
    assert algorithm.ask() is None
    algorithm.tell(neighbours[0], Measurement(0.6, 1.0))
    assert algorithm._here == start
    for trial in neighbours[2:]:
        algorithm.tell(trial, Measurement(0.4, 1.0))
    assert algorithm._here == start
    algorithm.tell(neighbours[1], Measurement(0.7, 1.0))
    assert algorithm._here == neighbours[1].architecture


def test_optuna_knows_which_genes_are_ordered(monkeypatch):
    optuna = pytest.importorskip("optuna")
    monkeypatch.setattr(ToySpace, "ordered_genes", (True, False, False, True), raising=False)
    kinds = made("optuna")._genes
    assert kinds["gene0"] == kinds["gene3"] == optuna.distributions.IntDistribution(0, 2)
    assert kinds["gene1"] == kinds["gene2"] == optuna.distributions.CategoricalDistribution((0, 1, 2))


def test_successive_halving_keeps_a_third_of_what_it_starts_with():
    fidelities = make_objective().fidelities
    assert made("successive_halving", fidelities).plan_bracket(0) == ((9, 3, 1), (1, 3, 9))
    assert made("successive_halving", fidelities, configurations=20).plan_bracket(5) == ((20, 6, 2), (1, 3, 9))
    assert made("successive_halving", fidelities, configurations=1).plan_bracket(0) == ((1, 1, 1), (1, 3, 9))
    with pytest.raises(SearchError, match="at least one configuration, got 0"):
        made("successive_halving", fidelities, configurations=0)


def test_bohb_models_from_as_many_points_as_are_asked_for():
    fidelities = make_objective().fidelities
    assert made("bohb", fidelities).min_points == GENES + 1
    assert made("bohb", fidelities, min_points=1).min_points == 1
    with pytest.raises(SearchError, match="min_points=0"):
        made("bohb", fidelities, min_points=0)


def test_reinforce_starts_almost_uniform_and_knows_no_choice_that_is_none():
    space = SimpleNamespace(cardinalities=(3, 2))
    rng = SimpleNamespace(standard_normal=lambda shape: np.arange(6.0).reshape(shape))
    algorithm = Reinforce(space, rng, FULL)
    np.testing.assert_allclose(algorithm.logits, [[0, 0.001, 0.002], [0.003, 0.004, -np.inf]])
    odds = math.exp(0.001)
    np.testing.assert_allclose(algorithm.policy[1], [1 / (1 + odds), odds / (1 + odds), 0])
    np.testing.assert_allclose(algorithm.policy[0] / algorithm.policy[0, 0], [1, odds, odds**2])
