"""Cells that are highway steps alone, DARTS's recurrent ones: a whole chunk forward and backward as one operation.

PyTorch's own graph of a chunk has some 3,000 small operations, whose bookkeeping costs more than their arithmetic. Here
what is elementwise is computed for all steps at once on the way back, and a matrix gets its gradient by one product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_lightning.spaces.recipes import Recipe, X, previous

FUNCTIONS: Mapping[str, tuple[Callable[[Tensor, Tensor], object], Callable[[Tensor], Tensor]]] = {
    "activation_tanh": (lambda u, out: torch.tanh(u, out=out), lambda y: 1 - y * y),
    "activation_sigm": (lambda u, out: torch.sigmoid(u, out=out), lambda y: y * (1 - y)),
    "activation_relu": (lambda u, out: torch.clamp_min(u, 0, out=out), lambda y: (y > 0).to(y.dtype)),
    "identity": (lambda u, out: out.copy_(u), torch.ones_like),
}
"""Operation -> (what writes f(u) to its second argument, f' at u as a function of f(u))."""


@dataclass(frozen=True)
class Group:
    """The k highways that start from one state, in slots that lie beside one another.

    Args:
        source: slot of that state; None for the cell's hidden state.
        first: slot of the first of them.
        blends: numbers of their gates' linear nodes in the recipe; those of the values follow each.
        functions: (operation, first, behind the last) among the k.
    """

    source: int | None
    first: int
    blends: tuple[int, ...]
    functions: tuple[tuple[str, int, int], ...]

    @property
    def slots(self) -> slice:
        return slice(self.first, self.first + len(self.blends))

    def matrix(self, recipe: Recipe, of: Callable[[Recipe, int, int], Tensor]) -> Tensor:
        """[n, 2kn]: the gates' columns, then the values'.

        Args:
            recipe: of the cell.
            of: gives the matrix of a linear node and slot of its input.
        """
        slot = 0 if self.source is not None else 1  # the first one reads (x, h)
        return torch.cat([of(recipe, node + half, slot) for half in (0, 1) for node in self.blends], 1)


@dataclass(frozen=True)
class HighwayCell:
    """Slot 0 reads the step's input and the hidden state; the others are a tree below it, and the output their mean."""

    groups: tuple[Group, ...]
    slots: int

    def run(self, read: Tensor, state: Tensor, mask: Tensor | None, matrices: list[Tensor]) -> Tensor:
        """Run the cell over a chunk.

        Args:
            read: what slot 0 gets of the inputs [B, T, 2n], gates and values.
            state: hidden state before the chunk [B, n].
            mask: what multiplies every state that a matrix reads [B, n]; None for nothing.
            matrices: of the groups, `Group.matrix`.

        Returns:
            The outputs [B, T, n]; the last one is the hidden state after the chunk.
        """
        outputs: Tensor = _Chunk.apply(self, torch.is_grad_enabled(), read, state, mask, *matrices)
        return outputs


def highway_cell(recipe: Recipe) -> HighwayCell | None:
    """The recipe as such a cell.

    Args:
        recipe: any.

    Returns:
        None where it is another kind of cell: as `nas_lightning.spaces.rnn_ptb.as_recipe` writes one, blocks of five
        nodes (the maps c and u, σ(c), f(u), their ``blend`` with what is read), and the mean of all but the first.
    """
    nodes, hidden = recipe.nodes, previous(0)
    blocks, rest = divmod(len(nodes), 5)
    if rest != 1 or recipe.outputs != (len(nodes) - 1,):
        return None
    if nodes[-1] != ("mean", tuple(range(9, len(nodes) - 1, 5))):
        return None
    readers: dict[int, list[int]] = {}  # state that is read -> blocks
    for block in range(blocks):
        at = 5 * block
        read = hidden if block == 0 else nodes[at][1][0]
        linear = ("linear", (X, hidden) if block == 0 else (read,))
        blend = ("blend", (at + 2, at + 3, read))
        if block and (read < 0 or read % 5 != 4):
            return None
        if [*nodes[at : at + 3], nodes[at + 4]] != [linear, linear, ("activation_sigm", (at,)), blend]:
            return None
        if nodes[at + 3][0] not in FUNCTIONS or nodes[at + 3][1] != (at + 1,):
            return None
        readers.setdefault(read, []).append(block)
    groups, slots = [], 0
    slot_of: dict[int, int | None] = {hidden: None}
    for read in sorted(readers, key=lambda state: -1 if state == hidden else state):  # a state before those below it
        ordered = sorted(readers[read], key=lambda block: list(FUNCTIONS).index(nodes[5 * block + 3][0]))
        names = [nodes[5 * block + 3][0] for block in ordered]
        functions = tuple((f, names.index(f), names.index(f) + names.count(f)) for f in dict.fromkeys(names))
        groups.append(Group(slot_of[read], slots, tuple(5 * block for block in ordered), functions))
        for block in ordered:
            slot_of[5 * block + 4] = slots
            slots += 1
    return HighwayCell(tuple(groups), slots)


class _Chunk(torch.autograd.Function):
    """Of every slot and step: the gate g = σ(c), the value a = f(u), and the state s = r + g·(a − r) above r.

    Views of all steps are made at once (`unbind`): one a step would cost as much as the arithmetic.
    """

    @staticmethod
    def forward(
        ctx: Any, cell: HighwayCell, kept: bool, read: Tensor, state: Tensor, mask: Tensor | None, *matrices: Tensor
    ) -> Tensor:
        batch, length, width = len(read), read.shape[1], state.shape[1]
        shape = (length if kept else 1, batch, cell.slots, width)
        states, gates, values = (read.new_empty(shape) for _ in range(3))
        outputs = read.new_empty(batch, length, width)

        def steps(tensor: Tensor) -> tuple[Tensor, ...]:
            return tensor.unbind(0) if kept else (tensor[0],) * length

        reads, ends = read.unbind(1), outputs.unbind(1)
        hidden = (state, *ends)
        below = steps(states[:, :, 1:])
        todo = []
        for group, matrix in zip(cell.groups, matrices, strict=True):
            found = read.new_empty((batch, 2, len(group.blends), width))
            applied = [
                (FUNCTIONS[f][0], found[:, 1, first:end], steps(values[:, :, group.first + first : group.first + end]))
                for f, first, end in group.functions
            ]
            source = hidden if group.source is None else steps(states[:, :, group.source])
            source_above = (
                [s[:, None] for s in hidden] if group.source is None else steps(states[:, :, group.source, None])
            )
            filled = tuple(steps(tensor[:, :, group.slots]) for tensor in (states, gates, values))
            todo.append(
                (
                    group.source is None,
                    matrix,
                    found.view(batch, -1),
                    found[:, 0],
                    applied,
                    source,
                    source_above,
                    filled,
                )
            )
        for t in range(length):
            for reads_x, matrix, found, found_gate, applied, source, above, (own_state, own_gate, own_value) in todo:
                masked = source[t] if mask is None else source[t] * mask
                if reads_x:
                    torch.addmm(reads[t], masked, matrix, out=found)
                else:
                    torch.mm(masked, matrix, out=found)
                torch.sigmoid(found_gate, out=own_gate[t])
                for function, u, own in applied:
                    function(u, own[t])
                torch.lerp(above[t], own_value[t], own_gate[t], out=own_state[t])
            torch.mean(below[t], 1, out=ends[t])
        if kept:
            ctx.cell = cell
            ctx.save_for_backward(state, mask, states, gates, values, outputs, *matrices)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        state, mask, states, gates, values, outputs, *matrices = ctx.saved_tensors
        cell: HighwayCell = ctx.cell
        length, batch, slots, width = states.shape
        passed = 1 - gates  # ds/dr, but for what goes through the matrix
        hidden = torch.cat([state[None], outputs[:, :-1].transpose(0, 1)])
        sources = [hidden if group.source is None else states[:, :, group.source] for group in cell.groups]  # [T, B, n]
        of_gate, of_value = torch.empty_like(states), torch.empty_like(states)  # ds/dc, ds/du
        for group, source in zip(cell.groups, sources, strict=True):
            torch.sub(values[:, :, group.slots], source[:, :, None], out=of_gate[:, :, group.slots])
            for function, first, end in group.functions:
                own = slice(group.first + first, group.first + end)
                of_value[:, :, own] = FUNCTIONS[function][1](values[:, :, own])
        of_gate *= gates * passed
        of_value *= gates
        found = [states.new_empty((length, batch, 2, len(group.blends), width)) for group in cell.groups]
        wanted = states.new_empty(batch, slots, width)  # of one step: d loss / d s
        of_first, of_others = wanted[:, 0], wanted[:, 1:]
        todo = [
            (
                wanted[:, group.slots],
                *(tensor[:, :, group.slots].unbind(0) for tensor in (of_gate, of_value, passed)),
                *(into[:, :, half].unbind(0) for half in (0, 1)),
                into.view(length, batch, -1).unbind(0),
                matrix.t(),
                None if group.source is None else wanted[:, group.source],
            )
            for group, into, matrix in zip(cell.groups, found, matrices, strict=True)
        ][::-1]
        share = (gradient / (slots - 1)).unbind(1)
        carried = torch.zeros_like(state)
        for t in reversed(range(length)):
            of_first.zero_()
            of_others.copy_(torch.add(share[t], carried, alpha=1 / (slots - 1))[:, None])
            for own, by_gate, by_value, through, into_gate, into_value, into, back, source in todo:
                torch.mul(own, by_gate[t], out=into_gate[t])
                torch.mul(own, by_value[t], out=into_value[t])
                below = into[t] @ back
                if mask is not None:
                    below *= mask
                below += (own * through[t]).sum(1)
                if source is None:
                    carried = below
                else:
                    source += below
        masked = [source if mask is None else source * mask for source in sources]
        of_matrices = [
            source.reshape(-1, width).t() @ into.view(length * batch, -1)
            for source, into in zip(masked, found, strict=True)
        ]
        of_read = found[0].view(length, batch, 2 * width).transpose(0, 1)
        return None, None, of_read, carried, None, *of_matrices
