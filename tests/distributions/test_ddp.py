"""Two ranks learn weights and α as one process does on the global batch."""

import pytest
import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port

from tests.distributions import ddp_worker
from tests.distributions.ddp_worker import METHODS, WORLD
from tests.helpers import process


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("ddp"), find_free_network_port()
    command = ["-m", "tests.distributions.ddp_worker"]
    ranks = [process.Running([*command, r, port, folder]) for r in range(WORLD)]
    ended = [rank.end(800) for rank in ranks]
    assert [rank.returncode for rank in ended] == [0] * WORLD, [rank.stderr for rank in ended]
    return {name: [torch.load(folder / f"{name} {r}.pt", weights_only=True) for r in range(WORLD)] for name in METHODS}


@pytest.mark.timeout(500)
@pytest.mark.parametrize("name", METHODS)
def test_two_ranks_equal_one_process(found, name):
    first, second = found[name]
    alone = ddp_worker.fit(name, devices=1)
    assert first.keys() == second.keys() == alone.keys()
    for key, value in alone.items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], value, rtol=1e-9, atol=1e-11, msg=lambda text, key=key: key + text)
