"""The recurrent network by hand, in both roles, over chunks, and under dropout."""

import numpy as np
import pytest
import torch
from torch import nn

from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space

SPACE = get_space("rnn_ptb")
FUNCTIONS = (torch.tanh, torch.relu, torch.sigmoid, nn.Identity())
WORDS, WIDTH = 11, 5


def network(**edits):
    torch.manual_seed(0)
    plan = Plan().edited(
        {"mapping.channels": WIDTH, "mapping.layers": 1, **{k.replace("__", "."): v for k, v in edits.items()}}
    )
    found = build_network("rnn_ptb", plan, WORDS, 1).double().eval()
    for parameter in found.parameters():  # larger than they start, so that a wrong function shows
        parameter.data = torch.rand_like(parameter) * 2 - 1
    return found


def cells(n, seed=0):
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(n)]


def text(batch=3, length=12):
    return torch.randint(0, WORDS, (batch, length), generator=torch.Generator().manual_seed(1))


def by_hand(net, words, cell):
    """DARTS's cell as its paper writes it, step by step; logits [B, V, T]."""
    h, outputs = torch.zeros(len(words), WIDTH, dtype=torch.float64), []
    for t in range(words.shape[1]):
        x, states = net.embedding.weight[words[:, t]], []
        for layer in net.layers:
            c, u = (torch.cat([x, h], 1) @ layer.first).chunk(2, 1)
            states = [h + torch.sigmoid(c) * (torch.tanh(u) - h)]
            for (op, source), matrix in zip(cell.nodes, layer.nodes, strict=True):
                c, u = (states[source] @ matrix).chunk(2, 1)
                states.append(states[source] + torch.sigmoid(c) * (FUNCTIONS[op](u) - states[source]))
        h = torch.stack(states[1:]).mean(0)
        outputs.append(h @ net.embedding.weight.T + net.classifier.bias)
    return torch.stack(outputs, 2)


def test_logits_are_those_computed_by_hand():
    net, words = network(), text()
    for cell in cells(6):
        torch.testing.assert_close(net(words, cell), by_hand(net, words, cell), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("operation", "added"), [("tanh", 0.0), ("sigmoid", 0.25)])
def test_zero_weights_and_a_chain(operation, added):
    """σ(0) = ½ halves the state at s₀ and at every node: the mean of h/4, …, h/512 is h·255/4096; f(0) adds f(0)/2 a
    node to what is halved on: (1 − 2^−i)·f(0) at node i."""
    net = network()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    h = torch.randn(1, 3, WIDTH, dtype=torch.float64)
    net.state = h
    output = net.features(text(length=1), SPACE.parse([(operation, i) for i in range(8)]))[:, 0]
    expected = h[0] * 255 / 4096 + 2 * added * np.mean([1 - 0.5**i for i in range(1, 9)])
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("layers", [1, 2])
def test_subnet_equals_standalone_in_double_precision(layers):
    net, words = network(mapping__layers=layers), text()
    for cell in cells(6, seed=1):
        torch.testing.assert_close(net.standalone(cell)(words), net(words, cell), rtol=0, atol=1e-10)
    assert {n: p.shape for n, p in net.named_parameters()} == {
        n: p.shape for n, p in net.standalone(cells(1)[0]).named_parameters()
    }


def test_the_embedding_is_the_output_layer():
    net = network()
    assert net.standalone(cells(1)[0]).classifier.weight is not net.classifier.weight
    assert net.classifier.weight is net.embedding.weight
    assert sum(p.numel() for p in net.parameters()) == SPACE.parameters(
        cells(1)[0], channels=WIDTH, layers=1, num_classes=WORDS
    )


@pytest.mark.parametrize(("width", "parameters"), [(300, 4_810_000), (850, 22_960_000)])
def test_the_published_genotype_has_the_published_size_at_ten_thousand_words(width, parameters):
    cell = SPACE.parse(
        "DARTS_V2 = Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2), "
        "('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat=range(1, 9))"
    )
    plan = Plan().edited({"mapping.channels": width, "mapping.layers": 1})
    net = build_network("rnn_ptb", plan, 10_000, 1, arch=cell)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_starts_uniform_in_the_sources_range():
    torch.manual_seed(0)
    plan = Plan().edited({"mapping.channels": 40, "mapping.layers": 1})
    net = build_network("rnn_ptb", plan, 50, 1)
    matrices = torch.cat([p.flatten() for name, p in net.named_parameters() if "bias" not in name])
    assert 0.0399 < float(matrices.detach().abs().max()) <= 0.04
    assert abs(float(matrices.detach().std()) - 0.04 / 3**0.5) < 3e-4
    assert not net.classifier.bias.any()


def test_chunks_with_a_carried_state_equal_one_long_pass():
    net, words, cell = network(mapping__layers=2), text(), cells(1, seed=2)[0]
    whole = net(words, cell)
    assert torch.equal(net(words, cell), whole), "every pass starts from the same state until another one is set"
    end, parts = net.end_state, []
    for part in words.split([5, 4, 3], 1):
        parts.append(net(part, cell))
        net.state = net.end_state
    torch.testing.assert_close(torch.cat(parts, 2), whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(net.end_state, end, rtol=0, atol=1e-13)
    net.state = None
    assert (net(words[:, 5:], cell) - whole[:, :, 5:]).abs().max() > 1e-3, "the state matters"


def test_gradients_go_back_to_the_cut_and_no_further():
    """Of the second chunk's loss: those of one long pass whose state is cut there by hand."""
    net, words, cell = network(), text(), cells(1, seed=3)[0]
    net(words[:, :7], cell)
    net.state = start = net.end_state
    assert not start.requires_grad
    net(words[:, 7:], cell).square().mean().backward()
    found = net.layers[0].first.grad.clone()
    net.zero_grad()
    one = network()
    one.state = start.clone()
    one(words[:, 7:], cell).square().mean().backward()
    torch.testing.assert_close(found, one.layers[0].first.grad, rtol=0, atol=0)
    net.state = None
    net.zero_grad()
    net(words, cell)[:, :, 7:].square().mean().backward()
    assert (net.layers[0].first.grad - found).abs().max() > 1e-6, "uncut gradients are others"


def test_mixed_precision_is_of_the_output_layer_alone():
    """What is carried from step to step would add up the rounding of 8 bits."""
    net, words, cell = network().float().train(), text(), cells(1, seed=5)[0]
    expected = net.features(words, cell)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(words, cell)
    assert logits.dtype == torch.bfloat16
    assert torch.equal(net.hidden_states, expected)
    logits.float().square().mean().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters())


def test_every_matrix_gets_a_gradient_whatever_the_cell():
    net = network()
    net(text(), cells(1, seed=4)[0]).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def test_masks_of_dropout_stand_still_over_time_and_follow_the_key():
    net = network(mapping__output_dropout=0.5).train()
    net.set_draw(3, 7)
    dropped = net.drop_global(torch.ones(4, 6, WIDTH, dtype=torch.float64))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[:, :1]).all()
    net.set_draw(3, 7)
    assert (net.drop_global(torch.ones(4, 6, WIDTH, dtype=torch.float64)) == dropped).all()
    assert (net.eval().drop_global(torch.ones(4, 6, WIDTH)) == 1).all()


def test_a_dropped_word_is_dropped_wherever_it_occurs():
    net = network(mapping__word_dropout=0.5).train()
    words = torch.zeros(4, 3, dtype=torch.int64)
    words[1] = 1
    cell = cells(1)[0]
    for step in range(20):  # a dropped word reads as zeros: what zeros in the embedding give
        net.set_draw(0, step)
        seen = net.features(words, cell)
        assert (seen[0] == seen[2]).all()
    rows = {round(float(seen[0].detach().sum()), 9)}
    for step in range(20):
        net.set_draw(0, step)
        rows.add(round(float(net.features(words, cell)[0].detach().sum()), 9))
    assert len(rows) == 2, "kept or dropped"


@pytest.mark.parametrize("name", ["input_dropout", "cell_dropout", "hidden_dropout"])
def test_every_rate_acts_in_training_alone(name):
    net, words, cell = network(**{f"mapping__{name}": 0.5}), text(), cells(1)[0]
    plain = net(words, cell)
    net.train()
    net.set_draw(0, 0)
    assert (net(words, cell) - plain).abs().max() > 1e-3
    torch.testing.assert_close(net.standalone(cell).eval()(words), plain, rtol=0, atol=1e-12)
