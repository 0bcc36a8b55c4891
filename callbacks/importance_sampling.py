"""PA&DA: operations and images are drawn the more often, the larger their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.errors import UserError
from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import ArchitectureError, Space
from nas_lightning.training.paths import MAX_TRIES, StepPaths

PATH_STREAM, ORDER_STREAM = 41, 43
"""Last words of the keys of a path's and of an epoch's draw, so that no other draw of the same seed coincides."""


class ImportanceSampling(Heuristic):
    """Draws the genes of a step's `paths` and the images of an epoch (`data`) in proportion to gradient norms.

    Mechanism: with δ the share of the epochs that are done, gene k of a path takes value v with probability
    δ·n(k, v) / Σ n(k, ·) + (1 − δ) / values, n the mean norm of the clipped gradient over the last epoch's steps whose
    path had v there (a value that no step had keeps the mean of the others). Image i is drawn, with replacement, with
    probability δ·m(i) / Σ m + (1 − δ) / images, m(i) the norm of softmax minus one-hot target when i was last seen: a
    bound of its gradient. The first epoch is uniform.

    Source: Lu et al., PA&DA: Jointly Sampling Path and Data for Consistent NAS (CVPR 2023, arXiv 2302.14772), and its
    released code for NAS-Bench-201, which has one distribution over operations for all edges, takes the norm of an
    operation's own weights, so that operations without weights fade out as δ grows, and forgets images that an epoch
    did not draw. As there, no loss is reweighted: the gradient's expectation moves with the draws.
    Fires: at every step, at the end of an epoch. Cost: a pass over the gradients for their norm.
    Does not: change which architectures or images are scored.
    Applies to: all spaces; `data` to images with classes.
    """

    factor = "importance_sampling"
    fields = ()
    shares_weights = True
    changes_draws = True

    def __init__(self, paths: bool | None = None, data: bool | None = None) -> None:
        super().__init__(options={"paths": paths or None, "data": data or None})
        if (paths, data) == (False, False):
            raise PlanError("heuristics.importance_sampling with neither paths nor data does nothing; drop it")
        self._space: Space[Any] | None = None
        self._path: Any = None
        """Of the step that runs."""
        self._seen: list[tuple[Any, Tensor]] = []
        """Path and gradient norm, a scalar, of every step of the epoch so far."""
        self._genes: list[np.ndarray] = []
        """Probabilities of the values of every gene in this epoch; empty in the first."""
        self._images: Tensor = torch.empty(0)
        """m of every training image, float64 [images]; −1 where it was not seen yet."""
        self._drawn: Tensor = torch.empty(0)
        """Probabilities of the images in this epoch; empty in the first."""

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "data" in self.options and space.inputs != "images":
            raise NotApplicableError(
                f"extra=importance_sampling does not apply to space={space.name} as it is set: it draws images, and "
                f"these networks read {space.inputs}; set heuristics.importance_sampling.data=null"
            )
        self._space = space

    def check_folded(self, plan: Plan) -> None:
        protocol = plan.protocol
        if "paths" not in self.options:
            return
        if protocol.distribution is not None:
            raise PlanError(
                f"extra=importance_sampling and distribution={protocol.distribution} exclude each other: both decide "
                "what a step trains; drop one of the two, or set heuristics.importance_sampling.paths=null"
            )
        if protocol.sampling != "random_nas" or protocol.paths_per_step > 1 or protocol.tournament > 1:
            raise PlanError(
                "extra=importance_sampling draws one encoding a step, gene by gene; choose "
                "heuristics/sampling=random_nas with one path a step and no tournament, or set "
                "heuristics.importance_sampling.paths=null"
            )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if "paths" in self.options:
            pl_module.path_source = lambda step: self.path(pl_module, step)
        if "data" not in self.options:
            return
        loader: Any = trainer.train_dataloader
        if not pl_module.task.has_classes or not hasattr(loader, "order_source"):
            raise UserError(
                "extra=importance_sampling draws images by the errors of their classes, and those of this data cannot "
                "be drawn so; set heuristics.importance_sampling.data=null"
            )
        count = len(loader.data)
        if not len(self._images):
            self._images = torch.full((count,), -1.0, dtype=torch.float64)
        self._images, self._drawn = self._images.to(pl_module.device), self._drawn.to(pl_module.device)

        def order(epoch: int) -> Tensor | None:
            if not len(self._drawn):
                return None
            rng = np.random.default_rng((pl_module.seed, epoch, ORDER_STREAM))
            return torch.from_numpy(rng.choice(count, size=count, p=self._drawn.cpu().numpy()))

        def see(logits: Tensor, labels: Tensor, step: int) -> None:
            norms = (logits.float().softmax(1) - F.one_hot(labels, logits.shape[1])).norm(dim=1).double()
            if trainer.world_size > 1:  # rank r has rows r, r + W, … of the batch; all ranks know all of it
                norms = pl_module.all_gather(norms).T.flatten()
            self._images[loader.indices(step)] = norms

        loader.order_source = order
        pl_module.observers.append(see)

    def path(self, pl_module: Any, step: int) -> StepPaths:
        """The path of a step.

        Args:
            pl_module: whose sampler says what is admissible.
            step: of the training, from 0.

        Returns:
            One architecture.

        Raises:
            RuntimeError: the plan admits next to no encoding.
        """
        space, rng = pl_module.sampler.space, np.random.default_rng((pl_module.seed, step, PATH_STREAM))
        chances = self._genes or [np.full(n, 1 / n) for n in space.cardinalities]
        for _ in range(MAX_TRIES):
            try:
                arch = space.decode([int(rng.choice(len(p), p=p)) for p in chances])
            except ArchitectureError:
                continue
            if pl_module.sampler.admits(arch):
                self._path = arch
                return StepPaths((arch,), 1.0)
        raise RuntimeError(f"no admissible architecture of {space.name} in {MAX_TRIES} draws")

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        if "paths" in self.options:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            self._seen.append((self._path, torch.stack(torch._foreach_norm(gradients)).norm()))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        share = (trainer.current_epoch + 1) / pl_module.plan.protocol.epochs
        if self._seen:
            norms = torch.stack([norm.to(pl_module.device) for _, norm in self._seen]).double().cpu().numpy()
            genomes = np.stack([pl_module.sampler.space.encode(arch) for arch, _ in self._seen])
            self._genes = chances(genomes, norms, pl_module.sampler.space.cardinalities, share)
            entropy = [-(p * np.log(np.maximum(p, 1e-300))).sum() / np.log(len(p)) for p in self._genes if len(p) > 1]
            pl_module.log("path_entropy", float(np.mean(entropy)), sync_dist=trainer.world_size > 1)
            self._seen.clear()
        if "data" in self.options:
            known = torch.where(self._images < 0, self._images[self._images >= 0].mean(), self._images)
            self._drawn = share * known / known.sum() + (1 - share) / len(known)
            self._drawn /= self._drawn.sum()

    def state_dict(self) -> dict[str, Any]:
        return {
            "seen": [(str(arch), norm) for arch, norm in self._seen],
            "genes": [torch.from_numpy(p) for p in self._genes],
            "images": self._images,
            "drawn": self._drawn,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        assert self._space is not None, "check() comes first"
        self._seen = [(self._space.parse(text), norm) for text, norm in state_dict["seen"]]
        self._genes = [p.numpy() for p in state_dict["genes"]]
        self._images, self._drawn = state_dict["images"], state_dict["drawn"]


def chances(genomes: np.ndarray, norms: np.ndarray, cardinalities: tuple[int, ...], share: float) -> list[np.ndarray]:
    """Probabilities of every gene's values.

    Args:
        genomes: of an epoch's paths, int [steps, genes].
        norms: of their gradients, float [steps].
        cardinalities: values of every gene.
        share: δ, in [0, 1].

    Returns:
        float64 [values] per gene, each of sum 1.
    """
    found = []
    for gene, values in enumerate(cardinalities):
        count = np.bincount(genomes[:, gene], minlength=values)
        mean = np.bincount(genomes[:, gene], weights=norms, minlength=values) / np.maximum(count, 1)
        mean = np.where(count > 0, mean, mean[count > 0].mean())
        weighted = mean / mean.sum() if mean.sum() > 0 else np.full(values, 1 / values)
        found.append(share * weighted + (1 - share) / values)
    return found
