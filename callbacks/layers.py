"""Heuristic 6, number of layers: a super-net shallower than the stand-alone networks."""

from __future__ import annotations

from typing import Any

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space


class Layers(Heuristic):
    """Cells L, `value` or `scale` times the starting point's: per stage (nasbench101, nasbench201) or in all
    (darts_nds, reductions at ⌊L/3⌋ and ⌊2L/3⌋).

    Picture::

        stand-alone   ▣▣▣▣▣ ▷ ▣▣▣▣▣ ▷ ▣▣▣▣▣
        super-net     ▣     ▷ ▣     ▷ ▣

    Mechanism: all cells have the sampled architecture, each with weights of its own, so that L multiplies the shared
    tensors and leaves their shapes.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), low-fidelity factors.
    Fires: before the network is built (plan). Cost: time in proportion to the cells.
    Does not: change the cell, or the stand-alone networks of the table that the super-net is ranked against.
    Applies to: spaces with layers (nasbench101, nasbench201, darts_nds); darts_nds needs 3 cells, since with fewer
    every cell is a reduction.
    """

    factor = "layers"
    fields = ("mapping.layers",)

    def __init__(self, value: int | None = None, scale: float | None = None) -> None:
        super().__init__(scale=scale, layers=value)

    def check(self, plan: Plan, space: Space[Any]) -> None:
        layers = self.edits(plan)["mapping.layers"]
        if "layers" not in space.capabilities:
            raise NotApplicableError(
                f"heuristics/layers does not apply to space={space.name}, whose depth is fixed; set "
                "heuristics/layers=default"
            )
        if layers < space.smallest_depth:
            raise NotApplicableError(
                f"heuristics/layers with {layers} cells does not apply to space={space.name}, which leaves no normal "
                f"cell below {space.smallest_depth}; set at least {space.smallest_depth}"
            )
