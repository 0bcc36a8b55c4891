"""How kernels start: the two schemes, and that the scheme touches kernels alone."""

import math

import pytest
import torch

from nas_lightning.nets.build import build_network
from nas_lightning.nets.kernel import SharedKernel
from nas_lightning.plan import Plan, PlanError

SMALL = {
    "nasbench101": {"mapping.channels": 12, "mapping.layers": 1, "mapping.op_placement": "node"},
    "nasbench201": {"mapping.channels": 8, "mapping.layers": 1},
    "darts_nds": {"mapping.channels": 6, "mapping.layers": 3},
}


def network(space, **edits):
    torch.manual_seed(3)
    return build_network(space, Plan().edited(SMALL[space] | {f"protocol.{k}": v for k, v in edits.items()}), 10)


@pytest.mark.parametrize("space", SMALL)
def test_kaiming_uniform_is_what_pytorch_layers_start_from(space):
    kernels = [m for m in network(space, initialization="kaiming_uniform").modules() if isinstance(m, SharedKernel)]
    for kernel in kernels:
        for weight in kernel.weights.values():
            bound = 1 / math.sqrt(weight[0].numel())
            assert weight.detach().abs().max() <= bound
            if weight.numel() > 500:
                assert float(weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("space", SMALL)
def test_the_scheme_changes_kernels_alone(space):
    normal, uniform = network(space), network(space, initialization="kaiming_uniform")
    before, after = normal.state_dict(), uniform.state_dict()
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    kernels = {
        f"{name}.weights.{size}"
        for name, module in normal.named_modules()
        if isinstance(module, SharedKernel)
        for size in module.weights
    }
    assert kernels
    assert same == set(before) - kernels
    again = network(space, initialization="kaiming_uniform")
    assert all(torch.equal(a, b) for a, b in zip(uniform.parameters(), again.parameters(), strict=True))


def test_an_unknown_scheme_is_refused():
    with pytest.raises(PlanError, match="choose one of kaiming_normal, kaiming_uniform"):
        Plan().edited({"protocol.initialization": "xavier"})
