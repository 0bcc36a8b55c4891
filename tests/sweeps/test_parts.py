"""The parts of a sweep, in this process: planning, states, titles, the share of a machine, the error of a job."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from nas_lightning.config.schema import register
from nas_lightning.errors import UserError
from nas_lightning.processes.signals import Stopped
from nas_lightning.runs.files import RunError
from nas_lightning.runs.folder import SCHEMA_VERSION
from nas_lightning.runs.reading import COMPLETE, FAILED, NOT_APPLICABLE, UNFINISHED
from nas_lightning.sweep import summary
from nas_lightning.sweep.adaptive import AdaptiveSweep, distribution, held_journal
from nas_lightning.sweep.gpus import Share, visible_gpus
from nas_lightning.sweep.jobs import MISSING, Job, unsettled, varying
from nas_lightning.sweep.planner import Composer, Planner
from nas_lightning.sweep.sweeper import StudySweep
from nas_lightning.sweep.task import JobFailedError, SweepTask

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sweep():
    """A function that composes the configuration of a whole sweep of train.py, with Hydra's loader."""
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def master(*overrides):
            return loader.load_configuration("train", list(overrides), run_mode=RunMode.MULTIRUN), loader

        yield master


def test_a_glob_among_other_choices_is_one_sentence(sweep):
    master, loader = sweep()
    listed = OverridesParser.create().parse_overrides(["ablation=baseline,glob(sampling_*)"])[0]
    jobs = [[f"ablation={value}"] for value in listed.sweep_string_iterator()]
    with pytest.raises(UserError, match=r"ablation='glob\(\[baseline,sampling_\*\]\)'"):
        Planner(master, loader).plan(jobs)


JOBS = [
    ["ablation=sampling_fairnas", "space=nasbench101", "seed=1", "plan.protocol.learning_rate=0.1"],
    ["ablation=sampling_fairnas", "space=nasbench101", "seed=2", "plan.protocol.learning_rate=1e-3"],
    ["ablation=sampling_fairnas", "space=darts_nds", "seed=2", "plan.protocol.learning_rate=1e-3"],
    ["ablation=wsbn_on", "seed=3", "study='a b'", "heuristics.epochs=null", "+heuristics.mine={_target_: x}"],
    ["ablation=wsbn_on", "seed=4", "study=null", "heuristics.epochs=null", "+heuristics.mine={_target_: y}"],
]


def test_jobs_that_share_a_composition_are_configured_as_hydra_configures_them(sweep):
    master, loader = sweep()
    composer = Composer(master, loader)
    for overrides in JOBS:
        ours, hydras = composer(overrides), loader.load_sweep_config(master, overrides)
        ours.hydra.job.override_dirname = hydras.hydra.job.override_dirname  # names folders of Hydra's, not ours
        assert OmegaConf.to_container(ours) == OmegaConf.to_container(hydras)
    assert len(composer._bases) == 4  # the first two share one


def test_a_value_of_the_wrong_type_is_refused_in_a_shared_composition_too(sweep):
    master, loader = sweep()
    composer = Composer(master, loader)
    composer(["seed=1"])
    with pytest.raises(Exception, match="Error merging override seed=many"):
        composer(["seed=many"])


def test_a_plan_says_folder_refusal_and_time_of_every_job_and_writes_nothing(sweep, tmp_path):
    master, loader = sweep(f"runs={tmp_path}")
    jobs = [[f"runs={tmp_path}", f"seed={seed}", "ablation=wsbn_on"] for seed in (1, 2)]
    jobs += [[f"runs={tmp_path}", "seed=1", "heuristics/wsbn=on"], [f"runs={tmp_path}", "seed=1"]]
    found = Planner(master, loader).plan(jobs)
    assert not list(tmp_path.iterdir())
    assert found[0].folder == found[1].folder  # not applicable, whatever the seed
    assert "no vertex sums its inputs" in found[2].refusal
    assert found[3].refusal is None
    assert found[3].seconds > 0
    assert len({job.folder for job in unsettled(found)}) == 3


def job(folder, title="seed=1", force=False, seconds=None):
    return Job((title,), title, folder, seconds, None, folder.parent / "refused", force)


def metrics(tau):
    whole = {"n": 5, "kendall_tau_interval": {"low": 0.0, "high": 1.0}, "kendall_tau_top10pct": None}
    return {"accuracy": {"kendall_tau": tau, **whole, "final_search_performance": {"mean": 0.5}}}


def result(folder, **more):
    folder.mkdir(parents=True, exist_ok=True)
    record = {"schema_version": SCHEMA_VERSION, "kind": "train", "status": "complete", "space": "nasbench201"}
    record |= {"dataset": "digits", "seed": 1, "run_hash": "0", "metrics": metrics(0.5), **more}
    (folder / "result.json").write_text(json.dumps(record))


def test_the_state_of_a_job_is_what_its_folder_says(tmp_path):
    here = tmp_path / "run"
    assert job(here).run().status == MISSING
    here.mkdir()
    assert job(here).run().status == MISSING
    (here / "config.yaml").write_text("seed: 1")
    assert job(here).run().status == UNFINISHED
    (here / "error.txt").write_text("Traceback\nValueError: no luck\n")
    assert (job(here).run().status, job(here).run().reason) == (FAILED, "ValueError: no luck")
    result(here)
    assert job(here).run().status == COMPLETE
    assert job(here).is_settled()
    assert not job(here, force=True).is_settled()
    result(here, status="not_applicable", reason="other space")
    assert job(here).run().status == NOT_APPLICABLE
    result(here, schema_version=SCHEMA_VERSION + 1)
    assert job(here).run().status == FAILED


def test_a_summary_groups_seeds_and_names_what_is_not_done(tmp_path, capsys):
    jobs = []
    for name in ("a", "b"):
        for seed in (1, 2):
            typed = (f"ablation={name}", f"seed={seed}", "runs=x")
            folder = tmp_path / f"{name}{seed}"
            jobs.append(Job(typed, " ".join(typed[:2]), folder, 10.0, None, tmp_path / "refused", False))
    result(jobs[0].folder, metrics=metrics(0.25))
    result(jobs[1].folder, metrics=metrics(0.75))
    (jobs[0].folder / "timings.json").write_text('{"total_s": 30}')
    jobs[2].folder.mkdir()
    (jobs[2].folder / "error.txt").write_text("Traceback\nRuntimeError: out of luck\n")
    assert varying([j.overrides for j in jobs]) == ["ablation", "seed"]
    summary.print_start(jobs, unsettled(jobs), processes=2)
    said = capsys.readouterr().out
    assert "4 jobs: 2 complete, 1 failed, 1 missing. To run: 2, about 30 seconds on 2 processes (60 seconds in" in said
    assert "took 3 times" in said
    summary.print_summary(jobs, 2)
    said = capsys.readouterr().out
    assert "tau 0.5000 ± 0.3536 (n = 2)" in said
    assert "2 of these jobs were done before and not repeated; force=true repeats them" in said
    assert f"Failed: ablation=b seed=1\n  RuntimeError: out of luck\n  traceback: {jobs[2].folder}" in said
    assert "The same command runs what is failed, unfinished or missing" in said


def _take(share, queue, barrier):
    share.claim()
    first = os.environ["CUDA_VISIBLE_DEVICES"]
    share.claim()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == first
    queue.put(first)
    barrier.wait(60)


def test_processes_share_gpus_in_turn_and_give_their_place_back(tmp_path):
    context = multiprocessing.get_context("fork")
    share = Share(tmp_path, 3, ["4", "7"])
    for _ in range(2):  # the second time after the first three processes have ended
        queue, barrier = context.Queue(), context.Barrier(3)
        processes = [context.Process(target=_take, args=(share, queue, barrier)) for _ in range(3)]
        for process in processes:
            process.start()
        assert sorted(queue.get(timeout=60) for _ in processes) == ["4", "4", "7"]
        for process in processes:
            process.join(60)
            assert process.exitcode == 0


def test_a_job_of_several_ranks_has_as_many_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    seen, held = [], []
    for _ in range(3):
        monkeypatch.setattr(Share, "_claimed", None)  # as in the next process
        Share(tmp_path, 3, ["0", "1", "2", "3"], each=2).claim()
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        held.append(Share._claimed)
    for descriptor in held:
        os.close(descriptor)
    assert seen == ["0,1", "2,3", "0,1"]


def _work(share, begun, how):
    def save(signum, frame):
        time.sleep(0.5)  # as a step and a checkpoint
        raise SystemExit(how)

    if how:
        signal.signal(signal.SIGTERM, save)
    with share.at_work(how):
        begun.put(os.getpid())
        for _ in range(1000):
            time.sleep(0.1)


def test_sigterm_lets_the_jobs_under_way_end_first(tmp_path):
    """Those that listen and those that do not; and no job begins any more."""
    context = multiprocessing.get_context("fork")
    share, begun = Share(tmp_path, 2, []), context.Queue()
    with share.at_work(9):
        pass  # done before
    workers = [context.Process(target=_work, args=(share, begun, how)) for how in (0, 7)]
    for worker in workers:
        worker.start()
    assert sorted(begun.get(timeout=60) for _ in workers) == sorted(worker.pid for worker in workers)
    with pytest.raises(Stopped) as stop:
        share.end(signal.SIGTERM)
    assert stop.value.exit_code == 75
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [-signal.SIGTERM, 7]
    with pytest.raises(Stopped), share.at_work(10):
        pass


def test_visible_gpus_are_those_that_the_environment_leaves(monkeypatch, tmp_path):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2, 5"}) == ["2", "5"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: one'\necho '  MIG 1g'\necho 'GPU 1: two'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_gpus({}) == ["0", "1"]


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def test_an_error_stays_in_the_folder_and_travels_as_a_plain_one(sweep, tmp_path, capsys, monkeypatch):
    master, loader = sweep()
    config = loader.load_sweep_config(master, ["seed=1"])
    config.hydra.job.num = 3
    HydraConfig.instance().set_config(config)

    def fail(cfg):
        raise Unpicklable("broken", 2)

    task = SweepTask(fail, {3: (tmp_path / "run", "seed=1")}, 5, None)
    with pytest.raises(JobFailedError, match="Unpicklable: broken"):
        task(config)
    assert 'raise Unpicklable("broken", 2)' in (tmp_path / "run" / "error.txt").read_text()
    said = capsys.readouterr()
    assert "Job 4 of 5: seed=1" in said.out
    assert "Traceback" in said.err
    # NCCL: the exchange in which the job has failed cannot be given up, so that there is no next job for this rank.
    monkeypatch.setattr("nas_lightning.sweep.task.is_left_connected", lambda: True)
    with pytest.raises(SystemExit, match="1"):
        task(config)


def test_swept_values_become_distributions():
    optuna = pytest.importorskip("optuna")
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def of(text):
        return distribution(OverridesParser.create().parse_override(text))

    assert optuna.__version__ >= "4"
    assert of("x=interval(0.1,2)") == FloatDistribution(0.1, 2.0)
    assert of("x=tag(log, interval(0.1,2))") == FloatDistribution(0.1, 2.0, log=True)
    assert of("x=range(2,9,3)") == IntDistribution(2, 8, step=3)
    assert of("x=tag(log, range(1,9))") == IntDistribution(1, 8, log=True)
    assert of("x=a,b") == CategoricalDistribution(["a", "b"])
    assert of("x=choice(0.5,2)") == CategoricalDistribution(["0.5", "2"])


def test_a_journal_belongs_to_one_process_and_loses_only_a_line_that_is_not_whole(tmp_path, capsys):
    path = tmp_path / "study" / "optuna.journal"
    with held_journal(path):
        path.write_text('{"a": 1}\n{"b": 2')
        with pytest.raises(RunError, match="another process proposes trials in"), held_journal(path):
            pass
    with held_journal(path):
        assert path.read_text() == '{"a": 1}\n'
    assert "the last line of" in capsys.readouterr().err
    with held_journal(path):
        assert path.read_text() == '{"a": 1}\n'
    assert capsys.readouterr().err == ""


OTHER_RANK = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "1"}


@pytest.fixture
def set_up(monkeypatch):
    """A function that makes a sweeper as Hydra does."""
    # Hydra reads its plugins a second time, after this test has imported them.
    monkeypatch.setattr("hydra._internal.core_plugins.basic_sweeper.BasicSweeper", StudySweep.__bases__[0])

    def made(kind, master, loader, **options):
        sweeper = kind(max_batch_size=None, params=None, **options)
        sweeper.setup(hydra_context=HydraContext(loader, Callbacks()), task_function=print, config=master)
        return sweeper

    return made


def test_ranks_started_outside_share_a_sweep_of_one_job_after_the_other(sweep, set_up, tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    for name, value in OTHER_RANK.items():
        monkeypatch.setenv(name, value)
    master, loader = sweep("hydra.mode=MULTIRUN", f"runs={tmp_path}", "hydra/launcher=joblib")
    with pytest.raises(ValueError, match="hydra/launcher is basic there"):
        set_up(StudySweep, master, loader)
    master, loader = sweep("hydra.mode=MULTIRUN", f"runs={tmp_path}")
    adaptive = set_up(AdaptiveSweep, master, loader, trials=1, metric="x")
    with pytest.raises(ValueError, match="propose the trials"):
        adaptive.sweep(["heuristics/sampling=fairnas,random_a"])


def test_another_rank_leaves_words_and_files_to_the_first(sweep, set_up, tmp_path, monkeypatch, capsys):
    for name, value in OTHER_RANK.items():
        monkeypatch.setenv(name, value)
    typed = [f"runs={tmp_path}", "trainer=ddp", "trainer.devices='2'"]
    master, loader = sweep("hydra.mode=MULTIRUN", *typed)
    other = set_up(StudySweep, master, loader)
    monkeypatch.setattr(StudySweep, "launch", lambda self, jobs: None)  # done before the first rank has its results
    assert other.sweep(["seed=1,2", *typed]) == []
    assert not list(tmp_path.iterdir())
    for name in OTHER_RANK:
        monkeypatch.delenv(name)
    first = set_up(StudySweep, master, loader)
    with pytest.raises(SystemExit, match="1"):
        first.sweep(["seed=1,2", *typed])


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_of_runs_that_cannot_be_is_one_sentence(sweep, set_up, tmp_path, place):
    (tmp_path / "file").touch()
    master, loader = sweep("hydra.mode=MULTIRUN", f"runs={tmp_path / place}")
    with pytest.raises(RunError, match=f"{place}: Not a directory; the same command goes on once this is mended"):
        set_up(StudySweep, master, loader).sweep(["seed=1,2", f"runs={tmp_path / place}"])


def test_the_headline_of_a_job_is_the_fused_score_where_scores_are_fused():
    fused = "fusion(supernet class_separation + zen)"
    result = {"evaluation": {"score": "class_separation"}, "metrics": {"class_separation": {"kendall_tau": 0.5}}}
    result["metrics"][fused] = {"kendall_tau": 0.6}
    assert summary.headline(result) == ("tau", 0.5)  # rankings along the training are fused, too, and do not count
    result["evaluation"]["headline"] = fused
    assert summary.headline(result) == ("fused tau", 0.6)
