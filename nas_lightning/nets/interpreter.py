"""The interpreter of recurrent cells: it runs a recipe over a chunk, whatever network its matrices belong to.

A recipe is compiled once. What its nodes read of the step's input is one product for the whole chunk; all matrices that
read one state are one product a step; and nodes that are highway steps from one state, blends of σ(c), f(u) and the
state itself, are computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.nets.highways import HighwayCell, highway_cell
from nas_lightning.spaces.recipes import Recipe, X, previous

FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "activation_tanh": torch.tanh,
    "activation_sigm": torch.sigmoid,
    "activation_leaky_relu": F.leaky_relu,
    "activation_relu": torch.relu,
    "identity": lambda x: x,
    "elementwise_prod": torch.mul,
    "elementwise_sum": torch.add,
    "blend": lambda z, a, b: torch.lerp(b, a, z),
}
"""All operations without matrices but ``mean``. Leaky ReLU has torch's slope, 0.01, as in the source."""


class Matrices(Protocol):
    """The weights of one layer: of the linear node with this number in the recipe, ``slot`` its input's place."""

    def matrix(self, recipe: Recipe, node: int, slot: int) -> Tensor:
        """[width of the input, n]."""

    def bias(self, recipe: Recipe, node: int) -> Tensor | None:
        """[n], or None where the layer has none."""


@dataclass(frozen=True)
class Product:
    """What the linear nodes `targets`, (node, slot) each, get of the state `source`: columns of n in their order.

    The first `with_x` of them read the step's input as well, from column `x_from` of its product. The last ones are the
    gates and then the values of `highways`, (function, blend nodes) each.
    """

    source: int
    targets: tuple[tuple[int, int], ...]
    with_x: int
    x_from: int
    highways: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Linear:
    """A linear node that is no highway's: its columns, (source, column) each; source `X` is the step's input."""

    node: int
    parts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Apply:
    """A node without matrices."""

    node: int
    operation: str
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Mean:
    """The mean of whole groups of highways (by their source), and of single nodes."""

    node: int
    groups: tuple[int, ...]
    singles: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class Program:
    """A compiled recipe: the linear nodes that read the step's input, in the order of its columns, and what to do."""

    recipe: Recipe
    reads_x: tuple[tuple[int, int], ...]
    instructions: tuple[Product | Linear | Apply | Mean, ...]
    cell: HighwayCell | None = None
    """The recipe as highway steps alone, where it is nothing else."""

    def run(
        self, x: Tensor, states: list[Tensor], layer: Matrices, mask: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the cell over a chunk.

        Args:
            x: inputs [B, T, e], already masked.
            states: hidden states before the chunk, [B, n] each, as many as the recipe has.
            layer: the matrices.
            mask: what multiplies every state that a matrix reads [B, n]; None for nothing.

        Returns:
            The outputs [B, T, n], which are the first hidden states, and all hidden states after the chunk.
        """
        if self.cell is not None:
            return self._highways(self.cell, x, states[0], layer, mask=mask)
        recipe, width = self.recipe, states[0].shape[1]
        joined = {
            step.source: torch.cat([layer.matrix(recipe, node, slot) for node, slot in step.targets], 1)
            for step in self.instructions
            if isinstance(step, Product)
        }
        biases = {
            step.source: self._bias(layer, step, joined[step.source])
            for step in self.instructions
            if isinstance(step, Product)
        }
        read = x @ torch.cat([layer.matrix(recipe, node, slot) for node, slot in self.reads_x], 1)  # [B, T, k·n]
        first = [layer.bias(recipe, node) for node, _ in self.reads_x]
        if any(bias is not None for bias in first):
            read = read + torch.cat([read.new_zeros(width) if bias is None else bias for bias in first])
        outputs = []
        for step_read in read.unbind(1):
            known = {previous(j): state for j, state in enumerate(states)}
            products: dict[int, Tensor] = {X: step_read}
            groups: dict[int, Tensor] = {}
            for step in self.instructions:
                if isinstance(step, Product):
                    self._multiply(
                        step, known, products, groups, matrix=joined[step.source], bias=biases[step.source], mask=mask
                    )
                elif isinstance(step, Linear):
                    parts = [products[source][:, at * width : (at + 1) * width] for source, at in step.parts]
                    known[step.node] = parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])
                elif isinstance(step, Apply):
                    known[step.node] = FUNCTIONS[step.operation](*(known[source] for source in step.inputs))
                else:
                    summed = [groups[source].sum(1) for source in step.groups] + [known[i] for i in step.singles]
                    known[step.node] = sum(summed[1:], summed[0]) / step.count
            states = [known[node] for node in recipe.outputs]
            outputs.append(states[0])
        return torch.stack(outputs, 1), states

    def _highways(
        self, cell: HighwayCell, x: Tensor, state: Tensor, layer: Matrices, mask: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        read = x @ torch.cat([layer.matrix(self.recipe, node, 0) for node in (0, 1)], 1)  # [B, T, 2n]
        outputs = cell.run(read, state, mask, [group.matrix(self.recipe, layer.matrix) for group in cell.groups])
        return outputs, [outputs[:, -1]]

    @staticmethod
    def _multiply(
        step: Product,
        known: dict[int, Tensor],
        products: dict[int, Tensor],
        groups: dict[int, Tensor],
        *,
        matrix: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
    ) -> None:
        state = known[step.source]
        width, masked = state.shape[1], state if mask is None else state * mask
        of_x = products[X][:, step.x_from * width : (step.x_from + step.with_x) * width] if step.with_x else None
        if of_x is not None and bias is None and step.with_x == len(step.targets):
            found = torch.addmm(of_x, masked, matrix)
        else:
            found = masked @ matrix if bias is None else torch.addmm(bias, masked, matrix)
            if of_x is not None:
                found = torch.cat([found[:, : of_x.shape[1]] + of_x, found[:, of_x.shape[1] :]], 1)
        products[step.source] = found
        if not step.highways:
            return
        k = sum(len(nodes) for _, nodes in step.highways)
        values, parts, at = found[:, -k * width :], [], 0
        gates = found[:, found.shape[1] - 2 * k * width : found.shape[1] - k * width]
        for function, nodes in step.highways:
            parts.append(FUNCTIONS[function](values[:, at : at + len(nodes) * width]))
            at += len(nodes) * width
        applied = (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).view(-1, k, width)
        new = torch.lerp(state[:, None], applied, torch.sigmoid(gates).view(-1, k, width))  # [B, k, n]
        groups[step.source] = new
        blends = [node for _, nodes in step.highways for node in nodes]
        known.update({node: new[:, i] for i, node in enumerate(blends)})

    def _bias(self, layer: Matrices, step: Product, matrix: Tensor) -> Tensor | None:
        """What a product adds to its columns: every node's bias is added by the first product that it is part of."""
        width = matrix.shape[1] // len(step.targets)
        found = []
        for node, slot in step.targets:
            first = min(i for i, source in enumerate(self.recipe.nodes[node][1]) if source != X)
            takes = slot == first and X not in self.recipe.nodes[node][1]
            found.append(layer.bias(self.recipe, node) if takes else None)
        if all(bias is None for bias in found):
            return None
        return torch.cat([matrix.new_zeros(width) if bias is None else bias for bias in found])


@lru_cache(maxsize=1024)
def compiled(recipe: Recipe) -> Program:
    """How a recipe is run."""
    return _Compiler(recipe).program()


class _Compiler:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.linear = {i: inputs for i, (op, inputs) in enumerate(recipe.nodes) if op == "linear"}
        self.highways = self._find_highways()  # blend node -> (source, gate, value, function)
        self.inside = {n for blend, (_, gate, value, _) in self.highways.items() for n in self._of(blend, gate, value)}
        self.reads_x: list[tuple[int, int]] = []
        self.columns: dict[tuple[int, int], int] = {}  # (source, linear node) -> column of the source's product
        self.added: set[int] = set()  # linear nodes of which the step's input is in a state's product already
        self.done: list[Product | Linear | Apply | Mean] = []

    def _of(self, blend: int, gate: int, value: int) -> tuple[int, ...]:
        z, a, _ = self.recipe.nodes[blend][1]
        return blend, z, a, gate, value

    def _find_highways(self) -> dict[int, tuple[int, int, int, str]]:
        """Blends of σ(c), f(u) and s in which c and u are linear in s alone, and nothing else reads what is between."""
        nodes = self.recipe.nodes
        readers: dict[int, int] = {}
        for _, inputs in nodes:
            for source in inputs:
                readers[source] = readers.get(source, 0) + 1
        private = {i for i in range(len(nodes)) if readers.get(i) == 1 and i not in self.recipe.outputs}
        found = {}
        for blend, (operation, inputs) in enumerate(nodes):
            if operation != "blend" or inputs[0] not in private or inputs[1] not in private:
                continue
            (gate_op, gate), (function, value), source = nodes[inputs[0]], nodes[inputs[1]], inputs[2]
            if gate_op != "activation_sigm" or not (function.startswith("activation") or function == "identity"):
                continue
            pair = (gate[0], value[0])
            if all(node in private and node in self.linear and self.linear[node] == (source,) for node in pair):
                found[blend] = (source, gate[0], value[0], function)
        return found

    def program(self) -> Program:
        for node, inputs in self.linear.items():
            if inputs == (X,):
                self._column_of_x(node)
        for j in range(len(self.recipe.outputs)):
            self._multiply(previous(j))
        for node, (operation, inputs) in enumerate(self.recipe.nodes):
            if node in self.inside:  # computed with the product that its highway reads
                if node in self.highways:
                    self._multiply(node)
                continue
            if operation == "linear":
                parts = [(source, self.columns[source, node]) for source in inputs if source != X]
                if X in inputs and node not in self.added:
                    parts.append((X, self.columns[X, node]))
                self.done.append(Linear(node, tuple(parts)))
            elif operation == "mean":
                self.done.append(self._mean(node, inputs))
            else:
                self.done.append(Apply(node, operation, inputs))
            self._multiply(node)
        return Program(self.recipe, tuple(self.reads_x), tuple(self.done), highway_cell(self.recipe))

    def _column_of_x(self, node: int) -> None:
        self.columns[X, node] = len(self.reads_x)
        self.reads_x.append((node, self.linear[node].index(X)))

    def _multiply(self, source: int) -> None:
        """The product of a state that is known by now, and the highways that start from it."""
        blends = [blend for blend, (state, *_) in self.highways.items() if state == source]
        functions = sorted({self.highways[blend][3] for blend in blends}, key=list(FUNCTIONS).index)
        groups = tuple((f, tuple(b for b in blends if self.highways[b][3] == f)) for f in functions)
        ordered = [blend for _, chosen in groups for blend in chosen]
        others = [node for node, inputs in self.linear.items() if source in inputs and node not in self.inside]
        with_x = [node for node in others if X in self.linear[node] and (X, node) not in self.columns]
        x_from = len(self.reads_x)
        for node in with_x:
            self._column_of_x(node)
            self.added.add(node)
        plain = [*with_x, *(node for node in others if node not in with_x)]
        targets = [(node, self.linear[node].index(source)) for node in plain]
        targets += [(self.highways[blend][1], 0) for blend in ordered]
        targets += [(self.highways[blend][2], 0) for blend in ordered]
        if not targets:
            return
        for column, node in enumerate(plain):
            self.columns[source, node] = column
        self.done.append(Product(source, tuple(targets), len(with_x), x_from, highways=groups))

    def _mean(self, node: int, inputs: tuple[int, ...]) -> Mean:
        groups, singles = [], set(inputs)
        for step in self.done:
            members = {b for _, nodes in step.highways for b in nodes} if isinstance(step, Product) else set()
            if members and members <= singles:
                groups.append(step.source)  # type: ignore[union-attr]
                singles -= members
        return Mean(node, tuple(groups), tuple(sorted(singles)), len(inputs))
