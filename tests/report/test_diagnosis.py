"""The diagnosis, on rankings whose errors are known: which groups are mis-ranked, and what is noise between seeds."""

import csv
import doctest
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_lightning.ranking.metrics import kendall_tau
from nas_lightning.report import gap, misranked
from nas_lightning.report.__main__ import main
from nas_lightning.report.misranked import explained, panel, properties, rank_errors
from nas_lightning.report.study import conditions_of
from nas_lightning.runs.reading import find_runs
from nas_lightning.spaces import get_space
from tests.helpers.run_folders import names_of, truth_of, write_evaluation, write_run

pytestmark = pytest.mark.slow


def replace_scores(folder, scores):
    """Other accuracies in the ranking.parquet of a run."""
    table = pq.read_table(folder / "ranking.parquet").to_pydict()
    pq.write_table(pa.table(table | {"supernet_accuracy": scores}), folder / "ranking.parquet")


def test_examples_in_the_docstrings():
    assert not doctest.testmod(misranked).failed


@pytest.mark.parametrize(
    ("space", "name", "operation"),
    [("nasbench201", "skip_connect", 1), ("nasbench101", "maxpool3x3", 2), ("darts_nds", "normal skip_connect", 3)],
)
def test_the_operation_that_is_over_rated_comes_first_and_reads_so(space, name, operation):
    names = names_of(space, 300)
    truth = np.random.default_rng(0).random(300)
    counts = np.array([get_space(space).operation_counts(get_space(space).parse(n))[operation] for n in names])
    found = panel(space, names, rank_errors([truth + 0.8 * counts], truth), "seed 1")
    rows = found.data["rows"]
    assert rows["property"][0] == name
    mine = [i for i, group in enumerate(rows["property"]) if group == name]
    means = [rows["mean"][i] for i in mine]
    assert means == sorted(means)
    assert means[0] < 0 < means[-1]
    assert sum(rows["n"][i] for i in mine) == 300
    assert name in found.note.split(",")[0]
    for low, mean, high in zip(rows["low"], rows["mean"], rows["high"], strict=True):
        assert low <= mean <= high
    assert min(rows["n"]) >= misranked.SMALLEST


def test_perfect_ranks_have_no_error_and_random_ones_no_cause():
    names, rng = names_of("nasbench201", 300), np.random.default_rng(1)
    truth = rng.random(300)
    assert np.abs(rank_errors([truth * 7, truth - 3], truth)).max() < 1e-9
    random = rank_errors([rng.random(300)], truth)
    assert max(explained(random, p.labels) for p in properties("nasbench201", names)) < 0.06
    assert abs(random.mean()) < 1e-9


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("|none~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|none~2|", "input and output disconnected"),
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|", "no convolution on any path"),
        (
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|nor_conv_3x3~0|none~1|none~2|",
            "3 or more skip connections",
        ),
        ("|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|nor_conv_3x3~0|none~1|none~2|", "3 or more poolings"),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|", "skip from input to output"),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|", "other"),
    ],
)
def test_structure_of_nasbench201_cells(text, label):
    space = get_space("nasbench201")
    assert space.structure_groups(space.parse(text)) == {"structure": label}


def test_structure_of_nasbench101_cells():
    arch = get_space("nasbench101").parse("0111000100010000:input,conv3x3-bn-relu,maxpool3x3,output")
    assert get_space("nasbench101").structure_groups(arch)["structure"] == "2 vertices wired to the output"
    assert get_space("nasbench101").structure_groups(arch)["edge from input to output"] == "yes"


def test_seed_noise_and_common_error_are_told_apart(tmp_path):
    """Every seed = truth + an error common to all + noise of its own: averaging removes the second alone."""
    _, truth, _ = truth_of("nasbench201", 400)
    rng = np.random.default_rng(0)
    common = truth + 0.02 * rng.normal(size=400)
    for seed in range(1, 9):
        replace_scores(write_run(tmp_path, seed=seed, n=400), common - 0.2 + 0.02 * rng.normal(size=400))
    conditions, _ = conditions_of(find_runs([tmp_path]), 100)
    (row,) = gap.gaps(conditions)
    assert (row.seeds, row.architectures, row.ceiling_kind) == (8, 400, "noise ceiling")
    assert row.tau < row.tau_averaged < row.ceiling
    assert row.tau_averaged == pytest.approx(kendall_tau(common, truth), abs=0.03)
    assert row.tau + row.by_seeds + row.left == pytest.approx(row.ceiling)
    assert row.by_seeds > 0.05
    assert 0 < row.seed_to_seed < 1
    assert row.repeated_scoring < 1


def test_more_images_repeat_the_scores_better_and_losses_have_no_binomial_noise(tmp_path):
    accuracies = np.random.default_rng(0).uniform(0.6, 0.8, 200)
    few, many = gap.repeated_scoring(accuracies, 100), gap.repeated_scoring(accuracies, 10_000)
    assert few < 0.7 < 0.9 < many < 1
    assert gap.repeated_scoring(accuracies, 100) == few
    for seed in (1, 2):
        folder = write_run(tmp_path, seed=seed)
        result = json.loads((folder / "result.json").read_text())
        result["evaluation"]["score"] = "negative_cross_entropy"
        (folder / "result.json").write_text(json.dumps(result))
    (row,) = gap.gaps(conditions_of(find_runs([tmp_path]), 100)[0])
    assert np.isnan(row.repeated_scoring)
    gap.write_csv(tmp_path / "gap.csv", [row])
    (line,) = csv.DictReader((tmp_path / "gap.csv").open())
    assert line["repeated_scoring"] == ""
    assert float(line["tau"]) == row.tau


def test_one_seed_has_no_row(tmp_path):
    write_run(tmp_path)
    assert gap.gaps(conditions_of(find_runs([tmp_path]), 100)[0]) == []


def test_unreadable_architectures_are_named_and_not_dropped_silently(tmp_path):
    folder = write_run(tmp_path / "runs")
    table = pq.read_table(folder / "ranking.parquet").to_pydict()
    pq.write_table(pa.table(table | {"architecture": [f"cell{i}" for i in range(60)]}), folder / "ranking.parquet")
    assert (
        main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--replicates", "100", "--formats", "none"]) == 0
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert "takes no part in the diagnosis of mis-ranked architectures" in page
    assert not (tmp_path / "out" / "figures" / "misranked.png").exists()


def test_the_report_holds_figure_and_tables(report):
    assert (report / "figures" / "misranked.png").stat().st_size > 20_000
    assert "over-rated" in (report / "figures" / "misranked.svg").read_text()
    lines = list(csv.DictReader((report / "gap.csv").open()))
    assert {line["seeds"] for line in lines} == {"5", "2"}
    assert len(lines) == 2 * 6 + 1


def test_an_evaluation_run_shows_every_predictor(tmp_path):
    write_evaluation(tmp_path)
    runs = find_runs([tmp_path])
    figure, remarks = misranked.misranked([], runs)
    assert [p.choice for p in figure.panels] == list(runs[0].predictions)
    assert remarks == []
    assert runs[0].record["kendall_tau"] == runs[0].result["metrics"]["seed0 accuracy"]["kendall_tau"]
