"""Parts of the DARTS network against their definition."""

import pytest
import torch
from torch.nn import functional as F

from nas_lightning.nets.darts import FactorizedReduce


@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_a_factorised_reduction_is_two_strided_convolutions(channels, side):
    """Values and gradients; the network itself slices, since oneDNN's gradient of the strided form is unsound."""
    torch.manual_seed(0)
    layer = FactorizedReduce(channels, 4, affine=False, track=False).double()
    seen = []
    layer.norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.randn(3, channels, side, side, dtype=torch.float64, requires_grad=True)
    if side % 2:
        with pytest.raises(RuntimeError):  # as the published one: its two grids differ in size
            layer(x)
        return
    layer(x)
    y = F.relu(x)
    with torch.backends.mkldnn.flags(enabled=False):
        halves = [F.conv2d(y, layer.first(1), stride=2), F.conv2d(y[:, :, 1:, 1:], layer.second(1), stride=2)]
        expected = torch.cat(halves, dim=1)
        (wanted,) = torch.autograd.grad(expected.square().sum(), x, retain_graph=True)
    (found,) = torch.autograd.grad(seen[0].square().sum(), x)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
