"""Single architectures trained by the stand-alone recipe for a search, and what their networks cost."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.config.schema import DataSchema, TrainerSchema
from nas_lightning.data.find import make_task
from nas_lightning.data.module import ImageClassification
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.plan import Plan
from nas_lightning.scoring.standalone import standalone_scores
from nas_lightning.search.trial import NO_MEASURES, SearchError
from nas_lightning.spaces import Space
from nas_lightning.training.checkpoint_file import DamagedCheckpointError, read_checkpoint
from nas_lightning.training.divergence import DivergedError
from nas_lightning.training.module import StandaloneModule
from nas_lightning.training.trainer import new_trainer, quiet_lightning

FINAL_SEED = 1_000  # stand-alone seeds of the top K, which no search with a small seed has used


class CostMeasures:
    """Parameters and multiply-accumulates of the stand-alone networks at a plan's size, for weighing them."""

    known = ("params", "macs")

    def __init__(self, space: Space[Any], plan: Plan, data: Task, names: Sequence[str]):
        if unknown := [name for name in names if name not in self.known]:
            raise SearchError(
                f"this objective cannot measure {unknown[0]}: {did_you_mean(unknown[0], self.known)}"
                f"choose from {', '.join(self.known)}"
            )
        data.setup()
        self._space = space
        self._shape: dict[str, Any] = {
            "channels": plan.mapping.channels,
            "layers": plan.mapping.layers,
            "num_classes": data.num_outputs,
            "in_channels": data.in_channels,
            "image_size": data.image_size,
        }
        self.names = tuple(names)

    def of(self, architectures: Sequence[Any]) -> list[Mapping[str, float]]:
        """name -> value, one mapping an architecture."""
        if not self.names:
            return [NO_MEASURES] * len(architectures)
        both = dict(zip(self.known, self._space.costs(architectures, **self._shape), strict=True))
        return [{name: float(both[name][i]) for name in self.names} for i in range(len(architectures))]


def last_intact(folder: Path, epochs: int) -> tuple[int, Path | None]:
    """The longest of the trainings kept as ``epoch=<n>.ckpt``, at most `epochs` long, that can be gone on with.

    A damaged one is renamed to ``….damaged``, with a warning. (0, None) where there is none. Raises CheckpointError for
    one of another format.
    """
    kept = {int(path.stem.split("=")[1]): path for path in folder.glob("epoch=*.ckpt")}
    for epoch in sorted((epoch for epoch in kept if epoch <= epochs), reverse=True):
        try:
            read_checkpoint(kept[epoch])
        except DamagedCheckpointError:
            print(f"warning: checkpoint {kept[epoch]} is damaged and not used", file=sys.stderr, flush=True)
            kept[epoch].replace(kept[epoch].with_name(kept[epoch].name + ".damaged"))
        else:
            return epoch, kept[epoch]
    return 0, None


class StandaloneTrainer:
    """Trains single architectures by the stand-alone recipe, each in a folder of its own, resumable at any epoch.

    A training of f epochs is the first f epochs of the plan's whole schedule, so that a promoted architecture goes on
    exactly where it stopped.
    """

    def __init__(
        self,
        space: str,
        plan: Plan,
        data: Task,
        trainer: TrainerSchema,
        batch_size: int,
        final_seeds: int,
    ):
        if final_seeds < 1:
            raise SearchError(f"objective.final_seeds={final_seeds}: the top K need at least one stand-alone training")
        self.space, self.plan, self.data, self.trainer = space, plan, data, trainer
        self.batch_size, self.final_seeds = batch_size, final_seeds
        self.folder: Path | None = None
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def train(self, arch: Any, seed: int, epochs: int, split: str) -> float:
        """Quality on the ``validation`` or ``test`` items after `epochs` epochs, such as an accuracy as a fraction."""
        assert self.folder is not None, "the objective has not been given its run folder"
        self.data.setup()
        self.data.seed = seed
        module = StandaloneModule(
            space=self.space,
            plan=self.plan,
            num_classes=self.data.num_outputs,
            in_channels=self.data.in_channels,
            seed=seed,
            arch=arch,
            task=type(self.data),
        )
        folder = self.folder / hashlib.sha256(f"{arch} {seed}".encode()).hexdigest()[:16]
        done, checkpoint = last_intact(folder, epochs)
        if done < epochs:
            self._fit(module, epochs, folder, checkpoint)
        else:
            assert checkpoint is not None
            module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
        return standalone_scores(module, self.data, split, self.batch_size)[self.data.quality.name]

    def final_accuracies(self, architectures: Sequence[Any]) -> np.ndarray:
        """Test quality of the whole recipe, mean over `final_seeds` trainings with seeds of their own, float64 [n]."""
        epochs = self.plan.protocol.epochs
        seeds = range(FINAL_SEED, FINAL_SEED + self.final_seeds)
        rows = [[self._test_accuracy(arch, seed, epochs) for seed in seeds] for arch in architectures]
        return np.array(rows, np.float64).reshape(len(architectures), self.final_seeds).mean(axis=1)

    def _test_accuracy(self, arch: Any, seed: int, epochs: int) -> float:
        """NaN, not known, where the training diverged."""
        try:
            return self.train(arch, seed, epochs, "test")
        except DivergedError:
            return float("nan")

    def describe_final(self) -> str:
        epochs = self.plan.protocol.epochs
        name = self.data.quality.name.replace("_", " ")
        return f"stand-alone training, {epochs} epochs, test {name}, mean of {self.final_seeds} seeds"

    def _fit(self, module: StandaloneModule, epochs: int, folder: Path, resume: Path | None) -> None:
        trainer = new_trainer(
            epochs=epochs,
            accelerator=self.trainer.accelerator,
            precision=self.trainer.precision,
            deterministic=self.trainer.deterministic,
            folder=folder,
        )
        with quiet_lightning():
            trainer.fit(module, datamodule=self.data, ckpt_path=resume, weights_only=True)
        trainer.save_checkpoint(folder / f"epoch={epochs}.ckpt", weights_only=False)
        module.to(trainer.strategy.root_device)

    def identity(self) -> dict[str, Any]:
        """What the accuracies depend on."""
        self.data.setup()
        return {
            "plan": self.plan.as_dict(),
            "data": self.data.record(),
            "precision": self.trainer.precision,
            "batch_size": self.batch_size,
            "final_seeds": self.final_seeds,
            **self.data.quality.record(),
        }


def task_of(data: DataSchema, plan: Plan, seed: int) -> Task:
    """The task of a ``data`` section with the plan's batch size and train portion; no file is read yet.

    Raises DataError for a class that is not there and settings that it does not read, UserError for a plan that the
    task cannot follow.
    """
    protocol = plan.protocol
    task = make_task(asdict(data), protocol.batch_size, protocol.train_portion, seed)
    if protocol.label_smoothing and not task.takes_label_smoothing:
        raise UserError(
            f"label_smoothing={protocol.label_smoothing} has no effect on data={data.name}, whose loss does not smooth "
            "its targets; set it to 0"
        )
    if protocol.selection_portion:
        if not isinstance(task, ImageClassification):
            raise UserError(
                f"distribution={protocol.distribution} learns from images that are kept from the weights, which "
                f"data={data.name} does not keep; set distribution=none"
            )
        task.selection_portion = protocol.selection_portion
    return task
