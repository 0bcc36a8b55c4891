"""The plain LSTM that recurrent cells are compared with: its size, and a perplexity that is known."""

import pytest
import torch

from nas_lightning.data.text.topics import PythonTopics
from perf.plain_lstm import PlainLSTM, perplexity, width_for


def test_its_size_is_at_most_the_cells():
    assert width_for(500, 36_980) == 42
    sizes = [sum(p.numel() for p in PlainLSTM(500, width).parameters()) for width in (42, 43)]
    assert sizes[0] == 35_948 <= 36_980 < sizes[1]


def test_without_weights_its_perplexity_is_the_vocabularys_size():
    network = PlainLSTM(500, 2)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    assert perplexity(network, PythonTopics(), "test", 200) == pytest.approx(500)
