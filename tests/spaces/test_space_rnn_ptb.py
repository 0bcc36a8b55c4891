"""The recurrent space: the published counts, genotypes as DARTS writes them, and cells that compute the same."""

from collections import namedtuple
from itertools import product

import numpy as np
import pytest

from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import ArchitectureError, get_space
from nas_lightning.spaces.rnn_ptb import NODES, RecurrentCell
from nas_lightning.spaces.rnn_trees import forest_at, forest_of, forests, numbered, numberings
from tests.helpers.commands import CONF
from tests.helpers.small_plans import build

SPACE = get_space("rnn_ptb")
PUBLISHED = (
    "Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2), ('relu', 3), ('relu', 4), ('identity', 1), "
    "('relu', 5), ('relu', 1)], concat=range(1, 9))"
)
"""DARTS, as its code has it."""
PLAN = Plan().edited({"mapping.channels": 8, "mapping.layers": 1})


def test_published_counts():
    assert SPACE.size == np.prod(SPACE.cardinalities, dtype=np.int64) == 2_642_411_520
    assert SPACE.unique_size == forests(NODES, NODES, 4) == 9_345_761
    assert forests(NODES, NODES, 1) == 286


@pytest.mark.parametrize(("channels", "parameters"), [(300, 4_810_000), (850, 22_960_000)])
def test_published_parameters_at_ten_thousand_words(channels, parameters):
    assert SPACE.parameters(SPACE.parse(PUBLISHED), channels=channels, num_classes=10_000) == parameters


def test_the_genotype_of_darts_is_read_in_every_form():
    cell = SPACE.parse(PUBLISHED)
    pairs = [("relu", 0), ("relu", 1), ("tanh", 2), ("relu", 3), ("relu", 4), ("identity", 1), ("relu", 5), ("relu", 1)]
    genotype = namedtuple("Genotype", "recurrent concat")(pairs, range(1, 9))
    given = (f"DARTS = {PUBLISHED}", pairs, str(pairs), {"recurrent": pairs, "concat": list(range(1, 9))}, genotype)
    assert all(SPACE.parse(form) == cell for form in given)
    assert str(cell) == PUBLISHED
    assert SPACE.depth(cell) == 6
    assert SPACE.operation_counts(cell).tolist() == [1, 6, 0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PUBLISHED.replace("'relu', 0", "'none', 0"), "no operation"),
        (PUBLISHED.replace("('relu', 1), ('tanh', 2)", "('relu', 2), ('tanh', 2)"), "can read states 0 to 1"),
        (PUBLISHED.replace("range(1, 9)", "[2, 5, 6]"), "leaves nodes out"),
        (PUBLISHED.replace("('relu', 0), ", ""), "8 nodes, not 7"),
        (PUBLISHED.replace("recurrent", "normal"), "has no 'normal'"),
        ("t0r1", "cannot be read"),
        ("[]", "no recurrent cell"),
        ("Cell(recurrent=[])", "no recurrent cell"),
    ],
)
def test_what_is_no_cell_is_refused_in_a_sentence(text, said):
    with pytest.raises(ArchitectureError, match=said) as refused:
        SPACE.parse(text)
    assert len(str(refused.value)) < 300


def test_every_forest_of_three_nodes_is_numbered_once():
    found = [forest_at(rank, 3, 4) for rank in range(forests(3, 3, 4))]
    sources = list(product((0,), (0, 1), (0, 1, 2)))
    by_hand = {forest_of(tuple(zip(ops, s, strict=True))) for ops in product(range(4), repeat=3) for s in sources}
    assert len(found) == len(set(found)) == len(by_hand) == 188
    assert set(found) == by_hand
    assert all(forest_of(numbered(forest)) == forest for forest in found)
    with pytest.raises(IndexError):
        forest_at(188, 3, 4)


def test_members_are_all_numberings_and_no_others():
    everything = [
        tuple(zip(ops, (0, *s), strict=True))
        for ops in product(range(2), repeat=4)
        for s in product((0, 1), (0, 1, 2), (0, 1, 2, 3))
    ]
    for code in everything[::37]:
        forest = forest_of(code)
        assert sorted(numberings(forest)) == sorted(c for c in everything if forest_of(c) == forest)


def test_isomorphic_cells_share_a_key_and_a_depth():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cell = SPACE.sample(rng)
        members = SPACE.members(cell)
        assert cell in members
        assert len({SPACE.key(m) for m in members}) == len({SPACE.depth(m) for m in members}) == 1
    assert SPACE.key(SPACE.parse(PUBLISHED)) == "r0r1r1t3r4r5r6i1"


@pytest.mark.slow
def test_unique_draws_are_uniform_over_classes():
    """A chain of eight nodes is one class of 4⁸, a star one of a multiset: 65,536 to 165 among 9,345,761."""
    rng = np.random.default_rng(0)
    chains = sum(SPACE.depth(SPACE.sample_unique(rng)) == NODES for _ in range(20_000))
    assert abs(chains - 20_000 * 4**8 / 9_345_761) < 4 * 12  # 140 ± 12


def test_neighbours_are_one_change_away():
    cell = SPACE.parse(PUBLISHED)
    genome, found = SPACE.encode(cell), SPACE.neighbours(cell)
    assert len(set(found)) == 24 + 28
    assert all((SPACE.encode(other) != genome).sum() == 1 for other in found)


def test_permutations_try_every_function_at_every_node():
    cell = SPACE.sample(np.random.default_rng(1))
    paths = SPACE.permuted(cell, np.random.default_rng(2))
    assert all([s for _, s in path.nodes] == [s for _, s in cell.nodes] for path in paths)
    assert all(sorted(path.nodes[i][0] for path in paths) == [0, 1, 2, 3] for i in range(NODES))


def test_paths_and_graph_of_a_star():
    star = RecurrentCell(tuple((i % 4, 0) for i in range(NODES)))
    graph, operations = SPACE.operation_graph(star)
    assert graph[0, 1:9].all()
    assert graph[1:9, 9].all()
    assert graph.sum() == 16
    assert operations.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert SPACE.paths(star)[:2] == [("tanh",), ("relu",)]


@pytest.mark.parametrize(
    "setting",
    [
        *("batch_norm/untracked", "batch_norm/tracked", "wsbn/on", "ofa_kernel/crop", "op_placement/node"),
        *("dynamic_channel/shuffle", "sampling/sandwich", "learning_rate/complexity_aware", "dropout/path"),
        *("learning_rate/low", "learning_rate/very_high", "weight_decay/wd1e3"),
    ],
)
def test_settings_without_a_meaning_are_recorded_as_such(setting):
    with pytest.raises(NotApplicableError, match="does not apply to space=rnn_ptb"):
        fold(PLAN, "rnn_ptb", [build(CONF / "heuristics" / f"{setting}.yaml")])


@pytest.mark.parametrize(
    "setting",
    [
        *("learning_rate/half", "learning_rate/linear", "epochs/half", "weight_decay/zero", "weight_decay/tenfold"),
        *("batch_size/b32", "train_portion/nine_tenths"),
        *("sampling/fairnas", "sampling/random_a_member", "dropout/global", "layers/more", "channels/double"),
    ],
)
def test_settings_with_a_meaning_change_the_plan(setting):
    assert fold(PLAN, "rnn_ptb", [build(CONF / "heuristics" / f"{setting}.yaml")]) != PLAN


@pytest.mark.parametrize(
    "edits",
    [
        {"mapping.bn_affine": False},
        {"protocol.initialization": "kaiming_uniform"},
        {"protocol.tournament": 2},
        {"mapping.kernel": 0},
    ],
)
def test_a_plan_that_nothing_reads_is_refused(edits):
    with pytest.raises(PlanError, match=r"does not apply to rnn_ptb|no field"):
        SPACE.check_plan(PLAN.edited(edits))


def test_other_spaces_refuse_what_only_recurrent_networks_read():
    for name in ("word_dropout", "input_dropout", "cell_dropout", "hidden_dropout", "output_dropout"):
        with pytest.raises(PlanError, match=f"mapping.{name}=0.1 does not apply to nasbench201"):
            get_space("nasbench201").check_plan(Plan().edited({f"mapping.{name}": 0.1}))
    with pytest.raises(PlanError, match="no hidden states"):
        get_space("nasbench201").check_plan(Plan().edited({"protocol.slowness": 0.1}))
