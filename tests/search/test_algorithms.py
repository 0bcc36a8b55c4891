"""What each algorithm does, on a space of 80 architectures whose optimum is known."""

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm, packaged_algorithms, settings_of
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.pareto import pareto_front
from nas_lightning.search.trial import Measurement, SearchError
from tests.helpers.toy_space import ALL, make_objective, toy_value


def run(name, objective, seed=0, amount=60, **settings):
    algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, settings)
    return algorithm, Search(algorithm, objective, Budget("evaluations", amount)).run()


@pytest.mark.parametrize("name", packaged_algorithms())
def test_every_algorithm_cites_its_source_and_describes_its_settings(name):
    algorithm = make_algorithm(name, make_objective().space, make_objective().fidelities, 0)
    module = __import__(type(algorithm).__module__, fromlist=["x"])
    assert any(year in module.__doc__ for year in ("199", "200", "201", "202", "arXiv 19"))
    for setting in settings_of(name):
        assert f"{setting}:" in type(algorithm).__doc__


def test_unknown_names_list_the_known(single):
    with pytest.raises(SearchError, match="choose one of acenas, "):
        make_algorithm("annealing", single.space, single.fidelities, 0)
    with pytest.raises(SearchError, match="has no setting 'populaton': did you mean population"):
        make_algorithm("regularized_evolution", single.space, single.fidelities, 0, {"populaton": 3})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("regularized_evolution", {"population": 0}),
        ("local_search", {"accept": "any"}),
        ("reinforce", {"learning_rate": 0}),
        ("nsga2", {"minimise": ()}),
        ("bohb", {"good_share": 1.0}),
        ("random_search_ws", {"keep": 0}),
        ("hyperband", {"eta": 1}),
    ],
)
def test_settings_that_make_no_sense_are_refused(objective, name, settings):
    with pytest.raises(SearchError):
        make_algorithm(name, objective.space, objective.fidelities, 0, settings)


def test_random_search_is_uniform(single):
    _, records = run("random_search", single, amount=16_000)
    counts = np.bincount([ALL.index(r.trial.architecture) for r in records], minlength=80)
    assert 80 - 5 * np.sqrt(158) < ((counts - 200) ** 2 / 200).sum() < 79 + 5 * np.sqrt(158)  # chi-square, 79 d.o.f.


def test_evolution_mutates_the_tournament_winner_and_the_oldest_dies(single):
    settings = {"population": 3, "sample": 50}
    algorithm = make_algorithm("regularized_evolution", single.space, single.fidelities, 0, settings)
    for arch, value in (((0, 0, 0, 0), 0.9), ((1, 1, 1, 1), 0.5), ((2, 2, 2, 0), 0.1)):
        trial = algorithm.ask()
        algorithm.tell(trial._replace(architecture=arch), Measurement(value, 1.0))
    child = algorithm.ask().architecture  # 50 draws out of three: the best takes part
    assert sum(a != b for a, b in zip(child, (0, 0, 0, 0), strict=True)) == 1
    algorithm.tell(algorithm.ask()._replace(architecture=(1, 0, 2, 0)), Measurement(0.2, 1.0))
    child = algorithm.ask().architecture  # (0, 0, 0, 0) was the oldest, best or not
    assert sum(a != b for a, b in zip(child, (1, 1, 1, 1), strict=True)) == 1


@pytest.mark.parametrize("accept", ["best", "first"])
def test_local_search_climbs_to_the_optimum_and_starts_anew(single, accept):
    """Eight neighbours each; separable, so that every climb ends at the optimum; nothing but restarts repeats."""
    algorithm, records = run("local_search", single, amount=79, accept=accept)
    assert (1, 1, 1, 1) in [r.trial.architecture for r in records[: 1 + 4 * 8 + 8]]
    assert algorithm._known[(1, 1, 1, 1)] == 1.0
    optimum = next(i for i, r in enumerate(records) if r.trial.architecture == (1, 1, 1, 1))
    climbed = [r.trial.architecture for r in records[: optimum + 1]]
    assert len(set(climbed)) == len(climbed)


def test_local_search_by_hand(single):
    """From (0, 0, 0, 0) all neighbours with one gene at 1 are equally good: the move goes to the first told."""
    algorithm = make_algorithm("local_search", single.space, single.fidelities, 0, {"accept": "best"})
    start = algorithm.ask()._replace(architecture=(0, 0, 0, 0))
    algorithm.tell(start, Measurement(toy_value((0, 0, 0, 0)), 1.0))
    first = [algorithm.ask() for _ in range(8)]
    assert {t.architecture for t in first} == set(single.space.neighbours((0, 0, 0, 0)))
    assert algorithm.ask() is None
    for trial in first:
        algorithm.tell(trial, Measurement(toy_value(trial.architecture), 1.0))
    here = next(t.architecture for t in first if 1 in t.architecture)
    second = algorithm.ask().architecture
    assert second in single.space.neighbours(here)
    assert second not in {t.architecture for t in first}


def test_local_search_takes_the_first_better_neighbour_and_forgets_the_others(single):
    algorithm = make_algorithm("local_search", single.space, single.fidelities, 0)
    algorithm.tell(algorithm.ask()._replace(architecture=(0, 0, 0, 0)), Measurement(0.5, 1.0))
    worse, better = algorithm.ask(), algorithm.ask()
    algorithm.tell(worse, Measurement(0.4, 1.0))
    algorithm.tell(better, Measurement(0.6, 1.0))
    following = [algorithm.ask().architecture for _ in range(4)]
    assert set(following) <= set(single.space.neighbours(better.architecture)) - {(0, 0, 0, 0), worse.architecture}


def test_reinforce_moves_probability_to_what_is_rewarded(single):
    algorithm, _ = run("reinforce", single, amount=1500, learning_rate=0.05)
    np.testing.assert_allclose(algorithm.policy.sum(axis=1), 1)
    assert (algorithm.policy[:, 1] > 0.8).all()


def test_reinforce_takes_adams_first_step_by_hand(single):
    """Baseline after one reward equals the reward: no step. The second reward is above it: a step of one rate each."""
    algorithm = make_algorithm("reinforce", single.space, single.fidelities, 0, {"learning_rate": 0.1})
    start = algorithm.logits.copy()
    trial = algorithm.ask()
    algorithm.tell(trial, Measurement(0.5, 1.0))
    np.testing.assert_array_equal(algorithm.logits, start)
    algorithm.tell(trial, Measurement(0.9, 1.0))
    moved = algorithm.logits - start
    chosen = np.zeros_like(moved, bool)
    chosen[np.arange(4), trial.tag] = True
    assert (moved[chosen] > 0).all()
    assert (moved[~chosen] < 0).all()
    # Adam after a zero and a non-zero gradient g: 0.1 * (0.1 g / 0.19) / sqrt(0.001 g² / 0.001999)
    np.testing.assert_allclose(np.abs(moved), 0.1 * (0.1 / 0.19) / np.sqrt(0.001 / 0.001999), rtol=1e-4)


def test_bohb_samples_near_the_good(single):
    """Told every architecture once, it proposes what is made of the genes of the best twelve."""
    algorithm = make_algorithm(
        "bohb", single.space, single.fidelities, 0, {"random_fraction": 0.0, "candidates": 8}, single_fidelity=True
    )
    for arch in ALL:
        algorithm.tell(algorithm.ask()._replace(architecture=arch), Measurement(toy_value(arch), 1.0))
    drawn = [toy_value(algorithm.draw()) for _ in range(200)]
    assert np.mean(drawn) > np.mean([toy_value(arch) for arch in ALL]) + 0.4
    algorithm.random_fraction = 1.0
    drawn = [toy_value(algorithm.draw()) for _ in range(200)]
    assert abs(np.mean(drawn) - np.mean([toy_value(arch) for arch in ALL])) < 0.1


def test_bohb_models_the_highest_fidelity_with_enough_points(objective):
    algorithm = make_algorithm("bohb", objective.space, objective.fidelities, 0, {"min_points": 2})
    for _ in range(9 + 3):
        trial = algorithm.ask()
        algorithm.tell(trial, Measurement(0.5, 1.0))
    assert len(algorithm._genomes[1]) == 9
    assert len(algorithm._genomes[3]) == 3
    assert sorted(map(tuple, algorithm._fit()[1].data)) != []
    assert len(algorithm._fit()[0].data) + len(algorithm._fit()[1].data) >= 9  # three at fidelity 3 are not enough
    for _ in range(1 + 5 + 1):  # the rest of this bracket, then one that starts at 3
        trial = algorithm.ask()
        algorithm.tell(trial, Measurement(0.5, 1.0))
    assert len(algorithm._genomes[3]) >= 4
    assert len(algorithm._fit()[0].data) == 2


@pytest.mark.slow
def test_nsga2_finds_the_front(objective):
    """Value peaks at (1, 1, 1, 1) with 4 "params": the front trades genes at 1 for genes at 0."""
    algorithm, records = run("nsga2", objective, amount=400, population=12)
    points = np.array([[-toy_value(arch), sum(arch)] for arch in ALL])
    best = {tuple(p) for p in points[pareto_front(points)]}
    found = {(-r.measurement.value, r.measurement.measures["params"]) for r in records}
    assert best <= found
    assert best == {(-1.0, 4.0), (-0.75, 3.0), (-0.5, 2.0), (-0.25, 1.0), (0.0, 0.0)}
    generation = {tuple(point) for _, point in algorithm._parents}
    assert best <= generation


def test_evolution_and_local_search_beat_random_search_here():
    objective = make_objective((9,))
    best = {
        name: np.mean([max(r.measurement.value for r in run(name, objective, seed, 25)[1]) for seed in range(40)])
        for name in ("random_search", "regularized_evolution", "local_search")
    }
    assert best["regularized_evolution"] > best["random_search"]
    assert best["local_search"] > best["random_search"]


def test_a_set_that_the_budget_cannot_pay_for_is_cut_and_noted(objective):
    algorithm = make_algorithm("random_search_ws", objective.space, objective.fidelities, 0)
    algorithm.fit_budget(Budget("evaluations", 30))
    assert (algorithm.set_size, algorithm.keep) == ((30 - 10) * 9, 10)
    assert "cut to 180" in algorithm.notes[0]
    records = Search(algorithm, objective, Budget("evaluations", 30)).run()
    assert [r.trial.fidelity for r in records] == [1] * 180 + [9] * 10
