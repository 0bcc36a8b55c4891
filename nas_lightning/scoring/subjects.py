"""What is ranked: architectures, and what is known of them without any super-net."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.errors import UserError
from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.spaces import Space, get_space


@dataclass(frozen=True)
class Subjects:
    """An evaluated set with its stand-alone truth.

    Args:
        space: the search space.
        set_name: as ``evaluation.architectures`` names it.
        architectures: those of the set that the super-net holds.
        table: stand-alone truth; None without a table.
    """

    space: Space[Any]
    set_name: str
    architectures: list[Any]
    table: Benchmark | None

    @classmethod
    def of(cls, space: str, mapping: PlanMapping, set_name: str, table: Benchmark | None) -> Subjects:
        """The architectures of a set that a super-net of this mapping holds.

        Args:
            space: its name, or the dotted path of one's own.
            mapping: of the super-net; what it does not hold is left out.
            set_name: as ``evaluation.architectures`` says it.
            table: stand-alone truth; None where there is none.

        Returns:
            The subjects, in the order of the set.

        Raises:
            UserError: the super-net holds none of them.
        """
        domain = get_space(space)
        chosen = architecture_set(set_name, domain, table)
        held = [arch for arch in chosen if domain.admits(arch, mapping)]
        if not held:
            raise UserError(
                f"evaluation.architectures={set_name} leaves no architecture to score that this "
                "plan's super-net holds; choose a larger set"
            )
        return cls(domain, set_name, held, table)

    def __len__(self) -> int:
        return len(self.architectures)

    @cached_property
    def names(self) -> list[str]:
        """The string forms, [n]."""
        return [str(arch) for arch in self.architectures]

    @cached_property
    def sha256(self) -> str:
        """Hash of the string forms in order."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()

    @cached_property
    def truth(self) -> np.ndarray:
        """Stand-alone accuracies, fractions, float64 [n]; NaN where the table lacks one."""
        return np.full(len(self), np.nan) if self.table is None else self.table.accuracies(self.architectures)

    def seed_truth(self) -> np.ndarray | None:
        """Stand-alone accuracies of single seeds [n, seeds], None where the table keeps none.

        Returns:
            float64 [n, seeds], fractions.
        """
        return None if self.table is None else self.table.seed_accuracies(self.architectures)

    def validation_truth(self) -> np.ndarray | None:
        """Stand-alone validation accuracies [n] for the proxy ceiling, None where the table has none.

        Returns:
            float64 [n], fractions.
        """
        if self.table is None or not any(metric == "validation_accuracy" for metric, _ in self.table.metrics):
            return None
        return self.table.accuracies(self.architectures, "validation_accuracy")
