"""What recurrent language models share: embedding, dropouts, layers of cells, carried states, tied output layer."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.base import Network
from nas_lightning.nets.interpreter import Matrices, compiled
from nas_lightning.plan import Mapping
from nas_lightning.spaces.recipes import Recipe


class LanguageModel(Network):
    """Words int64 [B, T] -> logits [B, V, T] of the words that follow them.

    An embedding, `layers` recurrent cells, and an output layer that shares the embedding's matrix (Inan et al., arXiv
    1611.01462) and has a bias. Words that follow one another are read in chunks; the hidden states of one chunk's end
    are where the next one starts. Masks of dropout are drawn once for a chunk: of words (a whole row of the embedding),
    of the embedded words, of a cell's input, of its hidden states (which every state that a matrix reads shares), and
    of the output, where a super-net's ``global_dropout`` has a further one.

    A subclass says how wide its layers are (`layer_widths`), makes them (`new_layer`), and knows the recipe of an
    architecture.
    """

    carries_state: ClassVar[bool] = True
    most_states: ClassVar[int] = 1
    """Hidden states that one layer may have."""
    classifier: nn.Linear

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 1, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        self.widths = self.layer_widths()
        width = self.widths[-1]
        self.embedding = nn.Embedding(num_classes, width)
        self.layers = nn.ModuleList(
            self.new_layer(before, own) for before, own in zip((width, *self.widths), self.widths, strict=False)
        )
        self.classifier = nn.Linear(width, num_classes)
        self.classifier.weight = self.embedding.weight

    @abstractmethod
    def layer_widths(self) -> tuple[int, ...]:
        """Of the hidden states of every layer; the last one is as wide as the embedding, whose matrix is tied."""

    @abstractmethod
    def new_layer(self, inputs: int, width: int) -> nn.Module:
        """The matrices of a layer (`nas_lightning.nets.interpreter.Matrices`) that reads `inputs` numbers a step."""

    @abstractmethod
    def recipe(self, arch: Any) -> Recipe:
        """The cell of `arch` as the interpreter runs it."""

    def cell_rate(self, layer: int) -> float:
        """Drop rate of what the cells of a layer read of the step's input."""
        return self.mapping.cell_dropout

    def example_input(self, batch: int, size: int, device: torch.device | str = "cpu") -> Tensor:
        return torch.zeros(batch, size, dtype=torch.int64, device=device)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        """Words [B, T] -> hidden states of the last layer [B, T, n], from `state` to `end_state`.

        These are [layers · most_states, B, channels]; what a layer or a cell does not have of them is zero.
        """
        program = compiled(self.recipe(self.architecture(arch)))
        rates, batch = self.mapping, len(x)
        table = self.embedding.weight
        words = self._mask((self.num_classes, 1), rates.word_dropout, table, shared=True)
        y = F.embedding(x, table if words is None else table * words)
        y = self._masked(y, (batch, 1, y.shape[-1]), rates.input_dropout)
        before = y.new_zeros(self._shape(batch)) if self.state is None else self.state
        after = before.new_zeros(before.shape)
        for i, (layer, width) in enumerate(zip(self.layers, self.widths, strict=True)):
            y = self._masked(y, (batch, 1, y.shape[-1]), self.cell_rate(i))
            first = i * self.most_states
            states = [before[first + j, :, :width] for j in range(len(program.recipe.outputs))]
            mask = self._mask((batch, width), rates.hidden_dropout, y)
            with torch.autocast(y.device.type, enabled=False):  # what is carried from step to step keeps its precision
                y, ends = program.run(y, states, cast(Matrices, layer), mask)
            for j, end in enumerate(ends):
                after[first + j, :, :width] = end.detach()
        self.end_state = after
        self.hidden_states = y if self.training else None
        return y

    def _shape(self, batch: int) -> tuple[int, int, int]:
        return len(self.layers) * self.most_states, batch, self.mapping.channels

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
