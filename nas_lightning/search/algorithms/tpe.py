"""TPE, the tree-structured Parzen estimator, by Optuna.

Bergstra, Bardenet, Bengio, Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; Optuna's `TPESampler`
(Akiba et al., KDD 2019), multivariate as in Falkner et al., ICML 2018, where asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm, decode
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class TPE(Algorithm):
    """One parameter a gene: an integer where the space says that the gene counts an ordered scale, else a category.

    startup: random trials before the first model.
    candidates: draws of which the best expected improvement is taken.
    multivariate: one joint density instead of one a gene.

    A genome that is no architecture is told as the worst value so far, and asked for again, `tries` times at most.
    """

    tries = 100

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        startup: int = 10,
        candidates: int = 24,
        multivariate: bool = False,
    ):
        super().__init__(space, rng, fidelities)
        try:
            import optuna
        except ImportError:
            raise SearchError('tpe needs Optuna: install nas-lightning with "[sweeps]"') from None
        if startup < 1 or candidates < 1:
            raise SearchError("tpe needs startup >= 1 and candidates >= 1")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        ordered = getattr(space, "ordered_genes", (False,) * len(space.cardinalities))
        self._distributions: dict[str, Any] = {
            f"gene{i}": optuna.distributions.IntDistribution(0, n - 1)
            if is_ordered
            else optuna.distributions.CategoricalDistribution(list(range(n)))
            for i, (n, is_ordered) in enumerate(zip(space.cardinalities, ordered, strict=True))
        }
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            multivariate=multivariate,
            seed=int(rng.integers(2**31)),
        )
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._worst = 0.0

    def ask(self) -> Trial:
        for _ in range(self.tries):
            asked = self._study.ask(self._distributions)
            architecture = decode(self.space, np.array([asked.params[name] for name in self._distributions]))
            if architecture is not None:
                return Trial(architecture, self.fidelities.full, 0, (asked.number,))
            self._study.tell(asked.number, self._worst)
        raise SearchError(f"tpe has proposed no valid {self.space.name} architecture in {self.tries} tries")

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        value = measurement.value if np.isfinite(measurement.value) else self._worst
        self._worst = min(self._worst, value)
        self._study.tell(trial.tag[0], value)
