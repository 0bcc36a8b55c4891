"""Offline runs, read back through W&B's own protobuf messages."""

import json
import os
import subprocess
import sys

import pytest
import wandb

from nas_lightning.logging import open_logger
from nas_lightning.logging.wandb import choose_mode, has_key
from nas_lightning.plan import Protocol
from nas_lightning.training.divergence import DivergedError
from tests.helpers.logged_run import RESULT, use
from tests.helpers.offline import only, read_offline_run


@pytest.mark.slow
def test_an_offline_run_holds_everything(run, tmp_path):
    with open_logger("wandb", run) as logger:
        use(logger, tmp_path)
        checkpoint = tmp_path / "final.ckpt"
        checkpoint.write_bytes(b"weights")
        logger.artifact(checkpoint)
    found = only(run.folder)
    assert (found.group, found.job_type, found.project) == ("isolated", "train", "nas-lightning")
    assert found.tags == ["nasbench201", "digits", "sampling"]
    assert found.name == "nasbench201 sampling-fairnas seed3"
    assert found.config == run.config()
    assert [h["train_loss"] for h in found.history if "train_loss" in h] == [1.5, 1.0]
    assert found.summary["kendall_tau"] == RESULT["metrics"]["accuracy"]["kendall_tau"]
    assert found.summary["baselines/parameters/kendall_tau"] == 0.55
    (table,) = (p for p in found.files if p.name.endswith(".table.json"))
    content = json.loads(table.read_text())
    assert content["columns"] == ["architecture", "super-net", "stand-alone"]
    assert content["data"] == [["|a|", 0.1, 0.5], ["|b|", 0.2, None]]
    assert [p.suffix for p in found.files if "images" in p.parts] == [".png"]
    assert "checkpoint-abc123" in found.artifacts
    assert found.exit_code == 0


@pytest.mark.slow
def test_jobs_of_one_process_are_runs_of_their_own_and_failures_are_closed(run, tmp_path):
    def fail():
        with open_logger("wandb", run) as logger:
            logger.log({"train_loss": 9.0}, step=1)
            raise DivergedError(7, float("nan"), Protocol())

    with pytest.raises(DivergedError):
        fail()
    assert wandb.run is None
    with open_logger("wandb", run) as logger:
        logger.log({"train_loss": 1.0}, step=1)
    assert wandb.run is None
    wandb.teardown()
    first, second = sorted(
        (read_offline_run(f) for f in (run.folder / "wandb").glob("offline-run-*")), key=lambda r: -(r.exit_code or 0)
    )
    assert first.run_id != second.run_id
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert first.history[0]["train_loss"] == 9.0
    assert (first.summary["status"], first.summary["step"], first.summary["loss"]) == ("diverged", 7, "nan")
    assert "lower plan.protocol.learning_rate" in first.summary["reason"]
    assert "status" not in second.summary
    assert second.history[0]["train_loss"] == 1.0
    assert first.config["run_hash"] == second.config["run_hash"] == "abc123"


@pytest.mark.slow
def test_lightning_logs_into_the_same_run(run):
    with open_logger("wandb", run) as logger:
        logger.lightning.log_metrics({"rank/kendall_tau": 0.25}, step=7)
    (row,) = (h for h in only(run.folder).history if "rank/kendall_tau" in h)
    assert (row["rank/kendall_tau"], row["trainer/global_step"]) == (0.25, 7)


def test_long_records_cross_blocks(run):
    with open_logger("wandb", run) as logger:
        for i in range(40):
            logger.run.log({"text": f"{i:03}" + "x" * 5000})
    texts = [h["text"] for h in only(run.folder).history]
    assert [t[:3] for t in texts] == [f"{i:03}" for i in range(40)]
    assert {len(t) for t in texts} == {5003}


def test_online_needs_a_key_that_is_there_without_asking(tmp_path):
    nowhere = {"NETRC": str(tmp_path / "absent")}
    assert choose_mode(nowhere) == "offline"
    assert choose_mode(nowhere | {"WANDB_MODE": "online"}) == "offline"
    assert choose_mode(nowhere | {"WANDB_API_KEY": "k"}) == "online"
    assert choose_mode(nowhere | {"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}) == "offline"
    assert choose_mode(nowhere | {"WANDB_MODE": "disabled"}) == "disabled"
    file = tmp_path / "netrc"
    file.write_text("machine api.wandb.ai login user password secret\n")
    assert has_key({"NETRC": str(file)})
    assert not has_key({"NETRC": str(file), "WANDB_BASE_URL": "https://other.example"})


def test_nothing_is_asked_on_the_terminal(tmp_path):
    """With a terminal-like standard input that would answer nothing, the run still starts and ends."""
    code = (
        "from pathlib import Path; from nas_lightning.logging import RunFacts, open_logger\n"
        f"facts = RunFacts(Path({str(tmp_path / 'run')!r}), 'h', 'train', 'nasbench201', 'digits', 0)\n"
        "with open_logger('wandb', facts) as logger: logger.log({'x': 1.0}, step=1)\n"
    )
    environment = {**os.environ, "WANDB_MODE": "online"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert only(tmp_path / "run").exit_code == 0


def test_damaged_logs_are_refused(tmp_path, run):
    with pytest.raises(ValueError, match="holds 0 W&B logs"):
        read_offline_run(tmp_path)
    with open_logger("wandb", run) as logger:
        logger.log({"x": 1.0}, step=1)
    wandb.teardown()
    (folder,) = (run.folder / "wandb").glob("offline-run-*")
    (file,) = folder.glob("run-*.wandb")
    data = file.read_bytes()
    file.write_bytes(data[:-3])
    with pytest.raises(ValueError, match="cut off"):
        read_offline_run(folder)
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="no W&B log"):
        read_offline_run(folder)
