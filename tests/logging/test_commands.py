"""logger=wandb through the commands: what an offline run of training, evaluation and search holds, read back."""

import json

import pytest
from hydra import compose, initialize_config_dir

from nas_lightning.config import search_schema as search_config
from nas_lightning.modes.main import train
from nas_lightning.modes.search import search
from tests.helpers.commands import ROOT, TINY, job
from tests.helpers.offline import only

WANDB = ["logger=wandb", "study=views"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that is ranked after every epoch, logged offline, with its checkpoint kept."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        result = train(job(root, *WANDB, "logger.checkpoint=true", "evaluation.every=1", "ablation=sampling_fairnas"))
    (folder,) = (root / "views").iterdir()
    return folder, result


def test_training(trained):
    folder, result = trained
    found = only(folder)
    assert (found.group, found.job_type) == ("views", "train")
    assert found.tags == ["nasbench201", "digits", "sampling"]
    assert found.config["protocol"]["sampling"] == "fairnas"
    assert found.config["protocol"]["track_running_stats"] is False
    assert found.summary["kendall_tau"] == pytest.approx(result["metrics"]["accuracy"]["kendall_tau"])
    tables = [p for p in found.files if p.name.endswith(".table.json")]
    assert len(tables) == 3, "two epochs and the end"
    assert all(len(json.loads(p.read_text())["data"]) == 20 for p in tables)
    assert sum(p.suffix == ".png" for p in found.files) == 3
    assert f"checkpoint-{result['run_hash']}" in found.artifacts
    assert found.exit_code == 0


def test_evaluation(trained, tmp_path):
    plain = [o for o in TINY if not o.startswith("plan")]
    train(
        job(tmp_path, *plain, *WANDB, "mode=evaluate", f"checkpoint={trained[0]}", "evaluation.batch_norm=recalibrate")
    )
    (folder,) = (tmp_path / "views").iterdir()
    found = only(folder)
    assert (found.group, found.job_type, found.exit_code) == ("views", "eval", 0)
    assert "kendall_tau" in found.summary
    assert sum(p.name.endswith(".table.json") for p in found.files) == 1


def test_search(tmp_path):
    search_config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(
            "search", [*WANDB, f"runs={tmp_path}", "budget.amount=8", "baseline_seeds=0", "progress_bar=false"]
        )
    result = search(cfg)
    (folder,) = (tmp_path / "views").iterdir()
    found = only(folder)
    assert (found.group, found.job_type) == ("views", "search")
    assert found.tags == ["nasbench201", "digits", "random_search"]
    assert found.name == "nasbench201 random_search seed0"
    assert len([h for h in found.history if "search/incumbent_objective" in h]) == 8
    assert found.summary["found/truth"] == pytest.approx(result["metrics"]["found"]["truth"])


@pytest.mark.parametrize("overrides", [["logger=csv"], ["logger=wandb", "mode=standalone", "architecture=x"]])
def test_a_checkpoint_is_kept_by_wandb_alone(tmp_path, overrides):
    if "mode=standalone" in overrides:
        overrides[-1] = "architecture='|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|'"
    with pytest.raises(ValueError, match=r"logger.checkpoint=true does not go with"):
        train(job(tmp_path, "logger.checkpoint=true", *overrides))
