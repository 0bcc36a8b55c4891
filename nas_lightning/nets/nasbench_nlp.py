"""The language model of NAS-Bench-NLP (Klyuchnikov et al., arXiv 2006.07116): stand-alone networks."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nas_lightning.nets.language_model import LanguageModel
from nas_lightning.plan import Mapping
from nas_lightning.spaces.nasbench_nlp import STATES, layer_widths
from nas_lightning.spaces.recipes import Recipe, X, canonical

INITIAL_RANGE = 0.1
"""The embedding starts uniform in ±0.1, matrices and biases of the cells in ±1/√n, as in the source's code."""


@lru_cache(maxsize=1024)
def linear_numbers(recipe: Recipe) -> dict[int, int]:
    """Node -> which of the recipe's linear nodes it is."""
    linear = [node for node, (operation, _) in enumerate(recipe.nodes) if operation == "linear"]
    return {node: k for k, node in enumerate(linear)}


class RecipeCells(nn.Module):
    """One layer's matrices: of the k-th linear node of the recipe ``x[k]`` [e, n] for the step's input, ``states[k-s]``
    [n, n] for the s-th other input, and ``biases[k]`` [n]."""

    def __init__(self, inputs: int, width: int, recipe: Recipe) -> None:
        super().__init__()
        reads = [sources for operation, sources in recipe.nodes if operation == "linear"]
        self.x = nn.ParameterDict({str(k): torch.empty(inputs, width) for k, read in enumerate(reads) if X in read})
        self.states = nn.ParameterDict(
            {
                f"{k}-{s}": torch.empty(width, width)
                for k, read in enumerate(reads)
                for s in range(len(read) - (X in read))
            }
        )
        self.biases = nn.ParameterDict({str(k): torch.empty(width) for k in range(len(reads))})
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def matrix(self, recipe: Recipe, node: int, slot: int) -> Tensor:
        k, sources = linear_numbers(recipe)[node], recipe.nodes[node][1]
        if sources[slot] == X:
            return self.x[str(k)]
        return self.states[f"{k}-{sum(source != X for source in sources[:slot])}"]

    def bias(self, recipe: Recipe, node: int) -> Tensor:
        found: Tensor = self.biases[str(linear_numbers(recipe)[node])]
        return found


class NLPNetwork(LanguageModel):
    """Layers as wide as `channels`, the embedding and the last layer two thirds of that. Between layers the rate of
    ``cell_dropout`` drops; where the source drops entries of the matrices that read hidden states (``weight drop``),
    ``hidden_dropout`` drops what they read."""

    most_states: ClassVar[int] = STATES

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 1, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        with torch.no_grad():
            self.embedding.weight.uniform_(-INITIAL_RANGE, INITIAL_RANGE)
            self.classifier.bias.zero_()

    def layer_widths(self) -> tuple[int, ...]:
        return layer_widths(self.mapping.channels, self.mapping.layers)

    def new_layer(self, inputs: int, width: int) -> RecipeCells:
        return RecipeCells(inputs, width, canonical(self.arch))

    def recipe(self, arch: Any) -> Recipe:
        return canonical(arch)

    def cell_rate(self, layer: int) -> float:
        return self.mapping.cell_dropout if layer else 0.0
