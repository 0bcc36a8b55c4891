"""The real command line."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nas_lightning.benchmarks import write_table
from nas_lightning.config.messages import run_main
from nas_lightning.search.algorithm import packaged_algorithms
from nas_lightning.spaces import get_space
from tests.helpers import process

ROOT = Path(__file__).resolve().parents[2]


def command(folder, *arguments, script="search.py"):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    target = [ROOT / script] if script.endswith(".py") else ["-m", script]
    return process.run([*target, *arguments], cwd=folder, env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with a small table."""
    folder = tmp_path_factory.mktemp("work")
    rng, space = np.random.default_rng(0), get_space("nasbench201")
    archs = [space.from_index(i) for i in rng.permutation(15625)[:80].tolist()]
    truth = rng.uniform(0.3, 0.9, 80)
    columns = {
        "validation_accuracy_seeds": np.clip(truth[:, None] + rng.normal(0, 0.05, (80, 9)), 0, 1),
        "test_accuracy": truth,
        "params": rng.integers(1000, 9000, 80),
    }
    write_table(folder / "small.arrow", space="nasbench201", dataset="digits", architectures=archs, columns=columns)
    return folder


SMALL = ("benchmark.name=./small.arrow", "budget.amount=12", "baseline_seeds=3")


def results(folder):
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").rglob("result.json"))]


def test_a_sweep_over_algorithms_and_seeds_and_its_repetition(folder):
    done = command(folder, "-m", "algorithm=glob(*)", "seed=1", *SMALL)
    assert done.returncode == 0, done.stderr
    found = results(folder)
    assert sorted(r["algorithm"]["name"] for r in found) == sorted(packaged_algorithms())
    assert all(r["cost"]["spent"] >= 11.9 or r["algorithm"]["name"] == "random_search_ws" for r in found)
    seeds = command(folder, "-m", "algorithm=asha,local_search", "seed=range(2)", *SMALL)
    assert "4 jobs: 2 complete, 2 missing. To run: 2" in seeds.stdout
    assert "mean ± standard deviation over seeds" in seeds.stdout
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.*")}
    again = command(folder, "-m", "algorithm=asha,local_search", "seed=range(2)", *SMALL)
    assert again.returncode == 0
    assert "4 jobs: 4 complete. To run: 0" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
    summary = command(folder, "runs/search", script="nas_lightning.search")
    assert all(name in summary.stdout for name in packaged_algorithms())


def test_settings_of_the_algorithm_inside_are_typed_as_one_or_key_by_key(folder):
    whole = ("algorithm.inner_settings={population: 4, sample: 2}",)
    single = ("algorithm.inner_settings.population=4", "algorithm.inner_settings.sample=2")
    found = []
    for inside in (whole, single):
        done = command(folder, "algorithm=curve_extrapolation", *inside, *SMALL, "runs=inside")
        assert done.returncode == 0, done.stderr
        (result,) = (folder / "inside").rglob("result.json")  # one search under both spellings
        found.append(json.loads(result.read_text())["algorithm"])
    assert found[0]["settings"]["inner_settings"] == {"population": 4, "sample": 2}
    assert found[0] == found[1]


def test_a_failed_job_stops_no_sweep(folder):
    sweep = ("-m", "algorithm=asha,random_search", "seed=30", "objective.fidelity=none", *SMALL)
    done = command(folder, *sweep)
    assert done.returncode == 1
    assert done.stderr.count("asha needs several fidelities") == 1
    assert "random_search-benchmark-nasbench201-seed30" in done.stdout
    assert "mean ± standard deviation over seeds" in done.stdout
    assert "Failed: algorithm=asha" in done.stdout
    assert "2 jobs: 1 complete, 1 failed." in done.stdout


def test_one_search_prints_what_it_found(folder):
    done = command(folder, "algorithm=local_search", "seed=5", *SMALL)
    assert done.returncode == 0, done.stderr
    for words in ("Found: |", "stand-alone accuracy", "P > R: ", "Random search at equal budget", "Run folder: runs"):
        assert words in done.stdout
    again = command(folder, "algorithm=local_search", "seed=5", *SMALL)
    assert "force=true" in again.stdout
    assert again.stdout.splitlines()[1:] == done.stdout.splitlines()


def test_a_table_of_equal_accuracies_is_searched_to_the_end(tmp_path):
    space = get_space("nasbench201")
    archs = [space.from_index(i) for i in range(30)]
    columns = {"test_accuracy": np.full(30, 0.5)}
    write_table(tmp_path / "equal.arrow", space="nasbench201", dataset="digits", architectures=archs, columns=columns)
    done = command(tmp_path, "benchmark.name=./equal.arrow", "budget.amount=5", "baseline_seeds=0")
    assert done.returncode == 0, done.stderr
    assert "P > R: undefined, since all 30 accuracies of the table are equal" in done.stdout


def test_kills_leave_no_trace_in_the_result(folder):
    """SIGKILL at several moments of a search of some seconds; the last run ends with the undisturbed run's bytes."""
    long = ("algorithm=regularized_evolution", "seed=3", *SMALL, "budget.amount=3000", "baseline_seeds=0")
    whole = command(folder, *long, "runs=whole")
    assert whole.returncode == 0, whole.stderr
    kills = 0
    for progress in (1, 400_000):  # bytes of the journal at which to kill
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "search.py"), *long, "runs=killed"], cwd=folder, stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        while process.poll() is None:
            if any(path.stat().st_size >= progress for path in (folder / "killed").rglob("journal.jsonl")):
                process.kill()
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
        assert not list((folder / "killed").rglob("result.json"))
    assert kills == 2
    assert command(folder, *long, "runs=killed").returncode == 0
    for name in ("result.json", "search.csv"):
        one, other = (next((folder / runs).rglob(name)).read_bytes() for runs in ("whole", "killed"))
        assert one == other


def load(script):
    spec = importlib.util.spec_from_file_location(script, ROOT / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (("budget.amount=0",), ["a budget of 0 evaluations leaves nothing to search with"]),
        (("budget.unit=hours",), ["choose one of evaluations, epochs, seconds"]),
        (("budget.unit=seconds",), ["cannot count seconds here"]),
        (("algorithm=hyperband", "objective.fidelity=none"), ["needs several fidelities", "single_fidelity=true"]),
        (("algorithm=regularized_evolution", "algorithm.populaton=3"), ["Did you mean population?", "sample"]),
        (
            ("algorithm=curve_extrapolation", "algorithm.inner_settings={populatin: 3}"),
            ["regularized_evolution has no setting 'populatin': did you mean population?"],
        ),
        (("algorithm=regularized_evolutoin",), ["did you mean regularized_evolution or"]),
        (("algorithm.name=mine",), ["algorithm.name=mine changes a label", "say algorithm=…"]),
        (
            ("algorithm=anealing",),
            ["error: algorithm=anealing does not exist; choose one of acenas", "regularized_evolution"],
        ),
        (("checkpoint=x.ckpt",), ["random_search does not use that: drop it"]),
        (("objective=supernet", "benchmark=none"), ["objective=supernet needs checkpoint=…"]),
        (("objective=supernet", "checkpoint=none.ckpt"), ["none.ckpt does not exist"]),
        (("objective=zerocost", "objective.proxy=naswat"), ["did you mean naswot", "choose among"]),
        (("objective=zerocost", "plan.protocol.epochs=3"), ["has no effect with objective=zerocost"]),
        (("space=nasbench101",), ["is a table of nasbench201, not of nasbench101"]),
        (("benchmark.name=missing",), ["there is no table missing"]),
        (("seed=-1",), ["seeds are not negative"]),
        (("runs=/proc/none",), ["error: /proc/none", "the same command goes on once this is mended"]),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(folder, tmp_path, monkeypatch, capsys, arguments, sentences):
    table = () if any("benchmark" in argument for argument in arguments) else (f"benchmark.name={folder}/small.arrow",)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["search.py", *arguments, *table])
    with pytest.raises(SystemExit) as end:
        run_main(load("search").main)
    said = capsys.readouterr().err
    assert end.value.code == 2
    for sentence in sentences:
        assert sentence in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("result.json"))
    assert not list(tmp_path.rglob("journal*"))


def test_a_sweep_over_a_choice_that_does_not_exist_says_so(tmp_path):
    # Hydra's error for it is an OSError, and no disk is at fault.
    command = [sys.executable, str(ROOT / "search.py"), "-m", "algorithm=nsga2,anealing", f"runs={tmp_path}/runs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: algorithm=anealing does not exist; choose one of acenas")


@pytest.mark.parametrize("arguments", [["--help"], ["seed=9", *SMALL]])
def test_help_and_searches_on_tables_do_not_import_torch(folder, arguments):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['search.py', *{arguments!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'search.py')!r}, run_name='__main__')\n"
        "except SystemExit as error:\n"
        "    assert not error.code, error.code\n"
        "assert 'hydra' in sys.modules\n"
        "assert not {'torch', 'pytorch_lightning', 'sklearn'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_config_files_name_every_algorithm_and_objective():
    for group, names in (
        ("algorithm", set(packaged_algorithms())),
        ("objective", {"benchmark", "supernet", "training", "zerocost"}),
    ):
        assert {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")} == names
