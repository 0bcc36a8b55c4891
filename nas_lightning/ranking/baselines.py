"""Rankings that a super-net has to beat: some that cost nothing rank as well as some super-nets do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Baseline:
    """Scores of one baseline beside the super-net's.

    Args:
        name: of its predictor.
        scores: float64 [n], higher is better, or [draws, n] where it was fitted on so many random draws; NaN where it
            must not score, since it was fitted on that architecture.
        note: what it cost.
    """

    name: str
    scores: np.ndarray
    note: str

    @property
    def draws(self) -> np.ndarray:
        """The scores of every draw, float64 [draws, n]."""
        return np.atleast_2d(self.scores)
