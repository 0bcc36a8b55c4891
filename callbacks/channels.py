"""Heuristic 9, number of channels: a super-net narrower than the stand-alone networks."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class Channels(Heuristic):
    """Initial width C; later stages keep their multiples of it.

    Source: Yu21, low-fidelity factors. Fires: before the network is built (plan). Cost: about quadratic in C for large
    C. Does not: change the stand-alone networks of the table that the super-net is ranked against.
    Applies to: all three spaces; nasbench101 splits the width over up to 5 vertices and needs at least 5.
    """

    factor = "channels"
    fields = ("mapping.channels",)

    def __init__(self, value: int | None = None) -> None:
        super().__init__(channels=value)
