"""Quality diversity: the best architecture of every niche of a resource, and how well a search fills all of them.

Schneider, Pfisterer, Kent, Branke, Bischl, Thomas, "Tackling Neural Architecture Search With Quality Diversity
Optimization", AutoML-Conf 2022, arXiv 2208.00204: niches are nested, [0, bound) of parameters or latency, each has one
champion, and a search is judged by the sum of the champions' errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = {
    "small": (0.5,),
    "medium": (0.01, 0.05, 0.1, 0.3),
    "large": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7),
}
"""The paper's three sets of niches as quantiles of the space (its appendix); the last niche holds everything."""


@dataclass(frozen=True)
class Niches:
    """Nested niches ``resource < bound``, ascending; the last bound is infinite."""

    bounds: tuple[float, ...]

    @classmethod
    def of(cls, resource: np.ndarray, quantiles: Sequence[float]) -> Niches:
        """Niches at quantiles of a whole space's resource, float [n]; NaN is left out."""
        return cls((*np.nanquantile(resource, quantiles).tolist(), float("inf")))

    def champions(self, error: np.ndarray, resource: np.ndarray) -> np.ndarray:
        """Row of the lowest error in every niche (the first of equals), int64 [niches]; -1 for an empty niche."""
        out = np.full(len(self.bounds), -1, np.int64)
        for i, bound in enumerate(self.bounds):
            inside = np.flatnonzero(resource < bound)
            if len(inside):
                out[i] = inside[np.argmin(error[inside])]
        return out

    def errors(self, error: np.ndarray, resource: np.ndarray, empty: float = 100.0) -> np.ndarray:
        """Error of every niche's champion, float64 [niches]; `empty` where there is none."""
        rows = self.champions(error, resource)
        return np.where(rows < 0, empty, np.append(error, empty)[rows])

    def total(self, error: np.ndarray, resource: np.ndarray, empty: float = 100.0) -> float:
        """Sum over niches of the champions' errors: the paper's measure, lower is better."""
        return float(self.errors(error, resource, empty).sum())
