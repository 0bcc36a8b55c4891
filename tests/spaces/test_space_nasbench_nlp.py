"""NAS-Bench-NLP's recipes: the published parameters, one form for a class, and what is no recipe."""

import json

import numpy as np
import pytest

from nas_lightning.spaces import ArchitectureError, get_space
from nas_lightning.spaces.recipes import Recipe, X, canonical, previous
from tests.helpers.recipes import GRU, LSTM, RNN

SPACE = get_space("nasbench_nlp")


def test_published_parameters_of_every_trained_recipe(shared_table):
    """3 layers, 600 wide, an embedding of 400 and 33,278 words: all 345 numbers of the log files."""
    table = shared_table("nasbench_nlp_wikitext2.parquet")
    recipes = [SPACE.parse(text) for text in table["recipe"].to_pylist()]
    parameters, _ = SPACE.costs(recipes, num_classes=33_278)
    assert parameters.tolist() == table["num_params"].to_pylist()
    assert len(set(recipes)) == 265
    assert all(SPACE.parse(str(r)) == r and SPACE.decode(SPACE.encode(r)) == r for r in recipes)


@pytest.mark.parametrize(("text", "parameters"), [(RNN, 15_066_078), (LSTM, 20_230_878), (GRU, 18_509_278)])
def test_published_parameters_of_the_hand_made_cells(text, parameters):
    assert SPACE.parameters(SPACE.parse(text), num_classes=33_278) == parameters


def renamed(text, rng):
    """The same graph with other names, in another order, with inputs that commute shuffled, and a node that nothing
    reads."""
    recipe = json.loads(text)
    names = {
        name: name if name.startswith("h_new_") and name[6:].isdigit() else f"n{rng.integers(1e9)}" for name in recipe
    }
    moved = {}
    for name in rng.permutation(list(recipe)):
        op, inputs = recipe[name]["op"], [names.get(i, i) for i in recipe[name]["input"]]
        if op in ("linear", "elementwise_sum", "elementwise_prod"):
            inputs = list(rng.permutation(inputs))
        moved[names[name]] = {"op": op, "input": inputs}
    return json.dumps(moved | {"unread": {"op": "activation_tanh", "input": [names[next(iter(recipe))]]}})


def test_names_order_and_dead_nodes_make_no_other_architecture():
    rng = np.random.default_rng(0)
    for text in (RNN, LSTM, GRU, *(str(SPACE.sample(rng)) for _ in range(20))):
        own = SPACE.parse(text)
        assert all(SPACE.parse(renamed(text, rng)) == own for _ in range(5))
    assert len({SPACE.key(SPACE.parse(text)) for text in (RNN, LSTM, GRU)}) == 3


def test_the_order_of_a_blend_and_which_state_is_which_count():
    swapped = GRU.replace('["z_act", "h_prev_0", "h_tilde_act"]', '["z_act", "h_tilde_act", "h_prev_0"]')
    assert SPACE.parse(swapped) != SPACE.parse(GRU)
    other = LSTM.replace("h_new_1", "h_new_9").replace("h_new_0", "h_new_1").replace("h_new_9", "h_new_0")
    assert SPACE.parse(other) != SPACE.parse(LSTM)


def test_nodes_that_are_alike_but_not_interchangeable_are_told_apart():
    """Colour refinement alone cannot: two circles of three against one of six, with directions."""

    def circles(pairs):
        nodes = [("linear", (X, previous(0))) for _ in range(6)]
        nodes += [("elementwise_sum", pair) for pair in pairs]
        while len(outer := [i for i in range(6, len(nodes)) if not any(i in read for _, read in nodes)]) > 1:
            nodes.append(("elementwise_prod", tuple(outer[:2])))
        return Recipe(tuple(nodes), (len(nodes) - 1,))

    two = circles([(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)])
    rng = np.random.default_rng(1)
    assert canonical(circles([(5, 4), (4, 3), (5, 3), (2, 1), (1, 0), (2, 0)])) == canonical(two)
    order = rng.permutation(6)
    moved = tuple((op, tuple(int(order[i]) if 0 <= i < 6 else i for i in read)) for op, read in two.nodes)
    assert canonical(Recipe(moved, two.outputs)) == canonical(two)
    assert canonical(circles([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)])) != canonical(two)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is no recipe"),
        ('{"h_new_0": 1}', "expected"),
        (RNN.replace("activation_tanh", "softmax"), "no operation of a recipe"),
        (RNN.replace("activation_tanh", "activation_relu"), "no operation of nasbench_nlp"),
        (RNN.replace('["f"]', '["x"]'), "only linear can read it"),
        (RNN.replace('["f"]', '["g"]'), "reads 'g', which is not there"),
        (RNN.replace('["x", "h_prev_0"]', '["x", "x"]'), "reads one input twice"),
        (RNN.replace('["x", "h_prev_0"]', '["x"]'), "depends on h_prev_0"),
        (RNN.replace('["x", "h_prev_0"]', '["x", "h_prev_1"]'), "can read x, 1 hidden states"),
        (RNN.replace('["x", "h_prev_0"]', '["x", "h_new_0"]'), "part of a circle"),
        (RNN.replace("h_new_0", "h_new_1"), "no node 'h_new_0'"),
        (RNN.replace("h_new_0", "h_new_0\n"), "no node 'h_new_0'|cannot be read"),
    ],
)
def test_what_is_no_recipe_is_refused_in_a_sentence(text, said):
    with pytest.raises(ArchitectureError, match=said) as refused:
        SPACE.parse(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_too_large_a_recipe_is_refused():
    nodes = {"f": {"op": "linear", "input": ["x", "h_prev_0"]}, "n0": {"op": "activation_tanh", "input": ["f"]}}
    nodes |= {f"n{i}": {"op": "activation_tanh", "input": [f"n{i - 1}"]} for i in range(1, 24)}
    nodes["h_new_0"] = {"op": "activation_tanh", "input": ["n23"]}
    with pytest.raises(ArchitectureError, match="26 nodes and 1 hidden states; nasbench_nlp has up to 25 and 3"):
        SPACE.parse(nodes)
    assert len(SPACE.parse({**nodes, "h_new_0": nodes["n23"]}).nodes) == 25


def test_samples_are_the_generators():
    """No hidden state is passed on by an operation without a matrix between, as the benchmark's generator has it."""
    rng = np.random.default_rng(2)
    found = [SPACE.sample(rng) for _ in range(300)]
    assert {len(recipe.outputs) for recipe in found} == {1, 2, 3}
    assert not any(source < X for r in found for node in r.outputs for source in r.nodes[node][1])
    assert all(2 <= len(inputs) <= 3 for r in found for op, inputs in r.nodes if op == "linear")


def test_depth_and_graph_of_a_gru():
    gru = SPACE.parse(GRU)
    assert SPACE.depth(gru) == 2
    assert SPACE.operation_counts(gru).tolist() == [3, 1, 1, 0, 1, 2, 0]
    graph, operations = SPACE.operation_graph(gru)
    assert graph[0].sum() == 5, "three linear nodes, the product and the blend read what is given"
    assert graph[:, 26].sum() == 1
    assert (operations >= 0).sum() == 8
