"""Landmark ranking loss: a few architectures of known accuracy tell the shared weights how to order them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.heuristic import Heuristic
from nas_lightning.plan import Plan, PlanError
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.spaces import Space

LANDMARK_STREAM = 17
"""Last word of a pair draw's key, so that no other draw of the same seed and step coincides with it."""


class LandmarkLoss(Heuristic):
    """Adds a hinge loss on pairs of `landmarks`, architectures whose stand-alone accuracy is known.

    USES GROUND TRUTH: results with it are a category of their own, beside the stand-alone trainings it needs. What is
    isomorphic to an architecture of the set `exclude`, by default the evaluated one, is no landmark.
    Mechanism: at every step one pair of landmarks is drawn, i better than j in the table; the loss
    w·max(0, CE_i − CE_j) on the step's images is added, with w rising linearly from 0 to `weight` over the run.

    Source: Yu et al., Landmark Regularization: Ranking Guided Super-Net Training in Neural Architecture Search (CVPR
    2021), section 3: the hinge on pairs, the growing weight. One pair a step here, drawn uniformly.
    Fires: before the training (the table is opened), at every step. Cost: two more forward and backward passes a step.
    Does not: rank by the landmarks alone, or look at any other architecture's accuracy.
    Applies to: all spaces, with a benchmark that holds the landmarks.
    """

    factor = "landmark_loss"
    fields = ()
    shares_weights = True
    unnamed = ("exclude", "benchmark", "dataset")  # those of the ranking
    extra_passes = 2

    def __init__(
        self,
        landmarks: str | None = None,
        weight: float | None = None,
        exclude: str | None = None,
        benchmark: str | None = None,
        dataset: str | None = None,
        root: str | None = None,
    ) -> None:
        options = {
            "landmarks": landmarks,
            "weight": weight,
            "exclude": exclude,
            "benchmark": benchmark,
            "dataset": dataset,
        }
        super().__init__(options=options if landmarks is not None else {})
        if (landmarks is None) != (weight is None):
            raise PlanError("heuristics.landmark_loss needs both landmarks and weight; give the other one, too")
        if weight is not None and not 0 < weight <= 1000:
            raise PlanError(
                f"heuristics.landmark_loss.weight={weight:g} is out of range; it must be above 0 and at most 1000"
            )
        self.root = root  # where a table lies changes no result
        self._better: list[Any] = []
        """The landmarks, the best first; of equal accuracy only the first of the set."""
        self._losses: list[Tensor] = []

    def check(self, plan: Plan, space: Space[Any]) -> None:
        name, wanted = self.options.get("benchmark"), self.options["landmarks"]
        if name is None:
            raise PlanError("extra=landmark_loss needs stand-alone accuracies; choose a benchmark, or drop it")
        try:
            table = Benchmark.open(name, space=space.name, root=self.root, dataset=self.options.get("dataset"))
            landmarks = architecture_set(wanted, space, table)
            if excluded := self.options.get("exclude"):
                taken = {space.key(arch) for arch in architecture_set(excluded, space, table)}
                landmarks = [arch for arch in landmarks if space.key(arch) not in taken]
        except (BenchmarkError, ValueError) as error:
            raise PlanError(f"heuristics.landmark_loss.landmarks={wanted}: {error}") from error
        accuracies = table.accuracies(landmarks)
        found = {float(a): landmarks[i] for i, a in reversed(list(enumerate(accuracies))) if not np.isnan(a)}
        self._better = [found[accuracy] for accuracy in sorted(found, reverse=True)]
        if len(self._better) < 2:
            raise PlanError(
                f"heuristics.landmark_loss.landmarks={wanted} leaves {len(self._better)} of different accuracy; at "
                "least 2 make a pair, so choose a larger set"
            )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.options:
            total, weight = pl_module.total_steps(), self.options["weight"]

            def term(images: Tensor, labels: Tensor, step: int) -> Tensor:
                better, worse = self.pair(pl_module.seed, step)
                losses = [pl_module.task.loss(pl_module.network(images, arch), labels) for arch in (better, worse)]
                loss = F.relu(losses[0] - losses[1])
                self._losses.append(loss.detach())
                return loss * (weight * (step + 1) / total)

            pl_module.terms.append(term)

    def pair(self, seed: int, step: int) -> tuple[Any, Any]:
        """The landmarks of a step, the better one first.

        Args:
            seed: of the run.
            step: of the weights, over the whole training.

        Returns:
            Two architectures of different accuracy.
        """
        rng = np.random.default_rng((seed, step, LANDMARK_STREAM))
        i, j = sorted(rng.choice(len(self._better), 2, replace=False).tolist())
        return self._better[i], self._better[j]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self._losses:  # empty after a resume at the end of an epoch
            losses = torch.stack([loss.to(pl_module.device) for loss in self._losses])  # a checkpoint's are on the CPU
            pl_module.log("landmark_loss", losses.mean(), sync_dist=trainer.world_size > 1)
            self._losses.clear()

    def state_dict(self) -> dict[str, Any]:
        return {"losses": list(self._losses)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._losses = list(state_dict["losses"])
