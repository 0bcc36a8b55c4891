"""Figures of runs that are judged by something else than accuracy speak of that, and show no percent of it."""

import csv
import json
import re

import numpy as np
import pytest

from nas_lightning.logging.facts import final_numbers
from nas_lightning.modes.search_ending import Words, _untrained
from nas_lightning.report import tables
from nas_lightning.report.__main__ import main
from nas_lightning.report.costs import against_cost
from nas_lightning.report.curves import quality_over_epochs
from nas_lightning.report.look import SHORT_NUMBERS
from nas_lightning.report.scatter import ranking_panels, score_label
from nas_lightning.report.search_curves import search_curves
from nas_lightning.report.study import conditions_of
from nas_lightning.runs.quality import ACCURACY, SCORE, Quality, items_of, quality_of, quality_of_search, scored_on
from nas_lightning.runs.reading import find_runs
from nas_lightning.sweep.summary import heads_in_words, quality_in
from tests.helpers.run_folders import write_run, write_search

PERPLEXITY = Quality("negative_cross_entropy", scale="perplexity", shown_name="perplexity")
ERROR = Quality("negative_squared_error", "mm²")


def test_a_result_file_names_its_quality_and_the_old_ones_mean_accuracy():
    assert quality_of({}) == ACCURACY
    assert ACCURACY.record() == {}
    assert quality_of(ERROR.record()) == ERROR
    assert quality_of({"quality": {"name": "x", "scale": "nonsense"}}) == ACCURACY
    assert quality_of({"quality": [1]}) == ACCURACY
    assert quality_of({"quality": {"name": "../../x"}}) == ACCURACY, "it becomes part of file names"
    assert quality_of({"quality": {"name": "x" * 61}}) == ACCURACY


def test_a_search_is_judged_by_what_its_objective_names():
    assert quality_of_search({"truth": "test_accuracy"}) == ACCURACY
    assert quality_of_search({"truth": "test_score"}) == SCORE
    assert quality_of_search({"truth": "test_score", **ERROR.record()}) == ERROR
    assert quality_of_search({"truth": {"kind": "trained"}, **PERPLEXITY.record()}) == PERPLEXITY


def test_numbers_are_shown_in_their_own_unit():
    assert ACCURACY.text(0.9312) == "93.12 %"
    assert PERPLEXITY.text(-np.log(66.7)) == "66.7"
    assert ERROR.text(-0.25) == "-0.25 mm²"
    assert ACCURACY.mean_text(0.9312, 0.004) == "93.12 ± 0.40"
    assert PERPLEXITY.mean_text(-np.log(66.7), 0.1) == "66.70"
    assert (ERROR.mean_text(-0.25, 0.01), ERROR.mean_text(-0.00125)) == ("-0.2500 ± 0.0100", "-0.001250")
    assert (ACCURACY.points, PERPLEXITY.points, ERROR.points) == ("points", "nats", "mm²")
    assert ACCURACY.text(None) == PERPLEXITY.text(float("nan")) == "not known"
    assert (ACCURACY.label, ERROR.label, PERPLEXITY.label) == (
        "accuracy (%)",
        "negative squared error (mm²)",
        "perplexity",
    )
    with pytest.raises(ValueError, match="scale=percents"):
        Quality("x", scale="percents")


def test_axes_name_the_quality():
    truth = np.array([-0.5, -0.4, -0.3])
    assert score_label("negative_squared_error", ERROR) == "Super-net negative squared error (mm²)"
    panels = ranking_panels(
        truth, truth, ["a", "b", "c"], title="", label=score_label(ERROR.name, ERROR), quality=ERROR
    )
    drawn = str(panels[0].chart.to_dict()) if hasattr(panels[0], "chart") else str(vars(panels[0]))
    assert "Stand-alone negative squared error (mm²)" in drawn
    assert panels[0].data["rows"]["y"] == [-0.5, -0.4, -0.3]  # not times 100


def study(root, quality):
    for seed in (1, 2):
        write_run(root, seed=seed, quality=quality)
        write_run(root, seed=seed, quality=quality, changes={"sampling": "fairnas"})
    return root


def drawn(figures):
    return {f.id: f for f in figures}


@pytest.mark.slow
def test_the_report_of_a_study_speaks_of_its_quality_and_never_of_accuracy(tmp_path):
    write_search(study(tmp_path / "runs", ERROR), quality=ERROR, found={"architecture": "a", "truth": -1.25})
    out = tmp_path / "out"
    assert main([str(tmp_path / "runs"), "--out", str(out), "--replicates", "100", "--formats", "none"]) == 0
    page = (out / "index.html").read_text()
    told = "".join(re.findall(r"<table.*?</table>", page, re.S))
    told += (out / "ablation.md").read_text() + (out / "ablation.tex").read_text()
    for text in (told, *re.findall(r"<h2>.*?</h2>|<p class=\"note\">.*?</p>", page, re.S)):
        assert "accuracy" not in text.lower().replace("accuracies only", ""), text[:300]
        assert "(%)" not in text
    assert f"top-K {ERROR.label}" in told
    assert ">−1.2500</td>" in page, "what the search found, in the unit of its readers"
    rows = list(csv.DictReader((out / "ablation.csv").open()))
    assert all(-2 < float(row["supernet_negative_squared_error_mean"]) < -1 for row in rows)


def test_curves_and_axes_are_in_the_unit_of_the_quality(tmp_path):
    runs = find_runs([study(tmp_path, PERPLEXITY)])
    conditions, _ = conditions_of(runs, 100)
    (curve,) = quality_over_epochs(conditions)
    assert curve.title == "Super-net perplexity against epochs"
    last = runs[0].epochs["rank/supernet_negative_cross_entropy"]
    assert curve.panels[0].data["rows"]["y"]
    assert min(curve.panels[0].data["rows"]["y"]) == pytest.approx(np.exp(-last[np.isfinite(last)].max()), rel=0.2)
    gap = drawn(against_cost(conditions))["gap-tau"].panels[0]
    assert "Optimization gap (nats)" in json.dumps(gap.specification())
    assert "'~s'" not in json.dumps(gap.specification()).replace(SHORT_NUMBERS, ""), "0.2 nats are not 200m"
    assert gap.data["rows"]["x"][0] == pytest.approx(0.3, abs=0.02), "not times 100"


def test_regret_is_in_points_of_an_accuracy_and_else_in_the_qualitys_own_unit(tmp_path):
    for name, quality in (("percent", ACCURACY), ("mm", ERROR)):
        for seed in (1, 2):
            write_search(tmp_path / name, seed=seed, quality=quality)
    said = {}
    for name in ("percent", "mm"):
        (panel,) = search_curves(find_runs([tmp_path / name])).panels
        said[name] = (json.dumps(panel.specification(), ensure_ascii=False), panel.title, panel.data["rows"]["y"])
    assert "(points)" in said["percent"][0]
    assert "(mm²)" in said["mm"][0]
    assert re.search(r"best \d\d\.\d\d %", said["percent"][1])
    assert "best negative squared error -1.1" in said["mm"][1]
    assert max(said["percent"][2]) == pytest.approx(100 * max(said["mm"][2]), rel=0.01)


def test_two_qualities_are_two_conditions_with_the_unit_in_each_cell(tmp_path):
    study(tmp_path / "a", ACCURACY)
    study(tmp_path / "b", ERROR)
    conditions, _ = conditions_of(find_runs([tmp_path]), 100)
    assert {c.label for c in conditions} == {
        "nasbench201 on digits, accuracy",
        "nasbench201 on digits, negative squared error",
    }
    assert "super-net quality" in tables.header(conditions)
    cells = [" ".join(tables.rows(c, with_unit=True)[0]) for c in conditions]
    assert any(re.search(r"5\d\.\d ± \d\.\d %", cell) for cell in cells)
    assert any(re.search(r"−1\.4\d+ ± [\d.]+ mm²", cell) for cell in cells)
    tables.write_csv(tmp_path / "t.csv", conditions)
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert {row["quality"] for row in rows} == {"accuracy", "negative_squared_error"}
    assert [f.title for f in quality_over_epochs(conditions)] == [
        "Super-net accuracy against epochs",
        "Super-net negative squared error against epochs",
    ]


def test_loggers_are_told_the_quality_by_its_name(tmp_path):
    folder = write_run(tmp_path, quality=ERROR)
    numbers = final_numbers(json.loads((folder / "result.json").read_text()))
    assert -2 < numbers["supernet_negative_squared_error"] < -1
    assert "supernet_accuracy" not in numbers
    dashboard = pytest.importorskip("nas_lightning.logging.dashboard")
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed (extra: dashboard)")
    text = json.dumps(dashboard.specification(dashboard.build("t", "p", quality=ERROR.name)))
    assert "rank/supernet_negative_squared_error" in text
    assert "accuracy" not in text


def test_a_text_counts_tokens_and_says_nothing_of_batch_norm():
    evaluation = {"n_images": 11900, "split": "validation", "batch_size": 100}
    assert items_of({}) == "images"
    assert items_of({"items": "no word"}) == "images"
    assert scored_on(evaluation, items_of({"items": "tokens"})) == "11900 validation tokens, batch 100"
    assert scored_on({**evaluation, "batch_norm": "batch"}) == "11900 validation images, batch 100, batch norm batch"


def test_headlines_of_a_text_are_perplexities_with_deviations_in_nats():
    heads = [("found", -np.log(25.0)), ("found", -np.log(24.0))]
    assert heads_in_words(heads[:1], PERPLEXITY) == "found perplexity 25.00"
    assert heads_in_words(heads, PERPLEXITY) == "found perplexity 24.49 (±0.029 nats)"
    assert heads_in_words([("negative cross entropy", -np.log(25.0))], PERPLEXITY) == "perplexity 25.00"
    assert heads_in_words([("tau", 0.5), ("tau", 0.6)], PERPLEXITY) == "tau 0.5500 ± 0.0707"
    assert heads_in_words([("found", 0.5)], ACCURACY) == "found 0.5000"
    assert quality_in({"objective": {"name": "training", **PERPLEXITY.record()}}) == PERPLEXITY


def test_a_search_on_a_text_shows_its_objective_as_a_perplexity():
    result = {"objective": {"name": "benchmark", "value": "validation_score", **PERPLEXITY.record()}}
    words = Words(result)
    assert (words.heading, words.objective(-np.log(96.5))) == ("objective, perplexity", "96.5")
    assert words.spread(0.134) == " (± 0.134 nats)"
    proxy = Words({"objective": {"name": "zerocost", "score": "synflow", **PERPLEXITY.record()}})
    assert (proxy.heading, proxy.objective(12.5)) == ("objective", "12.5")
    shared = Words({"objective": {"name": "supernet", "score": PERPLEXITY.name, **PERPLEXITY.record()}})
    assert shared.objective(-np.log(24.0)) == "24"


def test_a_search_says_that_the_training_of_what_it_found_diverged():
    trained = "stand-alone training, 15 epochs, test negative log perplexity, mean of 1 seeds"
    assert _untrained({"found": {"truth": None}, "truth": trained}) == [
        "  Its own training diverged; lower plan.protocol.learning_rate"
    ]
    assert _untrained({"found": {"truth": -2.9}, "truth": trained}) == []
    assert _untrained({"found": {"truth": None}, "truth": "test_score of the table"}) == []
