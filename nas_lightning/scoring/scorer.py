"""How a set is scored: on which images, by which statistics, where a long scoring keeps what it has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.data.task import Task
from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.plan import BN_EVALUATION, Plan
from nas_lightning.predictors.base import Context, checked_scores
from nas_lightning.processes.exchange import position, summed
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.partial import PartialScores, own_chunks, score_in_chunks
from nas_lightning.scoring.score import Batches, Scores, digest, score
from nas_lightning.scoring.subjects import Subjects

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conditions:
    """Under which scores are taken.

    Args:
        batch_size: images a batch; with batch statistics the accuracy depends on it.
        n_images: held-out images used; None takes all that fill whole batches.
        statistics: batch-norm statistics at scoring, where they are not the plan's.
        precision: Lightning's name.
        probe_images: training images, as they are, that linear probes are fitted on; 0 computes none.
        skip: images of either kind that are passed over before the first one used.
    """

    batch_size: int = 250
    n_images: int | None = None
    statistics: str | None = None
    precision: str = "32-true"
    probe_images: int = 0
    skip: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise UserError(f"evaluation.batch_size={self.batch_size} is out of range; give a whole number from 2")
        if self.n_images is not None and self.n_images < 1:
            raise UserError(f"evaluation.images={self.n_images} is out of range; give a whole number from 1, or null")
        for name, count in (("skip", self.skip), ("probe_images", self.probe_images)):
            if count < 0:
                raise UserError(f"evaluation.{name}={count} is negative; give a number of images, or 0")
        if self.statistics is not None and self.statistics not in BN_EVALUATION:
            raise UserError(
                f"evaluation.batch_norm={self.statistics} is unknown; "
                f"{did_you_mean(self.statistics, BN_EVALUATION)}choose one of {', '.join(BN_EVALUATION)}"
            )


@dataclass
class Scorer:
    """Scores subjects with a super-net of `plan` on the images that its training held out.

    Args:
        folder: where partial results of a long scoring are kept until `forget` is called; None keeps none.
        label: tells several scorers of one folder apart.
    """

    subjects: Subjects
    plan: Plan
    data: Task
    conditions: Conditions
    choice: Choice
    folder: Path | None = None
    label: str = ""

    def __post_init__(self) -> None:
        self.batch_norm = self.conditions.statistics or self.plan.protocol.bn_evaluation
        if self.batch_norm == "tracked" and not self.plan.protocol.track_running_stats:
            raise UserError(
                "evaluation.batch_norm=tracked needs running statistics, which this super-net did not keep "
                "(track_running_stats=false); choose batch or recalibrate"
            )
        if self.conditions.statistics and "batch_norm" in self.subjects.space.lacks:
            raise UserError(
                f"evaluation.batch_norm={self.batch_norm} does not apply to {self.subjects.space.name}, in whose "
                "network nothing normalises; leave it at null"
            )
        self.scored_images = 0

    def __call__(self, module: Any, progress: Callable[[int], None] | None = None, every_score: bool = True) -> Scores:
        """Score the set with the module's network as it is, leaving it as it was.

        The ranks of a run share the architectures, not the images: every number is one process's, whatever their count.
        With a `folder`, what an interrupted call has scored is taken from there, where weights, set, images, batch
        size, batch norm, precision and predictors are the same.

        Args:
            module: has ``network`` and ``device``.
            progress: is told how many of this process's architectures are scored.
            every_score: False takes the shared pass alone, as rankings during training do.
        """
        device, given = module.device, self.conditions
        batches = self.batches(device)
        self.scored_images = sum(self.data.count_items(labels) for _, labels in batches)
        calibration = []
        if self.batch_norm == "recalibrate":
            loader = self.data.loader(device)
            calibration = [loader.batch(step)[0] for step in range(self.plan.protocol.bn_recalibration_batches)]
        probe = self.probe_batches(device)
        measured, slow = self.choice.measured, self.choice.slow if every_score else []
        names = [p.name for p in (*measured, *slow)]

        def context(chosen: Sequence[Any]) -> Context:
            return self.context(chosen, module.network, batches, calibration)

        def score_some(index: Sequence[int], done: Callable[[int], None]) -> np.ndarray:
            chosen = [self.subjects.architectures[i] for i in index]
            found = score(
                module.network,
                chosen,
                batches,
                statistics=self.batch_norm,
                calibration=calibration,
                progress=done,
                precision=given.precision,
                probe=probe,
                predictors=measured,
                task=type(self.data),
            )
            found |= {p.name: checked_scores(p, context(chosen)) for p in slow}
            return np.stack([found[name] for name in names], axis=1)

        partial, (rank, size), n, width = None, position(), len(self.subjects), len(names)
        if self.folder is not None:
            partial = PartialScores(
                self.folder,
                n,
                lambda: {**self.key(module.network, batches, calibration, probe), **self._extra(slow)},
                rank=rank,
                label=self.label,
                width=width,
            )
            for note in partial.notes:
                log.warning("%s.", note)
            if partial.resumed:
                log.warning("%d of %d architectures are scored already (%s).", partial.resumed, n, partial.path.name)
        own = score_in_chunks(score_some, n, partial, progress=progress, rank=rank, world_size=size, width=width)
        values = summed(own, device)
        scores = {name: values[:, i].copy() for i, name in enumerate(names)}
        if every_score:
            whole = context(self.subjects.architectures)
            scores |= {p.name: checked_scores(p, whole) for p in self.choice.quick}
        return scores

    def count_here(self) -> int:
        """How many architectures this process scores: of several ranks, each takes its share.

        Returns:
            A number of architectures.
        """
        return sum(map(len, own_chunks(len(self.subjects), *position())))

    def batches(self, device: Any) -> Batches:
        """The held-out images, as batches.

        Args:
            device: where the tensors are to live.

        Returns:
            (inputs, targets) of full batches, never shuffled.
        """
        given = self.conditions
        return self.data.evaluation_batches(given.batch_size, given.n_images, device, given.skip)

    def probe_batches(self, device: Any) -> Batches:
        """The first `probe_images` training images, not augmented, as batches of the evaluation's size.

        Args:
            device: where the tensors are to live.

        Returns:
            (inputs, targets) of full batches; empty where no probes are asked for.

        Raises:
            UserError: there are fewer training images, or they do not fill one batch.
        """
        given = self.conditions
        if not given.probe_images:
            return []
        if (there := self.data.size("train")) < given.probe_images + given.skip:
            skipped = f" after {given.skip} skipped ones" if given.skip else ""
            raise UserError(f"evaluation.probe_images={given.probe_images}{skipped} but {there} images train; lower it")
        if given.probe_images < given.batch_size:
            raise UserError(
                f"evaluation.probe_images={given.probe_images} does not fill one evaluation batch of "
                f"{given.batch_size}; raise it, or lower evaluation.batch_size"
            )
        return self.data.evaluation_batches(given.batch_size, given.probe_images, device, given.skip, split="train")

    def context(
        self,
        architectures: Sequence[Any] | None = None,
        network: Any = None,
        batches: Batches | None = None,
        calibration: Sequence[Any] = (),
    ) -> Context:
        """What predictors may look at; of the whole set where nothing is given.

        Args:
            architectures: part of the set; None takes all.
            network: the super-net, for predictors that read weights.
            batches: the held-out items, for those that look at them.
            calibration: inputs that batch-norm statistics are taken on.

        Returns:
            The context.
        """
        return Context(
            self.subjects.space,
            self.subjects.architectures if architectures is None else architectures,
            self.plan.mapping,
            num_outputs=self.data.num_outputs,
            in_channels=self.data.in_channels,
            image_size=self.data.image_size,
            seed=self.data.seed,
            table=self.subjects.table,
            network=network,
            batches=batches or (),
            calibration=calibration,
            statistics=self.batch_norm,
            task=type(self.data),
        )

    def key(
        self, network: Any, batches: Batches, calibration: Sequence[Any], probe: Batches | None = None
    ) -> Mapping[str, object]:
        """What the scores depend on, by name; partial results of another key are not used.

        Args:
            network: a super-net.
            batches: (inputs, targets) of the held-out items.
            calibration: inputs that batch-norm statistics are taken on.
            probe: (inputs, targets) that probes are fitted on.

        Returns:
            Plain values; tensors by their hash.
        """
        return {
            "weights": digest(network.state_dict().values()),
            "plan": self.plan.as_dict(),
            "architectures": self.subjects.sha256,
            "images": digest([*(x for pair in batches for x in pair), *calibration]),
            "batch size": self.conditions.batch_size,
            "batch norm": self.batch_norm,
            "precision": self.conditions.precision,
            **({"probe images": digest([x for pair in probe for x in pair])} if probe else {}),
        }

    def _extra(self, slow: Sequence[Any]) -> dict[str, object]:
        return {"predictors": {p.name: p.settings() for p in slow}, "seed": self.data.seed} if slow else {}

    def forget(self) -> None:
        """Remove partial results: the scores are used up."""
        if self.folder is not None:
            PartialScores.remove(self.folder, self.label)
