"""A search algorithm of your own: this file, a file of three lines, and no edit anywhere else.

`own/algorithm/hill_climber.yaml`, in any folder of yours:

    _target_: own_algorithm.HillClimber
    name: hill_climber
    patience: 20

    PYTHONPATH=examples python search.py --config-dir own algorithm=hill_climber algorithm.patience=5 seed=3

It is resumed, swept, summarised and reported as the packaged algorithms are.
"""

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Measurement, Trial


class HillClimber(Algorithm):
    """Mutate the best so far; after so many failures in a row start anew.

    patience: mutations without an improvement after which a climb ends.
    """

    def __init__(self, space, rng, fidelities, *, patience: int = 20):
        super().__init__(space, rng, fidelities)
        self.patience, self.failures, self.best = patience, 0, None

    def ask(self) -> Trial:
        start = self.best is None or self.failures >= self.patience
        architecture = self.space.sample(self.rng) if start else self.space.mutate(self.best[1], self.rng)
        return Trial(architecture, self.fidelities.full, tag=(int(start),))

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        if trial.tag == (1,) or self.best is None or measurement.value > self.best[0]:
            self.best, self.failures = (measurement.value, trial.architecture), 0
        else:
            self.failures += 1
