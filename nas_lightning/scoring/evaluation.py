"""Ranking a super-net: its scores against the truth, during training and at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas_lightning.errors import UserError
from nas_lightning.predictors.base import checked_scores
from nas_lightning.predictors.baselines import baselines_of
from nas_lightning.ranking.architecture_sets import VERSION
from nas_lightning.ranking.baselines import Baseline
from nas_lightning.ranking.correlation import SPARSE_THRESHOLD
from nas_lightning.ranking.fusion import rank_average
from nas_lightning.ranking.summary import epoch_metrics, summarize
from nas_lightning.runs.quality import Quality
from nas_lightning.scoring.score import Scores
from nas_lightning.scoring.scorer import Scorer
from nas_lightning.scoring.subjects import Subjects


@dataclass
class Evaluation:
    """One super-net's ranking: who is ranked and how is the `scorer`'s, what is said of it stands here.

    What it writes: `nas_lightning.scoring.files`.

    Args:
        scorer: subjects, conditions and the choice of predictors.
        top_k: K of the final search performance; None takes the space's.
        threshold: bin width of the sparse Kendall tau, as a fraction of accuracy.
    """

    scorer: Scorer
    top_k: int | None = None
    threshold: float = SPARSE_THRESHOLD

    def __post_init__(self) -> None:
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"evaluation.top_k={self.top_k} is out of range; give a whole number from 1, or null")
        if not 0 < self.threshold <= 1:
            raise UserError(f"evaluation.threshold={self.threshold} is no fraction of accuracy; give one in (0, 1]")
        self.k = self.top_k or self.subjects.space.top_k
        self._computed: Scores = {}

    @property
    def subjects(self) -> Subjects:
        """The architectures that are ranked, with their stand-alone truth."""
        return self.scorer.subjects

    @property
    def quality(self) -> Quality:
        """What a network of the task is judged by."""
        return self.scorer.data.quality

    @property
    def headline(self) -> str:
        """Name of the score that counts."""
        return self.scorer.choice.headline

    def scores(self, module: Any, progress: Callable[[int], None] | None = None, every_score: bool = True) -> Scores:
        """`Scorer.__call__`; what the baselines share with it is not computed twice.

        Args:
            module: has ``network`` and ``device``.
            progress: is told how many of this process's architectures are scored.
            every_score: False takes the shared pass alone, as rankings during training do.

        Returns:
            float64 [n] by the score's name; baselines are left out.
        """
        found = self.scorer(module, progress, every_score)
        if every_score:
            self._computed = found
        names = {p.name for p in (*self.scorer.choice.measured, *(self.scorer.choice.scores if every_score else ()))}
        return {name: values for name, values in found.items() if name in names}

    def ordered(self, scores: Scores) -> Scores:
        """Scores by name, the headline's first.

        Args:
            scores: float64 [n] by name.

        Returns:
            The same, in that order.
        """
        first = {self.headline: scores[self.headline]} if self.headline in scores else {}
        return {**first, **scores}

    def fused(self, scores: Mapping[str, Scores], fuse: Sequence[str]) -> Scores:
        """Rank average of several super-nets' headlines and of what `fuse` adds, each weighing the same.

        Args:
            scores: by the super-net's label.
            fuse: names of other scores, of every super-net where these depend on its weights, else once, and of
                baselines.

        Returns:
            The fused scores by their name; empty for fewer than two members.
        """
        choice, first = self.scorer.choice, next(iter(scores.values()))
        own = [name for name in (self.headline, *fuse) if choice.shared(name)]
        members = {
            label if len(own) == 1 else f"{label} {name}": found[name]
            for label, found in scores.items()
            for name in own
        }
        beside = {b.name: b.draws[0] for b in self.baselines}
        for name in (self.headline, *fuse):
            if not choice.shared(name):
                members[name] = first[name] if name in first else beside[name]
        return dict([rank_average(members)]) if len(members) > 1 else {}

    def predictions(self, scores: Scores) -> Scores:
        """Every predictor of this evaluation by name: the scores, the headline's first, then their fusion.

        Args:
            scores: float64 [n] by name.

        Returns:
            float64 [n] by name.
        """
        fuse = self.scorer.choice.fuse
        return {**self.ordered(scores), **(self.fused({"supernet": scores}, fuse) if fuse else {})}

    @cached_property
    def baselines(self) -> list[Baseline]:
        """What stands beside the super-net's scores. After `scores`, where one of them looks at images."""
        found, computed = [], self._computed
        context = self.scorer.context()
        for predictor in self.scorer.choice.baselines:
            if predictor.name in computed:
                found.append(Baseline(predictor.name, computed[predictor.name], predictor.note))
            elif "truth" in predictor.needs:
                found += baselines_of([predictor], context)
            else:
                found.append(Baseline(predictor.name, checked_scores(predictor, context), predictor.note))
        return found

    def epoch_metrics(self, scores: Scores) -> dict[str, float]:
        """Flat numbers for metrics.csv and the loggers.

        Args:
            scores: float64 [n] by name.

        Returns:
            Column -> number; the mean quality alone where there is no table. A quality that people read as another
            number stands there as that one, too: ``supernet_perplexity``.
        """
        quality, shared = self.quality, f"supernet_{self.quality.name}"
        if self.subjects.table is None:
            found = {shared: float(scores[quality.name].mean())}
        else:
            found = self._ranked(scores)
        return found | ({f"supernet_{quality.shown_name}": quality.show(found[shared])} if quality.shown_name else {})

    def _ranked(self, scores: Scores) -> dict[str, float]:
        subjects = self.subjects
        return epoch_metrics(
            self.ordered(scores),
            subjects.truth,
            subjects.names,
            top_k=self.k,
            threshold=self.threshold,
            quality=self.quality.name,
        )

    def summary(self, predictions: Mapping[str, np.ndarray], supernet_quality: float) -> dict[str, Any]:
        """The record of result.json: metrics, baselines, ceiling. Hardly any metrics where there is no table.

        Args:
            predictions: by name, the first of which counts; `predictions` of one super-net, say.
            supernet_quality: mean quality with shared weights, such as an accuracy as a fraction.

        Returns:
            ``metrics``, ``baselines`` and ``ceiling``, as `nas_lightning.ranking.summary.summarize` lays them out.
        """
        subjects, table, name = self.subjects, self.subjects.table, self.quality.name
        if table is None:
            return {
                "metrics": {name: {f"supernet_{name}": supernet_quality}},
                "baselines": {},
                "ceiling": {},
            }
        return summarize(
            predictions,
            subjects.truth,
            subjects.names,
            self.baselines,
            seed_accuracies=subjects.seed_truth(),
            seed_metric=table.seed_metric,
            validation=subjects.validation_truth(),
            table_accuracies=table.accuracies(table.architectures()),
            top_k=self.k,
            threshold=self.threshold,
            quality=self.quality.name,
        )

    def record(self) -> dict[str, Any]:
        """The conditions of the evaluation, for result.json.

        Returns:
            Plain values by name, such as ``n_images``, ``batch_norm`` and ``architectures_sha256``.
        """
        subjects, given, choice = self.subjects, self.scorer.conditions, self.scorer.choice
        more = {p.name: p.settings() for p in choice.scores if p not in choice.measured}
        return {
            "architecture_set": subjects.set_name,
            "architecture_set_version": VERSION,
            "n_architectures": len(subjects),
            "architectures_sha256": subjects.sha256,
            "split": "validation",
            "n_images": self.scorer.scored_images,
            "batch_size": given.batch_size,
            **({} if "batch_norm" in subjects.space.lacks else {"batch_norm": self.scorer.batch_norm}),
            "precision": given.precision,
            "score": self.headline,
            **({"probe_images": given.probe_images} if given.probe_images else {}),
            **({"skip": given.skip} if given.skip else {}),
            **({"settings": more} if more else {}),
        }
