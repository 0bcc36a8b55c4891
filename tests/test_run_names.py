"""What a run is called: a folder says recipe and changes for people, the hash alone tells runs apart."""

import doctest
from types import SimpleNamespace

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

from nas_lightning.heuristic import Heuristic
from nas_lightning.modes.job import compose, typed_plan
from nas_lightning.plan import Plan
from nas_lightning.runs import labels
from nas_lightning.training.progress import RunProgress
from tests.helpers.commands import CONF, composed
from tests.helpers.composing import registered


def folder(tmp_path, *overrides):
    return compose(composed("recipe=nasbench201_quick", f"runs={tmp_path}", *overrides)).folder


def test_examples_in_the_docstrings():
    assert not doctest.testmod(labels).failed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "nasbench201_digits_quick_seed0_"),
        (["ablation=sampling_fairnas"], "nasbench201_digits_quick_sampling-fairnas_seed0_"),
        (
            ["heuristics/sampling=fairnas", "heuristics.learning_rate.value=0.5"],
            "nasbench201_digits_quick_learning_rate-0.5+sampling-fairnas_seed0_",
        ),
        (["ablation=sampling_fairnas", "heuristics.learning_rate.value=0.5"], "learning_rate-0.5+sampling-fairnas_"),
        (["mode=standalone", "architecture=1"], "standalone_nasbench201_digits_quick_seed0_"),
    ],
)
def test_folders_say_what_was_changed(tmp_path, typed, said):
    assert said in folder(tmp_path, *typed).name


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["plan.protocol.learning_rate=0.2"], "nasbench201_digits_quick_learning_rate-0.2_seed0_"),
        (
            ["plan.mapping.channels=16", "heuristics/sampling=fairnas"],
            "nasbench201_digits_quick_channels-16+sampling-fairnas_seed0_",
        ),
        (["evaluation.images=100"], "nasbench201_digits_quick_seed0_"),
    ],
)
def test_folders_say_which_fields_of_the_plan_were_typed(tmp_path, typed, said):
    registered()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = ["trainer=cpu", "recipe=nasbench201_quick", f"runs={tmp_path}", *typed]
        cfg = hydra_compose("train", chosen, return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    assert compose(cfg).folder.name.startswith(said)


def test_what_the_plan_has_anyway_is_no_change(tmp_path):
    job = compose(composed("recipe=nasbench201_quick", f"runs={tmp_path}"))
    rate = job.base.protocol.learning_rate
    assert "learning_rate" not in folder(tmp_path, f"heuristics.learning_rate.value={rate}").name


def test_a_run_of_an_earlier_version_keeps_its_folder(tmp_path):
    new = folder(tmp_path)
    old = tmp_path / f"nasbench201_digits_seed0_{new.name.rsplit('_', 1)[1]}"
    old.mkdir()
    assert folder(tmp_path) == old
    assert folder(tmp_path, "seed=1") != old


def test_names_stay_short_and_plain():
    many = {f"factor{i}": "a/b c" for i in range(30)}
    assert len(labels.folder_part(many)) <= labels.LONGEST
    assert labels.folder_part({"x": "../../y"}) == "x-..-..-y"
    assert "/" not in labels.file_name("../../y")


@pytest.mark.parametrize("shown", [True, False])
def test_a_run_that_goes_on_says_from_which_epoch(capsys, shown):
    bar = RunProgress()
    if not shown:
        bar.disable()
    trainer = SimpleNamespace(is_global_zero=True, current_epoch=2, max_epochs=12, global_step=120)
    bar.goes_on = True
    bar.on_train_start(trainer, None)
    assert capsys.readouterr().err == "goes on from epoch 3 of 12, step 120\n"
    bar.goes_on = False
    bar.on_train_start(trainer, None)
    assert capsys.readouterr().err == ""


DISTRIBUTIONS = [one for one in sorted(file.stem for file in (CONF / "distribution").glob("*.yaml")) if one != "none"]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_learned_distribution_is_called_by_its_name(name):
    """Its usual settings are those of its class, which its file repeats."""
    said = {"robust_darts": "darts, stop=true"}.get(name, name)
    assert compose(composed(f"distribution={name}", "evaluation.images=100")).changes == {"distribution": said}


def test_what_was_changed_of_a_learned_distribution_is_in_its_name(tmp_path):
    job = compose(composed("distribution=gdas", "heuristics.distribution.temperature=5", f"runs={tmp_path}"))
    assert job.changes == {"distribution": "gdas, temperature=5"}
    assert "_distribution-gdas-temperature-5_seed0_" in job.folder.name
    old = tmp_path / f"nasbench201_digits_distribution-gdas-selection_portion-0.5-etc_seed0_{job.hash}"
    old.mkdir()
    again = compose(composed("distribution=gdas", "heuristics.distribution.temperature=5", f"runs={tmp_path}"))
    assert again.folder == old


@pytest.mark.parametrize(
    ("typed", "changes"),
    [
        (["ablation=baseline"], {}),
        (["ablation=baseline", "heuristics.learning_rate.value=0.5"], {"learning_rate": "0.5"}),
        (["ablation=sampling_random_nas"], {}),
        (["ablation=sampling_fairnas", "extra=weight_averaging"], {"sampling": "fairnas", "weight_averaging": "0.998"}),
        (["extra=landmark_loss", "evaluation.architectures=random10_seed0"],
         {"landmark_loss": "landmarks=random60_seed77, weight=1.0"}),
    ],
)  # fmt: skip
def test_a_run_is_called_by_what_it_changes_and_nothing_else(typed, changes):
    assert compose(composed("recipe=nasbench201_quick", *typed)).changes == changes


def test_a_class_that_sets_something_by_itself_is_named_by_what_differs():
    class Own(Heuristic):
        factor, fields = "own", ("protocol.label_smoothing",)

        def __init__(self, value=0.1, twist=3, *, told=None):
            super().__init__(label_smoothing=value, options={"twist": twist, "told": told})

    assert Own().changes(Plan()) == {}
    assert labels.short(Own().changes(Plan()), "own") == "on"
    assert Own(twist=4, told="x").changes(Plan()) == {"twist": 4, "told": "x"}
    assert Own(value=0.2).changes(Plan()) == {"protocol.label_smoothing": 0.2}


def test_what_was_typed_of_the_plan_is_known():
    assert typed_plan(["seed=1", "plan.protocol.epochs=3", "heuristics/sampling=fairnas"]) == {"protocol.epochs": "3"}
