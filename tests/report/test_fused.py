"""A training that fuses scores is read, grouped and compared by the fused one."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nas_lightning.report.study import conditions_of
from nas_lightning.runs.reading import find_runs, read_run
from tests.helpers.run_folders import write_run


def test_a_training_that_fuses_scores_is_compared_by_their_fusion(tmp_path):
    fused = "fusion(supernet accuracy + zen)"
    for seed in (1, 2):
        folder = write_run(tmp_path, seed=seed)
        result = json.loads((folder / "result.json").read_text())
        alone = result["metrics"]["accuracy"]["kendall_tau"]
        result["metrics"][fused] = {**result["metrics"]["accuracy"], "kendall_tau": alone + 0.1}
        result["evaluation"] |= {"headline": fused, "predictors": {"accuracy": "supernet_accuracy", fused: "fusion"}}
        (folder / "result.json").write_text(json.dumps(result))
        table = pq.read_table(folder / "ranking.parquet")
        column = pa.array(-table["supernet_accuracy"].to_numpy())
        pq.write_table(table.append_column("fusion", column), folder / "ranking.parquet")
        run = read_run(folder)
        assert run.score == fused
        assert run.record["kendall_tau"] == alone + 0.1
        np.testing.assert_array_equal(run.ranking["prediction"], column.to_numpy())
    write_run(tmp_path / "alone", seed=3)  # scored otherwise: not comparable
    conditions, _ = conditions_of(find_runs([tmp_path]), 50)
    assert [len(c.settings[0].runs) for c in conditions] == [1, 2]
    assert {c.about["score"] for c in conditions} == {fused, "accuracy"}
