"""Given architectures come first, count like any other, are learned of, and are named before anything is written."""

import json

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.candidates import WithCandidates
from nas_lightning.search.engine import Search
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.search.trial import Measurement, SearchError, Trial
from tests.helpers.toy_space import make_objective, toy_value

GIVEN = ("1110", "2111", "0000")
ARCHS = [tuple(map(int, text)) for text in GIVEN]


def searched(name="regularized_evolution", parallel=1, **settings):
    objective = make_objective((9,))
    inner = make_algorithm(name, objective.space, objective.fidelities, seed=3, settings=settings)
    search = Search(WithCandidates(inner, ARCHS), objective, Budget("evaluations", 12), parallel=parallel)
    return search.run(), inner


@pytest.mark.parametrize("parallel", [1, 2, 5])
def test_they_are_evaluated_first_in_full_and_in_their_order(parallel):
    records, _ = searched(parallel=parallel)
    assert [r.trial.architecture for r in records[:3]] == ARCHS
    assert {r.trial.fidelity for r in records[:3]} == {9}
    assert [r.measurement.value for r in records[:3]] == [toy_value(arch) for arch in ARCHS]
    assert (len(records), records[-1].spent) == (12, 12)


def test_evolution_counts_them_into_its_first_population():
    records, _ = searched(population=3)
    near = [[sum(a != b for a, b in zip(arch, r.trial.architecture, strict=True)) for arch in ARCHS] for r in records]
    assert min(near[3]) == 1  # a child of one of them, where evolution alone would still draw at random


def test_local_search_climbs_from_the_best_of_them():
    records, _ = searched("local_search", accept="first")
    best = max(ARCHS, key=toy_value)
    assert sum(a != b for a, b in zip(best, records[3].trial.architecture, strict=True)) == 1


def test_a_ranker_has_them_as_labels_and_does_not_measure_them_twice():
    records, inner = searched("predictor_guided", initial=4, batch=2)
    told = {key: value for key, _, value in inner._told}
    assert {text: told[text] for text in GIVEN} == {
        text: toy_value(arch) for text, arch in zip(GIVEN, ARCHS, strict=True)
    }
    assert len({r.trial.architecture for r in records}) == len(records)


def test_an_algorithm_that_starts_from_nothing_searches_as_without_them():
    records, _ = searched("random_search")
    objective = make_objective((9,))
    alone = make_algorithm("random_search", objective.space, objective.fidelities, seed=3)
    without = Search(alone, objective, Budget("evaluations", 9)).run()
    assert [r.trial.architecture for r in records[3:]] == [r.trial.architecture for r in without]


def run(folder, candidates=GIVEN, amount=8, objective=None):
    plan = SearchPlan("regularized_evolution", Budget("evaluations", amount), top_k=2, candidates=candidates)
    return run_search(plan, objective or make_objective((9,)), folder, progress=False)


def test_they_are_on_record_and_make_another_run(tmp_path):
    result, folder, _ = run(tmp_path)
    assert json.loads((folder / "result.json").read_text())["candidates"] == list(GIVEN)
    plain, other, _ = run(tmp_path, ())
    assert "candidates" not in plain
    assert len({folder, other, run(tmp_path, GIVEN[:2])[1]}) == 3
    assert result["metrics"]["found"]["truth"] >= max(map(toy_value, ARCHS))


def test_a_resumed_search_ends_alike(tmp_path):
    _, whole, _ = run(tmp_path / "whole")
    cut, seen = make_objective((9,)), []
    evaluate = cut._evaluate

    def once(trial):
        seen.append(trial)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return evaluate(trial)

    cut._evaluate = once
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", objective=cut)
    _, again, _ = run(tmp_path / "cut")
    assert (again / "search.csv").read_bytes() == (whole / "search.csv").read_bytes()


def test_what_leaves_no_budget_or_has_no_value_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SearchError, match="3 candidates leave nothing of a budget of 3 evaluations"):
        run(tmp_path, amount=3)
    objective = make_objective((9,))
    find = objective._find

    def lacking(arch):
        if arch == (2, 1, 1, 1):
            raise ValueError("it is not in the table")
        return find(arch)

    objective._find = lacking
    with pytest.raises(SearchError, match="candidate 2111 has no value here: it is not in the table"):
        run(tmp_path, objective=objective)
    assert not list(tmp_path.iterdir())


def test_the_rest_of_the_budget_is_planned_by_the_algorithm():
    objective, fitted = make_objective((9,)), []
    inner = make_algorithm("random_search", objective.space, objective.fidelities, seed=0)
    inner.fit_budget = lambda budget: fitted.append(budget.amount)
    WithCandidates(inner, ARCHS).fit_budget(Budget("evaluations", 10))
    WithCandidates(inner, ARCHS).fit_budget(Budget("seconds", 10))
    assert fitted == [7, 10]


def test_the_default_learns_nothing():
    objective = make_objective((9,))
    inner = make_algorithm("random_search", objective.space, objective.fidelities, seed=0)
    before = inner.rng.bit_generator.state
    inner.learn(Trial(ARCHS[0], 9), Measurement(0.5, 1.0))
    assert inner.rng.bit_generator.state == before
    assert np.isfinite(toy_value(inner.ask().architecture))


def test_the_algorithm_hears_what_it_optimises():
    objective, heard = make_objective((9,)), []
    inner = make_algorithm("random_search", objective.space, objective.fidelities, seed=0)
    inner.name_values = heard.extend
    WithCandidates(inner, ARCHS).name_values(["accuracy"])
    assert heard == ["accuracy"]
