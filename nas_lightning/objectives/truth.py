"""Objectives whose values are scores: the truth of what they find is looked up in a table, or trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_lightning.config.schema import plan_of
from nas_lightning.config.search_schema import SearchConfig
from nas_lightning.objectives.candidate import StandaloneTrainer, task_of
from nas_lightning.search.objective import Objective

if TYPE_CHECKING:
    from nas_lightning.benchmarks import Benchmark


class ScoreObjective(Objective):
    """The stand-alone truth comes from real training by `standalone` where that is given, else from `benchmark`, else
    it is unknown."""

    benchmark: Benchmark | None = None
    standalone: StandaloneTrainer | None = None

    def open_folder(self, folder: Path) -> None:
        if self.standalone is not None:
            self.standalone.folder = folder / "standalone"

    def truth(self, architectures: Sequence[Any]) -> np.ndarray:
        if self.standalone is not None:
            return self.standalone.final_accuracies(architectures)
        return self.cheap_truth(architectures)

    def cheap_truth(self, architectures: Sequence[Any]) -> np.ndarray:
        if self.benchmark is None or self.standalone is not None:
            return np.full(len(architectures), np.nan)
        return self.benchmark.accuracies(architectures)

    def all_truths(self) -> np.ndarray | None:
        if self.benchmark is None or self.standalone is not None:
            return None
        return self.benchmark.accuracies(self.benchmark.architectures())

    def truth_name(self) -> str:
        if self.standalone is not None:
            return self.standalone.describe_final()
        return super().truth_name() if self.benchmark is None else "table"

    def truth_identity(self) -> Any:
        """What the truth depends on, as plain JSON; None where it is unknown."""
        if self.standalone is not None:
            return self.standalone.identity()
        return None if self.benchmark is None else self.benchmark.sha256


def standalone_trainer(config: SearchConfig, *, batch_size: int, final_seeds: int) -> StandaloneTrainer:
    """Real training by the plan of the configuration, for the truth of the top K (``objective.train_top_k=true``)."""
    plan = plan_of(config.plan)
    return StandaloneTrainer(
        space=config.space.name,
        plan=plan,
        data=task_of(config.data, plan, config.seed),
        trainer=config.trainer,
        batch_size=batch_size,
        final_seeds=final_seeds,
    )
