"""The recurrent language model of DARTS (Liu et al., arXiv 1806.09055, appendix A.2), as super-net and stand-alone.

An embedding, `layers` recurrent cells as wide as it (published: one), and an output layer that shares the embedding's
matrix (Inan et al., arXiv 1611.01462) and has a bias. Words that follow one another are read in chunks; the hidden
state of one chunk's end is where the next one starts.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.base import Network
from nas_lightning.plan import Mapping
from nas_lightning.spaces.rnn_ptb import NODES, OPERATIONS

INITIAL_RANGE = 0.04
"""All matrices start uniform in ±0.04, as in the sources' code."""

FUNCTIONS = (torch.tanh, torch.relu, torch.sigmoid, lambda x: x)
"""In the order of the space's operations."""
assert len(FUNCTIONS) == len(OPERATIONS)


class RecurrentCells(nn.Module):
    """One layer's matrices, shared by all cells: ``first`` [2n, 2n] reads input and hidden state, ``nodes`` [8][n, 2n].

    Of the 2n columns the first n give the gate c, the others what a node's function is applied to.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(2 * width, 2 * width))
        self.nodes = nn.ParameterList(nn.Parameter(torch.empty(width, 2 * width)) for _ in range(NODES))

    def forward(
        self, x: Tensor, h: Tensor, nodes: tuple[tuple[int, int], ...], h_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run one cell over a chunk.

        Args:
            x: inputs [B, T, n], already masked.
            h: hidden state before the chunk [B, n].
            nodes: (operation, input) of every node.
            h_mask: what multiplies the hidden state and every node's input [B, n]; None for nothing.

        Returns:
            The cell's outputs [B, T, n], which are its hidden states, and the last of them [B, n].
        """
        width = h.shape[1]
        read = x @ self.first[:width]  # of all steps at once: [B, T, 2n]
        kept = self.first[width:]
        groups = [(source, operations, self._joined(chosen)) for source, operations, chosen in grouped(nodes)]
        outputs = []
        for step in read.unbind(1):
            c, u = torch.addmm(step, h if h_mask is None else h * h_mask, kept).chunk(2, 1)
            states = {0: torch.lerp(h, torch.tanh(u), torch.sigmoid(c))}
            total = None
            for source, operations, matrix in groups:
                s = states[source]
                gates, values = ((s if h_mask is None else s * h_mask) @ matrix).chunk(2, 1)
                k = sum(len(indices) for _, indices in operations)
                parts, at = [], 0
                for operation, indices in operations:
                    parts.append(FUNCTIONS[operation](values[:, at : at + len(indices) * width]))
                    at += len(indices) * width
                applied = (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).view(-1, k, width)
                new = torch.lerp(s[:, None], applied, torch.sigmoid(gates).view(-1, k, width))  # [B, k, n]
                at = 0
                for _, indices in operations:
                    states.update({node: new[:, at + i] for i, node in enumerate(indices)})
                    at += len(indices)
                total = new.sum(1) if total is None else total + new.sum(1)
            assert total is not None
            h = total / NODES
            outputs.append(h)
        return torch.stack(outputs, 1), h

    def _joined(self, chosen: list[int]) -> Tensor:
        """The matrices of nodes that read one state side by side, all gates first: [n, 2kn]."""
        halves = [self.nodes[node - 1].chunk(2, 1) for node in chosen]
        return torch.cat([gate for gate, _ in halves] + [value for _, value in halves], 1)


Group = tuple[int, list[tuple[int, list[int]]], list[int]]


def grouped(nodes: tuple[tuple[int, int], ...]) -> list[Group]:
    """Nodes that read one state, in the order in which the states are known: (state, [(operation, its nodes)], nodes).

    One product of matrices then serves them all.
    """
    found = []
    for source in sorted({source for _, source in nodes}):
        readers = [(op, node) for node, (op, read) in enumerate(nodes, start=1) if read == source]
        operations = [(op, [n for o, n in readers if o == op]) for op in sorted({op for op, _ in readers})]
        found.append((source, operations, [node for _, chosen in operations for node in chosen]))
    return found


class RecurrentNetwork(Network):
    """Words int64 [B, T] -> logits [B, V, T] of the words that follow them; see the module's docstring.

    Every architecture uses every matrix, so that super-net and stand-alone network have the same tensors. Masks of
    dropout are drawn once for a chunk: of words (a whole row of the embedding), of the embedded words, of a cell's
    input, of its hidden state (which every node's input shares), and of the output, where a super-net's
    ``global_dropout`` has a further one.
    """

    carries_state: ClassVar[bool] = True

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 1, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        width = self.mapping.channels
        self.embedding = nn.Embedding(num_classes, width)
        self.layers = nn.ModuleList(RecurrentCells(width) for _ in range(self.mapping.layers))
        self.classifier = nn.Linear(width, num_classes)
        self.classifier.weight = self.embedding.weight
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE)
            self.classifier.bias.zero_()

    def example_input(self, batch: int, size: int, device: torch.device | str = "cpu") -> Tensor:
        return torch.zeros(batch, size, dtype=torch.int64, device=device)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        """Words [B, T] -> hidden states of the last layer [B, T, n], from `state` to `end_state`."""
        nodes = self.architecture(arch).nodes
        rates, batch, width = self.mapping, len(x), self.mapping.channels
        table = self.embedding.weight
        words = self._mask((self.num_classes, 1), rates.word_dropout, table, shared=True)
        y = F.embedding(x, table if words is None else table * words)
        y = self._masked(y, (batch, 1, width), rates.input_dropout)
        before = y.new_zeros(len(self.layers), batch, width) if self.state is None else self.state
        after = []
        for layer, h in zip(self.layers, before, strict=True):
            y = self._masked(y, (batch, 1, width), rates.cell_dropout)
            y, last = layer(y, h, nodes, self._mask((batch, width), rates.hidden_dropout, y))
            after.append(last)
        self.end_state = torch.stack(after).detach()
        self.hidden_states = y if self.training else None
        return y

    def classify(self, features: Tensor, arch: Any = None) -> Tensor:
        """Hidden states [B, T, n] -> logits [B, V, T]."""
        logits: Tensor = self.classifier(self.drop_global(features))
        return logits.transpose(1, 2)

    def drop_global(self, x: Tensor) -> Tensor:
        shape = (len(x), 1, x.shape[-1])
        return self._masked(self._masked(x, shape, self.mapping.output_dropout), shape, self.mapping.global_dropout)

    def _masked(self, x: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
        mask = self._mask(shape, rate, x)
        return x if mask is None else x * mask

    def _mask(self, shape: tuple[int, ...], rate: float, like: Tensor, shared: bool = False) -> Tensor | None:
        """0 with probability `rate`, else 1 / (1 − rate), so that the expectation stays; None where nothing drops."""
        if rate == 0.0 or not self.training:
            return None
        return (self._uniform(shape, like, shared=shared) >= rate).to(like.dtype) / (1.0 - rate)
