"""One form for what can be typed in several ways; what this machine lacks is one sentence before anything starts."""

import pytest
import torch

from nas_lightning.config import settled
from nas_lightning.config.schema import typed
from nas_lightning.errors import UserError
from nas_lightning.modes.job import compose
from nas_lightning.modes.main import train
from tests.helpers.commands import composed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed_as", "name"), [("32", "32-true"), ("bf16", "bf16-mixed"), ("64", "64-true"), ("64-true", "64-true")]
)
def test_aliases_of_a_precision_are_one_run(typed_as, name):
    alias, plain = composed(f"trainer.precision={typed_as}"), composed(f"trainer.precision={name}")
    assert typed(alias).trainer.precision == name
    assert compose(alias).folder == compose(plain).folder


@pytest.mark.parametrize("name", ["16", "16-mixed"])
def test_half_precision_needs_a_gpu(name):
    with pytest.raises(UserError, match=r"needs a GPU; on a CPU choose bf16-mixed"):
        typed(composed(f"trainer.precision={name}"))
    assert settled.precision_of(name, "auto") == "16-mixed"


@pytest.mark.parametrize("override", ["trainer.precision=8", "trainer.precision=bf16-true", "trainer.accelerator=tpuu"])
def test_what_no_run_can_do_is_refused(override):
    with pytest.raises(UserError, match="choose one of"):
        typed(composed(override))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(tmp_path):
    planned = typed(composed("trainer.accelerator=gpu"))  # where a sweep is planned its jobs may not run
    assert planned.trainer.accelerator == "gpu"
    with pytest.raises(UserError, match=r"trainer.accelerator=gpu finds no GPU .* trainer=cpu"):
        train(composed("trainer.accelerator=gpu", f"runs={tmp_path}"))
    with pytest.raises(UserError, match=r"trainer.precision=16-mixed needs a GPU"):
        train(composed("trainer.accelerator=auto", "trainer.precision=16-mixed", f"runs={tmp_path}"))
    assert not list(tmp_path.iterdir())


def test_the_home_folder_is_expanded_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = typed(composed("runs='~/x'", "data.root='~'", "mode=evaluate", "checkpoint=['~/a','b~']"))
    assert (config.runs, config.data.root) == (f"{tmp_path}/x", str(tmp_path))
    assert config.checkpoint == [f"{tmp_path}/a", "b~"]
    with pytest.raises(UserError, match="home folder"):
        typed(composed("runs='~nobody-of-this-name/x'"))


@pytest.mark.parametrize("study", ["../../x", "/tmp/x", "a/../b", ".", "x" * 260, "a//b", "a\\\\b", "a\nb", "a\u202eb"])
def test_a_study_is_a_folder_below_the_runs(study):
    with pytest.raises(UserError, match="study="):
        typed(composed(f"study='{study}'"))


def test_the_folder_of_the_runs_has_a_name_that_can_be_written():
    with pytest.raises(UserError, match="names no folder"):
        typed(composed("runs='a\nb'"))
    with pytest.raises(UserError, match="too long for a folder"):
        typed(composed(f"runs={300 * 'x'}"))


def test_studies_of_usual_names_are_taken():
    assert typed(composed("study=first/part-2")).study == "first/part-2"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("heuristics.learning_rate.value=abc", r"heuristics.learning_rate.value='abc' .* give a number"),
        ("heuristics.weight_decay.value=[1]", "heuristics|number|weight_decay"),
    ],
)
def test_a_text_where_a_heuristic_takes_a_number(override, words):
    with pytest.raises(Exception, match=words) as refusal:
        compose(composed(override))
    assert isinstance(refusal.value, UserError)
