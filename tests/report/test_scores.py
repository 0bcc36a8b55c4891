"""Scores of other methods in files: every format, equal to scipy on the same truth, refused in one sentence."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import kendalltau, spearmanr

from nas_lightning.benchmarks import Benchmark
from nas_lightning.errors import UserError
from nas_lightning.report.__main__ import main
from nas_lightning.report.score_files import read_score_file
from nas_lightning.report.scores import common_scores
from nas_lightning.spaces import get_space

TABLE = "digits_nasbench201"


@pytest.fixture(scope="module")
def measured():
    """Architectures of the embedded table with their truth, and two scores of different quality."""
    table = Benchmark.open(TABLE)
    archs = table.sample(60, 0)
    truth = np.asarray(table.accuracies(archs))
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=60) * truth.std() * k for k in (0.3, 4)]
    return [str(a) for a in archs], truth, truth + noise[0], truth + noise[1]


def command(*files, out, **more):
    options = [f"--{k.replace('_', '-')}={v}" for k, v in ({"space": "nasbench201", "benchmark": TABLE} | more).items()]
    return main(["scores", *map(str, files), *options, "--out", str(out)])


@pytest.mark.slow
def test_two_predictors_of_two_formats_equal_scipy_and_are_compared(tmp_path, measured, capsys):
    names, truth, good, poor = measured
    (tmp_path / "good.json").write_text(json.dumps(dict(zip(names, good, strict=True))))
    with (tmp_path / "poor.csv").open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["arch", "score"])
        writer.writerows(zip(names[:50], poor[:50], strict=True))
    assert command(tmp_path / "good.json", tmp_path / "poor.csv", out=tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "super-net" not in printed
    assert "good scores 60 architectures, of which 50 are common to all files" in printed
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    order = np.argsort(names[:50])
    for name, scores in (("good", good), ("poor", poor)):
        record = result["metrics"][name]
        assert record["kendall_tau"] == pytest.approx(kendalltau(scores[:50], truth[:50]).statistic, abs=1e-12)
        assert record["spearman"] == pytest.approx(spearmanr(scores[:50], truth[:50]).statistic, abs=1e-12)
    (pair,) = result["comparison"]
    taus = [result["metrics"][name]["kendall_tau"] for name in ("good", "poor")]
    assert pair["difference"] == pytest.approx(taus[0] - taus[1])
    assert 0 < pair["low"] < pair["difference"] < pair["high"]
    assert pair["p_holm"] < 0.05
    table = pq.read_table(tmp_path / "out" / "ranking.parquet").to_pydict()
    assert table["architecture"] == [names[i] for i in order]
    assert {"parameters", "macs", "depth", "linear_operation_counts"} <= set(result["baselines"])
    assert result["ceiling"]["noise"]["tau"] > 0
    page = (tmp_path / "out" / "index.html").read_text()
    for section in ("Every metric", "Predictors against each other", "Top of the space", "Rank against rank"):
        assert section in page
    for figure in ("scatter", "ranks", "misranked"):
        assert (tmp_path / "out" / "figures" / f"{figure}.png").exists()
    lines = list(csv.DictReader((tmp_path / "out" / "scores.csv").open()))
    assert float(lines[0]["kendall_tau"]) == taus[0]
    assert main([str(tmp_path / "out"), "--out", str(tmp_path / "again"), "--replicates", "100"]) == 0


def test_scores_of_minus_infinity_are_the_worst_and_empty_ones_are_left_out(tmp_path, measured):
    """As Python writes them: NASLib's nwot is −∞ where a cell passes nothing on."""
    names, _, good, _ = measured
    scores = dict(zip(names, good.tolist(), strict=True)) | {names[3]: -np.inf, names[5]: np.nan}
    (tmp_path / "nwot.json").write_text(json.dumps(scores))
    found = common_scores([read_score_file(tmp_path / "nwot.json")], get_space("nasbench201"))
    assert set(names) - set(found.names) == {names[5]}
    assert found.predictors["score"][found.names.index(names[3])] == -np.inf
    (tmp_path / "nwot.json").write_text(json.dumps(scores | {names[3]: np.inf}))
    with pytest.raises(UserError, match="is infinite in row 4"):
        read_score_file(tmp_path / "nwot.json")


def test_row_numbers_of_pandas_are_no_predictor(tmp_path, measured):
    names, _, good, _ = measured
    rows = [f"{i},{n},{g!r}" for i, (n, g) in enumerate(zip(names, good.tolist(), strict=True))]
    (tmp_path / "saved.csv").write_text("\n".join([",arch,mine", *rows]))
    pq.write_table(pa.table({"x": names, "mine": good, "__index_level_0__": range(60)}), tmp_path / "saved.parquet")
    for file in ("saved.csv", "saved.parquet"):
        found = read_score_file(tmp_path / file)
        assert found.architectures == names
        assert list(found.scores) == ["mine"]


@pytest.mark.parametrize("form", ["records", "pairs", "nested", "parquet", "tsv"])
def test_every_format_reads_the_same(tmp_path, measured, form):
    names, _, good, poor = measured
    file = tmp_path / f"scores.{form if form in ('parquet', 'tsv') else 'json'}"
    if form == "records":
        file.write_text(
            json.dumps([{"genotype": n, "a": g, "b": p} for n, g, p in zip(names, good, poor, strict=True)])
        )
    elif form == "pairs":
        file.write_text(json.dumps([[n, g] for n, g in zip(names, good, strict=True)]))
    elif form == "nested":
        file.write_text(json.dumps({n: {"a": g, "b": p} for n, g, p in zip(names, good, poor, strict=True)}))
    elif form == "parquet":
        pq.write_table(pa.table({"a": good, "architecture": names, "who": ["me"] * 60}), file)
    else:
        file.write_text(
            "cell\ta\n" + "".join(f"{n}\t {100 * g!r}%\n" for n, g in zip(names, good.tolist(), strict=True))
        )
    found = read_score_file(file)
    assert found.architectures == names
    scale = 100 if form == "tsv" else 1
    assert next(iter(found.scores.values())) == pytest.approx(scale * good)
    assert len(found.scores) == (2 if form in ("records", "nested") else 1)
    assert found.ignored == (("who",) if form == "parquet" else ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "arch,score\n{0},0.5\n{0},0.6\n", "has two scores of score, 0.5 and 0.6"),
        ("a.csv", "arch,score\n{0},0.5\n{1},much\n", "row 2 of score is 'much', which is no number"),
        ("a.csv", "arch,score\n{0},0.5\nwrong,0.5\n", "row 2 is no architecture of nasbench201"),
        ("a.csv", "arch,score\n{0},0.5\n", "1 architectures are scored by all of score"),
        ("a.csv", "arch,score,score\n{0},1,2\n", "two columns of one name"),
        ("a.csv", "arch,score\n{0},inf\n{1},1\n", "is infinite in row 1"),
        ("a.csv", "arch,who\n{0},me\n{1},you\n", "has no column of numbers beside arch"),
        ("a.json", "[" * 100_000, "is nested too deeply"),
        ("a.json", "{{", "is no JSON"),
        ("a.json", "[1, 2]", "holds neither"),
        ("a.parquet", "PAR1", "is no Parquet file"),
        ("a.pickle", "", "score files end in"),
    ],
)
def test_bad_files_are_one_sentence_and_write_nothing(tmp_path, measured, capsys, name, content, message):
    (tmp_path / name).write_text(content.format(*measured[0][:2]) if "{0}" in content else content.replace("{{", "{"))
    assert command(tmp_path / name, out=tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said) < 300 + len(str(tmp_path))
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_space_and_losses(tmp_path, measured, capsys):
    names, truth, good, _ = measured
    (tmp_path / "a.json").write_text(json.dumps(dict(zip(names, (-good).tolist(), strict=True))))
    assert command(tmp_path / "a.json", out=tmp_path / "out", benchmark="digits_nasbench101") == 2
    assert "is a table of nasbench101, not of nasbench201" in capsys.readouterr().err
    found = common_scores([read_score_file(tmp_path / "a.json")], get_space("nasbench201"), lower_is_better=True)
    assert kendalltau(found.predictors["score"], [truth[names.index(n)] for n in found.names]).statistic > 0.5
    with pytest.raises(UserError, match="is no file"):
        read_score_file(tmp_path / "absent.csv")
