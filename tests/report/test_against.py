"""Another truth as a check: scores of finished runs against a table that nobody chose by."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from nas_lightning.benchmarks import Benchmark
from nas_lightning.ranking.metrics import kendall_tau
from nas_lightning.report.against import main
from nas_lightning.spaces import get_space
from tests.helpers.run_folders import write_evaluation, write_run

TABLE = "digits_nasbench201"


def runs_on(tmp_path, seeds):
    """Runs whose rankings are of architectures of the embedded table."""
    table = Benchmark.open(TABLE)
    names = [str(a) for a in table.architectures()[:60]]
    for seed in seeds:
        folder = write_run(tmp_path / "runs", seed=seed)
        columns = pq.read_table(folder / "ranking.parquet")
        index = columns.schema.get_field_index("architecture")
        pq.write_table(columns.set_column(index, "architecture", [names]), folder / "ranking.parquet")
    return tmp_path / "runs", names


def test_the_mean_over_runs_is_that_of_their_taus(tmp_path, capsys):
    folder, names = runs_on(tmp_path, (1, 2, 3))
    assert main([str(folder), "--benchmark", TABLE, "--out", str(tmp_path / "n.json")]) == 0
    printed = capsys.readouterr().out
    assert "3 runs, trained on digits, against digits of digits_nasbench201" in printed
    space = get_space("nasbench201")
    truth = Benchmark.open(TABLE).accuracies([space.parse(name) for name in names])
    taus = [
        kendall_tau(pq.read_table(path)["supernet_accuracy"].to_numpy(), truth)
        for path in folder.rglob("ranking.parquet")
    ]
    found = json.loads((tmp_path / "n.json").read_text())["predictors"]
    assert found["accuracy"]["tau"] == pytest.approx(np.mean(taus))
    assert found["accuracy"]["tau_sd"] == pytest.approx(np.std(taus, ddof=1))
    assert (found["accuracy"]["runs"], found["accuracy"]["n"]) == (3, 60)
    assert list(found) == ["accuracy", "negative_cross_entropy", "parameters"]
    assert f"{found['accuracy']['tau']:.3f}" in printed


def test_every_predictor_of_an_evaluation_of_several_checkpoints_is_compared(tmp_path, capsys):
    folder = write_evaluation(tmp_path)
    names = [str(a) for a in Benchmark.open(TABLE).architectures()[:60]]
    columns = pq.read_table(folder / "ranking.parquet")
    index = columns.schema.get_field_index("architecture")
    pq.write_table(columns.set_column(index, "architecture", [names]), folder / "ranking.parquet")
    assert main([str(folder), "--benchmark", TABLE, "--out", str(tmp_path / "n.json")]) == 0
    capsys.readouterr()
    found = json.loads((tmp_path / "n.json").read_text())["predictors"]
    assert list(found) == ["seed0 accuracy", "seed1 accuracy", "fusion(seed0 + seed1 + parameters)"]
    assert all(row["n"] == 60 for row in found.values())


def test_what_cannot_be_compared_is_refused_in_one_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), "--benchmark", TABLE]) == 2
    folder, _ = runs_on(tmp_path, (1,))
    assert main([str(folder), "--benchmark", "no_such_table"]) == 2
    next(folder.rglob("ranking.parquet")).unlink()
    assert main([str(folder), "--benchmark", TABLE]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("against: ") for line in lines)
