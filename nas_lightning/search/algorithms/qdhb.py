"""qdHB: Hyperband that promotes the champions of niches.

Schneider, Pfisterer, Kent, Branke, Bischl, Thomas, "Tackling Neural Architecture Search With Quality Diversity
Optimization", AutoML-Conf 2022, arXiv 2208.00204, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.search.algorithms.hyperband import Hyperband
from nas_lightning.search.bracket import Entry
from nas_lightning.search.joint_improvement import niche_bounds
from nas_lightning.search.trial import Fidelities, Measurement, Trial
from nas_lightning.spaces.base import Space


class QDHB(Hyperband):
    """For every place in the next rung a niche is drawn, and its best that is not promoted yet goes on; where the niche
    has none left, anyone of the rung does.

    eta: the factor between rungs.
    minimise: the resource that the niches bound, one measure.
    bounds: upper bounds of the niches, numbers; everything is always a niche, too.
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
    ):
        super().__init__(space, rng, fidelities, eta=eta)
        self.bounds, self.measures = niche_bounds("qdhb", minimise, bounds), tuple(minimise)
        self._resource: dict[Any, float] = {}

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._resource[trial.architecture] = measurement.measures[self.measures[0]]
        super().tell(trial, measurement)

    def promote(self, entries: Sequence[Entry], places: int) -> list[Any]:
        left, chosen = list(entries), []
        for _ in range(places):
            bound = self.bounds[self.rng.integers(len(self.bounds))]
            inside = [i for i, entry in enumerate(left) if self._resource[entry.architecture] < bound]
            chosen.append(left.pop(inside[0] if inside else int(self.rng.integers(len(left)))).architecture)
        return chosen
