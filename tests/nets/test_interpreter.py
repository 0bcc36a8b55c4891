"""The interpreter of recurrent cells against the formulas by hand: recipes, and DARTS's cells written as such."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nas_lightning.nets.build import build_network
from nas_lightning.nets.highways import FUNCTIONS as HIGHWAY_FUNCTIONS
from nas_lightning.nets.highways import highway_cell
from nas_lightning.nets.interpreter import Apply, Linear, Product, compiled
from nas_lightning.nets.rnn_ptb import RecurrentCells
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import get_space
from nas_lightning.spaces.recipes import Recipe, X, from_json, previous
from nas_lightning.spaces.rnn_ptb import as_recipe
from tests.helpers.recipes import GRU, LSTM, RNN

SPACE = get_space("nasbench_nlp")
WORDS, WIDTH = 11, 6
PUBLISHED = (
    "Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2), ('relu', 3), ('relu', 4), ('identity', 1), "
    "('relu', 5), ('relu', 1)], concat=range(1, 9))"
)


class Weights:
    """Matrices of any recipe, drawn once for every (node, slot)."""

    def __init__(self, width, inputs, bias=True):
        self.width, self.inputs, self.has_bias, self.found = width, inputs, bias, {}

    def drawn(self, key, *shape):
        if key not in self.found:
            seed = torch.Generator().manual_seed(hash(key) % 2**31)
            self.found[key] = torch.rand(*shape, generator=seed, dtype=torch.float64) - 0.5
        return self.found[key]

    def matrix(self, recipe, node, slot):
        rows = self.inputs if recipe.nodes[node][1][slot] == X else self.width
        return self.drawn((node, slot), rows, self.width)

    def bias(self, recipe, node):
        return self.drawn(node, self.width) if self.has_bias else None


def by_hand(recipe, x, states, weights, mask=None):
    """Node by node and step by step, as the source's code computes it."""
    outputs = []
    mask = torch.ones_like(states[0]) if mask is None else mask
    for t in range(x.shape[1]):
        known = {X: x[:, t], **{previous(j): state for j, state in enumerate(states)}}
        for node, (operation, inputs) in enumerate(recipe.nodes):
            read = [known[source] for source in inputs]
            if operation == "linear":
                terms = [
                    (value if source == X else value * mask) @ weights.matrix(recipe, node, slot)
                    for slot, (source, value) in enumerate(zip(inputs, read, strict=True))
                ]
                bias = weights.bias(recipe, node)
                known[node] = sum(terms) + (0 if bias is None else bias)
            else:
                known[node] = {
                    "activation_tanh": torch.tanh,
                    "activation_sigm": torch.sigmoid,
                    "activation_leaky_relu": lambda a: torch.where(a > 0, a, 0.01 * a),
                    "activation_relu": torch.relu,
                    "identity": lambda a: a,
                    "elementwise_prod": lambda a, b: a * b,
                    "elementwise_sum": lambda a, b: a + b,
                    "blend": lambda z, a, b: z * a + (1 - z) * b,
                    "mean": lambda *several: torch.stack(several).mean(0),
                }[operation](*read)
        states = [known[node] for node in recipe.outputs]
        outputs.append(states[0])
    return torch.stack(outputs, 1), states


def inputs_of(recipe, batch=3, length=5, e=4):
    torch.manual_seed(0)
    x = torch.randn(batch, length, e, dtype=torch.float64)
    return x, [torch.randn(batch, WIDTH, dtype=torch.float64) for _ in recipe.outputs]


def recipes(n):
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(n)] + [from_json(json.loads(text)) for text in (RNN, LSTM, GRU)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_recipes_give_what_is_computed_by_hand(bias, masked):
    for recipe in recipes(40):
        x, states = inputs_of(recipe)
        mask = torch.randint(0, 2, states[0].shape).double() * 2 if masked else None
        weights = Weights(WIDTH, 4, bias)
        found, ends = compiled(recipe).run(x, states, weights, mask)
        expected, last = by_hand(recipe, x, states, weights, mask)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
        for a, b in zip(ends, last, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_darts_cell_written_as_blends_equals_its_network():
    """Three ways to one result: the recipe node by node, the interpreter, and the network of space=rnn_ptb."""
    torch.manual_seed(0)
    net = build_network("rnn_ptb", Plan().edited({"mapping.channels": WIDTH, "mapping.layers": 1}), WORDS, 1).double()
    for parameter in net.parameters():
        parameter.data = torch.rand_like(parameter) * 2 - 1
    words = torch.randint(0, WORDS, (3, 7))
    space = get_space("rnn_ptb")
    for cell in [space.parse(PUBLISHED), *(space.sample(np.random.default_rng(seed)) for seed in range(5))]:
        recipe = as_recipe(cell)
        assert [op for op, _ in recipe.nodes].count("blend") == 9
        start = [torch.zeros(3, WIDTH, dtype=torch.float64)]
        states, _ = by_hand(recipe, F.embedding(words, net.embedding.weight), start, net.layers[0])
        torch.testing.assert_close(net.eval()(words, cell), net.classify(states, cell), rtol=0, atol=1e-11)


def chunk_of(program, weights, masked):
    """Outputs, state after the chunk, and what their weighted sum's gradients are to inputs, state and matrices."""
    torch.manual_seed(1)
    x, state = (torch.randn(*shape, WIDTH, dtype=torch.float64, requires_grad=True) for shape in ((3, 7), (3,)))
    mask = torch.randint(0, 2, (3, WIDTH)).double() * 1.4 if masked else None
    outputs, (end,) = program.run(x, [state], weights, mask)
    loss = (outputs * torch.randn(3, 7, WIDTH, dtype=torch.float64)).sum()
    return outputs, end, *torch.autograd.grad(loss, [x, state, *weights.parameters()])


@pytest.mark.parametrize("masked", [False, True])
def test_a_cell_of_highways_alone_is_one_operation_with_the_graphs_values_and_gradients(masked):
    weights = RecurrentCells(WIDTH).double()
    for parameter in weights.parameters():
        parameter.data = torch.rand_like(parameter) * 2 - 1
    space = get_space("rnn_ptb")
    for seed in range(6):
        program = compiled(as_recipe(space.sample(np.random.default_rng(seed))))
        fused, graph = (chunk_of(p, weights, masked) for p in (program, replace(program, cell=None)))
        for a, b in zip(fused, graph, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
        with torch.no_grad():  # keeps nothing for a way back
            torch.manual_seed(1)
            x, state = torch.randn(3, 7, WIDTH, dtype=torch.float64), torch.randn(3, WIDTH, dtype=torch.float64)
            mask = torch.randint(0, 2, (3, WIDTH)).double() * 1.4 if masked else None
            assert torch.equal(program.run(x, [state], weights, mask)[0], fused[0])


@pytest.mark.parametrize("masked", [False, True])
def test_the_one_operation_takes_each_matrix_of_its_node_and_slot(masked):
    """The matrices of the first two nodes are of x in slot 0 and of the state in slot 1, of all others in slot 0."""
    recipe, weights = as_recipe(get_space("rnn_ptb").parse(PUBLISHED)), Weights(WIDTH, WIDTH, bias=False)
    x, (state,) = inputs_of(recipe, e=WIDTH)
    mask = torch.randint(0, 2, state.shape).double() * 2 if masked else None
    cell = highway_cell(recipe)
    read = x @ torch.cat([weights.matrix(recipe, node, 0) for node in (0, 1)], 1)
    found = cell.run(read, state, mask, [group.matrix(recipe, weights.matrix) for group in cell.groups])
    torch.testing.assert_close(found, by_hand(recipe, x, [state], weights, mask)[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_all_functions_are_those_of_differences(masked):
    """One node of each function below the first one; relu away from its kink, where differences are none."""
    cell = get_space("rnn_ptb").parse([(f, 0) for f in ("tanh", "relu", "sigmoid", "identity") * 2])
    recipe = as_recipe(cell)
    highways, generator = highway_cell(recipe), torch.Generator().manual_seed(0)
    shapes = ((2, 3, 4), (2, 2), *((2, 2 * 2 * len(group.blends)) for group in highways.groups))
    read, state, *matrices = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    mask = torch.tensor([[2.0, 0.0], [2.0, 2.0]], dtype=torch.float64) if masked else None
    inputs = [tensor.requires_grad_() for tensor in (read, state, *matrices)]
    assert {f for group in highways.groups for f, *_ in group.functions} == set(HIGHWAY_FUNCTIONS)

    def run(read, state, *matrices):
        return highways.run(read, state, mask, list(matrices))

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def test_other_recipes_are_no_cells_of_highways_alone():
    cell = as_recipe(get_space("rnn_ptb").parse(PUBLISHED))
    assert highway_cell(cell).slots == 9
    assert highway_cell(Recipe((*cell.nodes[:10], ("mean", (9,))), (10,))).slots == 2
    assert all(highway_cell(recipe) is None for recipe in recipes(40))
    leaky = Recipe(tuple((op.replace("tanh", "leaky_relu"), inputs) for op, inputs in cell.nodes), cell.outputs)
    some = Recipe((*cell.nodes[:-1], ("mean", cell.nodes[-1][1][1:])), cell.outputs)
    other = Recipe((*cell.nodes[:9], ("blend", (7, 8, previous(0))), *cell.nodes[10:]), cell.outputs)
    assert [highway_cell(recipe) for recipe in (leaky, some, other)] == [None] * 3


def test_highways_from_one_state_are_one_product_and_nothing_else_is():
    cell = get_space("rnn_ptb").parse([("tanh", 0)] * 8)
    steps = compiled(as_recipe(cell)).instructions
    kinds = "Product Linear Linear Apply Apply Apply Product Mean"
    assert " ".join(type(step).__name__ for step in steps) == kinds
    assert len(steps[6].targets) == 16
    assert steps[6].highways == (("activation_tanh", tuple(range(9, 49, 5))),)
    assert steps[7].groups == (4,)
    # the gate is read twice, so that it is no highway
    twice = Recipe(
        (
            ("linear", (X, previous(0))),
            ("linear", (0,)),
            ("linear", (0,)),
            ("activation_sigm", (1,)),
            ("activation_tanh", (2,)),
            ("blend", (3, 4, 0)),
            ("elementwise_prod", (5, 3)),
        ),
        (6,),
    )
    kinds = [type(step) for step in compiled(twice).instructions]
    assert not any(step.highways for step in compiled(twice).instructions if isinstance(step, Product))
    assert (kinds.count(Linear), kinds.count(Apply)) == (3, 4)


@pytest.mark.parametrize(
    "between",
    [
        (("activation_tanh", (1,)), ("activation_tanh", (2,)), ("blend", (3, 4, 0))),
        (("linear", (0,)), ("activation_sigm", (1,)), ("elementwise_sum", (2, 3)), ("blend", (4, 5, 0))),
    ],
    ids=["the gate is no sigmoid", "the value has two inputs"],
)
def test_blends_that_only_look_like_highways_are_computed_node_by_node(between):
    recipe = Recipe((("linear", (X, previous(0))), ("linear", (0,)), ("linear", (0,)), *between), (2 + len(between),))
    x, states = inputs_of(recipe)
    weights = Weights(WIDTH, 4)
    found, _ = compiled(recipe).run(x, states, weights)
    torch.testing.assert_close(found, by_hand(recipe, x, states, weights)[0], rtol=0, atol=1e-13)


def network(arch, layers=2, **edits):
    torch.manual_seed(0)
    plan = Plan().edited(
        {"mapping.channels": 6, "mapping.layers": layers, **{k.replace("__", "."): v for k, v in edits.items()}}
    )
    return build_network("nasbench_nlp", plan, WORDS, 1, arch=arch).double().eval()


def text(batch=3, length=12):
    return torch.randint(0, WORDS, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layers", [1, 3])
def test_costs_are_those_of_the_built_network(layers):
    rng = np.random.default_rng(5)
    for recipe in [*(SPACE.sample(rng) for _ in range(6)), *map(SPACE.parse, (RNN, LSTM, GRU))]:
        assert sum(p.numel() for p in network(recipe, layers).parameters()) == SPACE.parameters(
            recipe, channels=6, layers=layers, num_classes=WORDS
        )


def test_there_is_no_super_net():
    with pytest.raises(PlanError, match="space=nasbench_nlp has no super-net: nodes of two recipes do not correspond"):
        network(None)


def test_a_gru_by_hand():
    """As the benchmark writes it: the reset gate before the matrix, h' = z·h + (1 − z)·h̃."""
    gru, words = SPACE.parse(GRU), text()
    net = network(gru, 1)
    w, h, found = net.layers[0], torch.zeros(3, 4, dtype=torch.float64), []
    # canonical order: z, r and h̃ are found by what reads them
    numbers = {op: i for i, (op, _) in enumerate(gru.nodes)}
    z_act, _, _ = gru.nodes[numbers["blend"]][1]
    linear = [node for node, (op, _) in enumerate(gru.nodes) if op == "linear"]
    z, tilde = (linear.index(node) for node in (gru.nodes[z_act][1][0], gru.nodes[numbers["activation_tanh"]][1][0]))
    r = ({0, 1, 2} - {z, tilde}).pop()
    for t in range(words.shape[1]):
        x = net.embedding.weight[words[:, t]]

        def gate(k, state, x=x):
            return x @ w.x[str(k)] + state @ w.states[f"{k}-0"] + w.biases[str(k)]

        update, reset = torch.sigmoid(gate(z, h)), torch.sigmoid(gate(r, h))
        h = update * h + (1 - update) * torch.tanh(gate(tilde, reset * h))
        found.append(h @ net.embedding.weight.T + net.classifier.bias)
    torch.testing.assert_close(net(words), torch.stack(found, 2), rtol=0, atol=1e-12)


def test_chunks_with_carried_states_equal_one_long_pass():
    net, words = network(SPACE.parse(LSTM), 3), text()
    whole = net(words)
    assert net.end_state.shape == (9, 3, 6)
    assert not net.end_state[2].any(), "this recipe has two hidden states of the three"
    assert not net.end_state[6:, :, 4:].any(), "and the last layer is narrower"
    end, parts = net.end_state, []
    for part in words.split([5, 4, 3], 1):
        parts.append(net(part))
        net.state = net.end_state
    torch.testing.assert_close(torch.cat(parts, 2), whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(net.end_state, end, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["word", "input", "cell", "hidden", "output"])
def test_every_rate_acts_in_training_alone(name):
    words, lstm = text(), SPACE.parse(LSTM)
    plain = network(lstm)(words)
    net = network(lstm, **{f"mapping__{name}_dropout": 0.5})
    assert torch.equal(net(words), plain)
    net.train()
    net.set_draw(0, 0)
    assert (net(words) - plain).abs().max() > 1e-4
    if name == "cell":  # between layers alone, as in the source
        assert torch.equal(network(lstm, 1, mapping__cell_dropout=0.5).train()(words), network(lstm, 1)(words))


def test_starts_uniform_in_the_sources_range():
    torch.manual_seed(0)
    plan = Plan().edited({"mapping.channels": 60, "mapping.layers": 1})
    net = build_network("nasbench_nlp", plan, 300, 1, arch=SPACE.parse(LSTM))
    assert 0.0999 < float(net.embedding.weight.detach().abs().max()) <= 0.1
    cells = torch.cat([p.detach().flatten() for p in net.layers.parameters()])
    assert 0.999 * 40**-0.5 < float(cells.abs().max()) <= 40**-0.5
    assert not net.classifier.bias.any()
