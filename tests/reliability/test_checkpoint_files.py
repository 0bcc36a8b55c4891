"""One checkpoint file: whatever happens to its bytes is noticed, and nothing in it is executed."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from nas_lightning.training.checkpoint_file import (
    CHECKPOINT_KEY,
    FORMAT,
    CheckpointError,
    DamagedCheckpointError,
    read_checkpoint,
    verify,
    write_checkpoint,
)
from nas_lightning.training.checkpoints import resume_point
from nas_lightning.training.module import SuperNetModule, load_network
from tests.helpers.small_plans import small_plan


def content(step=0):
    return {CHECKPOINT_KEY: {"format": FORMAT}, "state_dict": {"w": torch.arange(300.0) + step}, "global_step": step}


def equal(one, other):
    return one.keys() == other.keys() and torch.equal(one["state_dict"]["w"], other["state_dict"]["w"])


def test_a_checkpoint_comes_back_and_leaves_nothing_beside_it(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", content())
    assert equal(read_checkpoint(tmp_path / "a.ckpt"), content())
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_a_flipped_bit_is_noticed_wherever_it_matters(tmp_path):
    """Every bit of 400 random bytes: the file is refused, or its content is what was written (padding, time stamps)."""
    write_checkpoint(tmp_path / "a.ckpt", content())
    good = (tmp_path / "a.ckpt").read_bytes()
    weights = good.index(torch.arange(300.0).numpy().tobytes())
    rng, refused = np.random.default_rng(0), []
    for at in rng.integers(0, len(good), 400).tolist():
        flipped = bytearray(good)
        flipped[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "b.ckpt").write_bytes(flipped)
        try:
            found = read_checkpoint(tmp_path / "b.ckpt")
        except CheckpointError:
            refused.append(at)
        else:
            assert equal(found, content())
    inside = [at for at in refused if weights <= at < weights + 1200]
    assert len(refused) > 100
    assert len(inside) > 50


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", content())
    good = (tmp_path / "a.ckpt").read_bytes()
    for length in (0, 1, 100, len(good) // 2, len(good) - 30, len(good) - 1):
        (tmp_path / "b.ckpt").write_bytes(good[:length])
        with pytest.raises(DamagedCheckpointError, match="damaged or not a PyTorch checkpoint; use another one"):
            read_checkpoint(tmp_path / "b.ckpt")


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_what_is_verified_is_damaged_in_its_directory_or_in_a_records_own_header(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, content())
    verify(path)
    good = path.read_bytes()
    assert good[:4] == b"PK\x03\x04"
    for damaged in (good[:-30], b"PK\x09\x09" + good[4:]):
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpointError, match="is damaged"):
            verify(path)


def test_a_pickle_bomb_does_not_go_off(tmp_path):
    torch.save({**content(), "state_dict": Bomb(tmp_path / "boom")}, tmp_path / "zip.ckpt")
    torch.save(
        {**content(), "x": Bomb(tmp_path / "boom")}, tmp_path / "legacy.ckpt", _use_new_zipfile_serialization=False
    )
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    for name in ("zip", "legacy", "plain"):
        for read in (read_checkpoint, load_network):
            with pytest.raises(DamagedCheckpointError):
                read(tmp_path / f"{name}.ckpt")
    assert not (tmp_path / "boom").exists()
    torch.load(tmp_path / "zip.ckpt", weights_only=False)  # the bomb is a real one
    assert (tmp_path / "boom").exists()


def test_a_compressed_archive_is_refused_unread(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(tmp_path / "bomb.ckpt")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.zeros(3), "not written by nas-lightning"),
        ([1], "not written by nas-lightning"),
        ({CHECKPOINT_KEY: 3}, "not written by nas-lightning"),
        ({CHECKPOINT_KEY: {"format": FORMAT + 1}}, "reads format 1; move the folder away"),
        ({CHECKPOINT_KEY: {}}, "has format None"),
        ({CHECKPOINT_KEY: {"format": FORMAT}}, "contradicts itself"),
    ],
)
def test_foreign_content_is_one_sentence(tmp_path, wrong, words):
    torch.save(wrong, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=words) as refusal:
        load_network(tmp_path / "a.ckpt")
    assert "\n" not in str(refusal.value)


def saved(**identity):
    module = SuperNetModule("nasbench201", small_plan("nasbench201"), 10, 1, 0)
    checkpoint = {"state_dict": module.state_dict()}
    module._trainer = None
    checkpoint[CHECKPOINT_KEY] = {"format": FORMAT, **module.identity, **identity}
    return checkpoint


@pytest.mark.parametrize(
    "identity",
    [
        {"plan": {"mapping": {"channels": 4096, "layers": 20}, "protocol": {}}},  # terabytes, if it were built
        {"plan": {"mapping": {"channels": "os.system"}, "protocol": {}}},
        {"plan": {"mapping": {"_target_": "os.mkdir"}, "protocol": {}}},
        {"plan": [1]},
        {"space": "os.path"},
        {"space": 7},
        {"architecture": "|x~0|"},
        {"architecture": {"_target_": "os.mkdir"}},
        {"num_classes": -3},
        {"num_classes": 11},
        {"in_channels": "many"},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_the_weights_builds_nothing(tmp_path, identity):
    torch.save(saved(**identity), tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="contradicts itself") as refusal:
        load_network(tmp_path / "a.ckpt")
    assert "\n" not in str(refusal.value)


def test_the_description_as_it_was_written_loads(tmp_path):
    torch.save(saved(), tmp_path / "a.ckpt")
    network, identity = load_network(tmp_path / "a.ckpt")
    assert identity["num_classes"] == 10
    assert all(not p.is_meta for p in network.state_dict().values())


def test_resuming_takes_the_newest_intact_one_and_says_so(tmp_path, capsys):
    for step in (3, 20, 100):
        write_checkpoint(tmp_path / f"step-{step:08d}.ckpt", content(step))
    assert resume_point(tmp_path).name == "step-00000100.ckpt"
    write_checkpoint(tmp_path / "final.ckpt", content(120))
    assert resume_point(tmp_path).name == "final.ckpt"
    assert capsys.readouterr().err == ""
    for name in ("final", "step-00000100"):
        path = tmp_path / f"{name}.ckpt"
        path.write_bytes(path.read_bytes()[:-7])
    assert resume_point(tmp_path, writes=False).name == "step-00000020.ckpt"  # what every rank but the first does
    assert capsys.readouterr().err == ""
    assert resume_point(tmp_path).name == "step-00000020.ckpt"
    said = capsys.readouterr().err
    assert said.count("is damaged; the run goes on from step-00000020.ckpt, the one before it") == 2
    assert (tmp_path / "final.ckpt.damaged").exists()
    assert resume_point(tmp_path).name == "step-00000020.ckpt"
    assert capsys.readouterr().err == ""


def test_with_no_intact_one_training_starts_from_the_beginning(tmp_path, capsys):
    assert resume_point(tmp_path / "none") is None
    (tmp_path / "step-00000001.ckpt").write_bytes(b"")
    assert resume_point(tmp_path) is None
    assert "goes on from the beginning" in capsys.readouterr().err


def test_a_checkpoint_of_another_format_is_refused_not_passed_over(tmp_path):
    write_checkpoint(tmp_path / "step-00000001.ckpt", content(1))
    write_checkpoint(tmp_path / "step-00000002.ckpt", {CHECKPOINT_KEY: {"format": FORMAT + 1}})
    with pytest.raises(CheckpointError, match="move the folder away, or repeat its run with force=true"):
        resume_point(tmp_path)
    folder = tmp_path / "old"
    folder.mkdir()
    torch.save({"state_dict": {}}, folder / "last.ckpt")  # before there was a format
    with pytest.raises(CheckpointError, match="not written by nas-lightning"):
        resume_point(folder)


def test_a_checkpoint_of_a_code_with_other_weights_is_refused(tmp_path):
    write_checkpoint(tmp_path / "step-00000001.ckpt", content(1))
    weights = content()["state_dict"]
    assert resume_point(tmp_path, weights=weights).name == "step-00000001.ckpt"
    for other in ({"renamed": weights["w"]}, {"w": weights["w"][:7]}, {**weights, "more": weights["w"]}):
        with pytest.raises(CheckpointError, match="holds other weights than this version") as refusal:
            resume_point(tmp_path, weights=other)
        assert "\n" not in str(refusal.value)
    assert (tmp_path / "step-00000001.ckpt").exists()


def test_a_failed_save_leaves_the_last_one(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "a.ckpt", content(1))
    before = (tmp_path / "a.ckpt").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tmp_path / "a.ckpt", content(2))
    assert (tmp_path / "a.ckpt").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_what_cannot_be_saved_leaves_the_last_one(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", content(1))
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        write_checkpoint(tmp_path / "a.ckpt", {"stream": io.StringIO, "lambda": lambda: 0})
    assert equal(read_checkpoint(tmp_path / "a.ckpt"), content(1))


def test_checkpoints_of_before_are_found_and_the_newest_of_both_names_counts(tmp_path):
    write_checkpoint(tmp_path / "step=00000010.ckpt", content(10))
    assert resume_point(tmp_path).name == "step=00000010.ckpt"
    write_checkpoint(tmp_path / "step-00000020.ckpt", content(20))
    assert resume_point(tmp_path).name == "step-00000020.ckpt"
    write_checkpoint(tmp_path / "step=00000030.ckpt", content(30))
    assert resume_point(tmp_path).name == "step=00000030.ckpt"
