"""Two real ranks on a text: they equal one process, and a resume in mid-epoch is bit for bit, all in 64 bits."""

from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port

from tests.helpers import process
from tests.helpers.small_texts import data_at
from tests.training.text_ddp_worker import STOP, WORLD, fit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(860)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("text_ddp")


@pytest.fixture(scope="module")
def found(folder):
    """The weights that either rank has ended with, by run."""
    port = find_free_network_port()
    command = [Path(__file__).parent / "text_ddp_worker.py"]
    ranks = [process.Running([*command, r, port, folder]) for r in range(WORLD)]
    ended = [rank.end(800) for rank in ranks]
    assert [rank.returncode for rank in ended] == [0] * WORLD, [rank.stderr for rank in ended]
    names = ("whole", "saved", "resumed")
    return {name: [torch.load(folder / f"{name} {r}.pt", weights_only=True) for r in range(WORLD)] for name in names}


def test_two_ranks_equal_one_process(found, folder):
    """Each reads two of the four streams and carries their states: the same weights after two epochs."""
    one = fit(folder / "text 0.txt").network.state_dict()
    for rank in found["whole"]:
        assert rank.keys() == one.keys()
        for name, value in one.items():
            torch.testing.assert_close(
                rank[name], value, rtol=1e-10, atol=1e-12, msg=lambda text, name=name: name + text
            )


def test_two_ranks_resume_in_mid_epoch_bit_for_bit(found, folder):
    assert STOP % len(data_at(folder / "text 0.txt").loader()), "in mid-epoch"
    for name in ("saved", "resumed"):
        for ended, whole in zip(found[name], found["whole"], strict=True):
            assert all(torch.equal(ended[key], value) for key, value in whole.items())
