"""The DARTS space (Liu et al., arXiv 1806.09055) as NDS and DARTS genotypes name it: a normal and a reduction cell.

A cell has two inputs (0: output of the cell before last, 1: of the last cell) and four nodes (2 to 5), each the sum of
two operations on earlier inputs or nodes; the cell's output is the concatenation of the four nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations
from typing import Any, ClassVar, TypeAlias

import numpy as np

from nas_lightning.spaces.base import ArchitectureError, CellWork, Space
from nas_lightning.spaces.darts_nds_costs import darts_cost
from nas_lightning.spaces.reading import Called, listed, literal, shortened, whole
from nas_lightning.spaces.relaxation import Options, Relaxation, Weights

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
_INDEX = {name: i for i, name in enumerate(OPERATIONS)}
_PAIRS = tuple(tuple(combinations(range(2 + node), 2)) for node in range(4))
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_PAIRS_FORM = "8 pairs ('op', input), flat or two by two"
_FORM = f"Genotype(normal=[{_PAIRS_FORM}], normal_concat=range(2, 6), reduce=[…], reduce_concat=…)"

Edge: TypeAlias = tuple[int, int]
Node: TypeAlias = tuple[Edge, Edge]
Cell: TypeAlias = tuple[Node, Node, Node, Node]


@dataclass(frozen=True, slots=True, order=True)
class DartsArchitecture:
    """Two cells; each node holds its two edges as (operation index, input). Edge order is kept, but carries no meaning.

    A node may use ``none``, as some published genotypes do, and read one input twice, an extension of the published
    space; sampling does neither.
    """

    normal: Cell
    reduce: Cell

    def __post_init__(self) -> None:
        for name, cell in (("normal", self.normal), ("reduction", self.reduce)):
            if type(cell) is not tuple or len(cell) != 4:
                raise ArchitectureError(f"the {name} cell of a DARTS architecture is a tuple of 4 nodes, not {cell!r}")
            for i, node in enumerate(cell):
                if (
                    type(node) is not tuple
                    or len(node) != 2
                    or any(type(edge) is not tuple or len(edge) != 2 for edge in node)
                ):
                    raise ArchitectureError(
                        f"node {i + 2} of the {name} cell must hold two (operation, input) pairs, not {node!r}"
                    )
                for op, source in node:
                    if type(op) is not int or not 0 <= op < 8:
                        raise ArchitectureError(
                            f"{op!r} is no operation index of DARTS; use integers from 0 to 7 ({', '.join(OPERATIONS)})"
                        )
                    if type(source) is not int or not 0 <= source < 2 + i:
                        raise ArchitectureError(
                            f"node {i + 2} of the {name} cell reads {source!r}; it can read inputs 0 to {1 + i}"
                        )

    def __str__(self) -> str:
        def text(cell: Cell) -> str:
            return ", ".join(f"('{OPERATIONS[op]}', {source})" for node in cell for op, source in node)

        return (
            f"Genotype(normal=[{text(self.normal)}], normal_concat=range(2, 6), "
            f"reduce=[{text(self.reduce)}], reduce_concat=range(2, 6))"
        )


def relabelings(cell: Cell) -> set[Cell]:
    """All encodings of the cell under renamings of its nodes that keep edges pointing forward, edges sorted.

    Args:
        cell: its edges.

    Returns:
        Cells, itself among them.
    """
    images = set()
    for place in permutations(range(4)):
        image: list[Node | None] = [None] * 4
        for i, node in enumerate(cell):
            here = place[i]
            edges = []
            for op, source in node:
                if source >= 2:
                    source = place[source - 2] + 2
                    if source >= here + 2:
                        break
                edges.append((op, source))
            else:
                first, second = edges
                image[here] = (first, second) if (first[1], first[0]) <= (second[1], second[0]) else (second, first)
                continue
            break
        else:
            images.add(tuple(image))
    return images  # type: ignore[return-value]


def _cell(value: object, name: str) -> Cell:
    """A cell from a flat list of 8 (name, input) pairs or from 4 nodes of two such pairs each."""
    pairs = listed(value)
    if pairs is not None and len(pairs) == 4:
        nodes = [listed(node) for node in pairs]
        pairs = [pair for node in nodes for pair in node or ()] if all(n and len(n) == 2 for n in nodes) else None
    edges = [listed(pair) for pair in pairs] if pairs is not None else [None]
    if any(edge is None or len(edge) != 2 or not isinstance(edge[0], str) for edge in edges):
        raise ArchitectureError(f"the {name} cell {shortened(value)} is not readable; expected {_PAIRS_FORM}")
    if len(edges) != 8:
        raise ArchitectureError(f"the {name} cell has {len(edges)} pairs; a DARTS cell has 8, two for each of 4 nodes")
    indexed = []
    for op, source in edges:  # type: ignore[misc]
        if op not in _INDEX:
            raise ArchitectureError(
                f"{shortened(op, 40)} is no operation of DARTS; the operations are {', '.join(OPERATIONS)}"
            )
        indexed.append((_INDEX[op], whole(source, f"an input of the {name} cell")))
    return tuple(zip(indexed[::2], indexed[1::2], strict=True))  # type: ignore[return-value]


_EMPTY: Cell = (((0, 0), (0, 1)),) * 4
"""A cell whose nodes read nothing: ``none`` on either input."""


def _filled(cell: Cell) -> int:
    """How many nodes, from the first on, read something."""
    return next((i for i, node in enumerate(cell) if all(op == 0 for op, _ in node)), 4)


class DartsRelaxation(Relaxation):
    """Fourteen edges of either cell with eight operations. A node keeps its two edges of largest weight, each with its
    strongest operation, ``none`` apart (Liu et al., section 2.4): a node is a group."""

    kinds = ("normal", "reduce")
    edges = (tuple((source, node + 2) for node in range(4) for source in range(2 + node)),) * 2
    operations = OPERATIONS
    choosable = tuple(range(1, len(OPERATIONS)))
    inputs_kept = 2

    def one_hot(self, arch: DartsArchitecture) -> Weights:
        weights = tuple(np.zeros(shape) for shape in self.shapes)
        for kind, cell in zip(weights, (arch.normal, arch.reduce), strict=True):
            for node, pair in enumerate(cell):
                for op, source in pair:
                    kind[self._edge(node, source), op] += 1
        return weights

    def groups(self, logs: Weights) -> list[Options]:
        found: list[Options] = []
        for kind in logs:
            for node in range(4):
                options: Options = []
                for low, high in _PAIRS[node]:
                    a, b = kind[self._edge(node, low)], kind[self._edge(node, high)]
                    options += [
                        (float(a[i] + b[j]), ((i, low), (j, high)))
                        for i in range(1, len(OPERATIONS))
                        for j in range(1, len(OPERATIONS))
                    ]
                found.append(options)
        return found

    def assembled(self, choices: Sequence[Any]) -> DartsArchitecture:
        return DartsArchitecture(tuple(choices[:4]), tuple(choices[4:]))

    @staticmethod
    def _edge(node: int, source: int) -> int:
        """Number of the edge source -> node: node i has 2 + i edges, 2i + i(i - 1)/2 stand before them."""
        return 2 * node + node * (node - 1) // 2 + source


RELAXATION = DartsRelaxation()


class DartsSpace(Space[DartsArchitecture]):
    """DARTS cells with 7 operations and two distinct inputs a node: 1.08e18 encodings (about 10^18, as published).

    Isomorphic are architectures that differ by renaming nodes (and the order of a node's two edges), in either cell.
    The number of classes is this project's own count (Burnside's lemma over the 180 topologies of a cell).
    A genome has three genes a node: which pair of inputs, the operation on the lower and on the higher one.
    """

    name: ClassVar[str] = "darts_nds"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    cardinalities: ClassVar[tuple[int, ...]] = tuple(
        gene for _ in range(2) for pairs in _PAIRS for gene in (len(pairs), 7, 7)
    )
    size: ClassVar[int] = (180 * 7**8) ** 2
    unique_size: ClassVar[int | None] = 382_128_166**2  # see count_cells
    architecture_type: ClassVar[type] = DartsArchitecture
    published: ClassVar[Mapping[str, int]] = {"channels": 36, "layers": 20}
    smallest_depth: ClassVar[int] = 3  # reductions at ⌊L/3⌋ and ⌊2L/3⌋: with fewer cells every one is a reduction
    top_k: ClassVar[int] = 5
    cell_work: ClassVar[CellWork] = CellWork(44.0, 36.0, 3, 2.4)  # 2 preprocessings, 8 quarter-wide operations
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"layers", "kernel_sizes", "operation_owners", "path_dropout", "relaxed_paths"}
    )
    relaxation: ClassVar[Relaxation | None] = RELAXATION
    network: ClassVar[str | None] = "nas_lightning.nets.darts:DartsNetwork"

    def parse(self, text: Any) -> DartsArchitecture:
        """Reads a DARTS ``Genotype(...)``, pairs flat or two by two, also behind ``NAME =``; its JSON, dictionaries and
        objects with ``normal`` and ``reduce``.

        A node that reads one input twice, which the published space forbids, is read as an extension: it can be built
        and looked up, and has no genome.

        Raises:
            ArchitectureError: it names what is wrong.
        """
        if isinstance(text, DartsArchitecture):
            return text
        value: Any = text
        if isinstance(text, str):
            try:
                value = literal(text)
            except ArchitectureError:
                raise self._unreadable(text) from None
        if isinstance(value, Called):
            value = dict(zip(_FIELDS, value.arguments, strict=False)) | value.keywords
        elif not isinstance(value, Mapping) and all(hasattr(value, name) for name in ("normal", "reduce")):
            value = {name: getattr(value, name) for name in _FIELDS if hasattr(value, name)}
        if not isinstance(value, Mapping) or not {"normal", "reduce"} <= set(value) <= set(_FIELDS):
            raise self._unreadable(text)
        for name in ("normal_concat", "reduce_concat"):
            concat = value.get(name)
            if isinstance(concat, str):
                concat = literal(concat)
            if concat is not None and listed(concat) != [2, 3, 4, 5]:
                raise ArchitectureError(
                    f"{name} is {shortened(concat, 60)}; this space concatenates all four nodes, [2, 3, 4, 5]"
                )
        return DartsArchitecture(_cell(value["normal"], "normal"), _cell(value["reduce"], "reduction"))

    @staticmethod
    def _unreadable(text: object) -> ArchitectureError:
        return ArchitectureError(f"{shortened(text)} is no DARTS genotype; expected {_FORM}")

    def canonical(self, arch: DartsArchitecture) -> DartsArchitecture:
        """Both cells in their smallest encoding, the edges of a node ordered by input, then operation."""
        return DartsArchitecture(min(relabelings(arch.normal)), min(relabelings(arch.reduce)))

    def key(self, arch: DartsArchitecture) -> str:
        """Operation and input digits of the canonical cells, 16 for the normal and 16 for the reduction cell."""
        return "-".join(
            "".join(f"{op}{source}" for node in min(relabelings(cell)) for op, source in node)
            for cell in (arch.normal, arch.reduce)
        )

    def _sample_cell(self, rng: np.random.Generator) -> Cell:
        genes = rng.integers(np.array(self.cardinalities[:12])).tolist()
        return tuple(self._node(i, *genes[3 * i : 3 * i + 3]) for i in range(4))  # type: ignore[return-value]

    @staticmethod
    def _node(i: int, pair: int, low: int, high: int) -> Node:
        first, second = _PAIRS[i][pair]
        return (low + 1, first), (high + 1, second)

    def sample(self, rng: np.random.Generator) -> DartsArchitecture:
        return DartsArchitecture(self._sample_cell(rng), self._sample_cell(rng))

    def sample_unique(self, rng: np.random.Generator) -> DartsArchitecture:
        """Uniform over classes, by exact rejection and without a list of them.

        Each cell is drawn uniformly from its raw encodings and accepted with probability 1/m, m the number of raw
        encodings of its class: a class is drawn with probability m / raw and accepted with 1/m, so all classes of
        cells are equally likely; the class of an architecture is the pair of the classes of its cells.
        """
        cells: list[Cell] = []
        while len(cells) < 2:
            images = relabelings(self._sample_cell(rng))
            if len(images) == 1 or rng.random() * len(images) < 1:
                cells.append(min(images))
        return DartsArchitecture(*cells)

    def _changes(self, arch: DartsArchitecture) -> list[tuple[int, int, int, Edge]]:
        """(cell, node, edge, new edge) of every elementary change."""
        changes = []
        for c, cell in enumerate((arch.normal, arch.reduce)):
            for i, node in enumerate(cell):
                taken = {source for _, source in node}
                for e, (op, source) in enumerate(node):
                    changes += [(c, i, e, (new, source)) for new in range(1, 8) if new != op]
                    changes += [(c, i, e, (op, new)) for new in range(2 + i) if new not in taken]
        return changes

    @staticmethod
    def _apply(arch: DartsArchitecture, change: tuple[int, int, int, Edge]) -> DartsArchitecture:
        c, i, e, edge = change
        cells = [list(arch.normal), list(arch.reduce)]
        node = list(cells[c][i])
        node[e] = edge
        cells[c][i] = tuple(node)  # type: ignore[assignment]
        return DartsArchitecture(tuple(cells[0]), tuple(cells[1]))  # type: ignore[arg-type]

    def members(self, arch: DartsArchitecture) -> list[DartsArchitecture]:
        """All genotypes isomorphic to `arch`, in a fixed order, edges of a node sorted by input."""
        return [
            DartsArchitecture(normal, reduce)
            for normal in sorted(relabelings(arch.normal))
            for reduce in sorted(relabelings(arch.reduce))
        ]

    def neighbours(self, arch: DartsArchitecture) -> list[DartsArchitecture]:
        """Another operation on an edge, or another input (not read by the node yet): 120 for a sampled architecture."""
        found = dict.fromkeys(self._apply(arch, change) for change in self._changes(arch))
        found.pop(arch, None)
        return list(found)

    def mutate(self, arch: DartsArchitecture, rng: np.random.Generator) -> DartsArchitecture:
        changes = self._changes(arch)
        return self._apply(arch, changes[int(rng.integers(len(changes)))])

    def smallest(self) -> list[DartsArchitecture]:
        """One node in either cell, the others reading nothing."""
        nodes = self._nodes_at(0)
        return [DartsArchitecture((first, *_EMPTY[1:]), (second, *_EMPTY[1:])) for first in nodes for second in nodes]

    def grown(self, arch: DartsArchitecture) -> list[DartsArchitecture]:
        """One node more: in the normal cell, where both have equally many, else in the reduction cell."""
        normal, reduce = _filled(arch.normal), _filled(arch.reduce)
        if normal == reduce == 4 or not 0 <= normal - reduce <= 1 or not reduce:
            return []
        if normal == reduce:
            cells = [(self._with(arch.normal, normal, node), arch.reduce) for node in self._nodes_at(normal)]
        else:
            cells = [(arch.normal, self._with(arch.reduce, reduce, node)) for node in self._nodes_at(reduce)]
        return [DartsArchitecture(*both) for both in cells]

    def smaller(self, arch: DartsArchitecture) -> list[DartsArchitecture]:
        """Without the node that came last; empty where `grown` never leads."""
        normal, reduce = _filled(arch.normal), _filled(arch.reduce)
        if not 0 <= normal - reduce <= 1 or normal + reduce <= 2:
            return []
        if normal > reduce:
            return [DartsArchitecture(self._with(arch.normal, normal - 1, _EMPTY[normal - 1]), arch.reduce)]
        return [DartsArchitecture(arch.normal, self._with(arch.reduce, reduce - 1, _EMPTY[reduce - 1]))]

    def _nodes_at(self, i: int) -> list[Node]:
        """All nodes that can stand in place i: a pair of inputs, an operation on either."""
        return [
            self._node(i, pair, low, high) for pair in range(len(_PAIRS[i])) for low in range(7) for high in range(7)
        ]

    @staticmethod
    def _with(cell: Cell, place: int, node: Node) -> Cell:
        return (*cell[:place], node, *cell[place + 1 :])  # type: ignore[return-value]

    def encode(self, arch: DartsArchitecture) -> np.ndarray:
        """

        Raises:
            ArchitectureError: ``none``, and a node that reads one input twice, have no genome.
        """
        genome = []
        for cell in (arch.normal, arch.reduce):
            for i, node in enumerate(cell):
                (low, first), (high, second) = sorted(node, key=lambda edge: edge[1])
                if first == second or not low or not high:
                    raise ArchitectureError(
                        f"node {i + 2} of {arch} uses none or reads one input twice; genomes cover "
                        "the 7 other operations on two distinct inputs"
                    )
                genome += [_PAIRS[i].index((first, second)), low - 1, high - 1]
        return np.array(genome, np.int64)

    def decode(self, genome: Sequence[int] | np.ndarray) -> DartsArchitecture:
        genes = [int(gene) for gene in genome]
        if len(genes) != 24 or any(not 0 <= gene < high for gene, high in zip(genes, self.cardinalities, strict=False)):
            raise ArchitectureError(f"a DARTS genome is 24 integers below {self.cardinalities}, not {genes}")
        cells = [tuple(self._node(i, *genes[start + 3 * i : start + 3 * i + 3]) for i in range(4)) for start in (0, 12)]
        return DartsArchitecture(*cells)  # type: ignore[arg-type]

    def operation_counts(self, arch: DartsArchitecture) -> np.ndarray:
        """Of the normal, then of the reduction cell, int64 [16]."""
        return np.concatenate(
            [np.bincount([op for node in cell for op, _ in node], minlength=8) for cell in (arch.normal, arch.reduce)]
        ).astype(np.int64)

    zero_operation: ClassVar[str | None] = "none"
    identity_operation: ClassVar[str | None] = "skip_connect"

    def paths(self, arch: DartsArchitecture) -> list[tuple[str, ...]]:
        """From either input to every node: their concatenation is the cell's output. First word: cell and input."""
        found = []
        for name, cell in (("normal", arch.normal), ("reduce", arch.reduce)):
            reached: list[list[tuple[str, ...]]] = [[(f"{name}_{i}",)] for i in range(2)]
            for node in cell:
                reached.append([(*path, OPERATIONS[op]) for op, source in node for path in reached[source]])
            found += [path for node in reached[2:] for path in node]
        return found

    def depth(self, arch: DartsArchitecture) -> int:
        """Separable and dilated convolutions on the longest path through the normal cell (each counted once)."""
        deepest = [0, 0]
        for node in arch.normal:
            deepest.append(max([deepest[source] + (op >= 4) for op, source in node if op], default=0))
        return max(deepest)

    def permuted(self, arch: DartsArchitecture, rng: np.random.Generator) -> tuple[DartsArchitecture, ...]:
        orders = np.stack([rng.permutation(7) + 1 for _ in range(16)])  # the 7 operations without none
        cells = (arch.normal, arch.reduce)

        def cell(k: int, which: int) -> Any:
            return tuple(
                tuple((int(orders[which * 8 + node * 2 + slot, k]), source) for slot, (_, source) in enumerate(pair))
                for node, pair in enumerate(cells[which])
            )

        return tuple(DartsArchitecture(cell(k, 0), cell(k, 1)) for k in range(7))

    def structure_groups(self, arch: DartsArchitecture) -> dict[str, str]:
        used = [op for node in arch.normal for op, _ in node]
        structure = "other"
        if used.count(3) >= 3:
            structure = "3 or more skips in the normal cell"
        elif used.count(1) + used.count(2) >= 3:
            structure = "3 or more poolings in the normal cell"
        inputs = sum(source < 2 for node in arch.normal for _, source in node)
        return {"structure": structure, "normal edges that read cell inputs": f"{inputs} of 8"}

    def operation_columns(self) -> list[str]:
        return [f"{cell} {op}" for cell in ("normal", "reduction") for op in OPERATIONS]

    def _costs(self, archs: list[DartsArchitecture], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        both = np.array([darts_cost(arch, **shape) for arch in archs], np.int64)
        return both[:, 0], both[:, 1]


def count_cells(operations: int = 7) -> int:
    """Number of cells up to renaming of nodes, with so many operations to choose from.

    Burnside's lemma over the 180 topologies: a topology with L forward renamings has labelled classes of
    L / |stabiliser| encodings, so the classes number the sum over topologies of 1 / L times the labellings that each
    automorphism fixes, which are `operations` to the number of its edge cycles.

    Args:
        operations: to choose from.

    Returns:
        A whole number.

    Raises:
        AssertionError: the sum is not whole, which would be a fault of this function.
    """
    total = Fraction(0)
    for wiring in np.ndindex(*(len(pairs) for pairs in _PAIRS)):
        edges = [(i + 2, source) for i, pair in enumerate(wiring) for source in _PAIRS[i][pair]]
        forward, fixed = 0, 0
        for place in permutations(range(2, 6)):
            image = (0, 1, *place)
            mapped = [(image[target], image[source]) for target, source in edges]
            if all(target > source for target, source in mapped):
                forward += 1
                if set(mapped) == set(edges):
                    fixed += operations ** _edge_cycles(edges, mapped)
        total += Fraction(fixed, forward)
    if total.denominator != 1:
        raise AssertionError(f"the count of classes must be whole, not {total}")
    return int(total)


def _edge_cycles(edges: list[tuple[int, int]], mapped: list[tuple[int, int]]) -> int:
    image = [edges.index(edge) for edge in mapped]
    left, cycles = set(range(len(edges))), 0
    while left:
        cycles += 1
        vertex = left.pop()
        while image[vertex] in left:
            vertex = image[vertex]
            left.remove(vertex)
    return cycles
