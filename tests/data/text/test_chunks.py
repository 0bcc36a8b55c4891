"""Chunks of a text: every token once and in order, as a function of the step, shared out over ranks."""

import numpy as np
import pytest
import torch

from nas_lightning.data.images import DataError
from nas_lightning.data.text.chunks import ChunkLoader, chunk_lengths, in_order, streams


@pytest.mark.parametrize("tokens", [1, 34, 35, 36, 1000, 4321])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_lengths_cover_the_text_in_equally_many_steps(tokens, share):
    found = [chunk_lengths(tokens, 35, share, (0, epoch)) for epoch in range(6)]
    assert all(lengths.sum() == tokens and lengths.min() >= 1 for lengths in found)
    assert len({len(lengths) for lengths in found}) == 1
    short = [int((lengths[:-1] == 17).sum()) for lengths in found]
    assert short == [min(round(share * len(found[0])), len(found[0]) - 1)] * 6
    if tokens == 4321 and share:
        assert len({tuple(lengths) for lengths in found}) == 6, "which ones are short is drawn anew"


def loader(text, start=0, rank=0, world=1):
    return ChunkLoader(text, 4, 5, short_share=0.2, seed=3, start=lambda: start, rank=rank, world_size=world)


def test_an_epoch_predicts_every_token_of_every_stream_but_the_first():
    text = torch.arange(4 * 50 + 3)
    batches = list(loader(text))
    assert len(batches) == len(loader(text))
    assert (torch.cat([x for x, _ in batches], 1) == streams(text, 4)[:, :-1]).all()
    assert (torch.cat([y for _, y in batches], 1) == streams(text, 4)[:, 1:]).all()


def test_a_resumed_epoch_goes_on_where_it_was():
    text = torch.arange(4 * 50)
    steps = len(loader(text))
    whole = [loader(text).batch(s) for s in range(2 * steps)]
    resumed = [*loader(text, start=steps + 3)]
    assert len(resumed) == steps - 3
    assert all((a[0] == b[0]).all() for a, b in zip(resumed, whole[steps + 3 :], strict=True))


def test_ranks_share_the_streams():
    text = torch.arange(4 * 50)
    whole, parts = loader(text).batch(2), [loader(text, rank=r, world=2).batch(2) for r in range(2)]
    assert (torch.stack([p[0] for p in parts], 1).flatten(0, 1) == whole[0]).all()
    with pytest.raises(DataError, match="does not divide by 3"):
        loader(text, world=3)


def test_evaluation_leaves_nothing_out():
    text = torch.arange(100)
    chunks = in_order(text, 3, 10)
    assert [x.shape[1] for x, _ in chunks] == [10, 10, 10, 2]
    assert torch.cat([y for _, y in chunks], 1).tolist() == [[*range(33 * i + 1, 33 * i + 33)] for i in range(3)]
    assert sum(y.numel() for _, y in chunks) == 3 * 32


def test_a_short_text_is_refused():
    with pytest.raises(DataError, match="5 tokens gives no 4 streams"):
        streams(torch.arange(5), 4)


def test_short_chunks_are_half_as_long_in_the_mean_share():
    lengths = np.concatenate([chunk_lengths(100_000, 35, 0.05, (e,)) for e in range(5)])
    assert abs((lengths == 17).mean() - 0.05) < 0.002
