"""NAS-Bench-NLP (Klyuchnikov et al., arXiv 2006.07116): recurrent cells as free graphs of seven operations.

A cell reads x and up to three hidden states of the step before. ``linear`` has a matrix for each of its two or three
inputs and a bias, and is the only operation that reads x. What is sampled here is what the benchmark's own generator
gives: one to three hidden states and 7, 14 or 21 further vertices, of which those that lead nowhere are taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any, ClassVar

import numpy as np

from nas_lightning.spaces.base import ArchitectureError, CellWork, Space
from nas_lightning.spaces.reading import LONGEST, literal, whole
from nas_lightning.spaces.recipes import Recipe, X, assembled, canonical, from_json, previous

OPERATIONS = (
    "linear",
    "blend",
    "elementwise_prod",
    "elementwise_sum",
    "activation_tanh",
    "activation_sigm",
    "activation_leaky_relu",
)
ACTIVATIONS = OPERATIONS[4:]
STATES = 3
PLACES = 25
"""Nodes of the largest recipe that the generator makes: 21 vertices, 3 hidden states, and one activation above."""
_ARITY = {"linear": (2, 3), "blend": (3, 3), "elementwise_prod": (2, 2), "elementwise_sum": (2, 2)}
_GIVEN = (X, *map(previous, range(STATES)))
_INDEX = {name: i for i, name in enumerate(OPERATIONS)}


class NLPSpace(Space[Recipe]):
    """Recipes of up to 25 nodes and 3 hidden states.

    Two recipes are isomorphic where they differ in the names and order of nodes, in the order of inputs that commute,
    or in nodes that lead nowhere: these are left out when a recipe is read. Architectures are kept in the one canonical
    form of their class. Nobody has counted the classes.

    A genome has for each of the 25 places an operation (0 for none) and three inputs (0 for none; x, the three hidden
    states, then the places before), and behind them the places of the hidden states. `size` counts genomes, most of
    which are no recipe.

    The network is the benchmark's: three layers, 600 wide, the embedding and the last layer two thirds of that.
    """

    name: ClassVar[str] = "nasbench_nlp"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    cardinalities: ClassVar[tuple[int, ...]] = (
        *(c for i in range(PLACES) for c in (len(OPERATIONS) + 1, *(1 + len(_GIVEN) + i,) * 3)),
        *(PLACES + 1,) * STATES,
    )
    size: ClassVar[int] = prod(cardinalities)
    unique_size: ClassVar[int | None] = None
    architecture_type: ClassVar[type] = Recipe
    published: ClassVar[Mapping[str, int]] = {"channels": 600, "layers": 3}
    cell_work: ClassVar[CellWork] = CellWork(12.0, 12.0, 1)
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"layers", "word_dropout", "input_dropout", "cell_dropout", "hidden_dropout", "output_dropout", "hidden_states"}
    )
    lacks: ClassVar[frozenset[str]] = frozenset({"batch_norm", "kernels"})
    inputs: ClassVar[str] = "tokens"
    network: ClassVar[str | None] = "nas_lightning.nets.nasbench_nlp:NLPNetwork"
    no_supernet: ClassVar[str | None] = (
        "nodes of two recipes do not correspond, and one recipe in fifty overflows before any training, which ends "
        "shared weights"
    )

    def parse(self, text: Any) -> Recipe:
        """Reads the benchmark's recipes, JSON text or the dictionary itself.

        Raises:
            ArchitectureError: it names what is wrong.
        """
        if isinstance(text, str):
            text = _read(text)
        return self._checked(text if isinstance(text, Recipe) else from_json(text))

    @staticmethod
    def _checked(recipe: Recipe) -> Recipe:
        """The canonical form of a recipe of this space."""
        if len(recipe.nodes) > PLACES or len(recipe.outputs) > STATES:
            raise ArchitectureError(
                f"the recipe has {len(recipe.nodes)} nodes and {len(recipe.outputs)} hidden states; nasbench_nlp has "
                f"up to {PLACES} and {STATES}"
            )
        for operation, inputs in recipe.nodes:
            if operation not in _INDEX:
                raise ArchitectureError(
                    f"{operation} is no operation of nasbench_nlp; the operations are {', '.join(OPERATIONS)}"
                )
            if operation == "linear" and len(inputs) < 2:
                raise ArchitectureError("linear reads 2 or 3 inputs in nasbench_nlp, not 1")
        return canonical(recipe)

    def canonical(self, arch: Recipe) -> Recipe:
        return canonical(arch)

    def key(self, arch: Recipe) -> str:
        """The canonical form's nodes in short: ``linear(x,h0);tanh(0)>1``."""
        form = canonical(arch)
        nodes = (f"{op.split('_')[-1]}({','.join(map(_short, inputs))})" for op, inputs in form.nodes)
        return f"{';'.join(nodes)}>{','.join(map(str, form.outputs))}"

    def members(self, arch: Recipe) -> list[Recipe]:
        """The canonical form: numberings and names make no other architecture here."""
        return [canonical(arch)]

    def sample(self, rng: np.random.Generator) -> Recipe:
        """By the benchmark's generator: not uniform over anything."""
        while True:
            states, further = int(rng.integers(1, STATES + 1)), int(rng.choice([7, 14, 21]))
            found = _generated(rng, states, further)
            if found is not None:
                return canonical(found)

    def sample_unique(self, rng: np.random.Generator) -> Recipe:
        """As `sample`: classes cannot be drawn uniformly, for nobody has counted them."""
        return self.sample(rng)

    # -- changes

    def neighbours(self, arch: Recipe) -> list[Recipe]:
        """Another operation, another input, one input of a linear node more or less, another node as a hidden state, a
        node put in between, or one taken out; what then leads nowhere goes, too."""
        found: dict[Recipe, None] = {}
        for change in _changes(arch):
            if (other := self._changed(change)) is not None:
                found[other] = None
        found.pop(canonical(arch), None)
        return list(found)

    def mutate(self, arch: Recipe, rng: np.random.Generator) -> Recipe:
        """One change, uniform over changes, of which several may lead to one recipe."""
        changes, own = list(_changes(arch)), canonical(arch)
        while True:
            other = self._changed(changes[int(rng.integers(len(changes)))])
            if other is not None and other != own:
                return other

    def _changed(self, change: tuple[dict[int, tuple[str, list[int]]], list[int]]) -> Recipe | None:
        try:
            return self._checked(assembled(*change))
        except ArchitectureError:
            return None

    def smallest(self) -> list[Recipe]:
        """There is none: recipes do not grow gene by gene.

        Raises:
            ArchitectureError: always, since no recipe is part of all others.
        """
        raise ArchitectureError(
            "recipes of nasbench_nlp do not grow gene by gene, which progressive searches need; choose another one"
        )

    # -- encodings

    def encode(self, arch: Recipe) -> np.ndarray:
        form = canonical(arch)
        genome = np.zeros(len(self.cardinalities), np.int64)
        for place, (operation, inputs) in enumerate(form.nodes):
            genome[4 * place] = 1 + _INDEX[operation]
            for slot, source in enumerate(inputs):
                genome[4 * place + 1 + slot] = -source if source < 0 else 1 + len(_GIVEN) + source
        for j, node in enumerate(form.outputs):
            genome[4 * PLACES + j] = 1 + node
        return genome

    def decode(self, genome: Sequence[int] | np.ndarray) -> Recipe:
        genes = [whole(gene, "a gene of nasbench_nlp") for gene in genome]
        if len(genes) != len(self.cardinalities):
            raise ArchitectureError(f"a genome of nasbench_nlp has {len(self.cardinalities)} genes, not {len(genes)}")
        for gene, limit in zip(genes, self.cardinalities, strict=True):
            if not 0 <= gene < limit:
                raise ArchitectureError(f"a gene of this genome is {gene}; it lies in 0 to {limit - 1}")
        nodes: dict[int, tuple[str, list[int]]] = {}
        for place in range(PLACES):
            operation, *read = genes[4 * place : 4 * place + 4]
            if operation:
                sources = [-s if s <= len(_GIVEN) else s - 1 - len(_GIVEN) for s in read if s]
                nodes[place] = (OPERATIONS[operation - 1], sources)
        states = genes[4 * PLACES :]
        outputs = [state - 1 for state in states if state]
        if not outputs or any(states[len(outputs) :]) or any(node not in nodes for node in outputs):
            raise ArchitectureError("the hidden states of this genome are no nodes of it")
        return self._checked(assembled(nodes, outputs))

    def operation_counts(self, arch: Recipe) -> np.ndarray:
        return np.bincount([_INDEX[op] for op, _ in arch.nodes], minlength=len(OPERATIONS)).astype(np.int64)

    def depth(self, arch: Recipe) -> int:
        """Linear nodes on the longest way to the output, h_new_0."""
        depths: list[int] = []
        for operation, inputs in arch.nodes:
            before = max((depths[source] for source in inputs if source >= 0), default=0)
            depths.append(before + (operation == "linear"))
        return depths[arch.outputs[0]]

    def operation_graph(self, arch: Recipe) -> tuple[np.ndarray, np.ndarray]:
        """x and the hidden states before the step are the input; those after it make the output."""
        graph = np.zeros((PLACES + 2, PLACES + 2), np.uint8)
        operations = np.full(PLACES, -1, np.int64)
        for node, (operation, inputs) in enumerate(arch.nodes):
            operations[node] = _INDEX[operation]
            for source in inputs:
                graph[max(0, source + 1), node + 1] = 1
        graph[[node + 1 for node in arch.outputs], PLACES + 1] = 1
        return graph, operations

    def structure_groups(self, arch: Recipe) -> dict[str, str]:
        return {"hidden states": str(len(arch.outputs))}

    def _costs(self, archs: list[Recipe], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        """The numbers that the benchmark gives; multiply-accumulates of a sequence of `image_size` words."""
        widths, words = layer_widths(shape["channels"], shape["layers"]), shape["num_classes"]
        parameters, products = [], []
        for arch in archs:
            linear = [inputs for operation, inputs in arch.nodes if operation == "linear"]
            matrices = sum(
                (before if source == X else own) * own
                for before, own in zip((widths[-1], *widths), widths, strict=False)
                for inputs in linear
                for source in inputs
            )
            biases = len(linear) * sum(widths)
            parameters.append(matrices + biases + words * (widths[-1] + 1))
            products.append(shape["image_size"] * (matrices + words * (widths[-1] + 1)))
        return np.array(parameters, np.int64), np.array(products, np.int64)


def layer_widths(channels: int, layers: int) -> tuple[int, ...]:
    """Widths of the layers' hidden states.

    Args:
        channels: of all layers but the last.
        layers: how many.

    Returns:
        A width a layer; the last one is the embedding's, whose matrix is tied to the output.

    >>> layer_widths(600, 3)
    (600, 600, 400)
    """
    return (channels,) * (layers - 1) + (max(1, channels * 2 // 3),)


def _short(source: int) -> str:
    return str(source) if source >= 0 else "x" if source == X else f"h{-2 - source}"


def _read(text: str) -> Any:
    if len(text) <= LONGEST:
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return literal(text)  # a Python dictionary, or what it says is wrong


def _generated(rng: np.random.Generator, states: int, further: int) -> Recipe | None:
    """What the benchmark's RecepieGenerator draws, or None where it is not one of its recipes: all inputs must matter,
    and no hidden state may be passed on by an operation without a matrix between."""
    nodes: dict[Any, tuple[str, list[Any]]] = {}
    given = [X, *map(previous, range(states))]
    activations: list[int] = []
    count = 0
    while count < states + further:
        operation = str(rng.choice(OPERATIONS[:4], p=[0.5, 1 / 6, 1 / 6, 1 / 6]))
        if operation == "linear":
            sources = [*given, *activations]
            many = min(int(rng.choice([2, 3], p=[0.8, 0.2])), len(sources))
            nodes[count] = (operation, _some(rng, sources, many))
            nodes[count + 1] = (str(rng.choice(ACTIVATIONS)), [count])
            activations.append(count + 1)
            count += 2
            continue
        sources = [*given[1:], *nodes]
        many = 3 if operation == "blend" else 2
        if many <= len(sources):
            nodes[count] = (operation, _some(rng, sources, many))
            count += 1
    outputs = _some(rng, list(nodes), states)
    if any(source < X for node in outputs for source in nodes[node][1]):
        return None
    try:
        return assembled(nodes, outputs)
    except ArchitectureError:
        return None


def _some(rng: np.random.Generator, sources: list[int], many: int) -> list[int]:
    return [sources[i] for i in rng.choice(len(sources), many, replace=False).tolist()]


def _changes(arch: Recipe) -> Iterator[tuple[dict[int, tuple[str, list[int]]], list[int]]]:
    """Nodes and outputs after every elementary change; some are no recipe."""
    nodes = {i: (op, list(inputs)) for i, (op, inputs) in enumerate(arch.nodes)}
    outputs, count = list(arch.outputs), len(arch.nodes)
    given = [X, *map(previous, range(len(outputs)))]

    def with_node(node: int, operation: str, inputs: list[int]) -> tuple[dict[int, tuple[str, list[int]]], list[int]]:
        return nodes | {node: (operation, inputs)}, outputs

    for node, (operation, inputs) in nodes.items():
        alike = ACTIVATIONS if operation in ACTIVATIONS else OPERATIONS[2:4] if operation in OPERATIONS[2:4] else ()
        for other in alike:
            if other != operation:
                yield with_node(node, other, inputs)
        sources = [s for s in (*given, *nodes) if s not in inputs and s != node and (s != X or operation == "linear")]
        for slot, read in enumerate(inputs):
            for source in sources:
                yield with_node(node, operation, [*inputs[:slot], source, *inputs[slot + 1 :]])
            if operation == "linear" and len(inputs) > 2:
                yield with_node(node, operation, inputs[:slot] + inputs[slot + 1 :])
            if read == X:
                continue
            inserted = [*inputs[:slot], count, *inputs[slot + 1 :]]
            for new in (*((activation, [read]) for activation in ACTIVATIONS), ("linear", [X, read])):
                yield nodes | {node: (operation, inserted), count: new}, outputs
            # without this node: what read it reads its input
            bypassed = {n: (op, [read if s == node else s for s in own]) for n, (op, own) in nodes.items() if n != node}
            yield bypassed, [read if output == node else output for output in outputs]
        if operation == "linear" and len(inputs) < 3:
            for source in sources:
                yield with_node(node, operation, [*inputs, source])
    for j in range(len(outputs)):
        for node in nodes:
            if node not in outputs:
                yield nodes, [*outputs[:j], node, *outputs[j + 1 :]]
