"""The LightningModules: a super-net trained path by path, and a stand-alone network trained the same way on its one.

Optimisation is manual, because a step may train several paths: their gradients are accumulated, averaged over the ranks
once, clipped, and applied in ONE optimizer step. Parameters outside the step's paths have no gradient at all, so that
neither momentum nor weight decay moves them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from nas_lightning.data.module import ImageClassification
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.nets.base import Network
from nas_lightning.nets.build import build_network
from nas_lightning.nets.norm import running_statistics
from nas_lightning.plan import Plan
from nas_lightning.processes.exchange import average
from nas_lightning.spaces import SpaceError, space_in_file, target_of
from nas_lightning.training.checkpoint_file import (
    CHECKPOINT_KEY,
    FORMAT,
    CheckpointError,
    checkpoint_at,
    read_checkpoint,
)
from nas_lightning.training.divergence import refuse_far_above_a_guess, refuse_no_number
from nas_lightning.training.memory import keep_freed_memory
from nas_lightning.training.paths import PathSampler, StepPaths
from nas_lightning.training.schedule import learning_rate
from nas_lightning.training.speed import full, lean

COMPLEXITY_STREAM = 13


class NetworkModule(pl.LightningModule):
    """Common ground of the two roles; a subclass says which paths a step trains.

    The network is initialised from `init_seed` alone, which is `seed` where it is None. `identity` is a plain dict that
    rebuilds it: it travels in the checkpoint under ``nas_lightning``.
    """

    def __init__(
        self,
        space: str,
        plan: Plan,
        num_classes: int,
        in_channels: int,
        seed: int,
        arch: Any = None,
        init_seed: int | None = None,
        task: type[Task] = ImageClassification,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.task, self.num_outputs = task, num_classes
        self.plan, self.seed = plan, seed
        self.identity = {
            "space": space,
            **({} if (own := target_of(space)) is None else {"space_target": own}),
            "plan": plan.as_dict(),
            "num_classes": num_classes,
            "in_channels": in_channels,
            "seed": seed,
            "architecture": None if arch is None else str(arch),
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed if init_seed is None else init_seed)
            self.network: Network = build_network(space, plan, num_classes, in_channels=in_channels, arch=arch)
        self.network.to(memory_format=torch.channels_last)  # 2 to 4 times faster than NCHW at these widths on a CPU
        self._losses: list[Tensor] = []
        self._carried: Tensor | None = None
        """Of a network that carries one: the hidden state where this rank's last chunks ended."""
        self._data: dict[str, str] | None = None  # what it is trained on, once a checkpoint has asked
        self.terms: list[Callable[[Tensor, Tensor, int], Tensor]] = []
        """More losses of a step, of (images, labels, step), which callbacks add; the same paths on every rank."""
        self.rate_factors: list[Callable[[int, StepPaths], float]] = []
        """More factors of a step's learning rate, of (step, its paths), which callbacks add."""
        self.observers: list[Callable[[Tensor, Tensor, int], None]] = []
        """What looks at a path's outputs, of (outputs, labels, step), which callbacks add."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # Lightning writes it around every hook; a module looks for parameters first
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)

    def setup(self, stage: str) -> None:
        # Lightning reads a checkpoint into the module before it makes this one of 64 bits: half of them would be lost.
        self.trainer.precision_plugin.convert_module(self)

    def on_fit_start(self) -> None:
        epochs = self.plan.protocol.epochs
        given = self.trainer.max_epochs
        if self.trainer.max_steps == -1 and (given is None or not 0 <= given <= epochs):
            raise UserError(
                f"the Trainer has max_epochs={given}, and the plan's learning rate ends after "
                f"{epochs}; make it pl.Trainer(max_epochs=plan.protocol.epochs)"
            )
        lean(self.trainer)
        if self.device.type == "cpu":
            keep_freed_memory()

    def on_fit_end(self) -> None:
        full(self.trainer)
        self.network.state = None

    def paths(self, step: int) -> StepPaths:
        """The architectures that step `step` trains.

        Args:
            step: of the training, from 0.

        Returns:
            Architectures, and the weight of each one's loss.

        Raises:
            NotImplementedError: in this class, which trains nothing by itself.
        """
        raise NotImplementedError

    def rate_factor(self, paths: StepPaths) -> float:
        """What multiplies the schedule's learning rate at this step.

        Args:
            paths: of this step.

        Returns:
            Above 0.
        """
        return 1.0

    def forward(self, images: Tensor, arch: Any = None) -> Tensor:
        return self.network(images, arch)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, labels = batch
        step, protocol = self.global_step, self.plan.protocol
        paths = self.paths(step)
        optimizer: Any = self.optimizers()
        rate = self.scheduled_rate(step) * self.rate_factor(paths)
        for factor in self.rate_factors:
            rate *= factor(step, paths)
        if isinstance(data := getattr(self.trainer, "datamodule", None), Task):
            rate *= data.rate_factor(images)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        self.network.set_draw(self.seed, step)
        targets, smoothing = labels, protocol.label_smoothing
        if self.network.carries_state and step % int(self.trainer.num_training_batches) == 0:
            self._carried = None  # an epoch starts at the beginning of the text
        self.network.state = self._carried  # for all passes of the step, which read the same chunk
        for arch in paths.architectures:
            logits = self.network(images, arch)
            loss = self.task.loss(logits, targets, smoothing)
            if protocol.distillation and targets is labels:  # the first path, the largest, teaches the others
                targets, smoothing = self.task.teach(logits), 0.0
            self._losses.append(loss.detach())
            for see in self.observers:
                see(logits.detach(), labels, step)
            if protocol.slowness:
                loss = loss + protocol.slowness * self.slowness()
            self.manual_backward(loss if paths.weight == 1.0 else loss * paths.weight)
        ended = self.network.end_state
        for term in self.terms:
            self.manual_backward(term(images, labels, step))
        self._carried = ended
        # From the optimizer's list: walking the modules of a super-net costs as much as a small network's layer.
        active = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        step_loss = torch.stack(self._losses[-len(paths.architectures) :]).float().mean()
        self.average_gradients(active, step_loss)
        if step_loss.device.type == "cpu":  # a GPU is asked at the epoch's end alone: asking is waiting
            refuse_no_number(float(step_loss), step, protocol)
        if protocol.gradient_clip > 0:
            torch.nn.utils.clip_grad_norm_(active, protocol.gradient_clip, foreach=True)
        optimizer.step()

    def slowness(self) -> Tensor:
        """Mean squared difference of hidden states that follow one another in the network's last pass; 0 for one.

        Returns:
            A scalar.
        """
        states = self.network.hidden_states
        assert states is not None, "a space without hidden_states refuses protocol.slowness"
        return (states[:, 1:] - states[:, :-1]).square().mean() if states.shape[1] > 1 else states.new_zeros(())

    def scheduled_rate(self, step: int) -> float:
        """The schedule's learning rate at `step`.

        Args:
            step: of the training, from 0.

        Returns:
            The rate before the factors of single steps.
        """
        per_epoch = int(self.trainer.num_training_batches)
        return learning_rate(self.plan.protocol, step, per_epoch, self.total_steps())

    def total_steps(self) -> int:
        """Optimizer steps of the whole run.

        Returns:
            A whole number.
        """
        return int(self.trainer.num_training_batches) * self.plan.protocol.epochs

    def average_gradients(self, active: list[torch.nn.Parameter], step_loss: Tensor) -> None:
        """Mean over the ranks. All ranks train the same paths, so that `active` is the same list everywhere.

        The step's loss, a scalar, is averaged with them, so that all ranks see in the same step that it is no number.
        Running statistics are averaged with the gradients: every rank has moved them by its own part of the batch.

        Args:
            active: parameters that this step has used.
            step_loss: of this process, a scalar.
        """
        if self.trainer.world_size == 1:
            return
        gradients = [p.grad for p in active if p.grad is not None]
        with torch.no_grad():
            average([*gradients, *running_statistics(self.network), step_loss])

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # In the last batch and not at the epoch's end, since callbacks read the metrics before the module's own hook.
        # One log call an epoch: every call costs about as much as a small network's operation.
        if self.trainer.is_last_batch:
            loss = torch.stack([loss.to(self.device) for loss in self._losses]).float().mean()
            guess = self.task.guess_loss(self.num_outputs)
            refuse_far_above_a_guess(float(loss), self.global_step - 1, guess, self.plan.protocol)
            self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=self.trainer.world_size > 1)
            self.log("learning_rate", self.scheduled_rate(self.global_step - 1), on_step=False, on_epoch=True)
            self._losses.clear()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        protocol = self.plan.protocol
        return torch.optim.SGD(
            self.network.parameters(),
            lr=protocol.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
            nesterov=protocol.nesterov,
            foreach=True,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        losses = self.epoch_losses()
        checkpoint[CHECKPOINT_KEY] = {"format": FORMAT, **self.identity, **self._trained_on(), "epoch_losses": losses}
        if self._carried is not None:  # [ranks, layers, B / ranks, n]
            gathered: Any = self.all_gather(self._carried)
            checkpoint[CHECKPOINT_KEY]["hidden_state"] = gathered.reshape(-1, *self._carried.shape).cpu()

    def _trained_on(self) -> dict[str, Any]:
        """The data's name, and of one's own data the hash of its content, which the name does not say."""
        data = getattr(self._trainer, "datamodule", None)  # no trainer where one saves by hand
        if self._data is None and isinstance(data, Task):
            content = (data.identity() or {}).get("content_sha256")
            self._data = {"dataset": data.name, **({} if content is None else {"content_sha256": content})}
        return {} if self._data is None else {"data": self._data}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        losses = checkpoint[CHECKPOINT_KEY]["epoch_losses"]
        self._losses = list(losses[self.global_rank].unbind()) if losses is not None else []
        hidden = checkpoint[CHECKPOINT_KEY].get("hidden_state")
        self._carried = None if hidden is None else hidden[self.global_rank].to(self.device)

    def epoch_losses(self) -> Tensor | None:
        """The losses so far of an epoch that is not at its end, [ranks, n]: they travel in the checkpoint.

        Returns:
            One number a step so far, or None.
        """
        if not self._losses:
            return None
        gathered: Any = self.all_gather(torch.stack(self._losses))
        return gathered.reshape(-1, len(self._losses)).cpu()


# Lightning asks for it at every step; Python would read it off the code anew.
NetworkModule.training_step.__signature__ = inspect.signature(NetworkModule.training_step)  # type: ignore[attr-defined]


class SuperNetModule(NetworkModule):
    """Trains the shared weights of a plan on the paths that its sampler draws."""

    def __init__(
        self,
        space: str,
        plan: Plan,
        num_classes: int,
        in_channels: int,
        seed: int,
        init_seed: int | None = None,
        task: type[Task] = ImageClassification,
    ) -> None:
        super().__init__(space, plan, num_classes, in_channels, seed=seed, init_seed=init_seed, task=task)
        self.sampler = PathSampler(space, plan, seed)
        self.path_source: Callable[[int], StepPaths] | None = None
        """What decides the paths of a step in place of the sampler: a learned distribution, or importance sampling."""
        self._mean_parameters = self.mean_parameters() if plan.protocol.complexity_aware else 1.0

    def paths(self, step: int) -> StepPaths:
        return self.sampler.paths(step) if self.path_source is None else self.path_source(step)

    def parameters_of(self, arch: Any) -> int:
        """Trainable parameters of one architecture's own network.

        Args:
            arch: an architecture of the space.

        Returns:
            A whole number.
        """
        mapping = self.plan.mapping
        return self.sampler.space.parameters(arch, channels=mapping.channels, layers=mapping.layers)

    def mean_parameters(self) -> float:
        """Mean parameter count of 256 keyed draws of the sampler's own distribution.

        Returns:
            A mean over sampled architectures.
        """
        rng = np.random.default_rng((self.seed, COMPLEXITY_STREAM))
        return float(np.mean([self.parameters_of(self.sampler.one(rng)) for _ in range(256)]))

    def rate_factor(self, paths: StepPaths) -> float:
        exponent = self.plan.protocol.complexity_aware
        if not exponent:
            return 1.0
        size = float(np.mean([self.parameters_of(arch) for arch in paths.architectures]))
        return float((size / self._mean_parameters) ** exponent)


class StandaloneModule(NetworkModule):
    """Trains `arch`, one architecture, from scratch with weights of its own."""

    def paths(self, step: int) -> StepPaths:
        return StepPaths((self.network.arch,), 1.0)


def load_network(path: str | Any, device: torch.device | str = "cpu") -> tuple[Network, dict[str, Any]]:
    """The network of a checkpoint, rebuilt from the plan inside it without any heuristic, and its identity.

    Args:
        path: a ``.ckpt`` file, or a run folder.
        device: where the network is put.

    The file is verified and read with ``weights_only``, and nothing is built before the shapes in it are known to fit
    the plan: no configuration inside it is ever instantiated.

    Returns:
        The network, and what the checkpoint says of its space, plan and seed.

    Raises:
        CheckpointError: it cannot be read, or contradicts itself.
        SpaceError: it is of a space that this process does not know.
    """
    checkpoint = read_checkpoint(checkpoint_at(path), device)
    identity = checkpoint[CHECKPOINT_KEY]
    try:
        if type(identity.get("seed")) is not int:
            raise ValueError("it has no seed")
        space = space_in_file(identity["space"], identity.get("space_target"))
        arch = None if identity["architecture"] is None else space.parse(identity["architecture"])
        plan, classes, channels = Plan.from_dict(identity["plan"]), identity["num_classes"], identity["in_channels"]
        prefix = "network."
        weights = {
            name.removeprefix(prefix): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith(prefix)
        }
        with torch.device("meta"):  # a plan of absurd size costs no memory here
            outline = build_network(space, plan, classes, in_channels=channels, arch=arch).state_dict()
        if {n: t.shape for n, t in outline.items()} != {n: t.shape for n, t in weights.items()}:
            raise ValueError("the weights have other names or shapes than the plan")
        network = build_network(space, plan, classes, in_channels=channels, arch=arch)
        network.load_state_dict(weights)
    except SpaceError as error:
        if isinstance(identity["space"], str) and identity["space"].isidentifier():
            raise  # a space of the user's that this process does not know
        raise CheckpointError(f"checkpoint {path} contradicts itself ({error}); use another one") from error
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"checkpoint {path} contradicts itself ({type(error).__name__}: {str(error).splitlines()[0]}); use "
            "another one"
        ) from error
    return network.to(device).to(memory_format=torch.channels_last), identity
