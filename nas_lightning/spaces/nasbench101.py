"""NAS-Bench-101 (Ying et al., arXiv 1902.09635): cells of up to 7 vertices and 9 edges with an operation per vertex."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np

from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.plan import PlanError
from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.base import ArchitectureError, CellWork, Space
from nas_lightning.spaces.encoding import Columns, Encoding
from nas_lightning.spaces.nasbench101_cell import OPERATIONS, NB101Architecture, well_formed
from nas_lightning.spaces.nasbench101_cell import vertex_widths as vertex_widths
from nas_lightning.spaces.nasbench101_costs import nasbench101_cost
from nas_lightning.spaces.reading import listed, literal, shortened, whole

_FLAT = re.compile(r"([01]+):([\w,-]+)")
_HASH = re.compile(r"[0-9a-f]{32}")
_FIELDS = (("module_adjacency", "module_operations"), ("matrix", "ops"))
_NASLIB_SIZES = {n * n + n: n for n in range(2, 8)}
_NASLIB_LABELS = ("input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")


@lru_cache(maxsize=1)
def _class_counts() -> np.ndarray:
    """Running sum of the numbers of labellings of the unlabelled graphs, int64 [2494]."""
    return np.cumsum([count for _, _, _, count in graph.unlabelled_graphs()])


class NB101Space(Space[NB101Architecture]):
    """The 423,624 cells of NAS-Bench-101.

    A genome holds the 21 edge bits and 5 operations of a raw 7-vertex cell; smaller cells are padded with vertices
    that have no edges (and operation 0), so ``decode(encode(a))`` equals `a` for 7 vertices and is isomorphic to it
    below. The string form is that of the official records: the flattened matrix, a colon, the operations.
    """

    name: ClassVar[str] = "nasbench101"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    cardinalities: ClassVar[tuple[int, ...]] = (2,) * 21 + (3,) * 5
    size: ClassVar[int] = 373_754_169  # 1,538,083 valid matrices x 3^5 labellings
    unique_size: ClassVar[int | None] = 423624
    architecture_type: ClassVar[type] = NB101Architecture
    published: ClassVar[Mapping[str, int]] = {"channels": 128, "layers": 3}
    top_k: ClassVar[int] = 5
    table_neighbourhood: ClassVar[str | None] = (
        "nas_lightning.analysis.nasbench101_neighbours:nasbench101_neighbourhood"
    )
    cell_work: ClassVar[CellWork] = CellWork(28.0, 9.0, correction=1.2)  # 7 conv-norm-ReLU of a third of the width
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"layers", "interior_widths", "summed_inputs", "kernel_sizes", "path_dropout"}
    )
    network: ClassVar[str | None] = "nas_lightning.nets.nasbench101:NB101Network"

    def parse(self, text: Any) -> NB101Architecture:
        """Reads ``0110…:input,conv3x3-bn-relu,…,output``; a pair ``([[0, 1, …], …], ["input", …, "output"])``; the
        dictionaries ``{module_adjacency, module_operations}`` and ``{matrix, ops}``, and objects with such fields;
        NASLib's flat tuple of matrix and operations.

        Raises:
            ArchitectureError: it names what is wrong; a module hash needs a table.
        """
        if isinstance(text, NB101Architecture):
            return text
        if not isinstance(text, str):
            return self._value(text)
        text = text.strip()
        try:
            return well_formed(text)
        except KeyError:
            pass  # another form, or malformed: the slow way finds out
        flat = _FLAT.fullmatch(text)
        if flat:
            bits, labels = flat[1], flat[2].split(",")
            n = round(len(bits) ** 0.5)
            if n * n != len(bits):
                raise ArchitectureError(
                    f"{len(bits)} matrix entries in {shortened(text)} form no square matrix; write all "
                    "n x n entries row by row"
                )
            return NB101Architecture.from_matrix(
                [[int(c) for c in bits[i : i + n]] for i in range(0, n * n, n)], labels
            )
        if self.is_key(text):
            raise ArchitectureError(
                f"{text} is a module hash, which only a table can look up; give the cell itself, or ask a table"
            )
        return self._value(literal(text)) if text[:1] in ("(", "[", "{") else self._refuse(text)

    def is_key(self, text: str) -> bool:
        return _HASH.fullmatch(text) is not None

    def _value(self, value: Any) -> NB101Architecture:
        if isinstance(value, Mapping):
            names = next((pair for pair in _FIELDS if set(pair) <= set(value)), None)
            parts: list[Any] | None = None if names is None else [value[name] for name in names]
        elif all(hasattr(value, name) for name in _FIELDS[1]):
            parts = [getattr(value, name) for name in _FIELDS[1]]
        else:
            parts = listed(value)
        if parts is None:
            return self._refuse(value)
        if len(parts) in _NASLIB_SIZES and all(listed(part) is None for part in parts):
            n = _NASLIB_SIZES[len(parts)]
            numbers = [whole(part, "a number of NASLib's tuple") for part in parts]
            if any(not 0 <= number < len(_NASLIB_LABELS) for number in numbers[n * n :]):
                return self._refuse(value)
            parts = [
                [numbers[i : i + n] for i in range(0, n * n, n)],
                [_NASLIB_LABELS[number] for number in numbers[n * n :]],
            ]
        if len(parts) != 2:
            return self._refuse(value)
        rows, labels = listed(parts[0]), listed(parts[1])
        if rows is None or labels is None or any(listed(row) is None for row in rows):
            return self._refuse(value)
        return NB101Architecture.from_matrix([listed(row) or [] for row in rows], labels)

    @staticmethod
    def _refuse(text: object) -> NB101Architecture:
        raise ArchitectureError(
            f"{shortened(text)} is no NAS-Bench-101 cell; expected the flattened matrix, a colon and the operations, "
            "as in 0100:input,output, or {module_adjacency: …, module_operations: …}"
        )

    def canonical(self, arch: NB101Architecture) -> NB101Architecture:
        """Pruned, with the smallest (adj_bits, operations) of all topological orders."""
        return _canonical(arch)

    def key(self, arch: NB101Architecture) -> str:
        """The reference module hash, 32 hexadecimal digits."""
        arch = arch.pruned()
        return graph.module_hash(arch.n_vertices, arch.adj_bits, arch.operations)

    def sample(self, rng: np.random.Generator) -> NB101Architecture:
        """The reference `random_spec`: a uniform 7x7 upper-triangular matrix and operations until the cell is valid."""
        while True:
            bits = int(rng.integers(1 << 21))
            pruned = graph.prune(7, bits)
            if pruned is not None and pruned[1].bit_count() <= graph.MAX_EDGES:
                return NB101Architecture(7, bits, graph.operations_from_code(int(rng.integers(243)), 7))

    def sample_unique(self, rng: np.random.Generator) -> NB101Architecture:
        """Uniform over the 423,624 classes, by exact rejection and without a list of them.

        One of the 2,494 unlabelled graphs is drawn with probability proportional to its number of classes of
        labellings (Burnside). Then uniform labellings are drawn and one whose orbit under the graph's automorphisms
        has size s is accepted with probability 1/s: each orbit is accepted with probability s · 3^-(n-2) · 1/s,
        the same for all, hence classes are uniform within a graph and, by the first step, over graphs.
        """
        pick = int(rng.integers(423624))
        n, bits, automorphisms, _ = graph.unlabelled_graphs()[int(np.searchsorted(_class_counts(), pick, "right"))]
        while True:
            code = int(rng.integers(3 ** (n - 2)))
            if len(automorphisms) > 1:
                images = automorphisms @ np.array(graph.operations_from_code(code, n), np.int64)
                if rng.random() * len(np.unique(images)) >= 1:
                    continue
                code = int(images.min())
            return NB101Architecture(n, bits, graph.operations_from_code(code, n))

    def members(self, arch: NB101Architecture) -> list[NB101Architecture]:
        """All pruned cells isomorphic to `arch`, by adjacency, then operations."""
        cell = arch.pruned()
        n, edges = cell.n_vertices, [x + y * (y - 1) // 2 for x, y in cell.edges]
        edge_weights, place_weights = graph.relabelings(n)
        bits = edge_weights[:, edges].sum(1)
        codes = place_weights @ np.array(cell.operations, np.int64)
        forward = bits < 1 << 22  # the others have an edge that points backwards
        images = sorted(set(zip(bits[forward].tolist(), codes[forward].tolist(), strict=True)))
        return [NB101Architecture(n, b, graph.operations_from_code(code, n)) for b, code in images]

    def neighbours(self, arch: NB101Architecture) -> list[NB101Architecture]:
        """Canonical cells of the other classes one change away from the pruned cell, each once.

        Changes: another operation on a vertex; an edge added or removed between any ordered pair that leaves the
        graph acyclic; below 7 vertices, a new vertex with one edge in and one out.
        """
        arch = self.canonical(arch)
        found = dict.fromkeys(filter(None, (_changed(arch, change) for change in self._changes(arch))))
        found.pop(arch, None)
        return list(found)

    def mutate(self, arch: NB101Architecture, rng: np.random.Generator) -> NB101Architecture:
        """One change as in `neighbours`, uniform over those that lead to another class; returns its canonical cell."""
        arch = self.canonical(arch)
        changes = self._changes(arch)
        for pick in rng.permutation(len(changes)):
            mutant = _changed(arch, changes[pick])
            if mutant is not None and mutant != arch:
                return mutant
        raise AssertionError("every NAS-Bench-101 cell has neighbours")

    @staticmethod
    def _changes(arch: NB101Architecture) -> list[tuple[str, int, int, int]]:
        n = arch.n_vertices
        changes = [("operation", v, op, 0) for v in range(n - 2) for op in range(3) if op != arch.operations[v]]
        changes += [("edge", x, y, 0) for x in range(n - 1) for y in range(1, n) if x != y]
        if n < 7:
            changes += [("vertex", x, y, op) for x in range(n - 1) for y in range(1, n) if x != y for op in range(3)]
        return changes

    def smallest(self) -> list[NB101Architecture]:
        """The cell of two vertices."""
        return [NB101Architecture(2, 1, ())]

    def grown(self, arch: NB101Architecture) -> list[NB101Architecture]:
        """The canonical cells with one vertex more that `smaller` leads back from.

        The new vertex stands last: any of the vertices wired to the output are wired to it instead, or to both.
        """
        cell = self.canonical(arch)
        n, last = cell.n_vertices, cell.n_vertices - 1
        if n == 7:
            return []
        wired = [x for x, y in cell.edges if y == last]
        kept = [edge for edge in cell.edges if edge[1] != last]
        found: dict[NB101Architecture, None] = {}
        for choice in product(("output", "vertex", "both"), repeat=len(wired)):
            pairs = list(zip(wired, choice, strict=True))
            edges = [
                *kept,
                *((x, n - 1) for x, way in pairs if way != "output"),
                *((x, n) for x, way in pairs if way != "vertex"),
                (n - 1, n),
            ]
            if all(way == "output" for way in choice) or len(edges) > graph.MAX_EDGES:
                continue
            bits = sum(1 << (x + y * (y - 1) // 2) for x, y in edges)
            for op in range(3):
                found[self.canonical(NB101Architecture(n + 1, bits, (*cell.operations, op)))] = None
        return list(found)

    def grown_forms(self, arch: NB101Architecture) -> list[NB101Architecture]:
        return [self.canonical(arch)]

    def smaller(self, arch: NB101Architecture) -> list[NB101Architecture]:
        """The canonical cells without one of the vertices that only the output reads, whose inputs it reads then."""
        cell = self.canonical(arch)
        last = cell.n_vertices - 1
        found: dict[NB101Architecture, None] = {}
        for vertex in range(1, last):
            if any(x == vertex and y != last for x, y in cell.edges):
                continue
            edges = {(x, last if y == vertex else y) for x, y in cell.edges if x != vertex}
            # Vertices behind the one that is gone move up.
            moved = {(x - (x > vertex), y - (y > vertex)) for x, y in edges}
            bits = sum(1 << (x + y * (y - 1) // 2) for x, y in moved)
            operations = (*cell.operations[: vertex - 1], *cell.operations[vertex:])
            found[self.canonical(NB101Architecture(cell.n_vertices - 1, bits, operations))] = None
        return list(found)

    def encode(self, arch: NB101Architecture) -> np.ndarray:
        n = arch.n_vertices
        genome = np.zeros(26, np.int64)
        for x, y in arch.edges:
            y = 6 if y == n - 1 else y
            genome[x + y * (y - 1) // 2] = 1
        genome[21 : 21 + n - 2] = arch.operations
        return genome

    def decode(self, genome: Sequence[int] | np.ndarray) -> NB101Architecture:
        genes = [int(gene) for gene in genome]
        if len(genes) != 26 or any(gene not in (0, 1) for gene in genes[:21]):
            raise ArchitectureError("a NAS-Bench-101 genome is 21 edge bits followed by 5 operation indices")
        return NB101Architecture(7, sum(gene << i for i, gene in enumerate(genes[:21])), tuple(genes[21:]))

    def operation_counts(self, arch: NB101Architecture) -> np.ndarray:
        """Of the pruned cell, int64 [3]."""
        return np.bincount(np.array(arch.pruned().operations, np.int64), minlength=3).astype(np.int64)

    def depth(self, arch: NB101Architecture) -> int:
        """Convolutions on the longest path from input to output (projections not counted)."""
        arch = arch.pruned()
        n = arch.n_vertices
        deepest = [0] * n
        for x, y in arch.edges:  # by target, so that sources are final
            deepest[y] = max(deepest[y], deepest[x] + (y < n - 1 and arch.operations[y - 1] < 2))
        return deepest[-1]

    def paths(self, arch: NB101Architecture) -> list[tuple[str, ...]]:
        """Of the pruned cell: the operations of the interior vertices of each path."""
        cell = arch.pruned()
        last = cell.n_vertices - 1
        reached: list[list[tuple[str, ...]]] = [[()], *([] for _ in range(last))]
        for x, y in cell.edges:  # by target, so that sources are complete
            step = () if y == last else (OPERATIONS[cell.operations[y - 1]],)
            reached[y] += [path + step for path in reached[x]]
        return reached[last]

    def operation_graph(self, arch: NB101Architecture) -> tuple[np.ndarray, np.ndarray]:
        """Of the pruned cell, padded to 7 vertices in front of the output."""
        cell = arch.pruned()
        adjacency, labels = np.zeros((7, 7), np.uint8), np.full(5, -1, np.int64)
        for x, y in cell.edges:
            adjacency[x, 6 if y == cell.n_vertices - 1 else y] = 1
        labels[: len(cell.operations)] = cell.operations
        return adjacency, labels

    def enumerate(self) -> Iterator[NB101Architecture]:
        """All 423,624 canonical cells by ascending module hash, the benchmark's order; half a minute of hashing.

        `nasbench101_graph.enumerate_cells` gives the same cells as arrays, unhashed, in a fraction of a second.
        """
        from nas_lightning.spaces.nasbench101_hashes import module_hashes

        n_vertices, adj_bits, operations = graph.enumerate_cells()
        halves = module_hashes(n_vertices, adj_bits, operations).view(">u8")
        for row in np.lexsort((halves[:, 1], halves[:, 0])):
            n = int(n_vertices[row])
            yield NB101Architecture(n, int(adj_bits[row]), tuple(operations[row, : n - 2].tolist()))

    def permuted(self, arch: NB101Architecture, rng: np.random.Generator) -> tuple[NB101Architecture, ...]:
        arch = arch.pruned()  # the slots of the topology are the vertices that matter
        orders = np.stack([rng.permutation(3) for _ in arch.operations]) if arch.operations else np.zeros((0, 3), int)
        return tuple(
            NB101Architecture(arch.n_vertices, arch.adj_bits, tuple(int(o) for o in orders[:, k])) for k in range(3)
        )

    def admits(self, arch: NB101Architecture, mapping: PlanMapping) -> bool:
        """All cells; with dynamic_channel=off those of the one number of output-wired vertices."""
        if mapping.dynamic_channel != "off":
            return True
        return int(arch.pruned().matrix[1:-1, -1].sum()) == mapping.dynamic_channel_outputs

    def check_mapping(self, mapping: PlanMapping) -> None:
        if mapping.op_placement != "node":
            raise PlanError(
                f"mapping.op_placement={mapping.op_placement} does not exist on {self.name}, whose operations "
                "sit on the vertices by construction; use node"
            )
        super().check_mapping(replace(mapping, op_placement="edge"))

    def table_columns(self, archs: Sequence[NB101Architecture]) -> dict[str, Any]:
        from nas_lightning.spaces.nasbench101_table import encode_nasbench101

        n = np.array([arch.n_vertices for arch in archs], np.uint8)
        bits = np.array([arch.adj_bits for arch in archs], np.uint32)
        operations = np.array([arch.operations + (-1,) * (7 - arch.n_vertices) for arch in archs], np.int8)
        return encode_nasbench101(n, bits, operations.reshape(-1, 5))

    def open_encoding(self, columns: Columns) -> Encoding:
        from nas_lightning.spaces.nasbench101_table import NB101Encoding

        names = ("n_vertices", "adj_bits", "operations", "lookup_code", "lookup_row")
        return NB101Encoding(*(columns.array(name) for name in names))

    def structure_groups(self, arch: NB101Architecture) -> dict[str, str]:
        arch = arch.pruned()
        last = arch.n_vertices - 1
        wired = sum(1 for x, y in arch.edges if y == last and x > 0)
        return {
            "structure": f"{wired} vertices wired to the output" if wired != 1 else "1 vertex wired to the output",
            "edge from input to output": "yes" if (0, last) in arch.edges else "no",
        }

    def _costs(self, archs: list[NB101Architecture], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        pruned = [arch.pruned() for arch in archs]
        return nasbench101_cost(
            np.array([arch.n_vertices for arch in pruned]),
            np.array([arch.adj_bits for arch in pruned]),
            np.array([arch.operations + (-1,) * (7 - arch.n_vertices) for arch in pruned]),
            **shape,
        )


@lru_cache(maxsize=1 << 14)
def _canonical(arch: NB101Architecture) -> NB101Architecture:
    arch = arch.pruned()
    bits, operations = graph.canonical(arch.n_vertices, arch.adj_bits, arch.operations)
    return NB101Architecture(arch.n_vertices, bits, operations)


@lru_cache(maxsize=1 << 14)
def _changed(arch: NB101Architecture, change: tuple[str, int, int, int]) -> NB101Architecture | None:
    """The canonical cell after a change, or None where that is no valid cell.

    Searches mutate the same few parents again and again: most changes have been made before.
    """
    kind, a, b, op = change
    n, operations, edges = arch.n_vertices, list(arch.operations), set(arch.edges)
    if kind == "operation":
        operations[a] = b
    elif kind == "edge":
        edges ^= {(a, b)}
    else:  # the new vertex is n - 1, the output moves up
        edges = {(x, n if y == n - 1 else y) for x, y in edges} | {(a, n - 1), (n - 1, n if b == n - 1 else b)}
        operations.append(op)
        n += 1
    order = _topological(n, edges)
    if order is None or len(edges) > graph.MAX_EDGES:
        return None
    place = {vertex: i for i, vertex in enumerate(order)}
    bits = sum(1 << (place[x] + place[y] * (place[y] - 1) // 2) for x, y in edges)
    if graph.prune(n, bits) is None:
        return None
    return _canonical(NB101Architecture(n, bits, tuple(operations[v - 1] for v in order[1:-1])))


def _topological(n: int, edges: set[tuple[int, int]]) -> list[int] | None:
    """Topological order that starts at vertex 0 and ends at n - 1, or None where there is none."""
    waiting = [0] * n
    for _, y in edges:
        waiting[y] += 1
    order: list[int] = []
    if waiting[0] or any(x == n - 1 for x, _ in edges):
        return None
    ready = [v for v in range(n - 1) if not waiting[v]]
    while ready:
        vertex = ready.pop(0)
        order.append(vertex)
        for x, y in edges:
            if x == vertex:
                waiting[y] -= 1
                if not waiting[y] and y != n - 1:
                    ready.append(y)
    return [*order, n - 1] if len(order) == n - 1 else None
