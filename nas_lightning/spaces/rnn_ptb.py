"""The recurrent cells of DARTS (Liu et al., arXiv 1806.09055, section 3.3) and of random search with weight sharing.

A cell has eight nodes beside its first state s₀, a highway step from the hidden state that reads the input. Node i
reads one earlier state s_p, p < i, through one of four functions f: with (c, u) = s_p W_i it is
s_i = s_p + σ(c)·(f(u) − s_p). The cell's output is the mean of s₁ to s₈. Every node has a matrix W_i of its own, the
same whatever it reads and whatever f is: that is what architectures share, and why all have equally many parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import Any, ClassVar, TypeAlias

import numpy as np

from nas_lightning.spaces.base import ArchitectureError, CellWork, Space
from nas_lightning.spaces.reading import Called, listed, literal, shortened, whole
from nas_lightning.spaces.recipes import Node as RecipeNode
from nas_lightning.spaces.recipes import Recipe, X, previous
from nas_lightning.spaces.rnn_trees import forest_at, forest_of, forests, numbered, numberings

OPERATIONS = ("tanh", "relu", "sigmoid", "identity")
NODES = 8
_APPLIED = ("activation_tanh", "activation_relu", "activation_sigm", "identity")
_INDEX = {name: i for i, name in enumerate(OPERATIONS)}
_CONCAT = list(range(1, NODES + 1))
_FORM = "Genotype(recurrent=[8 pairs ('op', input)], concat=range(1, 9))"

Node: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class RecurrentCell:
    """(operation index, input) of nodes 1 to 8; node i reads one of the states 0 to i − 1."""

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if type(self.nodes) is not tuple or len(self.nodes) != NODES:
            raise ArchitectureError(
                f"a recurrent cell is a tuple of {NODES} (operation, input) pairs, not {shortened(self.nodes)}"
            )
        for i, node in enumerate(self.nodes, start=1):
            if type(node) is not tuple or len(node) != 2:
                raise ArchitectureError(f"node {i} of a recurrent cell is {shortened(node)}, not (operation, input)")
            op, source = node
            if type(op) is not int or not 0 <= op < len(OPERATIONS):
                raise ArchitectureError(
                    f"{shortened(op, 40)} is no operation index of a recurrent cell; use integers from 0 to "
                    f"{len(OPERATIONS) - 1} ({', '.join(OPERATIONS)})"
                )
            if type(source) is not int or not 0 <= source < i:
                raise ArchitectureError(f"node {i} reads {shortened(source, 40)}; it can read states 0 to {i - 1}")

    def __str__(self) -> str:
        """DARTS's own form."""
        pairs = ", ".join(f"('{OPERATIONS[op]}', {source})" for op, source in self.nodes)
        return f"Genotype(recurrent=[{pairs}], concat=range(1, 9))"


class RNNSpace(Space[RecurrentCell]):
    """The 2,642,411,520 cells of random search with weight sharing (Li, Talwalkar, arXiv 1902.07638, section 4.1).

    Cells that differ in the numbers of their nodes alone are isomorphic: 9,345,761 classes, the trees of nine nodes
    below s₀ whose other eight have one of four colours. A super-net gives isomorphic cells other matrices, and scores
    them differently. DARTS's search also offers ``none``; no cell that it derives has it, and none here does.
    """

    name: ClassVar[str] = "rnn_ptb"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    cardinalities: ClassVar[tuple[int, ...]] = tuple(c for i in range(1, NODES + 1) for c in (len(OPERATIONS), i))
    size: ClassVar[int] = len(OPERATIONS) ** NODES * factorial(NODES)
    unique_size: ClassVar[int | None] = 9_345_761
    architecture_type: ClassVar[type] = RecurrentCell
    published: ClassVar[Mapping[str, int]] = {"channels": 850, "layers": 1}
    cell_work: ClassVar[CellWork] = CellWork(9.0, 9.0, 1)
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"layers", "word_dropout", "input_dropout", "cell_dropout", "hidden_dropout", "output_dropout", "hidden_states"}
    )
    lacks: ClassVar[frozenset[str]] = frozenset({"batch_norm", "kernels", "sizes"})
    inputs: ClassVar[str] = "tokens"
    identity_operation: ClassVar[str | None] = None  # a highway step through identity still multiplies by W_i
    network: ClassVar[str | None] = "nas_lightning.nets.rnn_ptb:RecurrentNetwork"

    def parse(self, text: Any) -> RecurrentCell:
        """Reads DARTS's genotypes, as text or as values: ``Genotype(recurrent=[('tanh', 0), …], concat=range(1, 9))``,
        a dictionary with these two keys, or the list of pairs alone.

        Raises:
            ArchitectureError: it names what is wrong.
        """
        if isinstance(text, RecurrentCell):
            return text
        if isinstance(text, str):
            text = literal(text)
        if isinstance(text, Called):
            fields = dict(zip(("recurrent", "concat"), text.arguments, strict=False)) | text.keywords
            if text.name != "Genotype" or len(text.arguments) > 2:
                raise ArchitectureError(f"{shortened(text.name, 40)}(…) is no recurrent cell; expected {_FORM}")
        elif isinstance(text, Mapping):
            fields = dict(text)
        elif hasattr(text, "recurrent"):  # the source's named tuple
            fields = {"recurrent": text.recurrent, "concat": getattr(text, "concat", _CONCAT)}
        else:
            fields = {"recurrent": text}
        if unknown := sorted(set(map(str, fields)) - {"recurrent", "concat"}):
            raise ArchitectureError(f"a recurrent cell has no {shortened(unknown[0], 40)}; expected {_FORM}")
        if "recurrent" not in fields:
            raise ArchitectureError(f"a recurrent cell needs its nodes; expected {_FORM}")
        concat = listed(fields.get("concat", _CONCAT))
        if concat is None or sorted(whole(c, "an entry of concat") for c in concat) != _CONCAT:
            raise ArchitectureError(
                f"concat={shortened(fields['concat'])} leaves nodes out; the output of a cell of this space is the "
                "mean of all 8, concat=range(1, 9)"
            )
        return RecurrentCell(self._nodes(fields["recurrent"]))

    @staticmethod
    def _nodes(value: Any) -> tuple[Node, ...]:
        pairs = [listed(pair) for pair in listed(value) or ()]
        if not pairs or any(pair is None or len(pair) != 2 or not isinstance(pair[0], str) for pair in pairs):
            raise ArchitectureError(f"{shortened(value)} is no recurrent cell; expected {_FORM}")
        if len(pairs) != NODES:
            raise ArchitectureError(f"a recurrent cell of this space has {NODES} nodes, not {len(pairs)}")
        nodes = []
        for op, source in pairs:  # type: ignore[misc]
            if op not in _INDEX:
                raise ArchitectureError(
                    f"{shortened(op, 40)} is no operation of rnn_ptb; the operations are {', '.join(OPERATIONS)}"
                )
            nodes.append((_INDEX[op], whole(source, "an input of a recurrent cell")))
        return tuple(nodes)

    def canonical(self, arch: RecurrentCell) -> RecurrentCell:
        """Subtrees in ascending order, nodes numbered depth first."""
        return RecurrentCell(numbered(forest_of(arch.nodes)))

    def key(self, arch: RecurrentCell) -> str:
        """The canonical member's operations and inputs, two characters a node: ``t0r1r1…``."""
        return "".join(f"{OPERATIONS[op][0]}{source}" for op, source in self.canonical(arch).nodes)

    def members(self, arch: RecurrentCell) -> list[RecurrentCell]:
        return [RecurrentCell(code) for code in numberings(forest_of(arch.nodes))]

    def sample(self, rng: np.random.Generator) -> RecurrentCell:
        return self.decode(rng.integers(np.array(self.cardinalities)))

    def sample_unique(self, rng: np.random.Generator) -> RecurrentCell:
        rank = int(rng.integers(forests(NODES, NODES, len(OPERATIONS))))
        return RecurrentCell(numbered(forest_at(rank, NODES, len(OPERATIONS))))

    def neighbours(self, arch: RecurrentCell) -> list[RecurrentCell]:
        """Another function in one node (24 ways), or another input of one node (28 ways)."""
        return [self._changed(arch, place) for place in range(self._changes())]

    def mutate(self, arch: RecurrentCell, rng: np.random.Generator) -> RecurrentCell:
        return self._changed(arch, int(rng.integers(self._changes())))

    def _changes(self) -> int:
        return sum(limit - 1 for limit in self.cardinalities)

    def _changed(self, arch: RecurrentCell, change: int) -> RecurrentCell:
        genome = self.encode(arch)
        for gene, limit in enumerate(self.cardinalities):
            if change < limit - 1:
                genome[gene] = (genome[gene] + 1 + change) % limit
                break
            change -= limit - 1
        return self.decode(genome)

    def encode(self, arch: RecurrentCell) -> np.ndarray:
        """Operation and input of nodes 1 to 8 in turn, int64 [16]."""
        return np.array(arch.nodes, np.int64).reshape(-1)

    def decode(self, genome: Sequence[int] | np.ndarray) -> RecurrentCell:
        genes = [whole(gene, "a gene of rnn_ptb") for gene in genome]
        if len(genes) != 2 * NODES:
            raise ArchitectureError(f"a genome of rnn_ptb has {2 * NODES} genes, not {len(genes)}")
        return RecurrentCell(tuple(zip(genes[::2], genes[1::2], strict=True)))

    def operation_counts(self, arch: RecurrentCell) -> np.ndarray:
        return np.bincount([op for op, _ in arch.nodes], minlength=len(OPERATIONS)).astype(np.int64)

    def depth(self, arch: RecurrentCell) -> int:
        """Nodes on the longest way from s₀: every one multiplies by a matrix."""
        return max(self._depths(arch))

    @staticmethod
    def _depths(arch: RecurrentCell) -> list[int]:
        """Of every node, from 1."""
        depths = [0]
        for _, source in arch.nodes:
            depths.append(depths[source] + 1)
        return depths[1:]

    def paths(self, arch: RecurrentCell) -> list[tuple[str, ...]]:
        """From s₀ to every node, each of which the output reads."""
        found: list[tuple[str, ...]] = [()]
        for op, source in arch.nodes:
            found.append((*found[source], OPERATIONS[op]))
        return found[1:]

    def operation_graph(self, arch: RecurrentCell) -> tuple[np.ndarray, np.ndarray]:
        graph = np.zeros((NODES + 2, NODES + 2), np.uint8)
        for node, (_, source) in enumerate(arch.nodes, start=1):
            graph[source, node] = graph[node, NODES + 1] = 1
        return graph, np.array([op for op, _ in arch.nodes], np.int64)

    def permuted(self, arch: RecurrentCell, rng: np.random.Generator) -> tuple[RecurrentCell, ...]:
        """Four cells of the same inputs, in which every node has each function once."""
        orders = np.stack([rng.permutation(len(OPERATIONS)) for _ in arch.nodes])  # [node, path]
        sources = [source for _, source in arch.nodes]
        return tuple(
            RecurrentCell(tuple((int(op), s) for op, s in zip(path, sources, strict=True))) for path in orders.T
        )

    def structure_groups(self, arch: RecurrentCell) -> dict[str, str]:
        return {"nodes that read the first state": str(sum(source == 0 for _, source in arch.nodes))}

    def _costs(self, archs: list[RecurrentCell], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of a tied embedding of `num_classes` words, and cells as wide as it; for a sequence of `image_size` words."""
        width, layers, words = shape["channels"], shape["layers"], shape["num_classes"]
        cells = layers * (4 + 2 * NODES) * width * width  # [x, h] W₀ of 2n x 2n, eight W_i of n x 2n
        return (
            np.full(len(archs), words * (width + 1) + cells, np.int64),
            np.full(len(archs), shape["image_size"] * (cells + words * (width + 1)), np.int64),
        )


@lru_cache(maxsize=1024)
def as_recipe(cell: RecurrentCell) -> Recipe:
    """The cell in the form of NAS-Bench-NLP's recipes, five nodes for each of its states: the linear maps c and u,
    σ(c), f(u), and the ``blend`` of these with the state that is read; behind them the mean of the eight.

    Args:
        cell: of this space.

    Returns:
        46 nodes with one hidden state.

    >>> cell = RecurrentCell(((0, 0),) * 8)
    >>> as_recipe(cell).nodes[5:10]
    (('linear', (4,)), ('linear', (4,)), ('activation_sigm', (5,)), ('activation_tanh', (6,)), ('blend', (7, 8, 4)))
    """
    hidden = previous(0)
    nodes: list[RecipeNode] = []
    for op, source in ((0, -1), *cell.nodes):
        read = hidden if source < 0 else 5 * source + 4
        inputs = (X, hidden) if source < 0 else (read,)
        at = len(nodes)
        nodes += [("linear", inputs), ("linear", inputs), ("activation_sigm", (at,)), (_APPLIED[op], (at + 1,))]
        nodes.append(("blend", (at + 2, at + 3, read)))
    nodes.append(("mean", tuple(5 * i + 4 for i in range(1, NODES + 1))))
    return Recipe(tuple(nodes), (len(nodes) - 1,))
