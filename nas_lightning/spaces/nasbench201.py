"""NAS-Bench-201 (Dong and Yang, arXiv 2001.00326), also NATS-Bench topology: a cell of 4 nodes and 6 operation edges.

Order of the edges everywhere: (0,1), (0,2), (1,2), (0,3), (1,3), (2,3), which is the order of the string form
``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``. The *raw code* of a cell reads its six operations as a base-5 number.
"""

from __future__ import annotations

import numbers
import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from nas_lightning.spaces.base import ArchitectureError, CellWork, Space
from nas_lightning.spaces.encoding import Columns, Encoding
from nas_lightning.spaces.nasbench201_costs import nasbench201_cost
from nas_lightning.spaces.reading import listed, literal, shortened, whole
from nas_lightning.spaces.relaxation import Options, Relaxation, Weights

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))  # from input to output, as indices into EDGES
_STRING = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")
_STRUCTURE = re.compile(r"Structure\(4 nodes with (.*)\)", re.S)
_NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_NASLIB_OPERATIONS = (1, 0, 3, 2, 4)  # skip, none, conv3x3, conv1x1, avgpool
_INDEX = {name: i for i, name in enumerate(OPERATIONS)}
_PLACES = 5 ** np.arange(5, -1, -1)
_ORDER_CRC = 3516857650  # of the official order as little-endian int32 raw codes


@dataclass(frozen=True, slots=True, order=True)
class NB201Architecture:
    """One cell: an operation index per edge, in the order of `EDGES`."""

    operations: tuple[int, ...]

    def __post_init__(self) -> None:
        operations = self.operations
        if type(operations) is not tuple or len(operations) != 6:
            raise ArchitectureError(f"a NAS-Bench-201 cell is a tuple of 6 operation indices, not {operations!r}")
        for op in operations:
            if type(op) is not int or not 0 <= op < 5:
                raise ArchitectureError(
                    f"{op!r} is no operation index of NAS-Bench-201; use integers from 0 to 4 ({', '.join(OPERATIONS)})"
                )

    def __str__(self) -> str:
        a, b, c, d, e, f = (OPERATIONS[op] for op in self.operations)
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"

    @property
    def code(self) -> int:
        """Raw code, in range(15625)."""
        code = 0
        for op in self.operations:
            code = 5 * code + op
        return code


def from_code(code: int) -> NB201Architecture:
    """Inverse of `NB201Architecture.code`.

    Args:
        code: in range(15625), the operation of edge 0 as the highest digit to base 5.

    Returns:
        The cell.

    Raises:
        ArchitectureError: it is not in range(15625).
    """
    if not 0 <= code < 15625:
        raise ArchitectureError(f"{code} is no raw code of a NAS-Bench-201 cell; use an integer from 0 to 15624")
    return NB201Architecture(tuple(int(code) // int(place) % 5 for place in _PLACES))


@lru_cache(maxsize=1)
def official_order() -> np.ndarray:
    """Raw codes in the order of the official architecture index, int32 [15625].

    The authors list all cells in lexicographic order and shuffle the list with Python's generator seeded by 88 (their
    script that writes the benchmark's meta file).

    Returns:
        int32 [15625].

    Raises:
        RuntimeError: this Python shuffles differently.
    """
    codes = list(range(15625))
    random.Random(88).shuffle(codes)
    order = np.array(codes, np.int32)
    if zlib.crc32(order.astype("<i4").tobytes()) != _ORDER_CRC:
        raise RuntimeError(
            "this Python shuffles differently from those that NAS-Bench-201's architecture order was "
            "made with; use CPython 3.11 to 3.13"
        )
    order.flags.writeable = False
    return order


@lru_cache(maxsize=1)
def official_index() -> np.ndarray:
    """Official index of every raw code, int32 [15625]: the inverse of `official_order`.

    Returns:
        int32 [15625].
    """
    index = np.empty(15625, np.int32)
    index[official_order()] = np.arange(15625, dtype=np.int32)
    index.flags.writeable = False
    return index


def _terms(node: str) -> list[str]:
    """What a node contributes over an edge, per operation: nothing, itself, or an operation applied to it."""
    return [
        "#" if op == "none" or node == "#" else node if op == "skip_connect" else f"({node})@{op}" for op in OPERATIONS
    ]


@lru_cache(maxsize=1)
def canonical_codes() -> np.ndarray:
    """Raw code of the canonical member of every raw code's class, int32 [15625].

    Two cells are isomorphic when NATS-Bench's `to_unique_str(consider_zero=True)` is equal: the nested sum of terms
    that reaches the output, terms sorted, zeros marked, skip connections contracted (6,466 classes, as published).
    The canonical member is the one with the lowest official index.

    Returns:
        int32 [15625].
    """
    classes: dict[str, list[int]] = {}
    base = 0
    first = _terms("0")
    for node1 in first:
        second = _terms(node1)
        for a in first:
            for b in second:
                node2 = "+".join(sorted((a, b)))
                third = _terms(node2)
                for x in first:
                    for y in second:
                        for z in third:
                            classes.setdefault("+".join(sorted((x, y, z))), []).append(base)
                            base += 1
    index = official_index()
    canonical = np.empty(15625, np.int32)
    for members in classes.values():
        canonical[members] = min(members, key=index.__getitem__)
    canonical.flags.writeable = False
    return canonical


@lru_cache(maxsize=1)
def unique_codes() -> np.ndarray:
    """Raw codes of the 6,466 canonical cells, by official index, int32 [6466].

    Returns:
        int32 [6466].
    """
    order = official_order()
    unique = order[canonical_codes()[order] == order]
    unique.flags.writeable = False
    return unique


class NB201Relaxation(Relaxation):
    """Six edges with five operations, each a group of its own; ``none`` may be chosen."""

    kinds = ("cell",)
    edges = (EDGES,)
    operations = OPERATIONS
    choosable = tuple(range(len(OPERATIONS)))

    def one_hot(self, arch: NB201Architecture) -> Weights:
        return (np.eye(len(OPERATIONS))[list(arch.operations)],)

    def groups(self, logs: Weights) -> list[Options]:
        return [[(float(value), op) for op, value in enumerate(row)] for row in logs[0]]

    def assembled(self, choices: Sequence[Any]) -> NB201Architecture:
        return NB201Architecture(tuple(choices))


RELAXATION = NB201Relaxation()


class NB201Space(Space[NB201Architecture]):
    """The 15,625 cells of NAS-Bench-201. The canonical cell of a class is the one with the lowest official index."""

    name: ClassVar[str] = "nasbench201"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    cardinalities: ClassVar[tuple[int, ...]] = (5,) * 6
    size: ClassVar[int] = 15625
    unique_size: ClassVar[int | None] = 6466
    architecture_type: ClassVar[type] = NB201Architecture
    published: ClassVar[Mapping[str, int]] = {"channels": 16, "layers": 5}
    top_k: ClassVar[int] = 10
    cell_work: ClassVar[CellWork] = CellWork(10.0, 10.0)  # 2.4 convolutions with ReLU and norm, 1.2 poolings, 3 sums
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"layers", "kernel_sizes", "operation_owners", "split_operations", "path_dropout", "edges", "relaxed_paths"}
    )
    relaxation: ClassVar[Relaxation | None] = RELAXATION
    network: ClassVar[str | None] = "nas_lightning.nets.nasbench201:NB201Network"

    def parse(self, text: Any) -> NB201Architecture:
        """Reads ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, also with spaces, inputs in another order and inside AutoDL's
        ``Structure(4 nodes with …)``; nested pairs ``((('op', 0),), (('op', 0), ('op', 1)), …)``; the official index;
        NASLib's six numbers.

        Raises:
            ArchitectureError: it names what is wrong.
        """
        if isinstance(text, str):
            try:
                a, b, c, d, e, f = _STRING.fullmatch(text.strip()).groups()  # type: ignore[union-attr]
                return NB201Architecture((_INDEX[a], _INDEX[b], _INDEX[c], _INDEX[d], _INDEX[e], _INDEX[f]))
            except (AttributeError, KeyError):
                return self._other_text(text)
        return self._value(text)

    def _other_text(self, text: str) -> NB201Architecture:
        plain = text.strip()
        if wrapped := _STRUCTURE.fullmatch(plain):
            plain = wrapped[1]
        if plain.isascii() and plain.isdigit() and len(plain) < 9:
            return self.from_index(int(plain))
        if plain[:1] in ("(", "["):
            return self._value(literal(plain))
        nodes = [node.strip() for node in plain.split("+")]
        if any(len(node) < 2 or node[0] != "|" or node[-1] != "|" for node in nodes):
            raise self._unreadable(text)
        split = [[tuple(part.strip() for part in edge.split("~")) for edge in node[1:-1].split("|")] for node in nodes]
        if any(len(edge) != 2 or not edge[1].isdigit() or len(edge[1]) > 3 for node in split for edge in node):
            raise self._unreadable(text)
        return self._nodes([[(edge[0], int(edge[1])) for edge in node] for node in split], text)

    def _value(self, value: Any) -> NB201Architecture:
        if isinstance(value, NB201Architecture):
            return value
        parts = listed(value)
        if parts is None:
            if isinstance(value, (bool, str)) or not isinstance(value, (numbers.Real, np.number)):
                raise self._unreadable(value)
            return self.from_index(whole(value, "a NAS-Bench-201 architecture index"))
        if len(parts) == 6 and all(isinstance(part, (numbers.Real, np.number)) for part in parts):
            codes = [whole(part, "an operation of NASLib's tuple") for part in parts]
            if any(not 0 <= code < 5 for code in codes):
                raise ArchitectureError(f"NASLib's tuple {shortened(value)} has operations beyond 0 to 4")
            return NB201Architecture(tuple(_NASLIB_OPERATIONS[codes[_NASLIB_EDGES.index(edge)]] for edge in EDGES))
        nodes: list[list[tuple[Any, int]]] = []
        for node in parts:
            pairs = [listed(pair) for pair in listed(node) or [None]]
            if any(pair is None or len(pair) != 2 for pair in pairs):
                raise self._unreadable(value)
            nodes.append([(pair[0], whole(pair[1], "an input of a node")) for pair in pairs if pair is not None])
        return self._nodes(nodes, value)

    def _nodes(self, nodes: list[list[tuple[Any, int]]], text: object) -> NB201Architecture:
        """From (operation, input) pairs, node by node."""
        if [sorted(source for _, source in node) for node in nodes] != [[0], [0, 1], [0, 1, 2]]:
            raise self._unreadable(text)
        for node in nodes:
            for op, _ in node:
                if not isinstance(op, str) or op not in _INDEX:
                    raise ArchitectureError(
                        f"{shortened(op, 40)} in {shortened(text)} is no operation of NAS-Bench-201; the operations "
                        f"are {', '.join(OPERATIONS)}"
                    )
        return NB201Architecture(
            tuple(_INDEX[op] for node in nodes for op, _ in sorted(node, key=lambda edge: edge[1]))
        )

    @staticmethod
    def _unreadable(text: object) -> ArchitectureError:
        return ArchitectureError(
            f"{shortened(text)} is no NAS-Bench-201 cell; expected |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, an index from "
            "0 to 15624, or NASLib's six numbers"
        )

    def canonical(self, arch: NB201Architecture) -> NB201Architecture:
        return from_code(int(canonical_codes()[arch.code]))

    def key(self, arch: NB201Architecture) -> str:
        """String form of the canonical cell."""
        return str(self.canonical(arch))

    def sample(self, rng: np.random.Generator) -> NB201Architecture:
        return from_code(int(rng.integers(15625)))

    def sample_unique(self, rng: np.random.Generator) -> NB201Architecture:
        return from_code(int(unique_codes()[rng.integers(6466)]))

    def members(self, arch: NB201Architecture) -> list[NB201Architecture]:
        """All cells isomorphic to `arch`, by official index, itself included."""
        order, canonical = official_order(), canonical_codes()
        return [from_code(int(code)) for code in order[canonical[order] == canonical[arch.code]]]

    def neighbours(self, arch: NB201Architecture) -> list[NB201Architecture]:
        """The 24 cells that differ in the operation of one edge."""
        ops = arch.operations
        return [
            NB201Architecture((*ops[:edge], op, *ops[edge + 1 :]))
            for edge in range(6)
            for op in range(5)
            if op != ops[edge]
        ]

    def mutate(self, arch: NB201Architecture, rng: np.random.Generator) -> NB201Architecture:
        edge, shift = divmod(int(rng.integers(24)), 4)
        ops = list(arch.operations)
        ops[edge] = (ops[edge] + 1 + shift) % 5
        return NB201Architecture(tuple(ops))

    def encode(self, arch: NB201Architecture) -> np.ndarray:
        return np.array(arch.operations, np.int64)

    def decode(self, genome: Sequence[int] | np.ndarray) -> NB201Architecture:
        return NB201Architecture(tuple(int(gene) for gene in genome))

    def operation_counts(self, arch: NB201Architecture) -> np.ndarray:
        return np.bincount(arch.operations, minlength=5).astype(np.int64)

    def depth(self, arch: NB201Architecture) -> int:
        """Convolutions on the longest path that reaches the output; 0 where none does."""
        deepest = [0, -9, -9, -9]
        for (source, target), op in zip(EDGES, arch.operations, strict=True):
            if op:
                deepest[target] = max(deepest[target], deepest[source] + (op in (2, 3)))
        return max(deepest[3], 0)

    zero_operation: ClassVar[str | None] = "none"
    identity_operation: ClassVar[str | None] = "skip_connect"

    def paths(self, arch: NB201Architecture) -> list[tuple[str, ...]]:
        """The four paths: direct, over node 1, over node 2, over both."""
        return [tuple(OPERATIONS[arch.operations[edge]] for edge in path) for path in PATHS]

    def operation_graph(self, arch: NB201Architecture) -> tuple[np.ndarray, np.ndarray]:
        """Eight vertices, one an edge of the cell; nones are cut, skip connections bypassed (GIAug, section 4)."""
        source, target = np.array(EDGES).T
        adjacency = np.zeros((8, 8), np.uint8)
        adjacency[0, 1:7] = source == 0
        adjacency[1:7, 7] = target == 3
        adjacency[1:7, 1:7] = target[:, None] == source[None, :]
        labels = np.array(arch.operations, np.int64)
        for vertex, op in enumerate(arch.operations, start=1):
            if op < 2:
                if op == 1:
                    adjacency |= np.outer(adjacency[:, vertex], adjacency[vertex])
                adjacency[:, vertex] = adjacency[vertex] = 0
                labels[vertex - 1] = -1
        return adjacency, labels

    def index(self, arch: NB201Architecture) -> int:
        """Official architecture index, in range(15625).

        Args:
            arch: an architecture.

        Returns:
            A whole number.
        """
        return int(official_index()[arch.code])

    def from_index(self, index: int) -> NB201Architecture:
        """The cell with this official architecture index.

        Args:
            index: in range(15625).

        Returns:
            The cell.

        Raises:
            ArchitectureError: it is not in range(15625).
        """
        if not 0 <= index < 15625:
            raise ArchitectureError(f"{index} is no NAS-Bench-201 architecture index; use an integer from 0 to 15624")
        return from_code(int(official_order()[index]))

    def enumerate(self) -> Iterator[NB201Architecture]:
        """The 6,466 canonical cells by official index."""
        return (from_code(int(code)) for code in unique_codes())

    def enumerate_raw(self) -> Iterator[NB201Architecture]:
        """All 15,625 cells by official index.

        Returns:
            15,625 cells.
        """
        return (from_code(int(code)) for code in official_order())

    def permuted(self, arch: NB201Architecture, rng: np.random.Generator) -> tuple[NB201Architecture, ...]:
        orders = np.stack([rng.permutation(5) for _ in range(6)])  # [slot, path]
        return tuple(NB201Architecture(tuple(int(o) for o in orders[:, k])) for k in range(5))

    def table_columns(self, archs: Sequence[NB201Architecture]) -> dict[str, Any]:
        return {"code": np.array([arch.code for arch in archs], np.int16)}

    def open_encoding(self, columns: Columns) -> Encoding:
        from nas_lightning.spaces.nasbench201_table import NB201Encoding

        return NB201Encoding(columns.array("code"))

    def structure_groups(self, arch: NB201Architecture) -> dict[str, str]:
        return {"structure": self._structure(arch)}

    def _structure(self, arch: NB201Architecture) -> str:
        reached = {0}
        for (source, target), op in zip(EDGES, arch.operations, strict=True):
            if op and source in reached:
                reached.add(target)
        if 3 not in reached:
            return "input and output disconnected"
        if not self.depth(arch):
            return "no convolution on any path"
        if arch.operations.count(1) >= 3:
            return "3 or more skip connections"
        if arch.operations.count(4) >= 3:
            return "3 or more poolings"
        return "skip from input to output" if arch.operations[3] == 1 else "other"

    def _costs(self, archs: list[NB201Architecture], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        return nasbench201_cost(np.array([arch.operations for arch in archs]), **shape)
