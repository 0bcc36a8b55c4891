"""A search that maximises any Python function of an architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Record, Search
from nas_lightning.search.objective import Objective
from nas_lightning.search.outcome import incumbents
from nas_lightning.search.trial import Fidelities, Measurement, Trial
from nas_lightning.spaces import Space, get_space


class FunctionObjective(Objective):
    """Calls `function` once an evaluation, which costs 1; higher is better, NaN and −inf are failures.

    The function is asked again for an architecture that the algorithm proposes again.
    """

    name = "function"
    cost_unit = "evaluations"

    def __init__(self, function: Callable[[Any], float], space: Space[Any]) -> None:
        self.function, self.space = function, space
        self.fidelities = Fidelities("evaluations", (1,))

    def evaluate(self, trials: Sequence[Trial]) -> list[Measurement]:
        return [Measurement(float(self.function(trial.architecture)), 1.0) for trial in trials]

    def identity(self) -> dict[str, Any]:
        return {"function": f"{self.function.__module__}.{getattr(self.function, '__qualname__', self.function)}"}


@dataclass(frozen=True)
class Maximum:
    """The best that a search has found, and all that it has tried.

    Args:
        architecture: the best one, of equal ones the first.
        value: what the function says of it.
        records: every evaluation in its order; ``record.trial.architecture``, ``record.measurement.value``.
    """

    architecture: Any
    value: float
    records: list[Record]

    @property
    def curve(self) -> list[float]:
        """The best value so far, after every evaluation."""
        return [self.records[i].measurement.value for i in incumbents(self.records)]


def maximise(
    function: Callable[[Any], float],
    space: str | Space[Any],
    algorithm: str = "regularized_evolution",
    evaluations: int = 100,
    seed: int = 0,
    **settings: Any,
) -> Maximum:
    """Search for the architecture of which `function` is largest.

    Args:
        function: takes an architecture of the space, gives a number; higher is better.
        space: its name, dotted path, or the space itself.
        algorithm: a name (docs/SEARCH.md) or the dotted path of one's own. Those that need several fidelities evaluate
            in full here and are refused.
        evaluations: how often the function is called.
        seed: of every draw: equal seeds and functions give equal searches.
        settings: of the algorithm.

    Returns:
        The best, and every evaluation.

    Raises:
        SearchError: for unknown algorithms and settings.

    Examples:
        >>> from nas_lightning import get_space, maximise
        >>> space = get_space("nasbench201")
        >>> found = maximise(space.parameters, space, "local_search", evaluations=200)
        >>> str(found.architecture).count("nor_conv_3x3"), len(found.records)
        (6, 200)
    """
    found = get_space(space)
    objective = FunctionObjective(function, found)
    target = algorithm if "." in algorithm else None
    asked = make_algorithm(
        algorithm.rsplit(".", 1)[-1], found, objective.fidelities, seed=seed, settings=settings, target=target
    )
    budget = Budget("evaluations", evaluations)
    asked.fit_budget(budget)
    records = Search(asked, objective, budget).run()
    best = records[incumbents(records)[-1]]
    return Maximum(best.trial.architecture, best.measurement.value, records)
