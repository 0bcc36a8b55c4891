"""What a wrong or costly setting is answered."""

import os
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from nas_lightning.config.messages import describe
from nas_lightning.config.schema import register
from nas_lightning.training.trainer import ask_for_determinism

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("typed", "guess"),
    [
        ("deterministic=true", "Did you mean trainer.deterministic? Valid names: "),
        ("learning_rate=1", "Did you mean plan.protocol.learning_rate or heuristics/learning_rate? "),
        ("plan.learning_rate=1", "Did you mean protocol.learning_rate? Valid names in plan: mapping, protocol"),
        ("sede=1", "Did you mean seed? "),
        ("qqqq=1", "Key 'qqqq' not in 'TrainConfig'\nValid names: "),
    ],
)
def test_a_name_in_the_wrong_place_is_answered_with_the_right_one(typed, guess):
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"), pytest.raises(HydraException) as refusal:
        compose("train", [typed])
    assert guess in describe(refusal.value)


@pytest.fixture
def settings():
    """Whatever the test asks PyTorch for is taken back."""
    before = os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    yield
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    if before is not None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = before


@pytest.mark.parametrize("gpu", [True, False])
def test_determinism_says_what_it_costs_where_it_costs_something(settings, monkeypatch, capsys, gpu):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    ask_for_determinism(True, "auto")
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert ("it costs speed" in capsys.readouterr().out) == gpu
    ask_for_determinism(False, "auto")
    assert not torch.are_deterministic_algorithms_enabled()
    assert capsys.readouterr().out == ""
