"""Sharing curriculum: operations of several edges are one at first, and go their own ways later."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import Parameter

from nas_lightning.errors import did_you_mean
from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import Space

PLACE = re.compile(r"cells\.(\d+)\.places\.(\d+)-(\d+)")
"""In a parameter's name: cell, source and target of the edge."""
EXTENTS: dict[str, Callable[[int, int, int], str]] = {
    "stage": lambda cell, target, layers: f"stage{cell // layers}",
    "cell": lambda cell, target, layers: f"cell{cell}",
    "node": lambda cell, target, layers: f"cell{cell}.to{target}",
}
"""Who is one at first, as a name for the group of (cell, target node), given the cells per stage."""


class SharingCurriculum(Heuristic):
    """Ties the operations of all edges of a cell (``cell``), of all cells of a stage (``stage``) or of all edges into a
    node (``node``) for the first `until` of the steps; after that every edge trains its own copy.

    Mechanism: tied parameters start equal, and each gets the SUM of the group's gradients, which is the gradient of the
    one shared parameter; momentum and weight decay then keep them equal. An operation is thus trained up to six times
    as often (times the cells of a stage) while everything is far from converged, and the edges separate once sharing is
    what limits the ranking.

    Source: the curriculum over the sharing extent of Zhou et al., CLOSE (arXiv 2207.07868), section 4.2, here on the
    benchmark's own edges instead of learnt assignments.
    Fires: start of the training, before every optimizer step of its first part (after clipping). Cost: a sum a group.
    Does not: share between cells of different width, or batch-norm statistics.
    Applies to: spaces with edges (nasbench201), with op_placement=edge.
    """

    factor = "sharing_curriculum"
    fields = ()
    shares_weights = True

    def __init__(self, extent: str | None = None, until: float | None = None) -> None:
        super().__init__(options={"extent": extent, "until": until})
        if len(self.options) == 1:
            raise PlanError("heuristics.sharing_curriculum needs both extent and until; give the other one, too")
        if extent is not None and extent not in EXTENTS:
            raise PlanError(
                f"heuristics.sharing_curriculum.extent={extent!r} is unknown; "
                f"{did_you_mean(extent, EXTENTS)}choose one of {', '.join(EXTENTS)}"
            )
        if until is not None and not 0 < until <= 1:
            raise PlanError(
                f"heuristics.sharing_curriculum.until={until} is out of range; it is a share of the steps, above 0 and "
                "at most 1"
            )
        self._groups: list[list[Parameter]] = []

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "edges" not in space.capabilities:
            raise NotApplicableError(
                f"extra=sharing_curriculum does not apply to space={space.name}, whose super-net has no edges with "
                "operations of their own to tie; drop it"
            )

    def check_folded(self, plan: Plan) -> None:
        if plan.mapping.op_placement != "edge":
            raise PlanError(
                f"extra=sharing_curriculum and heuristics/op_placement={plan.mapping.op_placement} exclude each other: "
                "it unties what every edge owns; set op_placement=edge"
            )

    @torch.no_grad()
    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if not self.options:
            return
        groups: dict[str, list[Parameter]] = {}
        extent, layers = EXTENTS[self.options["extent"]], pl_module.plan.mapping.layers
        for name, parameter in pl_module.named_parameters():
            if place := PLACE.search(name):
                group = extent(int(place[1]), int(place[3]), layers)
                groups.setdefault(PLACE.sub(group, name), []).append(parameter)
        self._groups = [group for group in groups.values() if len(group) > 1]
        if trainer.global_step == 0:
            for first, *others in self._groups:
                for other in others:
                    other.copy_(first)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: object) -> None:
        if self.options and trainer.global_step < self.options["until"] * pl_module.total_steps():
            for group in self._groups:
                gradients = [p.grad for p in group if p.grad is not None]
                if gradients:
                    total: Tensor = torch.stack(gradients).sum(0)
                    for parameter in group:
                        parameter.grad = total.clone()
