"""The ask/tell interface of all search algorithms, and how one is found by name or by the path of its class."""

from __future__ import annotations

import inspect
import pkgutil
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nas_lightning.errors import did_you_mean
from nas_lightning.search.budget import Budget
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import ArchitectureError, Space
from nas_lightning.spaces.dotted_path import found_at

if TYPE_CHECKING:
    from nas_lightning.search.weak_labels import WeakLabels

PACKAGE = "nas_lightning.search.algorithms"
ENTRY_POINTS = "nas_lightning.algorithms"


class Algorithm(ABC):
    """Proposes architectures (`ask`) and learns from their evaluations (`tell`).

    The state of an algorithm is a function of its settings, its seed and the sequence of its successful `ask` and its
    `tell` calls. That is what makes a search resumable: the journal replays that sequence. Hence `ask` leaves the
    state as it was (random generator included) when it returns None, which means: nothing to propose before another
    pending trial is told; with no trial pending it means that the search is finished.
    Settings are the keyword-only arguments of the constructor.
    """

    needs_fidelities: ClassVar[bool] = False
    takes_weak_labels: ClassVar[bool] = False  # see `take_weak_labels`
    measures: tuple[str, ...] = ()  # what must be measured beside the value

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities):
        self.space, self.rng, self.fidelities = space, rng, fidelities
        self.notes: list[str] = []  # what a reader of the result has to know

    @abstractmethod
    def ask(self) -> Trial | None:
        """The next trial; None where a pending one has to be told first, or the search is finished.

        Returns:
            Architecture, fidelity and the algorithm's own tag, or None.
        """

    @abstractmethod
    def tell(self, trial: Trial, measurement: Measurement) -> None:
        """Learn the outcome of a trial that was asked before.

        Args:
            trial: one that `ask` has given.
            measurement: its value (minus infinity where it failed), cost and measures.
        """

    def fit_budget(self, budget: Budget) -> None:  # noqa: B027 (most algorithms plan nothing ahead)
        """Called once before the first `ask`: an algorithm whose plan does not fit the budget cuts it and notes so.

        Args:
            budget: amount and unit of the whole search.
        """

    def learn(self, trial: Trial, measurement: Measurement) -> None:  # noqa: B027 (most start from nothing)
        """Learn of an architecture that was not asked for by this algorithm (``candidates=``), before the first `ask`.

        Args:
            trial: A full evaluation.
            measurement: Its outcome.
        """

    def name_values(self, names: Sequence[str]) -> None:  # noqa: B027 (most algorithms call them nothing)
        """Called once before the first `ask`, for an algorithm that tells somebody what it optimises.

        Args:
            names: What the value, and then each of `measures`, is called in words.
        """

    def wanted_weak_labels(self) -> list[Any]:
        """Which architectures should be labelled weakly, where the source can score any (`takes_weak_labels`).

        Returns:
            Architectures of the space.

        Raises:
            NotImplementedError: it takes none.
        """
        raise NotImplementedError

    def take_weak_labels(self, labels: WeakLabels) -> None:
        """Called once before the first `ask` where the search has weak labels (`takes_weak_labels`).

        Args:
            labels: architectures with one score or more each.

        Raises:
            NotImplementedError: it takes none.
        """
        raise NotImplementedError


def packaged_algorithms() -> tuple[str, ...]:
    """Names of the algorithms of this package: the modules of `nas_lightning.search.algorithms`, sorted.

    Returns:
        Names, sorted.
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(import_module(PACKAGE).__path__)))


def installed_algorithms() -> dict[str, EntryPoint]:
    """Algorithms that other installed packages offer as Python entry points, by name.

    Returns:
        Entry points of the group ``nas_lightning.algorithms``, not yet loaded.
    """
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def algorithm_class(name: str) -> type[Algorithm]:
    """The class of an algorithm.

    Args:
        name: of a module of `nas_lightning.search.algorithms`, of an entry point of the group
            ``nas_lightning.algorithms``, or the dotted path of a class (what ``_target_`` holds).

    Returns:
        The class, not an instance.

    Raises:
        SearchError: nothing of that name, or it is no `Algorithm`.
    """
    if "." in name:
        found = found_at(name, said=f"_target_={name}", error=SearchError)
    elif name in packaged_algorithms():
        module = f"{PACKAGE}.{name}"
        found = next(
            value
            for value in vars(import_module(module)).values()
            if isinstance(value, type) and issubclass(value, Algorithm) and value.__module__ == module
        )
    elif name in (installed := installed_algorithms()):
        found = installed[name].load()
    else:
        known = [*packaged_algorithms(), *installed]
        guess = did_you_mean(name, known)
        raise SearchError(f"unknown algorithm {name!r}: {guess}choose one of {', '.join(known)}")
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        raise SearchError(f"{name} is no subclass of nas_lightning.search.algorithm.Algorithm")
    return found


def target_of(cls: type[Algorithm]) -> str:
    """The dotted path of an algorithm's class, as ``_target_`` in its configuration file holds it.

    Args:
        cls: the class.

    Returns:
        ``module.Class``.
    """
    return f"{cls.__module__}.{cls.__qualname__}"


def packaged_target(name: str) -> str | None:
    """The dotted path of the packaged algorithm of this name; None where there is none.

    Args:
        name: of an algorithm.

    Returns:
        ``module.Class``, or None.
    """
    return target_of(algorithm_class(name)) if name in packaged_algorithms() else None


def settings_of(name: str) -> dict[str, inspect.Parameter]:
    """The settings of an algorithm by name, with their types and default values.

    Args:
        name: of an algorithm.

    Returns:
        Parameters of the constructor, by name.
    """
    parameters = inspect.signature(algorithm_class(name).__init__, eval_str=True).parameters
    return {key: p for key, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def known_settings(name: str, settings: Mapping[str, Any] | None, target: str | None = None) -> dict[str, Any]:
    """The settings as they are, of an algorithm that has them.

    Args:
        name: what the algorithm is called in a message.
        settings: by name; None for none.
        target: the class by its path, where `name` alone does not find it.

    Returns:
        A copy.

    Raises:
        SearchError: the algorithm has no setting of such a name.
    """
    settings, known = dict(settings or {}), settings_of(target or name)
    if unknown := sorted(set(settings) - set(known)):
        names = ", ".join(known) or "none, it has no settings"
        guess = did_you_mean(unknown[0], known)
        raise SearchError(f"{name} has no setting {unknown[0]!r}: {guess}choose from {names}")
    return settings


def make_algorithm(
    name: str,
    space: Space,
    fidelities: Fidelities,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    single_fidelity: bool = False,
    target: str | None = None,
) -> Algorithm:
    """Build an algorithm whose every draw follows from (seed, name).

    Args:
        name: of an algorithm.
        space: where architectures come from.
        fidelities: at which the objective can evaluate.
        seed: of all draws, together with the name.
        settings: keyword arguments of the constructor; others take their defaults.
        single_fidelity: whether an algorithm of several fidelities may run on one.
        target: dotted path of the class, where the name alone does not find it.

    Returns:
        The algorithm, before its first `ask`.

    Raises:
        SearchError: unknown names and settings, and an algorithm that needs several fidelities where the objective has
            one, unless `single_fidelity` asks for it: then every trial is a full evaluation.
    """
    cls = algorithm_class(target or name)
    settings = known_settings(name, settings, target)
    if cls.needs_fidelities and fidelities.is_single and not single_fidelity:
        raise SearchError(
            f"{name} needs several fidelities and this objective has one ({fidelities.full} {fidelities.unit}): "
            "choose another objective, or set single_fidelity=true to run it on full evaluations alone"
        )
    if single_fidelity:
        fidelities = fidelities.only_full()
    # A stream per algorithm: two algorithms with one seed must not walk through the same draws.
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    algorithm = cls(space, rng, fidelities, **settings)
    if cls.needs_fidelities and fidelities.is_single:
        algorithm.notes.append(f"single fidelity: every evaluation at {fidelities.full} {fidelities.unit}")
    return algorithm


def decode(space: Space, genome: np.ndarray) -> Any | None:
    """The architecture of a proposed genome, the nearest one in a space of listed architectures, None where invalid.

    Args:
        space: where architectures come from.
        genome: int64 [genes].

    Returns:
        An architecture, or None.
    """
    nearest = getattr(space, "nearest", None)
    if nearest is not None:
        return nearest(genome)
    try:
        return space.decode(genome)
    except ArchitectureError:
        return None
