"""A run that is cut off and goes on: the weights have to end as those of an undisturbed one, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_lightning.modes.main import train
from tests.helpers.commands import composed


def assert_goes_on_with_the_same_bits(
    folder: Path, owner: type, method: str, when: Callable[..., bool], *overrides: str
) -> None:
    """Train twice, the second time with a power cut, and compare.

    Args:
        folder: an empty one.
        owner: a class, one of whose methods the cut happens in.
        method: its name; what it does is done before the cut.
        when: of the method's arguments: whether the cut happens at this call.
        overrides: of train.py; checkpoints are to be kept.
    """
    undisturbed = getattr(owner, method)

    def cut(*given: Any) -> None:
        undisturbed(*given)
        if when(*given):
            raise KeyError("power cut")

    train(composed(*overrides, f"runs={folder / 'a'}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, cut)
        with pytest.raises(KeyError, match="power cut"):
            train(composed(*overrides, f"runs={folder / 'b'}"))
    train(composed(*overrides, f"runs={folder / 'b'}"))
    first, second = (next((folder / run).rglob("final.ckpt")) for run in "ab")
    a, b = (torch.load(path, weights_only=True)["state_dict"] for path in (first, second))
    assert all(torch.equal(a[name], b[name]) for name in a)
