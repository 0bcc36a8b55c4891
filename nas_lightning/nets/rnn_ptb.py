"""The recurrent language model of DARTS (Liu et al., arXiv 1806.09055, appendix A.2), as super-net and stand-alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.nets.language_model import LanguageModel
from nas_lightning.plan import Mapping
from nas_lightning.spaces.recipes import Recipe
from nas_lightning.spaces.rnn_ptb import NODES, as_recipe

INITIAL_RANGE = 0.04
"""All matrices start uniform in ±0.04, as in the sources' code."""


class RecurrentCells(nn.Module):
    """One layer's matrices, shared by all cells: ``first`` [2n, 2n] reads input and hidden state, ``nodes`` [8][n, 2n].

    Of the 2n columns the first n give the gate c, the others what a node's function is applied to.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Parameter(torch.empty(2 * width, 2 * width))
        self.nodes = nn.ParameterList(nn.Parameter(torch.empty(width, 2 * width)) for _ in range(NODES))

    def matrix(self, recipe: Recipe, node: int, slot: int) -> Tensor:
        """Of the five nodes of `as_recipe` that are one of the cell's, the first two are linear: c, then u."""
        place, half = divmod(node, 5)
        rows = self.nodes[place - 1] if place else self.first[slot * self.width : (slot + 1) * self.width]
        return rows[:, half * self.width : (half + 1) * self.width]

    def bias(self, recipe: Recipe, node: int) -> None:
        """There is none."""


class RecurrentNetwork(LanguageModel):
    """As wide as its embedding. Every architecture uses every matrix, so that super-net and stand-alone network have
    the same tensors."""

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 1, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE)
            self.classifier.bias.zero_()

    def layer_widths(self) -> tuple[int, ...]:
        return (self.mapping.channels,) * self.mapping.layers

    def new_layer(self, inputs: int, width: int) -> RecurrentCells:
        return RecurrentCells(width)

    def recipe(self, arch: Any) -> Recipe:
        return as_recipe(arch)
