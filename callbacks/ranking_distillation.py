"""RD-NAS: pairs of architectures are ordered as a zero-cost proxy orders them, without any label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan, PlanError
from nas_lightning.predictors.base import Context, PredictorError, checked_scores, make_predictor
from nas_lightning.spaces import Space

POOL_STREAM, PAIR_STREAM = 31, 37
"""Last words of the keys of the pool's and of a pair's draw, so that no other draw of the same seed coincides."""


class RankingDistillation(Heuristic):
    """Adds a ranking loss on pairs whose order `proxy`, a zero-cost predictor, says.

    Mechanism: before the training `pool` architectures are drawn as paths are, and scored by the proxy at the plan's
    size on a batch of training images. A step draws a pair of them whose encodings differ in at least a share `margin`
    of their genes; the first one's cross-entropy on the step's images is a constant, and the second one's gradient is
    that of w·max(0, CE_better − CE_worse), w = `weight`·sin(0.8π·t) with t the share of the run that is done.

    Source: Dong et al., RD-NAS (ICASSP 2023, arXiv 2301.09850), whose released code has that hinge, the constant first
    loss and that w with weight 2, and goes by multiply-accumulates. There the pair itself is the step's two paths; here
    it comes beside the step's own (sampling=random_a paths_per_step=2 adds one more).
    Fires: before the training (the proxy), at every step. Cost: a forward pass, and a forward and backward pass a step.
    Does not: look at any accuracy, or change which paths a step trains.
    Applies to: all spaces that the proxy applies to.
    """

    factor = "ranking_distillation"
    fields = ()
    shares_weights = True
    extra_passes = 2

    def __init__(
        self,
        proxy: str | None = None,
        weight: float | None = None,
        margin: float | None = None,
        pool: int | None = None,
    ) -> None:
        super().__init__(options={"proxy": proxy, "weight": weight, "margin": margin, "pool": pool})
        if self.options and len(self.options) < 4:
            missing = next(n for n in ("proxy", "weight", "margin", "pool") if n not in self.options)
            raise PlanError(f"heuristics.ranking_distillation needs {missing}, too; give it")
        for name, value, low, high in (
            ("weight", weight, 0, 1000),
            ("margin", margin, 0, 1),
            ("pool", pool, 1, 10_000),
        ):
            if value is not None and not low < value <= high:
                raise PlanError(
                    f"heuristics.ranking_distillation.{name}={value:g} is out of range; it must be above {low} and at "
                    f"most {high}"
                )
        self._pool: list[Any] = []
        self._scores: list[float] = []
        self._pairs = np.empty((0, 2), np.int64)
        """Indices into the pool of all pairs that may be drawn, the better one first."""
        self._losses: list[Tensor] = []

    def check(self, plan: Plan, space: Space[Any]) -> None:
        try:
            proxy = make_predictor(self.options["proxy"])
        except PredictorError as error:
            raise PlanError(f"heuristics.ranking_distillation.proxy: {error}") from error
        if lacking := sorted(proxy.needs - {"images"}):
            raise PlanError(
                f"heuristics.ranking_distillation.proxy={proxy.name} needs {lacking[0]}, which there is none of before "
                "the training; choose a zero-cost one, such as macs or naswot"
            )
        if proxy.inputs is not None and space.inputs not in proxy.inputs:
            raise NotApplicableError(
                f"extra=ranking_distillation does not apply to space={space.name} with proxy={proxy.name}, which looks "
                f"at networks that read {proxy.inputs[0]}, and these read {space.inputs}; choose another proxy"
            )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if not self.options:
            return
        space = pl_module.sampler.space
        rng = np.random.default_rng((pl_module.seed, POOL_STREAM))
        drawn = (pl_module.sampler.one(rng) for _ in range(self.options["pool"]))
        self._pool = list({space.key(arch): arch for arch in drawn}.values())
        if not self._scores:  # a checkpoint brings them
            self._scores = self.scored(trainer, pl_module).tolist()
        self._pairs = self.pairs(space)

        def term(images: Tensor, labels: Tensor, step: int) -> Tensor:
            first, second, order = self.pair(pl_module.seed, step)
            with torch.no_grad():
                constant = pl_module.task.loss(pl_module.network(images, first), labels)
            loss = F.relu(order * (pl_module.task.loss(pl_module.network(images, second), labels) - constant))
            self._losses.append(loss.detach())
            return loss * self.weight(step / pl_module.total_steps())

        pl_module.terms.append(term)

    def scored(self, trainer: Any, pl_module: Any) -> np.ndarray:
        """What the proxy says of the pool, float64 [n]; the trained weights and torch's generators are left alone.

        Args:
            trainer: whose data module has the images.
            pl_module: whose plan says how large the networks are.

        Returns:
            Scores, higher is better.
        """
        proxy, data = make_predictor(self.options["proxy"]), trainer.datamodule
        batches = [data.loader(pl_module.device).batch(0)] if "images" in proxy.needs else []
        context = Context(
            pl_module.sampler.space,
            self._pool,
            pl_module.plan.mapping,
            num_outputs=data.num_outputs,
            in_channels=data.in_channels,
            image_size=data.image_size,
            seed=pl_module.seed,
            batches=batches,
            task=type(data),
        )
        with torch.random.fork_rng():
            return checked_scores(proxy, context)

    def pairs(self, space: Space[Any]) -> np.ndarray:
        """All pairs of the pool that are far enough apart and differ in score, int64 [n, 2], the better one first.

        Args:
            space: of the architectures.

        Returns:
            Indices into the pool.

        Raises:
            PlanError: there is none.
        """
        genomes, scores = np.stack([space.encode(arch) for arch in self._pool]), np.array(self._scores)
        distance = (genomes[:, None] != genomes[None]).sum(2)
        far = distance >= self.options["margin"] * genomes.shape[1]
        found = np.argwhere(far & (scores[:, None] > scores[None]))
        if not len(found):
            raise PlanError(
                f"heuristics.ranking_distillation.margin={self.options['margin']:g} leaves no pair among "
                f"{len(self._pool)} architectures whose {self.options['proxy']} differs; lower it, or raise pool"
            )
        return found

    def pair(self, seed: int, step: int) -> tuple[Any, Any, float]:
        """The pair of a step.

        Args:
            seed: of the run.
            step: of the weights, over the whole training.

        Returns:
            The one whose loss is a constant, the one that is trained, and 1 where the latter is the better one, −1
            where it is the worse.
        """
        rng = np.random.default_rng((seed, step, PAIR_STREAM))
        better, worse = (self._pool[i] for i in self._pairs[int(rng.integers(len(self._pairs)))])
        return (worse, better, 1.0) if rng.integers(2) else (better, worse, -1.0)

    def weight(self, done: float) -> float:
        """w after a share `done` of the run.

        Args:
            done: in [0, 1].

        Returns:
            `weight`·sin(0.8π·done), at least 0.
        """
        return float(self.options["weight"] * math.sin(0.8 * math.pi * done))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self._losses:  # empty after a resume at the end of an epoch
            losses = torch.stack([loss.to(pl_module.device) for loss in self._losses])  # a checkpoint's are on the CPU
            pl_module.log("ranking_distillation_loss", losses.mean(), sync_dist=trainer.world_size > 1)
            self._losses.clear()

    def state_dict(self) -> dict[str, Any]:
        return {"scores": list(self._scores), "losses": list(self._losses)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._scores, self._losses = list(state_dict["scores"]), list(state_dict["losses"])
