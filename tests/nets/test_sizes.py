"""Sides of images that are odd or small: a network runs on them, or they are refused in one sentence."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nas_lightning.nets.build import build_network
from nas_lightning.nets.nasbench201 import ReductionBlock
from nas_lightning.nets.sizes import refuse_other_sizes
from nas_lightning.plan import PlanError
from nas_lightning.spaces import get_space
from tests.helpers.nightly import rest_nightly
from tests.helpers.small_plans import small_plan


def refusal_of(space, side):
    try:
        refuse_other_sizes(space, small_plan(space), num_outputs=10, in_channels=3, image_size=side)
    except PlanError as refusal:
        return str(refusal)
    return None


SPACES = ("nasbench201", "nasbench101", "darts_nds", "nasbench_macro")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "space"),
    rest_nightly(
        ((side, space) for side in (1, 2, 3, 5, 6, 7, 9, 12) for space in SPACES),
        lambda side, space: side in (1, 5, 6, 12),  # one pixel, odd, even, divisible by four
    ),
)
def test_what_is_not_refused_runs_and_what_is_refused_does_not(space, side):
    plan, domain, rng = small_plan(space), get_space(space), np.random.default_rng(1)
    network = build_network(space, plan, 10, 3).train()
    archs = [domain.sample_unique(rng) for _ in range(4)]

    def run():
        return [network(network.example_input(2, side), arch).shape for arch in archs]

    refusal = refusal_of(space, side)
    if refusal is None:
        assert run() == [(2, 10)] * len(archs)
    else:
        assert f"takes no images of {side} x {side} pixels" in refusal
        assert len(refusal) < 300
        with pytest.raises(RuntimeError):
            run()


@pytest.mark.slow
def test_the_sides_of_each_space():
    def fits(space, side):
        return refusal_of(space, side) is None

    assert [side for side in range(1, 8) if fits("nasbench201", side)] == [1, 2, 3, 4, 5, 6, 7]
    assert [side for side in range(1, 8) if fits("nasbench101", side)] == [4, 5, 6, 7]
    assert [side for side in range(1, 10) if fits("darts_nds", side)] == [4, 8]


def test_no_random_number_is_drawn():
    before = torch.random.get_rng_state()
    refuse_other_sizes("nasbench101", small_plan("nasbench101"), num_outputs=7, in_channels=3, image_size=13)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_shortcut_of_nasbench201_halves_upwards_as_its_convolution_does():
    block = ReductionBlock(3, 6, affine=True, track=False)
    block.second_norm = torch.nn.Identity()
    with torch.no_grad():
        block.second.weights["3"].zero_()  # the shortcut alone is left
        for side in (4, 3, 5):
            x = torch.randn(2, 3, side, side)
            padded = F.pad(x, (0, side % 2, 0, side % 2))
            ones = F.pad(torch.ones(1, 1, side, side), (0, side % 2, 0, side % 2))
            mean = F.avg_pool2d(padded, 2) / F.avg_pool2d(ones, 2)  # of the pixels that are there
            torch.testing.assert_close(block(x), F.conv2d(mean, block.shortcut(1)))


@pytest.mark.parametrize("side", [3, 6, 7, 8])
def test_multiply_accumulates_of_odd_sides_are_those_of_the_network(side):
    space, rng = get_space("nasbench201"), np.random.default_rng(0)
    archs = [space.sample_unique(rng) for _ in range(3)]
    shape = {"channels": 4, "layers": 1, "num_classes": 10, "in_channels": 3, "image_size": side}
    _, macs = space.costs(archs, **shape)
    _, counted = space.network_class().counted(archs, **shape, affine=True)
    assert macs.tolist() == counted.tolist()
