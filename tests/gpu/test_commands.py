"""train.py as it is typed: on the GPU by name and by itself, table workers and joblib's jobs that share one."""

import json

import pytest
import torch

from tests.helpers.commands import command, only_folder

pytestmark = pytest.mark.gpu

SMALL = (
    "trainer.progress_bar=false", "plan.mapping.channels=4", "plan.mapping.layers=1", "plan.protocol.epochs=1",
    "plan.protocol.batch_size=32", "plan.protocol.train_portion=0.3",
)  # fmt: skip
RANKED = (*SMALL, "evaluation.images=100", "evaluation.architectures=random10_seed0", "trainer.threads=1")


def named(device):
    """The accelerator's name; gpu is refused in a sentence where there is none, so that no job can fall back."""
    return "gpu" if device.type == "cuda" else "cpu"


def device_of(run):
    """Type of the device on which a run's final weights lay when they were saved."""
    state = torch.load(run / "checkpoints" / "final.ckpt", weights_only=True)["state_dict"]
    (kind,) = {tensor.device.type for tensor in state.values()}
    return kind


@pytest.mark.parametrize("by_name", [True, False], ids=["named", "auto"])
def test_train_py_trains_and_ranks_on_the_device(by_name, device, tmp_path):
    """Named, it is also deterministic: the command itself then sets what cuBLAS reads."""
    typed = (f"trainer.accelerator={named(device)}", "trainer.deterministic=true") if by_name else ()
    done = command(*RANKED, *typed, f"runs={tmp_path}")
    assert done.returncode == 0, done.stderr
    run = only_folder(tmp_path)
    assert json.loads((run / "result.json").read_text())["evaluated"]["n"] == 10
    assert device_of(run) == device.type


def test_table_workers_share_one_device(device, tmp_path):
    """Dealt out in turn: with one GPU both workers train on it, side by side."""
    table = ("mode=table", "benchmark=none", "table.architectures=4", "table.seeds=1", "table.workers=2")
    done = command(*SMALL, *table, f"trainer.accelerator={named(device)}", f"runs={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert (only_folder(tmp_path) / "table.parquet").is_file()


def test_joblib_jobs_share_one_device(device, tmp_path):
    """Each process sees one GPU, around: with one, two jobs share it at the same time, and none queues or fails."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = command("-m", "seed=0,1", *launcher, *RANKED, f"trainer.accelerator={named(device)}", f"runs={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "2 jobs: 2 complete" in done.stdout
    runs = [path.parent for path in tmp_path.rglob("result.json")]
    assert [device_of(run) for run in runs] == [device.type] * 2
