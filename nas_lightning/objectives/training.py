"""Real training as the objective of a search."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.config.schema import plan_of
from nas_lightning.config.search_schema import SearchConfig, TrainingObjectiveSchema
from nas_lightning.objectives.candidate import CostMeasures, StandaloneTrainer, task_of
from nas_lightning.search.objective import Objective, check_cost_unit
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces import get_space
from nas_lightning.training.divergence import DivergedError

log = logging.getLogger(__name__)


class TrainingObjective(Objective):
    """Train every architecture by itself and read its quality on the held-out items; fidelity is the epoch reached.

    The seed of the search is the seed of every training, so that an evaluation is a function of (architecture, epochs).
    A trial that resumes pays the further epochs only; ``seconds`` are measured on this machine and differ from run to
    run. The truth is the test accuracy of the stand-alone recipe, trained anew with its own seeds.
    """

    name = "training"

    def __init__(
        self,
        standalone: StandaloneTrainer,
        seed: int,
        min_epochs: int | None,
        cost_unit: str,
        measures: Sequence[str] = (),
    ):
        check_cost_unit(cost_unit, ("evaluations", "epochs", "seconds"), self.name)
        full = standalone.plan.protocol.epochs
        low = full if min_epochs is None else min_epochs
        if not 1 <= low <= full:
            raise SearchError(f"objective.min_epochs={low} is out of range: the plan trains for {full} epochs")
        standalone.data.setup()
        standalone.data.evaluation_batches(
            standalone.batch_size
        )  # refuses a split without validation images before anything is trained
        self.standalone, self.seed, self.cost_unit = standalone, seed, cost_unit
        rate = standalone.plan.protocol.learning_rate
        self.failed_words = f"their trainings diverged; lower plan.protocol.learning_rate (now {rate:g})"
        self.space, self.dataset = get_space(standalone.space), standalone.data.name
        self._measures = CostMeasures(self.space, standalone.plan, standalone.data, measures)
        self.fidelities = Fidelities("epochs", tuple(range(low, full + 1)), continuous=True)

    def open_folder(self, folder: Path) -> None:
        self.standalone.folder = folder / "standalone"

    def close_folder(self) -> None:
        assert self.standalone.folder is not None
        shutil.rmtree(self.standalone.folder, ignore_errors=True)  # the networks were means to an end

    def planned_cost(self, trial: Trial) -> float | None:
        if self.cost_unit == "epochs":
            return float(trial.fidelity - trial.resumed_from)
        return super().planned_cost(trial)

    def evaluate(self, trials: Sequence[Trial]) -> list[Measurement]:
        out = []
        measures = self._measures.of([trial.architecture for trial in trials])
        for trial, measured in zip(trials, measures, strict=True):
            started = time.perf_counter()
            try:
                value = self.standalone.train(trial.architecture, self.seed, trial.fidelity, "validation")
            except DivergedError as error:  # a failed evaluation, which no algorithm takes for a good one
                value = -math.inf
                log.warning("%s: %s.", trial.architecture, error)
            cost = self.planned_cost(trial)
            out.append(Measurement(value, time.perf_counter() - started if cost is None else cost, measured))
        return out

    @property
    def value_name(self) -> str:
        return f"validation {self.standalone.data.quality.name.replace('_', ' ')} after training"

    def truth(self, architectures: Sequence[Any]) -> np.ndarray:
        return self.standalone.final_accuracies(architectures)

    def cheap_truth(self, architectures: Sequence[Any]) -> np.ndarray:
        return np.full(len(architectures), np.nan)

    def truth_name(self) -> str:
        return self.standalone.describe_final()

    def identity(self) -> dict[str, Any]:
        levels = self.fidelities.levels
        return {**self.standalone.identity(), "levels": [levels[0], levels[-1]], "measures": list(self._measures.names)}


def training_objective(
    config: SearchConfig, settings: TrainingObjectiveSchema, cost_unit: str, measures: Sequence[str] = ()
) -> TrainingObjective:
    """The objective of ``objective=training``: the plan of the configuration is the stand-alone recipe."""
    plan = plan_of(config.plan)
    standalone = StandaloneTrainer(
        space=config.space.name,
        plan=plan,
        data=task_of(config.data, plan, config.seed),
        trainer=config.trainer,
        batch_size=settings.batch_size,
        final_seeds=settings.final_seeds,
    )
    return TrainingObjective(
        standalone, seed=config.seed, min_epochs=settings.min_epochs, cost_unit=cost_unit, measures=measures
    )
