"""Callbacks that are no heuristics: the ranking during training, and metrics.csv."""

from __future__ import annotations

import csv
import io
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning import LightningModule, Trainer

from nas_lightning.errors import UserError
from nas_lightning.logging.loggers import RunLogger
from nas_lightning.ranking.fusion import rank_average
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.temporary import temporary_folder
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.files import draw
from nas_lightning.scoring.score import Scores


class RankingCallback(pl.Callback):
    """Ranks the super-net every `every` epochs without disturbing its training.

    Fires: end of a training epoch, before the metrics file is written. Scoring restores train mode, batch-norm
    statistics and draws no random number, so that the weights are bit-identical with and without it. `logger` is given
    every ranking where it takes them. The headline scores of the last `keep` rankings travel in the checkpoint, for
    `fused`.
    """

    def __init__(self, evaluation: Evaluation, every: int, logger: RunLogger | None = None, keep: int = 0) -> None:
        super().__init__()
        self.evaluation, self.every, self.logger, self.keep = evaluation, every, logger or RunLogger(), keep
        self.kept: dict[str, torch.Tensor] = {}
        if keep and not any(p.name == evaluation.headline for p in evaluation.scorer.choice.measured):
            raise UserError(
                f"evaluation.snapshots={keep} averages a score of the super-net over its training, which "
                f"{evaluation.headline} is not; choose evaluation.score={evaluation.quality.name}, or no snapshots"
            )
        epochs = evaluation.scorer.plan.protocol.epochs
        if keep and (keep < 2 or not every or epochs // every < keep):
            raise UserError(
                f"evaluation.snapshots={keep} averages at least 2 rankings during training, and "
                f"evaluation.every={every} with {epochs} epochs makes {epochs // every if every else 0}; rank more "
                "often or average fewer"
            )

    def fused(self) -> dict[str, np.ndarray]:
        """Rank average of the kept rankings by its name, empty where none are kept. A single moment of reading carries
        the noise of the paths trained last; its average over moments does not."""
        return dict([rank_average({name: values.numpy() for name, values in self.kept.items()})]) if self.keep else {}

    def state_dict(self) -> dict[str, Any]:
        return {"kept": dict(self.kept)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.kept = dict(state_dict["kept"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self.every and epoch % self.every == 0:
            bar: Any = trainer.progress_bar_callback
            with bar.counted("Ranking", self.evaluation.scorer.count_here()) if bar else nullcontext() as progress:
                scores = self.evaluation.scores(pl_module, progress, every_score=False)
            self.evaluation.scorer.forget()
            if self.keep:
                headline = torch.from_numpy(scores[self.evaluation.headline])
                self.kept = dict([*self.kept.items(), (f"epoch{epoch}", headline)][-self.keep :])
            if trainer.is_global_zero and self.logger.takes_rankings:
                self.show(f"epoch{epoch}", scores)
            found = self.evaluation.epoch_metrics(scores)
            if bar and found.get("kendall_tau") is not None:
                bar.ranked = (epoch, float(found["kendall_tau"]))
            for name, value in found.items():
                pl_module.log(f"rank/{name}", torch.tensor(value, dtype=torch.float64), rank_zero_only=True)

    def show(self, name: str, scores: Scores) -> None:
        """Give the logger the table of this evaluation and its picture."""
        subjects = self.evaluation.subjects
        headline = self.evaluation.headline if self.evaluation.headline in scores else self.evaluation.quality.name
        rows = (subjects.names, scores[self.evaluation.quality.name].tolist(), subjects.truth.tolist())
        with temporary_folder("picture") as folder:
            picture = None
            if subjects.table is not None:
                picture = draw(folder / "ranking.png", self.evaluation, headline, scores[headline])
            self.logger.ranking(name, *rows, picture)


class MetricsFile(pl.Callback):
    """metrics.csv: one row per epoch, rewritten atomically, so that a resumed run continues it exactly.

    Fires: end of a training epoch, after all other callbacks have logged. The rows travel in the checkpoint.
    """

    def __init__(self, path: Path, passes_per_step: int) -> None:
        super().__init__()
        self.path, self.passes_per_step = path, passes_per_step
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logged = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.endswith(("_step", "_epoch"))
        }
        step = trainer.global_step
        stale = {name for name in logged if name.startswith("rank/")} if self._was_not_ranked(trainer) else set()
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "step": step,
                "passes": step * self.passes_per_step,
                **{name: value for name, value in logged.items() if name not in stale},
            }
        )
        if trainer.is_global_zero:
            self.write()

    def _was_not_ranked(self, trainer: Trainer) -> bool:
        """callback_metrics keep the last value; only the epochs that ranked may show one."""
        ranking = [c for c in trainer.callbacks if isinstance(c, RankingCallback)]  # type: ignore[attr-defined]
        return not (ranking and ranking[0].every and (trainer.current_epoch + 1) % ranking[0].every == 0)

    def write(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [dict(row) for row in state_dict["rows"]]
