"""DYNAS: every sub-network has the learning-rate decay of its size, and momentum is kept apart by structure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pytorch_lightning import Trainer
from torch import Tensor

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import Space
from nas_lightning.training.paths import StepPaths

SLOT_STREAM = 29
"""Last word of the key that draws the slot, so that no other draw of the same seed coincides with it."""


class Dynas(Heuristic):
    """Complexity-aware learning rate (CaLR) and momentum separation (MS); each can be had alone.

    Mechanism: with s the share of the peak that the schedule has left (rate − minimum over peak − minimum), a path of C
    parameters trains at minimum + (peak − minimum)·s^γ. γ falls linearly in log C from `max_exponent` for the smallest
    architecture to 1 / `max_exponent` for the largest: large ones keep their rate for longer. SGD keeps one momentum
    buffer per value of one gene of the encoding, `slot` (``random``: drawn once a run), and a step reads and writes
    that of its own path. None leaves a part out.

    Source: Jeon et al., Subnet-Aware Dynamic Supernet Training for Neural Architecture Search (CVPR 2025, arXiv
    2503.10740) and its released code for NAS-Bench-201: (1 − t)^γ, γ from 4 to 1/4, one of six edges drawn a run.
    There the rate falls to 0 from a linear schedule (learning_rate=linear, minimum 0); here from the plan's own,
    warm-up apart. The smallest and the largest are those of 2,000 keyed draws.
    Fires: at every training step. Cost: counting a path's parameters; as many momentum buffers as the gene has values.
    Does not: go with several paths a step, which have no size and no gene in common.
    Applies to: spaces whose architectures differ in size; `slot` alone to all.
    """

    factor = "dynas"
    fields = ()
    shares_weights = True

    def __init__(self, max_exponent: float | None = None, slot: int | str | None = None) -> None:
        super().__init__(options={"max_exponent": max_exponent, "slot": slot})
        if max_exponent is not None and not 1 < max_exponent <= 100:
            raise PlanError(
                f"heuristics.dynas.max_exponent={max_exponent:g} is out of range; it must be above 1 and at most 100, "
                "or null for the plan's schedule as it is"
            )
        if slot is not None and slot != "random" and (isinstance(slot, str) or slot < 0):
            raise PlanError(f"heuristics.dynas.slot={slot} is no gene of an encoding; give its index, random, or null")
        self._slot = 0
        self._logs = 0.0, 0.0
        """Logarithms of the parameters of the smallest and of the largest architecture."""
        self._group: int | None = None
        """Whose momentum the optimizer holds."""
        self._step_group = 0
        """Of the step that runs."""
        self._kept: dict[int, list[Tensor | None]] = {}
        """The momentum of the others, in the order of the optimizer's parameters."""

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "sizes" in space.lacks and "max_exponent" in self.options:
            raise NotApplicableError(
                f"extra=dynas does not apply to space={space.name}: all its architectures have equally many "
                "parameters; set heuristics.dynas.max_exponent=null"
            )
        slot = self.options.get("slot")
        if isinstance(slot, int) and slot >= len(space.cardinalities):
            raise PlanError(
                f"heuristics.dynas.slot={slot} is out of range; an encoding of {space.name} has genes 0 to "
                f"{len(space.cardinalities) - 1}"
            )

    def check_folded(self, plan: Plan) -> None:
        protocol = plan.protocol
        if protocol.paths_per_step > 1 or protocol.sampling in ("fairnas", "sandwich"):
            raise PlanError(
                "extra=dynas needs one path a step, whose size and structure it goes by; choose "
                "heuristics/sampling=random_a or random_nas with paths_per_step=1"
            )
        if protocol.distribution is not None:
            raise PlanError(
                f"extra=dynas and distribution={protocol.distribution} exclude each other: a weighted sum of "
                "operations has neither a size nor a gene of its own; drop one of the two"
            )
        if "slot" in self.options and protocol.momentum == 0:
            raise PlanError(
                "heuristics.dynas.slot separates momentum, and plan.protocol.momentum=0 leaves none; set "
                "heuristics.dynas.slot=null"
            )
        if "max_exponent" in self.options:
            if protocol.complexity_aware:
                raise PlanError(
                    "extra=dynas and heuristics/learning_rate=complexity_aware both set the rate by a path's size; "
                    "drop one of the two, for example with heuristics.dynas.max_exponent=null"
                )
            if protocol.schedule == "constant" or protocol.learning_rate == protocol.learning_rate_min:
                raise PlanError(
                    "extra=dynas bends the decay of the learning rate, and this schedule is constant; choose "
                    "heuristics/learning_rate=linear or cosine, or set heuristics.dynas.max_exponent=null"
                )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if not self.options:
            return
        sampler = pl_module.sampler
        if "slot" in self.options:
            genes = [i for i, values in enumerate(sampler.space.cardinalities) if values > 1]
            drawn = int(np.random.default_rng((pl_module.seed, SLOT_STREAM)).integers(len(genes)))
            self._slot = genes[drawn] if self.options["slot"] == "random" else self.options["slot"]
            self._kept = {  # a checkpoint is read to the CPU; the network may be elsewhere
                group: [None if b is None else b.to(pl_module.device) for b in buffers]
                for group, buffers in self._kept.items()
            }
        if "max_exponent" in self.options:
            large, small = (math.log(pl_module.parameters_of(arch)) for arch in sampler.extremes)
            if large == small:
                raise NotApplicableError(
                    f"extra=dynas does not apply to space={sampler.space.name} with this plan: the architectures that "
                    "it admits have equally many parameters; set heuristics.dynas.max_exponent=null"
                )
            self._logs = small, large

        def factor(step: int, paths: StepPaths) -> float:
            (arch,) = paths.architectures
            if "slot" in self.options:
                self._step_group = int(sampler.space.encode(arch)[self._slot])
            if "max_exponent" not in self.options:
                return 1.0
            return self.factor_of(pl_module, step, math.log(pl_module.parameters_of(arch)))

        pl_module.rate_factors.append(factor)

    def factor_of(self, pl_module: Any, step: int, log_size: float) -> float:
        """What multiplies the scheduled rate.

        Args:
            pl_module: whose schedule it is.
            step: of the training, from 0.
            log_size: logarithm of the path's parameters.

        Returns:
            (minimum + (peak − minimum)·s^γ) / (minimum + (peak − minimum)·s), and 1 in the warm-up.
        """
        protocol = pl_module.plan.protocol
        if step < round(protocol.warmup_epochs * (pl_module.total_steps() // protocol.epochs)):
            return 1.0
        peak, low = protocol.learning_rate, protocol.learning_rate_min
        rate = pl_module.scheduled_rate(step)
        left = (rate - low) / (peak - low)
        return float((low + (peak - low) * left ** self.exponent(log_size)) / rate)

    def exponent(self, log_size: float) -> float:
        """γ of a path.

        Args:
            log_size: logarithm of its parameters.

        Returns:
            `max_exponent` for the smallest, its inverse for the largest, linear between and cut off beyond.
        """
        most, (small, large) = self.options["max_exponent"], self._logs
        share = min(1.0, max(0.0, (log_size - small) / (large - small)))
        return float(most + (1 / most - most) * share)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        if "slot" not in self.options or self._group == self._step_group:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if self._group is not None:
            self._kept[self._group] = [optimizer.state[p].get("momentum_buffer") for p in parameters]
        mine = self._kept.pop(self._step_group, [None] * len(parameters))
        for parameter, buffer in zip(parameters, mine, strict=True):
            optimizer.state[parameter]["momentum_buffer"] = buffer
        self._group = self._step_group

    def state_dict(self) -> dict[str, Any]:
        return {"group": self._group, "kept": {group: list(buffers) for group, buffers in self._kept.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._group, self._kept = state_dict["group"], dict(state_dict["kept"])
