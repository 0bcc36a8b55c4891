"""Several processes as a user starts them: by -m, by torchrun, by SLURM; and what happens when one of them dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from omegaconf import OmegaConf

from nas_lightning.config.schema import register
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.processes.command import command_of_this_job, script_and_flags, started_by
from tests.helpers import process
from tests.reliability.faults import content, same

ROOT = Path(__file__).parents[2]
TINY = [
    "plan.protocol.epochs=1",
    "plan.protocol.train_portion=0.1",
    "plan.mapping.channels=4",
    "plan.mapping.layers=1",
    "benchmark=none",
    "evaluation.architectures=random8_seed0",
    "trainer.progress_bar=false",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
]
TWO = ["trainer=ddp", "trainer.devices=2"]
LIMIT_S = 800  # only a hang is that slow
WRITTEN = {
    "config.yaml", "environment.json", "metrics.csv", "ranking.parquet", "timings.json", "checkpoints", "result.json",
}  # fmt: skip

pytestmark = pytest.mark.timeout(LIMIT_S + 60)


def environment(**more):
    """This one without a rank of any launcher, and with the test's own heuristic in reach."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "TORCHELASTIC_", "MASTER_"))}
    return {**clean, "PYTHONPATH": str(Path(__file__).parent), **more}


def start(*arguments, launcher=(), folder=ROOT, **variables):
    """The first process by a fork; what a launcher starts, and the other ranks, are Pythons of their own."""
    if not launcher:
        return process.Running([ROOT / "train.py", *arguments], folder, environment(**variables))
    command = [sys.executable, *launcher, str(ROOT / "train.py"), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment(**variables)
    )


def end(started):
    if isinstance(started, process.Running):
        done = started.end(LIMIT_S)
        return done.returncode, done.stdout, done.stderr
    try:
        out, err = started.communicate(timeout=LIMIT_S)
    finally:
        started.kill()
    return started.returncode, out, err


def processes_with(word):
    """Command lines of running processes that hold `word`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


def none_left(word):
    deadline = time.monotonic() + 60
    while (left := processes_with(word)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return not left


def results(folder):
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/result.json")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two seeds of one sweep, each trained by two processes; and what was printed."""
    runs = tmp_path_factory.mktemp("swept")
    arguments = ["seed=1,2", *TINY, *TWO, "evaluation.every=1", "logger=wandb", f"runs={runs}"]
    code, out, err = end(start("-m", *arguments, WANDB_MODE="offline"))
    assert code == 0, err
    return runs, out, err


def test_a_sweep_trains_every_job_once_by_all_ranks(swept):
    runs, out, err = swept
    folders = results(runs)
    assert sorted(result["seed"] for result in folders.values()) == [1, 2]
    assert {path.name for path in runs.iterdir() if not path.name.startswith(".")} == set(folders)
    for name, result in folders.items():
        folder = runs / name
        assert {path.name for path in folder.iterdir()} == {*WRITTEN, "wandb"}
        assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
        assert name.endswith(result["run_hash"])
        assert len((folder / "metrics.csv").read_text().splitlines()) == 2
        assert len(list((folder / "checkpoints").iterdir())) == 1
    assert all(out.count(f"seed={seed}: done, {runs}") == 1 for seed in (1, 2))  # rank 0's alone
    assert "Traceback" not in err
    assert none_left(str(runs))


@pytest.mark.launchers
def test_torchrun_and_slurm_end_with_the_same_bytes(swept, tmp_path):
    """A complete run is skipped by all processes; a sweep goes on after a job in which one rank has failed."""
    runs, *_ = swept
    (expected,) = [runs / name for name, result in results(runs).items() if result["seed"] == 1]
    arguments = ["seed=1", *TINY, *TWO, "evaluation.every=1", "logger=csv"]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(find_free_network_port())]
    two_jobs = ["plan.protocol.epochs=3,1", *FAIL[:1], "+heuristics.dies.how=raise", f"runs={tmp_path / 'torchrun'}"]
    code, out, err = end(start("-m", *arguments, *two_jobs, launcher=torchrun))
    assert code == 1, err
    assert "ArithmeticError: rank 1 has enough" in err
    assert "2 jobs: 1 complete, 1 failed." in out
    assert out.count("Job 2 of 2: plan.protocol.epochs=1: done, ") == 1
    assert none_left(str(tmp_path))
    shared = {
        "SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1",
        "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(find_free_network_port()),
    }  # fmt: skip
    for complete in (False, True):
        tasks = [
            start(*arguments, f"runs={tmp_path / 'slurm'}", SLURM_PROCID=str(r), SLURM_LOCALID=str(r), **shared)
            for r in range(2)
        ]
        (code, out, err), (other_code, other_out, other_err) = [end(task) for task in tasks]
        assert code == other_code == 0, err + other_err
        assert ("This run is complete" in out) == complete
        assert "Run folder:" in out
        assert other_out == ""
    for by in ("torchrun", "slurm"):
        folder = tmp_path / by / expected.name
        for name in ("result.json", "metrics.csv", "ranking.parquet"):
            assert (folder / name).read_bytes() == (expected / name).read_bytes(), (by, name)


@pytest.mark.launchers
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_the_jobs_of_other_launchers_start_their_own_ranks(swept, tmp_path, launcher):
    """From a folder that is not the script's, and from processes that were started with other command lines."""
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    runs, *_ = swept
    arguments = ["seed=1,2", *TINY, *TWO, "evaluation.every=1", "logger=csv", f"hydra/launcher={launcher}", "runs=here"]
    arguments += ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else ["hydra.launcher.timeout_min=15"]
    code, out, err = end(start("-m", *arguments, folder=tmp_path))
    assert code == 0, err
    assert "2 jobs: 2 complete." in out
    for name in results(runs):
        for file in ("result.json", "metrics.csv", "ranking.parquet"):
            assert (tmp_path / "here" / name / file).read_bytes() == (runs / name / file).read_bytes()
    assert none_left(str(tmp_path))


FAIL = ["+heuristics.dies._target_=dying_rank.DyingRank", "plan.protocol.epochs=500"]


def test_a_rank_that_raises_ends_the_job_with_its_traceback(tmp_path):
    code, _, err = end(start("seed=1", *TINY, *TWO, *FAIL, "+heuristics.dies.how=raise", f"runs={tmp_path}"))
    assert code == 1
    assert "ArithmeticError: rank 1 has enough" in err
    assert "RankFailedError: rank 1 ended with exit code 1" in err
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert "ArithmeticError: rank 1 has enough" in (folder / "error.txt").read_text()
    assert not (folder / "result.json").exists()
    assert float((folder / "died").read_text()) > time.time() - 60
    assert none_left(str(tmp_path))


LONGER = ["seed=1", *TINY[1:], *TWO, "plan.protocol.epochs=3", "heuristics/sampling=fairnas", "evaluation.every=1"]
LONGER += ["heuristics/batch_norm=tracked_affine", "heuristics/dropout=both", "trainer.checkpoint_every_steps=2"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    runs = tmp_path_factory.mktemp("undisturbed")
    code, _, err = end(start(*LONGER, f"runs={runs}"))
    assert code == 0, err
    return runs


@pytest.mark.launchers
@pytest.mark.parametrize("rank", [0, 1])
def test_no_rank_outlives_a_killed_one_and_nothing_is_lost(undisturbed, tmp_path, rank):
    code, _, err = end(start(*LONGER, FAIL[0], f"+heuristics.dies.rank={rank}", f"runs={tmp_path}"))
    assert code == (1 if rank else -signal.SIGKILL), err
    assert ("RankFailedError: rank 1 was ended by SIGKILL" in err) == (rank == 1)
    assert none_left(str(tmp_path))
    assert not results(tmp_path)
    code, _, err = end(start(*LONGER, f"runs={tmp_path}"))
    assert code == 0, err
    whole, found = content(undisturbed), content(tmp_path)
    assert whole.keys() == found.keys() >= {"result.json", "final.ckpt", "ranking.parquet", "metrics.csv"}
    assert [name for name in whole if not same(whole[name], found[name])] == []


def job(*overrides):
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose_job(compose("train", [*TINY, *overrides]))


def test_a_rank_is_started_by_the_job_alone(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.touch()
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "--config-name", "mine", "seed=1,2", "x=a b"])
    monkeypatch.chdir(tmp_path)
    words = script_and_flags()
    assert words == (str(script), "--config-name", "mine")
    before = HydraConfig.instance().cfg
    try:
        for mode, typed in (("MULTIRUN", [*words, "seed=2", "hydra.mode=RUN"]), ("RUN", [str(script), "seed=2"])):
            hydra = {"mode": RunMode[mode], "overrides": {"task": ["seed=2"]}}
            HydraConfig.instance().cfg = OmegaConf.create({"hydra": hydra})
            if mode == "MULTIRUN":
                monkeypatch.setattr(sys, "argv", ["/nowhere/popen_loky_posix.py", "--pipe", "7"])  # as in a worker
                with pytest.raises(ValueError, match="was not started by one"):
                    command_of_this_job()
            else:
                monkeypatch.setattr(sys, "argv", ["train.py", "seed=2"])
            with started_by(words):
                assert command_of_this_job() == [sys.executable, *typed]
    finally:
        HydraConfig.instance().cfg = before


BAD = [
    (["trainer.devices='2'"], "say trainer=ddp"),
    ([*TWO, "mode=table"], "table.workers"),
    (["trainer=ddp", "trainer.devices='3'"], "does not divide by 3 processes"),
    (["trainer=ddp", "trainer.devices=many"], "neither a number of processes nor a list of GPUs"),
    (["trainer=ddp", "trainer.devices='[0,0]'", "trainer.accelerator=gpu"], "neither a number"),
    (["trainer=ddp", "trainer.devices='[0,1]'"], "lists GPUs, but trainer.accelerator=cpu"),
    (["trainer.strategy=fsdp"], "choose single or ddp"),
    (["trainer.sync_batchnorm=true"], "has no effect on one process"),
    (
        [*TWO, "trainer.sync_batchnorm=true", "space=nasbench101", "heuristics/wsbn=on"],
        "trainer.sync_batchnorm=true and heuristics/wsbn=on exclude each other",
    ),
]


@pytest.mark.parametrize(("overrides", "words"), BAD, ids=[words[:24] for _, words in BAD])
def test_what_several_processes_cannot_do_is_refused_in_one_sentence(overrides, words):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  the message is checked below
        job(*overrides)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_processes_started_outside_must_be_asked_for(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    for overrides in ([], TWO):
        with pytest.raises(ValueError, match="torchrun has started 4 processes but the settings ask for"):
            job(*overrides)


@pytest.mark.slow
def test_the_number_of_processes_names_the_run_and_their_layout_does_not():
    one, ddp1 = job(), job("trainer=ddp", "trainer.devices='1'")
    two, gpus = job(*TWO), job("trainer=ddp", "trainer.devices='[1,3]'", "trainer.accelerator=gpu")
    nodes = job("trainer=ddp", "trainer.devices='1'", "trainer.num_nodes=2")
    together = job(*TWO, "trainer.sync_batchnorm=true")
    assert one.hash == ddp1.hash
    assert two.hash == gpus.hash == nodes.hash
    assert len({one.hash, two.hash, together.hash}) == 3
