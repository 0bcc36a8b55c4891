"""Linear probes as a user asks for them: a score of the run, of a later evaluation, and of a search."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from nas_lightning.modes.main import train
from tests.helpers.commands import job

PROBE = ["evaluation.architectures=random12_seed0", "evaluation.images=200", "evaluation.batch_size=100",
         "evaluation.probe_images=100", "evaluation.score=linear_probe"]  # fmt: skip


def test_a_run_is_ranked_by_its_probes_and_a_later_evaluation_gives_the_same(tmp_path):
    result = train(job(tmp_path / "a", *PROBE))
    assert next(iter(result["metrics"])) == "linear_probe"
    assert result["evaluation"]["probe_images"] == 100
    folder = next((tmp_path / "a").iterdir())
    columns = pq.read_table(folder / "ranking.parquet").to_pydict()
    probes = np.array(columns["supernet_linear_probe"])
    assert np.isfinite(probes).all()
    assert (probes <= 1).all()
    assert len(set(probes)) > 6
    again = train(job(tmp_path / "b", *PROBE, "mode=evaluate", f"checkpoint={folder}"))
    assert again["metrics"] == result["metrics"]
    other = train(job(tmp_path / "d", *PROBE, "mode=evaluate", f"checkpoint={folder}", "evaluation.skip=200"))
    assert other["evaluation"]["skip"] == 200
    rescored = pq.read_table(next((tmp_path / "d").rglob("ranking.parquet"))).to_pydict()
    assert np.corrcoef(probes, rescored["supernet_linear_probe"])[0, 1] > 0.3  # other images, the same weights
    assert (probes != np.array(rescored["supernet_linear_probe"])).all()
    plain = train(job(tmp_path / "c", *PROBE[:3]))
    assert plain["metrics"]["accuracy"] == result["metrics"]["accuracy"]
    assert plain["run_hash"] != result["run_hash"]
    assert "linear_probe" not in plain["metrics"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.probe_images=0", "evaluation score linear_probe needs training images to fit probes on"),
        ("evaluation.probe_images=90000", r"evaluation.probe_images=90000 but \d+ images train; lower it"),
        ("evaluation.skip=500", r"evaluation.probe_images=100 after 500 skipped ones but \d+ images train; lower it"),
        ("evaluation.skip=90000", r"0 held-out images after 90000 skipped ones do not fill one evaluation batch"),
        ("evaluation.skip=-1", "evaluation.skip=-1 is out of range"),
        ("evaluation.probe_images=50", "probe_images=50 does not fill one evaluation batch of 100; raise it"),
    ],
)
def test_probes_without_images_are_refused_before_the_training(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        train(job(tmp_path, *PROBE, override))
    assert not list(tmp_path.rglob("*.ckpt"))
