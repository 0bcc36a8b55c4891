"""The cells of NAS-Bench-101 as values: their string form, and the widths of their vertices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nas_lightning.errors import UserError
from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.errors import ArchitectureError
from nas_lightning.spaces.reading import whole

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
_LABELS = {name: i for i, name in enumerate(OPERATIONS)}
_SIDES = {n * n: n for n in range(2, 8)}
_UPPER = tuple((x, y) for y in range(7) for x in range(y))  # edge of every bit of adj_bits


@dataclass(frozen=True, slots=True, order=True)
class NB101Architecture:
    """One cell, pruned or raw: bit ``x + y (y - 1) / 2`` of adj_bits is the edge x->y; interior operations only.

    Raises ArchitectureError unless input and output are connected by at most 9 edges after pruning.
    """

    n_vertices: int
    adj_bits: int
    operations: tuple[int, ...]

    def __post_init__(self) -> None:
        n, bits = self.n_vertices, self.adj_bits
        if type(n) is not int or not 2 <= n <= 7:
            raise ArchitectureError(f"a NAS-Bench-101 cell has 2 to 7 vertices, not {n!r}")
        if type(bits) is not int or not 0 <= bits < 1 << (n * (n - 1) // 2):
            raise ArchitectureError(
                f"adj_bits {bits!r} is no edge set of {n} vertices; use an integer from 0 to "
                f"{(1 << (n * (n - 1) // 2)) - 1}"
            )
        if type(self.operations) is not tuple or len(self.operations) != n - 2:
            raise ArchitectureError(
                f"a cell of {n} vertices needs a tuple of {n - 2} interior operations, not {self.operations!r}"
            )
        for op in self.operations:
            if type(op) is not int or not 0 <= op < 3:
                raise ArchitectureError(
                    f"{op!r} is no operation index of NAS-Bench-101; use integers from 0 to 2 ({', '.join(OPERATIONS)})"
                )
        pruned = graph.prune(n, bits)
        if pruned is None:
            raise ArchitectureError(
                "the output of the NAS-Bench-101 cell is not reachable from its input; add an edge that connects them"
            )
        if pruned[1].bit_count() > graph.MAX_EDGES:
            raise ArchitectureError(
                f"the NAS-Bench-101 cell has {pruned[1].bit_count()} edges after pruning; "
                f"at most {graph.MAX_EDGES} are allowed"
            )

    @classmethod
    def from_matrix(
        cls,
        matrix: Sequence[Sequence[int]] | np.ndarray,
        operations: Sequence[str | int],
    ) -> NB101Architecture:
        """From an upper-triangular 0/1 matrix [n, n] and n (with "input", "output") or n - 2 operations.

        Args:
            matrix: adjacency, [n, n]; entry (i, j) is an edge from i to j.
            operations: names or numbers, input and output first and last or left out.

        Returns:
            A cell, not pruned.

        Raises:
            ArchitectureError: the matrix is not square, not upper-triangular or not of zeros and ones, or an operation
                is unknown.
        """
        rows = [[whole(entry, "an entry of the adjacency matrix") for entry in row] for row in matrix]
        n = len(rows)
        if any(len(row) != n for row in rows):
            raise ArchitectureError("the adjacency matrix of a NAS-Bench-101 cell must be square")
        if any(entry not in (0, 1) for row in rows for entry in row):
            raise ArchitectureError("the adjacency matrix of a NAS-Bench-101 cell holds zeros and ones only")
        if any(rows[x][y] for x in range(n) for y in range(x + 1)):
            raise ArchitectureError(
                "the adjacency matrix of a NAS-Bench-101 cell must be strictly upper-triangular: "
                "edges go from lower to higher vertices"
            )
        bits = sum(1 << (x + y * (y - 1) // 2) for y in range(n) for x in range(y) if rows[x][y])
        labels = list(operations)
        if len(labels) == n and n >= 2 and labels[0] == "input" and labels[-1] == "output":
            labels = labels[1:-1]
        for label in labels:
            if isinstance(label, str) and label not in OPERATIONS:
                raise ArchitectureError(
                    f"{label!r} is no operation of NAS-Bench-101; the operations are "
                    f"{', '.join(OPERATIONS)} (with input first and output last)"
                )
        return cls(
            n, bits, tuple(OPERATIONS.index(v) if isinstance(v, str) else whole(v, "an operation") for v in labels)
        )

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Edges (source, target), by target, then source."""
        return tuple(edge for bit, edge in enumerate(_UPPER) if self.adj_bits >> bit & 1)

    @property
    def matrix(self) -> np.ndarray:
        """Adjacency, uint8 [n_vertices, n_vertices], [source, target]."""
        out = np.zeros((self.n_vertices, self.n_vertices), np.uint8)
        for x, y in self.edges:
            out[x, y] = 1
        return out

    def pruned(self) -> NB101Architecture:
        """Without the vertices that lie on no path from input to output.

        Returns:
            A cell of as many vertices or fewer.
        """
        n, bits, kept = graph.prune(self.n_vertices, self.adj_bits)  # type: ignore[misc]
        if n == self.n_vertices:
            return self
        return NB101Architecture(n, bits, tuple(self.operations[v - 1] for v in kept[1:-1]))

    def __str__(self) -> str:
        n, bits = self.n_vertices, self.adj_bits
        flat = "".join("1" if x < y and bits >> (x + y * (y - 1) // 2) & 1 else "0" for x in range(n) for y in range(n))
        return f"{flat}:{','.join(['input', *(OPERATIONS[op] for op in self.operations), 'output'])}"


@lru_cache(maxsize=8)
def _row_bits(n: int) -> list[dict[str, int]]:
    """For every row of a flattened upper-triangular matrix, its adj_bits by its text."""
    return [
        {
            f"{row:0{n}b}": sum(1 << (x + y * (y - 1) // 2) for y in range(n) if row >> (n - 1 - y) & 1)
            for row in range(1 << (n - 1 - x))
        }
        for x in range(n)
    ]


def well_formed(text: str) -> NB101Architecture:
    """Read the string form in a few microseconds.

    Args:
        text: as `NB101Architecture.__str__` writes it.

    Returns:
        The cell.

    Raises:
        KeyError: anything unusual.
    """
    flat, _, labels = text.partition(":")
    n = _SIDES[len(flat)]
    bits = 0
    for x, row in enumerate(_row_bits(n)):
        bits |= row[flat[x * n : x * n + n]]
    first, *interior, last = labels.split(",") if "," in labels else ("", "")
    if first != "input" or last != "output":
        raise KeyError(labels)
    return NB101Architecture(n, bits, tuple([_LABELS[label] for label in interior]))


def vertex_widths(arch: NB101Architecture, out_channels: int) -> tuple[int, ...]:
    """Channels of the interior vertices of a pruned cell with `out_channels` output channels.

    The vertices wired to the output share its channels evenly, the first ones take the remainder one each; any other
    vertex is as wide as its widest reader (NAS-Bench-101, `compute_vertex_channels`).

    Args:
        arch: an architecture.
        out_channels: of the cell.

    Returns:
        One width a vertex between input and output.

    Raises:
        ArchitectureError: the cell is not pruned.
        UserError: the output has fewer channels than vertices wired to it.
    """
    n = arch.n_vertices
    before = graph.predecessors(n, arch.adj_bits)
    wired = [v for v in range(1, n - 1) if before[n - 1] >> v & 1]
    if len(wired) > out_channels:
        raise UserError(f"{len(wired)} vertices share {out_channels} output channels; use at least {len(wired)}")
    widths = [0] * n
    for place, v in enumerate(wired):
        widths[v] = out_channels // len(wired) + (place < out_channels % len(wired))
    for v in range(n - 2, 0, -1):
        if not widths[v]:
            widths[v] = max((widths[y] for y in range(v + 1, n - 1) if before[y] >> v & 1), default=0)
            if not widths[v]:
                raise ArchitectureError(f"vertex {v} leads nowhere; prune the cell before asking for its widths")
    return tuple(widths[1:-1])
