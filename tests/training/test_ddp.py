"""Two ranks train what one process trains that runs the ranks' shards in turn and averages their gradients."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from torch.nn import functional as F

from nas_lightning.data.module import KeyedLoader
from nas_lightning.nets.norm import running_statistics
from nas_lightning.training.schedule import learning_rate
from tests.helpers import process
from tests.training import ddp_worker
from tests.training.ddp_worker import CASES, EPOCHS, WORLD

pytestmark = pytest.mark.timeout(860)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What either rank has ended with, by case."""
    folder, port = tmp_path_factory.mktemp("ddp"), find_free_network_port()
    command = [Path(__file__).parent / "ddp_worker.py"]
    ranks = [process.Running([*command, r, port, folder]) for r in range(WORLD)]
    ended = [rank.end(800) for rank in ranks]
    assert [rank.returncode for rank in ended] == [0] * WORLD, [rank.stderr for rank in ended]
    return {case: [torch.load(folder / f"{case} {r}.pt", weights_only=True) for r in range(WORLD)] for case in CASES}


def in_turn(case):
    """One process, without Lightning: per step, every shard from the same state; then the mean of what they gave."""
    module = ddp_worker.module_of(case)
    plan, network = module.plan, module.network.double().train()
    protocol = plan.protocol
    loaders = [
        KeyedLoader(data.train_set, protocol.batch_size, 0, data.augment, data.normalize, lambda: 0, rank, WORLD)
        for rank, data in enumerate(ddp_worker.data_of(plan) for _ in range(WORLD))
    ]
    optimizer = module.configure_optimizers()
    losses = []
    for step in range(EPOCHS * len(loaders[0])):
        optimizer.param_groups[0]["lr"] = learning_rate(protocol, step, len(loaders[0]), EPOCHS * len(loaders[0]))
        before = [t.clone() for t in running_statistics(network)]
        gradients, moved = [], []
        paths = module.paths(step)
        for rank, loader in enumerate(loaders):
            for tensor, start in zip(running_statistics(network), before, strict=True):
                tensor.copy_(start)
            network.zero_grad(set_to_none=True)
            images, labels = loader.batch(step)
            with patch("nas_lightning.nets.base.position", lambda rank=rank: (rank, WORLD)):
                network.set_draw(0, step)
                for arch in paths.architectures:
                    loss = F.cross_entropy(
                        network(images.double(), arch), labels, label_smoothing=protocol.label_smoothing
                    )
                    (loss * paths.weight).backward()
                    losses.append(loss.item())
            gradients.append([p.grad for p in network.parameters()])
            moved.append([t.clone() for t in running_statistics(network)])
        for tensor, values in zip(running_statistics(network), zip(*moved, strict=True), strict=True):
            tensor.copy_(sum(values) / WORLD)
        for parameter, values in zip(network.parameters(), zip(*gradients, strict=True), strict=True):
            assert len({value is None for value in values}) == 1
            parameter.grad = None if values[0] is None else sum(values) / WORLD
        if protocol.gradient_clip > 0:
            torch.nn.utils.clip_grad_norm_(network.parameters(), protocol.gradient_clip)
        optimizer.step()
    last = losses[-len(losses) // EPOCHS :]
    return network, sum(last) / len(last)


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-11, atol=1e-12, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("case", CASES)
def test_all_ranks_end_with_the_same_bits(found, case):
    first, second = found[case]
    assert first.keys() == second.keys()
    assert all(torch.equal(first["state"][name], second["state"][name]) for name in first["state"])
    for name in first.keys() - {"state"}:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("case", [case for case, (*_, batch_norm) in CASES.items() if batch_norm == "sharded"])
def test_two_ranks_equal_one_process_that_takes_their_shards_in_turn(found, case):
    network, loss = in_turn(case)
    assert_same_state(network.state_dict(), found[case][0]["state"])
    assert float(found[case][0]["loss"]) == pytest.approx(loss, rel=1e-6)  # the mean over the ranks, in 32 bits
    start = ddp_worker.module_of(case).network.double().state_dict()
    moved = {name for name in start if not torch.equal(start[name], found[case][0]["state"][name])}
    assert len(moved) > len(start) / 10


@pytest.mark.parametrize("case", [case for case, (*_, batch_norm) in CASES.items() if batch_norm != "sharded"])
def test_without_the_shards_own_moments_two_ranks_equal_the_global_batch(found, case):
    module, _, trainer = ddp_worker.fit(case, devices=1)
    assert_same_state(module.network.state_dict(), found[case][0]["state"])
    assert float(found[case][0]["loss"]) == pytest.approx(float(trainer.callback_metrics["train_loss"]), rel=1e-6)


def test_shards_have_moments_of_their_own(found):
    """Else the equality with the global batch above would say nothing."""
    module, *_ = ddp_worker.fit("fairnas", devices=1)
    with pytest.raises(AssertionError):
        assert_same_state(module.network.state_dict(), found["fairnas"][0]["state"])


@pytest.mark.parametrize("case", [case for case in CASES if case != "no batch-norm"])
def test_scores_of_two_ranks_are_bit_for_bit_those_of_one(found, case):
    module = ddp_worker.module_of(case)
    module.network.double().load_state_dict(found[case][0]["state"])
    scores = ddp_worker.evaluation_of(module, ddp_worker.data_of(module.plan)).scores(module)
    for name, values in scores.items():
        assert values.tolist() == found[case][0][name].tolist()
        assert len(set(values.tolist())) > 1
