"""What a space says of its continuous relaxation: a weight per edge and operation in place of a choice.

Nothing here knows of torch. A *kind* is a cell with weights of its own (NAS-Bench-201 has one, DARTS a normal and a
reduction cell); its weights are an array [edges, operations].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

Weights = tuple[np.ndarray, ...]
"""One array [edges, operations] a kind."""
Options = list[tuple[float, Any]]
"""(log-weight, what is chosen) of everything that one group may choose."""


class Relaxation(ABC):
    """Edges and operations of a space's cells, and how weights over them become an architecture.

    An architecture is one choice in each of several independent *groups* (an edge of NAS-Bench-201; a node of DARTS
    with its two edges), and the log-weight of an architecture is the sum over its groups.
    """

    kinds: tuple[str, ...]
    """Names of the kinds of cell."""
    edges: tuple[tuple[tuple[int, int], ...], ...]
    """Per kind the (source, target) of every edge."""
    operations: tuple[str, ...]
    choosable: tuple[int, ...]
    """The operations that an architecture may have."""
    inputs_kept: int | None = None
    """How many of the edges into a node an architecture keeps; None for all."""

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(edges, operations) of every kind."""
        return tuple((len(edges), len(self.operations)) for edges in self.edges)

    @abstractmethod
    def one_hot(self, arch: Any) -> Weights:
        """The weights under which the relaxed network computes what `arch` does: ones and zeros, float64.

        Args:
            arch: an architecture.

        Returns:
            One array [edges, operations] a kind of cell.
        """

    @abstractmethod
    def groups(self, logs: Weights) -> list[Options]:
        """What every group may choose, and the sum of the log-weights that this choice takes.

        Args:
            logs: logarithms of the weights, [edges, operations] a kind of cell.

        Returns:
            One list of (choice, sum) a group.
        """

    @abstractmethod
    def assembled(self, choices: Sequence[Any]) -> Any:
        """The architecture of one choice a group, in their order.

        Args:
            choices: one a group.

        Returns:
            The architecture.
        """

    def best(self, weights: Weights, k: int = 1) -> list[Any]:
        """The `k` architectures of largest sum of log-weights, the best first; exact.

        Groups are merged one by one, and of the sums only the `k` largest are kept, since a partial choice that is
        beaten by k others cannot be part of the k best. Equal sums keep the order of the options.

        Args:
            weights: not negative, need not sum to 1.
            k: how many.

        Returns:
            Architectures.
        """
        with np.errstate(divide="ignore"):
            logs = tuple(np.log(np.asarray(w, np.float64)) for w in weights)
        found: list[tuple[float, tuple[Any, ...]]] = [(0.0, ())]
        for options in self.groups(logs):
            top = sorted(options, key=lambda option: -option[0])[:k]
            merged = [(total + score, (*chosen, choice)) for total, chosen in found for score, choice in top]
            found = sorted(merged, key=lambda item: -item[0])[:k]
        return [self.assembled(chosen) for _, chosen in found]

    def derived(self, weights: Weights) -> Any:
        """The one architecture that stands for `weights`: the strongest operations (`best`).

        Args:
            weights: [edges, operations] a kind of cell.

        Returns:
            An architecture.
        """
        return self.best(weights)[0]
