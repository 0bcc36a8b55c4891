"""Architectures that a search looks at before its algorithm proposes any: derived ones, last year's best, a guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.objective import Objective
from nas_lightning.search.trial import Measurement, SearchError, Trial
from nas_lightning.search.weak_labels import WeakLabels


class WithCandidates(Algorithm):
    """An algorithm behind a list of given architectures.

    They are evaluated first and in full, they count in budget and result like any other, and the algorithm begins when
    all of them are known; it learns of them where `Algorithm.learn` says how.
    """

    def __init__(self, inner: Algorithm, candidates: Sequence[Any]) -> None:
        """Args:
        inner: What proposes all further architectures.
        candidates: Of the same space, in the order of their evaluation.
        """
        super().__init__(inner.space, inner.rng, inner.fidelities)
        self.inner, self.notes, self.measures = inner, inner.notes, inner.measures
        self._queue = [Trial(arch, self.fidelities.full) for arch in reversed(candidates)]
        self._given: list[Trial] = []
        """Asked and not told yet."""

    def ask(self) -> Trial | None:
        if self._queue:
            self._given.append(self._queue.pop())
            return self._given[-1]
        return None if self._given else self.inner.ask()

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        place = next((i for i, given in enumerate(self._given) if given is trial), None)
        if place is None:
            self.inner.tell(trial, measurement)
        else:
            del self._given[place]
            self.inner.learn(trial, measurement)

    def fit_budget(self, budget: Budget) -> None:
        """What the candidates leave of a budget of evaluations is the algorithm's."""
        if budget.unit == "evaluations":
            if len(self._queue) >= budget.amount:
                raise SearchError(
                    f"{len(self._queue)} candidates leave nothing of a budget of {budget.amount:g} evaluations: raise "
                    "budget.amount, or give fewer"
                )
            budget = Budget(budget.unit, budget.amount - len(self._queue))
        self.inner.fit_budget(budget)

    def name_values(self, names: Sequence[str]) -> None:
        """The algorithm's own."""
        self.inner.name_values(names)

    def wanted_weak_labels(self) -> list[Any]:
        """The algorithm's own."""
        return self.inner.wanted_weak_labels()

    def take_weak_labels(self, labels: WeakLabels) -> None:
        """The algorithm's own."""
        self.inner.take_weak_labels(labels)


def behind_candidates(algorithm: Algorithm, objective: Objective, texts: Sequence[str]) -> Algorithm:
    """The algorithm, behind the candidates where there are any.

    Args:
        algorithm: What proposes all further architectures.
        objective: Has to know the candidates, where it looks its values up.
        texts: Strings of architectures of the objective's space.

    Raises:
        SearchError: a table that lacks one.
    """
    if not texts:
        return algorithm
    candidates = [objective.space.parse(text) for text in texts]
    if objective.is_lookup:
        for text, arch in zip(texts, candidates, strict=True):
            try:
                objective.truth([arch])
            except (LookupError, ValueError) as error:
                raise SearchError(f"candidate {text} has no value here: {error}") from None
    return WithCandidates(algorithm, candidates)
