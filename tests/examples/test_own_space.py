"""A space of one's own, outside the package: a table is built, a super-net ranked against it, searched, reported."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from tests.helpers import process

ROOT = Path(__file__).parents[2]
TARGET = "examples.own_space.space.ToySpace"
OWN = ("--config-dir", "examples/own_space/conf", "space=toy", "trainer=cpu", "trainer.progress_bar=false")


def ran(script, *arguments):
    done = process.run([*script, *arguments], timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_subnets_equal_its_standalone_networks_and_its_costs_are_counted_from_them():
    space = get_space(TARGET)
    plan = Plan().edited({"mapping.channels": 4, "mapping.layers": 3, "protocol.track_running_stats": True})
    network = build_network(space, plan, 10, 1).double()
    for tensor in network.parameters():
        tensor.data += 0.1 * torch.randn(tensor.shape, dtype=tensor.dtype)
    network.eval()
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    for arch in space.enumerate():
        alone = network.standalone(arch)
        torch.testing.assert_close(alone(images), network(images, arch), rtol=0, atol=1e-12)
        params, macs = space.costs([arch], channels=4, in_channels=1, image_size=8)
        assert params[0] == sum(p.numel() for p in alone.parameters())
        squares = 9 * 4 + sum(16 * {0: 0, 1: 9, 2: 25}[op] for op in arch.operations)
        assert macs[0] == 64 * squares + 4 * 10 + 10
    assert space.sample(np.random.default_rng(0)) in set(space.enumerate())


@pytest.mark.timeout(900)
def test_it_is_trained_ranked_searched_and_reported_with_no_edit_elsewhere(tmp_path):
    runs, table = tmp_path / "runs", tmp_path / "toy.parquet"
    small = (f"runs={runs}", "plan.protocol.epochs=1", "plan.mapping.channels=2")
    ran(
        ["train.py"],
        *OWN,
        *small,
        "mode=table",
        "benchmark=none",
        "table.architectures=10",
        "table.seeds=1",
        "table.workers=1",
        f"table.out={table}",
    )
    ran(["train.py"], *OWN, *small, f"benchmark.name={table}", "evaluation.architectures=all", "seed=1")
    (ranked,) = [json.loads(p.read_text()) for p in runs.glob("toy_*/result.json")]
    assert ranked["space"] == "toy"
    ran(["search.py"], *OWN[:3], f"runs={runs}", f"benchmark.name={table}", "budget.amount=8")
    told = ran(["-m", "nas_lightning.report"], str(runs), "--out", str(tmp_path / "report"), "--space", TARGET)
    assert "complete" in told
    page = (tmp_path / "report" / "index.html").read_text()
    assert "toy" in page
    assert "not known here" not in page
