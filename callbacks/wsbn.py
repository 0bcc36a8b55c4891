"""Heuristic 3, WSBN: batch-norm banks chosen by the incoming edges of a vertex."""

from __future__ import annotations

from typing import Any

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space


class WSBN(Heuristic):
    """Weight-sharing batch normalisation: scale, shift and statistics of their own for every incoming-edge pattern.

    Picture::

        inputs a b c     statistics and scale
               █ · ·  →  bank a
               █ █ ·  →  bank ab
               · █ █  →  bank bc

    Mechanism: ``on`` keeps for vertex i one bank per non-empty set of its i possible predecessors, 2^i − 1 in all, and
    uses the sampled cell's; the others stay untouched. ``per_input`` keeps i banks, one per incoming edge, as NAO does;
    the inputs are summed before the operation, so that the vertex normalises once, with the mean of its active banks.

    Source: Luo et al., NAO (arXiv 1808.07233) and its code; Yu, Ranftl, Salzmann (arXiv 2110.01154).
    Fires: before the network is built (plan). Cost: memory for the banks (31 at the last vertex), no time.
    Does not: touch the projections, which read the cell's input alone. Cannot go with SyncBN.
    Applies to: spaces with summed_inputs (nasbench101), where inputs are summed before the operation.
    """

    factor = "wsbn"
    fields = ("mapping.wsbn",)
    shares_weights = True

    def __init__(self, mode: str | None = None) -> None:
        super().__init__(wsbn=mode)

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "summed_inputs" not in space.capabilities:
            raise NotApplicableError(
                f"heuristics/wsbn does not apply to space={space.name}, where no vertex sums its inputs before its "
                "operation; set heuristics/wsbn=default"
            )
