"""Weight averaging: the super-net that is ranked is the exponential moving average of the one that is trained."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from nas_lightning.heuristic import Heuristic
from nas_lightning.plan import Plan, PlanError


class WeightAveraging(Heuristic):
    """Ranks and keeps an exponential moving average of the shared weights; the training goes on from the raw ones.

    Mechanism: after step t, average ← d·average + (1 − d)·weights with d = min(decay, (1 + t) / (10 + t)), for every
    shared parameter, whether its path was sampled or not. At the end of an epoch the network holds the average, so that
    rankings, epoch checkpoints and final.ckpt see it; the next epoch's start puts the raw weights back.

    Source: Polyak, Juditsky 1992; the warm-up of d as in TensorFlow's ExponentialMovingAverage.
    Fires: end of a batch, end and start of an epoch. Cost: one more copy of the weights and one pass over them a step.
    Does not: average batch-norm statistics, which would mix paths: with tracked ones it is refused; evaluate with batch
    or recalibrated statistics.
    Applies to: all spaces.
    """

    factor = "weight_averaging"
    fields = ()

    def __init__(self, decay: float | None = None) -> None:
        super().__init__(options={"decay": decay})
        if decay is not None and not 0 < decay < 1:
            raise PlanError(f"heuristics.weight_averaging.decay={decay} is out of range; it must lie between 0 and 1")
        self._average: list[Tensor] = []
        self._raw: list[Tensor] = []
        """The training's weights while the network holds the average, else empty."""

    def check_folded(self, plan: Plan) -> None:
        if plan.protocol.track_running_stats:
            raise PlanError(
                "extra=weight_averaging and heuristics/batch_norm with tracked statistics exclude each other: "
                "statistics of mixed paths do not belong to averaged weights; do not track them"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.options and not self._average:
            self._average = [p.detach().clone() for p in pl_module.parameters()]
        # A checkpoint is read to the CPU; the network may be elsewhere. What is raw is copied from wherever it is.
        self._average = [a.to(pl_module.device) for a in self._average]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._raw:
            self._write(pl_module, self._raw)
            self._raw = []

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self.options:
            step = trainer.global_step
            decay = min(self.options["decay"], (1 + step) / (10 + step))
            torch._foreach_lerp_(self._average, [p.detach() for p in pl_module.parameters()], 1 - decay)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.options:
            self._raw = [p.detach().clone() for p in pl_module.parameters()]
            self._write(pl_module, self._average)

    @staticmethod
    @torch.no_grad()
    def _write(pl_module: LightningModule, values: list[Tensor]) -> None:
        for parameter, value in zip(pl_module.parameters(), values, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"average": list(self._average), "raw": list(self._raw)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._average, self._raw = list(state_dict["average"]), list(state_dict["raw"])
