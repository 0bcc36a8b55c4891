"""Encodings, augmentation and rankers against what can be computed by hand."""

import numpy as np
import pytest

from nas_lightning.predictors.augmentation import augmented, copies, encode_graphs
from nas_lightning.predictors.encodings import Encoder, EncodingError, rank_gauss
from nas_lightning.predictors.ranker import Committee, RankerError, emphasise_top, make_ranker, ranker_names, relevance
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces import get_space

NB201, NB101, DARTS = (get_space(name) for name in ("nasbench201", "nasbench101", "darts_nds"))


def test_skip_free_path_counts_of_a_cell_by_hand():
    arch = NB201.parse("|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|skip_connect~2|")
    got = Encoder(NB201, ["path_counts"]).features(arch)
    assert {column[1]: n for column, n in got.items()} == {
        ("nor_conv_3x3", "nor_conv_1x1"): 1,  # over node 1
        (): 1,  # over node 2 alone
        ("nor_conv_3x3",): 1,  # over nodes 1 and 2
    }


def test_isomorphic_cells_have_equal_counts_and_85_columns_are_the_most():
    rng = np.random.default_rng(0)
    encoder = Encoder(NB201, ["path_counts"])
    for arch in (NB201.sample(rng) for _ in range(100)):
        assert all(encoder.features(arch) == encoder.features(twin) for twin in NB201.members(arch))
    assert encoder([*NB201.enumerate_raw()]).shape == (15625, 40)  # 3 operations, up to 3 in a row: 1 + 3 + 9 + 27


def test_paths_of_the_other_spaces():
    arch = NB101.parse("0110000100010000:input,conv3x3-bn-relu,maxpool3x3,output")
    assert sorted(NB101.paths(arch)) == [("conv3x3-bn-relu",), ("maxpool3x3",)]
    rng = np.random.default_rng(0)
    encoder = Encoder(NB101, ["path_counts"])
    for cell in (NB101.sample(rng) for _ in range(30)):
        assert all(encoder.features(cell) == encoder.features(twin) for twin in NB101.members(cell))
    cell = DARTS.sample(rng)
    assert all(path[0] in ("normal_0", "normal_1", "reduce_0", "reduce_1") for path in DARTS.paths(cell))
    assert sum(len(path) == 2 for path in DARTS.paths(cell)) >= 4  # the first node of either cell reads both inputs


def test_encodings_stand_side_by_side_and_unknown_ones_are_refused():
    archs = [NB201.from_index(i) for i in range(20)]
    both = Encoder(NB201, ["one_hot", "operations"])(archs)
    assert both.sum(axis=1).tolist() == [12.0] * 20
    with pytest.raises(EncodingError, match="'path' is unknown"):
        Encoder(NB201, ["path"])


def test_rank_gauss_is_symmetric_and_knows_missing_and_dead():
    assert rank_gauss(np.array([3.0, 1.0, 2.0])) == pytest.approx([0.9674, -0.9674, 0.0], abs=1e-4)
    assert rank_gauss(np.array([-np.inf, np.nan, 5.0])) == pytest.approx([-0.6745, 0.0, 0.6745], abs=1e-4)


# --- isomorphic augmentation ------------------------------------------------------------------------------------------


def test_copies_are_120_over_the_automorphisms():
    chain = NB101.parse(
        "0100000001000000010000000100000001000000010000000:input,"
        "conv3x3-bn-relu,conv1x1-bn-relu,maxpool3x3,conv3x3-bn-relu,conv1x1-bn-relu,output"
    )
    assert copies(NB101, chain).shape == (120, 56)
    smallest = NB101.parse("0100:input,output")  # five absent vertices, which all permutations leave alike
    assert len(copies(NB101, smallest)) == 1
    one = NB101.parse("010001000:input,conv3x3-bn-relu,output")
    assert len(copies(NB101, one)) == 5  # the vertex may stand in any of five places


def test_copies_hold_the_cell_and_isomorphic_cells_have_the_same():
    rng = np.random.default_rng(1)
    for cell in (NB101.sample(rng) for _ in range(10)):
        rows = copies(NB101, cell)
        assert (rows == encode_graphs(NB101, [cell])).all(axis=1).sum() == 1
        for twin in NB101.members(cell)[:3]:
            assert np.array_equal(copies(NB101, twin), rows)


def test_a_cell_weighs_one_however_many_copies_it_has():
    cells = [NB201.from_index(i) for i in (0, 1, 6111)]
    features, labels, weights = augmented(NB201, cells, np.array([1.0, 2.0, 3.0]))
    assert features.shape[1] == 49 + 6 * 6
    assert [weights[labels == i].sum() for i in (1, 2, 3)] == pytest.approx([1, 1, 1])
    assert len(features) == len(labels) == len(weights)


def test_skips_are_bypassed_and_nones_are_cut():
    arch = NB201.parse("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|")
    adjacency, labels = NB201.operation_graph(arch)
    assert labels.tolist() == [-1, -1, 3, -1, -1, -1]
    assert np.argwhere(adjacency).tolist() == [[0, 3], [3, 7]]


# --- rankers ----------------------------------------------------------------------------------------------------------


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 3, (n, 6)).astype(float)
    return features, features @ np.array([3.0, 2.0, 1.0, 0.5, 0.0, 0.0]) + rng.normal(0, 0.1, n)


@pytest.mark.slow
@pytest.mark.parametrize("name", ranker_names())
def test_every_ranker_orders_what_it_has_not_seen(name):
    features, labels = table(120)
    model = make_ranker(name, 0, deviation=True).fit(features[:80], labels[:80])
    mean, deviation = model.predict(features[80:])
    assert kendall_tau(mean, labels[80:]) > 0.6
    assert mean.shape == deviation.shape == (40,)
    assert (deviation >= 0).all()
    assert deviation.max() > 0


@pytest.mark.parametrize("name", ranker_names())
def test_equal_seeds_are_equal_predictions_and_failures_rank_low(name):
    features, labels = table()
    labels[:3] = -np.inf
    first, second = (make_ranker(name, 1).fit(features, labels).predict(features)[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("name", ranker_names())
def test_labels_that_teach_nothing_are_refused_in_a_sentence(name):
    features, labels = table(8)
    model = make_ranker(name, 0)
    with pytest.raises(RankerError, match=r"learns from .* labels or more and got 1"):
        model.fit(features[:1], labels[:1])
    with pytest.raises(RankerError, match=r"all 8 labels equal 0\.5"):
        model.fit(features, np.full(8, 0.5))
    with pytest.raises(RankerError, match="1 of 8 labels are NaN"):
        model.fit(features, np.where(np.arange(8) == 2, np.nan, labels))
    with pytest.raises(RankerError, match="8 rows of features and 7 labels"):
        model.fit(features, labels[:7])


def test_a_gaussian_process_passes_near_its_labels_and_is_unsure_far_away():
    features = np.linspace(0, 1, 12)[:, None]
    labels = np.sin(3 * features[:, 0])
    model = make_ranker("gaussian_process", 0, {"noises": (1e-4,)}).fit(features, labels)
    mean, deviation = model.predict(np.concatenate([features, [[9.0]]]))
    assert mean[:-1] == pytest.approx(emphasise_top(labels), abs=0.15)
    assert deviation[-1] > 3 * deviation[:-1].max()


def test_relevance_and_the_emphasis_of_the_top_by_hand():
    labels = np.array([-np.inf, 0.0, 0.5, 1.0, 1.0])
    assert relevance(np.array([0.0, 0.0, 0.5, 0.75, 1.0])).tolist() == pytest.approx([0, 0, 10, 15, 20])
    scaled = emphasise_top(labels)
    assert scaled[0] == scaled[1] < scaled[2] < scaled[3] == scaled[4]
    assert scaled.mean() == pytest.approx(0)
    assert scaled.std() == pytest.approx(1)
    # distances 1, 1, ½, 0, 0 with margin 0.1 (the quantile 0.2 of the finite labels is 0.3 of the way)
    finite = np.array([0.0, 0.5, 1.0, 1.0])
    low = np.quantile(finite, 0.2)
    raw = -np.log((1 - np.maximum([0, 0, 0.5, 1, 1], low)) / (1 - low) + 0.1)
    assert scaled == pytest.approx((raw - raw.mean()) / raw.std())


def test_rankers_without_deviation_come_as_a_committee_and_unknown_ones_are_refused():
    assert isinstance(make_ranker("lambdarank", 0, deviation=True), Committee)
    assert not isinstance(make_ranker("gaussian_process", 0, deviation=True), Committee)
    with pytest.raises(RankerError, match="did you mean lambdarank"):
        make_ranker("lambda_rank", 0)
    with pytest.raises(RankerError, match="no setting 'tree': did you mean trees"):
        make_ranker("random_forest", 0, {"tree": 3})
    with pytest.raises(RankerError, match=r"no ranker pathlib\.Route"):
        make_ranker("pathlib.Route", 0)
    with pytest.raises(RankerError, match="no subclass"):
        make_ranker("pathlib.Path", 0)


def test_a_committee_learns_from_no_fewer_labels_than_its_members():
    features, labels = table(3)
    committee = make_ranker("lambdarank", 0, deviation=True)
    with pytest.raises(RankerError, match="learns from 4 labels or more and got 3"):
        committee.fit(features, labels)
    assert committee.minimum == 4
    with pytest.raises(SearchError, match=r"learns from 4 labels or more and algorithm\.initial=2 measures"):
        make_algorithm(
            "predictor_guided",
            get_space("nasbench201"),
            Fidelities("epochs", (1,)),
            0,
            {"ranker": "lambdarank", "initial": 2},
        )
