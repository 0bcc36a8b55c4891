"""Heuristic 9, number of channels: a super-net narrower than the stand-alone networks."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class Channels(Heuristic):
    """Initial width C, `value` or `scale` times the starting point's; later stages keep their multiples of it.

    Picture::

        stand-alone   ████████████████   C = 16
        super-net     ████████           C = 8

    Mechanism: the stem has C output channels (DARTS: 3 C, its cells' nodes C), the stages C, 2C and 4C; so all shared
    kernels [out, in, k, k] shrink on both axes.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), low-fidelity factors.
    Fires: before the network is built (plan). Cost: about quadratic in C for large C.
    Does not: change the stand-alone networks of the table that the super-net is ranked against.
    Applies to: all spaces; nasbench101 splits the width over up to 5 vertices and needs at least 5.
    """

    factor = "channels"
    fields = ("mapping.channels",)

    def __init__(self, value: int | None = None, scale: float | None = None) -> None:
        super().__init__(scale=scale, channels=value)
