"""What can be refused is refused before the first step, in a dry run and in a sweep's plan, with the nearest names."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks.__main__ import main as of_tables
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.config.check import MistypedError, refuse_labels
from nas_lightning.config.messages import describe as words_of
from nas_lightning.config.messages import run_main
from nas_lightning.config.schema import register
from nas_lightning.errors import UserError
from nas_lightning.modes.job import architecture_in
from nas_lightning.processes.launch import RankSilentError
from nas_lightning.runs.folder import held
from nas_lightning.runs.reading import find_runs
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Record
from nas_lightning.search.outcome import incumbents
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.search.table_objective import TableObjective
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.sweep import commands, summary
from nas_lightning.sweep.dry_run import lacking
from nas_lightning.sweep.jobs import Job, describe
from nas_lightning.sweep.planner import Planner
from nas_lightning.training.checkpoint_file import read_checkpoint
from nas_lightning.training.divergence import DivergedError
from tests.helpers.commands import CONF, composed
from tests.helpers.toy_space import ALL, ToySpace, make_objective

QUICK = "recipe=nasbench201_quick"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([QUICK, "evaluation.score=acc"], "evaluation.score=acc is unknown: did you mean accuracy?"),
        ([QUICK, "evaluation.fuse=[syflow]"], "did you mean synflow"),
        ([QUICK, "evaluation.baselines=[paramters]"], "did you mean parameters?"),
        ([QUICK, "evaluation.predictors=[naswott]"], "did you mean naswot?"),
        ([QUICK, "evaluation.architectures=randm10_seed0"], "names no architecture set"),
        ([QUICK, "evaluation.architectures=random10_sed0"], "did you mean random10_seed0 or"),
        ([QUICK, "mode=supernett"], "did you mean supernet?"),
        ([QUICK, "trainer.precision=bf16-mixd"], "did you mean bf16-mixed"),
        ([QUICK, "data.augment=randaugmentt"], "did you mean randaugment"),
        ([QUICK, f"benchmark.name={300 * 'x'}"], "there is no table xxx"),
        ([QUICK, "evaluation.images=5"], "do not fill one evaluation batch"),
        ([QUICK, "evaluation.probe_images=100000"], "images train; lower it"),
        ([QUICK, "evaluation.snapshots=3"], "evaluation.snapshots=3 averages at least 2 rankings"),
        ([QUICK, "evaluation.batch_norm=batch"], "belongs to mode=evaluate"),
        ([QUICK, "benchmark.dataset=cifr10"], "has no data set cifr10; it has digits: say data=digits"),
        ([QUICK, "benchmark.name=digits_nasbench21"], "did you mean digits_nasbench201"),
        ([QUICK, "logger.name=wandbb"], "did you mean wandb?"),
        ([QUICK, "data.image_size=3"], "choose one of 1, 2, 4, 8"),
        ([QUICK, "plan.protocol.batch_size=100000"], "fewer than one batch of 100000"),
        ([QUICK, "plan.protocol.schedule=cosin"], "did you mean cosine?"),
        ([QUICK, "heuristics.sampling=fairnas"], "say heuristics/sampling=fairnas"),
        (["space=darts_nds", "recipe=darts_nds_quick", "data.image_size=2"], "takes no images of 2 x 2 pixels"),
        (["mode=standalone"], "needs architecture='…'"),
        (["mode=standalone", "architecture=foo"], "is no NAS-Bench-201 cell"),
        (["mode=table", "table.out=foo.txt"], "foo.txt must end in .arrow"),
        (["mode=table", "table.out=/dev/null/foo.arrow"], "/dev/null/foo.arrow cannot be written"),
        (["mode=table", "plan.protocol.train_portion=1"], "leaves no image for validation"),
    ],
)
def test_a_job_that_will_fail_is_known_before_it_starts(tmp_path, typed, said):
    refusal = describe(composed(*typed, f"runs={tmp_path}", "trainer=cpu")).refusal
    assert said in (refusal or "")
    assert len(refusal) < 300
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_will_run_is_not_refused(tmp_path):
    assert describe(composed(QUICK, f"runs={tmp_path}")).refusal is None
    assert describe(composed("mode=standalone", "architecture=7", f"runs={tmp_path}")).refusal is None
    assert describe(composed("mode=table", "table.architectures=3", f"runs={tmp_path}")).refusal is None


@pytest.mark.parametrize("typed", [["+trainer.gradient_clip_val=1"], ["+lr=0.5"]])
def test_what_nothing_reads_ends_a_whole_sweep_as_a_misspelt_choice_does(typed):
    with pytest.raises(MistypedError, match="nothing reads"):
        describe(composed(QUICK, *typed))


@pytest.mark.parametrize("typed", ["algorithm.name=mine", "+ablation.setting=spos", "ablation.factor=x"])
def test_a_label_is_not_typed(typed):
    with pytest.raises(MistypedError, match="changes a label and not what is done"):
        refuse_labels([typed])
    refuse_labels(["algorithm=optuna", "data.name=digits"])


def test_a_glob_that_matches_nothing_is_no_sweep_of_no_jobs():
    with pytest.raises(UserError, match="there is no job"):
        Planner(None, None).plan([])


@pytest.mark.parametrize(
    ("typed", "guess"),
    [
        ("data=cifr10", "error: data=cifr10 does not exist; did you mean cifar10 or cifar100?"),
        ("heuristics/sampling=fairnass", "heuristics/sampling=fairnass does not exist; did you mean fairnas?"),
        ("recipe=nasbench201_quik", "did you mean nasbench201_quick"),
        ("trainer=gpu", "error: trainer=gpu does not exist; did you mean cpu? choose one of cpu"),
    ],
)
def test_a_choice_that_does_not_exist_names_the_nearest(typed, guess):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(HydraException) as refusal:
        compose("train", [typed])
    assert guess in words_of(refusal.value)
    assert "\n" not in words_of(refusal.value)


def refused(title, reason):
    place = Path("x")
    return Job((title,), title, place / title, seconds=None, refusal=reason, refused_folder=place, force=False)


def test_equal_reasons_are_said_once(capsys):
    summary.print_refusals([*(refused(f"seed={i}", "no table") for i in range(61)), refused("seed=61", "no set")])
    assert capsys.readouterr().out.splitlines() == [
        "Will fail: 61 of 62 jobs, the first seed=0: no table",
        "Will fail: seed=61: no set",
    ]
    summary.print_refusals([refused("as typed", "no table")])
    assert capsys.readouterr().out == "Will fail: no table\n"


def test_a_file_of_another_kind_is_told_to_be_converted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("architecture,acc\n")
    with pytest.raises(BenchmarkError, match=r"a\.csv is no table of this project .* convert --help"):
        Benchmark.open("a.csv")
    with pytest.raises(BenchmarkError, match=r"info nasbench101` tells its source"):
        Benchmark.open("nasbench101", root=tmp_path)


def test_a_divergence_speaks_of_a_checkpoint_only_where_there_is_one():
    from nas_lightning.plan import Protocol

    error = DivergedError(7, float("nan"), Protocol())
    assert "checkpoint" not in str(error)
    error.with_checkpoint("checkpoints/step-00000004.ckpt")
    assert str(error).endswith("checkpoints/step-00000004.ckpt is from before that step")


def failing(values):
    return TableObjective(ToySpace(), ALL.index, values, values[:, -1], Fidelities("epochs", (1, 3)[: values.shape[1]]))


def test_a_search_in_which_every_evaluation_failed_has_found_nothing(tmp_path):
    objective = failing(np.full((len(ALL), 1), -np.inf))
    plan = SearchPlan("random_search", Budget("evaluations", 4), baseline_seeds=0)
    with pytest.raises(SearchError, match="all 4 evaluations of random_search failed, so that nothing was found"):
        run_search(plan, objective, tmp_path, progress=False)
    assert not list(tmp_path.glob("*/result.json"))


def test_a_failed_evaluation_is_never_the_incumbent_whatever_its_fidelity():
    trials = [(Trial(ALL[0], 1), 0.5), (Trial(ALL[1], 3), -np.inf), (Trial(ALL[2], 1), 0.6)]
    records = [Record(i, trial, Measurement(value, 1.0), 1.0) for i, (trial, value) in enumerate(trials)]
    assert incumbents(records) == [0, 0, 2]


def test_optunas_study_names_what_it_optimises_in_words():
    objective = make_objective((9,), requested=("params",))
    settings = {"sampler": "nsga2", "minimise": ["params"]}
    algorithm = make_algorithm("optuna", objective.space, objective.fidelities, 0, settings)
    algorithm.name_values([objective.value_name, *algorithm.measures])
    assert algorithm._study.metric_names == ["value of objective=benchmark", "params"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([QUICK, "+heuristics.mine={_target_:os.getlogin}"], "which is no Heuristic"),
        ([QUICK, "+heuristics.mine={_target_:no.such.Thing}"], "there is no module no"),
        ([QUICK, "evaluation.predictors=[5]"], "predictor 5 is neither a name nor the path of a class"),
        ([QUICK, "benchmark.name=/dev/null"], "/dev/null is no file"),
        (["space=fcnet", "plan.mapping.layers=1"], "fcnet has tables but no network"),
    ],
)
def test_what_a_stranger_types_is_one_sentence_and_nothing_is_called(monkeypatch, typed, said):
    monkeypatch.setattr("os.getlogin", lambda: pytest.fail("it was called"))
    assert said in (describe(composed(*typed)).refusal or "")


def test_a_trial_has_to_be_in_flight():
    with pytest.raises(SearchError, match="parallel=0: at least one trial"):
        SearchPlan("random_search", Budget("evaluations", 4), parallel=0)


def test_an_interval_for_optuna_has_two_ends():
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from nas_lightning.sweep.adaptive import distribution

    for text in ("x=interval(1, 0.1)", "x=tag(log, interval(0, 1))"):
        with pytest.raises(UserError, match="is no interval to choose from"):
            distribution(OverridesParser.create().parse_override(text))


def test_several_values_without_m_are_one_sentence():
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(HydraException) as refusal:
        compose("train", ["evaluation.architectures=a,b"])
    said = words_of(refusal.value)
    assert "evaluation.architectures=a,b is several values: add -m to try each" in said
    assert "\n" not in said


def test_bytes_that_are_no_text_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train.py", "runs=a\udcffb"])
    with pytest.raises(SystemExit) as end:
        run_main(lambda: pytest.fail("it was called"))
    assert end.value.code == 2
    assert (
        capsys.readouterr().err
        == r"error: 'runs=a\udcffb' is no UTF-8 text; rename the file, or set the terminal to UTF-8" + "\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_dry_run_of_one_job_that_lacks_its_gpu_fails_and_that_of_a_sweep_does_not(tmp_path):
    cfg = composed(QUICK, f"runs={tmp_path}", "trainer.accelerator=gpu")
    assert "finds no GPU" in lacking(cfg)
    assert describe(cfg).refusal is None  # its jobs may run elsewhere
    assert lacking(composed(QUICK)) is None


def test_what_was_made_for_a_run_that_is_refused_goes_with_it(tmp_path):
    with held(tmp_path / "runs" / "study" / "one"):
        pass
    assert not list(tmp_path.iterdir())
    with held(tmp_path / "runs" / "study" / "one"):
        (tmp_path / "runs" / "kept").mkdir()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["pipe.csv", 300 * "x"])
def test_a_pipe_and_a_name_that_no_disk_takes_are_refused_at_once(tmp_path, name):
    source = tmp_path / name
    if len(name) < 255:
        os.mkfifo(source)
    with pytest.raises(BenchmarkError, match=r"is neither file nor folder|does not exist"):
        convert("table", source, tmp_path / "out.arrow", space="nasbench201", columns={"test_accuracy": "acc"})


def test_pipes_are_no_architecture_checkpoint_or_table(tmp_path):
    for name in ("one.txt", "final.ckpt"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read; give a file with one architecture"):
        architecture_in(str(tmp_path / "one.txt"))
    with pytest.raises(UserError, match="is no file; give the path"):
        read_checkpoint(tmp_path / "final.ckpt")
    (tmp_path / "mine.csv").write_text("architecture,acc\n")
    with pytest.raises(BenchmarkError, match="is no table of this project"):
        Benchmark.open(tmp_path / "mine.csv")


@pytest.mark.parametrize("size", ["inf", "nan", "-1", "0", "1e400", "x"])
def test_memory_has_a_size(size, capsys):
    with pytest.raises(SystemExit):
        of_tables(["convert", "nats", "a", "b.arrow", "--memory-gb", size])
    assert "give a number of gigabytes above 0" in capsys.readouterr().err


def test_a_dry_run_looks_whether_a_run_folder_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is no folder that takes files" in describe(composed(QUICK, f"runs={tmp_path / 'file' / 'deep'}")).refusal
    assert describe(composed(QUICK, f"runs={tmp_path / 'new' / 'deep'}")).refusal is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_budget_that_nobody_can_spend_is_out_of_range():
    with pytest.raises(SearchError, match="out of range: it is at most 1e"):
        Budget("evaluations", 1e26)
    with pytest.raises(SearchError, match="give a number of random searches"):
        SearchPlan("random_search", Budget("evaluations", 4), baseline_seeds=10**26)


def test_a_missing_folder_of_runs_is_answered_with_the_nearest(tmp_path):
    for name in ("isolated", "final.tar.xz"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"isolatd is no folder; did you mean isolated\? give run folders"):
        find_runs([tmp_path / "isolatd"])
    with pytest.raises(UserError, match=r"is no folder; give run folders"):
        find_runs([tmp_path / "nothing" / "like" / "it", 300 * "x"])


def test_a_silent_rank_is_one_sentence_of_its_exit_code(monkeypatch, capsys):
    """Raised out of a job, Hydra would put a line with all overrides before it."""

    def silent(_):
        raise RankSilentError("rank 1 has been stopped")

    monkeypatch.setattr("nas_lightning.modes.main.train", silent)
    monkeypatch.setattr(commands.HydraConfig, "get", lambda: SimpleNamespace(mode=None))
    with pytest.raises(SystemExit) as end:
        commands.do_train(composed(QUICK))
    assert end.value.code == 75
    assert capsys.readouterr().err == "error: rank 1 has been stopped\n"
