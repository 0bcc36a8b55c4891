"""CountingOnes, the objective that BOHB's paper checks several fidelities with: as many ones as possible.

Falkner, Klein, Hutter, ICML 2018, section 5.1: d/2 binary words and d/2 numbers from 0 to 1 (here in steps of 1/100);
a number counts as the mean of so many Bernoulli draws as the fidelity says, 576/d to 93,312/d. Print mean regrets with

    python -m tests.helpers.counting_ones hyperband bohb --seeds 20
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.objective import Objective
from nas_lightning.search.trial import Fidelities, Measurement
from nas_lightning.spaces.hyperparameters import Configuration, HyperparameterSpace, Parameter

STEPS = 100
BRACKETS = (5, 10, 20, 40)


def space_of(words, numbers):
    """The space of so many binary words and numbers."""
    made = [Parameter(f"word{i}", ("zero", "one")) for i in range(words)]
    made += [Parameter(f"number{i}", tuple(j / STEPS for j in range(STEPS + 1))) for i in range(numbers)]

    @dataclass(frozen=True, slots=True, order=True)
    class Ones(Configuration):
        parameters = tuple(made)

    class OnesSpace(HyperparameterSpace):
        name = "counting_ones"
        architecture_type = Ones

    return OnesSpace()


class CountingOnes(Objective):
    name, cost_unit = "counting_ones", "evaluations"

    def __init__(self, words, numbers, seed):
        self.words, self.d = words, words + numbers
        self.space, self.rng = space_of(words, numbers), np.random.default_rng([seed, 1])
        self.fidelities = Fidelities("draws", tuple(range(576 // self.d, 93312 // self.d + 1)), continuous=True)

    def shares(self, arch):
        """Chance of a one in every place, float64 [d]."""
        codes = np.array(arch.choices, float)
        codes[self.words :] /= STEPS
        return codes

    def evaluate(self, trials):
        drawn = [self.rng.binomial(t.fidelity, self.shares(t.architecture)) / t.fidelity for t in trials]
        return [
            Measurement(float(d.sum()), t.fidelity / self.fidelities.full) for d, t in zip(drawn, trials, strict=True)
        ]

    def identity(self):
        return {}


def regret_after_brackets(name, words, numbers, seed, marks=BRACKETS):
    """Share of ones that the incumbent truly lacks after so many brackets; it is the best at the highest fidelity."""
    objective = CountingOnes(words, numbers, seed)
    algorithm = make_algorithm(name, objective.space, objective.fidelities, seed)
    best, incumbent, regrets = (0, -np.inf), None, []
    while True:
        trial = algorithm.ask()
        while len(regrets) < len(marks) and trial.tag[0] >= marks[len(regrets)]:
            regrets.append(1 - objective.shares(incumbent).mean())
        if len(regrets) == len(marks):
            return regrets
        (measurement,) = objective.evaluate([trial])
        algorithm.tell(trial, measurement)
        if (trial.fidelity, measurement.value) > best:
            best, incumbent = (trial.fidelity, measurement.value), trial.architecture


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("algorithms", nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    for half in (4, 8):
        for name in arguments.algorithms:
            found = np.array([regret_after_brackets(name, half, half, seed) for seed in range(arguments.seeds)])
            print(f"{half} + {half} {name}: " + " / ".join(f"{value:.3f}" for value in found.mean(axis=0)))


if __name__ == "__main__":
    main()
