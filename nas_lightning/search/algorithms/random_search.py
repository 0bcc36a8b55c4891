"""Random search: the baseline that a search has to beat.

Bergstra, Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012); as the baseline of architecture
search: Li, Talwalkar, "Random Search and Reproducibility for NAS", arXiv 1902.07638, section 3; Yu et al.,
"Evaluating the Search Phase of NAS", arXiv 1902.08142.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, Trial
from nas_lightning.spaces.base import Space


class RandomSearch(Algorithm):
    """Independent draws, each evaluated in full.

    unique: draw isomorphism classes instead of raw encodings, with equal probability.
    """

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities, *, unique: bool = False):
        super().__init__(space, rng, fidelities)
        self._draw = space.sample_unique if unique else space.sample

    def ask(self) -> Trial:
        return Trial(self._draw(self.rng), self.fidelities.full)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        """The next draw does not depend on it."""
