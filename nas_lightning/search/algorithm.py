"""The ask/tell interface of all search algorithms, and the registry of their names."""

from __future__ import annotations

import inspect
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from nas_lightning.search.budget import Budget
from nas_lightning.search.trial import Evaluation, Fidelities, SearchError, Trial
from nas_lightning.spaces.base import ArchitectureError, Space

ALGORITHMS: dict[str, str] = {
    "random_search": "RandomSearch",
    "random_search_ws": "RandomSearchWeightSharing",
    "successive_halving": "SuccessiveHalving",
    "hyperband": "Hyperband",
    "asha": "ASHA",
    "bohb": "BOHB",
    "regularized_evolution": "RegularizedEvolution",
    "local_search": "LocalSearch",
    "reinforce": "Reinforce",
    "nsga2": "NSGA2",
}


class Algorithm(ABC):
    """Proposes architectures (`ask`) and learns from their evaluations (`tell`).

    The state of an algorithm is a function of its settings, its seed and the sequence of its successful `ask` and its
    `tell` calls. That is what makes a search resumable: the journal replays that sequence. Hence `ask` leaves the
    state as it was (random generator included) when it returns None, which means: nothing to propose before another
    pending trial is told; with no trial pending it means that the search is finished.
    Settings are the keyword-only arguments of the constructor.
    """

    needs_fidelities: ClassVar[bool] = False
    measures: tuple[str, ...] = ()  # what must be measured beside the value

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities):
        self.space, self.rng, self.fidelities = space, rng, fidelities
        self.notes: list[str] = []  # what a reader of the result has to know

    @abstractmethod
    def ask(self) -> Trial | None:
        """The next trial; None where a pending one has to be told first, or the search is finished."""

    @abstractmethod
    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        """Learn the outcome of a trial that was asked before."""

    def fit_budget(self, budget: Budget) -> None:  # noqa: B027 (most algorithms plan nothing ahead)
        """Called once before the first `ask`: an algorithm whose plan does not fit the budget cuts it and notes so."""


def algorithm_class(name: str) -> type[Algorithm]:
    """Raises SearchError for an unknown name."""
    if name not in ALGORITHMS:
        raise SearchError(f"unknown algorithm {name!r}: choose one of {', '.join(ALGORITHMS)}")
    return getattr(import_module(f"nas_lightning.search.algorithms.{name}"), ALGORITHMS[name])


def settings_of(name: str) -> dict[str, inspect.Parameter]:
    """The settings of an algorithm by name, with their types and default values."""
    parameters = inspect.signature(algorithm_class(name).__init__, eval_str=True).parameters
    return {key: p for key, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def make_algorithm(
    name: str,
    space: Space,
    fidelities: Fidelities,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    single_fidelity: bool = False,
) -> Algorithm:
    """Build an algorithm whose every draw follows from (seed, name).

    Raises SearchError for unknown names and settings, and for an algorithm that needs several fidelities where the
    objective has one, unless `single_fidelity` asks for it: then every trial is a full evaluation.
    """
    cls = algorithm_class(name)
    settings = dict(settings or {})
    known = settings_of(name)
    if unknown := sorted(set(settings) - set(known)):
        names = ", ".join(known) or "none, it has no settings"
        raise SearchError(f"{name} has no setting {unknown[0]!r}: choose from {names}")
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
    """The architecture of a proposed genome, the nearest one in a space of listed architectures, None where invalid."""
    nearest = getattr(space, "nearest", None)
    if nearest is not None:
        return nearest(genome)
    try:
        return space.decode(genome)
    except ArchitectureError:
        return None
