"""The samplers of Optuna, through the library itself.

Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019 (arXiv 1907.10902). Every
gene is a categorical parameter, or an integer where the space says that it counts an ordered scale; a genome that is
no valid architecture is told as failed and another one is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.errors import did_you_mean
from nas_lightning.search.algorithm import Algorithm, decode
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space

SAMPLERS = {"tpe": "TPESampler", "gp": "GPSampler", "nsga2": "NSGAIISampler", "nsga3": "NSGAIIISampler"}


class Optuna(Algorithm):
    """Ask a sampler of Optuna for genomes, tell it what they are worth.

    sampler: tpe (tree-structured Parzen estimator), gp (Gaussian process), nsga2 or nsga3.
    minimise: what counts beside the value (params, macs, …), as far as the objective measures it; for nsga2 and nsga3.
    """

    max_tries = 1000

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        sampler: str = "tpe",
        minimise: Sequence[str] = (),
    ):
        super().__init__(space, rng, fidelities)
        if sampler not in SAMPLERS:
            raise SearchError(
                f"algorithm.sampler={sampler} is unknown: {did_you_mean(sampler, SAMPLERS)}"
                f"choose one of {', '.join(SAMPLERS)}"
            )
        try:
            import optuna
        except ModuleNotFoundError:
            raise SearchError("algorithm=optuna needs Optuna: install nas-lightning[sweeps]") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.measures = tuple(minimise)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some samplers are marked experimental
            made = getattr(optuna.samplers, SAMPLERS[sampler])(seed=int(rng.integers(2**31)))
        directions: list[Any] = ["maximize", *["minimize"] * len(self.measures)]
        self._study = optuna.create_study(directions=directions, sampler=made)
        self._failed = optuna.trial.TrialState.FAIL
        ordered = getattr(space, "ordered_genes", (False,) * len(space.cardinalities))
        self._genes: dict[str, Any] = {
            f"gene{i}": optuna.distributions.IntDistribution(0, choices - 1)
            if is_ordered
            else optuna.distributions.CategoricalDistribution(range(choices))
            for i, (choices, is_ordered) in enumerate(zip(space.cardinalities, ordered, strict=True))
        }
        self._asked: dict[int, Any] = {}

    def name_values(self, names: Sequence[str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # marked experimental
            self._study.set_metric_names(list(names))

    def ask(self) -> Trial:
        for _ in range(self.max_tries):
            trial = self._study.ask(self._genes)
            architecture = decode(self.space, np.array([trial.params[gene] for gene in self._genes], np.int64))
            if architecture is not None:
                self._asked[trial.number] = trial
                return Trial(architecture, self.fidelities.full, 0, (trial.number,))
            self._study.tell(trial, state=self._failed)
        raise SearchError(f"optuna has drawn no valid {self.space.name} architecture in {self.max_tries} draws")

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        asked = self._asked.pop(trial.tag[0])
        if not np.isfinite(measurement.value):
            self._study.tell(asked, state=self._failed)
            return
        self._study.tell(asked, [measurement.value, *(measurement.measures[name] for name in self.measures)])
