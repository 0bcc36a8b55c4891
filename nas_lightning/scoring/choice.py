"""Which predictors an evaluation computes, which one counts, what is fused with it, what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas_lightning.data.module import ImageClassification
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.predictors import CHEAP
from nas_lightning.predictors.base import Predictor, make_predictor, make_predictors, predictor_names, unknown_name
from nas_lightning.scoring.score import PROBED, Measured, default_scores


@dataclass(frozen=True)
class Choice:
    """Predictors by name only; `of` makes them of what is typed.

    Args:
        headline: the score that counts (``evaluation.score``).
        scores: what is computed of every super-net, the shared pass's first.
        baselines: what stands beside it; those fitted on a few true accuracies among them.
        fuse: names of scores and baselines that are rank-averaged with the headline.
    """

    headline: str
    scores: tuple[Predictor, ...]
    baselines: tuple[Predictor, ...]
    fuse: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        headline: str | None = None,
        predictors: Sequence[Any] = (),
        *,
        fuse: Sequence[str] = (),
        baselines: Sequence[Any] = CHEAP,
        probe_images: int = 0,
        task: type[Task] = ImageClassification,
    ) -> Choice:
        """The choice of ``evaluation.score`` (None: the task's quality), ``predictors``, ``fuse``, ``baselines`` and
        ``probe_images``.

        A name in `headline` or `fuse` that nothing else asks for is computed too. A predictor that needs truth is a
        baseline wherever it is named.

        Args:
            headline: the score that counts; None takes the task's quality.
            predictors: names, mappings with ``_target_`` or instances, beyond those that are always computed.
            fuse: names whose ranks are averaged with the headline's.
            baselines: what stands beside the scores, as `predictors`.
            probe_images: training images that linear probes are fitted on; 0 computes none.
            task: the class of the learning problem.

        Returns:
            The choice, every name of it resolved.

        Raises:
            UserError: an unknown or a repeated name, a score that needs true accuracies, one that cannot look at what
                this task's networks read, and probes without images or without classes.
        """
        if probe_images < 0:
            raise UserError(
                f"evaluation.probe_images={probe_images} is negative; give a number of training images, or 0 for none"
            )
        if probe_images and not task.has_classes:
            raise UserError(
                f"evaluation.probe_images={probe_images} fits probes to classes, which this task does not have; drop it"
            )
        headline = headline or task.quality.name
        scores: dict[str, Predictor] = {p.name: p for p in default_scores(probe_images > 0, task)}
        scores |= {p.name: p for p in make_predictors(predictors)}
        beside: dict[str, Predictor] = {p.name: p for p in make_predictors(baselines)}
        if len(set(fuse)) < len(fuse) or headline in fuse:
            twice = headline if headline in fuse else next(name for name in fuse if list(fuse).count(name) > 1)
            raise UserError(
                f"evaluation.fuse=[{','.join(fuse)}] names {twice} twice (the score itself is always in it)"
            )
        for setting, name in (("evaluation.score", headline), *(("evaluation.fuse", name) for name in fuse)):
            if name not in scores and (name not in beside or setting == "evaluation.score"):
                known = predictor_names()
                if name not in known and "." not in name:
                    raise unknown_name(setting, name, tuple(dict.fromkeys([*scores, *beside, *known])))
                made = make_predictor(name)
                if made.name != name:
                    raise UserError(f"{setting}={name} is named {made.name}; put it into evaluation.predictors")
                scores[name] = made
            if "truth" in {**beside, **scores}[name].needs:
                raise UserError(
                    f"{setting}={name} is fitted on true accuracies, and has no score for those; put it into "
                    "evaluation.baselines"
                )
        for p in (*scores.values(), *beside.values()):
            if p.inputs is not None and task.inputs not in p.inputs:
                raise UserError(
                    f"predictor {p.name} looks at {' or '.join(p.inputs)}, and the networks of this task read "
                    f"{task.inputs}; drop it"
                )
        for name in PROBED:
            if name in scores and not probe_images:
                raise UserError(
                    f"evaluation score {name} needs training images to fit probes on; set evaluation.probe_images, "
                    "such as 2000"
                )
        fitted = {name: p for name, p in scores.items() if "truth" in p.needs}
        kept = tuple(p for name, p in scores.items() if name not in fitted)
        return cls(headline, kept, tuple((beside | fitted).values()), tuple(fuse))

    @property
    def measured(self) -> list[Measured]:
        """Scores that one shared pass over the images gives."""
        return [p for p in self.scores if isinstance(p, Measured)]

    @property
    def slow(self) -> list[Predictor]:
        """Other scores and baselines that look at weights or images: computed with the set's parts, and kept."""
        found = {p.name: p for p in (*self.baselines, *self.scores) if not isinstance(p, Measured)}
        return [p for p in found.values() if p.needs & {"weights", "images"} and "truth" not in p.needs]

    @property
    def quick(self) -> list[Predictor]:
        """Other scores that need nothing: computed of the whole set at once."""
        slow = {p.name for p in self.slow}
        return [p for p in self.scores if not isinstance(p, Measured) and p.name not in slow]

    def shared(self, name: str) -> bool:
        """Whether a score depends on the super-net's weights, so that each super-net has its own.

        Args:
            name: of a predictor.

        Returns:
            False for baselines and for what is free.
        """
        return any(p.name == name and "weights" in p.needs for p in self.scores)
