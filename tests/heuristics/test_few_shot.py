"""Few-shot splits: one super-net until the split, then parts that only their own architectures train."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from callbacks.few_shot import FewShot
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.nets.build import build_network
from nas_lightning.nets.few_shot import FewShotNetwork
from nas_lightning.plan import Plan, PlanError
from nas_lightning.scoring.score import score
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoint_file import write_checkpoint
from nas_lightning.training.module import SuperNetModule, load_network
from tests.helpers.small_plans import data_for, small_plan, trained

SPACE = get_space("nasbench201")
EDGE = 3


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(n)]


def moved_network():
    """A few-shot super-net whose parts differ."""
    torch.manual_seed(0)
    plan = small_plan("nasbench201", mapping__few_shot_edge=EDGE)
    network = build_network("nasbench201", plan, 10, 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return network.eval()


def test_until_the_split_it_is_one_super_net():
    plan = small_plan("nasbench201", protocol__epochs=1)
    plain = trained("nasbench201", plan, steps=4).network.state_dict()
    heuristic = FewShot(EDGE, 0.99)
    split = trained("nasbench201", fold(plan, "nasbench201", [heuristic]), heuristic, steps=4)
    assert split.total_steps() * 0.99 > 4
    for part in split.network.parts:
        assert all(torch.equal(plain[name], value) for name, value in part.state_dict().items())


def test_gradients_of_several_paths_are_summed_until_the_split():
    plan = small_plan("nasbench201", protocol__epochs=1, protocol__sampling="fairnas", protocol__gradient_clip=0.0)
    plain = trained("nasbench201", plan, steps=2).network.state_dict()
    heuristic = FewShot(EDGE, 0.99)
    split = trained("nasbench201", fold(plan, "nasbench201", [heuristic]), heuristic, steps=2)
    for part in split.network.parts:
        for name, value in part.state_dict().items():
            torch.testing.assert_close(plain[name], value, rtol=1e-4, atol=1e-6)


def test_after_the_split_a_path_trains_its_own_part():
    plan = small_plan("nasbench201")
    heuristic = FewShot(EDGE, 0.0)
    start = SuperNetModule("nasbench201", fold(plan, "nasbench201", [heuristic]), 10, 1, 0)
    module = trained("nasbench201", start.plan, heuristic, steps=2)
    used = {module.paths(step).architectures[0].operations[EDGE] for step in range(2)}
    moved = {
        index
        for index, (before, after) in enumerate(zip(start.network.parts, module.network.parts, strict=True))
        if any(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    }
    assert moved == used


def test_an_architecture_is_scored_in_its_part():
    network, archs = moved_network(), drawn(40)
    images, labels = torch.randn(30, 1, 8, 8), torch.randint(0, 10, (30,))
    found = score(network, archs, [(images, labels)], probe=[(images, labels)])
    for arch, accuracy, loss in zip(archs, found["accuracy"], found["negative_cross_entropy"], strict=True):
        part = network.parts[arch.operations[EDGE]]
        with torch.inference_mode():
            logits = part(images, arch)
        assert accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
        assert loss == pytest.approx(-F.cross_entropy(logits, labels).item(), abs=1e-5)
    assert len({a.operations[EDGE] for a in archs}) == 5


def test_a_sub_net_of_a_part_stands_alone():
    network, images = moved_network(), torch.randn(6, 1, 8, 8)
    for arch in drawn(5, seed=1):
        alone = network.standalone(arch)
        assert not isinstance(alone, FewShotNetwork)
        with torch.inference_mode():
            torch.testing.assert_close(alone(images), network(images, arch), rtol=0, atol=1e-6)


def test_a_checkpoint_rebuilds_the_parts(tmp_path):
    plan = small_plan("nasbench201", mapping__few_shot_edge=EDGE)
    module = SuperNetModule("nasbench201", plan, 10, 1, 0)
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    write_checkpoint(tmp_path / "few.ckpt", checkpoint)
    network, identity = load_network(tmp_path / "few.ckpt")
    assert Plan.from_dict(identity["plan"]).mapping.few_shot_edge == EDGE
    images, _ = data_for(plan).loader().batch(0)
    arch = drawn(1)[0]
    with torch.inference_mode():
        assert torch.equal(network.eval()(images, arch), module.network.eval()(images, arch))


def test_what_cannot_be_split_is_refused():
    with pytest.raises(NotApplicableError, match="extra=few_shot does not apply to space=darts_nds"):
        fold(small_plan("darts_nds"), "darts_nds", [FewShot(3, 0.5)])
    with pytest.raises(PlanError, match="few_shot_edge=6 is out of range"):
        fold(small_plan("nasbench201"), "nasbench201", [FewShot(6, 0.5)])
    with pytest.raises(PlanError, match="few_shot_edge=0 does not apply to nasbench101"):
        build_network("nasbench101", small_plan("nasbench101", mapping__few_shot_edge=0), 10, 1)
    for wrong, message in (((3, 1.0), "until=1.0"), ((3, None), "both edge and until")):
        with pytest.raises(PlanError, match=message):
            FewShot(*wrong)
