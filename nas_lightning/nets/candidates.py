"""The operations that one place of a network offers, under the same names as super-net and as stand-alone network."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn


class Candidates(nn.Module):
    """The operations of one place: all of them in a super-net, an architecture's own in its stand-alone network.

    Args:
        build: makes the operation of a choice.
        choices: the choices that are built.
    """

    def __init__(self, build: Callable[[int], nn.Module], choices: Iterable[int]) -> None:
        super().__init__()
        self.options = nn.ModuleDict({str(choice): build(choice) for choice in choices})

    def forward(self, x: Tensor, choice: int) -> Tensor:
        """`x` through the operation `choice`."""
        out: Tensor = self.options[str(choice)](x)
        return out
