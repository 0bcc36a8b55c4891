"""One notion of budget: a unit and an amount."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_lightning.errors import did_you_mean
from nas_lightning.search.trial import SearchError

UNITS = ("evaluations", "epochs", "seconds")
LARGEST = 1e12
"""Amount of a budget."""


@dataclass(frozen=True)
class Budget:
    """How much a search may spend.

    - ``evaluations``: a full evaluation costs 1, a partial one its share of the full fidelity;
    - ``epochs``: training epochs of the evaluated architectures;
    - ``seconds``: training time as the objective reports it (simulated on a table, measured in real training).

    A new evaluation starts as long as less than `amount` is spent, so the last one may overrun: nobody knows what
    an evaluation will cost before it has run. Raises SearchError for an unknown unit or an amount that is not positive.
    """

    unit: str
    amount: float

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise SearchError(
                f"unknown budget unit {self.unit!r}: {did_you_mean(self.unit, UNITS)}choose one of {', '.join(UNITS)}"
            )
        if not math.isfinite(self.amount):
            raise SearchError(f"budget.amount={self.amount} would never be spent: give a number")
        if self.amount > LARGEST:
            raise SearchError(f"budget.amount={self.amount:g} is out of range: it is at most {LARGEST:g}")
        if self.amount <= 0:
            raise SearchError(
                f"a budget of {self.amount:g} {self.unit} leaves nothing to search with: set budget.amount above 0"
            )

    def is_spent(self, spent: float) -> bool:
        return spent >= self.amount * (1 - 1e-9)  # sums of shares such as 1/3 must not buy one more evaluation
