"""A distribution over paths that is learned beside the shared weights, as one heuristic."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.nets.norm import preserved_statistics, running_statistics, set_statistics
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import Plan, PlanError
from nas_lightning.processes.exchange import average
from nas_lightning.spaces import Space
from nas_lightning.spaces.relaxation import Relaxation
from nas_lightning.training.paths import StepPaths

START_STREAM, WEIGHTS_STREAM, SELECTION_STREAM, EPOCH_STREAM = 8, 9, 10, 11
"""Last word of a draw's key: parameters at the start, paths of a step of the weights and of the distribution, and what
is drawn at the end of an epoch."""
SELECTION_DRAWS = 2**40
"""Added to the step in the key of the network's own draws (dropout) while the distribution learns."""


class Distribution(Heuristic):
    """Common ground: parameters α [edges, operations] per kind of cell, images and an optimizer of their own.

    A subclass says which path trains the weights (`paths`) and what the gradient of α is (`slopes`); it may derive its
    architecture otherwise than by the strongest operations (`derive`). The images are the last `portion` of those that
    the plan lets train: never the held-out ones that score architectures, never the test images. α learns once a step,
    before the weights do, or after with ``weights_first``. All draws are keyed by (seed, step); all of the state is in
    the checkpoint; gradients are averaged over the ranks, which hold the same α.
    """

    factor = "distribution"
    fields: ClassVar[tuple[str, ...]] = ("protocol.distribution", "protocol.selection_portion")
    shares_weights = True
    changes_draws = True
    extra_passes = 1
    sums_operations: ClassVar[bool] = True
    """Whether the network runs sums of operations (relaxed paths) at some step, or single architectures alone."""
    weights_first: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        portion: float,
        *,
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.5, 0.999),
        options: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        rates = {"learning_rate": learning_rate, "weight_decay": weight_decay}
        super().__init__(options={**rates, **(options or {})}, distribution=name, selection_portion=portion, **values)
        if not 0 < portion < 1:
            raise PlanError(
                f"heuristics.distribution.portion={portion:g} is out of range; it is the share of the training images "
                "that train the distribution, above 0 and below 1"
            )
        if not 0 < learning_rate <= 100:
            raise PlanError(
                f"heuristics.distribution.learning_rate={learning_rate:g} is out of range; it must be above 0 and at "
                "most 100"
            )
        if not 0 <= weight_decay <= 10:
            raise PlanError(
                f"heuristics.distribution.weight_decay={weight_decay:g} is out of range; it must be at least 0 and at "
                "most 10"
            )
        self.name, self.betas = name, betas
        self.alphas: list[Tensor] = []
        self.space: Space[Any] | None = None
        self.choice: Any = None
        """The architecture that stands for the distribution at the end of the last epoch."""
        self._loaded: dict[str, Any] = {}

    # -- where it applies

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if space.relaxation is None:
            raise NotApplicableError(
                f"distribution={self.name} does not apply to space={space.name}, whose network does not sum the "
                "operations of an edge; set distribution=none"
            )
        self.space = space

    def check_folded(self, plan: Plan) -> None:
        if self.sums_operations and plan.mapping.few_shot_edge is not None:
            raise PlanError(
                f"extra=few_shot and distribution={self.name} exclude each other: a sum of operations lies in all "
                "parts of a split super-net at once; drop one of the two"
            )
        if self.sums_operations and plan.protocol.complexity_aware:
            raise PlanError(
                f"heuristics/learning_rate=complexity_aware and distribution={self.name} exclude each other: a sum of "
                "operations has no parameter count of its own; choose another learning rate"
            )

    # -- what a subclass says

    @abstractmethod
    def paths(self, step: int) -> StepPaths:
        """What trains the weights at `step`."""

    @abstractmethod
    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        """Gradient of `alphas` on one selection batch; `batch` is the weights' own of this step."""

    def shapes(self) -> list[tuple[int, ...]]:
        """Of the parameters, by default one table a kind of cell."""
        return list(self.relaxation.shapes)

    def start(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Parameters at the start, 1e-3·N(0, 1)."""
        return 1e-3 * torch.randn(shape, generator=generator, dtype=torch.float64)

    def mixing(self) -> list[Tensor]:
        """Weights of the operations that α stands for, [edges, operations] per kind, with α's gradient."""
        return [F.softmax(alpha, dim=-1) for alpha in self.alphas]

    def derive(self, epoch: int) -> Any:
        """The architecture that stands for the distribution after `epoch` epochs."""
        return self.relaxation.derived(self.weights())

    def learns(self, step: int) -> bool:
        """Whether α moves at `step`."""
        return True

    # -- what it offers

    @property
    def relaxation(self) -> Relaxation:
        found = None if self.space is None else self.space.relaxation
        assert found is not None, "check() comes first"
        return found

    def weights(self) -> tuple[np.ndarray, ...]:
        """`mixing` as arrays, float64: what is derived from and shown."""
        with torch.no_grad():
            return tuple(w.double().cpu().numpy() for w in self.mixing())

    def entropy(self) -> float:
        """Mean over the edges of −Σ p·ln p in nats, p an edge's weights divided by their sum."""
        rows = np.concatenate([w.reshape(-1, w.shape[-1]) for w in self.weights()])
        p = rows / np.maximum(rows.sum(1, keepdims=True), 1e-300)
        return float(-(p * np.log(np.maximum(p, 1e-300))).sum(1).mean())

    def generator(self, step: int, stream: int) -> torch.Generator:
        """On the CPU, so that every device draws the same."""
        return torch.Generator().manual_seed((self.module.seed * 1_000_003 + step) * 16 + stream)

    def relaxed(self, learned: bool) -> RelaxedPath:
        """The path of `mixing`, with α's gradient or as constants."""
        return RelaxedPath(tuple(w if learned else w.detach() for w in self.mixing()))

    def selection_loss(self, images: Tensor, labels: Tensor, arch: Any, step: int) -> Tensor:
        """Loss of a path on selection images; dropout draws the same masks whenever it is asked at one step."""
        self.module.network.set_draw(self.module.seed, step + SELECTION_DRAWS)
        loss: Tensor = self.module.task.loss(self.module.network(images, arch), labels)
        return loss

    def accuracy(self, arch: Any, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
        """Accuracy of a path on batches, with the plan's batch-norm statistics (recalibration apart)."""
        network, tracked = self.module.network, self.module.plan.protocol.bn_evaluation == "tracked"
        was_training, correct, total = network.training, 0.0, 0
        network.eval()
        try:
            with torch.no_grad(), preserved_statistics(network) as layers, self.precision():
                set_statistics(layers, "tracked" if tracked else "batch")
                for images, labels in batches:
                    correct += float(self.module.task.sums(network(images, arch), labels)[0])
                    total += len(labels)
        finally:
            network.train(was_training)
        return correct / total

    def best_by_accuracy(self, candidates: Sequence[Any], epoch: int, batch_size: int) -> Any:
        """The candidate of highest accuracy on one selection batch of this epoch, the first of equals."""
        batches = self.selection_batches(1, epoch, batch_size)
        return max(candidates, key=lambda arch: self.accuracy(arch, batches))

    def selection_batches(self, count: int, first: int, batch_size: int | None = None) -> list[tuple[Tensor, Tensor]]:
        """`count` batches of selection images from position `first` on, whole on every rank."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        wanted = min(batch_size or data.batch_size, len(data.selection_set))
        loader = data.selection_loader(self.module.device, batch_size=wanted)
        dtype = self.alphas[0].dtype
        return [(x.to(dtype), y) for x, y in (loader.batch(first + i) for i in range(count))]

    # -- Lightning's hooks

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.trainer, self.module = trainer, pl_module
        self.alphas = self.new_parameters(next(pl_module.network.parameters()))
        self.optimizer = self.new_optimizer()
        data = trainer.datamodule  # type: ignore[attr-defined]
        self.selection = data.selection_loader(pl_module.device, trainer.global_rank, trainer.world_size)
        if self._loaded:
            with torch.no_grad():
                for alpha, value in zip(self.alphas, self._loaded["alphas"], strict=True):
                    alpha.copy_(value)
            self.optimizer.load_state_dict(self._loaded["optimizer"])
            text = self._loaded["choice"]
            self.choice = None if text is None else self.space.parse(text)  # type: ignore[union-attr]
            self.restore(self._loaded["more"])
            self._loaded = {}
        pl_module.path_source = self.paths

    def new_parameters(self, like: Tensor) -> list[Tensor]:
        """The parameters that are learned, in the dtype and on the device of the network's."""
        generator = self.generator(0, START_STREAM)
        return [
            self.start(shape, generator).to(device=like.device, dtype=like.dtype).requires_grad_()
            for shape in self.shapes()
        ]

    def new_optimizer(self) -> torch.optim.Optimizer:
        """Adam with L2 regularisation."""
        rate, decay = self.options["learning_rate"], self.options["weight_decay"]
        return torch.optim.Adam(self.alphas, lr=rate, betas=self.betas, weight_decay=decay)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if not self.weights_first:
            self.learn(trainer.global_step, batch)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.weights_first:
            self.learn(trainer.global_step - 1, batch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.choice = self.derive(trainer.current_epoch + 1)

    def learn(self, step: int, batch: Any) -> None:
        """One step of α; the weights, their gradients and running statistics stay as they are."""
        if not self.learns(step):
            return
        images, labels = self.selection.batch(step)
        images = images.to(batch[0].dtype)
        with self.untouched(), self.precision():
            found = self.slopes(images, labels, step, batch)
        self.together(found)
        for alpha, slope in zip(self.alphas, found, strict=True):
            alpha.grad = slope.detach().to(alpha.dtype)
        self.optimizer.step()

    def together(self, tensors: Sequence[Tensor]) -> None:
        """Mean over the ranks, in place."""
        if self.trainer.world_size > 1:
            with torch.no_grad():
                average(list(tensors))

    def precision(self) -> Any:
        """The arithmetic of the trainer, which Lightning sets in the module's own step alone."""
        return self.trainer.precision_plugin.forward_context()

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Running statistics belong to the weights' images: put back what the passes of α move."""
        statistics = running_statistics(self.module.network)
        kept = [s.clone() for s in statistics]
        try:
            yield
        finally:
            for statistic, value in zip(statistics, kept, strict=True):
                statistic.copy_(value)

    # -- checkpoints

    def more(self) -> dict[str, Any]:
        """State beyond parameters and optimizer, as tensors and plain values."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `more` gave."""

    def state_dict(self) -> dict[str, Any]:
        if not self.alphas:
            return self._loaded
        return {
            "alphas": [alpha.detach().clone() for alpha in self.alphas],
            "optimizer": self.optimizer.state_dict(),
            "choice": None if self.choice is None else str(self.choice),
            "more": self.more(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict
