"""Recurrent cells as recipes: the graphs of NAS-Bench-NLP (Klyuchnikov et al., arXiv 2006.07116), a node an operation.

Every recurrent cell of this package can be written so. DARTS's highway node, s_i = s_p + σ(c)·(f(u) − s_p), is a
``blend`` of σ(c), f(u) and s_p.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nas_lightning.spaces.errors import ArchitectureError
from nas_lightning.spaces.reading import listed, shortened

ARITIES: Mapping[str, tuple[int, int]] = {
    "linear": (1, 3),
    "blend": (3, 3),
    "elementwise_prod": (2, 2),
    "elementwise_sum": (2, 2),
    "activation_tanh": (1, 1),
    "activation_sigm": (1, 1),
    "activation_leaky_relu": (1, 1),
    "activation_relu": (1, 1),
    "identity": (1, 1),
    "mean": (1, 100),
}
"""Fewest and most inputs of an operation. ``linear`` has a matrix for every input; ``blend`` of z, a, b is
z·a + (1 − z)·b. The last three are DARTS's, and none of NAS-Bench-NLP's."""
COMMUTATIVE = frozenset({"linear", "elementwise_prod", "elementwise_sum", "mean"})
X = -1
"""As an input: what the cell reads at this step."""


def previous(j: int) -> int:
    """As an input: the hidden state before the step, ``h_prev_j``.

    Args:
        j: which one, from 0.

    Returns:
        A number below `X`.
    """
    return -2 - j


Node = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, order=True)
class Recipe:
    """A cell as a graph.

    Args:
        nodes: (operation, inputs) of every node: an input is an earlier node's number, `X`, or a `previous` state.
        outputs: the nodes that are the hidden states after the step, ``h_new_0`` (the cell's output), ``h_new_1``, ….

    Raises ArchitectureError for a graph that cannot be computed, or in which something leads nowhere.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.outputs or len(set(self.outputs)) < len(self.outputs):
            raise ArchitectureError("a recipe needs a node of its own for every hidden state, h_new_0 at least")
        if any(type(node) is not int or not 0 <= node < len(self.nodes) for node in self.outputs):
            raise ArchitectureError(f"the hidden states {shortened(self.outputs)} are no nodes of the recipe")
        for number, (operation, inputs) in enumerate(self.nodes):
            self._check(number, operation, inputs)
        read = reached(dict(enumerate(self.nodes)), self.outputs)
        missing = [X, *map(previous, range(len(self.outputs))), *range(len(self.nodes))]
        if lost := [source for source in missing if source not in read]:
            raise ArchitectureError(f"no hidden state of the recipe depends on {source_name(lost[0])}")

    def _check(self, number: int, operation: str, inputs: tuple[int, ...]) -> None:
        if operation not in ARITIES:
            raise ArchitectureError(
                f"{shortened(operation, 40)} is no operation of a recipe; the operations are {', '.join(ARITIES)}"
            )
        low, high = ARITIES[operation]
        if not low <= len(inputs) <= high:
            many = str(low) if low == high else f"{low} to {high}"
            raise ArchitectureError(f"{operation} reads {many} inputs, not {len(inputs)}")
        if len(set(inputs)) < len(inputs):
            raise ArchitectureError(f"node {number} of the recipe, {operation}, reads one input twice")
        for source in inputs:
            if type(source) is not int or not previous(len(self.outputs) - 1) <= source < number:
                raise ArchitectureError(
                    f"node {number} of the recipe reads {shortened(source, 40)}; it can read x, "
                    f"{len(self.outputs)} hidden states and the nodes before it"
                )
            if source == X and operation != "linear":
                raise ArchitectureError(f"{operation} reads x, whose width is its own; only linear can read it")

    @property
    def names(self) -> list[str]:
        """Of the nodes: ``h_new_j`` for the hidden states, ``node_i`` for the others."""
        states = {node: f"h_new_{j}" for j, node in enumerate(self.outputs)}
        return [states.get(i, f"node_{i}") for i in range(len(self.nodes))]

    def __str__(self) -> str:
        """NAS-Bench-NLP's own form: a JSON object, node -> operation and inputs."""
        names = self.names
        return json.dumps(
            {
                names[i]: {"op": op, "input": [names[s] if s >= 0 else source_name(s) for s in inputs]}
                for i, (op, inputs) in enumerate(self.nodes)
            }
        )


def source_name(source: int) -> str:
    """What an input is called.

    Args:
        source: a node's number, `X`, or a `previous` state.

    Returns:
        ``node i``, ``x`` or ``h_prev_j``.
    """
    return f"node {source}" if source >= 0 else "x" if source == X else f"h_prev_{-2 - source}"


def reached(nodes: Mapping[Any, tuple[str, Sequence[Any]]], outputs: Sequence[Any]) -> set[Any]:
    """All that the outputs depend on.

    Args:
        nodes: name -> (operation, names of inputs).
        outputs: names of nodes.

    Returns:
        Names, those of the outputs included; what has no entry in `nodes` ends a way.
    """
    todo, found = list(outputs), set[Any]()
    while todo:
        source = todo.pop()
        if source not in found:
            found.add(source)
            todo += nodes[source][1] if source in nodes else ()
    return found


def assembled(nodes: Mapping[Any, tuple[str, Sequence[Any]]], outputs: Sequence[Any]) -> Recipe:
    """A recipe from nodes by name, in any order; what no output depends on is left out.

    Args:
        nodes: name -> (operation, inputs), which are names, or numbers below zero for what is given.
        outputs: names of the hidden states after the step.

    Returns:
        The recipe, its nodes in an order in which they can be computed.

    Raises:
        ArchitectureError: nodes read one another in a circle, or what is not there, or an output is not there.
    """
    needed = reached(nodes, outputs)
    wanted = [name for name in nodes if name in needed]
    order: dict[Any, int] = {}
    while len(order) < len(wanted):
        before = len(order)
        for name in wanted:
            if name not in order and all(_known(source, order) for source in nodes[name][1]):
                order[name] = len(order)
        if len(order) == before:
            stuck = next(name for name in wanted if name not in order)
            odd = [s for s in nodes[stuck][1] if s not in nodes and not _known(s, order)]
            said = f"reads {shortened(odd[0], 40)}, which is not there" if odd else "is part of a circle"
            raise ArchitectureError(f"{shortened(str(stuck), 40)} of the recipe {said}")
    made = [(nodes[name][0], tuple(s if _given(s) else order[s] for s in nodes[name][1])) for name in order]
    if missing := [name for name in outputs if name not in order]:
        raise ArchitectureError(f"the recipe has no node {shortened(str(missing[0]), 40)}")
    return Recipe(tuple(made), tuple(order[name] for name in outputs))


def _given(source: Any) -> bool:
    return type(source) is int and source < 0


def _known(source: Any, order: Mapping[Any, int]) -> bool:
    return _given(source) or source in order


def from_json(value: Any) -> Recipe:
    """The recipe that NAS-Bench-NLP's JSON says.

    Args:
        value: ``{"f": {"op": "linear", "input": ["x", "h_prev_0"]}, "h_new_0": …}`` as a mapping.

    Returns:
        The recipe without what leads nowhere, its nodes in an order in which they can be computed.

    Raises:
        ArchitectureError: for anything else.
    """
    form = '{"f": {"op": "linear", "input": ["x", "h_prev_0"]}, "h_new_0": {"op": "activation_tanh", "input": ["f"]}}'
    if not isinstance(value, Mapping) or not value or not all(isinstance(name, str) for name in value):
        raise ArchitectureError(f"{shortened(value)} is no recipe; expected {form}")
    states = sum(_state(name, "h_new_") is not None for name in value)
    nodes: dict[str, tuple[str, list[Any]]] = {}
    for name, node in value.items():
        inputs = listed(node.get("input")) if isinstance(node, Mapping) and set(node) == {"op", "input"} else None
        if inputs is None or not isinstance(node["op"], str) or not all(isinstance(source, str) for source in inputs):
            raise ArchitectureError(f"{shortened(name, 40)} of the recipe is {shortened(node)}; expected {form}")
        nodes[name] = (node["op"], [_source(source) for source in inputs])
    return assembled(nodes, [f"h_new_{j}" for j in range(max(1, states))])


def _state(name: str, prefix: str) -> int | None:
    """The number behind a prefix, None where there is none."""
    number = name.removeprefix(prefix) if name.startswith(prefix) else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 3 else None


def _source(name: str) -> int | str:
    if name == "x":
        return X
    j = _state(name, "h_prev_")
    return name if j is None else previous(j)


@lru_cache(maxsize=4096)
def canonical(recipe: Recipe) -> Recipe:
    """The one form of all recipes that differ in the order of their nodes, or of inputs that commute.

    Nodes are told apart by what they read and what reads them, as far as that goes (colour refinement); of those that
    are left alike each is tried as the first one, and the smallest result is taken.

    Args:
        recipe: any member of the class.

    Returns:
        The member that stands for it.
    """
    readers: list[list[tuple[int, int]]] = [[] for _ in recipe.nodes]
    for number, (operation, inputs) in enumerate(recipe.nodes):
        for slot, source in enumerate(inputs):
            if source >= 0:
                readers[source].append((number, 0 if operation in COMMUTATIVE else slot))
    place = {node: j for j, node in enumerate(recipe.outputs)}
    start = [(op, place.get(i, -1)) for i, (op, _) in enumerate(recipe.nodes)]
    return _smallest(recipe, _ranks(start), readers)


def _smallest(recipe: Recipe, colours: list[int], readers: list[list[tuple[int, int]]]) -> Recipe:
    colours = _refined(recipe, colours, readers)
    alike: dict[int, list[int]] = {}
    for node, colour in enumerate(colours):
        alike.setdefault(colour, []).append(node)
    several = min((colour for colour, nodes in alike.items() if len(nodes) > 1), default=None)
    if several is None:
        return _ordered(recipe, colours)
    return min(
        _smallest(recipe, [2 * c - (node == first) for node, c in enumerate(colours)], readers)
        for first in alike[several]
    )


def _refined(recipe: Recipe, colours: list[int], readers: list[list[tuple[int, int]]]) -> list[int]:
    while True:
        signs = []
        for node, (operation, inputs) in enumerate(recipe.nodes):
            read = [(s >= 0, colours[s] if s >= 0 else -s) for s in inputs]
            by = sorted((colours[reader], slot) for reader, slot in readers[node])
            signs.append((colours[node], sorted(read) if operation in COMMUTATIVE else read, by))
        found = _ranks(signs)
        if max(found) == max(_ranks(colours)):
            return found
        colours = found


def _ranks(keys: Sequence[Any]) -> list[int]:
    """The place of every key among the different ones in ascending order."""
    distinct: list[Any] = []
    for key in sorted(keys):
        if not distinct or distinct[-1] != key:
            distinct.append(key)
    return [distinct.index(key) for key in keys]


def _ordered(recipe: Recipe, colours: list[int]) -> Recipe:
    """The nodes anew in the order in which they can be computed, of several the one of the smallest colour first."""
    waiting = [sum(source >= 0 for source in inputs) for _, inputs in recipe.nodes]
    ready = [(colours[node], node) for node, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    order: dict[int, int] = {}
    while ready:
        _, node = heapq.heappop(ready)
        order[node] = len(order)
        for other, (_, inputs) in enumerate(recipe.nodes):
            if node in inputs:
                waiting[other] -= 1
                if not waiting[other]:
                    heapq.heappush(ready, (colours[other], other))
    nodes = []
    for node in order:
        operation, inputs = recipe.nodes[node]
        moved = [order[source] if source >= 0 else source for source in inputs]
        if operation in COMMUTATIVE:
            moved.sort(key=lambda source: (source >= 0, abs(source)))
        nodes.append((operation, tuple(moved)))
    return Recipe(tuple(nodes), tuple(order[node] for node in recipe.outputs))
