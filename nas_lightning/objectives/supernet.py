"""The objectives of a search that need PyTorch: a trained super-net, and real training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nas_lightning.benchmarks.locate import sha256_of
from nas_lightning.config.schema import TrainerSchema
from nas_lightning.config.search_schema import SearchConfig, SupernetObjectiveSchema
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.objectives.candidate import CostMeasures, StandaloneTrainer, task_of
from nas_lightning.objectives.truth import ScoreObjective, standalone_trainer
from nas_lightning.plan import Plan
from nas_lightning.scoring.score import Batches, check_score, score
from nas_lightning.scoring.trained import check_same_images, refuse_other_content
from nas_lightning.search.objective import check_cost_unit
from nas_lightning.search.subspaces import AdmissibleSpace, ListedSpace
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoint_file import checkpoint_at
from nas_lightning.training.module import load_network

if TYPE_CHECKING:
    from nas_lightning.benchmarks import Benchmark


class SupernetObjective(ScoreObjective):
    """Score with the shared weights of a trained super-net, on held-out images that did not train it.

    Fidelity is the number of images, in whole evaluation batches: `screening_batches` of them at least, all at most.
    The batches always come in the same order, and every evaluation starts afresh. For the truth see `ScoreObjective`.
    """

    name = "supernet"
    batch = 64

    def __init__(
        self,
        checkpoint: Path,
        space: str,
        data: Callable[[Plan], Task],
        trainer: TrainerSchema,
        settings: SupernetObjectiveSchema,
        cost_unit: str,
        benchmark: Benchmark | None,
        standalone: StandaloneTrainer | None = None,
        measures: Sequence[str] = (),
    ):
        check_cost_unit(cost_unit, ("evaluations",), self.name)
        device = torch.device("cuda" if trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
        self.network, about = load_network(checkpoint, device)
        if about["architecture"] is not None:
            raise SearchError(f"{checkpoint} holds one stand-alone network: give the checkpoint of a super-net")
        if about["space"] != space:
            held = about["space"]
            raise SearchError(f"{checkpoint} holds a super-net of {held}, not of {space}: say space={held}")
        self.plan = Plan.from_dict(about["plan"])
        self.data = data(self.plan)
        refuse_other_content(checkpoint, about, self.data)
        self.score = settings.score or self.data.quality.name
        try:
            check_score(self.score, settings.probe_images, type(self.data))
        except UserError as error:
            raise SearchError(f"objective.{error}") from None
        self.data.setup()
        size = settings.batch_size
        self.batches = self.data.evaluation_batches(size, settings.images, device)
        low = min(max(1, settings.screening_batches), len(self.batches))
        self._size = self.data.count_items(self.batches[0][1])
        self.fidelities = Fidelities(
            self.data.items_name, tuple(self._size * n for n in range(low, len(self.batches) + 1))
        )
        self.settings, self.cost_unit = settings, cost_unit
        self.precision = trainer.precision
        self.benchmark, self.standalone = benchmark, standalone
        protocol = self.plan.protocol
        recalibrate = protocol.bn_evaluation == "recalibrate"
        loader = self.data.loader(device) if recalibrate else None
        self.calibration = [loader.batch(i)[0] for i in range(protocol.bn_recalibration_batches)] if loader else []
        self.probe = self._probe_batches(settings.probe_images, device)
        self.dataset = self.data.name
        self._measures = CostMeasures(get_space(space), self.plan, self.data, measures)
        self._checkpoint_sha256 = sha256_of(checkpoint)
        self.space = self._searched_space(space)

    def _probe_batches(self, images: int, device: torch.device) -> Batches:
        """Training images, not augmented, that linear probes are fitted on: all of them at every fidelity."""
        if not images:
            return []
        if (there := self.data.size("train")) < images:
            raise SearchError(f"objective.probe_images={images} but {there} images train: lower it")
        return self.data.evaluation_batches(self._size, images, device, split="train")

    def _searched_space(self, name: str) -> Any:
        whole = get_space(name)
        admits = partial(whole.admits, mapping=self.plan.mapping)
        wanted = self.settings.architectures
        if wanted == "space":
            return AdmissibleSpace(whole, admits)
        if wanted != "table":
            raise SearchError(f"objective.architectures={wanted} is unknown: choose space or table")
        if self.benchmark is None:
            raise SearchError("objective.architectures=table needs a table: choose benchmark=…")
        return ListedSpace(whole, [arch for arch in self.benchmark.architectures() if admits(arch)])

    def holds(self, architecture: Any) -> bool:
        """Whether the super-net can score it."""
        return bool(self.space.holds(architecture))  # type: ignore[attr-defined]  # always a SubSpace

    def evaluate(self, trials: Sequence[Trial]) -> list[Measurement]:
        out: dict[int, Measurement] = {}
        measures = self._measures.of([trial.architecture for trial in trials])
        for fidelity in sorted({trial.fidelity for trial in trials}):
            chosen = [i for i, trial in enumerate(trials) if trial.fidelity == fidelity]
            scores = score(
                self.network,
                [trials[i].architecture for i in chosen],
                self.batches[: fidelity // self._size],
                statistics=self.plan.protocol.bn_evaluation,
                calibration=self.calibration,
                precision=self.precision,
                probe=self.probe,
                task=type(self.data),
            )
            for i, value in zip(chosen, scores[self.score].tolist(), strict=True):
                out[i] = Measurement(value, fidelity / self.fidelities.full, measures[i])
        return [out[i] for i in range(len(trials))]

    @property
    def value_name(self) -> str:
        return f"{self.score.replace('_', ' ')} with the super-net's weights"

    def planned_cost(self, trial: Trial) -> float:
        return trial.fidelity / self.fidelities.full

    def identity(self) -> dict[str, Any]:
        return {
            "checkpoint_sha256": self._checkpoint_sha256,
            "data": self.data.record(),
            "images": self.fidelities.full,
            "batch_size": self._size,
            "batch_norm": self.plan.protocol.bn_evaluation,
            "score": self.score,
            **({"probe_images": self.settings.probe_images} if self.settings.probe_images else {}),
            "architectures": self.settings.architectures,
            "levels": list(self.fidelities.levels),
            "measures": list(self._measures.names),
            "truth": self.truth_identity(),
            # searches from before the precision counted keep their names
            **self.data.quality.record(),
            **({} if self.precision == "32-true" else {"precision": self.precision}),
        }


def supernet_objective(
    config: SearchConfig,
    settings: SupernetObjectiveSchema,
    cost_unit: str,
    benchmark: Benchmark | None,
    measures: Sequence[str] = (),
) -> SupernetObjective:
    """The objective of ``objective=supernet checkpoint=…``.

    The images are split as the super-net's run was, so that no image scores weights that it trained. Raises SearchError
    where the configuration names other images than that run.
    """
    assert config.checkpoint is not None
    checkpoint, given = checkpoint_at(config.checkpoint), config.data
    try:
        check_same_images(checkpoint, asdict(given))
    except UserError as error:
        raise SearchError(str(error)) from None
    standalone = None
    if settings.train_top_k:
        standalone = standalone_trainer(config, batch_size=settings.batch_size, final_seeds=settings.final_seeds)
    return SupernetObjective(
        checkpoint=checkpoint,
        space=config.space.name,
        data=lambda plan: task_of(given, plan, config.seed),
        trainer=config.trainer,
        settings=settings,
        cost_unit=cost_unit,
        benchmark=benchmark,
        standalone=standalone,
        measures=measures,
    )
