import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from nas_lightning.ranking import metrics, summary
from nas_lightning.ranking.baselines import Baseline
from nas_lightning.ranking.summary import epoch_metrics, jsonable, ranking_record, render_table, summarize

EVALUATION = {
    "architecture_set": "random60_seed0",
    "n_architectures": 60,
    "split": "validation",
    "n_images": 500,
    "batch_size": 250,
    "batch_norm": "batch",
    "score": "accuracy",
}


@pytest.fixture
def run():
    rng = np.random.default_rng(0)
    truth = 0.8 + 0.1 * rng.random(60)
    truth[:4] = np.nan
    quality = np.nan_to_num(truth, nan=0.85)
    scores = {"accuracy": quality - 0.3 + 0.02 * rng.normal(size=60), "negative_cross_entropy": quality - 2}
    archs = [f"a{i:02}" for i in range(60)]
    linear = np.where(np.arange(60) < 20, np.nan, quality)
    baselines = [
        Baseline("parameters", rng.random(60), "no training"),
        Baseline("linear_operation_counts", linear, "50 trained architectures, 16 left out of its score"),
    ]
    seeds = truth[:, None] + 0.01 * rng.normal(size=(60, 6))
    return scores, truth, archs, baselines, seeds


def test_the_record_is_the_metrics_on_the_rows_with_truth(run):
    scores, truth, archs, baselines, seeds = run
    table = np.linspace(0.7, 0.95, 1000)
    found = summarize(
        scores, truth, archs, baselines, seed_accuracies=seeds, validation=truth, table_accuracies=table, top_k=5
    )
    json.dumps(found, allow_nan=False)
    x, y, ids = scores["accuracy"][4:], truth[4:], archs[4:]
    record = found["metrics"]["accuracy"]
    assert found["evaluated"]["n"] == record["n"] == 56
    assert found["evaluated"]["n_without_truth"] == 4
    assert record["kendall_tau"] == metrics.kendall_tau(x, y)
    assert record["sparse_kendall_tau"] == metrics.sparse_kendall_tau(x, y, ids)
    assert record["kendall_tau_interval"]["low"] < record["kendall_tau"] < record["kendall_tau_interval"]["high"]
    top = metrics.final_search_performance(x, y, ids, 5)
    assert record["final_search_performance"]["mean"] == top.mean
    assert record["probability_beats_random"]["probability"] == (
        metrics.probability_beats_random(top.best, table, 5).probability
    )
    assert record["supernet_accuracy"] == scores["accuracy"].mean(), "of all scored, with truth or without"
    assert record["optimization_gap"] == pytest.approx((y - x).mean())
    assert "supernet_accuracy" not in found["metrics"]["negative_cross_entropy"]
    assert found["metrics"]["negative_cross_entropy"]["kendall_tau"] == 1.0
    assert found["baselines"]["linear_operation_counts"]["n"] == 40
    assert found["ceiling"]["noise"]["seeds_per_half"] == 3
    assert found["ceiling"]["proxy"] == {"tau": 1.0, "n": 56}


def test_the_ceiling_says_on_what_it_was_measured(run):
    scores, truth, archs, _, seeds = run
    seeds = seeds.copy()
    seeds[30:, 5] = np.nan
    found = summarize(scores, truth, archs, seed_accuracies=seeds, seed_metric="validation_accuracy")
    noise = found["ceiling"]["noise"]
    assert (noise["n"], noise["metric"]) == (26, "validation_accuracy")
    console = Console(file=io.StringIO(), width=120)
    render_table(found, console)
    assert "on 26 architectures that have all of them (validation accuracy)" in " ".join(
        console.file.getvalue().split()
    )


def test_what_is_not_available_says_so(run):
    scores, _, archs, _, _ = run
    found = summarize(scores, np.full(60, np.nan), archs)
    record = found["metrics"]["accuracy"]
    assert record["n"] == 0
    assert record["kendall_tau"] is None
    assert record["probability_beats_random"] is None
    assert record["supernet_accuracy"] is not None
    assert "single seeds" in found["ceiling"]["noise"]["not_available"]
    assert "not_available" in found["ceiling"]["proxy"]
    render_table(found, Console(file=io.StringIO()))


def test_bad_input_is_refused(run):
    scores, truth, archs, _, _ = run
    with pytest.raises(ValueError, match="distinct architectures"):
        summarize(scores, truth, ["same"] * 60)
    with pytest.raises(ValueError, match="no scores"):
        summarize({}, truth, archs)
    with pytest.raises(ValueError, match="score accuracy has shape"):
        summarize({"accuracy": [0.5]}, truth, archs)
    with pytest.raises(ValueError, match="NaN"):
        summarize({"accuracy": np.full(60, np.nan)}, truth, archs)


def test_a_predictor_without_weights_is_no_super_nets(run):
    scores, truth, archs, _, _ = run
    found = summarize({**scores, "zero_cost": scores["accuracy"]}, truth, archs)
    columns = {"accuracy": "supernet_accuracy", "zero_cost": "zero_cost"}
    console = Console(file=io.StringIO(), width=120)
    render_table(found, console, evaluation={**EVALUATION, "predictors": columns})
    names = [line.split("  ")[0].strip() for line in console.file.getvalue().splitlines()]
    assert "super-net accuracy" in names
    assert "zero cost" in names
    assert "super-net zero cost" not in names


@pytest.mark.parametrize("width", [80, 120])
def test_table_in_the_terminal_is_complete_and_fits(run, width):
    scores, truth, archs, baselines, seeds = run
    found = summarize(scores, truth, archs, baselines, seed_accuracies=seeds, table_accuracies=truth)
    console = Console(file=io.StringIO(), width=width)
    render_table(found, console, title="nasbench201 on digits", evaluation=EVALUATION, seeds="3")
    text = console.file.getvalue()
    assert "…" not in text, "a number was cut off"
    joined = " ".join(text.split())
    for needed in (
        f"{found['metrics']['accuracy']['kendall_tau']:.3f}",
        f"{found['baselines']['parameters']['kendall_tau']:.3f}",
        f"{found['ceiling']['noise']['tau']:.3f}",
        "super-net −cross-entropy",
        "random60_seed0 on 500 validation images",
        "n = 56",
        "4 are not in the table",
        "threshold 0.1 %",
        "3 per half",
        "super-net seed 3",
        "16 left out of its score",
    ):
        assert needed in joined, needed
    assert ("Spearman" in joined) == (width == 120)
    record = found["metrics"]["accuracy"]
    spearman, sparse = f"{record['spearman']:.3f}", f"{record['sparse_kendall_tau']:.3f}"
    (row,) = (line.split() for line in text.splitlines() if line.strip().startswith("super-net accuracy"))
    assert f"{record['kendall_tau']:.3f}" in row
    assert sparse in row
    assert (spearman in row) == (width == 120)
    assert f"{record['kendall_tau_top10pct']:.2f}" in row
    assert (str(record["n"]) == row[-1]) == (width == 120)


def test_epoch_metrics_are_flat_numbers_equal_to_the_record(run):
    scores, truth, archs, _, _ = run
    flat = epoch_metrics(scores, truth, archs)
    record = ranking_record(scores["accuracy"][4:], truth[4:], archs[4:])
    assert flat["kendall_tau"] == record["kendall_tau"]
    assert flat["kendall_tau_by_negative_cross_entropy"] == 1.0
    assert flat["final_search_performance"] == record["final_search_performance"]["mean"]
    assert flat["n"] == 56
    assert all(isinstance(v, float) for v in flat.values())


def test_jsonable_takes_every_number_and_replaces_what_json_lacks():
    value = {1: np.float32(0.5), "b": (np.bool_(True), np.int8(3), -math.inf), "c": np.array([1.0, np.nan]), "d": None}
    assert jsonable(value) == {"1": 0.5, "b": [True, 3, None], "c": [1.0, None], "d": None}


def test_two_seeds_of_two_architectures_are_the_least_of_which_there_is_a_ceiling():
    two = np.array([[0.1, 0.2], [0.3, 0.4]])
    found = summary._noise(two, 0, "accuracy")
    assert (found["tau"], found["seeds"], found["n"], found["metric"]) == (1.0, 2, 2, "accuracy")
    assert "metric" not in summary._noise(two, 0, None)
    for wrong in (None, two[:, :1], two[:, 0]):
        assert summary._noise(wrong, 0, None) == {"not_available": "the table keeps no accuracies of single seeds"}
    two[0, 0] = np.nan
    assert summary._noise(two, 0, None) == {"not_available": "fewer than 2 architectures have all seeds"}


def test_the_mean_of_the_shared_weights_is_told_where_it_was_scored(run):
    scores, truth, archs, _, _ = run
    texts = []
    for chosen in (scores, {"negative_cross_entropy": scores["negative_cross_entropy"]}):
        console = Console(file=io.StringIO(), width=120)
        render_table(summarize(chosen, truth, archs), console)
        texts.append(" ".join(console.file.getvalue().split()))
    assert f"with shared weights {100 * scores['accuracy'].mean():.1f}" in texts[0]
    assert "with shared weights" not in texts[1]


def test_numbers_of_the_record_that_tell_scores_from_truth_by_hand():
    scores, truth = [0.9, 0.5, 0.1, 0.4], [0.60, 0.90, 0.70, 0.80]
    names = ["a", "b", "c", "d"]
    record = ranking_record(scores, truth, names, top_k=1)
    assert record["regret_at_k"] == pytest.approx(0.30)  # the best by score has 0.60, the best of all 0.90
    found = summarize({"accuracy": scores}, truth, names, top_k=1)["metrics"]["accuracy"]
    differences = [0.60 - 0.9, 0.90 - 0.5, 0.70 - 0.1, 0.80 - 0.4]  # true minus shared
    assert found["optimization_gap_std"] == pytest.approx(np.std(differences, ddof=1))


def test_the_final_search_performance_is_that_of_ten_where_nothing_is_said():
    truth = np.linspace(0.1, 0.9, 20)
    names = [f"{i:02}" for i in range(20)]
    assert ranking_record(truth, truth, names)["final_search_performance"]["k"] == 10
