"""What surrounds a training: the Trainer's defaults, what is saved, progress in a log file, what a divergence says."""

import io
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from nas_lightning.plan import Plan, Protocol
from nas_lightning.spaces import get_space
from nas_lightning.training import progress
from nas_lightning.training.checkpoint_file import (
    DamagedCheckpointError,
    checkpoint_at,
    read_checkpoint,
    write_checkpoint,
)
from nas_lightning.training.checkpoints import AtomicCheckpointIO, Checkpoints
from nas_lightning.training.divergence import LIMIT, DivergedError
from nas_lightning.training.make import make_standalone, make_supernet
from nas_lightning.training.progress import RunProgress, counted
from nas_lightning.training.trainer import new_trainer
from tests.helpers.small_plans import data_for, small_plan

PLAN = small_plan("nasbench201", protocol__epochs=1, protocol__train_portion=0.05)
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"


def test_defaults_of_the_trainer_write_nothing_but_whole_checkpoints():
    trainer = new_trainer(epochs=3, accelerator="cpu")
    assert trainer.loggers == []
    assert (trainer.num_nodes, trainer.num_devices, trainer.max_epochs) == (1, 1, 3)
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
    assert trainer.progress_bar_callback is None


def test_the_end_of_a_training_is_saved(tmp_path):
    data = data_for(PLAN)
    saves = Checkpoints(tmp_path, every_epochs=1, every_steps=None, minutes=None)
    module = make_supernet("nasbench201", PLAN, data)
    new_trainer(epochs=1, accelerator="cpu", callbacks=[saves], folder=tmp_path).fit(module, datamodule=data)
    state = read_checkpoint(tmp_path / "final.ckpt")["state_dict"]
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_seeds_are_0_unless_they_are_given_and_an_architecture_is_a_value_or_its_text():
    data, space = data_for(PLAN), get_space("nasbench201")
    first = lambda module: next(module.parameters())  # noqa: E731
    assert torch.equal(first(make_supernet("nasbench201", PLAN, data)), first(make_supernet(space, PLAN, data, 0)))
    assert not torch.equal(first(make_supernet(space, PLAN, data, 1)), first(make_supernet(space, PLAN, data)))
    text, value = (make_standalone(space, PLAN, data, given) for given in (CELL, space.parse(CELL)))
    assert torch.equal(first(text), first(value))
    assert torch.equal(first(text), first(make_standalone(space, PLAN, data, CELL, 0)))
    assert not torch.equal(first(text), first(make_standalone(space, PLAN, data, CELL, 1)))


def test_a_checkpoint_without_its_first_record_is_damaged(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, {"state_dict": {"w": torch.ones(3)}, "nas_lightning": {"format": 1}})
    whole = path.read_bytes()
    assert whole.startswith(b"PK\x03\x04")
    path.write_bytes(b"PK\x00\x00" + whole[4:])  # the directory at the end stays as it was
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(path)
    name = whole.index(b"a/")  # of the first record, where it stands; PyTorch would not compare it with the directory's
    path.write_bytes(whole[:name] + b"b" + whole[name + 1 :])
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(path)
    path.write_bytes(whole)
    assert read_checkpoint(path)["state_dict"]["w"].sum() == 3


def test_a_run_folder_means_its_final_checkpoint(tmp_path):
    assert checkpoint_at(tmp_path) == tmp_path / "checkpoints" / "final.ckpt"
    assert checkpoint_at(str(tmp_path / "x.ckpt")) == tmp_path / "x.ckpt"


def test_a_second_bar_within_the_run_goes_when_its_work_is_done(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    bar = RunProgress()
    with bar.counted("Scoring", 3) as tell:
        tell(3)
    assert capsys.readouterr().err == "", "less than 20 seconds"
    bar._progress = progress.new_progress(Console(file=io.StringIO()))
    with bar.counted("Scoring", 3) as tell:
        (task,) = bar._progress.tasks
        tell(2)
        assert (task.completed, task.total) == (2, 3)
    assert bar._progress.tasks == []


def test_a_log_file_has_a_line_at_every_tenth_of_what_takes_longer_than_20_seconds(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    with counted("Scoring", 40) as tell:
        for done in range(1, 41):
            now[0] += 1.0 if done <= 20 else 3.0
            tell(done)
    lines = capsys.readouterr().err.splitlines()
    # After 20 steps 20 s have passed, which is not longer. Left: (20 + 3 (d - 20)) / (d - 1) * (40 - d) seconds.
    left = {21: 22, 24: 22, 28: 20, 32: 14, 36: 8, 40: 0}
    assert lines == [f"Scoring {done}/40, {seconds} s left" for done, seconds in left.items()]


@pytest.mark.parametrize(("epochs", "told"), [(4, [1, 2, 3, 4]), (40, [1, *range(4, 41, 4)])])
def test_a_log_file_has_ten_epochs_of_a_training(monkeypatch, capsys, epochs, told):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    bar = RunProgress()
    for epoch in range(epochs):
        trainer = SimpleNamespace(
            callback_metrics={"train_loss": 1.5}, current_epoch=epoch, max_epochs=epochs, is_global_zero=True
        )
        bar.on_train_epoch_end(trainer, None)
    assert capsys.readouterr().err.splitlines() == [f"epoch {epoch}/{epochs}: loss 1.500" for epoch in told]


def test_a_divergence_says_what_to_lower_and_names_a_clip_that_is_off():
    assert LIMIT == 100
    clipped, free = (str(DivergedError(3, 9.0, Protocol(gradient_clip=clip))) for clip in (5.0, 0.0))
    assert clipped.endswith(f"lower plan.protocol.learning_rate (now {Protocol().learning_rate:g})")
    assert free == clipped + " or set plan.protocol.gradient_clip, which is off"
    assert Plan().protocol.gradient_clip > 0
