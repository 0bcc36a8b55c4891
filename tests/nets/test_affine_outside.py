"""Batch-norms outside the cells have a switch of their own, as the published search networks do."""

import pytest

from nas_lightning.nets.build import build_network
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.plan import Plan
from tests.helpers.small_plans import SMALL, small_plan


def affine_norms(space, inside, outside, **edits):
    """(any inside the cells, all inside, any outside, all outside) learns scale and shift."""
    plan = small_plan(space, mapping__bn_affine=inside, mapping__bn_affine_outside=outside, **edits)
    found = {True: [], False: []}
    for name, module in build_network(space, plan, 10, 1).named_modules():
        if isinstance(module, BatchNorm):
            found[name.startswith(("cells.", "layers."))].append(module.weight is not None)
    assert found[True]
    assert found[False]
    return any(found[True]), all(found[True]), any(found[False]), all(found[False])


@pytest.mark.parametrize("space", SMALL)
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("outside", [None, True, False])
def test_each_switch_moves_its_own_norms(space, inside, outside):
    beyond = inside if outside is None else outside
    assert affine_norms(space, inside, outside) == (inside, inside, beyond, beyond)


def test_the_published_search_network_of_nasbench201_keeps_544_scales_and_shifts():
    def count(**edits):
        plan = Plan().edited({f"mapping.{name}": value for name, value in edits.items()})
        return sum(p.numel() for p in build_network("nasbench201", plan, 10).parameters())

    # Stem 2·16, reductions 2·2·(32 + 64), head 2·64.
    assert count(bn_affine=False, bn_affine_outside=True) - count(bn_affine=False) == 32 + 384 + 128
    assert count(bn_affine=True, bn_affine_outside=True) == count(bn_affine=True)
