"""The yardstick itself: the plain networks compute what ours do, and refuse weights that are not theirs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space

SMALL = {
    "nasbench101": {"mapping.channels": 11, "mapping.layers": 1, "mapping.op_placement": "node"},
    "nasbench201": {"mapping.channels": 4, "mapping.layers": 1},
    "darts_nds": {"mapping.channels": 4, "mapping.layers": 3, "mapping.bn_affine": False},
}


@pytest.fixture(autouse=True)
def _from_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))


@pytest.mark.parametrize("space", SMALL)
def test_plain_networks_equal_the_supernet(space):
    from perf.plain import copy_weights, plain_network

    torch.manual_seed(0)
    plan, rng = Plan().edited(SMALL[space]), np.random.default_rng(0)
    supernet = build_network(space, plan, 10, 3).to(memory_format=torch.channels_last).train()
    images = torch.randn(8, 3, 16, 16).to(memory_format=torch.channels_last)
    for _ in range(3):
        arch = get_space(space).sample(rng)
        plain = plain_network(space, plan, arch, 10, 3)
        copy_weights(plain, supernet.standalone(arch))
        torch.testing.assert_close(plain(images), supernet(images, arch), rtol=1e-4, atol=1e-4)


def test_weights_of_another_architecture_are_refused():
    from perf.plain import copy_weights, plain_network

    plan, space = Plan().edited(SMALL["nasbench201"]), get_space("nasbench201")
    one, other = (space.parse(f"|{o}~0|+|none~0|none~1|+|none~0|{o}~1|none~2|") for o in ("nor_conv_1x1", "none"))
    supernet = build_network("nasbench201", plan, 10, 3)
    with pytest.raises(ValueError, match="too many"):
        copy_weights(plain_network("nasbench201", plan, one, 10, 3), supernet.standalone(other))
    with pytest.raises(ValueError, match="lacks parameters"):
        copy_weights(plain_network("nasbench201", plan, other, 10, 3), supernet.standalone(one))
