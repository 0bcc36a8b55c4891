"""What every search space offers: architectures as immutable values, the algebra over them, and all facts about them.

Nothing here knows of torch: spaces are integers, strings and graphs, so that tables and searches open in milliseconds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from nas_lightning.plan import PlanError
from nas_lightning.spaces.costs import CellWork as CellWork
from nas_lightning.spaces.costs import Costs
from nas_lightning.spaces.encoding import Columns, Encoding, KeyEncoding
from nas_lightning.spaces.errors import ArchitectureError as ArchitectureError
from nas_lightning.spaces.genome import Genomes

A = TypeVar("A", bound=Hashable)


class Space(Genomes[A], Costs[A]):
    """A search space: the set of its architectures, and what can be done with them.

    An architecture is an immutable, hashable, picklable value; ``str(arch)`` is the field's own string form and
    ``space.parse`` reads it back. Two architectures are *isomorphic* when they compute the same function up to a
    renaming of vertices (and, where the benchmark's definition says so, after removal of parts that cannot matter).

    A *genome* is the raw categorical encoding: one integer per gene, gene ``i`` in ``range(cardinalities[i])``. What it
    is good for, and how architectures grow, lies in `nas_lightning.spaces.genome`; what heuristics ask of the space's
    network in `nas_lightning.spaces.capabilities`; parameters and multiply-accumulates in `nas_lightning.spaces.costs`.

    A space of one's own derives from `CategoricalSpace` (`nas_lightning.spaces.categorical`) where every genome is an
    architecture, which leaves little to write, and is found by its dotted path (`get_space`).
    """

    operations: ClassVar[tuple[str, ...]]
    size: ClassVar[int]  # number of raw encodings that `sample` draws from
    unique_size: ClassVar[int | None]  # number of isomorphism classes; None where nobody has counted them
    top_k: ClassVar[int] = 10
    """How many of the best-scored architectures a ranking looks at, where nobody says otherwise."""
    table_neighbourhood: ClassVar[str | None] = None
    """``module:function`` that makes the neighbour graph of a whole table faster than `neighbours` one by one."""

    @abstractmethod
    def parse(self, text: Any) -> A:
        """Read the field's string form, and what else is common: other tools' spellings, their lists and dictionaries,
        as text or as Python values alike. Whole numbers only.

        Args:
            text: a string, or the values that other tools use.

        Returns:
            An architecture, canonical or not.

        Raises:
            ArchitectureError: it names what is wrong.
        """

    def is_key(self, text: str) -> bool:
        """Whether this is an identity (`key`) rather than an encoding, which a table at hand can look up.

        Args:
            text: what a table or list names an architecture by.

        Returns:
            Whether only a table can read it.
        """
        return False

    def format(self, arch: A) -> str:
        """The field's string form, equal to ``str(arch)``.

        Args:
            arch: an architecture.

        Returns:
            A string that `parse` reads.
        """
        return str(arch)

    @abstractmethod
    def canonical(self, arch: A) -> A:
        """The one representative of the isomorphism class of `arch`.

        Args:
            arch: an architecture.

        Returns:
            Equal for isomorphic architectures.
        """

    @abstractmethod
    def key(self, arch: A) -> str:
        """Identity of the isomorphism class: equal for two architectures exactly when they are isomorphic.

        Args:
            arch: an architecture.

        Returns:
            A string without line breaks.
        """

    @abstractmethod
    def members(self, arch: A) -> list[A]:
        """All encodings isomorphic to `arch` that are as small as its canonical form, in a fixed order.

        Args:
            arch: an architecture.

        Returns:
            At least one architecture.
        """

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> A:
        """Uniform over raw encodings.

        Args:
            rng: the generator of all draws.

        Returns:
            An architecture; one of a large class is more likely.
        """

    @abstractmethod
    def sample_unique(self, rng: np.random.Generator) -> A:
        """Uniform over isomorphism classes; returns the canonical representative.

        Args:
            rng: the generator of all draws.

        Returns:
            A canonical architecture; all classes are equally likely.
        """

    @abstractmethod
    def neighbours(self, arch: A) -> list[A]:
        """All distinct valid architectures one elementary change away, in a fixed order, without `arch` itself.

        Args:
            arch: an architecture.

        Returns:
            Raw or canonical ones, as the space says.
        """

    @abstractmethod
    def mutate(self, arch: A, rng: np.random.Generator) -> A:
        """One random elementary change, uniform over changes; never returns `arch` itself.

        Args:
            arch: an architecture.
            rng: the generator of all draws.

        Returns:
            A neighbour.
        """

    @abstractmethod
    def operation_counts(self, arch: A) -> np.ndarray:
        """How often each of `operations` occurs, int64 [len(operations)] (DARTS: normal, then reduction cell).

        Args:
            arch: an architecture.

        Returns:
            Whole numbers.
        """

    @abstractmethod
    def depth(self, arch: A) -> int:
        """Number of parametrised operations on the longest input-output path of a cell (DARTS: normal cell).

        Args:
            arch: an architecture.

        Returns:
            0 or more.
        """

    zero_operation: ClassVar[str | None] = None
    """The operation that passes nothing on, where the space has one: a path through it does not exist."""
    identity_operation: ClassVar[str | None] = None
    """The operation that passes its input on, where the space has one: a path without it computes the same."""

    def paths(self, arch: A) -> list[tuple[str, ...]]:
        """The operations along every path from an input of a cell to its output, a path as often as it occurs.

        Zero and identity operations are named like all others; a first word may say which cell and input it starts at.

        Args:
            arch: an architecture.

        Returns:
            Names of operations, input first.

        Raises:
            NotImplementedError: the space does not say.
        """
        raise NotImplementedError(f"{self.name} names no paths of its cells; choose another encoding than paths")

    def operation_graph(self, arch: A) -> tuple[np.ndarray, np.ndarray]:
        """The cell as a graph with operations on its vertices, input first, output last.

        Args:
            arch: an architecture.

        Returns:
            Adjacency, uint8 [v, v] (source, target), v the same for all cells of the space, and the operation of every
            interior vertex, int64 [v - 2], -1 for a vertex that is not there.

        Raises:
            NotImplementedError: the space does not say.
        """
        raise NotImplementedError(f"{self.name} has no graph with operations on vertices; choose another encoding")

    def enumerate(self) -> Iterator[A]:
        """All canonical representatives in the benchmark's own order.

        Returns:
            One architecture of every class.

        Raises:
            NotImplementedError: there are too many.
        """
        raise NotImplementedError(f"{self.name} is too large to enumerate; draw from it with sample or sample_unique")

    def permuted(self, arch: A, rng: np.random.Generator) -> tuple[A, ...]:
        """FairNAS: in every slot of the topology of `arch` each operation once, over as many architectures.

        Args:
            arch: an architecture.
            rng: the generator of all draws.

        Returns:
            As many architectures as there are operations.

        Raises:
            PlanError: the space does not say.
        """
        raise PlanError(
            f"sampling=fairnas does not apply to space={self.name}, which says no permutations of its operations; "
            "choose random_nas"
        )

    # -- how a table stores the architectures

    def reads_tables_of(self, name: str) -> bool:
        """Whether tables of the space `name` hold this one's architectures: its own tables, and those of a space that
        it derives from without other architectures.

        Args:
            name: of a space.

        Returns:
            True for its own name.
        """
        kinds = (kind for kind in type(self).__mro__ if getattr(kind, "name", None) == name)
        return any(getattr(kind, "architecture_type", None) is self.architecture_type for kind in kinds)

    def table_columns(self, archs: Sequence[A]) -> dict[str, Any]:
        """The columns of a table that hold n architectures: arrays or lists of length n.

        Args:
            archs: n architectures.

        Returns:
            Values of n rows by the column's name.
        """
        return {"architecture": [str(arch) for arch in archs], "key": [self.key(arch) for arch in archs]}

    def open_encoding(self, columns: Columns) -> Encoding:
        """How rows and architectures of a table with these columns are matched.

        Args:
            columns: of an opened table.

        Returns:
            Look-up in both directions.
        """
        return KeyEncoding(self, columns)

    # -- what a report says about them

    def structure_groups(self, arch: A) -> dict[str, str]:
        """Property -> group of `arch`, beyond operations and depth, for the figure of mis-ranked architectures.

        Args:
            arch: an architecture.

        Returns:
            Names by property; empty where the space has none.
        """
        return {}

    def operation_columns(self) -> list[str]:
        """A name per entry of `operation_counts`.

        Returns:
            Names of as many columns.
        """
        return list(self.operations)
