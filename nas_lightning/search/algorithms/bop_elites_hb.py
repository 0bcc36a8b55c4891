"""BOP-ElitesHB: Hyperband whose first rungs are proposed by BOP-Elites, and which promotes niche by niche.

Schneider, Pfisterer, Kent, Branke, Bischl, Thomas, "Tackling Neural Architecture Search With Quality Diversity
Optimization", AutoML-Conf 2022, arXiv 2208.00204, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.search.algorithms.hyperband import Hyperband
from nas_lightning.search.bracket import Entry
from nas_lightning.search.joint_improvement import Elites, niche_bounds
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class BOPElitesHB(Hyperband):
    """A bracket starts with the most promising mutants of the champions, by the highest fidelity that has told enough.
    Of a rung the best ``places // niches`` of every niche go on, then the best of all until the places are filled.

    eta: the factor between rungs.
    minimise: the resource that the niches bound, one measure.
    bounds: upper bounds of the niches, numbers; everything is always a niche, too.
    startup: trials that a fidelity has told before it is modelled; until then draws are random.
    candidates: mutants that are compared.
    trees: of each forest.
    empty: the value of a niche without champion.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        eta: int = 3,
        minimise: Sequence[str] = ("params",),
        bounds: Sequence[str] = (),
        startup: int = 10,
        candidates: int = 100,
        trees: int = 30,
        empty: float = 0.0,
    ):
        super().__init__(space, rng, fidelities, eta=eta)
        if min(startup, candidates, trees) < 1:
            raise SearchError("bop_elites_hb needs startup, candidates and trees >= 1")
        self.bounds, self.measures = niche_bounds("bop_elites_hb", minimise, bounds), tuple(minimise)
        self.startup, self.candidates, self.trees, self.empty = startup, candidates, trees, empty
        self._known: dict[int, Elites] = {}  # by fidelity
        self._seen: set[Any] = set()
        self._resource: dict[Any, float] = {}

    def draw(self) -> Any:
        levels = [level for level, known in self._known.items() if len(known) >= self.startup]
        if not levels:
            return self.space.sample(self.rng)
        return self._known[max(levels)].propose(self.candidates, self._seen, self.rng)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        resource = measurement.measures[self.measures[0]]
        self._seen.add(trial.architecture)
        self._resource[trial.architecture] = resource
        if np.isfinite(measurement.value):
            known = self._known.setdefault(trial.fidelity, Elites(self.space, self.bounds, self.trees, self.empty))
            known.add(trial.architecture, measurement.value, resource)
        super().tell(trial, measurement)

    def promote(self, entries: Sequence[Entry], places: int) -> list[Any]:
        left, chosen = list(entries), []
        for bound in self.bounds:
            inside = [entry for entry in left if self._resource[entry.architecture] < bound]
            for entry in inside[: places // len(self.bounds)]:
                left.remove(entry)
                chosen.append(entry.architecture)
        return chosen + [entry.architecture for entry in left[: places - len(chosen)]]
