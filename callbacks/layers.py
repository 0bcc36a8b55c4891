"""Heuristic 6, number of layers: a super-net shallower than the stand-alone networks."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class Layers(Heuristic):
    """Cells per stage (nasbench101, nasbench201) or in all (darts_nds, reductions at ⌊L/3⌋ and ⌊2L/3⌋).

    Source: Yu21, low-fidelity factors. Fires: before the network is built (plan). Cost: time in proportion to the
    cells. Does not: change the cell, or the stand-alone networks of the table that the super-net is ranked against.
    Applies to: all three spaces.
    """

    factor = "layers"
    fields = ("mapping.layers",)

    def __init__(self, value: int | None = None) -> None:
        super().__init__(layers=value)
