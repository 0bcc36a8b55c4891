"""The end of a search, and the run folder it leaves."""

import csv
import json
import warnings

import numpy as np
import pytest

from nas_lightning.runs.files import RunError
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Record
from nas_lightning.search.journal import Journal
from nas_lightning.search.outcome import conclude, incumbents, random_baseline, random_draws, top_k
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.search.summary import read_results, summarise
from nas_lightning.search.trial import Measurement, SearchError, Trial
from tests.helpers.toy_space import ALL, make_objective, toy_value


def records(*entries):
    """(architecture, fidelity, value) triples as records of cost 1."""
    return [
        Record(i, Trial(arch, fidelity), Measurement(value, 1.0), float(i + 1))
        for i, (arch, fidelity, value) in enumerate(entries)
    ]


A, B, C, D = (0, 0, 0, 0), (1, 1, 1, 1), (1, 1, 1, 0), (2, 0, 0, 0)


def test_incumbents_trust_the_higher_fidelity():
    path = incumbents(records((A, 1, 0.9), (B, 1, 0.95), (C, 3, 0.5), (D, 1, 0.99), (A, 3, 0.5), (B, 3, 0.6)))
    assert path == [0, 1, 2, 2, 2, 5]


def test_top_k_is_distinct_and_leaves_failures_out(objective):
    best = top_k(records((A, 9, 0.2), (B, 9, 0.8), (B, 9, 0.8), (C, 1, 0.9), (D, 9, float("-inf"))), objective, 10)
    assert [(r.trial.architecture, r.number) for r in best] == [(B, 1), (A, 0), (C, 3)]


def test_conclusion_by_hand(objective):
    metrics, truths = conclude(records((A, 9, 0.2), (C, 9, 0.3), (B, 1, 0.9)), objective, 2)
    assert truths.tolist() == [toy_value(A), toy_value(C), toy_value(C)]
    assert metrics["found"] == {
        "architecture": "1110", "key": "1110", "objective": 0.3, "fidelity": 9, "truth": 0.75, "evaluation": 2,
    }  # fmt: skip
    assert metrics["final_search_performance"] == {"mean": 0.375, "std": 0.375, "best": 0.75, "k": 2, "known": 2}
    better = sum(toy_value(arch) > 0.75 for arch in ALL)
    assert metrics["probability_beats_random"] == {
        "probability": pytest.approx((1 - better / 80) ** 2), "n": 2, "table_size": 80, "better": better,
    }  # fmt: skip


def test_expected_best_of_blind_draws_is_the_mean_over_all_pairs():
    table = np.array([0.1, 0.4, np.nan, 0.4, 0.9])
    known = [0.1, 0.4, 0.4, 0.9]
    expected = np.mean([max(a, b) for a in known for b in known])
    draws = random_draws(table, 2)
    assert draws["expected_best"] == pytest.approx(expected)
    assert (draws["mean"], draws["table_size"]) == (pytest.approx(0.45), 4)


def test_random_baseline_spends_the_same_budget(objective):
    baseline = random_baseline(objective, Budget("evaluations", 12), 3, 5)
    assert (baseline["seeds"], baseline["evaluations"]) == (5, 12)
    assert 0.5 < baseline["found"]["mean"] <= 1
    assert baseline["best_of_top_k"]["mean"] >= baseline["found"]["mean"]


def plan(**changes):
    settings = {"algorithm": "regularized_evolution", "budget": Budget("evaluations", 20), "seed": 1, "top_k": 3}
    return SearchPlan(**(settings | changes))


def run(objective, folder, **changes):
    return run_search(plan(**changes), objective, folder, dataset="toys", progress=False)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "timings.json"}


def test_the_run_folder(objective, tmp_path):
    result, folder, was_there = run(objective, tmp_path)
    assert not was_there
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml", "environment.json", "journal.jsonl", "result.json", "search.csv", "timings.json",
    }  # fmt: skip
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result))
    assert (result["kind"], result["status"], result["space"], result["seed"]) == ("search", "complete", "toy", 1)
    assert result["cost"] == {"unit": "evaluations", "budget": 20, "spent": 20}
    rows = list(csv.DictReader((folder / "search.csv").open()))
    assert list(rows[0])[:9] == [
        "evaluation", "architecture", "objective", "incumbent_objective", "incumbent_truth", "cost", "seed",
        "algorithm", "fidelity",
    ]  # fmt: skip
    assert [int(row["evaluation"]) for row in rows] == list(range(1, 21))
    values = [float(row["objective"]) for row in rows]
    assert [float(row["incumbent_objective"]) for row in rows] == np.maximum.accumulate(values).tolist()
    assert rows[-1]["incumbent_truth"] == repr(result["metrics"]["found"]["truth"])
    assert float(rows[-1]["spent"]) == 20
    assert [float(row["params"]) for row in rows] == [sum(map(int, row["architecture"])) for row in rows]


def test_a_finished_run_is_skipped_and_force_repeats_it(objective, tmp_path):
    result, folder, _ = run(objective, tmp_path)
    before = contents(folder)
    objective.evaluate = None  # would fail if anything was evaluated
    assert run(objective, tmp_path) == (json.loads(before["result.json"]), folder, True)
    fresh = make_objective(requested=("params",))
    again, _, was_there = run_search(plan(), fresh, tmp_path, force=True, progress=False)
    assert not was_there
    assert again["metrics"] == result["metrics"]


def test_what_determines_the_result_names_the_folder(objective, tmp_path):
    folders = {
        run(objective, tmp_path, **changes)[1].name
        for changes in ({}, {"seed": 2}, {"settings": {"population": 5}}, {"top_k": 4}, {"parallel": 2}, {"study": "x"})
    }
    assert len(folders) == 5  # a study is a label


@pytest.mark.parametrize("stop_after", [1, 7, 19])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, stop_after):
    _, expected, _ = run(make_objective(requested=("params",)), tmp_path / "whole")
    cut = make_objective(requested=("params",))
    evaluate, seen = cut._evaluate, []

    def dying(trial):
        if len(seen) == stop_after:
            raise KeyboardInterrupt
        seen.append(trial)
        return evaluate(trial)

    cut._evaluate = dying
    with pytest.raises(KeyboardInterrupt):
        run(cut, tmp_path / "cut")
    assert not list((tmp_path / "cut").rglob("result.json"))
    _, folder, _ = run(make_objective(requested=("params",)), tmp_path / "cut")
    one, other = contents(expected), contents(folder)
    for name in ("result.json", "search.csv", "config.yaml"):
        assert one[name] == other[name]


def test_a_failure_leaves_its_traceback_and_no_result(tmp_path):
    objective = make_objective(requested=("params",))
    objective._evaluate = lambda trial: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(objective, tmp_path)
    folder = next(tmp_path.iterdir())
    assert "ZeroDivisionError" in (folder / "error.txt").read_text()
    assert not (folder / "result.json").exists()
    run(make_objective(requested=("params",)), tmp_path)
    assert not (folder / "error.txt").exists()


def test_results_of_another_version_are_refused(objective, tmp_path):
    _, folder, _ = run(objective, tmp_path)
    (folder / "result.json").write_text("{")
    with pytest.raises(RunError, match="force=true"):
        run(objective, tmp_path)
    (folder / "result.json").write_text('{"schema_version": 99}')
    with pytest.raises(RunError, match="force=true"):
        run(objective, tmp_path)


def test_force_does_not_pull_the_journal_from_under_another_process(objective, tmp_path):
    _, folder, _ = run(objective, tmp_path)
    digest = json.loads((folder / "result.json").read_text())["run_hash"]
    with Journal(folder / "journal.jsonl", digest), pytest.raises(SearchError, match="another process is at work"):
        run_search(plan(), objective, tmp_path, force=True, progress=False)


@pytest.mark.parametrize("changes", [{"top_k": 0}, {"seed": -1}, {"baseline_seeds": -1}])
def test_plans_that_make_no_sense_are_refused(changes):
    with pytest.raises(SearchError):
        plan(**changes)


def test_a_refused_search_writes_nothing(single, tmp_path):
    with pytest.raises(SearchError, match="needs several fidelities"):
        run(single, tmp_path, algorithm="hyperband")
    assert list(tmp_path.iterdir()) == []


def test_pareto_front_and_hypervolume_of_a_search(objective, tmp_path):
    result, _, _ = run(objective, tmp_path, algorithm="nsga2", budget=Budget("evaluations", 200))
    pareto = result["metrics"]["pareto"]
    worst = objective.worst_value()
    assert worst < 0  # the toy's noise; an accuracy is bounded by 0
    assert pareto["reference"] == {"objective": worst, "params": 7.0, "from": "table"}
    values = [(entry["objective"], entry["params"]) for entry in pareto["front"]]
    assert values == [(1.0, 4.0), (0.75, 3.0), (0.5, 2.0), (0.25, 1.0), (0.0, 0.0)]
    assert pareto["hypervolume"] == pytest.approx(0.25 * (3 + 4 + 5 + 6) - 7 * worst)


def test_the_summary_groups_seeds(objective, tmp_path):
    found = [run(objective, tmp_path, seed=seed)[0]["metrics"]["found"]["truth"] for seed in range(4)]
    run(objective, tmp_path, algorithm="random_search", settings={})
    (tmp_path / "stray").mkdir()
    (tmp_path / "stray" / "result.json").write_text("no json")
    rows = {row["algorithm"]: row for row in summarise(read_results(tmp_path))}
    assert rows["regularized_evolution"]["seeds"] == 4
    assert rows["regularized_evolution"]["found"] == {
        "mean": pytest.approx(np.mean(found)), "std": pytest.approx(np.std(found, ddof=1)),
    }  # fmt: skip
    assert rows["random_search"]["n"] == 1
    assert rows["random_search"]["found"]["std"] is None  # one seed has no spread


def test_nothing_here_imports_torch(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, pkgutil, importlib, nas_lightning.search as s\n"
        "for m in pkgutil.walk_packages(s.__path__, s.__name__ + '.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "heavy = {'torch', 'pytorch_lightning', 'sklearn', 'matplotlib', 'scipy.stats'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    with warnings.catch_warnings():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
