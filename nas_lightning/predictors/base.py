"""What every predictor of architectures offers, and how one is found by name or by the path of its class.

A predictor of one's own is one class and, for a short name, one small YAML::

    class Fewest(Predictor):
        name = "fewest_parameters"

        def __call__(self, context):
            return -context.costs()[0].astype(float)

    python train.py 'evaluation.predictors=[{_target_: my_module.Fewest}]'

Nothing here knows of torch; predictors that need weights live in `nas_lightning.scoring`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import numpy as np
import yaml

from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.ranking.architecture_sets import Table
from nas_lightning.runs.packaged import conf_folder
from nas_lightning.spaces.base import Space
from nas_lightning.spaces.dotted_path import found_at

ENTRY_POINTS = "nas_lightning.predictors"
NEEDS = ("weights", "images", "truth")


class PredictorError(UserError):
    """A predictor that does not exist or cannot be used here: the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Context:
    """What a predictor may look at. Everything but the first three fields may be absent.

    Args:
        space: the search space.
        architectures: n of them, in the order in which scores are returned.
        mapping: the plan's mapping f_ws: width and depth of the networks.
        num_outputs: classes, or words of the vocabulary.
        in_channels: channels of an input.
        image_size: side of an input in pixels.
        seed: of every draw; a predictor keys its generators by it.
        table: stand-alone truth, of which a predictor that needs ``truth`` takes a few; None without a table.
        network: a super-net in the state that is to be scored, left as it is; None without one.
        batches: (inputs, targets) pairs of held-out items on the network's device; empty without data.
        calibration: training inputs whose moments batch norm is recalibrated with; empty where it is not.
        statistics: of batch norm: ``batch``, ``tracked`` or ``recalibrate``.
        task: whose ``loss`` gradients are taken of, a `nas_lightning.data.task.Task`; None takes cross-entropy.
        columns: what was computed for the same architectures before, by name, float64 [n] each.
    """

    space: Space[Any]
    architectures: Sequence[Any]
    mapping: PlanMapping
    num_outputs: int = 10
    in_channels: int = 3
    image_size: int = 32
    seed: int = 0
    table: Table | None = None
    network: Any = None
    batches: Sequence[tuple[Any, Any]] = ()
    calibration: Sequence[Any] = ()
    statistics: str = "batch"
    task: Any = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-accumulates of the stand-alone networks, int64 [n] each.

        Returns:
            (parameters, multiply-accumulates), int64 [n] each.
        """
        return self.space.costs(
            self.architectures,
            channels=self.mapping.channels,
            layers=self.mapping.layers,
            num_classes=self.num_outputs,
            in_channels=self.in_channels,
            image_size=self.image_size,
        )


class Predictor(ABC):
    """Gives every architecture one number, so that higher is better.

    Settings are the keyword-only arguments of the constructor. `name` is the column of every table, the legend of every
    figure and what ``evaluation.score``, ``fuse`` and ``baselines`` say; it is an identifier. Two differently set
    predictors of one evaluation need different names (setting ``name``, where the class has it).
    """

    name: str
    needs: frozenset[str] = frozenset()
    """Of ``weights`` (a trained super-net), ``images`` and ``truth`` (a few stand-alone accuracies); empty: nothing."""
    note: str = ""
    """What its scores cost, or were fitted on, for tables: ``no training``."""
    inputs: tuple[str, ...] | None = None
    """What networks have to read (`nas_lightning.data.task.Task.inputs`); None: anything."""
    draws: int = 1
    """Of one that needs truth: the seeds over which its row among the baselines is averaged."""

    @abstractmethod
    def __call__(self, context: Context) -> np.ndarray:
        """Scores of the context's architectures.

        Returns:
            float64 [n]. NaN: must not score this architecture (it was fitted on it); −inf: ranks last.
        """

    def settings(self) -> dict[str, Any]:
        """What the scores depend on beside name and context, as plain JSON: part of a run's hash and record.

        Returns:
            Settings by name.
        """
        return {k: v for k, v in vars(self).items() if isinstance(v, str | int | float | bool | None) and k != "name"}


def packaged_targets() -> dict[str, dict[str, Any]]:
    """name -> configuration (``_target_`` and settings) of every file in ``conf/predictor``, sorted by name.

    Returns:
        Configurations by name.
    """
    folder = conf_folder() / "predictor"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): yaml.safe_load(f.read_text(encoding="utf-8")) for f in files}


def installed_predictors() -> dict[str, EntryPoint]:
    """Predictors that other installed packages offer as Python entry points, by name.

    Returns:
        Entry points of the group ``nas_lightning.predictors``, not yet loaded.
    """
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def predictor_names() -> tuple[str, ...]:
    """All that `make_predictor` knows by name.

    Returns:
        Names of packaged and of installed predictors, sorted.
    """
    return (*packaged_targets(), *installed_predictors())


def make_predictor(given: str | Mapping[str, Any] | Predictor) -> Predictor:
    """The predictor that a configuration names.

    Args:
        given: a name (a file of ``conf/predictor``, or an entry point of the group ``nas_lightning.predictors``), the
            dotted path of a class, or a mapping with ``_target_`` and settings. A predictor is returned as it is.

    Returns:
        A predictor, ready to be called with a context.

    Raises:
        PredictorError: nothing of that name (the nearest ones are named), no `Predictor`, unknown settings.
    """
    if isinstance(given, Predictor):
        return given
    if isinstance(given, Mapping):
        settings = {str(k): v for k, v in given.items() if k != "_target_"}
        if "_target_" not in given:
            raise PredictorError(f"predictor {dict(given)} has no _target_; give a name or the path of a class")
        target = str(given["_target_"])
        made = (
            found_at(target, said=f"_target_={target}", error=PredictorError)
            if "." in target
            else type(make_predictor(target))
        )
        return _built(made, target, settings)
    if not isinstance(given, str):
        raise PredictorError(f"predictor {str(given)[:60]} is neither a name nor the path of a class; give one")
    packaged = packaged_targets()
    if given in packaged:
        return make_predictor(packaged[given])
    if "." in given:
        return _built(found_at(given, said=f"_target_={given}", error=PredictorError), given, {})
    installed = installed_predictors()
    if given in installed:
        return _built(installed[given].load(), given, {})
    raise unknown_name("predictor", given, (*packaged, *installed))


def make_predictors(given: Sequence[Any]) -> list[Predictor]:
    """`make_predictor` of each.

    Args:
        given: names, mappings with ``_target_``, or predictors.

    Returns:
        One predictor each, in their order.

    Raises:
        PredictorError: two bear one name.
    """
    found = [make_predictor(one) for one in given]
    names = [predictor.name for predictor in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise PredictorError(f"two predictors are named {twice[0]}; give each once, or set name of one of them")
    return found


def unknown_name(what: str, name: str, known: Sequence[str]) -> PredictorError:
    """The error for a name that is none of `known`: it names the nearest ones.

    Args:
        what: the setting that holds the name.
        name: as it was typed.
        known: names that would have been right.

    Returns:
        The error, to be raised.
    """
    return PredictorError(f"{what}={name[:80]} is unknown: {did_you_mean(name, known)}choose among {', '.join(known)}")


def _built(cls: Any, path: str, settings: Mapping[str, Any]) -> Predictor:
    if not (isinstance(cls, type) and issubclass(cls, Predictor)):
        raise PredictorError(f"{path} is no subclass of nas_lightning.predictors.base.Predictor")
    try:
        made = cls(**settings)
    except TypeError as error:
        raise PredictorError(f"{path} cannot be built with {dict(settings)}: {error}") from None
    if not str(made.name).isidentifier():
        raise PredictorError(f"{path} is named {made.name!r}; a predictor's name is an identifier, such as naswot")
    if unknown := sorted(set(made.needs) - set(NEEDS)):
        raise PredictorError(f"{made.name} needs {unknown[0]!r}, which nothing offers; choose from {', '.join(NEEDS)}")
    return made


def checked_scores(predictor: Predictor, context: Context) -> np.ndarray:
    """The scores of `predictor`, float64 [n].

    Args:
        predictor: what is asked.
        context: what predictors may look at.

    Returns:
        float64 [n], higher is better.

    Raises:
        PredictorError: the context lacks what it needs, or its values have another shape or are no numbers.
    """
    n = len(context.architectures)
    missing = {
        "weights": context.network is None,
        "images": not len(context.batches),
        "truth": context.table is None,
    }
    for need in NEEDS:
        if need in predictor.needs and missing[need]:
            what = {"weights": "a trained super-net", "images": "images", "truth": "a table of stand-alone truth"}[need]
            raise PredictorError(f"predictor {predictor.name} needs {what}, and there is none here; leave it out")
    values = np.asarray(predictor(context))
    if values.shape != (n,) or values.dtype.kind not in "fiu":
        raise PredictorError(
            f"predictor {predictor.name} gave {values.dtype} values of shape {values.shape} for {n} architectures; "
            "return one number for each"
        )
    return values.astype(np.float64)
