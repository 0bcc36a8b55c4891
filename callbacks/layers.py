"""Heuristic 6, number of layers: a super-net shallower than the stand-alone networks."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan


class Layers(Heuristic):
    """Cells L, `value` or `scale` times the starting point's: per stage (nasbench101, nasbench201) or in all
    (darts_nds, reductions at ⌊L/3⌋ and ⌊2L/3⌋).

    Mechanism: all cells have the sampled architecture, each with weights of its own, so that L multiplies the shared
    tensors and leaves their shapes.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), low-fidelity factors.
    Fires: before the network is built (plan). Cost: time in proportion to the cells.
    Does not: change the cell, or the stand-alone networks of the table that the super-net is ranked against.
    Applies to: all three spaces; darts_nds needs 3 cells, since with fewer every cell is a reduction.
    """

    factor = "layers"
    fields = ("mapping.layers",)

    def __init__(self, value: int | None = None, scale: float | None = None) -> None:
        super().__init__(scale=scale, layers=value)

    def check(self, plan: Plan, space: str) -> None:
        layers = self.edits(plan)["mapping.layers"]
        if space == "darts_nds" and layers < 3:
            raise NotApplicableError(
                f"heuristics/layers with {layers} cells does not apply to space=darts_nds: the reductions at ⌊L/3⌋ and "
                "⌊2L/3⌋ leave no normal cell; set at least 3"
            )
