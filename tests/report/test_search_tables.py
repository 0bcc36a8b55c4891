"""Means over the seeds of searches: what is averaged, its interval by hand, and searches.csv."""

import csv
import json
import math

import pytest

from nas_lightning.report import search_tables
from nas_lightning.runs.quality import ACCURACY
from nas_lightning.runs.reading import find_runs
from tests.helpers.run_folders import write_search


def searched(root, algorithm, seed, truth, settings=None, against=None, **how):
    found = {"architecture": "a", "objective": 0.8, "truth": truth}
    folder = write_search(root / json.dumps([settings, how]), algorithm, seed, found=found, **how)
    result = json.loads((folder / "result.json").read_text())
    result["run_hash"] = f"{root.name}{algorithm}{seed}{settings}{how}"
    result["algorithm"]["settings"] = settings or {}
    result["objective"]["truth_seeds"] = [seed]
    result["baselines"] = {"random_search_equal_budget": {"found": {"mean": 0.9}}}
    if against is not None:
        result["metrics"]["pareto"] = {"measures": ["params"], "against_true_front": against}
    (folder / "result.json").write_text(json.dumps(result))


def test_means_and_intervals_over_seeds_are_those_by_hand(tmp_path):
    for seed, truth in enumerate([0.90, 0.92, 0.97]):
        searched(tmp_path, "random_search", seed, truth)
    (summary,) = search_tables.summaries(find_runs([tmp_path]))
    assert (summary.name, len(summary.searches)) == ("random search", 3)
    assert summary.mean("found") == pytest.approx(0.93)
    deviation = math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2)
    assert summary.deviation == pytest.approx(deviation)
    # Student's quantile of 97.5 % with two degrees of freedom: 4.302653.
    assert summary.half_width == pytest.approx(4.302653 * deviation / math.sqrt(3), rel=1e-6)


def test_another_budget_setting_or_space_is_another_row_and_the_best_stands_first(tmp_path):
    searched(tmp_path, "local_search", 0, 0.91, {"accept": "first", "k": 1})
    searched(tmp_path, "local_search", 1, 0.93, {"accept": "first", "k": 1})
    searched(tmp_path, "local_search", 0, 0.95, {"accept": "best", "k": 1})
    searched(tmp_path, "local_search", 0, 0.99, {"accept": "best", "k": 1}, evaluations=30)
    searched(tmp_path, "random_search", 0, 0.94)
    searched(tmp_path, "random_search", 0, 0.99, space="nasbench101")
    found = search_tables.summaries(find_runs([tmp_path]))
    rows = [(s.searches[0].space, s.searches[0].budget, s.name, round(s.mean("found"), 4)) for s in found]
    assert rows == [
        ("nasbench101", 50, "random search", 0.99),
        ("nasbench201", 30, "local search accept=best", 0.99),
        ("nasbench201", 50, "local search accept=best", 0.95),
        ("nasbench201", 50, "random search", 0.94),
        ("nasbench201", 50, "local search accept=first", 0.92),
    ]


def test_what_no_table_knows_stands_last_and_is_no_number(tmp_path):
    searched(tmp_path, "a_search", 0, None)
    searched(tmp_path, "random_search", 0, 0.9)
    runs = find_runs([tmp_path])
    assert [s.name for s in search_tables.summaries(runs)] == ["random search", "a search"]
    search_tables.write_csv(tmp_path / "searches.csv", runs)
    rows = {r["algorithm"]: r for r in csv.DictReader((tmp_path / "searches.csv").open())}
    assert rows["a search"]["found"] == ""
    assert float(rows["random search"]["found"]) == 0.9
    assert float(rows["random search"]["random_search"]) == 0.9
    assert rows["random search"]["architecture"] == "a"
    assert "searches-means" not in search_tables.section(runs)  # one seed each: nothing to average


def test_the_page_says_mean_deviation_and_interval(tmp_path):
    for seed, truth in enumerate([0.90, 0.92]):
        searched(tmp_path, "random_search", seed, truth)
    runs = find_runs([tmp_path])
    assert runs[0].quality == ACCURACY
    page = search_tables.section(runs)
    assert "91.00 ± 1.41" in page
    assert "78.29 to 103.71" in page
    assert "90.00</td>" in page  # random search at the same budget


def test_fronts_stand_beside_the_true_front_where_a_table_knows_it(tmp_path):
    for seed, (share, distance) in enumerate([(0.94, 0.02), (0.97, 0.05)]):
        against = {"hypervolume": 0.8, "share": share, "distance": distance, "true_front": 14}
        searched(tmp_path, "nsga2", seed, 0.9, {"minimise": ["params"]}, against)
    searched(tmp_path, "random_search", 0, 0.9)
    runs = find_runs([tmp_path])
    page = search_tables.section(runs)
    means, each = page.split('id="searches-table"')
    assert "95.5</td>" in means
    assert "0.0350</td>" in means
    assert all(text in each for text in ("94.0</td>", "97.0</td>", "0.0200</td>", "0.0500</td>"))
    search_tables.write_csv(tmp_path / "searches.csv", runs)
    rows = list(csv.DictReader((tmp_path / "searches.csv").open()))
    assert sorted((r["hypervolume_share"], r["front_distance"]) for r in rows) == [
        ("", ""),
        ("0.94", "0.02"),
        ("0.97", "0.05"),
    ]
    single = [run for run in runs if search_tables.Search.of(run).algorithm == "random search"]
    assert "true front" not in search_tables.section(single)
