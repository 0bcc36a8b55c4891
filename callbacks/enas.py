"""ENAS: a recurrent controller draws the architectures that train the weights, and learns from their accuracies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_lightning.distributions.base import EPOCH_STREAM, START_STREAM, WEIGHTS_STREAM, Distribution
from nas_lightning.distributions.controller import Controller, policy_loss
from nas_lightning.plan import PlanError
from nas_lightning.training.paths import StepPaths

DERIVE_STREAM = 12


class Enas(Distribution):
    """The weights train on architectures drawn by an LSTM; REINFORCE moves it at the end of an epoch.

    Mechanism: an epoch of steps on one drawn architecture each, then `steps` steps of the controller, each on `samples`
    architectures, every one scored on another batch of selection images: reward r = accuracy + `entropy_weight`·H,
    baseline b ← `baseline_decay`·b + (1 − `baseline_decay`)·r from the first reward on, gradient clipped at 5.
    The best of `candidates` draws on one batch of `batch_size` images is derived. `start_epoch` keeps the controller as
    it starts, nearly uniform, for so many epochs.

    Source: Pham et al. (arXiv 1802.03268), section 2.2; D-X-Y/AutoDL-Projects (ENAS.py: 50 steps of 20 samples).
    Fires: at every step of the weights; end of an epoch. Cost: no pass more a step; `steps`·`samples` + `candidates`
    scorings an epoch, which the number of passes in result.json leaves out.
    Does not: freeze the baseline over an epoch, or let the entropy's gradient pass through the reward, as the released
    code does.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds), by their genomes.
    """

    extra_passes = 0
    sums_operations = False

    def __init__(
        self,
        steps: int = 50,
        samples: int = 20,
        candidates: int = 100,
        batch_size: int = 128,
        entropy_weight: float = 1e-4,
        baseline_decay: float = 0.99,
        start_epoch: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        portion: float = 0.5,
    ) -> None:
        counts = {"steps": steps, "samples": samples, "candidates": candidates, "batch_size": batch_size}
        options = {**counts, "entropy_weight": entropy_weight, "baseline_decay": baseline_decay}
        super().__init__(
            "enas",
            portion,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            options={**options, "start_epoch": start_epoch or None},
        )
        if wrong := [f"{name}={value}" for name, value in counts.items() if value < 1]:
            raise PlanError(f"heuristics.distribution.{wrong[0]} is out of range; it must be at least 1")
        if not 0 <= baseline_decay < 1 or entropy_weight < 0 or start_epoch < 0:
            raise PlanError(
                f"heuristics.distribution: baseline_decay={baseline_decay:g} must be at least 0 and below 1, "
                f"entropy_weight={entropy_weight:g} and start_epoch={start_epoch} not negative"
            )
        self.baseline: float | None = None
        self.frequencies: list[Tensor] = []
        self.nats = 0.0

    def new_parameters(self, like: Tensor) -> list[Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.generator(0, START_STREAM).initial_seed())
            self.controller = Controller(self.space.cardinalities)  # type: ignore[union-attr]
        self.controller.to(device=like.device, dtype=like.dtype)
        return list(self.controller.parameters())

    def new_optimizer(self) -> torch.optim.Optimizer:
        rate, decay = self.options["learning_rate"], self.options["weight_decay"]
        return torch.optim.Adam(self.alphas, lr=rate, betas=(0.0, 0.999), eps=1e-3, weight_decay=decay)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_start(trainer, pl_module)
        if not self.frequencies:
            self.look(0)

    def paths(self, step: int) -> StepPaths:
        with torch.no_grad():
            genomes, *_ = self.controller(generator=self.generator(step, WEIGHTS_STREAM))
        return StepPaths((self.space.decode(genomes[0].tolist()),), 1.0)  # type: ignore[union-attr]

    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        raise AssertionError("the controller learns at the end of an epoch")

    def learns(self, step: int) -> bool:
        return False

    def mixing(self) -> list[Tensor]:
        """How often each operation was drawn on each edge, of the last `candidates` draws."""
        return self.frequencies

    def entropy(self) -> float:
        """Mean over genes and draws of the policy's entropy, nats."""
        return self.nats

    def derive(self, epoch: int) -> Any:
        if epoch > (self.options.get("start_epoch") or 0):
            generator = self.generator(epoch, EPOCH_STREAM)
            for step in range(self.options["steps"]):
                self.reinforce((epoch - 1) * self.options["steps"] + step, generator)
        return self.best_by_accuracy(self.look(epoch), epoch, self.options["batch_size"])

    def reinforce(self, step: int, generator: torch.Generator) -> None:
        """One step of the controller.

        Args:
            step: of the weights, over the whole training.
            generator: the draws of this step.
        """
        n = self.options["samples"]
        genomes, logs, entropies = self.controller(generator=generator, count=n)
        batches = self.selection_batches(n, step * n, self.options["batch_size"])
        accuracies = [
            self.accuracy(self.space.decode(genome), [batch])  # type: ignore[union-attr]
            for genome, batch in zip(genomes.tolist(), batches, strict=True)
        ]
        rewards = torch.tensor(accuracies, dtype=logs.dtype, device=logs.device)
        rewards += self.options["entropy_weight"] * entropies.detach()
        decay, baselines = self.options["baseline_decay"], []
        for reward in rewards.tolist():
            self.baseline = reward if self.baseline is None else decay * self.baseline + (1 - decay) * reward
            baselines.append(self.baseline)
        self.optimizer.zero_grad()
        policy_loss(logs, rewards, torch.tensor(baselines, dtype=logs.dtype, device=logs.device)).backward()
        torch.nn.utils.clip_grad_norm_(self.alphas, 5.0)
        self.optimizer.step()

    def look(self, epoch: int) -> list[Any]:
        """Draw `candidates` architectures, and note how often operations occur and how sure the policy is.

        Args:
            epoch: of the training, counted from 1; 0 is before its first step.

        Returns:
            The drawn architectures.
        """
        with torch.no_grad():
            generator = self.generator(epoch, DERIVE_STREAM)
            genomes, _, entropies = self.controller(generator=generator, count=self.options["candidates"])
        architectures = [self.space.decode(genome) for genome in genomes.tolist()]  # type: ignore[union-attr]
        tables = zip(*(self.relaxation.one_hot(arch) for arch in architectures), strict=True)
        self.frequencies = [torch.from_numpy(np.mean(table, axis=0)) for table in tables]
        self.nats = float(entropies.mean()) / len(self.space.cardinalities)  # type: ignore[union-attr]
        return architectures

    def more(self) -> dict[str, Any]:
        return {"baseline": self.baseline, "frequencies": list(self.frequencies), "nats": self.nats}

    def restore(self, state: dict[str, Any]) -> None:
        self.baseline, self.nats, self.frequencies = state["baseline"], state["nats"], list(state["frequencies"])
