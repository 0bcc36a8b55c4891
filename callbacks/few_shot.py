"""Few-shot splits: the super-net is one at first, then one per operation of an edge."""

from __future__ import annotations

import re
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch.nn import Parameter

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import Space

PART = re.compile(r"parts\.\d+\.")


class FewShot(Heuristic):
    """Splits the space at `edge` (a gene, in the order of the encoding) into one super-net per operation there, after
    the first `until` of the steps, in which they are one.

    Mechanism: as many whole sets of shared weights as operations start equal; until the split each gets the SUM of all
    their gradients, which is the gradient of one shared set, then only those of its own architectures. Fewer
    architectures share a weight, and each is trained more seldom by that factor.

    Source: Zhao et al., Few-shot Neural Architecture Search (arXiv 2006.06863), section 3: split, then transfer.
    Fires: before the network is built (plan); before every optimizer step of the first part (after clipping). Cost:
    the weights times the operations; steps of the first part update all of them.
    Does not: split at several edges, or train the parts for longer than the plan's epochs say.
    Applies to: spaces with split_operations (nasbench201, nasbench_macro).
    """

    factor = "few_shot"
    fields = ("mapping.few_shot_edge",)
    shares_weights = True

    def __init__(self, edge: int | None = None, until: float | None = None) -> None:
        super().__init__(few_shot_edge=edge, options={"until": until})
        if (edge is None) != (until is None):
            raise PlanError("heuristics.few_shot needs both edge and until; give the other one, too")
        if until is not None and not 0 <= until < 1:
            raise PlanError(
                f"heuristics.few_shot.until={until} is out of range; it is a share of the steps, at least 0 and below 1"
            )
        self._groups: list[list[Parameter]] = []

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "split_operations" not in space.capabilities:
            raise NotApplicableError(
                f"extra=few_shot does not apply to space={space.name}, no gene of which is the operation of one edge; "
                "drop it"
            )
        if self.active and not 0 <= self.values["mapping.few_shot_edge"] < len(space.cardinalities):
            raise PlanError(
                f"mapping.few_shot_edge={self.values['mapping.few_shot_edge']} is out of range; {space.name} has "
                f"edges 0 to {len(space.cardinalities) - 1}"
            )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        groups: dict[str, list[Parameter]] = {}
        for name, parameter in pl_module.named_parameters():
            if PART.search(name):
                groups.setdefault(PART.sub("", name), []).append(parameter)
        self._groups = list(groups.values())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: object) -> None:
        if self.active and trainer.global_step < self.options["until"] * pl_module.total_steps():
            for group in self._groups:
                gradients = [p.grad for p in group if p.grad is not None]
                if gradients:
                    total = gradients[0] if len(gradients) == 1 else torch.stack(gradients).sum(0)
                    for parameter in group:
                        parameter.grad = total.clone()
