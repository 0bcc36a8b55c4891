"""A plain LSTM of torch, of the size of a recurrent cell, trained on the same chunks: what a cell is compared with.

    python -m perf.plain_lstm --epochs 10 --seeds 0 1 2

One layer, input and output matrix tied, everything uniform in ±0.04 at the start, SGD without momentum as the plan of
the space has it. Its width is the largest whose parameters do not exceed the cell's. Prints the seeds' perplexities.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn

from nas_lightning.data.text.topics import PythonTopics
from nas_lightning.runs.quality import Quality

RANGE = 0.04


class PlainLSTM(nn.Module):
    """Words int64 [B, T] and a state -> logits [B, V, T] and the state after them."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.output = nn.Linear(width, words)
        self.output.weight = self.embedding.weight
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -RANGE, RANGE)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, state = self.lstm(self.embedding(x), state)
        h, c = state
        return self.output(hidden).transpose(1, 2), (h.detach(), c.detach())


def width_for(words: int, parameters: int) -> int:
    """The largest width whose V(n + 1) + 8n² + 8n parameters do not exceed so many."""
    width = 1
    while words * (width + 2) + 8 * (width + 1) ** 2 + 8 * (width + 1) <= parameters:
        width += 1
    return width


def perplexity(network: PlainLSTM, data: PythonTopics, split: str, streams: int) -> float:
    """Of all tokens of a split, the state carried from chunk to chunk."""
    quality: Quality = data.quality
    network.eval()
    total, items, state = 0.0, 0, None
    with torch.inference_mode():
        for inputs, targets in data.evaluation_batches(streams, split=split):
            logits, state = network(inputs, state)
            total += float(data.sums(logits, targets)[0])
            items += data.count_items(targets)
    network.train()
    return quality.show(total / items)


def trained(data: PythonTopics, width: int, *, epochs: int, rate: float, clip: float, seed: int) -> PlainLSTM:
    """SGD on the chunks of `data`, at a constant rate in proportion to the chunk's length."""
    torch.manual_seed(seed)
    data.seed = seed
    network, loader, state = PlainLSTM(data.num_outputs, width), data.loader(), None
    for step in range(epochs * len(loader)):
        inputs, targets = loader.batch(step)
        logits, state = network(inputs, state if step % len(loader) else None)
        network.zero_grad()
        data.loss(logits, targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), clip)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= rate * data.rate_factor(inputs) * parameter.grad
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--parameters", type=int, default=36_980, help="of the cell: width 32, 500 words")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--clip", type=float, default=0.25)
    parser.add_argument("--streams", type=int, default=200, help="of the evaluation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = PythonTopics()
    data.batch_size = given.batch
    width = width_for(data.num_outputs, given.parameters)
    for seed in given.seeds:
        network = trained(data, width, epochs=given.epochs, rate=given.rate, clip=given.clip, seed=seed)
        found = {split: perplexity(network, data, split, given.streams) for split in ("validation", "test")}
        size = sum(p.numel() for p in network.parameters())
        shown = ", ".join(f"{split} {value:.1f}" for split, value in found.items())
        print(f"LSTM of width {width}, {size:,} parameters, seed {seed}: perplexity {shown}", flush=True)


if __name__ == "__main__":
    main()
