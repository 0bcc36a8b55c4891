"""The public names are there, light to import, typed, and their examples say the truth."""

import doctest
import inspect
import subprocess
import sys
from importlib import import_module, resources

import numpy as np
import pytest
import pytorch_lightning as pl

import nas_lightning as nas

NAMES = [name for name in nas.__all__ if name != "__version__"]
WITH_EXAMPLES = (
    "config.first_run",
    "modes.configure",
    "modes.ending",
    "ranking.terminal",
    "report.inline",
    "scoring.architectures",
    "search.function",
    "training.make",
)


@pytest.mark.parametrize("name", nas.__all__)
def test_a_public_name_is_there_and_says_what_it_is(name):
    found = getattr(nas, name)
    assert name == "__version__" or found.__doc__.strip()
    assert name in dir(nas)


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isfunction(getattr(nas, name))])
def test_a_public_function_documents_what_it_takes_and_gives(name):
    function = getattr(nas, name)
    given = [p for p in inspect.signature(function).parameters if p != "self"]
    for parameter in given:
        assert parameter in function.__doc__.replace("*", ""), f"{name} does not say what {parameter} is"


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_of_a_docstring_are_true(module):
    failed, tried = doctest.testmod(import_module(f"nas_lightning.{module}"))
    assert tried
    assert not failed


def test_the_package_imports_nothing_heavy_and_marks_its_types():
    code = "import sys, nas_lightning; assert not {'torch', 'numpy', 'pyarrow', 'hydra'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (resources.files("nas_lightning") / "py.typed").is_file()


def test_tables_searches_and_reports_need_no_torch():
    code = (
        "import sys; from nas_lightning import Benchmark, get_space, maximise, rank_architectures, read_runs, "
        "report_figures; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Planet'"):
        nas.Planet  # noqa: B018


@pytest.mark.slow
def test_a_supernet_trains_with_a_trainer_of_ones_own_and_its_subnets_are_scored(tmp_path):
    plan = nas.Plan().edited(
        {"mapping.channels": 4, "mapping.layers": 1, "protocol.epochs": 2, "protocol.batch_size": 64}
    )
    data, space = nas.load_data("digits", plan, max_train_images=500), nas.get_space("nasbench201")
    module = nas.make_supernet(space, plan, data, seed=1)
    before = [p.clone() for p in module.parameters()]
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.fit(module, datamodule=data)
    assert any((a != b).any() for a, b in zip(before, module.parameters(), strict=True))
    assert trainer.callback_metrics["learning_rate"] < plan.protocol.learning_rate / 2  # the schedule came to its end
    table = nas.Benchmark.open("digits_nasbench201")
    chosen = table.architectures()[:20]
    scores = nas.score_architectures(module, data, chosen, ["parameters"], table=table)
    texts = nas.score_architectures(module, data, [str(arch) for arch in chosen])
    assert (scores["accuracy"] == texts["accuracy"]).all()
    ranking = nas.rank_architectures(scores, chosen, table)
    assert ranking.summary["metrics"]["parameters"]["kendall_tau"] == pytest.approx(
        ranking.summary["baselines"]["parameters"]["kendall_tau"]
    )
    assert list(ranking.frame().index[:3]) == ["accuracy", "negative_cross_entropy", "parameters"]
    for by_rank in (False, True):
        assert ranking.chart(by_rank=by_rank).to_dict()["datasets"]["rows"]


def test_a_trainer_that_goes_beyond_the_plan_is_refused():
    plan = nas.Plan().edited({"mapping.channels": 4, "mapping.layers": 1, "protocol.epochs": 1})
    data = nas.load_data("digits", plan)
    trainer = pl.Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(nas.UserError, match="max_epochs=3"):
        trainer.fit(nas.make_supernet("nasbench201", plan, data), datamodule=data)


def test_a_search_maximises_a_function_and_repeats_itself():
    space = nas.get_space("nasbench201")

    def wanted(arch):
        return -abs(space.parameters(arch) - 500_000)

    found = nas.maximise(wanted, space, evaluations=80, seed=3)
    assert found.value == max(wanted(record.trial.architecture) for record in found.records) == found.curve[-1]
    assert np.all(np.diff(found.curve) >= 0)
    again = nas.maximise(wanted, "nasbench201", evaluations=80, seed=3)
    assert [r.trial for r in again.records] == [r.trial for r in found.records]
    with pytest.raises(nas.UserError, match="several fidelities"):
        nas.maximise(wanted, space, "hyperband")


@pytest.mark.slow
def test_runs_are_read_back_as_a_table_and_drawn(tmp_path):
    from tests.helpers.commands import job

    nas_train = import_module("nas_lightning.modes.main").train
    result = nas_train(job(tmp_path))
    table = nas.read_runs(tmp_path)
    (row,) = table.to_dict("records")
    assert row["status"] == "complete"
    assert (row["factor"], row["setting"]) == ("baseline", "baseline")
    assert row["kendall_tau"] == result["metrics"]["accuracy"]["kendall_tau"]
    assert row["parameters_tau"] == result["baselines"]["parameters"]["kendall_tau"]
    charts = nas.report_figures(tmp_path, replicates=200)
    assert {"scatter", "ranks"} <= set(charts)
    assert "circle" in str(charts["scatter"].to_dict())
