"""Sweeps as a user types them; on a small table, where a search takes no time and needs no PyTorch."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nas_lightning.benchmarks import write_table
from nas_lightning.spaces import get_space
from tests.helpers import process

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("benchmark.name=./small.arrow", "budget.amount=12", "baseline_seeds=0", "algorithm=random_search")

# search.py, whose jobs of certain seeds meet with an accident.
ACCIDENTS = f"""
import os, signal, sys, time
import hydra
from nas_lightning.config.messages import run_main
from nas_lightning.config.search_schema import register
register()

@hydra.main(version_base="1.3", config_path="{ROOT}/conf", config_name="search")
def main(cfg):
    from nas_lightning.modes.search import search
    if cfg.seed == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.seed == 14:
        raise RuntimeError("a bug")
    if cfg.seed == 15:
        print("asleep", flush=True)
        time.sleep(100)
    if cfg.budget.amount == 13 and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return search(cfg)

run_main(main)
"""


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def command(folder, *arguments, script="accidents.py"):
    target = ["-m", script] if "nas_lightning" in script else [folder / script]
    return process.run([*target, *arguments], cwd=folder, env=environment())


def launched(folder, *arguments):
    """The sweep in a Python of its own: the processes of its launcher are started from that."""
    return subprocess.run(
        [sys.executable, "accidents.py", *arguments],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=280,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A working folder with a small table and the script of accidents."""
    rng, space = np.random.default_rng(0), get_space("nasbench201")
    archs = [space.from_index(i) for i in rng.permutation(15625)[:40].tolist()]
    columns = {"test_accuracy": rng.uniform(0.3, 0.9, 40), "params": rng.integers(1000, 9000, 40)}
    write_table(tmp_path / "small.arrow", space="nasbench201", dataset="digits", architectures=archs, columns=columns)
    (tmp_path / "accidents.py").write_text(ACCIDENTS)
    return tmp_path


def results(folder):
    return {json.loads(path.read_text())["seed"] for path in (folder / "runs").rglob("result.json")}


def joblib():
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        pytest.skip("needs the extra sweeps")
    return ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def test_a_failed_job_stops_nothing_and_a_second_call_runs_only_what_is_left(folder):
    plan = command(folder, "-m", "seed=1,14,2", "dry_run=true", *SMALL)
    assert plan.returncode == 0, plan.stderr
    assert "3 jobs: 3 missing. To run: 3" in plan.stdout
    assert not (folder / "runs").exists()
    done = command(folder, "-m", "seed=1,14,2", *SMALL)
    assert done.returncode == 1
    assert results(folder) == {1, 2}
    (error,) = (folder / "runs").rglob("error.txt")
    assert 'raise RuntimeError("a bug")' in error.read_text()
    assert "Failed: seed=14\n  RuntimeError: a bug\n  traceback: " in done.stdout
    assert "3 jobs: 2 complete, 1 failed." in done.stdout
    report = command(folder, "runs", "--out", "report", script="nas_lightning.report")
    assert report.returncode == 0, report.stderr
    assert "a bug" in (folder / "report" / "index.html").read_text()
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("result.json")}
    again = command(folder, "-m", "seed=1,14,2", *SMALL)
    assert again.returncode == 1
    assert again.stdout.count("Job 1 of 1") == 1
    assert "2 of these jobs were done before" in again.stdout
    force = command(folder, "-m", "seed=1,2", "force=true", *SMALL)
    assert force.returncode == 0, force.stderr
    assert all(path.stat().st_mtime_ns > stamp for path, stamp in stamps.items())


def test_joblib_loses_only_the_job_whose_process_dies(folder):
    done = launched(folder, "-m", "seed=13,14,1,2,3,4", *joblib(), *SMALL)
    assert done.returncode == 1, done.stderr
    assert results(folder) == {1, 2, 3, 4}
    assert "6 jobs: 4 complete, 2 failed." in done.stdout
    assert "Failed: seed=13\n  The process of this job died" in done.stdout


def test_ctrl_c_ends_the_whole_sweep_with_its_summary(folder):
    for launcher in ((), joblib()):
        process = subprocess.Popen(
            [sys.executable, str(folder / "accidents.py"), "-m", "seed=1,15,2,3", *launcher, *SMALL],
            cwd=folder,
            env=environment(),
            stdout=(folder / "out").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        limit = time.monotonic() + 120
        while "asleep" not in (folder / "out").read_text() and time.monotonic() < limit:
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        said = (folder / "out").read_text()
        assert "Failed" not in said
        assert "4 jobs: " in said.split("asleep")[1]  # the summary
        assert "interrupted: the same command goes on from here" in said


def test_submitit_runs_jobs_in_processes_of_their_own(folder):
    if importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        pytest.skip("needs the extra sweeps")
    launcher = ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=3")
    done = launched(folder, "-m", "seed=13,1,14", *launcher, *SMALL)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert results(folder) == {1}
    assert "Failed: seed=13\n  The process of this job died" in done.stdout
    assert "3 jobs: 1 complete, 2 failed." in done.stdout


def proposals(text):
    return [line for line in text.splitlines() if line.startswith("Trial ") and " = " not in line]


def test_an_adaptive_sweep_goes_on_after_a_kill_with_the_same_proposals(folder):
    pytest.importorskip("optuna")
    sweep = (
        "-m",
        "hydra/sweeper=optuna",
        "hydra.sweeper.metric=metrics.found.truth",
        "hydra.sweeper.startup_trials=2",
        *SMALL[:1],
        *SMALL[2:],
        "budget.amount=13,14",
        "top_k=range(1,9)",
        "seed=1,2",
    )
    (folder / "killed").touch()
    whole = command(folder, *sweep, "hydra.sweeper.trials=5", "runs=whole")
    assert whole.returncode == 0, whole.stderr
    assert len(proposals(whole.stdout)) == 5
    assert "5 of 5 trials, 5 with a value" in whole.stdout
    (folder / "killed").unlink()
    cut = command(folder, *sweep, "hydra.sweeper.trials=5")
    assert cut.returncode == -signal.SIGKILL
    rest = command(folder, *sweep, "hydra.sweeper.trials=5")
    assert rest.returncode == 0, rest.stderr
    seen = list(dict.fromkeys(proposals(cut.stdout) + proposals(rest.stdout)))
    assert seen == proposals(whole.stdout)
    more = command(folder, *sweep, "hydra.sweeper.trials=6", "dry_run=true")
    assert "dry run" in more.stdout
