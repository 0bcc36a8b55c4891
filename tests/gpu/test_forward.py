"""One network computes the same on both devices: every space, every mapping, double and single precision."""

import copy

import pytest
import torch

from nas_lightning.nets.build import build_network
from nas_lightning.nets.norm import set_statistics
from nas_lightning.plan import Plan
from nas_lightning.scoring.score import score
from tests.nets.test_roles import CASES, SMALL, drawn, perturb

pytestmark = pytest.mark.gpu

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
NAMES = [f"{space}-{'-'.join(map(str, edits.values()))}" for space, edits in CASES]


def pair(space, edits, dtype, device):
    """Plan, the network on the CPU as it was built, and its copy on `device` in the memory format of training."""
    torch.manual_seed(0)
    plan = Plan().edited({**SMALL[space], **edits})
    here = build_network(space, plan, num_classes=7, in_channels=2)
    perturb(here)
    here = here.to(dtype)
    there = copy.deepcopy(here).to(device).to(memory_format=torch.channels_last)
    assert next(there.parameters()).device.type == device.type
    return plan, here, there


def images_of(dtype, n=6):
    return torch.randn(n, 2, 8, 8, dtype=dtype, generator=torch.Generator().manual_seed(2))


@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize(("space", "edits"), CASES, ids=NAMES)
def test_outputs_and_gradients_are_those_of_the_cpu(space, edits, dtype, device):
    plan, here, there = pair(space, edits, dtype, device)
    images = images_of(dtype)
    for network in (here, there):
        network.train()
        set_statistics(network, "batch")
    for arch in drawn(space, plan, 3):
        found = []
        for network, on in ((here, "cpu"), (there, device)):
            network.zero_grad(set_to_none=True)
            outputs = network(images.to(on), arch)
            outputs.square().mean().backward()
            used = {name: p.grad.cpu() for name, p in network.named_parameters() if p.grad is not None}
            found.append((outputs.detach().cpu(), used))
        (expected, reference), (outputs, gradients) = found
        assert expected.std() > 1e-6
        torch.testing.assert_close(outputs, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        assert gradients.keys() == reference.keys()
        size = max(float(g.abs().max()) for g in reference.values())
        for name, gradient in gradients.items():
            # relative to the largest of all: batch-norm makes some gradients a difference of equal numbers
            difference = float((gradient - reference[name]).abs().max())
            assert difference <= 10 * TOLERANCE[dtype] * size, name


@pytest.mark.usefixtures("without_tf32")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("space", SMALL)
def test_recalibrated_batch_norm_scores_as_on_the_cpu(space, dtype, device):
    plan, here, there = pair(space, {}, dtype, device)
    labels = torch.arange(6) % 7
    archs, images, calibration = drawn(space, plan, 4), images_of(dtype), images_of(dtype, 9).flip(0)
    found = [
        score(
            network, archs, [(images.to(on), labels.to(on))], statistics="recalibrate", calibration=[calibration.to(on)]
        )
        for network, on in ((here, "cpu"), (there, device))
    ]
    batch = score(here, archs, [(images, labels)])["negative_cross_entropy"]
    expected, measured = (scores["negative_cross_entropy"] for scores in found)
    assert abs(expected - batch).max() > 1e-3, "recalibration must matter here"
    # the loss itself is float32 (outputs are brought there), whatever computes them
    assert abs(measured - expected).max() <= 1e-4
    if dtype == torch.float64:
        assert abs(measured - expected).max() <= 1e-5
