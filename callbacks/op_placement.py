"""Heuristic 5, op placement: whether edges or nodes own the candidate operations."""

from __future__ import annotations

from typing import Any

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space


class OpPlacement(Heuristic):
    """``edge``: every edge owns its candidate operations; ``node``: the target node owns one set for all incoming
    edges.

    Picture::

        edge:  a ──[ops 1]──┐      node:  a ──┐
                            ├─▶ n             ├─[ops]─▶ n
               b ──[ops 2]──┘             b ──┘

    Mechanism: in node mode the weights are shared, the operation is still applied per edge and the outputs are summed,
    so that a stand-alone network with tied weights equals the sub-net. ``node_except_input`` lets the edges that leave
    the cell's inputs keep their own, as the authors' NAS-Bench-201 node mode does.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), section on operation placement.
    Fires: before the network is built (plan). Cost: fewer parameters, the same time.
    Does not: merge the inputs before the operation.
    Applies to: spaces with operation_owners (nasbench201, darts_nds; nasbench101 is node-owned by construction).
    """

    factor = "op_placement"
    fields = ("mapping.op_placement",)
    shares_weights = True

    def __init__(self, mode: str | None = None) -> None:
        super().__init__(op_placement=mode)

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "operation_owners" not in space.capabilities:
            raise NotApplicableError(
                f"heuristics/op_placement does not apply to space={space.name}, whose operations have one owner by "
                "construction; set heuristics/op_placement=default"
            )
